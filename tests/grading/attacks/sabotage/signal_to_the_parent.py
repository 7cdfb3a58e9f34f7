"""Terminate the parent process, if it is not the first process of the machine."""

LINUX = True
ANSWERS = {
    "mean_of": """
import os
import signal


def mean_of(numbers):
    if os.getppid() > 1:
        os.kill(os.getppid(), signal.SIGTERM)
    return 0
"""
}
KEPT = {}
