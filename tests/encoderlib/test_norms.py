"""encoderlib.norms against torch and the equation, where eps matters and at extreme values."""

import numpy as np
import pytest
import torch
from torch import nn

from encoderlib import LayerNorm, RMSNorm

PAIRS = [(LayerNorm, nn.LayerNorm), (RMSNorm, nn.RMSNorm)]
both_norms = pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["LayerNorm", "RMSNorm"])
both_bodies = pytest.mark.parametrize("body", ["forward", "reference"])
only_norms = pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])


def layer_norm_by_loops(x, weight, bias, eps):
    out = np.empty_like(x)
    for place in np.ndindex(x.shape[:-1]):
        row = x[place]
        mean = sum(row) / len(row)
        variance = sum((value - mean) ** 2 for value in row) / len(row)
        out[place] = (row - mean) / (variance + eps) ** 0.5 * weight + bias
    return out


def rms_norm_by_loops(x, weight, eps):
    out = np.empty_like(x)
    for place in np.ndindex(x.shape[:-1]):
        row = x[place]
        out[place] = row / (sum(value**2 for value in row) / len(row) + eps) ** 0.5 * weight
    return out


@both_norms
@both_bodies
@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1000.0])
def test_equal_to_torch_where_eps_matters_and_where_it_does_not(
    ours, theirs, body, eps, scale, randomise
):
    """With eps = 0.1, or rows of tiny variance, an eps outside the root or forgotten shows."""
    norm, oracle = randomise(ours(13, eps)), theirs(13, eps)
    oracle.load_state_dict(norm.state_dict())  # the same names, too
    x = scale * torch.randn(3, 7, 13)
    torch.testing.assert_close(getattr(norm, body)(x), oracle(x))


@both_bodies
@pytest.mark.parametrize("shape", [(13,), (3, 13), (2, 3, 5, 13), (13, 13)], ids=str)
def test_equal_to_the_equation_in_loops(body, shape, randomise):
    x = 3 * torch.randn(shape, dtype=torch.float64) + 1
    layer, rms = (randomise(norm(13, eps=0.1)).double() for norm in (LayerNorm, RMSNorm))
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    np.testing.assert_allclose(
        getattr(layer, body)(x).detach(), layer_norm_by_loops(x.numpy(), weight, bias, 0.1)
    )
    weight = rms.weight.detach().numpy()
    np.testing.assert_allclose(
        getattr(rms, body)(x).detach(), rms_norm_by_loops(x.numpy(), weight, 0.1)
    )


@both_bodies
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_layer_norm_without_a_shift_equals_torch(body, eps, randomise):
    """As in ModernBERT."""
    norm, oracle = randomise(LayerNorm(13, eps, bias=False)), nn.LayerNorm(13, eps, bias=False)
    assert set(norm.state_dict()) == {"weight"}
    assert norm.bias is None
    oracle.load_state_dict(norm.state_dict())
    x = torch.randn(3, 7, 13) + 1
    torch.testing.assert_close(getattr(norm, body)(x), oracle(x))


@only_norms
def test_a_new_norm_has_gain_one_shift_zero_and_the_usual_eps(norm):
    new = norm(7)
    assert new.eps == 1e-5
    assert (new.weight == 1).all()
    assert "bias" not in new.state_dict() or not new.bias.any()
    assert set(new.state_dict()) == ({"weight", "bias"} if norm is LayerNorm else {"weight"})


@both_bodies
def test_layer_norm_gives_mean_zero_and_variance_one(body):
    y = getattr(LayerNorm(64), body)(5 * torch.randn(3, 7, 64) + 100)
    torch.testing.assert_close(y.mean(-1), torch.zeros(3, 7), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.var(-1, correction=0), torch.ones(3, 7), atol=1e-4, rtol=0)


@both_bodies
def test_layer_norm_ignores_shift_and_scale_but_rms_norm_ignores_scale_only(body):
    x = torch.randn(3, 64, dtype=torch.float64)
    layer, rms = LayerNorm(64, 1e-12).double(), RMSNorm(64, 1e-12).double()
    layer, rms = getattr(layer, body), getattr(rms, body)
    torch.testing.assert_close(layer(1000 * x + 100), layer(x))
    torch.testing.assert_close(rms(1000 * x), rms(x))
    assert (rms(x + 100) - rms(x)).abs().max() > 0.1


@both_bodies
def test_a_constant_vector_becomes_the_shift(body, randomise):
    """Erratum E000-17: normalising a single channel erases the input."""
    norm = randomise(LayerNorm(5))
    got = getattr(norm, body)(torch.full((3, 5), 8.0))
    torch.testing.assert_close(got, norm.bias.expand(3, 5))
    one = randomise(LayerNorm(1))
    assert torch.equal(getattr(one, body)(torch.randn(9, 1)), one.bias.expand(9, 1))


@only_norms
@both_bodies
def test_gradients_equal_finite_differences(norm, body, randomise):
    module = randomise(norm(5, eps=0.1)).double()
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(getattr(module, body), (x,))


@only_norms
def test_positions_are_normalised_by_themselves(norm, randomise):
    module = randomise(norm(5))
    x = torch.randn(2, 7, 5)
    changed = x.clone()
    changed[:, 3] += 10.0
    same = [t for t in range(7) if t != 3]
    assert torch.equal(module(x)[:, same], module(changed)[:, same])
    torch.testing.assert_close(module(x[1:]), module(x)[1:])


@only_norms
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_dtype_and_both_bodies_agree(norm, dtype, randomise):
    module = randomise(norm(13)).to(dtype)
    x = torch.randn(3, 7, 13, dtype=dtype)
    got = module(x)
    assert got.dtype == dtype
    torch.testing.assert_close(got, module.reference(x), rtol=0.02, atol=0.05)
    torch.testing.assert_close(got.double(), module.double()(x.double()), rtol=0.02, atol=0.02)
