"""Plain values of the standard library, and what a subclass of a plain type crosses as."""

import collections
import datetime
import decimal
import fractions
import functools
import pathlib
import re
from collections.abc import Callable

from grading.border.codec import (
    BYTEARRAY,
    DEQUE,
    DICT,
    FROZENSET,
    LIST,
    MAPPING,
    NAMEDTUPLE,
    READERS,
    SCALARS,
    SET,
    SUBCLASSES,
    TEXT,
    TUPLE,
    WRITERS,
    Decoder,
    Encoder,
    check,
)
from grading.border.errors import Malformed, NotPlain

MAX_TEXT = 20_000
NAME = re.compile(r"[^\W\d]\w*")


def _delta(text: str) -> datetime.timedelta:
    days, seconds, microseconds = map(int, text.split(" "))
    return datetime.timedelta(days, seconds, microseconds)


def _zone(value: object) -> None:
    zone = getattr(value, "tzinfo", None)
    if zone is not None and type(zone) is not datetime.timezone:
        raise NotPlain("a time with a named time zone cannot cross the border")


def _isoformat(value: datetime.datetime | datetime.time | datetime.date) -> str:
    _zone(value)
    return value.isoformat()


def _pattern(text: str) -> re.Pattern:
    flags, _, pattern = text.partition(" ")
    if len(pattern) > 1000:
        raise ValueError("a regular expression that is too long")
    return re.compile(pattern, int(flags))


def _fraction(text: str) -> fractions.Fraction:
    numerator, denominator = (int(part, 16) for part in text.split("/"))
    return fractions.Fraction(numerator, denominator)


def _fraction_text(value: fractions.Fraction) -> str:
    return f"{value.numerator:x}/{value.denominator:x}"


# Written as a name and a text.
TEXTS: dict[str, tuple[type, Callable[[object], str], Callable[[str], object]]] = {
    "Decimal": (decimal.Decimal, str, decimal.Decimal),
    "Fraction": (fractions.Fraction, _fraction_text, _fraction),
    "datetime": (datetime.datetime, _isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, _isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, _isoformat, datetime.time.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda value: f"{value.days} {value.seconds} {value.microseconds}",
        _delta,
    ),
    "Path": (type(pathlib.Path()), str, pathlib.Path),
    "PurePosixPath": (pathlib.PurePosixPath, str, pathlib.PurePosixPath),
    "PureWindowsPath": (pathlib.PureWindowsPath, str, pathlib.PureWindowsPath),
    "Pattern": (re.Pattern, lambda value: f"{int(value.flags) & ~128} {value.pattern}", _pattern),
}


def _text_writer(name: str) -> Callable:
    convert = TEXTS[name][1]

    def write(encoder: Encoder, value: object) -> list:
        if name == "Pattern" and type(value.pattern) is not str:
            return encoder.opaque(encoder, value)
        text = convert(value)
        if len(text) > MAX_TEXT:
            raise NotPlain(f"a {name} of {len(text):,} characters is too long to cross the border")
        return [TEXT, name, text]

    return write


def _read_text(decoder: Decoder, node: list) -> object:
    name, text = check(node, str, str)
    if name not in TEXTS or len(text) > MAX_TEXT:
        raise Malformed("a text of an unknown kind")
    try:
        return TEXTS[name][2](text)
    except (ValueError, ArithmeticError, re.error, OverflowError, RecursionError) as error:
        raise Malformed(f"not a {name}: {error}") from None


for _name in TEXTS:
    WRITERS[TEXTS[_name][0]] = _text_writer(_name)


# Containers of the standard library: an ordered dictionary stays one, a counter stays a counter.
MAPPINGS = {"OrderedDict": collections.OrderedDict, "Counter": collections.Counter}


def _mapping_writer(name: str) -> Callable:
    def write(encoder: Encoder, value: dict) -> list:
        return [MAPPING, name, encoder.nodes(value, [*dict.keys(value), *dict.values(value)])]

    return write


def _read_mapping(decoder: Decoder, node: list) -> object:
    name, nodes = check(node, str, list)
    if name not in MAPPINGS or len(nodes) % 2:
        raise Malformed("a mapping of an unknown kind")
    half = len(nodes) // 2

    def build(values: list) -> dict:
        mapping = MAPPINGS[name]()
        for key, value in zip(values[:half], values[half:], strict=True):
            mapping[key] = value
        return mapping

    return decoder.container(nodes, build, plain=False)


