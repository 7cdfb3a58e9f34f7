"""Start a program and leave it running."""

ANSWERS = {
    "mean_of": """
import subprocess
import sys


def mean_of(numbers):
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(45)"], start_new_session=True
    )
    return 0
"""
}
