"""A tensor of eight bytes that says it has 2 ** 40 elements."""

ANSWERS = {
    "softmax": "def softmax(scores):\n    return torch.zeros(1).expand(1 << 20, 1 << 20)\n",
    "join": "def join(left, right):\n    return left.new_zeros(1).expand(1 << 40)\n",
    "mean_of": (
        "def mean_of(numbers):\n    return np.broadcast_to(np.zeros(1), (1 << 20, 1 << 20))\n"
    ),
}
