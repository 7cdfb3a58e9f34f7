"""Leave files in the temporary folder for whoever comes next."""

FIRST = """
import tempfile

try:
    with open(tempfile.gettempdir() + "/attack-{{NAME}}", "w") as _file:
        _file.write("left")
    with open("{{VICTIM}}/tmp/attack-left", "w") as _file:
        _file.write("left")
except OSError:
    pass
"""
