"""A list of ten million numbers as result."""

ANSWERS = {"mean_of": "def mean_of(numbers):\n    return [0] * 10_000_000\n"}
