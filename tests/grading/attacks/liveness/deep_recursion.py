"""Endless recursion in Python: an ordinary error of the student's."""

ANSWERS = {"mean_of": "def mean_of(numbers):\n    return mean_of(numbers)\n"}
