"""Other names of a library function, looked up in the library itself."""

import functools
import importlib
import sys
from collections.abc import Iterator

OPERATOR = "aten::"
PLACES = (
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.Tensor",
    "torch.special",
    "torch.linalg",
    "torch.masked",
    "torch.sparse",
    "torch.fft",
    "torch._VF",
    "torch._C._nn",
)
"""Where torch keeps functions, methods and layers of the same meaning."""


@functools.cache
def with_aliases(name: str) -> tuple[str, ...]:
    """The name itself first, then its twins.

    In a policy ``torch.softmax`` stands for ``F.softmax``, ``x.softmax()``, ``nn.Softmax`` and
    ``torch.special.softmax`` too: everything in :data:`PLACES` that is called the same, whatever
    its case and underscores, and the operators ``aten::softmax`` and ``aten::_softmax``. It does
    not stand for what computes the same under another name: ``torch.matmul`` is not ``@``. A class
    or function of any library also has the name of the module that defines it.
    """
    found = dict.fromkeys([name, *_defined_as(name)])
    place, _, last = name.rpartition(".")
    if place.partition(".")[0] == "torch":
        found |= dict.fromkeys(_twins(last))
    return tuple(found)


def resolve(name: str) -> object:
    """The object with a dotted name, if its modules are loaded.

    Raises:
        LookupError: there is none, or it is not loaded.
    """
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if (module := sys.modules.get(".".join(parts[:end]))) is not None:
            thing = module
            try:
                for part in parts[end:]:
                    thing = getattr(thing, part)
            except AttributeError:
                continue
            return thing
    raise LookupError(name)


def _defined_as(name: str) -> Iterator[str]:
    """``torch.nn.modules.activation.Softmax`` for ``torch.nn.Softmax``."""
    try:
        thing = resolve(name)
        home = f"{thing.__module__}.{thing.__qualname__}"
        if home != name and resolve(home) is thing:
            yield home
    except (LookupError, AttributeError):
        pass


def _twins(last: str) -> Iterator[str]:
    if "torch" not in sys.modules:
        try:
            importlib.import_module("torch")
        except ImportError:
            return
    yield from torch_names().get(_folded(last), ())
    for place in PLACES:  # some modules do not list what they hold
        if _is_callable(f"{place}.{last}"):
            yield f"{place}.{last}"
    operators = sys.modules["torch"].ops.aten
    for name in (last, f"_{last}"):
        if hasattr(operators, name):
            yield OPERATOR + name


@functools.cache
def torch_names() -> dict[str, list[str]]:
    """What :data:`PLACES` hold, by name without case and underscores; torch must be loaded.

    It takes some milliseconds: whoever forks processes calls it before.
    """
    found: dict[str, list[str]] = {}
    for place in PLACES:
        home = resolve(place)
        for name in dir(home) if isinstance(home, type) else list(vars(home)):
            if _folded(name) and _is_callable(f"{place}.{name}"):
                twins = found.setdefault(_folded(name), [])
                twins += [f"{place}.{name}", *_defined_as(f"{place}.{name}")]
    return found


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _is_callable(name: str) -> bool:
    try:
        return callable(resolve(name))
    except LookupError:
        return False
