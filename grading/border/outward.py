"""What E passes: library objects by name or as a pickle, the examiner's own as a number."""

import copyreg
import io
import pickle
import sys
import types
import weakref
from collections.abc import Callable, Iterator

from grading.border.codec import (
    CALLBACK,
    EXCEPTION,
    GENERATOR,
    HANDLE,
    LIBRARY,
    PICKLE,
    Encoder,
)
from grading.border.errors import NotPlain
from grading.border.library import name_of
from grading.border.plain import NAME
from grading.border.proxies import StudentMethod, remote_of
from grading.border.randomness import generator_kind, generator_state

KEPT = 10_000  # callbacks that S has not let go of


class Outward:
    """Numbers for what E passes.

    Args:
        border: whose proxies may be passed.
        is_mirror: gives the remote of a mirrored module, or None.
    """

    def __init__(self, border: object):
        self._border = border
        self._numbers: dict[int, int] = {}  # by id
        self._objects: dict[int, Callable] = {}  # a way to the object, by number
        self._strong: dict[int, object] = {}
        self._sent: dict[int, tuple | None] = {}  # pickles
        self._next = 1
        self.forgotten: list[int] = []

    def opaque(self, encoder: Encoder, value: object) -> object:
        """The node of what is not plain data."""
        if type(value) is StudentMethod:
            value = value.fetched()
        remote = remote_of(value)
        if remote is not None:
            if remote.border is not self._border:
                raise NotPlain("an object of another student's process")
            return [HANDLE, remote.number]
        if isinstance(value, BaseException):
            kind = type(value) if name_of(type(value)) or remote_of(type(value)) else Exception
            return [EXCEPTION, encoder.encode(kind), encoder.encode(value.args)]
        name = name_of(value)
        if name is not None:
            return [LIBRARY, *name]
        kind = generator_kind(value)
        if kind is not None:
            state = encoder.encode(generator_state(value))
            encoder.number(value)
            return [GENERATOR, self.number_of(value), kind, state]
        if isinstance(value, types.FunctionType | types.MethodType | type):
            return [CALLBACK, self.number_of(value, strong=True), "function"]
        if isinstance(value, Iterator):
            return [CALLBACK, self.number_of(value, strong=True), "iterator"]
        pickled = self._pickled(encoder, value)
        return pickled or [CALLBACK, self.number_of(value, strong=True), "object"]

    def number_of(self, value: object, strong: bool = False) -> int:
        """The number under which S knows the object.

        Args:
            value: the object.
            strong: keep it until S lets go of it.
        """
        number = self._numbers.get(id(value))
        if number is not None:
            return number
        number, self._next = self._next, self._next + 1
        key = id(value)
        self._numbers[key] = number
        if strong or not _is_weak(value):
            self._strong[number] = value
            self._objects[number] = lambda: value
            if len(self._strong) > KEPT:
                self.drop([next(iter(self._strong))])
        else:
            self._objects[number] = weakref.ref(value, lambda _: self._gone(number, key))
        return number

    def _gone(self, number: int, key: int) -> None:
        self._objects.pop(number, None)
        if self._numbers.get(key) == number:
            del self._numbers[key]
        self._sent.pop(number, None)
        self.forgotten.append(number)

    def drop(self, numbers: list) -> None:
        """S has let go of these."""
        for number in numbers:
            value = self._strong.pop(number, None) if type(number) is int else None
            if value is not None:
                self._gone(number, id(value))

    def get(self, number: object) -> object:
        """E's object with this number; None if it was never passed or is gone."""
        find = self._objects.get(number) if type(number) is int else None
        return None if find is None else find()

    def _pickled(self, encoder: Encoder, value: object) -> list | None:
        """A pickle of an object of a library; None if it holds what is of none.

        The other side keeps the object. A later pickle of the same one brings it up to date.
        """
        parts: list = []
        try:
            data = _Pickler(parts, self._border).dump_bytes(value)
        except Exception:  # NotPlain, and whatever a class says that cannot be pickled
            return None
        number = self.number_of(value)
        content = data, [id(part) for part in parts]
        if self._sent.get(number) == content:
            return [PICKLE, number, b"", []]
        nodes = [self._border.encode_part(encoder, part) for part in parts]
        before = self._sent.get(number)
        encoder.undo.append(lambda: self._sent.update({number: before}))
        self._sent[number] = content
        return [PICKLE, number, data, nodes]


def _is_weak(value: object) -> bool:
    return type(value).__weakrefoffset__ != 0


class _Pickler(pickle.Pickler):
    """Writes objects of libraries; everything else in them goes beside the pickle.

    Raises:
        NotPlain: an instance of a class that is of no library.
    """

    def __init__(self, parts: list, border: object):
        self._file = io.BytesIO()
        super().__init__(self._file, protocol=5)
        self._parts = parts
        self._places: dict[int, int] = {}
        self._border = border

    def dump_bytes(self, value: object) -> bytes:
        """The pickle."""
        self.dump(value)
        return self._file.getvalue()

    def persistent_id(self, value: object) -> int | None:
        """A place in the list of parts for what does not go into the pickle."""
        kind = type(value)
        if kind in _IN_PICKLE:
            return None
        if isinstance(value, type):
            if name_of(value) is None and remote_of(value) is None:
                raise NotPlain(f"{value.__name__} is of no library")
            return None if remote_of(value) is None else self._place(value)
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
            return None if name_of(value) or value is copyreg._reconstructor else self._place(value)
        if _is_tensor(value) or remote_of(value) is not None:
            return self._place(value)
        if generator_kind(value) is not None:
            return self._place(value)
        return None

    def _place(self, value: object) -> int:
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self._parts)
            self._parts.append(value)
        return place


_IN_PICKLE = frozenset(
    {type(None), bool, int, float, str, bytes, list, dict, tuple, set, frozenset}
)


def _is_tensor(value: object) -> bool:
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and isinstance(value, torch.Tensor):
        return True
    return bool(numpy) and isinstance(value, numpy.ndarray) and value.dtype.kind != "O"


class Callbacks:
    """Runs the examiner's functions when S asks; what they raise stays here."""

    def __init__(self, outward: Outward):
        self._outward = outward
        self.raised: list[BaseException] = []

    def run(self, number: object, what: object, arguments: list, options: dict) -> object:
        """Do what S asks of one of the examiner's objects.

        Raises:
            LookupError: there is no such object.
        """
        target = self._outward.get(number)
        if target is None:
            raise LookupError("an object of the examiner's that was never passed")
        if hasattr(type(target), "_outputs_of_a_callback") != (what == "backward"):
            raise LookupError("an operation that is none")
        if what == "backward":
            return target.backward(*arguments)
        if what == "call":
            return target(*arguments, **options)
        if what == "next":
            return _next(target)
        if isinstance(target, types.FunctionType | types.MethodType | type):
            raise LookupError("a function can only be called")
        if what == "get" and len(arguments) == 1:
            return _public(target, arguments[0])
        if what == "len":
            return len(target)
        if what == "item" and len(arguments) == 1:
            return target[arguments[0]]
        if what == "list":
            return list(target)
        raise LookupError("an operation that is none")


def _next(target: object) -> tuple[bool, object]:
    try:
        return True, next(target)
    except StopIteration as end:
        return False, end.value


def _public(target: object, name: object) -> object:
    if type(name) is not str or name.startswith("_") or not NAME.fullmatch(name):
        raise AttributeError("only public attributes can be read")
    return getattr(target, name)
