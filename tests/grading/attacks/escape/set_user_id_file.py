"""Leave a copy of a program that has the set-user-id bit, and try to become another user."""

LINUX = True
FIRST = """
import os
import shutil

try:
    shutil.copy("/bin/true", "{{VICTIM}}/attack-setuid")
    os.chmod("{{VICTIM}}/attack-setuid", 0o4755)
except OSError:
    pass
"""
