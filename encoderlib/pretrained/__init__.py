"""Pretrained encoders: Hugging Face checkpoints in, and out again (chapters 08 and 15).

`Encoder.from_pretrained` and `Encoder.save_pretrained` are the way in; this is what they call.
Six kinds of model are understood, by the ``model_type`` in their config.json:

- bert: post-norm, learned positions, two segments (Devlin et al. 2019);
- roberta: positions start after the padding id, and the rows before are cut off
  (Liu et al. 2019); padding belongs to the right end;
- ernie: as bert; where there are tasks, task 0's vector is added to the segments
  (Sun et al. 2020);
- distilbert: half the layers, no segments (Sanh et al. 2019);
- vit: pre-norm, patches and a CLS token (Dosovitskiy et al. 2021);
- deit: one more token, for distillation (Touvron et al. 2021).

Heads and poolers are no part of an encoder and left out; `unused_tensors` lists them. Numbers
become float32 unless another dtype is asked for. What was left out or converted is logged, at
level INFO. In evaluation mode the outputs are Hugging Face's; in training they differ in where
dropout is: here also inside of the feed-forward network, there not. A model that computes
something else is refused.
"""

import dataclasses
import json
import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from encoderlib.config import EncoderConfig
from encoderlib.inputs import ImageEmbedding, TextEmbedding
from encoderlib.pretrained.files import (
    find_model,
    load_tensors,
    read_json,
    save_model,
    tensor_files,
)
from encoderlib.pretrained.layouts import LAYOUTS, Layout
from encoderlib.pretrained.renaming import entries, finish, match

__all__ = ["read", "unused_tensors", "write"]

OWN = "encoderlib"  # the layout of an encoder that was built here
EMBEDDINGS = {"ImageEmbedding": ImageEmbedding, "TextEmbedding": TextEmbedding}
logger = logging.getLogger(__name__)


def read(
    path: str | os.PathLike, dtype: torch.dtype = torch.float32
) -> tuple[EncoderConfig, nn.Module | None, dict[str, Tensor], str]:
    """A checkpoint as configuration, embedding (untrained), tensors of an `Encoder`, and layout.

    Args:
        path: a directory with config.json and model.safetensors (or shards), or a hub id.
        dtype: of the tensors; a checkpoint in float16 or bfloat16 becomes float32 by default.

    Raises:
        FileNotFoundError, OSError: for files that are missing or only there as pickles, and
            for a hub that does not answer (`find_model`, `tensor_files`).
        ValueError: for a damaged file, a model type or a field that is not supported, and for
            tensors that are missing, unexpected or of the wrong shape; all are named.
    """
    directory = find_model(path)
    fields = read_json(directory / "config.json")
    files = tensor_files(directory)
    if fields.get("model_type") == OWN:
        config, embedding = _parse_own(fields)
        return config, embedding, _cast(load_tensors(files, files), dtype), OWN
    layout = _layout(fields.get("model_type"))
    config, embedding = layout.parse(fields)
    table = entries(layout, config, embedding, fields)
    names, unused = match(layout, files)
    _compare(names, {name for entry in table for name in entry.theirs}, f"in {directory}")
    loaded = load_tensors(files, names.values())
    theirs = _cast({plain: loaded[name] for plain, name in names.items()}, dtype)
    wrong = [
        f"{names[name]}: expected {entry.shape}, got {tuple(theirs[name].shape)}"
        for entry in table
        for name in entry.theirs
        if theirs[name].shape != entry.shape
    ]
    if wrong:
        raise ValueError(f"wrong shapes in {directory}, for its config.json: {'; '.join(wrong)}")
    if unused:
        logger.info("not part of the encoder, left out: %s", ", ".join(unused))
    state = {entry.ours: entry.read([theirs[name] for name in entry.theirs]) for entry in table}
    if "embedding.tasks" in state:
        logger.info("ERNIE's vector of task 0 is added to the segments; other tasks are left out")
    return config, embedding, finish(state, config), layout.name


