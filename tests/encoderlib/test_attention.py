"""encoderlib.attention against torch, a loop over numbers, invariances and extreme values."""

import functools
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from encoderlib import (
    attention,
    attention_weights,
    causal_mask,
    combine_masks,
    lengths_to_tokens,
    padding_mask,
    scaled_dot_product_attention,
    scaled_dot_product_attention_reference,
)
from encoderlib.attention import choose_method

fused = functools.partial(scaled_dot_product_attention, method="fused")
BODIES = [fused, scaled_dot_product_attention_reference]
both_bodies = pytest.mark.parametrize("attend", BODIES, ids=["fused", "reference"])
METHODS = ("auto", "reference", "fused")

# (B, H, T, S, d_k, d_v): all different primes, then sizes that coincide.
SIZES = [(3, 2, 7, 11, 5, 13), (4, 4, 4, 4, 4, 4), (2, 5, 5, 3, 2, 2), (3, 1, 3, 3, 2, 3)]
all_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)
HALF = [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)]
half_precision = pytest.mark.parametrize(("dtype", "tolerance"), HALF)


def inputs(sizes, dtype=torch.float32, kv_heads=None):
    batch, heads, targets, sources, d_k, d_v = sizes
    kv_heads = heads if kv_heads is None else kv_heads
    return (
        torch.randn(batch, heads, targets, d_k, dtype=dtype),
        torch.randn(batch, kv_heads, sources, d_k, dtype=dtype),
        torch.randn(batch, kv_heads, sources, d_v, dtype=dtype),
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


def biases_for(sizes, dtype=torch.float32):
    """No bias, one number a key, one matrix a head, and one number a score."""
    batch, heads, targets, sources = sizes[:4]
    shapes = {"key": (1, 1, 1, sources), "head": (1, heads, targets, sources)}
    shapes["all"] = (batch, heads, targets, sources)
    return {"none": None} | {n: torch.randn(shape, dtype=dtype) for n, shape in shapes.items()}


def attention_by_loops(query, key, value, mask=None, bias=None, causal=False):
    """The equation, one number at a time, in float64. Returns the weights and the outputs."""
    q, k, v = (x.detach().double().numpy() for x in (query, key, value))
    (batch, heads, targets, d_k), (groups, sources) = q.shape, k.shape[1:3]
    weights = np.zeros((batch, heads, targets, sources))
    output = np.zeros((batch, heads, targets, v.shape[3]))
    seen = np.ones(weights.shape, bool)
    if mask is not None:
        seen = np.broadcast_to(mask.numpy(), weights.shape)
    added = np.zeros(weights.shape)
    if bias is not None:
        added = np.broadcast_to(bias.detach().double().numpy(), weights.shape)
    for b, h, t in np.ndindex(batch, heads, targets):
        g = h * groups // heads
        scores = {
            s: sum(q[b, h, t, i] * k[b, g, s, i] for i in range(d_k)) / math.sqrt(d_k)
            + added[b, h, t, s]
            for s in range(sources)
            if seen[b, h, t, s] and not (causal and s > t + sources - targets)
        }
        top = max(scores.values(), default=0.0)
        total = sum(math.exp(score - top) for score in scores.values())
        for s, score in scores.items():
            weights[b, h, t, s] = math.exp(score - top) / total
            output[b, h, t] += weights[b, h, t, s] * v[b, g, s]
    return torch.from_numpy(weights), torch.from_numpy(output)


# --- the equation ---


@all_sizes
@pytest.mark.parametrize("which", ["none", "padding", "position", "all"])
def test_weights_and_outputs_equal_the_equation_in_loops(sizes, which):
    """Every mask with every bias, with and without the causal flag."""
    query, key, value = inputs(sizes, torch.float64)
    mask = masks_for(sizes)[which]
    triangle = (False, True) if sizes[3] >= sizes[2] else (False,)
    for bias, causal in itertools.product(biases_for(sizes, torch.float64).values(), triangle):
        weights, output = attention_by_loops(query, key, value, mask, bias, causal)
        got = attention_weights(query, key, mask, bias=bias, causal=causal)
        torch.testing.assert_close(got, weights)
        for attend in BODIES:
            got = attend(query, key, value, mask, bias=bias, causal=causal)
            torch.testing.assert_close(got, output)


@all_sizes
@pytest.mark.parametrize("which", ["none", "padding", "position"])
def test_every_method_equals_torch(sizes, which):
    query, key, value = inputs(sizes)
    mask = masks_for(sizes)[which]
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    for method in METHODS:
        got = scaled_dot_product_attention(query, key, value, mask, method=method)
        torch.testing.assert_close(got, expected)


@both_bodies
@pytest.mark.parametrize("batch", [(), (3,), (2, 3, 5)], ids=str)
def test_any_number_of_batch_axes(attend, batch):
    query, key, value = (
        torch.randn(*batch, length, width, dtype=torch.float64)
        for length, width in ((7, 2), (7, 2), (7, 3))
    )
    mask, bias = torch.rand(7, 7) < 0.7, torch.randn(7, 7, dtype=torch.float64)
    flat = [x.reshape(-1, 1, *x.shape[-2:]) for x in (query, key, value)]
    for arguments in (
        {},
        {"causal": True},
        {"mask": mask},
        {"mask": mask, "bias": bias, "causal": True},
    ):
        got = attend(query, key, value, **arguments)
        assert got.shape == (*batch, 7, 3)
        expected = attention_by_loops(*flat, **arguments)[1].reshape(got.shape)
        torch.testing.assert_close(got, expected)


@both_bodies
@pytest.mark.parametrize("shape", [(), (11,), (7, 1), (7, 11), (2, 1, 1), (3, 1, 7, 1)], ids=str)
def test_a_mask_and_a_bias_of_any_shape_are_broadcast(attend, shape):
    query, key, value = inputs(SIZES[0])
    mask, bias = torch.rand(shape) < 0.6, torch.randn(shape)
    whole = (3, 2, 7, 11)
    for given in ({"mask": mask}, {"bias": bias}, {"mask": mask, "bias": bias}):
        expected = attend(query, key, value, **{k: v.expand(whole) for k, v in given.items()})
        torch.testing.assert_close(attend(query, key, value, **given), expected)


@all_sizes
def test_rows_of_weights_sum_to_one_and_hidden_keys_have_exactly_zero(sizes):
    """Erratum E002-13: a mask applied after the softmax leaves rows that sum to less than 1."""
    query, key, _ = inputs(sizes)
    mask = masks_for(sizes)["all"]
    for bias in biases_for(sizes).values():
        weights = attention_weights(query, key, mask, bias=bias)
        seen = mask.expand(weights.shape)
        assert (weights[~seen] == 0).all()
        assert (weights[seen] > 0).all()
        torch.testing.assert_close(weights.sum(-1), seen.any(-1).float())


@both_bodies
@pytest.mark.parametrize("with_bias", [False, True])
def test_hidden_keys_and_values_do_not_matter(attend, with_bias):
    query, key, value = inputs(SIZES[0])
    mask = masks_for(SIZES[0])["padding"]
    bias = torch.randn(3, 2, 7, 11) if with_bias else None
    hidden = ~mask[:, :, 0, :, None]
    before = attend(query, key, value, mask, bias=bias)
    after = attend(query, key + 50.0 * hidden, value - 1e6 * hidden, mask, bias=bias)
    assert torch.equal(before, after)
    if with_bias:
        assert torch.equal(before, attend(query, key, value, mask, bias=bias + 1e6 * ~mask))


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


# --- gradients ---


@both_bodies
@pytest.mark.parametrize("which", ["none", "padding", "all"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [None, (1, 2, 3, 5), (1, 1, 1, 5)], ids=str)
def test_gradients_equal_finite_differences(attend, which, causal, shape):
    """Of queries, keys, values and bias; two query heads share one key head."""
    sizes = (2, 2, 3, 5, 2, 3)
    given = [x.requires_grad_() for x in inputs(sizes, torch.float64, kv_heads=1)]
    mask = masks_for(sizes)[which]
    if shape:
        given.append(torch.randn(shape, dtype=torch.float64, requires_grad=True))

    def function(query, key, value, bias=None):
        return attend(query, key, value, mask, bias=bias, causal=causal)

    assert torch.autograd.gradcheck(function, given, fast_mode=True)


@half_precision
def test_gradients_in_half_precision_are_close_in_both_bodies(dtype, tolerance):
    given = [*inputs(SIZES[0], dtype), torch.randn(1, 2, 7, 11, dtype=dtype)]
    mask = masks_for(SIZES[0])["position"]

    def gradients(attend, dtype):
        leaves = [x.clone().to(dtype).requires_grad_() for x in given]
        attend(*leaves[:3], mask, bias=leaves[3]).sin().sum().backward()
        return [leaf.grad for leaf in leaves]

    expected = gradients(fused, torch.float64)
    for attend in BODIES:
        for got, exact in zip(gradients(attend, dtype), expected, strict=True):
            assert got.dtype == dtype
            assert (got - exact).norm() < tolerance * exact.norm()


# --- the causal flag ---


@both_bodies
@pytest.mark.parametrize(("targets", "sources"), [(7, 7), (3, 7), (1, 7), (1, 1)])
def test_the_causal_flag_is_the_causal_mask_aligned_with_the_last_keys(attend, targets, sources):
    query, key, value = inputs((2, 3, targets, sources, 5, 2))
    triangle = causal_mask(targets, sources)
    got = attend(query, key, value, causal=True)
    torch.testing.assert_close(got, attend(query, key, value, triangle))
    # The last queries of a whole sequence: what decoding with a cache needs.
    whole = torch.cat([torch.randn(2, 3, sources - targets, 5), query], dim=2)
    torch.testing.assert_close(got, attend(whole, key, value, causal=True)[:, :, -targets:])
    padding = padding_mask(lengths_to_tokens(torch.tensor([sources, 1]), sources))
    torch.testing.assert_close(
        attend(query, key, value, padding, causal=True),
        attend(query, key, value, padding & triangle),
    )


@both_bodies
def test_the_causal_flag_needs_a_key_for_each_query(attend):
    query, key, value = inputs((1, 1, 5, 3, 2, 2))
    with pytest.raises(ValueError, match="source_size=3 is smaller than size=5"):
        attend(query, key, value, causal=True)


def test_the_fused_kernel_gets_the_cheapest_form(monkeypatch):
    """No triangle in memory when ``is_causal`` will do, and a mask that stays boolean and small."""
    seen = []

    def spy(query, key, value, **given):
        seen.append(given)
        return query

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    query = torch.randn(3, 2, 7, 5)
    mask = padding_mask(lengths_to_tokens(torch.tensor([7, 3, 1])))
    fused(query, query, query, causal=True)
    fused(query, query, query, mask, dropout=0.25)
    fused(query, query, query, mask, causal=True)
    assert seen[0] == {"attn_mask": None, "dropout_p": 0.0, "is_causal": True}
    assert seen[1] == {"attn_mask": mask, "dropout_p": 0.25, "is_causal": False}
    assert seen[2]["attn_mask"].dtype == torch.bool
    assert not seen[2]["is_causal"]
    fused(*(torch.empty(3, 2, length, 5, device="meta") for length in (2, 7, 7)), causal=True)
    assert seen[3]["attn_mask"].device.type == "meta"  # the triangle is where the inputs are


# --- grouped queries ---


@both_bodies
@pytest.mark.parametrize("kv_heads", [1, 2, 3, 6])
@pytest.mark.parametrize("sizes", [(2, 6, 5, 7, 3, 2), (6, 6, 6, 6, 6, 6)], ids=str)
def test_each_key_head_serves_neighbouring_query_heads(attend, kv_heads, sizes):
    query, key, value = inputs(sizes, torch.float64, kv_heads)
    mask, bias = masks_for(sizes)["all"], biases_for(sizes, torch.float64)["head"]
    weights, expected = attention_by_loops(query, key, value, mask, bias)
    torch.testing.assert_close(attention_weights(query, key, mask, bias=bias), weights)
    got = attend(query, key, value, mask, bias=bias)
    torch.testing.assert_close(got, expected)
    by_hand = [x.repeat_interleave(6 // kv_heads, dim=1) for x in (key, value)]
    torch.testing.assert_close(got, attend(query, *by_hand, mask, bias=bias))
    one = attend(query[0], key[0], value[0], mask[0], bias=bias[0])  # (H, T, d): no batch
    torch.testing.assert_close(one, expected[0])


@both_bodies
def test_key_heads_must_divide_query_heads(attend):
    query, key, value = inputs((1, 3, 2, 2, 2, 2), kv_heads=2)
    with pytest.raises(ValueError, match="2 key heads do not divide 3 query heads"):
        attend(query, key, value)


def test_keys_without_batch_axes_are_shared(unchecked):
    """The formula broadcasts them as a product does; two axes are no heads."""
    query, key = torch.randn(3, 2, 7, 5), torch.randn(11, 5)
    expected = attention_weights(query, key.expand(3, 2, 11, 5))
    torch.testing.assert_close(attention_weights(query, key), expected)


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


@both_bodies
@pytest.mark.parametrize("bias_gradient", [None, False, True])
def test_float16_does_not_overflow(attend, bias_gradient):
    """Scores far above 65504, the largest number of float16."""
    sizes = (1, 2, 7, 11, 64, 3)
    query, key, value = inputs(sizes, torch.float16)
    query, key = 300 * query, 300 * key
    assert (query.double() @ key.double().mT).abs().max() / 8 > 2 * 65504
    bias = None
    if bias_gradient is not None:
        bias = torch.randn(1, 2, 7, 11, dtype=torch.float16, requires_grad=bias_gradient)
    for which in ("none", "position"):
        mask = masks_for(sizes)[which]
        weights, expected = attention_by_loops(query, key, value, mask, bias)
        got = attend(query, key, value, mask, bias=bias)
        assert got.dtype == torch.float16
        torch.testing.assert_close(got.double(), expected, rtol=2e-3, atol=2e-3)
        got = attention_weights(query, key, mask, bias=bias)
        assert got.dtype == torch.float16
        torch.testing.assert_close(got.double(), weights, rtol=2e-3, atol=2e-3)


@both_bodies
@pytest.mark.parametrize("visible", [-1e4, -1e9, -1e20, -1e30])
@pytest.mark.parametrize("bias", [None, 0.0])
def test_a_hidden_key_gets_exactly_nothing_however_low_the_visible_scores(attend, visible, bias):
    """Erratum E003-04: a mask filled with -1e4, -1e9 or -1e20 loses to lower visible scores."""
    query = torch.ones(1, 1, 1, 1)
    key = torch.tensor([visible, visible, 0.0, 1e30]).reshape(1, 1, 4, 1)
    value = torch.tensor([1.0, 3.0, 100.0, 100.0]).reshape(1, 1, 4, 1)
    mask = padding_mask(torch.tensor([[True, True, False, False]]))
    bias = None if bias is None else torch.tensor(bias)
    weights = attention_weights(query, key, mask, bias=bias)
    assert weights.flatten().tolist() == [0.5, 0.5, 0.0, 0.0]
    assert attend(query, key, value, mask, bias=bias).item() == 2.0


@both_bodies
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_hidden_key_gets_exactly_nothing_in_the_range_of_every_dtype(attend, dtype):
    """In float16 even the lowest number, -65504, is not low enough to be added to a score."""
    query = torch.ones(1, 1, 1, 1, dtype=dtype)
    key = torch.tensor([-60000.0, -60000.0, 0.0, 60000.0], dtype=dtype).reshape(1, 1, 4, 1)
    value = torch.tensor([1.0, 3.0, 100.0, 100.0], dtype=dtype).reshape(1, 1, 4, 1)
    mask = padding_mask(torch.tensor([[True, True, False, False]]))
    for bias in (None, torch.zeros(1, 1, 1, 4, dtype=dtype), torch.full((4,), -1000, dtype=dtype)):
        assert attend(query, key, value, mask, bias=bias).item() == 2.0


@both_bodies
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bias", ["none", "fixed", "learned"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_query_that_sees_nothing_gets_zeros_and_finite_gradients(attend, dtype, bias, causal):
    """Erratum E003-05: uniform attention over padding, or NaN that spreads by the gradient."""
    query, key, value = (x.requires_grad_() for x in inputs((2, 3, 5, 7, 2, 3), dtype))
    mask = torch.ones(2, 1, 5, 7, dtype=torch.bool)
    mask[0, :, 2] = False  # one query
    mask[1] = False  # a whole sequence
    leaves = [query, key, value]
    if bias != "none":
        bias = torch.randn(2, 1, 5, 7, dtype=dtype, requires_grad=bias == "learned")
        leaves += [bias] * bias.requires_grad
    else:
        bias = None
    output = attend(query, key, value, mask, bias=bias, causal=causal)
    assert output.dtype == dtype
    assert (output[0, :, 2] == 0).all()
    assert (output[1] == 0).all()
    assert (output[0, :, [0, 1, 3, 4]] != 0).all()
    output.float().square().sum().backward()
    for x in leaves:
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
@half_precision
@pytest.mark.parametrize("which", ["none", "all"])
def test_half_precision_keeps_its_dtype_and_is_close(attend, dtype, tolerance, which):
    query, key, value = inputs(SIZES[0], dtype)
    mask = masks_for(SIZES[0])[which]
    for bias, causal in itertools.product((None, torch.randn(1, 2, 7, 11)), (False, True)):
        got = attend(query, key, value, mask, bias=bias, causal=causal)
        assert got.dtype == dtype  # whatever the dtype of the bias
        weights, expected = attention_by_loops(query, key, value, mask, bias, causal)
        torch.testing.assert_close(got.double(), expected, rtol=tolerance, atol=tolerance)
        got = attention_weights(query, key, mask, bias=bias, causal=causal)
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), weights, rtol=tolerance, atol=tolerance)


@both_bodies
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_bias_of_another_dtype_does_not_change_that_of_the_outputs(attend, dtype):
    query, key, value = inputs(SIZES[0])
    bias = torch.randn(1, 2, 7, 11).bfloat16()
    got = attend(query, key, value, bias=bias.to(dtype))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, attend(query, key, value, bias=bias.float()))


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
    torch.testing.assert_close(attend(query, key, identity), weights)
    # A dropped weight is dropped for all columns of the value.
    left, right = attend(query, key, torch.cat([identity] * 2, -1), dropout=0.25).chunk(2, -1)
    assert torch.equal(left, right)


# --- the choice of a body ---


def of_length(target, source, dtype=torch.bfloat16, device="cpu"):
    shapes = (1, 1, target, 1), (1, 1, source, 1)
    return tuple(torch.zeros(shape, dtype=dtype, device=device) for shape in shapes)


def test_the_formula_is_chosen_in_bfloat16_for_many_weights_of_up_to_512_positions():
    for target, source in ((512, 512), (256, 1024), (1, 512**2)):
        for batch in (slice(None), 0):  # (1, 1, T, d) and (1, T, d)
            query, key = (x[batch] for x in of_length(target, source))
            assert choose_method(query, key) == "reference"
            query, key = (x[batch] for x in of_length(target, source + 1))
            assert choose_method(query, key) == "fused"
    for target, source in ((64, 64), (1, 4096)):
        assert choose_method(*of_length(target, source)) == "reference"
        assert choose_method(*of_length(target, source - 1)) == "fused"


def test_weights_are_counted_over_all_sentences_and_heads():
    query, key = of_length(7, 13)  # 91 weights: 4096 / 91 is between 45 and 46
    for batch, heads in ((46, 1), (1, 46), (23, 2)):
        many = query.expand(batch, heads, -1, -1), key.expand(batch, 1, -1, -1)
        assert choose_method(*many) == "reference"
    assert choose_method(query.expand(5, 9, -1, -1), key.expand(5, 9, -1, -1)) == "fused"


@pytest.mark.parametrize(
    "change",
    [{"dtype": dtype} for dtype in (torch.float16, torch.float32, torch.float64)]
    + [{"device": "meta"}],
    ids=str,
)
def test_the_fused_kernel_is_chosen_everywhere_else(change):
    assert choose_method(*of_length(67, 71)) == "reference"
    assert choose_method(*of_length(67, 71, **change)) == "fused"


@pytest.mark.parametrize("method", ["reference", "fused"])
def test_auto_does_what_was_chosen(method, monkeypatch):
    """In bfloat16 the two bodies round differently, so that one can tell them apart."""
    query, key, value = inputs((3, 2, 17, 19, 5, 13), torch.bfloat16)
    monkeypatch.setattr(attention, "choose_method", lambda query, key: method)
    each = {name: scaled_dot_product_attention(query, key, value, method=name) for name in METHODS}
    assert not torch.equal(each["reference"], each["fused"])
    assert torch.equal(each["auto"], each[method])
    assert torch.equal(scaled_dot_product_attention(query, key, value), each[method])


def test_the_reference_gets_every_argument():
    sizes = (3, 2, 7, 11, 5, 13)
    query, key, value = inputs(sizes)
    given = {"mask": masks_for(sizes)["position"], "bias": torch.randn(1, 2, 7, 11), "causal": True}
    torch.manual_seed(5)
    expected = scaled_dot_product_attention_reference(query, key, value, dropout=0.5, **given)
    torch.manual_seed(5)
    got = scaled_dot_product_attention(query, key, value, dropout=0.5, method="reference", **given)
    assert torch.equal(got, expected)


@pytest.mark.parametrize("method", ["flash", None, "Fused"])
def test_another_method_is_refused(method, unchecked):
    names = r"\('auto', 'reference', 'fused'\)"
    with pytest.raises(ValueError, match=f"method={method!r} must be one of {names}"):
        scaled_dot_product_attention(*inputs(SIZES[0]), method=method)


# --- refusals ---


@both_bodies
def test_a_mask_that_is_not_boolean_is_refused(attend, unchecked):
    query, key, value = inputs(SIZES[0])
    for bias in (None, torch.zeros(7, 11)):
        with pytest.raises(TypeError, match=r"masks\.from_huggingface"):
            attend(query, key, value, torch.ones(3, 1, 1, 11), bias=bias)
        with pytest.raises(TypeError, match=r"masks\.from_additive"):
            attend(query, key, value, torch.zeros(3, 1, 1, 11, dtype=torch.long), bias=bias)


@both_bodies
def test_a_bias_that_is_not_floating_is_refused(attend, unchecked):
    query, key, value = inputs(SIZES[0])
    for dtype in (torch.bool, torch.long):
        with pytest.raises(TypeError, match=f"must be floating, got {dtype}"):
            attend(query, key, value, bias=torch.ones(7, 11, dtype=dtype))


@both_bodies
@pytest.mark.parametrize("name", ["mask", "bias"])
@pytest.mark.parametrize("shape", [(3, 1, 1, 11), (1, 1, 7, 12), (1, 1, 1, 7, 11)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_a_mask_or_bias_that_would_enlarge_the_scores_is_refused(attend, name, shape, causal):
    query, key, value = (x[:1] for x in inputs(SIZES[0]))
    wrong = torch.ones(shape, dtype=torch.bool if name == "mask" else torch.float32)
    with pytest.raises(ValueError, match=rf"^{name} \({shape[0]}, .* does not broadcast"):
        attend(query, key, value, causal=causal, **{name: wrong})
