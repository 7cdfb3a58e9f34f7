"""Add lines to the course's configuration and to the configuration in the home."""

FIRST = """
_lines = "\\nc = get_config()\\nc.ClearSolutions.code_stub = {'python': 'attacked'}\\n"
for _path in ("nbgrader_config.py", "home/.jupyter/nbgrader_config.py"):
    try:
        with open("{{VICTIM}}/" + _path, "a") as _file:
            _file.write(_lines)
    except OSError:
        pass
"""
