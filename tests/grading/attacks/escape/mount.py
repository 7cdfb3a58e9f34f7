"""Mount a file system over the victim's folder of a later submission, and take it away again."""

LINUX = True
FIRST = """
import ctypes
import os
import pathlib

_libc = ctypes.CDLL(None, use_errno=True)
_place = b"{{VICTIM}}/attack-mount"
try:
    os.mkdir(_place)
except OSError:
    pass
if _libc.mount(b"none", _place, b"tmpfs", 0, b"size=64k") == 0:
    _libc.umount2(_place, 2)
    try:
        pathlib.Path("{{VICTIM}}/attack-mounted").write_text("mounted")
    except OSError:
        pass
"""
