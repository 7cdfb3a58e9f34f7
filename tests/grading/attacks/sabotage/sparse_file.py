"""Say that a file has 900 GB."""

FIRST = """
import os

for _folder in (".", "{{VICTIM}}"):
    try:
        with open(_folder + "/attack-sparse", "wb") as _file:
            os.truncate(_file.fileno(), 900 << 30)
    except OSError:
        pass
"""
KEPT = {}
