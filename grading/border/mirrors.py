"""Real torch modules in E that mirror the student's modules."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from grading.border import policy
from grading.border.classes import library_class
from grading.border.codec import Decoder, Encoder
from grading.border.errors import Malformed
from grading.border.handles import SPECIAL
from grading.border.module_state import PARTS, decoded, differences, encode_parts, fill, structure
from grading.border.objects import StudentObject, special_methods
from grading.border.proxies import READABLE, Remote
from grading.border.sharing import Sharing

MAX_PARTS = 100_000


@dataclass(frozen=True)
class ModuleBase:
    """What the mirror of a module's class is made of."""

    base: type
    namespace: dict


class Mirrors:
    """E's side: the mirrored modules, and how they were when S last heard of them."""

    def __init__(self, border: object, sharing: Sharing):
        self._border = border
        self._sharing = sharing
        self._modules: weakref.WeakValueDictionary = weakref.WeakValueDictionary()

    def bases(self, named: list[tuple[str, str]], own: list[str]) -> ModuleBase | None:
        """What to derive the mirror of a class from; None if it is no module.

        Args:
            named: its library classes.
            own: the methods that the student has written.
        """
        if library_class(named, nn.Module) is None:
            return None
        torchs = [one for one in named if one[0].split(".")[:2] == ["torch", "nn"]]
        base = library_class(torchs, nn.Module) or nn.Module
        namespace: dict[str, object] = {
            name: _own_method(name)
            for name in own
            if name not in _NATIVE and not name.startswith("_")
        }
        special = [name for name in own if name in SPECIAL and name not in _NATIVE]
        namespace |= special_methods(special)
        for name in {*policy.COMPARISONS, "__bool__"} & {*special}:
            namespace[name] = getattr(StudentObject, name)  # what may be compared is the same
        namespace |= _NAMESPACE
        return ModuleBase(base, namespace)

    def make(self, decoder: Decoder, remote: Remote, kind: type, parts: object) -> nn.Module:
        """The mirror of a module."""
        if not issubclass(kind, nn.Module):
            raise Malformed("a module of a class that is none")
        mirror = kind.__new__(kind)
        nn.Module.__init__(mirror)
        mirror.__dict__["_remote"] = remote
        self._border.incoming.register(remote.number, mirror)
        fill(mirror, self._checked(decoder, parts))
        mirror.__dict__["_seen"] = structure(mirror)
        self._modules[remote.number] = mirror
        return mirror

    def changes(self, encoder: Encoder) -> list:
        """Number and changed parts of each mirror that the test code has changed."""
        found = []
        for number, mirror in list(self._modules.items()):
            fields = mirror.__dict__
            new = structure(mirror)
            parts = differences(fields["_seen"], new)
            if parts:
                old = fields["_seen"]
                encoder.undo.append(lambda fields=fields, old=old: fields.update(_seen=old))
                found.append([number, encode_parts(encoder, mirror, parts, self._sharing)])
                fields["_seen"] = new
        return found

    def apply(self, decoder: Decoder, nodes: object) -> None:
        """Make the changes of a call here."""
        if type(nodes) is not list:
            raise Malformed("changes of modules that are none")
        for node in nodes:
            if type(node) is not list or len(node) != 2 or type(node[0]) is not int:
                raise Malformed("a change of a module that is none")
            parts = self._checked(decoder, node[1])
            mirror = self._modules.get(node[0])
            if mirror is not None:
                fill(mirror, parts)
                mirror.__dict__["_seen"] = structure(mirror)

    def _checked(self, decoder: Decoder, parts: object) -> dict:
        if type(parts) is not dict or not set(parts) <= set(PARTS):
            raise Malformed("a module with unknown parts")
        for part in parts:
            if part == "training":
                if type(parts[part]) is not bool:
                    raise Malformed("a module that is neither in training nor not")
            elif type(parts[part]) is not dict or len(parts[part]) > MAX_PARTS:
                raise Malformed("a module with parts that have no names")
        for entry in parts.get("buffers", {}).values():
            if type(entry) is not list or len(entry) != 2:
                raise Malformed("a module with a buffer that is none")
        found = {**parts, **decoded(decoder, parts)}
        for value in found.get("parameters", {}).values():
            if value is not None and not isinstance(value, nn.Parameter):
                raise Malformed("a parameter that is none")
        for value, _ in found.get("buffers", {}).values():
            if value is not None and not isinstance(value, Tensor):
                raise Malformed("a buffer that is none")
        for value in found.get("modules", {}).values():
            if value is not None and not isinstance(value, nn.Module):
                raise Malformed("a module that is none")
        return found


_NATIVE = frozenset(
    {"forward", "register_parameter", "register_buffer", "register_module", "add_module"}
    | {
        f"__{name}__"
        for name in ["init", "new", "getattr", "setattr", "delattr", "call", "class", "dict"]
    }
)


def _own_method(name: str) -> Callable:
    """A method that the student has written, in S; torch's own methods run in E."""

    def method(self: nn.Module, *arguments: object, **options: object) -> object:
        remote = self.__dict__["_remote"]
        return remote.border.method(remote, name, arguments, options)

    method.__name__ = name
    return method


def _forward(self: nn.Module, *arguments: object, **options: object) -> object:
    remote = self.__dict__["_remote"]
    return remote.border.call(remote, f"{type(self).__name__}()", arguments, options)


def _extra_repr(self: nn.Module) -> str:
    remote = self.__dict__["_remote"]
    text = remote.border.method(remote, "extra_repr", (), {})
    return text if type(text) is str else ""


def _getattr(self: nn.Module, name: str) -> object:
    fields = self.__dict__
    for table in ("_parameters", "_buffers", "_modules"):
        if name in fields.get(table, ()):
            return fields[table][name]
    remote = fields.get("_remote")
    if remote is None or (name.startswith("__") and name not in READABLE):
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return remote.border.get(remote, name)


def _setattr(self: nn.Module, name: str, value: object) -> None:
    fields = self.__dict__
    native = (
        isinstance(value, nn.Parameter | nn.Module)
        or name in fields
        or any(name in fields[table] for table in ("_parameters", "_buffers", "_modules"))
    )
    if native or hasattr(nn.Module, name):
        nn.Module.__setattr__(self, name, value)
    else:
        remote = fields["_remote"]
        remote.border.set(remote, name, value)


def _delattr(self: nn.Module, name: str) -> None:
    fields = self.__dict__
    if name in fields or any(name in fields[t] for t in ("_parameters", "_buffers", "_modules")):
        nn.Module.__delattr__(self, name)
    else:
        remote = fields["_remote"]
        remote.border.delete(remote, name)


def _deepcopy(self: nn.Module, memo: dict) -> object:
    remote = self.__dict__["_remote"]
    return remote.border.ask_copy(remote, "deepcopy")


def _copy(self: nn.Module) -> object:
    remote = self.__dict__["_remote"]
    return remote.border.ask_copy(remote, "copy")


def _reduce(self: nn.Module, protocol: int) -> object:
    raise TypeError("a module of the student's cannot be pickled; save its state_dict()")


_NAMESPACE: dict[str, object] = {
    "_student_proxy": True,
    "__hash__": object.__hash__,
    "forward": _forward,
    "extra_repr": _extra_repr,
    "__getattr__": _getattr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__deepcopy__": _deepcopy,
    "__copy__": _copy,
    "__reduce_ex__": _reduce,
}
