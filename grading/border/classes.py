"""Real classes in E that mirror the student's classes, so that isinstance and except work."""

import keyword
import types
from collections.abc import Callable, Iterator

from grading.border.errors import Malformed
from grading.border.handles import SPECIAL
from grading.border.library import exception_class, find
from grading.border.objects import COROUTINE, StudentObject, special_methods
from grading.border.plain import namedtuple_class
from grading.border.proxies import READABLE, Remote

CLASS_FIELDS = {
    "kind": str, "name": str, "qualname": str, "library": list, "bases": list, "special": list,
    "methods": list, "hashable": bool,
}  # fmt: skip


class StudentClass(type):
    """The metaclass: calls, attributes and items of the class go to S."""

    def __new__(cls, name: str, bases: tuple, namespace: dict, **options: object):
        raise TypeError(
            f"{name} cannot be derived from a student's class: a test can only use the class"
        )

    def __init__(cls, *arguments: object, **options: object):
        pass

    def __call__(cls, *arguments: object, **options: object) -> object:
        remote = cls.__dict__["_class_remote"]
        return remote.border.construct(remote, cls.__name__, arguments, options)

    def __getattr__(cls, name: str) -> object:
        remote = cls.__dict__["_class_remote"]
        if name == "__signature__":
            return remote.border.signature(remote)
        if name.startswith("__") and name.endswith("__") and name not in READABLE:
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return remote.border.get(remote, name)

    def __setattr__(cls, name: str, value: object) -> None:
        remote = cls.__dict__["_class_remote"]
        remote.border.set(remote, name, value)

    def __delattr__(cls, name: str) -> None:
        remote = cls.__dict__["_class_remote"]
        remote.border.delete(remote, name)

    def __instancecheck__(cls, instance: object) -> bool:
        fields = cls.__dict__.get("_fields")
        if fields is not None:
            return type(instance) is namedtuple_class(cls.__name__, fields)
        return type.__instancecheck__(cls, instance)

    def __iter__(cls) -> Iterator:
        remote = cls.__dict__["_class_remote"]
        return iter(remote.border.special(remote, "__iter__"))

    def __len__(cls) -> int:
        remote = cls.__dict__["_class_remote"]
        return remote.border.special(remote, "__len__")

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: object) -> object:
        remote = cls.__dict__["_class_remote"]
        return remote.border.special(remote, "__getitem__", key)

    def __dir__(cls) -> list[str]:
        remote = cls.__dict__["_class_remote"]
        return [name for name in remote.border.special(remote, "__dir__") if type(name) is str]

    def __repr__(cls) -> str:
        return f"<class {cls.__qualname__} of the student's>"


def make_class(remote: Remote, described: dict, decode: Callable, modules: Callable) -> type:
    """The mirror of a class.

    Args:
        remote: what the class is in S.
        described: what S told of it.
        decode: of the message.
        modules: gives the base of the mirror of a class derived from ``torch.nn.Module``, from the
            names of its library classes and the student's own methods, or None.
    """
    for field, kind in CLASS_FIELDS.items():
        if type(described.get(field)) is not kind:
            raise Malformed("a class that is none")
    fields = described.get("fields")
    if fields is not None and not _names(fields):
        raise Malformed("a class with fields that have no names")
    if not _names(described["methods"]) or not _names(described["special"]):
        raise Malformed("a class with methods that have no names")
    named = _library(described["library"])
    bases = [base for base in map(decode, described["bases"]) if isinstance(base, StudentClass)]
    own = [name for name in described["special"] if name in SPECIAL]
    namespace = {
        "__slots__": (),
        "__module__": "__main__",
        "__qualname__": described["qualname"],
        "__doc__": described.get("doc") if type(described.get("doc")) is str else None,
        "_class_remote": remote,
        "_special": frozenset(own),
        "_methods": frozenset(described["methods"]),
        "_hashable": described["hashable"],
        "_fields": None if fields is None else tuple(fields),
    }
    exception = next((found for found in (exception_class(*one) for one in named) if found), None)
    module = None if exception else modules(named, described["methods"])
    if exception is not None:
        del namespace["__slots__"]
        namespace |= {"__str__": _message, "student_message": None}
        base = exception
    elif module is not None:
        del namespace["__slots__"]
        namespace |= module.namespace
        base = module.base
    else:
        namespace |= special_methods(own)
        if described["qualname"] == "generator":  # for inspect.isgenerator
            namespace["__class__"] = property(lambda self: types.GeneratorType)
        if described["qualname"] == "coroutine":
            namespace |= COROUTINE
        base = StudentObject
    if not any(issubclass(one, base) for one in bases):
        bases.append(base)
    name = described["name"] if described["name"].isidentifier() else "Student"
    for chosen in (tuple(dict.fromkeys(bases)), (base,)):
        try:
            return type.__new__(StudentClass, name, chosen, dict(namespace))
        except (TypeError, ValueError):
            continue
    raise Malformed("a class that cannot be built")


def _message(self: BaseException) -> str:
    message = self.__dict__.get("student_message")
    return BaseException.__str__(self) if message is None else message


def _names(values: object) -> bool:
    return type(values) is list and all(
        type(value) is str and value.isidentifier() and not keyword.iskeyword(value)
        for value in values
    )


def _library(names: list) -> list[tuple[str, str]]:
    pairs = []
    for name in names:
        if type(name) is not list or [type(part) for part in name] != [str, str]:
            raise Malformed("a class with bases that have no names")
        pairs.append((name[0], name[1]))
    return pairs


def library_class(names: list[tuple[str, str]], below: type) -> type | None:
    """The nearest of these library classes that is derived from ``below``."""
    for module, name in names:
        try:
            found = find(module, name)
        except LookupError:
            continue
        if isinstance(found, type) and issubclass(found, below):
            return found
    return None
