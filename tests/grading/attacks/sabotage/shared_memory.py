"""Leave a segment of shared memory and a semaphore behind."""

LINUX = True
FIRST = """
import ctypes

try:
    with open("/dev/shm/attack-{{NAME}}", "w") as _file:
        _file.write("left")
except OSError:
    pass
_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmget(0x61747461, 4096, 0o1666)
"""
