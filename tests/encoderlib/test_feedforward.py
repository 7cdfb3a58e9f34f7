"""encoderlib.feedforward against the equation; each position by itself."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from encoderlib import FeedForward

NONLINEARITIES = {
    "relu": lambda z: max(z, 0.0),
    "gelu": lambda z: 0.5 * z * (1.0 + math.erf(z / math.sqrt(2.0))),
}


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize(("d_model", "d_ff"), [(5, 11), (4, 4)])
def test_equal_to_the_equation_with_non_zero_biases(activation, d_model, d_ff, randomise):
    """Erratum E001-12: a bias added to the weight instead of the product passes when it is 0."""
    module = randomise(FeedForward(d_model, d_ff, activation)).double()
    x = 2 * torch.randn(3, 7, d_model, dtype=torch.float64)
    w1, b1, w2, b2 = (p.detach().numpy() for p in module.parameters())
    inner = np.vectorize(NONLINEARITIES[activation])(x.numpy() @ w1.T + b1)
    np.testing.assert_allclose(module(x).detach(), inner @ w2.T + b2)


def test_gelu_is_the_default_in_its_exact_form(randomise):
    module = randomise(FeedForward(5, 11))
    exact, tanh = (
        nn.Sequential(module.linear1, nn.GELU(form), module.linear2) for form in ("none", "tanh")
    )
    x = 3 * torch.randn(50, 5)
    torch.testing.assert_close(module(x), exact(x))
    assert (module(x) - tanh(x)).abs().max() > 1e-4


def test_parameters_of_the_two_maps():
    """Erratum E002-18: one matrix used for several maps."""
    module = FeedForward(5, 11)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert shapes == {
        "linear1.weight": (11, 5),
        "linear1.bias": (11,),
        "linear2.weight": (5, 11),
        "linear2.bias": (5,),
    }


def test_no_position_sees_another(randomise):
    module = randomise(FeedForward(5, 11))
    x = torch.randn(7, 5)
    jacobian = torch.autograd.functional.jacobian(module, x)  # (7, 5, 7, 5)
    assert torch.equal(jacobian.abs().sum(dim=(1, 3)) > 0, torch.eye(7).bool())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_gradients_equal_finite_differences(activation, randomise):
    module = randomise(FeedForward(3, 5, activation)).double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,))


def test_dropout_is_on_the_inner_activations_in_training_only(randomise):
    module = randomise(FeedForward(5, 64, "gelu", dropout=0.5))
    x = torch.randn(50, 5)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))
    lean = FeedForward(5, 64, "gelu")
    lean.load_state_dict(module.state_dict())
    assert torch.equal(module(x), lean(x))
    module.train()
    with torch.no_grad():
        module.linear2.weight.zero_()
    # Nothing is dropped after the second map.
    torch.testing.assert_close(module(x), module.linear2.bias.expand(50, 5))
    with torch.no_grad():
        module.linear1.weight.zero_()
        module.linear1.bias.fill_(1.0)
        module.linear2.weight.fill_(1.0)
        module.linear2.bias.zero_()
    # The sum of the survivors of 64 inner values gelu(1), each doubled: not gelu(2).
    survivors = module(x)[:, 0] / (2 * NONLINEARITIES["gelu"](1.0))
    torch.testing.assert_close(survivors, survivors.round())
    assert 24 < survivors.mean() < 40
    assert survivors.std() > 0


def test_an_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"activation='swish' must be one of \['gelu', 'relu'\]"):
        FeedForward(5, 11, "swish")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_dtype(dtype, randomise):
    module = randomise(FeedForward(5, 11))
    x = torch.randn(7, 5)
    expected = module(x)
    got = module.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.05)
