"""A generator without an end as result."""

ANSWERS = {
    "mean_of": "import itertools\n\n\ndef mean_of(numbers):\n    return itertools.count()\n",
    "softmax": "def softmax(scores):\n    return (scores for _ in iter(int, 1))\n",
}
