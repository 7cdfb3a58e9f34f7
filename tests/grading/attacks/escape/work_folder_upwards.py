"""Leave the work folder by ../, by a kept descriptor of a folder, and by chroot."""

LINUX = True
FIRST = """{{TELL}}
import os

_folder = os.open("/", os.O_RDONLY)
for _step in range(12):
    for _name in ("token.txt", "home/token.txt"):
        try:
            with open("../" * _step + "{{VICTIM}}/"[1:] + _name) as _file:
                tell(_file.read())
        except OSError:
            pass
try:
    _file = os.open("{{VICTIM}}/home/token.txt"[1:], os.O_RDONLY, dir_fd=_folder)
    tell(os.read(_file, 1000))
except OSError:
    pass
os.close(_folder)
"""
