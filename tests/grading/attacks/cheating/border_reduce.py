"""A result whose pickling would run code in the process that reads it."""

FIRST = """
class Reduce:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('{{VICTIM}}/attack-ran').write_text('x')",))


class Text(str):
    __reduce__ = Reduce.__reduce__
"""
ANSWERS = {
    "mean_of": "def mean_of(numbers):\n    return Reduce()\n",
    "answer": "answer = Text('16')\n",
    "join": "def join(left, right):\n    return np.array([Reduce()], dtype=object)\n",
    "softmax": "import numpy as np\n\n\ndef softmax(scores):\n    return {Text('a'): Reduce()}\n",
}
