"""Fork forty children that leave the session and sleep, to outlive the grader."""

LINUX = True
ANSWERS = {
    "mean_of": """{{BOUND}}
import os


def mean_of(numbers):
    for _ in range(40):
        if os.fork() == 0:
            os.setsid()
            _time.sleep(45)
            os._exit(0)
    return 0
"""
}
