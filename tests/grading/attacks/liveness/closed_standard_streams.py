"""Close standard input, output and error, then answer rightly: a right answer stays right."""

ANSWERS = {
    "double": """
import os


def double(array):
    for descriptor in range(3):
        try:
            os.close(descriptor)
        except OSError:
            pass
    return 2 * array
"""
}
KEPT = {}
