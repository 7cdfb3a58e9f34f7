"""What a call did to its arguments: S looks, E does the same to its own objects."""

import collections
import sys
from collections.abc import Callable

from grading.border.codec import Decoder, Encoder
from grading.border.errors import Malformed, NotPlain
from grading.border.randomness import generator_kind, generator_state, set_generator

SAME = object()


def remember(value: object) -> object:
    """What to compare with after the call; None for what cannot change."""
    kind = type(value)
    if kind is list or kind is bytearray or kind is set or kind is collections.deque:
        return kind(value) if kind is not collections.deque else list(value)
    if isinstance(value, dict):
        return list(value.items())
    if generator_kind(value):
        return _generator(value)
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy and kind is numpy.ndarray:
        return (value.shape, value.dtype, value.tobytes())
    if torch and isinstance(value, torch.Tensor):
        return _tensor_state(value)
    return None


def _generator(value: object) -> object:
    state = generator_state(value)
    return state.numpy().tobytes() if hasattr(state, "numpy") else repr(state)


def _tensor_state(tensor: object) -> tuple:
    torch = sys.modules["torch"]
    plain = tensor.detach()
    if plain.dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        plain = plain.view(torch.int16 if plain.dtype is torch.bfloat16 else torch.uint8)
    return (tensor.shape, tensor.dtype, tensor.requires_grad, plain.numpy().tobytes())


def changed(value: object, before: object) -> bool:
    """Is ``value`` another than when it was remembered?"""
    kind = type(value)
    if before is None:
        return False
    if kind is list or kind is collections.deque:
        return len(value) != len(before) or any(map(_is_not, value, before))
    if isinstance(value, dict):
        now = list(value.items())
        return len(now) != len(before) or any(
            a is not c or b is not d for (a, b), (c, d) in zip(now, before, strict=True)
        )
    if kind is set or kind is bytearray:
        return value != before
    return remember(value) != before


def _is_not(one: object, other: object) -> bool:
    return one is not other


def encode_new(encoder: Encoder, value: object) -> object:
    """The node of a changed argument: not a reference to itself."""
    if generator_kind(value):
        return encoder.encode(generator_state(value))
    encoder.arguments = {k: v for k, v in encoder.arguments.items() if k != id(value)}
    try:
        return encoder.encode(value)
    except NotPlain:
        raise NotPlain("an argument was changed into what cannot cross the border") from None


def apply(target: object, new: object) -> None:
    """Make E's own object what S's copy has become.

    Raises:
        Malformed: ``new`` is of another kind.
    """
    for kinds, change in _CHANGES:
        if isinstance(target, kinds):
            if not isinstance(new, kinds):
                raise Malformed("an argument that became something else")
            change(target, new)
            return
    if generator_kind(target):
        try:
            set_generator(target, new)
        except (ValueError, TypeError, RuntimeError, LookupError, AttributeError) as error:
            raise Malformed(f"a generator that became something else: {error}") from None
        return
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch and isinstance(target, torch.Tensor) and isinstance(new, torch.Tensor):
        _change_tensor(target, new)
    elif numpy and isinstance(target, numpy.ndarray) and isinstance(new, numpy.ndarray):
        _change_array(target, new)
    else:
        raise Malformed("an argument that cannot change")


def _replace(target: list | bytearray, new: object) -> None:
    target[:] = new


def _replace_items(target: dict, new: dict) -> None:
    items = list(new.items())
    target.clear()
    for key, value in items:
        target[key] = value


def _refill(target: object, new: object) -> None:
    entries = list(new)
    target.clear()
    target.update(entries) if isinstance(target, set) else target.extend(entries)


_CHANGES: list[tuple[type | tuple, Callable]] = [
    ((list, bytearray), _replace),
    (dict, _replace_items),
    ((set, collections.deque), _refill),
]


def _change_array(target: object, new: object) -> None:
    if new.shape != target.shape or new.dtype != target.dtype:
        if new.size != target.size or new.dtype != target.dtype:
            raise NotPlain("the call resized an array that it was given")
        target.shape = new.shape
    if not target.flags.writeable:
        raise Malformed("a read-only array that changed")
    target[...] = new


def _change_tensor(target: object, new: object) -> None:
    torch = sys.modules["torch"]
    if new.dtype != target.dtype:
        raise NotPlain("the call gave a tensor that it was given another dtype")
    if new.grad_fn is not None:
        target.copy_(new)  # autograd sees it
        return
    with torch.no_grad():
        if new.shape != target.shape:
            target.set_(new.detach())
        else:
            target.copy_(new)
    if new.requires_grad != target.requires_grad and target.is_leaf:
        target.requires_grad_(new.requires_grad)


def collect(encoder: Encoder, objects: list, before: list) -> list[list]:
    """Number and node of each argument that changed."""
    return [
        [number, encode_new(encoder, value)]
        for number, (value, kept) in enumerate(zip(objects, before, strict=True))
        if changed(value, kept)
    ]


def read(decoder: Decoder, nodes: object, objects: list) -> list[tuple[object, object]]:
    """E's objects and what they become."""
    if type(nodes) is not list:
        raise Malformed("changes of arguments that are none")
    found = []
    for node in nodes:
        if type(node) is not list or len(node) != 2 or type(node[0]) is not int:
            raise Malformed("a change of an argument that is none")
        if not 0 <= node[0] < len(objects):
            raise Malformed("a change of an argument that was not given")
        found.append((objects[node[0]], decoder.decode(node[1])))
    return found
