"""Small runs for the tests in processes of their own.

- ``training_script.py kill FOLDER CALLS``: a run with all that is random in it, killed at that
  call of the model.
- ``training_script.py together FOLDER``: what two ranks do together, one file of answers each.
- ``training_script.py broken HOW``: rank 1 raises an error, or never answers.
"""

import itertools
import os
import random
import signal
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import encoderlib
import encoderlib.training.losses
from encoderlib.training.distributed import join_ranks
from encoderlib.training.loggers import Logger
from encoderlib.training.run import Run

CONFIG = encoderlib.TrainingConfig(
    epochs=6, lr=0.02, ema=0.8, patience=2, label_smoothing=0.1, accumulate=2
)


class Noisy(nn.Module):
    """A classifier that calls ``before()`` first, as its copy for the average does."""

    def __init__(self, before=None):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.GELU(), nn.Dropout(0.3))
        self.head = nn.Linear(7, 3)
        self.before = before

    def forward(self, x):
        if self.before is not None:
            self.before()
        return self.head(self.body(x))


def train(folder=None, before=None, every=3, config=CONFIG, workers=0, **options):
    """Shuffle, dropout, noise of three kinds; the model, its history without times, the end."""
    generator = encoderlib.seed_everything(5)
    inputs = torch.randn(31, 5)
    labels = inputs[:, :3].argmax(dim=1)
    own = torch.Generator().manual_seed(7)

    def augment(x):
        noise = 0.1 * torch.randn(x.shape, generator=own) + 0.1 * random.random()
        return x + noise + 0.1 * torch.randn(x.shape, generator=generator) + 0.1 * np.random.rand()

    model = Noisy(before)
    data = TensorDataset(inputs, labels)
    history = encoderlib.fit(
        model,
        DataLoader(data, 4, shuffle=True, generator=generator, num_workers=workers),
        DataLoader(TensorDataset(inputs[:9], (labels[:9] + 1) % 3), 5),  # gets worse
        config,
        augment,
        progress=False,
        checkpoint=folder,
        every=every if folder else None,
        generators=[own],
        **options,
    )
    history = [{name: x for name, x in row.items() if name != "seconds"} for row in history]
    end = [random.random(), np.random.rand(), torch.rand(()).item()]
    end += [torch.rand((), generator=g).item() for g in (generator, own)]
    return model.state_dict(), history, end


def at_call(number, action):
    """A function that calls ``action`` at its call ``number``, counted from 1."""
    calls = itertools.count(1)
    return lambda: action() if next(calls) == number else None


def kill():
    """End this process without warning."""
    os.kill(os.getpid(), signal.SIGKILL)


def dropped(steps):
    """A run with dropout of its own on each rank; ``steps`` are called before each."""
    encoderlib.seed_everything(3)
    model = nn.Sequential(nn.Linear(5, 7), nn.Dropout(0.5), nn.Linear(7, 3))
    data = TensorDataset(torch.randn(18, 5), torch.randint(3, (18,)))
    loader = DataLoader(data, 3, shuffle=True)
    return model, loader, lambda x: next(steps) or x


