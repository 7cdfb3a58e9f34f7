"""A result whose every special method hangs: repr, len, iter, eq, sub, float, hash, bool."""

FIRST = """{{BOUND}}
def hang(self, *others):
    while alive():
        _time.sleep(0.1)


NAMES = "repr str len iter eq ne sub rsub float int index hash bool abs lt getattr format".split()
Hang = type("Hang", (), {f"__{name}__": hang for name in NAMES})
"""
ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    return Hang.__new__(Hang)\n",
    "answer": "answer = Hang.__new__(Hang)\n",
    "softmax": "def softmax(scores):\n    return Hang.__new__(Hang)\n",
}
