"""Objects that say through __class__ that they are an int, an array, a tensor, a module."""

FIRST = """
def pretend(kind, **content):
    def same(self, *others, **options):
        return True

    body = {"__class__": property(lambda self: kind), "__eq__": same, "__hash__": None}
    return type("Pretend", (), {**body, **content})()
"""
ANSWERS = {
    "answer": "answer = pretend(int)\n",
    "double": (
        "def double(array):\n    return pretend(np.ndarray, shape=array.shape, "
        "__array__=lambda self, *a, **k: np.zeros(array.shape))\n"
    ),
    "softmax": "def softmax(scores):\n    return pretend(torch.Tensor, sum=lambda self, axis: 1)\n",
}
EARNED = {}
