"""encoderlib.attention against torch, a loop over numbers, invariances and extreme values."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from encoderlib import (
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    combine_masks,
    lengths_to_tokens,
    padding_mask,
    scaled_dot_product_attention,
    scaled_dot_product_attention_reference,
)
from encoderlib.masks import from_torch_key_padding, to_torch_key_padding

BODIES = [scaled_dot_product_attention, scaled_dot_product_attention_reference]
both_bodies = pytest.mark.parametrize("attend", BODIES, ids=["fused", "reference"])

# (B, H, T, S, d_k, d_v): all different primes, then sizes that coincide.
SIZES = [(3, 2, 7, 11, 5, 13), (4, 4, 4, 4, 4, 4), (2, 5, 5, 3, 2, 2), (3, 1, 3, 3, 2, 3)]
all_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)


def inputs(sizes, dtype=torch.float32):
    batch, heads, targets, sources, d_k, d_v = sizes
    return (
        torch.randn(batch, heads, targets, d_k, dtype=dtype),
        torch.randn(batch, heads, sources, d_k, dtype=dtype),
        torch.randn(batch, heads, sources, d_v, dtype=dtype),
    )


def masks_for(sizes):
    """A padding mask, a (T, S) mask, one that differs by head, and all together."""
    batch, heads, targets, sources = sizes[:4]
    lengths = torch.arange(batch) % sources + 1
    padding = padding_mask(lengths_to_tokens(lengths, sources))
    position = torch.rand(1, 1, targets, sources) < 0.6
    position[..., 0] = True
    by_head = torch.rand(batch, heads, targets, sources) < 0.7
    return {
        "none": None,
        "padding": padding,
        "position": position,
        "all": combine_masks(padding, position, by_head),  # with rows that see nothing
    }


def attention_by_loops(query, key, value, mask=None):
    """The equation, one number at a time, in float64. Returns the weights and the outputs."""
    q, k, v = (x.detach().double().numpy() for x in (query, key, value))
    (batch, heads, targets, d_k), sources = q.shape, k.shape[2]
    weights = np.zeros((batch, heads, targets, sources))
    output = np.zeros((batch, heads, targets, v.shape[3]))
    seen = np.ones(weights.shape, bool)
    if mask is not None:
        seen = np.broadcast_to(mask.numpy(), weights.shape)
    for b, h, t in np.ndindex(batch, heads, targets):
        scores = {
            s: sum(q[b, h, t, i] * k[b, h, s, i] for i in range(d_k)) / math.sqrt(d_k)
            for s in range(sources)
            if seen[b, h, t, s]
        }
        top = max(scores.values(), default=0.0)
        total = sum(math.exp(score - top) for score in scores.values())
        for s, score in scores.items():
            weights[b, h, t, s] = math.exp(score - top) / total
            output[b, h, t] += weights[b, h, t, s] * v[b, h, s]
    return torch.from_numpy(weights), torch.from_numpy(output)


# --- the equation ---


@all_sizes
@pytest.mark.parametrize("which", ["none", "padding", "position", "all"])
def test_weights_and_outputs_equal_the_equation_in_loops(sizes, which):
    query, key, value = inputs(sizes, torch.float64)
    mask = masks_for(sizes)[which]
    weights, output = attention_by_loops(query, key, value, mask)
    torch.testing.assert_close(attention_weights(query, key, mask), weights)
    for attend in BODIES:
        torch.testing.assert_close(attend(query, key, value, mask), output)


@all_sizes
@pytest.mark.parametrize("which", ["none", "padding", "position"])
def test_both_bodies_equal_torch(sizes, which):
    query, key, value = inputs(sizes)
    mask = masks_for(sizes)[which]
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    for attend in BODIES:
        torch.testing.assert_close(attend(query, key, value, mask), expected)


@both_bodies
@pytest.mark.parametrize("batch", [(), (3,), (2, 3, 5)], ids=str)
def test_any_number_of_batch_axes(attend, batch):
    query, key, value = (
        torch.randn(*batch, length, width, dtype=torch.float64)
        for length, width in ((7, 2), (5, 2), (5, 3))
    )
    mask = torch.ones(7, 5, dtype=torch.bool).tril()
    got = attend(query, key, value, mask)
    assert got.shape == (*batch, 7, 3)
    flat = [x.reshape(-1, 1, *x.shape[-2:]) for x in (query, key, value)]
    expected = attention_by_loops(*flat, mask)[1].reshape(got.shape)
    torch.testing.assert_close(got, expected)


@all_sizes
def test_rows_of_weights_sum_to_one_and_hidden_keys_have_exactly_zero(sizes):
    """Erratum E002-13: a mask applied after the softmax leaves rows that sum to less than 1."""
    query, key, _ = inputs(sizes)
    mask = masks_for(sizes)["all"]
    weights = attention_weights(query, key, mask)
    seen = mask.expand(weights.shape)
    assert (weights[~seen] == 0).all()
    assert (weights[seen] > 0).all()
    torch.testing.assert_close(weights.sum(-1), seen.any(-1).float())


@both_bodies
def test_hidden_keys_and_values_do_not_matter(attend):
    query, key, value = inputs(SIZES[0])
    mask = masks_for(SIZES[0])["padding"]
    hidden = ~mask[:, :, 0, :, None]
    before = attend(query, key, value, mask)
    after = attend(query, key + 50.0 * hidden, value - 1e6 * hidden, mask)
    assert torch.equal(before, after)


@both_bodies
def test_equal_values_come_back_unchanged(attend):
    query, key, value = inputs(SIZES[0])
    got = attend(query, key, torch.ones_like(value), masks_for(SIZES[0])["position"])
    torch.testing.assert_close(got, torch.ones_like(got))


def test_scores_are_scaled_so_that_width_does_not_sharpen_attention():
    """Errata E004-14 and E003-03: no scale, or the root of d_model instead of d_k."""
    entropies = []
    for d_k in (16, 512):
        weights = attention_weights(torch.randn(256, d_k), torch.randn(64, d_k))
        entropies.append(-(weights * weights.clamp_min(1e-30).log()).sum(-1).mean().item())
    assert max(entropies) - min(entropies) < 0.1
    assert min(entropies) > 3.0  # of log(64) = 4.16


@both_bodies
def test_queries_and_values_are_not_interchangeable(attend):
    """Erratum E003-08: arguments in another order pass unseen when T == S and d_k == d_v."""
    a, b, c = torch.randn(3, 1, 1, 4, 4, dtype=torch.float64).unbind(0)
    expected = attention_by_loops(a, b, c)[1]
    torch.testing.assert_close(attend(a, b, c), expected)
    assert (attend(c, b, a) - expected).abs().max() > 0.1


@both_bodies
@pytest.mark.parametrize("which", ["none", "padding", "all"])
def test_gradients_equal_finite_differences(attend, which):
    sizes = (2, 1, 3, 5, 2, 3)
    query, key, value = (x.requires_grad_() for x in inputs(sizes, torch.float64))
    mask = masks_for(sizes)[which]
    assert torch.autograd.gradcheck(lambda *qkv: attend(*qkv, mask), (query, key, value))


# --- extreme values ---


@both_bodies
@pytest.mark.parametrize("change", [lambda x: 1000 * x, lambda x: x + 100], ids=["1000x", "x+100"])
def test_large_inputs_stay_exact(attend, change):
    """Erratum E004-16: exp of a large score overflows unless the maximum is taken off."""
    query, key, value = inputs(SIZES[0])
    query, key = change(query), change(key)
    mask = masks_for(SIZES[0])["position"]
    got = attend(query, key, value, mask)
    assert got.isfinite().all()
    expected = attention_by_loops(query, key, value, mask)[1]
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("visible", [-1e4, -1e9, -1e20, -1e30])
def test_a_hidden_key_gets_exactly_nothing_however_low_the_visible_scores(visible):
    """Erratum E003-04: a mask filled with -1e4, -1e9 or -1e20 loses to lower visible scores."""
    query = torch.ones(1, 1, 1, 1)
    key = torch.tensor([visible, visible, 0.0, 1e30]).reshape(1, 1, 4, 1)
    value = torch.tensor([1.0, 3.0, 100.0, 100.0]).reshape(1, 1, 4, 1)
    mask = padding_mask(torch.tensor([[True, True, False, False]]))
    assert attention_weights(query, key, mask).flatten().tolist() == [0.5, 0.5, 0.0, 0.0]
    for attend in BODIES:
        assert attend(query, key, value, mask).item() == 2.0


@both_bodies
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_query_that_sees_nothing_gets_zeros_and_finite_gradients(attend, dtype):
    """Erratum E003-05: uniform attention over padding, or NaN that spreads by the gradient."""
    query, key, value = (x.requires_grad_() for x in inputs((2, 3, 5, 7, 2, 3), dtype))
    mask = torch.ones(2, 1, 5, 7, dtype=torch.bool)
    mask[0, :, 2] = False  # one query
    mask[1] = False  # a whole sequence
    output = attend(query, key, value, mask)
    assert output.dtype == dtype
    assert (output[0, :, 2] == 0).all()
    assert (output[1] == 0).all()
    assert (output[0, :, [0, 1, 3, 4]] != 0).all()
    output.float().square().sum().backward()
    for x in (query, key, value):
        assert x.grad.isfinite().all()
        assert (x.grad[1] == 0).all()
        assert (x.grad[0] != 0).any()
    assert (query.grad[0, :, 2] == 0).all()


def test_weights_of_a_query_that_sees_nothing_are_zeros():
    query, key, _ = (x.requires_grad_() for x in inputs((2, 3, 5, 7, 2, 3)))
    mask = torch.zeros(2, 1, 1, 7, dtype=torch.bool)
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way to the gradient either
        weights = attention_weights(query, key, mask)
        weights.sum().backward()
    assert (weights == 0).all()
    assert (query.grad == 0).all()


@both_bodies
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
@pytest.mark.parametrize("which", ["none", "all"])
def test_half_precision_keeps_its_dtype_and_is_close(attend, dtype, tolerance, which):
    query, key, value = inputs(SIZES[0], dtype)
    mask = masks_for(SIZES[0])[which]
    got = attend(query, key, value, mask)
    assert got.dtype == dtype
    expected = attention_by_loops(query, key, value, mask)[1]
    torch.testing.assert_close(got.double(), expected, rtol=tolerance, atol=tolerance)


# --- dropout ---


@both_bodies
def test_dropout_removes_weights_and_scales_the_rest(attend):
    query, key = torch.randn(1, 1, 50, 4), torch.randn(1, 1, 40, 4)
    identity = torch.eye(40)[None, None]  # the output is then the weights themselves
    weights = attention_weights(query, key)
    got = attend(query, key, identity, dropout=0.25)
    kept = got != 0
    assert 0.7 < kept.float().mean() < 0.8
    torch.testing.assert_close(got[kept], weights[kept] / 0.75)
    torch.testing.assert_close(attend(query, key, identity, dropout=0.0), weights)
    # A dropped weight is dropped for all columns of the value.
    left, right = attend(query, key, torch.cat([identity] * 2, -1), dropout=0.25).chunk(2, -1)
    assert torch.equal(left, right)


# --- refusals ---


@both_bodies
def test_a_mask_that_is_not_boolean_is_refused(attend, unchecked):
    query, key, value = inputs(SIZES[0])
    with pytest.raises(TypeError, match=r"masks\.from_huggingface"):
        attend(query, key, value, torch.ones(3, 1, 1, 11))
    with pytest.raises(TypeError, match=r"masks\.from_additive"):
        attend(query, key, value, torch.zeros(3, 1, 1, 11, dtype=torch.long))


@both_bodies
def test_a_mask_that_would_enlarge_the_scores_is_refused(attend):
    query, key, value = (x[:1] for x in inputs(SIZES[0]))
    with pytest.raises(ValueError, match="does not broadcast"):
        attend(query, key, value, torch.ones(3, 1, 1, 11, dtype=torch.bool))
    with pytest.raises(ValueError, match="does not broadcast"):
        attend(query, key, value, torch.ones(1, 1, 7, 12, dtype=torch.bool))


# --- multi-head attention ---

B, T, S, H, D = 3, 7, 11, 2, 26  # B, T, S, H and D / H are different primes
COINCIDENT = (4, 4, 4, 4, 16)  # B = T = S = H = D / H
two_sizes = pytest.mark.parametrize("sizes", [(B, T, S, H, D), COINCIDENT], ids=str)


def pair(d_model, n_heads, randomise, bias=True):
    """Our module and torch's, with the same random parameters, biases included."""
    ours = randomise(MultiHeadAttention(d_model, n_heads, bias=bias))
    theirs = nn.MultiheadAttention(d_model, n_heads, bias=bias, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.in_proj.weight)
        theirs.out_proj.weight.copy_(ours.out_proj.weight)
        if bias:
            theirs.in_proj_bias.copy_(ours.in_proj.bias)
            theirs.out_proj.bias.copy_(ours.out_proj.bias)
    return ours, theirs


