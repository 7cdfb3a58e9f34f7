"""encoderlib.relative, continued: what the mutation run found untested."""

import pytest
import torch
from transformers.models.t5 import modeling_t5

from encoderlib.relative import ALiBi, ShawRelativePositions, T5RelativeBias, t5_buckets


@pytest.mark.parametrize("make", [ALiBi, T5RelativeBias, lambda h: ShawRelativePositions(4)])
def test_a_bias_is_on_the_device_of_the_queries_whatever_the_default_device(make):
    positions, q = make(2), torch.randn(1, 2, 3, 4)
    expected = positions.bias(q, 5)
    with torch.device("meta"):
        assert torch.equal(positions.bias(q, 5), expected)


def test_three_buckets_equal_transformers():
    """One bucket for distance 0, so that the logarithm begins at distance 1."""
    distances = torch.arange(-9, 10)
    theirs = modeling_t5.T5Attention._relative_position_bucket(distances, False, 3, 3)
    assert torch.equal(t5_buckets(distances, 3, 3, bidirectional=False), theirs)
