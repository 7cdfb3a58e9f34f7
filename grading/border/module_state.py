"""The structure of a torch module, and S's side of modules that E mirrors."""

from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin

from grading.border.codec import Decoder, Encoder
from grading.border.handles import Handles
from grading.border.sharing import Sharing

PARTS = ("training", "parameters", "buffers", "modules")


def structure(module: nn.Module) -> dict[str, list]:
    """What stands in a module, to be compared by identity."""
    fields = module.__dict__
    persistent = fields["_non_persistent_buffers_set"]
    return {
        "training": [module.training],
        "parameters": _flat(
            (name, one) for name, one in fields["_parameters"].items() if not _lazy(one)
        ),
        "buffers": _flat(fields["_buffers"].items()) + sorted(persistent),
        "modules": _flat(fields["_modules"].items()),
    }


def _flat(items: object) -> list:
    return [part for item in items for part in item]


def _lazy(tensor: object) -> bool:
    return isinstance(tensor, UninitializedTensorMixin)


def differences(old: dict[str, list], new: dict[str, list]) -> list[str]:
    """The parts that are not the same."""
    return [
        part
        for part in PARTS
        if len(old[part]) != len(new[part])
        or any(
            a is not b and not (type(a) is str and a == b)
            for a, b in zip(old[part], new[part], strict=True)
        )
    ]


def encode_parts(encoder: Encoder, module: nn.Module, parts: list[str], sharing: Sharing) -> dict:
    """The node of these parts of a module."""

    def tensor(value: Tensor | None) -> list | None:
        return None if value is None else sharing.encode(encoder, value)

    found: dict = {}
    fields = module.__dict__
    if "training" in parts:
        found["training"] = bool(module.training)
    if "parameters" in parts:
        found["parameters"] = {
            name: tensor(value) for name, value in fields["_parameters"].items() if not _lazy(value)
        }
    if "buffers" in parts:
        found["buffers"] = {
            name: [tensor(value), name not in fields["_non_persistent_buffers_set"]]
            for name, value in fields["_buffers"].items()
            if not _lazy(value)
        }
    if "modules" in parts:
        found["modules"] = {
            name: None if value is None else encoder.encode(value)
            for name, value in fields["_modules"].items()
        }
    return found


class StudentModules:
    """S's side: the modules that E has seen, and how they were when it last heard of them."""

    def __init__(self, handles: Handles, sharing: Sharing):
        self._handles = handles
        self._sharing = sharing
        self._seen: dict[int, tuple[nn.Module, dict]] = {}

    def describe(self, encoder: Encoder, value: object) -> dict | None:
        """The parts of a module; None for anything else."""
        if not isinstance(value, nn.Module) or "_parameters" not in value.__dict__:
            return None
        number = self._handles.number_of(value)
        self._seen[number] = value, structure(value)
        encoder.undo.append(lambda: self._seen.pop(number, None))
        return {"module": encode_parts(encoder, value, list(PARTS), self._sharing)}

    def release(self, numbers: list[int]) -> None:
        """E has let go of these."""
        for number in numbers:
            self._seen.pop(number, None)

    def changes(self, encoder: Encoder) -> list:
        """Number and changed parts of each module that the call has changed."""
        found = []
        for number, (module, old) in list(self._seen.items()):
            new = structure(module)
            parts = differences(old, new)
            if parts:
                found.append([number, encode_parts(encoder, module, parts, self._sharing)])
                self._seen[number] = module, new
        return found

    def update(self, decoder: Decoder, nodes: list) -> None:
        """Make E's changes of the structure here."""
        for number, parts in nodes:
            module, _ = self._seen[number]
            fill(module, {**parts, **decoded(decoder, parts)})
            self._seen[number] = module, structure(module)


def decoded(decoder: Decoder, parts: dict) -> dict:
    """The parts with values instead of nodes, in the order in which they were encoded."""
    found: dict = {}
    if "parameters" in parts:
        found["parameters"] = _values(decoder, parts["parameters"])
    if "buffers" in parts:
        found["buffers"] = {
            name: (decoder.decode(node), persistent is True)
            for name, (node, persistent) in parts["buffers"].items()
        }
    if "modules" in parts:
        found["modules"] = _values(decoder, parts["modules"])
    return found


def _values(decoder: Decoder, nodes: dict) -> dict:
    return {name: decoder.decode(node) for name, node in nodes.items()}


def fill(module: nn.Module, parts: dict) -> None:
    """Give a module these parts."""
    fields = module.__dict__
    if "training" in parts:
        fields["training"] = parts["training"]
    if "parameters" in parts:
        lazy = {name: one for name, one in fields["_parameters"].items() if _lazy(one)}
        _replace(fields["_parameters"], {**lazy, **parts["parameters"]})
    if "buffers" in parts:
        buffers = parts["buffers"]
        _replace(fields["_buffers"], {name: tensor for name, (tensor, _) in buffers.items()})
        fields["_non_persistent_buffers_set"] = {
            name for name, (_, persistent) in buffers.items() if not persistent
        }
    if "modules" in parts:
        _replace(fields["_modules"], parts["modules"])


def _replace(target: dict, new: dict) -> None:
    target.clear()
    target.update(new)
