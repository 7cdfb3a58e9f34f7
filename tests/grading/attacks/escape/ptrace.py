"""Attach to the parent with ptrace, and detach at once."""

LINUX = True
FIRST = """
import ctypes
import os
import pathlib

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if os.getppid() > 1 and _libc.ptrace(0x4206, os.getppid(), None, None) == 0:
    try:
        pathlib.Path("{{VICTIM}}/attack-ptrace").write_text("attached")
    except OSError:
        pass
    _libc.ptrace(17, os.getppid(), None, None)
"""
KEPT = {}
