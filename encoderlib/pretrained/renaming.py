"""From the tensors of a Hugging Face checkpoint to those of `Encoder` and back (chapter 15).

Three things differ besides the names: query, key and value are one matrix here, a convolution
over patches is a matrix here, and RoBERTa's unused positions are cut off.
"""

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from encoderlib.config import EncoderConfig
from encoderlib.inputs import ImageEmbedding, TextEmbedding
from encoderlib.pretrained.layouts import Layout

__all__ = ["Entry", "entries", "finish", "match"]

# Parts of a base model that an encoder does not have.
NOT_USED = re.compile(r"pooler\.|embeddings\.(position_ids|token_type_ids|mask_token)$")
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor of ours: the rows of theirs, stacked, without the first ``skip`` rows.

    Args:
        ours: its name in `Encoder`.
        theirs: the names in the checkpoint, without prefix.
        shape: the shape of each of theirs.
        row: the shape of one row of ours.
        skip: rows of theirs that no token uses.
    """

    ours: str
    theirs: tuple[str, ...]
    shape: tuple[int, ...]
    row: tuple[int, ...]
    skip: int = 0

    @property
    def own_shape(self) -> tuple[int, ...]:
        """The shape of ours."""
        rows = len(self.theirs) * math.prod(self.shape) // math.prod(self.row)
        return (rows - self.skip, *self.row)

    def read(self, tensors: list[Tensor]) -> Tensor:
        """Their tensors to ours."""
        return torch.cat([tensor.reshape(-1, *self.row) for tensor in tensors])[self.skip :]

    def write(self, tensor: Tensor) -> dict[str, Tensor]:
        """Ours to theirs; rows that were skipped come back as zeros."""
        rows = torch.cat([tensor.new_zeros(self.skip, *self.row), tensor])
        parts = [part.reshape(self.shape) for part in rows.chunk(len(self.theirs))]
        return dict(zip(self.theirs, parts, strict=True))


def entries(
    layout: Layout,
    config: EncoderConfig,
    embedding: TextEmbedding | ImageEmbedding,
    fields: dict[str, Any],
) -> list[Entry]:
    """All tensors that a model must have whose config.json has these ``fields``."""
    d, f = config.d_model, config.d_ff
    matrices = {"attention.in_proj": (d, d), "attention.out_proj": (d, d)}
    matrices |= {"feedforward.linear1": (f, d), "feedforward.linear2": (d, f)}
    if isinstance(embedding, ImageEmbedding):
        found = _image(layout, embedding)
    else:
        found = _text(layout, embedding, fields)
    for i in range(config.n_layers):
        for ours, theirs in layout.modules.items():
            names = tuple(f"{layout.stack}.{i}.{name}" for name in theirs)
            found += _pair(f"layers.{i}.{ours}", names, matrices.get(ours, (d,)))
    if config.norm_first:
        found += _pair("norm", ("layernorm",), (d,))
        if not fields.get("qkv_bias", True):  # `finish` adds zeros
            found = [entry for entry in found if not entry.ours.endswith("in_proj.bias")]
    return found


def match(layout: Layout, names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Which tensor of a file is which.

    Returns:
        Names without prefix and in today's spelling -> names in the file; and the names that
        are not used: a head, a pooler, stored position numbers, ViT's mask token.
    """
    names = set(names)
    headed = any(name.startswith(f"{layout.name}.") for name in names)
    prefix = f"{layout.name}." if headed else ""
    used, rest = {}, []
    for name in sorted(names):
        plain = name.removeprefix(prefix)
        if not name.startswith(prefix) or NOT_USED.match(plain):
            rest.append(name)
            continue
        for old, new in OLD_NAMES.items():
            if name.endswith(old) and name.replace(old, new) not in names:
                plain = plain.replace(old, new)
        used[plain] = name
    return used, rest


def finish(state: dict[str, Tensor], config: EncoderConfig) -> dict[str, Tensor]:
    """Add ERNIE's task 0 to every segment, and the biases that a ViT may go without as zeros."""
    tasks = state.get("embedding.tasks")
    state = {name: tensor for name, tensor in state.items() if name != "embedding.tasks"}
    if tasks is not None:
        state["embedding.segments.weight"] = state["embedding.segments.weight"] + tasks[0]
    for i in range(config.n_layers):
        weight = state[f"layers.{i}.attention.in_proj.weight"]
        state.setdefault(f"layers.{i}.attention.in_proj.bias", weight.new_zeros(len(weight)))
    return state


def _text(layout: Layout, embedding: TextEmbedding, fields: dict[str, Any]) -> list[Entry]:
    sizes = embedding.arguments()
    d, skip = sizes["d_model"], layout.skip(sizes["padding_id"])
    tables = [
        ("tokens.table.weight", "word", sizes["vocab_size"], 0),
        ("positions.table", "position", sizes["max_length"] + skip, skip),
    ]
    if sizes["n_segments"]:
        tables.append(("segments.weight", "token_type", sizes["n_segments"], 0))
    if layout.name == "ernie" and fields.get("use_task_id"):  # `finish` adds it to the segments
        tables.append(("tasks", "task_type", fields.get("task_type_vocab_size", 3), 0))
    found = [
        Entry(f"embedding.{ours}", (f"embeddings.{name}_embeddings.weight",), (n, d), (d,), cut)
        for ours, name, n, cut in tables
    ]
    return found + _pair("embedding.norm", ("embeddings.LayerNorm",), (d,))


def _image(layout: Layout, embedding: ImageEmbedding) -> list[Entry]:
    sizes = embedding.arguments()
    d, c, p = sizes["d_model"], sizes["channels"], sizes["patch_size"]
    length = embedding.positions.table.size(0)
    prefix = tuple(f"embeddings.{name}" for name in layout.prefix)
    kernel = "embeddings.patch_embeddings.projection"  # channel first, as `patchify`
    positions = ("embeddings.position_embeddings",)
    return [
        Entry("embedding.prefix", prefix, (1, 1, d), (d,)),
        Entry("embedding.positions.table", positions, (1, length, d), (d,)),
        Entry(
            "embedding.patches.projection.weight", (f"{kernel}.weight",), (d, c, p, p), (c * p * p,)
        ),
        Entry("embedding.patches.projection.bias", (f"{kernel}.bias",), (d,), ()),
    ]


def _pair(ours: str, theirs: tuple[str, ...], shape: tuple[int, ...]) -> list[Entry]:
    weights, biases = (tuple(f"{name}.{kind}" for name in theirs) for kind in ("weight", "bias"))
    return [
        Entry(f"{ours}.weight", weights, shape, shape[1:]),
        Entry(f"{ours}.bias", biases, shape[:1], ()),
    ]
