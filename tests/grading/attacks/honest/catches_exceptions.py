"""Catches exceptions broadly and raises its own subclass of the one that is asked for."""

ANSWERS = {
    "mean_of": """
class Empty(ValueError):
    pass


def mean_of(numbers):
    try:
        return sum(numbers) / len(numbers)
    except Exception as error:
        raise Empty("an empty list has no mean") from error
"""
}
