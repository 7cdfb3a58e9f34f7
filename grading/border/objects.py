"""Objects of the student's classes, as they stand in E, and what may be done with them."""

import dis
import types
from collections.abc import Callable, Iterator

from grading.border import policy
from grading.border.errors import Refused, StudentLost
from grading.border.proxies import READABLE, Remote, StudentMethod, remote_of


class StudentObject:
    """An object of a student's class. Each of these classes is a mirror of one in S."""

    __slots__ = ("__weakref__", "_remote")
    __array_ufunc__ = None  # numpy leaves operators to the object
    _student_proxy = True

    def __getattr__(self, name: str) -> object:
        remote = object.__getattribute__(self, "_remote")
        if name.startswith("__") and name.endswith("__") and name not in READABLE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name in type(self)._methods:
            return StudentMethod(self, name)
        return remote.border.get(remote, name)

    def __setattr__(self, name: str, value: object) -> None:
        remote = object.__getattribute__(self, "_remote")
        remote.border.set(remote, name, value)

    def __delattr__(self, name: str) -> None:
        remote = object.__getattribute__(self, "_remote")
        remote.border.delete(remote, name)

    def __repr__(self) -> str:
        return _shown(self, "__repr__")

    def __str__(self) -> str:
        return _shown(self, "__str__")

    def __format__(self, spec: str) -> str:
        remote = object.__getattribute__(self, "_remote")
        return _checked(remote.border.special(remote, "__format__", spec), "__format__", self)

    def __dir__(self) -> list[str]:
        remote = object.__getattribute__(self, "_remote")
        return [name for name in remote.border.special(remote, "__dir__") if type(name) is str]

    def __bool__(self) -> bool:
        special = type(self)._special
        if "__bool__" not in special and "__len__" not in special:
            return True
        remote = object.__getattribute__(self, "_remote")
        if not remote.border.knows(type(self)):
            raise Refused(policy.no_comparison(remote.origin, type(self).__name__))
        _not_mixed(remote, "__bool__", self)
        return _checked(remote.border.special(remote, "__bool__"), "__bool__", self)

    def __hash__(self) -> int:
        kind = type(self)
        if not kind._hashable:
            raise TypeError(f"unhashable type: {kind.__name__!r}")
        remote = object.__getattribute__(self, "_remote")
        if "__hash__" in kind._special and remote.border.knows(kind):
            return hash(_checked(remote.border.special(remote, "__hash__"), "__hash__", self))
        return object.__hash__(self)

    def __eq__(self, other: object) -> object:
        return _compare(self, "__eq__", other)

    def __ne__(self, other: object) -> object:
        return _compare(self, "__ne__", other)

    def __lt__(self, other: object) -> object:
        return _compare(self, "__lt__", other)

    def __le__(self, other: object) -> object:
        return _compare(self, "__le__", other)

    def __gt__(self, other: object) -> object:
        return _compare(self, "__gt__", other)

    def __ge__(self, other: object) -> object:
        return _compare(self, "__ge__", other)

    def __copy__(self) -> object:
        remote = object.__getattribute__(self, "_remote")
        return remote.border.ask_copy(remote, "copy")

    def __deepcopy__(self, memo: dict) -> object:
        remote = object.__getattribute__(self, "_remote")
        return remote.border.ask_copy(remote, "deepcopy")

    def __reduce_ex__(self, protocol: int) -> object:
        raise TypeError("an object of the student's cannot be pickled by a test")


def _compare(one: StudentObject, name: str, other: object) -> object:
    remote = object.__getattribute__(one, "_remote")
    theirs = remote_of(other)
    if theirs is not None and not isinstance(other, type):
        special = type(one)._special
        if name == "__ne__" and name not in special and "__eq__" in special:
            result = _compare(one, "__eq__", other)  # as Python does: not ==
            return result if result is NotImplemented else not result
        if name not in special:
            return one is other if name == "__eq__" else NotImplemented
        if remote.border.knows(type(one)) and not (remote.mixed or theirs.mixed):
            result = remote.border.special(remote, name, other)
            if result is NotImplemented or type(result) is bool:
                return result
            raise TypeError(f"{policy.ORDER[name]} of {type(one).__name__} did not give a bool")
        if one is other and name in ("__eq__", "__ne__"):
            return name == "__eq__"
    raise Refused(policy.no_comparison(remote.origin, type(one).__name__))


def _shown(one: StudentObject, name: str) -> str:
    remote = object.__getattribute__(one, "_remote")
    try:
        return _checked(remote.border.special(remote, name), name, one)
    except StudentLost:
        return f"<{type(one).__name__} object of the student's>"


def _checked(result: object, name: str, one: object) -> object:
    wanted = policy.RESULTS[name]
    if type(result) is not wanted:
        given = type(result).__name__
        raise TypeError(f"{name} of {type(one).__name__} gave {given}, not {wanted.__name__}")
    return result


