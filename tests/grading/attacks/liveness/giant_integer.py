"""An integer of four million digits as result; turning it into text takes for ever."""

FIRST = "BIG = 1 << 13_000_000"
ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    return BIG\n",
    "answer": "answer = BIG\n",
    "softmax": "def softmax(scores):\n    return BIG\n",
}
