"""Lower the limits of the own process and of the parent, for whoever is graded next."""

LINUX = True
FIRST = """
import os
import resource

if os.getppid() > 1:
    try:
        resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (8, 8))
    except OSError:
        pass
try:
    os.sched_setaffinity(os.getppid(), {0})
except OSError:
    pass
"""
KEPT = {}
