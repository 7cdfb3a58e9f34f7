"""Weights on disk: find them here or on the hub, read safetensors, write atomically (chapter 15).

A model is a directory with ``config.json`` and ``model.safetensors`` (or shards and their index).
A safetensors file is a list of names, shapes and numbers; nothing in it can run, unlike pickle.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["find_model", "load_tensors", "read_json", "save_model", "tensor_files"]

WEIGHTS, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
PATTERNS = [CONFIG, WEIGHTS, INDEX, "model-*-of-*.safetensors"]
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def find_model(path: str | os.PathLike) -> Path:
    """The directory of a model: ``path`` itself, or a download of the hub id ``path``.

    From the hub come only config.json and model*.safetensors, into huggingface_hub's cache;
    offline, what is there is used. A directory of that name goes before the hub.

    Raises:
        FileNotFoundError: if ``path`` is neither a directory nor looks like a hub id.
        ImportError: for a hub id without ``huggingface_hub``.
        NotADirectoryError: if ``path`` is a file.
        OSError: if the hub does not answer, or has no such model.
    """
    directory = Path(path)
    if directory.is_dir():
        return directory
    if directory.exists():
        raise NotADirectoryError(
            f"{directory} is a file; give the directory that holds {CONFIG} and {WEIGHTS}"
        )
    if not HUB_ID.fullmatch(str(path)):
        raise FileNotFoundError(f"there is no directory {directory}, and it is no hub id")
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"there is no directory {directory}; to fetch it as a hub id, "
            "pip install huggingface_hub"
        ) from error
    try:
        return Path(huggingface_hub.snapshot_download(str(path), allow_patterns=PATTERNS))
    except Exception as error:  # of many kinds: network, HTTP, cache
        raise OSError(
            f"there is no directory {directory}, and the hub did not give a model of that id "
            f"({type(error).__name__}: {error}); check the name and the connection, or download "
            f"{CONFIG} and {WEIGHTS} elsewhere and give their directory"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        FileNotFoundError: says which file is missing.
        ValueError: if it is no JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent} has no {path.name}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


def tensor_files(directory: Path) -> dict[str, Path]:
    """The name of each tensor of a model and the safetensors file that holds it.

    Reads headers only. Both one ``model.safetensors`` and shards with an index are understood.

    Raises:
        FileNotFoundError: if there is no safetensors file, or a shard is missing. Pickle files
            (pytorch_model.bin) are refused, with the way to convert them.
        ValueError: for a truncated or damaged file, or an index that does not fit its shards.
    """
    if (directory / WEIGHTS).is_file():
        return dict.fromkeys(_names(directory / WEIGHTS), directory / WEIGHTS)
    if not (directory / INDEX).is_file():
        _refuse_without_weights(directory)
    index = read_json(directory / INDEX).get("weight_map")
    if not isinstance(index, dict) or not all(isinstance(file, str) for file in index.values()):
        raise ValueError(f"{directory / INDEX} has no weight_map from tensor names to files")
    for shard in sorted(set(index.values())):
        if Path(shard).name != shard:
            raise ValueError(f"{directory / INDEX} names {shard!r}, which is not a file beside it")
        if not (directory / shard).is_file():
            raise FileNotFoundError(f"{directory} has no {shard}, which {INDEX} names")
        listed = {name for name, file in index.items() if file == shard}
        missing = sorted(listed - set(_names(directory / shard)))
        if missing:
            raise ValueError(f"{INDEX} promises tensors that {shard} does not have: {missing}")
    return {name: directory / shard for name, shard in index.items()}


def load_tensors(files: dict[str, Path], names: Iterable[str]) -> dict[str, Tensor]:
    """Read the named tensors; ``files`` is from `tensor_files`."""
    from safetensors import safe_open

    names = set(names)
    tensors = {}
    for path in sorted({files[name] for name in names}):
        with safe_open(path, framework="pt") as file:
            for name in sorted(name for name in names if files[name] == path):
                tensors[name] = file.get_tensor(name)
    return tensors


def save_model(directory: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write config.json and model.safetensors; whoever reads meanwhile sees whole files.

    Each file is written under another name and then moved; config.json comes last, so a new
    directory with a config.json is complete.
    """
    from safetensors.torch import save

    directory.mkdir(parents=True, exist_ok=True)
    stored = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    _replace(directory / WEIGHTS, save(stored, metadata={"format": "pt"}))
    _replace(directory / CONFIG, (json.dumps(config, indent=2) + "\n").encode())


def _names(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except SafetensorError as error:
        raise ValueError(
            f"{path} ({path.stat().st_size} bytes) is truncated or not a safetensors file: {error}"
        ) from error


def _refuse_without_weights(directory: Path) -> None:
    pickles = sorted(file.name for pattern in PICKLES for file in directory.glob(pattern))
    raise FileNotFoundError(
        f"{directory} has no {WEIGHTS} (other weights here: {', '.join(pickles) or 'none'}). "
        "Files like pytorch_model.bin are pickles, which can run any code when they are read, so "
        "they are refused. If you trust the source, convert it once: transformers.AutoModel"
        f".from_pretrained({str(directory)!r}, use_safetensors=False).save_pretrained(directory)"
    )


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
