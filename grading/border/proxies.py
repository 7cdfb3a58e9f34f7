"""What stands in E for the student's functions and objects."""

import types
from collections.abc import Callable, Iterator, Mapping

READABLE = frozenset(
    f"__{name}__"
    for name in [
        "dict",
        "doc",
        "annotations",
        "wrapped",
        "self",
        "func",
        "members",
        "slots",
        "match_args",
        "defaults",
        "kwdefaults",
        "dataclass_fields",
        "module",
        "name",
        "qualname",
        "version",
        "file",
    ]
)


class Remote:
    """Number of an object in S; S lets go of it when this is gone.

    Args:
        border: the way to S.
        number: of the object.
        origin: where it came from, for messages: ``answer()``.
        made: did the examiner make it, or calculate it from what it made?
        mixed: is it a difference between the student's object and the examiner's data?
    """

    __slots__ = ("border", "made", "mixed", "number", "origin")

    def __init__(self, border: object, number: int, origin: str = ""):
        self.border = border
        self.number = number
        self.origin = origin
        self.made = self.mixed = False

    def __del__(self):
        self.border.incoming.forget(self.number)


def remote_of(value: object) -> Remote | None:
    """What a proxy stands for; None for anything else."""
    if isinstance(value, type):
        return type.__getattribute__(value, "__dict__").get("_class_remote")
    found = getattr(type(value), "_student_proxy", False)
    return object.__getattribute__(value, "_remote") if found else None


class StudentMethod:
    """A method of a student's object, fetched only when it is called."""

    __slots__ = ("__name__", "__self__")

    def __init__(self, target: object, name: str):
        self.__self__ = target
        self.__name__ = name

    def __call__(self, *arguments: object, **options: object) -> object:
        remote = remote_of(self.__self__)
        return remote.border.method(remote, self.__name__, arguments, options)

    def __getattr__(self, name: str) -> object:
        return getattr(self.fetched(), name)

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is StudentMethod
            and other.__self__ is self.__self__
            and other.__name__ == self.__name__
        )

    def __hash__(self) -> int:
        return hash((id(self.__self__), self.__name__))

    def fetched(self) -> "StudentFunction":
        """The method as an object of its own."""
        remote = remote_of(self.__self__)
        return remote.border.get(remote, self.__name__)


class GlobalsView(Mapping):
    """What checks may read of the globals of a student's function.

    Args:
        bound: the names that stand for values of the student's.
        static_code: gives the code of a function that no name is bound to, such as a helper.
    """

    def __init__(self, bound: Mapping, static_code: Callable):
        self._bound, self._static_code = bound, static_code

    def __getitem__(self, name: str) -> object:
        if name in self._bound:
            return self._bound[name]
        code = self._static_code(name)
        if code is None:
            raise KeyError(name)
        return StaticFunction(name, code, self)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bound)

    def __len__(self) -> int:
        return len(self._bound)


class StaticFunction:
    """A helper of the student's as its text defines it: it can be read, not called."""

    __module__ = "__main__"

    def __init__(self, name: str, code: types.CodeType, names: Mapping):
        self.__name__ = self.__qualname__ = name
        self.__code__, self.__globals__ = code, names


class StudentFunction:
    """A function, or a method that was fetched."""

    _student_proxy = True

    def __init__(self, remote: Remote, name: str, qualname: str, kind: type):
        own = self.__dict__
        own["_remote"], own["_kind"] = remote, kind
        own["__name__"], own["__qualname__"], own["__module__"] = name, qualname, "__main__"
        code = remote.border.static_code(qualname) if kind is types.FunctionType else None
        if code is not None:
            own["__code__"] = code

    @property
    def __class__(self) -> type:
        return self.__dict__["_kind"]

    def __call__(self, *arguments: object, **options: object) -> object:
        remote = self.__dict__["_remote"]
        return remote.border.call(remote, f"{self.__name__}()", arguments, options)

    def __getattr__(self, name: str) -> object:
        remote = self.__dict__["_remote"]
        if name == "__signature__":
            return remote.border.signature(remote)
        if name == "__globals__" and "__code__" in self.__dict__:
            return remote.border.names_view()
        if name == "__wrapped__" or (name.startswith("__") and name not in READABLE):
            raise AttributeError(f"function {self.__name__!r} has no attribute {name!r}")
        return remote.border.get(remote, name)

    @property
    def __doc__(self) -> str | None:
        remote = self.__dict__["_remote"]
        return remote.border.get(remote, "__doc__")

    @property
    def __annotations__(self) -> dict:
        remote = self.__dict__["_remote"]
        return remote.border.get(remote, "__annotations__")

    def __setattr__(self, name: str, value: object) -> None:
        remote = self.__dict__["_remote"]
        remote.border.set(remote, name, value)

    def __repr__(self) -> str:
        return f"<function {self.__qualname__} of the student's>"

    def __copy__(self) -> "StudentFunction":
        return self

    def __deepcopy__(self, memo: dict) -> "StudentFunction":
        return self

    def __reduce_ex__(self, protocol: int) -> object:
        raise TypeError("a function of the student's cannot be pickled by a test")

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self if instance is None else types.MethodType(self, instance)
