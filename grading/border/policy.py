"""Which operations on a student's object may be asked of S, and what is said of the others.

An object whose ``==`` is always true, or whose difference from everything is zero, would pass any
test, and the expected value would have to be sent to it. So comparisons with the examiner's data
are never sent. Objects of classes that the assignment asks for can calculate; the rules are in
the documentation of :mod:`grading.border`.
"""

COMPARISONS = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"})
ORDER = {
    "__eq__": "==", "__ne__": "!=", "__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">=",
}  # fmt: skip
_BINARY = [
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "divmod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
]
BINARY = frozenset(f"__{side}{name}__" for name in _BINARY for side in ("", "r", "i"))
SUBTRACTION = frozenset(
    f"__{side}{name}__" for name in ("sub", "truediv", "xor", "mod") for side in ("", "r", "i")
)
REDUCING = frozenset(
    f"__{name}__"
    for name in [
        "abs",
        "int",
        "float",
        "complex",
        "index",
        "round",
        "trunc",
        "floor",
        "ceil",
        "bool",
    ]
)
RESULTS = {
    "__len__": int, "__bool__": bool, "__contains__": bool, "__int__": int, "__index__": int,
    "__float__": float, "__complex__": complex, "__hash__": int, "__repr__": str, "__str__": str,
    "__format__": str,
}  # fmt: skip


def no_comparison(origin: str, name: str) -> str:
    """The message where an object stands in the place of plain data."""
    where = f"{origin} gave" if origin else "this is"
    return f"{where} an object of the student's class {name}, where plain data is compared"
