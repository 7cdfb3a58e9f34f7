"""A string of 100 MB as result, and as message of an error."""

ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    return 'x' * 100_000_000\n",
    "answer": "answer = 'x' * 100_000_000\n",
    "softmax": "def softmax(scores):\n    raise ValueError('x' * 100_000_000)\n",
}
KEPT = {}