@two_sizes
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_self_attention_equals_torch(sizes, bias, masked, randomise):
    batch, targets, _, heads, d_model = sizes
    ours, theirs = pair(d_model, heads, randomise, bias)
    x = torch.randn(batch, targets, d_model)
    tokens = lengths_to_tokens(torch.arange(batch) + 1, targets)
    mask = combine_masks(padding_mask(tokens), causal_mask(targets)) if masked else None
    expected, weights = theirs(
        x,
        x,
        x,
        key_padding_mask=to_torch_key_padding(tokens) if masked else None,
        attn_mask=~causal_mask(targets)[0, 0] if masked else None,
        average_attn_weights=False,
    )
    torch.testing.assert_close(ours(x, mask=mask), expected)
    torch.testing.assert_close(ours.weights(x, mask=mask), weights)


@two_sizes
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_equals_torch(sizes, bias, masked, randomise):
    batch, targets, sources, heads, d_model = sizes
    ours, theirs = pair(d_model, heads, randomise, bias)
    x, memory = torch.randn(batch, targets, d_model), torch.randn(batch, sources, d_model)
    ignored = ~lengths_to_tokens(torch.arange(batch) + 1, sources) if masked else None
    mask = from_torch_key_padding(ignored) if masked else None
    expected, weights = theirs(
        x, memory, memory, key_padding_mask=ignored, average_attn_weights=False
    )
    torch.testing.assert_close(ours(x, memory, mask), expected)
    torch.testing.assert_close(ours.weights(x, memory, mask), weights)
    assert weights.shape == (batch, heads, targets, sources)


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_self_attention_equal_torch(bias, randomise):
    ours, theirs = (module.double() for module in pair(D, H, randomise, bias))
    x = torch.randn(B, T, D, dtype=torch.float64)
    ours(x).square().sum().backward()
    theirs(x, x, x)[0].square().sum().backward()
    torch.testing.assert_close(ours.in_proj.weight.grad, theirs.in_proj_weight.grad)
    torch.testing.assert_close(ours.out_proj.weight.grad, theirs.out_proj.weight.grad)


