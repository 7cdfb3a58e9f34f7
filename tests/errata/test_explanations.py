"""Errata about what an attention map explains."""

import torch


def test_two_attention_maps_give_one_output_and_hiding_a_token_tells_them_apart():
    """E001-25: a map is one possible account of an output; change the input to test it."""
    n_keys, width = 7, 3
    values = torch.randn(n_keys, width, dtype=torch.float64)
    first = torch.randn(n_keys, dtype=torch.float64).softmax(-1)
    # A direction that changes neither the sum of the weights nor the mean of the values.
    constraints = torch.cat([values, torch.ones(n_keys, 1, dtype=torch.float64)], dim=1).T
    direction = torch.linalg.svd(constraints).Vh[-1]
    second = first + 0.9 * direction * (first / direction.abs()).min()
    for weights in (first, second):
        assert (weights > 0).all()
        torch.testing.assert_close(weights.sum(), torch.ones((), dtype=torch.float64))
    assert (first - second).abs().sum() / 2 > 0.02  # the maps differ
    torch.testing.assert_close(first @ values, second @ values)  # the outputs do not

    def without(weights, hidden):
        kept = weights.clone()
        kept[hidden] = 0
        return kept / kept.sum() @ values

    gaps = [(without(first, k) - without(second, k)).abs().max() for k in range(n_keys)]
    assert max(gaps) > 0.01
