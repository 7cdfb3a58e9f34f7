"""A syntax error in one answer: only that answer is lost."""

ANSWERS = {"double": "def double(array:\n    return 2 * array\n"}
EARNED = {"mean_of": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}
