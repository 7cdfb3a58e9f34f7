"""Announce a message of 2 GiB, then one of 4 GiB, and send a few bytes of it."""

LINUX = True
ANSWERS = {
    "mean_of": """
import os
import stat


def mean_of(numbers):
    for descriptor in range(3, 128):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.set_blocking(descriptor, False)
                os.write(descriptor, b"\\x7f\\xff\\xff\\xff" + b"x" * 64)
                os.write(descriptor, b"\\xff\\xff\\xff\\xff" + b"x" * 64)
        except OSError:
            pass
    return 0
"""
}
