"""encoderlib.packing, continued: what the mutation run found untested."""

import pytest
import torch

from encoderlib.packing import Packing, pack_when_it_pays


def test_a_plan_is_on_the_device_of_the_lengths_whatever_the_default_device():
    lengths = torch.tensor([2, 3])
    expected = Packing.plan(lengths, 4)
    with torch.device("meta"):
        plan = Packing.plan(lengths, 4)
    assert torch.equal(plan.index, expected.index)


def test_packing_that_saves_as_much_as_it_costs_does_not_pay():
    """D = 100: a group costs 10 tokens; two groups and the packing itself are 40."""
    lengths = torch.tensor([30, 16])
    assert pack_when_it_pays(lengths, 43, 100) is None  # 86 - 46 = 40
    assert len(pack_when_it_pays(lengths, 44, 100).groups) == 2


def test_lengths_beyond_the_size_are_refused_where_packing_would_not_pay():
    with pytest.raises(ValueError, match="between 0 and size=11"):
        pack_when_it_pays(torch.tensor([12, 3]), 11, 8)