def _not_mixed(remote: Remote, name: str, one: object) -> None:
    if remote.mixed:
        raise Refused(
            f"{name} of a difference between a student's {type(one).__name__} and plain data "
            f"proves nothing; {policy.no_comparison(remote.origin, type(one).__name__)}"
        )


def _forward(name: str) -> Callable:
    """The special method of mirror classes whose class in S has it."""

    def method(self: StudentObject, *arguments: object) -> object:
        remote = object.__getattribute__(self, "_remote")
        border = remote.border
        theirs = [remote_of(value) for value in arguments]
        plain = not all(theirs)
        if (plain and name in policy.BINARY) or name == "__contains__":
            if not border.knows(type(self)) or (plain and not remote.made):
                raise Refused(policy.no_comparison(remote.origin, type(self).__name__))
        elif name in ("__getitem__", "__setitem__", "__delitem__") and not border.knows(type(self)):
            raise Refused(policy.no_comparison(remote.origin, type(self).__name__))
        if name in policy.REDUCING:
            if not border.knows(type(self)):
                raise Refused(policy.no_comparison(remote.origin, type(self).__name__))
            _not_mixed(remote, name, self)
        result = border.special(remote, name, *arguments)
        if name in policy.RESULTS:
            return _checked(result, name, self)
        if name in policy.BINARY and result is not NotImplemented:
            made = remote_of(result)
            if made is None and plain:
                raise Refused(
                    f"{name} of {type(self).__name__} with plain data must give an object of the "
                    f"student's class, not {type(result).__name__}"
                )
            if made is not None and result is not self:
                made.made = remote.made
                others_mixed = any(one.mixed for one in theirs if one is not None)
                made.mixed = remote.mixed or others_mixed or (plain and name in policy.SUBTRACTION)
            elif made is not None and plain and name in policy.SUBTRACTION:
                made.mixed = True
        return result

    method.__name__ = name
    return method


def _call(self: StudentObject, *arguments: object, **options: object) -> object:
    remote = object.__getattribute__(self, "_remote")
    return remote.border.call(remote, f"{type(self).__name__} object()", arguments, options)


def _next(self: StudentObject) -> object:
    remote = object.__getattribute__(self, "_remote")
    more, value = _pair(remote.border.special(remote, "__next__"))
    if more:
        return value
    raise StopIteration(value)


def _pair(result: object) -> tuple:
    if type(result) is not tuple or len(result) != 2 or type(result[0]) is not bool:
        raise TypeError("the iterator did not answer as iterators do")
    return result


def _exit(self: StudentObject, kind: type | None, error: object, trace: object) -> bool:
    """Leave a context: of an exception only a built-in class is told.

    A student's context manager may swallow what the test raises with ``raise``, what the
    student's own code raised, and errors of arithmetic and look-up. It cannot swallow a failed
    assertion, nor the failure of a comparison.
    """
    remote = object.__getattribute__(self, "_remote")
    told = None
    if kind is not None:
        plain = kind.__module__ == "builtins" and issubclass(kind, Exception)
        told = kind if plain and kind is not AssertionError else Exception
    result = remote.border.special(remote, "__exit__", told, told and told(), None)
    return result is True and _may_be_swallowed(error, trace)


def _may_be_swallowed(error: object, trace: object) -> bool:
    if isinstance(error, AssertionError | Refused | StudentLost):
        return False
    if hasattr(error, "student_traceback"):
        return True
    if isinstance(error, ArithmeticError | LookupError):
        return True
    code = trace.tb_frame.f_code.co_code if trace is not None else b""
    return trace.tb_next is None and code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _await(self: StudentObject) -> Iterator:
    remote = object.__getattribute__(self, "_remote")
    return remote.border.special(remote, "__await__")
    yield


def _coroutine_send(self: StudentObject, value: object) -> object:
    remote = object.__getattribute__(self, "_remote")
    raise StopIteration(remote.border.special(remote, "__await__"))


def _coroutine_throw(self: StudentObject, *error: object) -> object:
    raise error[0]


# A coroutine runs in S from beginning to end, in an event loop of its own.
COROUTINE: dict[str, object] = {
    "__class__": property(lambda self: types.CoroutineType),
    "send": _coroutine_send,
    "throw": _coroutine_throw,
    "close": lambda self: None,
}


FORWARDED: dict[str, Callable] = {
    "__call__": _call,
    "__next__": _next,
    "__exit__": _exit,
    "__await__": _await,
}
_IN_BASE = {*policy.COMPARISONS, "__hash__", "__bool__"}


def special_methods(names: list[str]) -> dict[str, Callable]:
    """The special methods of a mirror class."""
    return {name: FORWARDED.get(name) or _forward(name) for name in names if name not in _IN_BASE}
