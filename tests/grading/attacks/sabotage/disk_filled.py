"""Write 200 MB into the work folder and the victim's folder."""

FIRST = """
import os

for _folder in (".", "{{VICTIM}}"):
    try:
        with open(_folder + "/attack-filler", "wb") as _file:
            for _ in range(100):
                _file.write(b"x" * (1 << 20))
    except OSError:
        pass
"""
KEPT = {}