def test_attending_to_oneself_as_key_is_self_attention(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    x = torch.randn(B, T, D)
    torch.testing.assert_close(attention(x, x), attention(x))


def test_each_head_gets_its_own_neighbouring_columns():
    """Erratum E002-12: a view to (B, H, T, d) without a transpose mixes positions and heads."""
    attention = MultiHeadAttention(8, 2)
    x = torch.arange(24.0).reshape(1, 3, 8)
    heads = attention.split_heads(x)
    assert heads.shape == (1, 2, 3, 4)
    assert heads[0, 1, 0].tolist() == [4, 5, 6, 7]
    assert heads[0, 0, 2].tolist() == [16, 17, 18, 19]


def test_the_number_of_heads_matters(randomise):
    """Erratum E002-12: ``num_heads`` is taken and ignored."""
    one, two = randomise(MultiHeadAttention(D, 1)), MultiHeadAttention(D, 2)
    two.load_state_dict(one.state_dict())
    x = torch.randn(B, T, D)
    assert (one(x) - two(x)).abs().max() > 1e-3
    assert two.weights(x).shape == (B, 2, T, T)


def test_projections_are_not_shared_by_the_heads(randomise):
    """Erratum E003-02: one small projection for all heads, which see their own columns only."""
    attention = randomise(MultiHeadAttention(D, H))
    x = torch.randn(1, T, D, requires_grad=True)
    attention.project(x)[0][:, 0].sum().backward()
    assert (x.grad != 0).all()  # head 0 reads all columns of x
    x = torch.randn(1, T, D)
    before = attention.weights(x)
    with torch.no_grad():
        attention.in_proj.weight[: D // H] += 1.0  # the query rows of head 0
    after = attention.weights(x)
    assert (before[:, 0] - after[:, 0]).abs().max() > 1e-3
    assert torch.equal(before[:, 1], after[:, 1])


def test_parameters_are_as_many_as_torch_has():
    """Erratum E000-05: heads of width d_model instead of d_model / H."""
    for bias in (True, False):
        ours = MultiHeadAttention(64, 8, bias=bias)
        count = sum(p.numel() for p in ours.parameters())
        assert count == 4 * 64**2 + bias * 4 * 64


def test_initial_values_are_glorot_uniform_with_zero_biases():
    attention = MultiHeadAttention(64, 4)
    assert not attention.in_proj.bias.any()
    assert not attention.out_proj.bias.any()
    for weight, bound in (
        (attention.in_proj.weight, math.sqrt(6 / (64 + 3 * 64))),
        (attention.out_proj.weight, math.sqrt(6 / (64 + 64))),
    ):
        assert 0.98 * bound < weight.abs().max() <= bound


def test_permuting_the_tokens_permutes_the_outputs(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    x, order = torch.randn(B, T, D), torch.randperm(T)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


def test_with_a_causal_mask_no_output_depends_on_a_later_input(randomise):
    """Erratum E004-12: without the mask each position reads the answer."""
    attention = randomise(MultiHeadAttention(D, H))
    x = torch.randn(1, T, D)

    def reads(mask):
        jacobian = torch.autograd.functional.jacobian(lambda z: attention(z, mask=mask)[0], x)
        return jacobian.abs().sum(dim=(1, 2, 4)) > 0  # (T, T): does output t read input s

    assert torch.equal(reads(causal_mask(T)), torch.ones(T, T).tril().bool())
    assert reads(None).all()


def test_padding_does_not_change_real_tokens(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    x = torch.randn(B, T, D)
    padded = torch.cat([x, 100 * torch.randn(B, 5, D)], dim=1)
    mask = padding_mask(lengths_to_tokens(torch.full((B,), T), T + 5))
    torch.testing.assert_close(attention(padded, mask=mask)[:, :T], attention(x))


def test_a_query_that_sees_nothing_gets_the_output_bias(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    got = attention(torch.randn(B, T, D), mask=torch.zeros(B, 1, 1, T, dtype=torch.bool))
    torch.testing.assert_close(got, attention.out_proj.bias.expand(B, T, D))


def test_attention_dropout_is_on_in_training_and_off_in_eval():
    """Erratum E002-15: functional dropout that does not know of eval()."""
    attention = MultiHeadAttention(D, H, dropout=0.5)
    x = torch.randn(B, T, D)
    assert not torch.equal(attention(x), attention(x))
    weights = attention.weights(x)
    torch.testing.assert_close(weights.sum(-1), torch.ones(B, H, T))  # no dropout to look at
    attention.eval()
    assert torch.equal(attention(x), attention(x))
    lean = MultiHeadAttention(D, H)
    lean.load_state_dict(attention.state_dict())
    assert torch.equal(attention(x), lean(x))  # training mode, dropout 0


@pytest.mark.parametrize("call", [MultiHeadAttention.forward, MultiHeadAttention.weights])
def test_a_mask_of_fewer_axes_is_refused_with_the_builder(call, unchecked):
    """Erratum E003-06: a (B, S) mask broadcasts as (T, S) when B == T, without an error."""
    attention = MultiHeadAttention(16, 4)
    x = torch.randn(4, 4, 16)  # B = T = S = H
    tokens = lengths_to_tokens(torch.tensor([4, 3, 2, 1]))
    for mask in (tokens, tokens[:, None, :]):
        with pytest.raises(ValueError, match=r"four axes.*masks\.padding_mask"):
            call(attention, x, mask=mask)
    call(attention, x, mask=padding_mask(tokens))


def test_a_mask_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="does not broadcast"):
        MultiHeadAttention(D, H)(
            torch.randn(B, T, D), mask=torch.ones(B, 1, 1, T + 1, dtype=torch.bool)
        )


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        MultiHeadAttention(8, 3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_module_follows_its_dtype(dtype, randomise):
    attention = randomise(MultiHeadAttention(D, H))
    x = torch.randn(B, T, D)
    mask = padding_mask(lengths_to_tokens(torch.tensor([7, 3, 0]), T))
    expected = attention(x, mask=mask)
    got = attention.to(dtype)(x.to(dtype), mask=mask)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.1)


def test_state_survives_a_round_trip(randomise, tmp_path):
    attention = randomise(MultiHeadAttention(D, H))
    torch.save(attention.state_dict(), tmp_path / "weights.pt")
    copy = MultiHeadAttention(D, H)
    copy.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x = torch.randn(B, T, D)
    assert torch.equal(copy(x), attention(x))
