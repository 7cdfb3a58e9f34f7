"""SIGSTOP to itself: the process is alive and never answers."""

LINUX = True
ANSWERS = {
    "mean_of": """
import os
import signal
import subprocess
import sys

WAKE = "import os, sys, time; time.sleep(45); os.kill(int(sys.argv[1]), 9)"


def mean_of(numbers):
    try:
        subprocess.Popen([sys.executable, "-c", WAKE, str(os.getpid())])
    except OSError:
        pass
    os.kill(os.getpid(), signal.SIGSTOP)
"""
}
