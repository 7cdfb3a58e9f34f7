"""An exception whose text hangs."""

ANSWERS = {
    "mean_of": """{{BOUND}}
class Slow(Exception):
    def __str__(self):
        while alive():
            _time.sleep(0.1)
        return ""

    __repr__ = __str__


def mean_of(numbers):
    raise Slow
"""
}
