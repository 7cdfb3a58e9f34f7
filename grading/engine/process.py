"""Small things about processes that Python has no name for; Linux only, elsewhere nothing."""

import contextlib
import ctypes
import os
import signal

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
HUGE = 2 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Let the system kill this process when the one that made it ends."""
    if hasattr(_libc, "prctl"):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def call_it(name: str) -> None:
    """Give this process a name of at most 15 letters that ``ps`` and ``top`` show."""
    if hasattr(_libc, "prctl"):
        _libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def stay_on(number: int) -> None:
    """Keep this process and its children on one processor.

    An examiner and its student process take turns: on one processor the one wakes the other in a
    third of the time.
    """
    with contextlib.suppress(AttributeError, OSError):
        own = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {own[number % len(own)]})


def use_huge_pages() -> None:
    """Put this process's memory into pages of 2 MiB, so that a fork has few of them to copy.

    With the libraries loaded a fork takes a third of the time. Costs half a second, once.
    """
    with contextlib.suppress(AttributeError, OSError, ValueError):
        _libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        with open("/proc/self/maps", encoding="utf-8") as maps:
            lines = maps.read().splitlines()
        for line in lines:
            span, rights, _, _, inode, *name = line.split(maxsplit=5)
            if rights != "rw-p" or inode != "0" or (name and name[0] != "[heap]"):
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            start, end = -(-start // HUGE) * HUGE, end // HUGE * HUGE
            if end > start:
                _libc.madvise(start, end - start, MADV_HUGEPAGE)
                _libc.madvise(start, end - start, MADV_COLLAPSE)  # refused by older kernels
