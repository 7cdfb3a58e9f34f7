"""A list that contains itself, and one that is nested a hundred thousand deep."""

ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    ring = []\n    ring.append(ring)\n    return ring\n",
    "answer": "answer = []\nfor _ in range(100_000):\n    answer = [answer]\n",
}
KEPT = {}
