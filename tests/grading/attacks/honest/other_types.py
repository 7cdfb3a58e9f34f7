"""Answers of close kin: a numpy scalar, a view, a tensor that needs a gradient, an int subclass."""

ANSWERS = {
    "mean_of": (
        "def mean_of(numbers):\n    if len(numbers) == 0:\n        raise ValueError('empty')\n"
        "    return np.mean(numbers)\n"
    ),
    "double": "def double(array):\n    return np.stack([2 * array, array])[0]\n",
    "join": (
        "def join(left, right):\n    index = torch.arange(len(left) + len(right))\n"
        "    both = torch.zeros(len(index))\n    both[index < len(left)] = left\n"
        "    both[index >= len(left)] = right\n    return both[:]\n"
    ),
}
