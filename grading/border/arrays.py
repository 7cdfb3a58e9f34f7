"""numpy's arrays, scalars and dtypes."""

import math
import re

import numpy as np

from grading.border.codec import (
    ARRAY,
    NUMPY_SCALAR,
    READERS,
    SUBCLASSES,
    TEXT,
    WRITERS,
    Decoder,
    Encoder,
    check,
)
from grading.border.errors import Malformed
from grading.border.plain import TEXTS

DTYPE = re.compile(
    r"[<>|=](?:b1|[iu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[SU]\d{1,5}"
    r"|[mM]8(?:\[\d{0,9}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as|generic)\])?)"
)
SMALL = 1 << 14
MAX_SIDE = 1 << 40
WRITABLE, FORTRAN = 1, 2


def read_shape(node: list, most: int) -> tuple[int, ...]:
    """A shape: at most ``most`` sizes, none negative."""
    if len(node) > most or not all(type(size) is int and 0 <= size <= MAX_SIDE for size in node):
        raise Malformed("not a shape")
    return tuple(node)


def raw(array: np.ndarray) -> object:
    """The bytes of a contiguous array: a copy of a small one, a view of a large one."""
    if array.nbytes <= SMALL:
        return array.tobytes()
    return memoryview(array.reshape(-1).view(np.uint8))


def _write_array(encoder: Encoder, array: np.ndarray) -> list:
    kind = array.dtype.str
    if not DTYPE.fullmatch(kind) or array.dtype.names:
        return encoder.opaque(encoder, array)
    encoder.number(array)
    array = array.view(np.ndarray) if type(array) is not np.ndarray else array
    flags = WRITABLE if array.flags.writeable else 0
    if not array.flags.c_contiguous and array.flags.f_contiguous:
        flags |= FORTRAN
        flat = array.T
    else:
        flat = np.ascontiguousarray(array)
    encoder.buffer(raw(flat))
    return [ARRAY, kind, list(array.shape), flags]


def _dtype(text: str) -> np.dtype:
    if not DTYPE.fullmatch(text):
        raise Malformed("an array of an unknown dtype")
    try:
        return np.dtype(text)
    except TypeError as error:
        raise Malformed(f"an array of an unknown dtype: {error}") from None


def _valid(flat: np.ndarray) -> np.ndarray:
    """Bytes that are no value of the dtype become one, or are refused."""
    if flat.dtype.kind == "b":
        return flat.view(np.uint8) != 0
    if flat.dtype.kind == "U" and flat.size and flat.itemsize:
        points = flat.view(flat.dtype.byteorder.replace("=", "<").replace("|", "<") + "u4")
        if points.max() > 0x10FFFF or bool(((points >= 0xD800) & (points < 0xE000)).any()):
            raise Malformed("a string array with what is no character")
    return flat


def _read_array(decoder: Decoder, node: list) -> np.ndarray:
    kind, sides, flags = check(node, str, list, int)
    dtype, shape = _dtype(kind), read_shape(sides, 32)
    size = math.prod(shape) * dtype.itemsize
    if size > decoder.max_bytes:
        raise Malformed("an array that is too large")
    data = bytearray(decoder.take(size))
    if size:
        flat = _valid(np.frombuffer(data, dtype))
        array = flat.reshape(shape[::-1]).T if flags & FORTRAN else flat.reshape(shape)
    else:
        array = np.empty(shape, dtype)
    array.flags.writeable = bool(flags & WRITABLE)
    return decoder.store(array)


def _write_scalar(encoder: Encoder, value: np.generic) -> list:
    if not DTYPE.fullmatch(value.dtype.str):
        return encoder.opaque(encoder, value)
    return [NUMPY_SCALAR, value.dtype.str, value.tobytes()]


def _read_scalar(decoder: Decoder, node: list) -> np.generic:
    kind, data = check(node, str, bytes)
    dtype = _dtype(kind)
    if len(data) != dtype.itemsize:
        raise Malformed("a number with the wrong number of bytes")
    return _valid(np.frombuffer(data, dtype))[0] if data else np.empty((), dtype)[()]


def _subclass(kind: type) -> object:
    if issubclass(kind, np.ma.MaskedArray):
        return None
    if issubclass(kind, np.ndarray):
        return _write_array
    if issubclass(kind, np.generic):
        return _write_scalar
    return _write_dtype if issubclass(kind, np.dtype) else None


def _write_dtype(encoder: Encoder, value: np.dtype) -> list:
    return (
        [TEXT, "numpy.dtype", value.str]
        if DTYPE.fullmatch(value.str)
        else encoder.opaque(encoder, value)
    )


WRITERS[np.ndarray] = _write_array
SUBCLASSES.insert(0, _subclass)  # before plain types: numpy.float64 is a float as well
TEXTS["numpy.dtype"] = (np.dtype, lambda value: value.str, _dtype)
READERS |= {ARRAY: _read_array, NUMPY_SCALAR: _read_scalar}
