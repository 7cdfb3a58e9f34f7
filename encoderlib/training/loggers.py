"""Where the numbers of a run go besides the screen: a CSV table, TensorBoard (chapter 09)."""

import csv
import io
import os
from pathlib import Path

from encoderlib.training.checkpoint import write_atomically

__all__ = ["CSVLogger", "Logger", "TensorBoardLogger"]

Row = dict[str, float | int]


class Logger:
    """What `fit` calls; overwrite what you need. Under `torchrun` only rank 0 calls it."""

    def step(self, row: Row) -> None:
        """After each step: step (from 1), epoch, loss, lr, samples_per_second."""

    def epoch(self, row: Row) -> None:
        """After each epoch: the row of the history, and step."""

    def close(self) -> None:
        """At the end of `fit`, also after an error."""


class CSVLogger(Logger):
    """A table with one row an epoch, written anew each time so that it is always whole.

    Rows of earlier epochs that stand in the file are kept, rows from this epoch on are replaced:
    a resumed run has each epoch once, and a new run starts over.

    Args:
        path: the file; its folder is made if it is not there.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def epoch(self, row: Row) -> None:
        """Write this epoch's row."""
        rows = []
        if self.path.exists():
            with open(self.path, encoding="utf-8", newline="") as file:
                rows = [old for old in csv.DictReader(file) if int(old["epoch"]) < row["epoch"]]
        rows.append(row)
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, dict.fromkeys(name for old in rows for name in old))
        table.writeheader()
        table.writerows(rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, lambda file: file.write(text.getvalue().encode()))


class TensorBoardLogger(Logger):
    """Curves for ``tensorboard --logdir folder``: step/loss, step/lr, ..., epoch/val_loss, ...

    A run that goes on from a checkpoint hides what was logged after it.

    Args:
        folder: for the event files.
        every: log each so manieth step.

    Raises:
        ImportError: if tensorboard is not installed; says how to install it.
    """

    def __init__(self, folder: str | os.PathLike, every: int = 10):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "TensorBoardLogger needs tensorboard: pip install tensorboard"
            ) from error
        self.every = every
        self._open = lambda step: SummaryWriter(os.fspath(folder), purge_step=step)
        self._writer = None

    def step(self, row: Row) -> None:
        """Add a point to the curves of the steps."""
        if row["step"] % self.every == 0:
            self._add("step", row)

    def epoch(self, row: Row) -> None:
        """Add a point to the curves of the epochs."""
        self._add("epoch", row)

    def close(self) -> None:
        """Write out what is not yet on the disk."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, group: str, row: Row) -> None:
        if self._writer is None:
            self._writer = self._open(row["step"])
        for name, value in row.items():
            if name not in ("epoch", "step"):
                self._writer.add_scalar(f"{group}/{name}", value, row["step"])