def unused_tensors(path: str | os.PathLike) -> list[str]:
    """The names of the tensors that `read` leaves out: heads, poolers and the like.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read`.
    """
    directory = find_model(path)
    kind = read_json(directory / "config.json").get("model_type")
    return [] if kind == OWN else match(_layout(kind), tensor_files(directory))[1]


def write(
    state: dict[str, Tensor],
    config: EncoderConfig,
    embedding: nn.Module | None,
    layout: str,
    directory: str | os.PathLike,
) -> None:
    """Write config.json and model.safetensors, each of them atomically.

    Args:
        state: the tensors of the `Encoder`, in their own dtype.
        config: its configuration.
        embedding: its embedding, or None.
        layout: the ``model_type``: one of Hugging Face's, whose base model (without pooler)
            `transformers` then loads, or ``"encoderlib"``, which can hold every configuration.
        directory: made if it is not there; files of the same names are replaced.

    Raises:
        ValueError: if the layout cannot hold this encoder or its embedding; nothing is written.
    """
    if layout == OWN:
        fields, tensors = _describe_own(config, embedding), state
    else:
        there = _layout(layout)
        fields = there.describe(config, embedding)
        table = {entry.ours: entry for entry in entries(there, config, embedding, fields)}
        _compare(state, table, "in the encoder")
        wrong = [
            f"{name}: expected {entry.own_shape}, got {tuple(state[name].shape)}"
            for name, entry in table.items()
            if state[name].shape != entry.own_shape
        ]
        if wrong:
            raise ValueError(f"wrong shapes in the encoder, for its config: {'; '.join(wrong)}")
        tensors = {}
        for name, entry in table.items():
            tensors |= entry.write(state[name])
    dtypes = {tensor.dtype for tensor in tensors.values()}
    fields["torch_dtype"] = str(dtypes.pop()).removeprefix("torch.") if len(dtypes) == 1 else None
    save_model(Path(directory), fields, tensors)


def _layout(name: object) -> Layout:
    if not isinstance(name, str) or name not in LAYOUTS:
        raise ValueError(f"model_type={name!r} is not supported; {sorted(LAYOUTS)} and {OWN!r} are")
    return LAYOUTS[name]


def _compare(got: Any, expected: Any, where: str) -> None:
    missing, unexpected = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    if missing or unexpected:
        raise ValueError(
            f"tensors do not fit the configuration {where}: missing {missing}, "
            f"unexpected {unexpected}"
        )


def _cast(tensors: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    whole = sorted(name for name, tensor in tensors.items() if not tensor.is_floating_point())
    if whole:
        raise ValueError(f"tensors that are no floating numbers (quantised?): {whole}")
    found = {tensor.dtype for tensor in tensors.values()} - {dtype}
    if found:
        logger.info("converted from %s to %s", ", ".join(map(str, found)), dtype)
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def _parse_own(fields: dict[str, Any]) -> tuple[EncoderConfig, nn.Module | None]:
    if not isinstance(fields.get("encoder"), dict):
        raise ValueError(
            f"config.json must hold an object 'encoder', got {fields.get('encoder')!r}"
        )
    config = EncoderConfig.from_json(json.dumps(fields["encoder"]))
    embedding = fields.get("embedding")
    if embedding is None:
        return config, None
    kind = embedding.get("type") if isinstance(embedding, dict) else embedding
    if kind not in EMBEDDINGS:
        raise ValueError(f"embedding type {kind!r} is not supported; {sorted(EMBEDDINGS)} are")
    arguments = {name: value for name, value in embedding.items() if name != "type"}
    return config, EMBEDDINGS[kind](**arguments)


def _describe_own(config: EncoderConfig, embedding: nn.Module | None) -> dict[str, Any]:
    described = None
    if embedding is not None:
        kind = type(embedding).__name__
        if EMBEDDINGS.get(kind) is not type(embedding):
            raise ValueError(
                f"an embedding of type {kind} cannot be described in config.json, only "
                f"{sorted(EMBEDDINGS)} can; save its weights yourself with "
                "safetensors.torch.save_file(encoder.state_dict(), path) and rebuild it in code"
            )
        described = {"type": kind, **embedding.arguments()}
    return {"model_type": OWN, "encoder": dataclasses.asdict(config), "embedding": described}
