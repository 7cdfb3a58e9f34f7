"""Objects that stay in S: their numbers, and what S tells of them."""

import types

from grading.border.codec import HANDLE, LIBRARY, Encoder
from grading.border.library import library_of, name_of, plain_class
from grading.border.plain import tuple_fields

SPECIAL = frozenset(
    f"__{name}__"
    for name in [
        "len",
        "getitem",
        "setitem",
        "delitem",
        "contains",
        "iter",
        "next",
        "reversed",
        "call",
        "enter",
        "exit",
        "add",
        "radd",
        "iadd",
        "sub",
        "rsub",
        "isub",
        "mul",
        "rmul",
        "imul",
        "matmul",
        "rmatmul",
        "imatmul",
        "truediv",
        "rtruediv",
        "itruediv",
        "floordiv",
        "rfloordiv",
        "ifloordiv",
        "mod",
        "rmod",
        "imod",
        "divmod",
        "rdivmod",
        "pow",
        "rpow",
        "ipow",
        "lshift",
        "rlshift",
        "ilshift",
        "rshift",
        "rrshift",
        "irshift",
        "and",
        "rand",
        "iand",
        "or",
        "ror",
        "ior",
        "xor",
        "rxor",
        "ixor",
        "neg",
        "pos",
        "abs",
        "invert",
        "int",
        "float",
        "complex",
        "index",
        "round",
        "trunc",
        "floor",
        "ceil",
        "bool",
        "hash",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "await",
        "aiter",
        "anext",
        "aenter",
        "aexit",
    ]
)
FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)


class Handles:
    """Numbers for objects; S keeps an object until E lets go of it."""

    def __init__(self):
        self._objects: dict[int, object] = {}
        self._numbers: dict[int, int] = {}
        self._told: set[int] = set()
        self._next = 1

    def __getitem__(self, number: int) -> object:
        return self._objects[number]

    def number_of(self, value: object) -> int:
        """The number of an object, a new one if need be."""
        number = self._numbers.get(id(value))
        if number is None:
            number, self._next = self._next, self._next + 1
            self._numbers[id(value)] = number
            self._objects[number] = value
        return number

    def node(self, encoder: Encoder, value: object) -> list:
        """The node of an object that stays here; what it is, the first time."""
        if isinstance(value, type):
            name = name_of(value)
            if name and plain_class(*name) is value:
                return [LIBRARY, *name]
        return self._class_node(encoder, value)

    def _class_node(self, encoder: Encoder, value: object) -> list:
        number = self.number_of(value)
        if number in self._told:
            return [HANDLE, number, None]
        self._told.add(number)
        encoder.undo.append(lambda: self._told.discard(number))
        return [HANDLE, number, self._describe(encoder, value)]

    def release(self, numbers: list[int]) -> None:
        """E needs these no more."""
        for number in numbers:
            self._told.discard(number)
            if number in self._objects:
                self._numbers.pop(id(self._objects.pop(number)), None)

    def _describe(self, encoder: Encoder, value: object) -> dict:
        if isinstance(value, type):
            return _class(encoder, value)
        if isinstance(value, FUNCTIONS):
            function = getattr(value, "__func__", value)
            return {
                "kind": "method" if isinstance(value, types.MethodType) else "function",
                "name": _text(getattr(function, "__name__", "")),
                "qualname": _text(getattr(function, "__qualname__", "")),
                "python": isinstance(function, types.FunctionType),
            }
        described = {"kind": "object", "class": self._class_node(encoder, type(value))}
        if encoder.describe_module is not None:
            described |= encoder.describe_module(encoder, value) or {}
        return described


def _class(encoder: Encoder, kind: type) -> dict:
    own = [base for base in kind.__mro__ if name_of(base) is None]
    special = [
        name
        for name in SPECIAL
        if getattr(kind, name, None) is not None
        and getattr(kind, name) is not getattr(object, name, None)
    ]
    methods = {
        name
        for base in own
        for name, value in vars(base).items()
        if isinstance(value, types.FunctionType) and (name in SPECIAL or not name.startswith("__"))
    }
    fields = tuple_fields(kind) if issubclass(kind, tuple) else None
    return {
        "kind": "class",
        "name": _text(kind.__name__),
        "qualname": _text(kind.__qualname__),
        "doc": _text(kind.__doc__)[:2000] if isinstance(kind.__doc__, str) else None,
        "library": library_of(kind)[:30],
        "bases": [encoder.encode(base) for base in kind.__bases__ if base in own],
        "special": special,
        "methods": sorted(map(_text, methods))[:500],  # the student's own
        "fields": list(fields) if fields else None,
        "hashable": getattr(kind, "__hash__", None) is not None,
    }


def _text(value: object) -> str:
    return value[:2000].encode("utf-8", "replace").decode() if isinstance(value, str) else "?"
