"""torch's tensors, dtypes, devices and sizes: their values and their layout."""

import math
import re

import numpy as np
import torch
from torch import Tensor

from grading.border.arrays import raw, read_shape
from grading.border.codec import (
    READERS,
    SIZE,
    SUBCLASSES,
    TENSOR,
    TORCH,
    WRITERS,
    Decoder,
    Encoder,
    check,
)
from grading.border.errors import Malformed

_NAMES = (
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64"
    " complex64 complex128 float8_e4m3fn float8_e5m2"
)
DTYPES = {name: getattr(torch, name) for name in _NAMES.split()}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
AS_INTEGERS = {  # dtypes that numpy lacks
    torch.bfloat16: torch.int16,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e5m2: torch.uint8,
}
OTHER_DTYPES = {
    str(value).removeprefix("torch."): value
    for value in vars(torch).values()
    if isinstance(value, torch.dtype)
}
DEVICE = re.compile(r"(?:cpu|cuda|mps|meta|xpu)(?::\d{1,3})?")
PARAMETER, REQUIRES_GRAD, CLAIMS_GRAD = 1, 2, 4


def crosses(tensor: Tensor) -> bool:
    """Is it an ordinary tensor, whose values can be sent?"""
    return tensor.layout is torch.strided and tensor.dtype in NAMES and not tensor.is_meta


def flags_of(tensor: Tensor) -> int:
    """Is it a parameter, does it require gradients?"""
    return (PARAMETER if isinstance(tensor, torch.nn.Parameter) else 0) | (
        REQUIRES_GRAD if tensor.requires_grad else 0
    )


def write_values(encoder: Encoder, tensor: Tensor, flags: int) -> list:
    """The node of a tensor's values; the values go to the tail.

    A transposed or expanded tensor is sent as it lies in memory: code that needs a contiguous
    one must fail here as well.
    """
    plain = tensor.detach().resolve_conj().resolve_neg()
    shape, strides = list(plain.shape), None
    if plain.device.type != "cpu":
        plain = plain.cpu()
    if not plain.is_contiguous():
        extent = _extent(shape, plain.stride())
        if extent <= 2 * plain.numel() + 64:
            strides = list(plain.stride())
            plain = plain.as_strided([extent], [1])
        else:
            plain = plain.contiguous()
    dtype = plain.dtype
    if dtype in AS_INTEGERS:
        plain = plain.view(AS_INTEGERS[dtype])
    encoder.buffer(raw(plain.numpy()))
    return [TENSOR, NAMES[dtype], shape, strides, flags]


def _extent(shape: list[int], strides: list[int]) -> int:
    """How many places in memory a tensor spans."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def _write_tensor(encoder: Encoder, tensor: Tensor) -> list:
    if encoder.tensor is not None:
        node = encoder.tensor(encoder, tensor)
        if node is not None:
            return node
    if not crosses(tensor):
        return encoder.opaque(encoder, tensor)
    encoder.number(tensor)
    return write_values(encoder, tensor, flags_of(tensor))


def read_values(decoder: Decoder, node: list) -> tuple[Tensor, int]:
    """A fresh tensor and its flags."""
    name, sides, steps, flags = check(node, str, list, (list, type(None)), int)
    dtype = DTYPES.get(name)
    if dtype is None:
        raise Malformed("a tensor of an unknown dtype")
    shape = read_shape(sides, 64)
    count = math.prod(shape)
    if count * dtype.itemsize > decoder.max_bytes:
        raise Malformed("a tensor that is too large")
    if steps is not None:
        if len(steps) != len(shape):
            raise Malformed("a tensor with the wrong number of strides")
        steps = read_shape(steps, 64)
    extent = count if steps is None else _extent(list(shape), list(steps))
    data = bytearray(decoder.take(extent * dtype.itemsize))
    if not data:
        return torch.empty(shape, dtype=dtype), flags
    flat = torch.frombuffer(data, dtype=torch.uint8 if dtype is torch.bool else dtype)
    if dtype is torch.bool:
        flat = flat != 0
    return flat.view(shape) if steps is None else flat.as_strided(shape, steps), flags


def with_flags(tensor: Tensor, flags: int) -> Tensor:
    """Make it a parameter, or let it require gradients."""
    needs = bool(flags & REQUIRES_GRAD) and (tensor.is_floating_point() or tensor.is_complex())
    if flags & PARAMETER:
        return torch.nn.Parameter(tensor, requires_grad=needs)
    return tensor.requires_grad_() if needs else tensor


def _read_tensor(decoder: Decoder, node: list) -> Tensor:
    return decoder.store(with_flags(*read_values(decoder, node)))


def _write_torch(encoder: Encoder, value: object) -> list:
    return [TORCH, str(value).removeprefix("torch.")]


def _read_torch(decoder: Decoder, node: list) -> object:
    (name,) = check(node, str)
    if name in OTHER_DTYPES:
        return OTHER_DTYPES[name]
    if DEVICE.fullmatch(name):
        return torch.device(name)
    raise Malformed("an unknown dtype or device")


def _read_size(decoder: Decoder, node: list) -> torch.Size:
    (sides,) = check(node, list)
    return torch.Size(read_shape(sides, 64))


def _subclass(kind: type) -> object:
    return _write_tensor if issubclass(kind, Tensor) else None


WRITERS |= {
    Tensor: _write_tensor,
    torch.nn.Parameter: _write_tensor,
    torch.dtype: _write_torch,
    torch.device: _write_torch,
    torch.Size: lambda encoder, value: [SIZE, list(value)],
}
SUBCLASSES.insert(0, _subclass)
READERS |= {TENSOR: _read_tensor, TORCH: _read_torch, SIZE: _read_size}
assert np.dtype("<f4").itemsize == torch.float32.itemsize
