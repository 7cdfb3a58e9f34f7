"""Join the namespaces of the first process, by /proc/1/ns and by a pidfd."""

LINUX = True
FIRST = """
import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
for _kind in ("user", "mnt", "net", "pid"):
    try:
        _handle = os.open("/proc/1/ns/" + _kind, os.O_RDONLY)
        _libc.setns(_handle, 0)
        os.close(_handle)
    except OSError:
        pass
try:
    with open("{{VICTIM}}/attack-joined", "w") as _file:
        _file.write("written")
except OSError:
    pass
"""
KEPT = {}