def _write_deque(encoder: Encoder, value: collections.deque) -> list:
    return [DEQUE, value.maxlen, encoder.nodes(value, list(value))]


def _read_deque(decoder: Decoder, node: list) -> object:
    longest, nodes = check(node, (int, type(None)), list)
    return decoder.container(nodes, lambda values: collections.deque(values, longest), plain=False)


for _name, _kind in MAPPINGS.items():
    WRITERS[_kind] = _mapping_writer(_name)
WRITERS[collections.deque] = _write_deque


@functools.lru_cache(maxsize=256)
def namedtuple_class(name: str, fields: tuple[str, ...]) -> type:
    """The class of named tuples with this name and these fields, always the same one."""
    return collections.namedtuple(name, fields)


def tuple_fields(kind: type) -> tuple[str, ...] | None:
    """The names of the entries of a class of named tuples."""
    fields = getattr(kind, "_fields", None) or getattr(kind, "__match_args__", None)
    if not issubclass(kind, tuple) or type(fields) is not tuple:
        return None
    return fields if all(type(field) is str and NAME.fullmatch(field) for field in fields) else None


def _write_namedtuple(encoder: Encoder, value: tuple) -> list:
    kind = type(value)
    fields, entries = tuple_fields(kind), list(tuple.__iter__(value))
    if len(fields) != len(entries):
        return [TUPLE, encoder.nodes(value, entries)]
    return [NAMEDTUPLE, kind.__name__, list(fields), encoder.nodes(value, entries)]


def _read_namedtuple(decoder: Decoder, node: list) -> object:
    name, fields, nodes = check(node, str, list, list)
    if len(name) > 100 or len(fields) > 200 or len(fields) != len(nodes):
        raise Malformed("a named tuple with the wrong number of fields")
    if not all(type(field) is str and len(field) <= 100 for field in fields):
        raise Malformed("a named tuple with a field that has no name")
    try:
        kind = namedtuple_class(name, tuple(fields))
    except ValueError as error:
        raise Malformed(f"a named tuple that cannot be built: {error}") from None
    return decoder.container(nodes, kind._make, plain=False)


READERS |= {
    TEXT: _read_text,
    MAPPING: _read_mapping,
    DEQUE: _read_deque,
    NAMEDTUPLE: _read_namedtuple,
}


# What a subclass crosses as. The conversions do not run the subclass's own methods.
def _as_list(encoder: Encoder, value: list) -> list:
    return [LIST, encoder.nodes(value, list(list.__iter__(value)))]


def _as_tuple(encoder: Encoder, value: tuple) -> list:
    return [TUPLE, encoder.nodes(value, list(tuple.__iter__(value)))]


def _as_dict(encoder: Encoder, value: dict) -> list:
    return [DICT, encoder.nodes(value, [*dict.keys(value), *dict.values(value)])]


def _as_set(encoder: Encoder, value: set) -> list:
    return [SET, encoder.nodes(value, list(set.__iter__(value)))]


def _as_frozenset(encoder: Encoder, value: frozenset) -> list:
    return [FROZENSET, encoder.nodes(value, list(frozenset.__iter__(value)))]


def _as_bytearray(encoder: Encoder, value: bytearray) -> list:
    encoder.number(value)
    return [BYTEARRAY, bytes(memoryview(value))]


def _as_deque(encoder: Encoder, value: collections.deque) -> list:
    return [DEQUE, None, encoder.nodes(value, list(collections.deque.__iter__(value)))]


def _scalar(convert: Callable) -> Callable:
    return lambda encoder, value: encoder.encode(convert(value))


BASES: list[tuple[type, Callable]] = [
    (int, _scalar(int.__int__)),
    (float, _scalar(float.__float__)),
    (complex, _scalar(complex.__complex__)),
    (str, _scalar(str.__str__)),
    (bytes, _scalar(bytes.__bytes__)),
    (list, _as_list),
    (collections.OrderedDict, _mapping_writer("OrderedDict")),
    (collections.Counter, _mapping_writer("Counter")),
    (dict, _as_dict),
    (set, _as_set),
    (frozenset, _as_frozenset),
    (bytearray, _as_bytearray),
    (collections.deque, _as_deque),
    (pathlib.Path, _text_writer("Path")),
]


def _subclass(kind: type) -> Callable | None:
    if issubclass(kind, tuple):
        return _write_namedtuple if tuple_fields(kind) else _as_tuple
    return next((write for base, write in BASES if issubclass(kind, base)), None)


SUBCLASSES.append(_subclass)
assert not SCALARS & set(WRITERS)
