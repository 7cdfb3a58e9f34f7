"""Return NotImplemented, Ellipsis and None, which compare and convert in odd ways."""

ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    return NotImplemented\n",
    "double": "def double(array):\n    return NotImplemented\n",
    "answer": "answer = NotImplemented\n",
    "softmax": "def softmax(scores):\n    return ...\n",
    "join": "def join(left, right):\n    return None\n",
}
EARNED = {}
