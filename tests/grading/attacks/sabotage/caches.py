"""Write bytecode, matplotlib and torch caches that later imports would use."""

FIRST = """
import os

for _folder in ("home/.cache/matplotlib", "home/.config/matplotlib", "home/.cache/torch"):
    try:
        os.makedirs("{{VICTIM}}/" + _folder, exist_ok=True)
        with open("{{VICTIM}}/" + _folder + "/attack-matplotlibrc", "w") as _file:
            _file.write("backend: attack\\n")
    except OSError:
        pass
"""
