"""A hard link to the gradebook in the work folder, and one to a work file at the victim's."""

FIRST = """
import os

for _pair in (
    ("{{VICTIM}}/gradebook.db", "attack-hard.db"),
    ("numbers.ipynb", "{{VICTIM}}/attack-hard"),
):
    try:
        os.link(*_pair)
    except OSError:
        pass
try:
    with open("attack-hard.db", "r+b") as _file:
        _file.write(b"garbage")
except OSError:
    pass
"""
