"""A destructor that hangs when the result is thrown away."""

ANSWERS = {
    "mean_of": """{{BOUND}}
class Sticky:
    def __del__(self):
        while alive():
            _time.sleep(0.1)


def mean_of(numbers):
    return Sticky()
"""
}
KEPT = {}
