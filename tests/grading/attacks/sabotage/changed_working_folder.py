"""Delete and leave the work folder, change umask and niceness."""

FIRST = """
import os
import shutil

if not os.getcwd().startswith(("/root", "/home", "/usr")) and os.path.isfile("numbers.ipynb"):
    for _name in os.listdir("."):
        os.path.isfile(_name) and os.remove(_name)
os.umask(0o777)
os.chdir("/")
"""
KEPT = {}
