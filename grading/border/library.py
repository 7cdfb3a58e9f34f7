"""Functions and classes that both sides have, and that may be named in a message."""

import builtins
import importlib
import sys
import types

LIBRARIES = frozenset(
    [
        "abc",
        "bisect",
        "builtins",
        "calendar",
        "cmath",
        "collections",
        "contextlib",
        "copy",
        "copyreg",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "json",
        "math",
        "matplotlib",
        "networkx",
        "numbers",
        "numpy",
        "operator",
        "pandas",
        "pathlib",
        "random",
        "re",
        "scipy",
        "sklearn",
        "statistics",
        "string",
        "sympy",
        "textwrap",
        "time",
        "tokenizers",
        "torch",
        "torchvision",
        "transformers",
        "types",
        "typing",
    ]
)
# Where to look for a built-in function that does not say where it is from, such as torch.relu.
HOMES = ("builtins", "math", "operator", "numpy", "torch", "torch.nn.functional", "scipy.special")
# Classes that may be named by a student's process. Calling one runs in the examiner's process, so
# nothing is among them that an assignment might forbid.
PLAIN_CLASSES = {
    "builtins", "collections", "datetime", "decimal", "fractions", "pathlib", "re",
}  # fmt: skip
OTHER_CLASSES = {("numpy", "ndarray"), ("torch", "Tensor"), ("torch.nn.parameter", "Parameter")}


def find(module: str, name: str, load: bool = False) -> object:
    """What ``name`` stands for in a library's module; the module itself for an empty name.

    Raises:
        LookupError: there is no such thing, or it is not of a library.
    """
    if module.partition(".")[0] not in LIBRARIES:
        raise LookupError(f"{module} is not a library")
    if module not in sys.modules:
        if not load:
            raise LookupError(f"{module} is not loaded")
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise LookupError(str(error)) from None
    found = sys.modules[module]
    for part in name.split(".") if name else ():
        try:
            found = vars(found)[part] if isinstance(found, types.ModuleType | type) else None
        except KeyError:
            found = getattr(found, part, None)
        if found is None:
            raise LookupError(f"{module} has no {name}")
    return found


def name_of(value: object) -> tuple[str, str] | None:
    """The module and name under which both sides have ``value``, or None."""
    if isinstance(value, types.ModuleType):
        name = getattr(value, "__name__", "")
        return (name, "") if _is(name, "", value) else None
    if isinstance(getattr(value, "__self__", None), object) and isinstance(value, types.MethodType):
        return None
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None
    module = getattr(value, "__module__", None)
    if isinstance(module, str) and _is(module, name, value):
        return module, name
    if not isinstance(value, types.FunctionType | type):
        name = name.rpartition(".")[2]
        for home in HOMES:
            if _is(home, name, value):
                return home, name
    return None


def _is(module: str, name: str, value: object) -> bool:
    try:
        return find(module, name) is value
    except LookupError:
        return False


def plain_class(module: str, name: str) -> type | None:
    """A class that a student's process may name, or None."""
    try:
        found = find(module, name)
    except LookupError:
        return None
    if not isinstance(found, type):
        return None
    if module in PLAIN_CLASSES or (module, name) in OTHER_CLASSES:
        return found
    numpy = sys.modules.get("numpy")
    return found if numpy and issubclass(found, numpy.generic) else None


def exception_class(module: str, name: str) -> type[Exception] | None:
    """A library's exception class that a student's code may raise, or None."""
    if module == "builtins":
        found = getattr(builtins, name, None)
    else:
        try:
            found = find(module, name)
        except LookupError:
            return None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def library_of(kind: type) -> list[list[str]]:
    """Module and name of each library class that ``kind`` is derived from, nearest first."""
    return [list(name) for name in map(name_of, kind.__mro__) if name and name[1] != "object"]
