"""Python's own containers, numbers and constants."""

from collections.abc import Callable

from grading.border.codec import (
    BYTEARRAY,
    COMPLEX,
    CONSTANT,
    DICT,
    FROZENSET,
    INT,
    LIST,
    MAX_INT_BYTES,
    PLAIN_DICT,
    PLAIN_LIST,
    PLAIN_TUPLE,
    RANGE,
    READERS,
    SCALARS,
    SET,
    SLICE,
    TUPLE,
    WORD,
    WRITERS,
    Decoder,
    Encoder,
    check,
)
from grading.border.errors import Malformed


def _all_plain(values: list | tuple) -> bool:
    types = set(map(type, values))
    if not types <= SCALARS:
        return False
    if int not in types:
        return True
    if types <= {int, bool}:
        return min(values) in WORD and max(values) in WORD
    return all(value in WORD for value in values if type(value) is int)


def _sequence(plain: int, other: int) -> Callable:
    def write(encoder: Encoder, value: list | tuple) -> list:
        if _all_plain(value):
            encoder.number(value)
            return [plain, list(value)]
        return [other, encoder.nodes(value, value)]

    return write


def _dict(encoder: Encoder, value: dict) -> list:
    keys, values = list(value), list(value.values())
    if _all_plain(keys) and _all_plain(values):
        encoder.number(value)
        return [PLAIN_DICT, [*keys, *values]]
    return [DICT, encoder.nodes(value, [*keys, *values])]


def _one_field(tag: int, convert: Callable = lambda value: value) -> Callable:
    return lambda encoder, value: [tag, convert(value)]


def _container(tag: int) -> Callable:
    return lambda encoder, value: [tag, encoder.nodes(value, list(value))]


def _bytearray(encoder: Encoder, value: bytearray) -> list:
    encoder.number(value)
    return [BYTEARRAY, bytes(value)]


def _complex(encoder: Encoder, value: complex) -> list:
    return [COMPLEX, value.real, value.imag]


def _range(encoder: Encoder, value: range) -> list:
    return [RANGE, *map(encoder.encode, (value.start, value.stop, value.step))]


def _slice(encoder: Encoder, value: slice) -> list:
    if not SCALARS.issuperset(map(type, (value.start, value.stop, value.step))):
        return encoder.opaque(encoder, value)
    return [SLICE, *map(encoder.encode, (value.start, value.stop, value.step))]


CONSTANTS = [Ellipsis, NotImplemented]
WRITERS |= {
    list: _sequence(PLAIN_LIST, LIST),
    tuple: _sequence(PLAIN_TUPLE, TUPLE),
    dict: _dict,
    set: _container(SET),
    frozenset: _container(FROZENSET),
    bytearray: _bytearray,
    complex: _complex,
    range: _range,
    slice: _slice,
    type(Ellipsis): _one_field(CONSTANT, lambda value: 0),
    type(NotImplemented): _one_field(CONSTANT, lambda value: 1),
}


def _dict_of(entries: list) -> dict:
    if len(entries) % 2:
        raise Malformed("a dictionary with a key too many")
    half = len(entries) // 2
    return dict(zip(entries[:half], entries[half:], strict=True))


def _reads(build: Callable[[list], object], plain: bool = False) -> Callable:
    def read(decoder: Decoder, node: list) -> object:
        (nodes,) = check(node, list)
        return decoder.container(nodes, build, plain)

    return read


def _read_int(decoder: Decoder, node: list) -> int:
    (data,) = check(node, bytes)
    if len(data) > MAX_INT_BYTES:
        raise Malformed("an integer that is too long")
    return int.from_bytes(data, "little", signed=True)


def _read_steps(build: Callable, kinds: frozenset) -> Callable:
    def read(decoder: Decoder, node: list) -> object:
        if len(node) != 4:
            raise Malformed("a range or slice needs three fields")
        values = [decoder.decode(part) for part in node[1:]]
        if not kinds.issuperset(map(type, values)):
            raise Malformed("a range or slice of what is no number")
        try:
            return build(*values)
        except (TypeError, ValueError) as error:
            raise Malformed(f"a range that cannot be built: {error}") from None

    return read


def _read_constant(decoder: Decoder, node: list) -> object:
    (index,) = check(node, int)
    if index not in (0, 1):
        raise Malformed("an unknown constant")
    return CONSTANTS[index]


READERS |= {
    PLAIN_LIST: _reads(list, plain=True),
    LIST: _reads(list),
    PLAIN_TUPLE: _reads(tuple, plain=True),
    TUPLE: _reads(tuple),
    PLAIN_DICT: _reads(_dict_of, plain=True),
    DICT: _reads(_dict_of),
    SET: _reads(set),
    FROZENSET: _reads(frozenset),
    BYTEARRAY: lambda decoder, node: decoder.store(bytearray(check(node, bytes)[0])),
    INT: _read_int,
    COMPLEX: lambda decoder, node: complex(*check(node, float, float)),
    RANGE: _read_steps(range, frozenset({int})),
    SLICE: _read_steps(slice, SCALARS),
    CONSTANT: _read_constant,
}
