"""encoderlib.feedforward against the equation; each position by itself."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlamaConfig, ModernBertConfig
from transformers.models.llama.modeling_llama import LlamaMLP
from transformers.models.modernbert.modeling_modernbert import ModernBertMLP

from encoderlib import FeedForward
from encoderlib.feedforward import ACTIVATIONS

NONLINEARITIES = {
    "relu": lambda z: max(z, 0.0),
    "gelu": lambda z: 0.5 * z * (1.0 + math.erf(z / math.sqrt(2.0))),
    "gelu_tanh": lambda z: (
        0.5 * z * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)))
    ),
    "silu": lambda z: z / (1.0 + math.exp(-z)),
}
every_activation = pytest.mark.parametrize("activation", NONLINEARITIES)


def test_the_activations_are_those_tested_here():
    assert set(ACTIVATIONS) == set(NONLINEARITIES)


@every_activation
@pytest.mark.parametrize(("d_model", "d_ff"), [(5, 11), (4, 4)])
def test_equal_to_the_equation_with_non_zero_biases(activation, d_model, d_ff, randomise):
    """Erratum E001-12: a bias added to the weight instead of the product passes when it is 0."""
    module = randomise(FeedForward(d_model, d_ff, activation)).double()
    x = 2 * torch.randn(3, 7, d_model, dtype=torch.float64)
    w1, b1, w2, b2 = (p.detach().numpy() for p in module.parameters())
    inner = np.vectorize(NONLINEARITIES[activation])(x.numpy() @ w1.T + b1)
    np.testing.assert_allclose(module(x).detach(), inner @ w2.T + b2)


@every_activation
@pytest.mark.parametrize(("d_model", "d_ff"), [(5, 11), (4, 4)])
def test_gated_equal_to_the_equation_with_non_zero_biases(activation, d_model, d_ff, randomise):
    """The first half of the fused matrix is activated, the second is the gate."""
    module = randomise(FeedForward(d_model, d_ff, activation, gated=True)).double()
    x = 2 * torch.randn(3, 7, d_model, dtype=torch.float64)
    fused, fused_bias, w2, b2 = (p.detach().numpy() for p in module.parameters())
    w1, w3, b1, b3 = fused[:d_ff], fused[d_ff:], fused_bias[:d_ff], fused_bias[d_ff:]
    inner = np.vectorize(NONLINEARITIES[activation])(x.numpy() @ w1.T + b1)
    expected = (inner * (x.numpy() @ w3.T + b3)) @ w2.T + b2
    np.testing.assert_allclose(module(x).detach(), expected)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "silu"])
def test_gated_equal_to_modernberts_with_the_same_weights(activation, bias, randomise):
    sizes = {"hidden_size": 5, "intermediate_size": 11, "mlp_bias": bias}
    config = ModernBertConfig(hidden_activation=activation, mlp_dropout=0.0, **sizes)
    theirs = randomise(ModernBertMLP(config))
    ours = FeedForward(5, 11, activation, gated=True, bias=bias)
    ours.linear1.load_state_dict(theirs.Wi.state_dict())
    ours.linear2.load_state_dict(theirs.Wo.state_dict())
    x = 2 * torch.randn(3, 7, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_gated_equal_to_llamas_with_its_two_matrices_in_one(randomise):
    config = LlamaConfig(hidden_size=6, num_attention_heads=1, intermediate_size=11)
    theirs, ours = randomise(LlamaMLP(config)), FeedForward(6, 11, "silu", gated=True, bias=False)
    ours.linear1.weight.data = torch.cat([theirs.gate_proj.weight, theirs.up_proj.weight])
    ours.linear2.weight.data = theirs.down_proj.weight.data
    x = 2 * torch.randn(3, 7, 6)
    torch.testing.assert_close(ours(x), theirs(x))


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
    module = FeedForward(5, 11, gated=True, bias=False)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert shapes == {"linear1.weight": (22, 5), "linear2.weight": (5, 11)}


def test_a_new_plain_network_draws_what_two_linear_maps_draw():
    """Chapters count on their random numbers."""
    torch.manual_seed(5)
    expected = [p for size in ((5, 11), (11, 5)) for p in nn.Linear(*size).parameters()]
    torch.manual_seed(5)
    for got, wanted in zip(FeedForward(5, 11).parameters(), expected, strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("gated", [False, True])
def test_no_position_sees_another(gated, randomise):
    module = randomise(FeedForward(5, 11, gated=gated))
    x = torch.randn(7, 5)
    jacobian = torch.autograd.functional.jacobian(module, x)  # (7, 5, 7, 5)
    assert torch.equal(jacobian.abs().sum(dim=(1, 3)) > 0, torch.eye(7).bool())


@every_activation
@pytest.mark.parametrize("gated", [False, True])
def test_gradients_equal_finite_differences(activation, gated, randomise):
    module = randomise(FeedForward(3, 5, activation, gated=gated)).double()
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


def test_dropout_of_a_gated_network_drops_and_doubles_each_inner_value_once():
    module = FeedForward(5, 64, "relu", dropout=0.5, gated=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
        module.linear2.bias.zero_()
    # Each inner value is 6 * 6 for x = 1, doubled when it survives.
    survivors = module(torch.ones(50, 5))[:, 0] / 72
    torch.testing.assert_close(survivors, survivors.round())
    assert 24 < survivors.mean() < 40
    assert survivors.std() > 0


def test_an_unknown_activation_is_refused_with_the_known_ones():
    message = r"activation='swish' must be one of \['gelu', 'gelu_tanh', 'relu', 'silu'\]"
    with pytest.raises(ValueError, match=message):
        FeedForward(5, 11, "swish")


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_dtype(dtype, gated, randomise):
    module = randomise(FeedForward(5, 11, gated=gated))
    x = torch.randn(7, 5)
    expected = module(x)
    got = module.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_without_gradients_the_result_is_the_same_and_the_input_is_kept(
    activation, gated, randomise
):
    feedforward = randomise(FeedForward(7, 13, activation, gated=gated))
    x = torch.randn(3, 5, 7)
    kept = x.clone()
    expected = feedforward(x)
    with torch.no_grad():
        assert torch.equal(feedforward(x), expected)
    with torch.inference_mode():
        assert torch.equal(feedforward(x), expected)
    assert torch.equal(x, kept)


def test_a_hook_on_the_first_map_sees_its_output_before_the_activation(randomise):
    feedforward = randomise(FeedForward(7, 13, "relu"))
    seen = []
    feedforward.linear1.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = torch.randn(5, 7)
    with torch.no_grad():
        feedforward(x)
        expected = nn.functional.linear(x, feedforward.linear1.weight, feedforward.linear1.bias)
    assert torch.equal(seen[0], expected)
    assert (seen[0] < 0).any()
