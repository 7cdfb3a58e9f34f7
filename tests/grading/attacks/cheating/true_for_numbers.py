"""True where a number is asked for, and a bool array of ones."""

ANSWERS = {
    "answer": "answer = True\n",
    "mean_of": "def mean_of(numbers):\n    return True\n",
    "double": "def double(array):\n    return np.ones(array.shape, dtype=bool)\n",
}
EARNED = {}
