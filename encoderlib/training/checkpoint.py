"""Checkpoints that are whole or absent, and random numbers that go on where they were (chapter 09).

A checkpoint is written beside its place, flushed to the disk, and moved there in one step, so
that a process killed at any moment leaves the older checkpoints as they are.
"""

import contextlib
import os
import random
import shutil
import signal
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import nn

__all__ = [
    "Checkpoints",
    "Interrupt",
    "differences",
    "fingerprint",
    "load_checkpoint",
    "random_state",
    "set_random_state",
    "write_atomically",
]

_ACCELERATORS = {"cuda": torch.cuda, "mps": torch.mps}


def write_atomically(path: str | os.PathLike, write: Callable[[BinaryIO], Any]) -> None:
    """Call ``write(file)`` so that ``path`` holds all that it wrote, or what it held before."""
    path = Path(path)
    temporary = path.with_name(f"{path.name}.tmp")
    with open(temporary, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    with contextlib.suppress(PermissionError):  # Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def load_checkpoint(path: str | os.PathLike) -> dict:
    """Read a checkpoint to the CPU; every byte is checked, and no code in it is run.

    torch.load does not compare the checksums that torch.save writes; this does.

    Raises:
        ValueError: if the file is cut short or damaged, or holds more than plain data; names it.
        OSError: if it cannot be opened.
    """
    with open(path, "rb"):  # a file that is not there is an error of its own
        pass
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage shows as an error of almost any kind
        raise ValueError(
            f"{path} is no whole checkpoint ({type(error).__name__}: {error}); delete it"
        ) from error


class Interrupt:
    """Inside of ``with``, Ctrl-C waits until the step is done; a second one does not wait.

    Only in the main thread, where Python handles signals.
    """

    def __init__(self, active: bool = True):
        self.active = active and threading.current_thread() is threading.main_thread()
        self.asked = False

    def __enter__(self) -> "Interrupt":
        if self.active:
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, kind: type | None, *_: Any) -> None:
        if self.active:
            signal.signal(signal.SIGINT, self.before)
        if self.asked and kind is None:
            raise KeyboardInterrupt


class Checkpoints:
    """A folder with the newest checkpoints of one run, and the best one.

    Files are ``step-00000120.pt`` and ``best.pt``, written with torch.save.

    Args:
        folder: is made if it is not there.
        keep: how many of the newest to keep. With two or more, a damaged file costs little.

    Raises:
        ValueError: if ``keep`` is below 1.
    """

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        if keep < 1:
            raise ValueError(f"keep={keep} must be at least 1")
        self.folder, self.keep = Path(folder), keep

    def files(self) -> list[Path]:
        """The checkpoints by step, the newest last."""
        return sorted(self.folder.glob("step-????????.pt"))

    def save(self, state: dict, step: int, best: bool = False) -> Path:
        """Write the state after ``step`` steps, also as the best if it is; drop the oldest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.pt"
        write_atomically(path, lambda file: torch.save(state, file))
        if best:
            with open(path, "rb") as source:
                write_atomically(
                    self.folder / "best.pt", lambda file: shutil.copyfileobj(source, file)
                )
        for old in [*self.files()[: -self.keep], *self.folder.glob("*.pt.tmp")]:
            old.unlink()
        return path

    def load(self) -> tuple[Path, dict] | None:
        """The newest checkpoint that is whole, with its path; None if there never was one.

        Warns of each damaged file that is passed over.

        Raises:
            ValueError: if there are checkpoints and all are damaged; names the newest.
        """
        first_error = None
        for path in reversed(self.files()):
            try:
                state = load_checkpoint(path)
            except ValueError as error:
                first_error = first_error or error
                warnings.warn(f"{error}; trying the one before", stacklevel=2)
            else:
                return path, state
        if first_error is not None:
            raise first_error
        return None


def fingerprint(config: Any, model: nn.Module, **more: Any) -> dict[str, Any]:
    """What must be the same when a run goes on: choices, shapes of the weights, ``more``.

    ``config`` is a dataclass of plain values.
    """
    shapes = {f"shape of {name}": list(x.shape) for name, x in model.state_dict().items()}
    return {**vars(config), **more, **shapes}


def differences(saved: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each field in which two fingerprints differ, as text."""
    absent = "nothing"
    names = dict.fromkeys([*saved, *now])
    pairs = {name: (saved.get(name, absent), now.get(name, absent)) for name in names}
    return [f"{name} was {old}, is {new}" for name, (old, new) in pairs.items() if old != new]


def random_state(
    device: torch.device | str = "cpu", generators: Iterable[torch.Generator] = ()
) -> dict[str, Any]:
    """The random numbers to come of Python, NumPy, torch, the device and ``generators``.

    Plain data and tensors, so that `load_checkpoint` takes it.
    """
    device = torch.device(device)
    _, numbers, *rest = np.random.get_state()
    state = {
        "python": random.getstate(),
        "numpy": [numbers.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "generators": [generator.get_state() for generator in generators],
    }
    if device.type in _ACCELERATORS:
        state["device"] = _ACCELERATORS[device.type].get_rng_state()
    return state


def set_random_state(
    state: dict[str, Any],
    device: torch.device | str = "cpu",
    generators: Iterable[torch.Generator] = (),
) -> None:
    """Go on with the random numbers of a `random_state` of the same device and generators.

    Raises:
        ValueError: if the number of generators is another.
    """
    generators = list(generators)
    if len(generators) != len(state["generators"]):
        raise ValueError(
            f"{len(state['generators'])} generators were saved, got {len(generators)}; give the "
            "same ones in the same order"
        )
    random.setstate(state["python"])
    numbers, *rest = state["numpy"]
    np.random.set_state(("MT19937", np.array(numbers, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    for generator, saved in zip(generators, state["generators"], strict=True):
        generator.set_state(saved)
    device = torch.device(device)
    if device.type in _ACCELERATORS and "device" in state:
        _ACCELERATORS[device.type].set_rng_state(state["device"])
