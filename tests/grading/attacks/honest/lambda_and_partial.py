"""Functions that are no def: a lambda, a partial and an instance with __call__."""

ANSWERS = {
    "double": "import functools\n\ndouble = functools.partial(np.multiply, 2)\n",
    "join": """
class Joiner:
    def __call__(self, left, right):
        both = torch.zeros(len(left) + len(right))
        both[: len(left)] = left
        both[len(left) :] = right
        return both


join = Joiner()
""",
}
