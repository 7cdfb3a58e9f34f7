"""encoderlib.feedforward, continued: what the mutation run found untested."""

import pytest
import torch

from encoderlib.feedforward import ACTIVATIONS, IN_PLACE, FeedForward


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_activation_has_a_twin_that_writes_over_its_argument(name):
    x = torch.randn(3, 5)
    expected = ACTIVATIONS[name](x)
    result = IN_PLACE[name](x)
    assert result.data_ptr() == x.data_ptr()
    torch.testing.assert_close(x, expected)


def test_without_gradients_the_inner_values_are_written_over():
    feedforward, seen = FeedForward(3, 5), []
    feedforward.activation_in_place = lambda x: seen.append(x) or torch.relu_(x)
    feedforward(torch.randn(2, 3))
    assert len(seen) == 0
    with torch.no_grad():
        feedforward(torch.randn(2, 3))
    assert len(seen) == 1
