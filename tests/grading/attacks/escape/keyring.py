"""Leave a key in the user's keyring of the kernel, where later processes find it."""

LINUX = True
FIRST = """
import ctypes

_libc = ctypes.CDLL(None, use_errno=True)
for _ring in (-4, -3, -5):
    _libc.syscall(248, b"user", b"attack-{{NAME}}", b"left", 4, ctypes.c_int(_ring))
"""
