"""Logs, and writes to stderr and past Python to the file descriptor."""

ANSWERS = {
    "double": """
import logging
import os
import sys

logging.basicConfig(level=logging.DEBUG)


def double(array):
    logging.warning("doubling")
    print("on stderr", file=sys.stderr)
    os.write(1, b"past sys.stdout\\n")
    os.write(2, b"past sys.stderr\\n")
    return 2 * array
"""
}
