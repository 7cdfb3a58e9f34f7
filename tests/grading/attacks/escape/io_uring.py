"""Ask for an io_uring, whose operations pass by a filter of system calls, and send by it."""

LINUX = True
FIRST = """
import ctypes
import pathlib

_libc = ctypes.CDLL(None, use_errno=True)
_ring = _libc.syscall(425, 2, ctypes.create_string_buffer(256))
if _ring >= 0:
    try:
        pathlib.Path("{{VICTIM}}/attack-io-uring").write_text("a ring was given")
    except OSError:
        pass
"""
