"""The global random generators: E's state holds in S, and S cannot choose E's next draws."""

import array
import ctypes
import random
import sys

NAMES = ("python", "numpy", "torch")


def _words(generator: random.Random) -> bytes:
    """The words of Python's Mersenne twister, as they lie in memory behind the object's head."""
    return ctypes.string_at(id(generator) + object.__basicsize__, 2500)


def _words_can_be_read() -> bool:
    """Does the memory hold what ``getstate`` says? If not, the slow way is taken."""
    generator = random.Random(1)
    generator.random()
    numbers = generator.getstate()[1]
    memory = array.array("I", _words(generator))
    return list(memory) == [numbers[-1], *numbers[:-1]]


_DIRECT = sys.implementation.name == "cpython" and _words_can_be_read()


def _python() -> object:
    generator = random._inst
    return (_words(generator), generator.gauss_next) if _DIRECT else generator.getstate()


def _numpy_legacy() -> object:
    numpy = sys.modules.get("numpy")
    bits = numpy.random.mtrand._rand._bit_generator if numpy else None
    return bits if type(bits).__name__ == "MT19937" else None


def snapshot() -> list:
    """The state of each generator, cheap to make and to compare."""
    bits, torch = _numpy_legacy(), sys.modules.get("torch")
    return [
        _python(),
        ctypes.string_at(bits.ctypes.state_address, 2500) if bits is not None else None,
        torch.default_generator.get_state().numpy().tobytes() if torch else None,
    ]


def changed(before: list, now: list) -> list[str]:
    """Names of the generators that have moved."""
    return [name for name, old, new in zip(NAMES, before, now, strict=True) if new != old and new]


def state(name: str) -> object:
    """The state of one generator, as msgpack can write it."""
    if name == "python":
        version, numbers, spare = random.getstate()
        return [version, list(numbers), spare]
    if name == "numpy":
        kind, keys, *rest = sys.modules["numpy"].random.get_state()
        return [kind, keys.tobytes(), *rest]
    return sys.modules["torch"].default_generator.get_state().numpy().tobytes()


def restore(name: str, value: object) -> None:
    """Set one generator; for S, which may believe E."""
    if name == "python":
        version, numbers, spare = value
        random.setstate((version, tuple(numbers), spare))
    elif name == "numpy":
        numpy = sys.modules["numpy"]
        kind, keys, *rest = value
        numpy.random.set_state((kind, numpy.frombuffer(keys, numpy.uint32), *rest))
    else:
        torch = sys.modules["torch"]
        torch.default_generator.set_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


def move_on(name: str) -> None:
    """Draw once from one of E's generators: the call drew from S's."""
    if name == "python":
        random.random()
    elif name == "numpy" and "numpy" in sys.modules:
        sys.modules["numpy"].random.random()
    elif name == "torch" and "torch" in sys.modules:
        sys.modules["torch"].rand(1)


# Generators that a test passes.


def generator_kind(value: object) -> str | None:
    """What kind of generator an object is; None for anything else."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and type(value) is torch.Generator:
        return "torch"
    if numpy and type(value) is numpy.random.Generator:
        kind = type(value.bit_generator).__name__
        return kind if kind in ("PCG64", "MT19937", "PCG64DXSM") else None
    return "random" if type(value) is random.Random else None


def new_generator(kind: str) -> object:
    """A generator of this kind."""
    if kind == "random":
        return random.Random()
    if kind == "torch":
        return sys.modules["torch"].Generator()
    numpy = sys.modules["numpy"]
    return numpy.random.Generator(getattr(numpy.random, kind)())


def generator_state(generator: object) -> object:
    """The state as plain data."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if hasattr(generator, "get_state"):
        return generator.get_state()
    return generator.bit_generator.state


def set_generator(generator: object, state: object) -> None:
    """Set the state.

    Raises:
        ValueError, TypeError, RuntimeError: it is not a state.
    """
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif hasattr(generator, "set_state"):
        generator.set_state(_checked_torch(state))
    else:
        generator.bit_generator.state = _checked(state)


def _checked_torch(state: object) -> object:
    """Torch believes that the two positions in the state of its Mersenne twister agree."""
    torch = sys.modules["torch"]
    if not isinstance(state, torch.Tensor) or state.dtype is not torch.uint8 or state.dim() != 1:
        raise TypeError("not the state of a generator")
    data = state.numpy().tobytes()
    left, place = int.from_bytes(data[8:12], "little"), int.from_bytes(data[16:24], "little")
    if left + place != 625 and (left, place) != (1, 0):
        raise ValueError("not the state of a Mersenne twister")
    return state


def _checked(state: object) -> dict:
    """Numpy believes the position of a Mersenne twister; a wrong one reads beyond its memory."""
    if not isinstance(state, dict):
        raise TypeError("not the state of a generator")
    inner = state.get("state")
    if state.get("bit_generator") == "MT19937":
        place, key = inner["pos"], inner["key"]
        if type(place) is not int or not 0 <= place <= 624 or key.shape != (624,):
            raise ValueError("not the state of a Mersenne twister")
    return state
