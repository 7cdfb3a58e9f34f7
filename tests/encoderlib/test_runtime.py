"""encoderlib.runtime: the device that is there, and random numbers that come back."""

import random

import numpy as np
import pytest
import torch

from encoderlib import device, seed_everything


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_that_is_there(cuda, mps, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device() == torch.device(best)


def draw(generator):
    return (
        random.random(),
        float(np.random.random()),
        float(torch.rand(())),
        float(torch.rand((), generator=generator)),
    )


def test_a_seed_brings_all_random_numbers_back():
    first, again, other = (draw(seed_everything(seed)) for seed in (5, 5, 6))
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_the_generator_has_the_seed_and_zero_is_the_default():
    assert seed_everything(5).initial_seed() == 5
    assert seed_everything().initial_seed() == 0
    assert seed_everything().device.type == "cpu"