def together(folder):
    """What two ranks do; with one process the same on the joint batches."""
    answers = {}
    ranks = join_ranks(timeout=60)
    first = ranks.rank == 0
    answers["rank"] = (ranks.rank, ranks.size, ranks.device.type)
    answers["broadcast"] = ranks.broadcast({"a": ranks.rank})
    answers["gather"] = ranks.gather(ranks.rank + 10)
    answers["sum"] = ranks.sum({"a": ranks.rank + 1} | ({} if first else {"b": 5}))

    # Gradients: 5 and 2 samples, one parameter for rank 1 alone, one for nobody.
    encoderlib.seed_everything(ranks.rank)
    model = nn.ModuleDict({"both": nn.Linear(4, 3), "second": nn.Linear(4, 4)})
    model["nobody"] = nn.Linear(4, 2)
    run = Run(model, [None] * 4, encoderlib.TrainingConfig(clip_norm=None), ranks)
    answers["weights"] = {name: x.clone() for name, x in model.state_dict().items()}
    batches = joint_batches()

    def loss(model, batch):
        *inputs, which = batch
        both = model["both"] if which == 0 else nn.Sequential(model["second"], model["both"])
        return encoderlib.training.losses.cross_entropy_loss(both, inputs)

    mine = batches if ranks.size == 1 else batches[ranks.rank : ranks.rank + 1]
    answers["loss"] = run.update(mine, loss)
    answers["gradients"] = {name: p.grad for name, p in model.named_parameters()}
    answers["none"] = run.update([batches[0]] if first else [None], loss)
    answers["none_gradient"] = model["both"].weight.grad

    # A whole run: 7 batches of 5, the last of 1; 3 batches of validation; shuffled.
    for kind in ("loader", "list"):
        generator = encoderlib.seed_everything(ranks.rank)
        model = nn.Linear(5, 3)
        inputs, labels, index = torch.randn(31, 5), torch.randint(3, (31,)), torch.arange(31)
        data = ranks.broadcast([inputs, index, labels])
        if kind == "loader":
            train = DataLoader(TensorDataset(*data), 5, shuffle=True, generator=generator)
        else:
            train = list(zip(*(x.split(5) for x in data), strict=True))
        seen, logger = [], Counter()

        def watched(model, batch, seen=seen):
            x, index, labels = batch
            seen.append(index.tolist())
            return encoderlib.training.losses.cross_entropy_loss(model, (x, labels))

        config = encoderlib.TrainingConfig(epochs=3, lr=0.05, ema=0.5, accumulate=2 // ranks.size)
        history = encoderlib.fit(
            model,
            train,
            [tuple(x[i : i + 4] for x in data) for i in (0, 4, 8)],
            config,
            progress=False,
            loss=watched,
            loggers=[logger],
            checkpoint=f"{folder}/{kind}",
        )
        files = sorted(os.listdir(f"{folder}/{kind}"))
        answers[kind] = (model.state_dict(), history, seen, logger.calls, files)

    # Stopped by an interrupt on the last rank, then gone on with; and without a stop.
    last = ranks.rank == ranks.size - 1
    for name, calls in (("whole", ()), ("stopped", (1, 2))):
        signals = iter([None] * len(calls) + [last and name == "stopped"] + [None] * 99)
        steps = (s and os.kill(os.getpid(), signal.SIGINT) for s in signals)
        model, loader, augment = dropped(steps)
        options = {"config": encoderlib.TrainingConfig(epochs=3), "progress": False}
        try:
            encoderlib.fit(model, loader, augment=augment, checkpoint=f"{folder}/{name}", **options)
        except KeyboardInterrupt:
            answers["interrupted"] = sorted(os.listdir(f"{folder}/{name}"))
            model, loader, augment = dropped(iter([None] * 99))
            encoderlib.fit(model, loader, augment=augment, checkpoint=f"{folder}/{name}", **options)
        answers[name] = (model.state_dict(), torch.rand(()).item())
    return answers


def joint_batches():
    """Two batches of different sizes, and which part of the model each is for."""
    generator = torch.Generator().manual_seed(11)
    inputs = torch.randn(7, 4, generator=generator)
    labels = torch.randint(3, (7,), generator=generator)
    return [(inputs[:5], labels[:5], 0), (inputs[5:], labels[5:], 1)]


class Counter(Logger):
    """Counts the calls."""

    def __init__(self):
        self.calls = {"step": 0, "epoch": 0, "close": 0}

    def step(self, row):
        self.calls["step"] += 1

    def epoch(self, row):
        self.calls["epoch"] += 1

    def close(self):
        self.calls["close"] += 1


def twice(folder):
    """The script of a user: fit knows by itself that there are ranks, also the second time."""
    for _ in range(2):
        encoderlib.seed_everything(0)
        model = nn.Linear(4, 3)
        data = [batch[:2] for batch in joint_batches()]
        history = encoderlib.fit(model, data, config=encoderlib.TrainingConfig(epochs=2, lr=0.1))
    torch.save((model.state_dict(), len(history)), f"{folder}/rank{os.environ['RANK']}.pt")


def broken(how):
    """Rank 1 fails at its second step."""

    def loss(model, batch):
        if os.environ["RANK"] == "1" and loss.calls:
            if how == "raises":
                raise RuntimeError("rank 1 has a problem")
            time.sleep(3600)
        loss.calls += 1
        return encoderlib.training.losses.cross_entropy_loss(model, batch)

    loss.calls = 0
    data = [batch[:2] for batch in joint_batches()] * 2
    join_ranks(timeout=3)
    encoderlib.fit(nn.Linear(4, 3), data, loss=loss, progress=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "kill":
        train(sys.argv[2], at_call(int(sys.argv[3]), kill))
    elif sys.argv[1] == "together":
        torch.save(together(sys.argv[2]), f"{sys.argv[2]}/answers.pt")
    else:
        {"twice": twice, "broken": broken}[sys.argv[1]](sys.argv[2])
