"""encoderlib.training.loggers: one row an epoch, and the curves that TensorBoard reads back."""

import csv
import os
import sys

import pytest
import torch
from torch import nn

from encoderlib import TrainingConfig, fit
from encoderlib.training.loggers import CSVLogger, Logger, TensorBoardLogger


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def data():
    return [(torch.randn(5, 4), torch.randint(3, (5,))) for _ in range(3)]


def test_the_table_holds_the_history(tmp_path):
    path = tmp_path / "new" / "log.csv"
    batches = data()
    options = {"config": TrainingConfig(epochs=3), "progress": False}
    history = fit(nn.Linear(4, 3), batches, batches, loggers=[CSVLogger(path)], **options)
    rows = read(path)
    assert list(rows[0]) == ["step", *history[0]]
    assert [row.pop("step") for row in rows] == ["3", "6", "9"]
    assert [{name: float(x) for name, x in row.items()} for row in rows] == history
    assert os.listdir(path.parent) == ["log.csv"]


def test_a_resumed_run_has_each_epoch_once(tmp_path):
    """Epochs 1 and 2 were logged, but the checkpoint is of the end of epoch 0."""
    logger = CSVLogger(str(tmp_path / "log.csv"))
    for epoch in range(3):
        logger.epoch({"epoch": epoch, "loss": 1.0})
    other = CSVLogger(tmp_path / "log.csv")
    for epoch in range(1, 4):
        other.epoch({"epoch": epoch, "loss": 2.0, "new": 3})
    rows = read(tmp_path / "log.csv")
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [row["loss"] for row in rows] == ["1.0", "2.0", "2.0", "2.0"]
    assert [row["new"] for row in rows] == ["", "3", "3", "3"]


def test_a_new_run_starts_the_table_over(tmp_path):
    for loss in (1.0, 2.0):
        for epoch in range(2):
            CSVLogger(tmp_path / "log.csv").epoch({"epoch": epoch, "loss": loss})
    assert [row["loss"] for row in read(tmp_path / "log.csv")] == ["2.0", "2.0"]


def test_epochs_are_compared_as_numbers(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    for epoch in range(11):
        logger.epoch({"epoch": epoch})
    assert [row["epoch"] for row in read(tmp_path / "log.csv")] == [str(n) for n in range(11)]


class Recorder(Logger):
    def __init__(self):
        self.calls = []

    def step(self, row):
        self.calls.append(("step", row))

    def epoch(self, row):
        self.calls.append(("epoch", row))

    def close(self):
        self.calls.append(("close", None))


def test_loggers_are_told_each_step_and_epoch_and_the_end():
    recorders = [Recorder(), Recorder()]
    batches = [(x[:n], y[:n]) for (x, y), n in zip(data(), (5, 5, 2), strict=True)]
    config = TrainingConfig(epochs=2, lr=0.1)
    history = fit(nn.Linear(4, 3), batches, config=config, loggers=recorders, progress=False)
    assert recorders[0].calls == recorders[1].calls
    kinds = [kind for kind, _ in recorders[0].calls]
    assert kinds == (["step"] * 3 + ["epoch"]) * 2 + ["close"]
    steps = [row for kind, row in recorders[0].calls if kind == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in steps] == [0, 0, 0, 1, 1, 1]
    assert steps[0]["lr"] == 0.1  # 10 % of 6 steps is one
    mean = sum(row["loss"] * n for row, n in zip(steps[:3], (5, 5, 2), strict=True)) / 12
    assert history[0]["train_loss"] == pytest.approx(mean)
    rates = [row["samples_per_second"] for row in steps]
    assert rates[2] * history[0]["seconds"] == pytest.approx(12)
    assert rates[5] * history[1]["seconds"] == pytest.approx(12)
    epochs = [row for kind, row in recorders[0].calls if kind == "epoch"]
    assert epochs == [{"step": 3 * n, **row} for n, row in zip((1, 2), history, strict=True)]


def test_loggers_are_closed_after_an_error():
    recorder = Recorder()
    batches = [(torch.full((2, 4), torch.nan), torch.tensor([0, 1]))]
    with pytest.raises(FloatingPointError):
        fit(nn.Linear(4, 3), batches, loggers=[recorder], progress=False)
    assert recorder.calls == [("close", None)]


def test_a_plain_logger_does_nothing():
    logger = Logger()
    assert [logger.step({}), logger.epoch({}), logger.close()] == [None] * 3


# --- TensorBoard ---


def curves(folder):
    """What TensorBoard itself reads."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(folder)).Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_tensorboard_reads_the_curves_of_a_run(tmp_path):
    batches, recorder = data(), Recorder()
    logger = TensorBoardLogger(tmp_path, every=2)
    options = {"config": TrainingConfig(epochs=2), "progress": False}
    history = fit(nn.Linear(4, 3), batches, batches, loggers=[logger, recorder], **options)
    got = curves(tmp_path)
    epochs = {f"epoch/{name}" for name in history[0].keys() - {"epoch"}}
    assert got.keys() == epochs | {"step/loss", "step/lr", "step/samples_per_second"}
    losses = [row["loss"] for kind, row in recorder.calls if kind == "step"]
    assert [step for step, _ in got["step/loss"]] == [2, 4, 6]
    assert [x for _, x in got["step/loss"]] == pytest.approx(losses[1::2])
    assert [step for step, _ in got["epoch/val_loss"]] == [3, 6]
    assert [x for _, x in got["epoch/val_loss"]] == pytest.approx(
        [row["val_loss"] for row in history]
    )


def test_a_resumed_run_hides_the_points_after_its_checkpoint(tmp_path):
    first = TensorBoardLogger(tmp_path, every=1)
    for step in range(1, 6):
        first.step({"step": step, "loss": 1.0})
    first.close()
    first.close()
    second = TensorBoardLogger(str(tmp_path), every=1)
    for step in range(3, 6):
        second.step({"step": step, "loss": 2.0})
    second.close()
    assert curves(tmp_path)["step/loss"] == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 2.0)]


def test_every_tenth_step_is_logged_unless_told_otherwise(tmp_path):
    logger = TensorBoardLogger(tmp_path)
    for step in range(1, 31):
        logger.step({"step": step, "loss": 1.0})
    logger.close()
    assert [step for step, _ in curves(tmp_path)["step/loss"]] == [10, 20, 30]


def test_a_run_that_logs_nothing_makes_no_file(tmp_path):
    TensorBoardLogger(tmp_path / "folder").close()
    assert not (tmp_path / "folder").exists()


def test_without_tensorboard_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="TensorBoardLogger needs tensorboard: pip install tens"):
        TensorBoardLogger(tmp_path)
