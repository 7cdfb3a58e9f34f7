"""encoderlib.training.optim: schedules that test_training does not hold, and choices of a run."""

import math

import pytest
import torch
from torch import nn

from encoderlib import TrainingConfig, fit
from encoderlib.training.loggers import Logger
from encoderlib.training.optim import (
    SCHEDULES,
    learning_rate,
    warmup_constant,
    warmup_cosine,
    warmup_noam,
)


@pytest.mark.parametrize(("d_model", "warmup_steps"), [(512, 4000), (8, 3), (5, 5)])
def test_noam_is_equation_3_of_vaswani_et_al(d_model, warmup_steps):
    total = 4 * warmup_steps
    for step in range(1, total, max(1, total // 97)):
        expected = d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)
        lr = (d_model * warmup_steps) ** -0.5
        assert lr * warmup_noam(step - 1, total, 0.25) == pytest.approx(expected, rel=1e-12)


def test_noam_without_warm_up_starts_at_its_peak():
    factors = [warmup_noam(step, 100, 0.0) for step in range(4)]
    assert factors == pytest.approx([1.0, 2**-0.5, 3**-0.5, 0.5])


def test_the_constant_schedule_stays_after_the_warm_up():
    assert [warmup_constant(step, 10, 0.25) for step in range(5)] == pytest.approx(
        [1 / 3, 2 / 3, 1.0, 1.0, 1.0]
    )
    assert [warmup_constant(step, 10, 0.0) for step in (0, 9)] == [1.0, 1.0]


def test_each_name_is_its_schedule():
    assert SCHEDULES["cosine"] is warmup_cosine
    assert SCHEDULES["noam"] is warmup_noam
    assert SCHEDULES["constant"] is warmup_constant
    assert TrainingConfig().schedule == "cosine"


class Rates(Logger):
    def __init__(self):
        self.rates = []

    def step(self, row):
        self.rates.append(row["lr"])


@pytest.mark.parametrize("name", SCHEDULES)
def test_training_steps_with_the_rates_of_the_schedule(name):
    data = [(torch.randn(3, 4), torch.tensor([0, 1, 2]))] * 5
    config = TrainingConfig(epochs=2, lr=0.3, warmup=0.35, schedule=name, accumulate=2)
    rates = Rates()
    history = fit(nn.Linear(4, 3), data, config=config, progress=False, loggers=[rates])
    expected = [0.3 * SCHEDULES[name](step, 6, 0.35) for step in range(7)]
    assert rates.rates == pytest.approx(expected[:6])
    assert [row["lr"] for row in history] == pytest.approx([expected[3], expected[6]])
    assert [learning_rate(config, step, 6) for step in range(7)] == pytest.approx(expected)


OUT_OF_RANGE = [("schedule", "linear"), ("accumulate", 0), ("precision", "fp16")]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_choice_out_of_range_is_named_with_its_value(name, value):
    with pytest.raises(ValueError, match=f"out of range: {name}={value!r}; see TrainingConfig"):
        TrainingConfig(**{name: value})


def test_the_new_choices_do_nothing_unless_asked_for():
    config = TrainingConfig()
    assert (config.schedule, config.accumulate, config.precision) == ("cosine", 1, "fp32")
    assert math.isclose(config.lr, 1e-3)
