"""Take the parent's open files by pidfd_getfd."""

LINUX = True
FIRST = """
import ctypes
import os
import pathlib

_libc = ctypes.CDLL(None, use_errno=True)
try:
    _process = os.pidfd_open(os.getppid()) if os.getppid() > 1 else -1
    _copies = [_libc.syscall(438, _process, number, 0) for number in range(3, 32)]
    if any(copy >= 0 for copy in _copies):
        pathlib.Path("{{VICTIM}}/attack-descriptors").write_text("taken")
    for _copy in _copies:
        _copy >= 0 and os.close(_copy)
except OSError:
    pass
"""
