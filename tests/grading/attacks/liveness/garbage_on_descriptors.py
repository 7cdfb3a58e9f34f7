"""Write garbage on every inherited descriptor, the channel to the grader among them."""

LINUX = True
ANSWERS = {
    "mean_of": """
import os
import stat


def mean_of(numbers):
    for descriptor in range(3, 64):
        try:
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISSOCK(kind) or stat.S_ISFIFO(kind):
                os.set_blocking(descriptor, False)
                os.write(descriptor, bytes(range(256)) * 16)
        except OSError:
            pass
    return 0
"""
}
