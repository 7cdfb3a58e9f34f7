"""A subclass of Tensor whose __torch_function__ answers every comparison with yes."""

FIRST = """
import torch


class Lie(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        name = getattr(function, "__name__", "")
        if name in ("allclose", "equal", "isfinite", "isclose", "assert_close"):
            return True
        if name == "all":
            return torch.tensor(True)
        return super().__torch_function__(function, types, arguments, options or {})

    def __eq__(self, other):
        return torch.ones(self.shape, dtype=torch.bool)
"""
ANSWERS = {
    "softmax": "def softmax(scores):\n    return (0 * scores).as_subclass(Lie)\n",
    "join": """
def join(left, right):
    return torch.zeros(len(left) + len(right)).as_subclass(Lie)
""",
}
