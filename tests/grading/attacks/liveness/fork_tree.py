"""A bounded fork bomb: every child forks again, 31 processes in all."""

LINUX = True
FIRST = """{{BOUND}}
import os


def tree(depth):
    for _ in range(2):
        if depth and os.fork() == 0:
            tree(depth - 1)
            _time.sleep(40)
            os._exit(0)
"""
ANSWERS = {"mean_of": "def mean_of(numbers):\n    tree(4)\n    return 0\n"}
