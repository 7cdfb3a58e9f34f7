"""What stands in S for the examiner's own functions and objects: a number, and the way to ask."""

import types
from collections.abc import Callable


class ExaminerError(Exception):
    """A function of the examiner's raised an exception; what it says stays with the examiner."""

    def __init__(self, number: int):
        super().__init__("a function that the examiner passed raised an exception")
        self.number = number


class ExaminerObject:
    """Public attributes, calls, items, length and iteration are answered by E."""

    __slots__ = ("__weakref__", "_number", "_servant")

    def __init__(self, servant: object, number: int):
        object.__setattr__(self, "_servant", servant)
        object.__setattr__(self, "_number", number)

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return ask(self._servant, self._number, "get", (name,), {})

    def __call__(self, *arguments: object, **options: object) -> object:
        return ask(self._servant, self._number, "call", arguments, options)

    def __len__(self) -> int:
        return ask(self._servant, self._number, "len", (), {})

    def __getitem__(self, key: object) -> object:
        return ask(self._servant, self._number, "item", (key,), {})

    def __iter__(self) -> object:
        return iter(ask(self._servant, self._number, "list", (), {}))

    def __bool__(self) -> bool:
        return True


class ExaminerIterator:
    """Each item is fetched from E."""

    def __init__(self, servant: object, number: int):
        self._servant = servant
        self._number = number

    def __iter__(self) -> "ExaminerIterator":
        return self

    def __next__(self) -> object:
        more, value = ask(self._servant, self._number, "next", (), {})
        if more:
            return value
        raise StopIteration(value)


def make_standin(servant: object, number: int, kind: str) -> Callable | ExaminerObject:
    """A function for a function, an object for anything else."""
    if kind == "iterator":
        return ExaminerIterator(servant, number)
    if kind != "function":
        return ExaminerObject(servant, number)

    def function(*arguments: object, **options: object) -> object:
        return ask(servant, number, "call", arguments, options)

    function._examiner_number = number
    return function


def standin_number(value: object) -> int | None:
    """The number of what a stand-in stands for; None for anything else."""
    if type(value) is ExaminerIterator:
        return value._number
    if type(value) is ExaminerObject:
        return object.__getattribute__(value, "_number")
    if type(value) is types.FunctionType:
        return value.__dict__.get("_examiner_number")
    return None


def ask(servant: object, number: int, what: str, arguments: tuple, options: dict) -> object:
    """Let E do something with its object, and return what comes back."""
    encoder = servant.inward.encoder([])
    side = servant.inward.torch_side() if encoder.tensor is not None else None
    if side is not None:
        encoder.tensor = side.write_argument
    request = {
        "callback": number,
        "what": what,
        "args": [encoder.encode(value) for value in arguments],
        "kwargs": {str(name): encoder.encode(value) for name, value in options.items()},
    }
    request |= servant.inward.changes(encoder)
    reply, decoder = servant.ask(request, encoder)
    if "raised" in reply:
        raise ExaminerError(reply["raised"])
    if "outputs" in reply:
        decoder.outputs = side.read_outputs(
            decoder, reply, lambda number, *rest: ask(servant, number, *rest)
        )
    value = decoder.decode(reply["value"])
    servant.inward.update(reply, decoder)
    return value
