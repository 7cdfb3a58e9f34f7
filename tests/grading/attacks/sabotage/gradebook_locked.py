"""Hold an exclusive lock on the gradebook for twenty seconds."""

LINUX = True
FIRST = """{{BOUND}}
import os
import sqlite3

try:
    if os.fork() == 0:
        os.setsid()
        try:
            _database = sqlite3.connect("file:{{VICTIM}}/gradebook.db?mode=rw", uri=True)
            _database.execute("begin exclusive")
            _time.sleep(20)
        finally:
            os._exit(0)
except OSError:
    pass
"""
KEPT = {}
