"""encoderlib.packing, continued: what the mutation run found untested."""

import torch

from encoderlib.packing import Packing


def test_a_plan_is_on_the_device_of_the_lengths_whatever_the_default_device():
    lengths = torch.tensor([2, 3])
    expected = Packing.plan(lengths, 4)
    with torch.device("meta"):
        plan = Packing.plan(lengths, 4)
    assert torch.equal(plan.index, expected.index)
