"""An experiment on generated data, for the real runner: the tests kill it and go on with it."""

import dataclasses
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from encoderlib import seed_everything
from encoderlib.training import TrainingConfig, evaluate, fit
from experiments import run


@dataclasses.dataclass(frozen=True)
class Config:
    """As those of the experiments."""

    width: int = 8
    training: TrainingConfig = TrainingConfig(epochs=4, lr=1e-2, ema=0.9)  # noqa: RUF009


CONFIG = Config()
SEEDS = (0, 1)
PAUSE = 0.0  # seconds a step, so that there is time for a kill


def load(config: Config, verify: bool = True) -> TensorDataset:
    """Points, and on which side of a plane they are."""
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, (x[:, 0] > 0).long())


def train(config: Config, data: TensorDataset, seed: int, **watch):
    """Dropout and a shuffled order: what goes wrong if the random numbers are not kept."""
    seed_everything(seed)
    model = nn.Sequential(
        nn.Linear(5, config.width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(config.width, 2)
    )

    def pause(x):
        time.sleep(PAUSE)
        return x

    loader = DataLoader(data, 8, shuffle=True)
    return model, fit(model, loader, DataLoader(data, 64), config.training, pause, **watch)


def validate(config: Config, data: TensorDataset, model: nn.Module) -> dict[str, float]:
    """A sum of all weights tells two models apart."""
    weights = sum(p.double().sum().item() for p in model.parameters())
    return {"accuracy": evaluate(model, DataLoader(data, 64))["accuracy"], "weights": weights}


def test(config: Config, data: TensorDataset, model: nn.Module, verify: bool) -> dict[str, float]:
    """Notes that the test part was looked at."""
    return validate(config, data, model)


def baselines(config: Config, data: TensorDataset, verify: bool) -> list[dict]:
    """None."""
    return []


if __name__ == "__main__":  # python tiny.py FOLDER PAUSE
    folder, PAUSE = Path(sys.argv[1]), float(sys.argv[2])
    this = sys.modules["__main__"]
    this.__name__ = "experiments.snips"  # any module of the project will do for the fingerprint
    run.run("tiny", work=folder / "work", root=folder, progress=False, every=1, module=this)
