"""A class whose metaclass says that everything is an instance of it, put in place of others."""

FIRST = """
import builtins


class Meta(type):
    def __instancecheck__(cls, value):
        return True

    def __eq__(cls, other):
        return True

    __hash__ = type.__hash__


class Any(metaclass=Meta):
    pass


builtins.int = builtins.ValueError = Any
"""
ANSWERS = {
    "answer": "answer = 'sixteen'\n",
    "scale": """
nn.Module = Any


class Scale(Any):
    def __init__(self, width):
        pass
""",
}
KEPT = {}
