"""encoderlib.multihead against torch, heads by hand, its cache, positions and pruning."""

import itertools
import math

import pytest
import torch
from torch import nn

from encoderlib import (
    KVCache,
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    combine_masks,
    lengths_to_tokens,
    padding_mask,
    scaled_dot_product_attention,
)
from encoderlib.masks import from_torch_key_padding, to_torch_key_padding
from encoderlib.positions import RelativePositions
from encoderlib.relative import RELATIVE_KINDS, make_relative

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
    again = attention.in_proj.weight.clone()
    attention.reset_parameters()
    assert not torch.equal(attention.in_proj.weight, again)
    assert MultiHeadAttention(8, 2).dropout == 0
    assert MultiHeadAttention(8, 2).in_proj.bias is not None


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


def test_heads_must_divide_the_width_and_key_heads_the_heads():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        MultiHeadAttention(8, 3)
    with pytest.raises(ValueError, match="n_kv_heads=3 must divide n_heads=4"):
        MultiHeadAttention(8, 4, n_kv_heads=3)
    with pytest.raises(ValueError, match="n_kv_heads=8 must divide n_heads=4"):
        MultiHeadAttention(8, 4, n_kv_heads=8)


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


# --- bias, causal, grouped queries ---


def attend_by_hand(attention, query, key, mask=None, **given):
    """Heads one after the other, from the matrices; queries and keys are ``(B, T, D)``."""
    width, heads, groups = attention.d_head, attention.n_heads, attention.n_kv_heads
    weight, shift = attention.in_proj.weight, attention.in_proj.bias
    edges = [0, heads * width, (heads + groups) * width, (heads + 2 * groups) * width]
    q, k, v = (
        x @ weight[start:stop].T + shift[start:stop]
        for x, (start, stop) in zip((query, key, key), itertools.pairwise(edges), strict=True)
    )
    columns = []
    for h in range(heads):
        own = slice(h * width, (h + 1) * width)
        g = h // (heads // groups)
        shared = slice(g * width, (g + 1) * width)
        one = {n: x[:, h % x.size(1)] if n == "bias" else x for n, x in given.items()}
        hidden = None if mask is None else mask[:, h % mask.size(1)]
        columns.append(
            scaled_dot_product_attention(q[..., own], k[..., shared], v[..., shared], hidden, **one)
        )
    return torch.cat(columns, dim=-1) @ attention.out_proj.weight.T + attention.out_proj.bias


@pytest.mark.parametrize(
    ("d_model", "heads", "groups"), [(30, 6, 2), (30, 6, 1), (30, 6, 3), (16, 4, 4)], ids=str
)
@pytest.mark.parametrize("cross", [False, True])
def test_grouped_queries_equal_heads_by_hand(d_model, heads, groups, cross, randomise):
    attention = randomise(MultiHeadAttention(d_model, heads, n_kv_heads=groups)).double()
    assert attention.in_proj.out_features == d_model + 2 * groups * d_model // heads
    x = torch.randn(B, T, d_model, dtype=torch.float64)
    memory = torch.randn(B, S, d_model, dtype=torch.float64) if cross else None
    sources = S if cross else T
    mask = torch.rand(B, heads, T, sources) < 0.7
    bias = torch.randn(1, heads, T, sources, dtype=torch.float64)
    for given in ({}, {"mask": mask}, {"bias": bias}, {"causal": True}):
        expected = attend_by_hand(attention, x, memory if cross else x, **given)
        torch.testing.assert_close(attention(x, memory, **given), expected)
        weights = attention.weights(x, memory, **given)
        assert weights.shape == (B, heads, T, sources)
        q, k, _ = attention.project(x, memory)
        torch.testing.assert_close(weights, attention_weights(q, k, **given))


def test_one_key_head_for_each_query_head_is_the_default(randomise):
    plain = randomise(MultiHeadAttention(D, H))
    grouped = MultiHeadAttention(D, H, n_kv_heads=H)
    grouped.load_state_dict(plain.state_dict())
    x = torch.randn(B, T, D)
    assert torch.equal(grouped(x), plain(x))
    assert plain.n_kv_heads == H


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_parameters_with_grouped_queries_are_counted_by_the_formula(groups, bias):
    d, key_columns = 24, groups * 6
    count = sum(p.numel() for p in MultiHeadAttention(d, 4, 0.0, bias, groups).parameters())
    assert count == 2 * d * d + 2 * d * key_columns + bias * (2 * d + 2 * key_columns)


def test_causal_is_the_causal_mask_in_self_and_cross_attention(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    x, memory = torch.randn(B, T, D), torch.randn(B, S, D)
    padding = padding_mask(lengths_to_tokens(torch.tensor([7, 3, 1]), T))
    for key, mask, size in ((None, None, T), (None, padding, T), (memory, None, S)):
        triangle = combine_masks(mask, causal_mask(T, size))
        expected = attention(x, key, triangle)
        torch.testing.assert_close(attention(x, key, mask, causal=True), expected)
        expected = attention.weights(x, key, triangle)
        torch.testing.assert_close(attention.weights(x, key, mask, causal=True), expected)


def test_a_bias_shifts_the_scores_before_the_softmax(randomise):
    """The module of torch adds a float ``attn_mask`` to the scaled scores."""
    ours, theirs = pair(D, H, randomise)
    x, bias = torch.randn(B, T, D), torch.randn(B, H, T, T)
    expected, weights = theirs(x, x, x, attn_mask=bias.flatten(0, 1), average_attn_weights=False)
    torch.testing.assert_close(ours(x, bias=bias), expected)
    torch.testing.assert_close(ours.weights(x, bias=bias), weights)


# --- relative positions ---


class Recording(RelativePositions):
    """Turns queries and keys into others, adds a bias, and writes down what it was asked."""

    def __init__(self, with_bias=True):
        super().__init__()
        self.with_bias, self.calls = with_bias, []

    def rotate(self, q, k, start=0):
        self.calls.append(("rotate", q.shape[1:3], k.shape[1:3], start))
        return 2 * q, 3 * k

    def bias(self, q, source):
        self.calls.append(("bias", q.shape[1:3], source))
        if not self.with_bias:
            return None
        return q.mean(-1, keepdim=True) * torch.arange(float(source))  # (B, H, T, S)


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_positions_rotate_queries_and_keys_and_add_to_the_bias(with_bias, given, randomise):
    attention = randomise(MultiHeadAttention(24, 4, n_kv_heads=2))
    positions = Recording(with_bias)
    x = torch.randn(B, T, 24)
    extra = torch.randn(1, 4, T, T) if given else None
    q, k, v = attention.project(x)
    total = 2 * q.mean(-1, keepdim=True) * torch.arange(float(T)) if with_bias else None
    if given:
        total = extra if total is None else total + extra
    heads = scaled_dot_product_attention(2 * q, 3 * k, v, bias=total, causal=True)
    expected = attention.out_proj(heads.transpose(1, 2).flatten(-2))
    got = attention(x, bias=extra, positions=positions, causal=True)
    torch.testing.assert_close(got, expected)
    assert positions.calls == [("rotate", (4, T), (2, T), 0), ("bias", (4, T), T)]
    weights = attention.weights(x, bias=extra, positions=positions, causal=True)
    torch.testing.assert_close(weights, attention_weights(2 * q, 3 * k, bias=total, causal=True))


def test_with_a_cache_positions_count_from_what_is_stored(randomise):
    attention = randomise(MultiHeadAttention(24, 4, n_kv_heads=2))
    positions, cache = Recording(), KVCache(B, 2, T, 6)
    with torch.no_grad():
        for step in torch.randn(B, T, 24).split([3, 1, 2, 1], dim=1):
            attention(step, positions=positions, cache=cache, causal=True)
    assert positions.calls == [
        *(("rotate", (4, 3), (2, 3), 0), ("bias", (4, 3), 3)),
        *(("rotate", (4, 1), (2, 1), 3), ("bias", (4, 1), 4)),
        *(("rotate", (4, 2), (2, 2), 4), ("bias", (4, 2), 6)),
        *(("rotate", (4, 1), (2, 1), 6), ("bias", (4, 1), 7)),
    ]


# --- the cache ---


@pytest.mark.parametrize("kind", [None, *RELATIVE_KINDS])
@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("steps", [[1] * T, [3, 1, 2, 1], [T]], ids=str)
@torch.no_grad()
def test_step_by_step_with_a_cache_equals_causal_attention_at_once(kind, groups, steps, randomise):
    attention = randomise(MultiHeadAttention(24, 4, n_kv_heads=groups))
    positions = make_relative(kind, 4, 6, bidirectional=False)
    if positions is not None:
        randomise(positions)
    x, cache = torch.randn(B, T, 24), KVCache(B, groups, T + 2, 6)
    expected = attention(x, causal=True, positions=positions)
    got = [
        attention(step, causal=True, positions=positions, cache=cache)
        for step in x.split(steps, dim=1)
    ]
    torch.testing.assert_close(torch.cat(got, dim=1), expected)
    assert cache.size == T


@torch.no_grad()
def test_a_mask_counts_the_cached_positions_too(randomise):
    """Prompts of unequal length, padded in front, hide the padding at every step."""
    attention = randomise(MultiHeadAttention(D, H))
    x, cache = torch.randn(B, T, D), KVCache(B, H, T, D // H)
    tokens = lengths_to_tokens(torch.tensor([7, 3, 1]), T).flip(1)
    expected = attention(x, mask=padding_mask(tokens), causal=True)
    attention(x[:, :4], mask=padding_mask(tokens[:, :4]), causal=True, cache=cache)
    last = attention(x[:, 4:], mask=padding_mask(tokens), causal=True, cache=cache)
    torch.testing.assert_close(last, expected[:, 4:])


@pytest.mark.parametrize("groups", [4, 2])
@torch.no_grad()
def test_cross_attention_fills_the_cache_once_and_then_only_reads_it(groups, randomise):
    attention = randomise(MultiHeadAttention(24, 4, n_kv_heads=groups))
    x, memory = torch.randn(B, T, 24), torch.randn(B, S, 24)
    mask = padding_mask(lengths_to_tokens(torch.tensor([11, 4, 1])))
    bias = torch.randn(1, 4, T, S)
    cache = KVCache(B, groups, S, 6)
    expected = attention(x, memory, mask, bias=bias)
    first = attention(x[:, :2], memory, mask, bias=bias[:, :, :2], cache=cache)
    assert cache.size == S
    stored = cache.k.clone(), cache.v.clone()
    memory.fill_(torch.nan)  # whoever projects it again gets NaN
    rest = attention(x[:, 2:], memory, mask, bias=bias[:, :, 2:], cache=cache)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), expected)
    assert cache.size == S
    assert torch.equal(cache.k, stored[0])
    assert torch.equal(cache.v, stored[1])


@torch.no_grad()
def test_a_cache_in_half_precision(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    x = torch.randn(B, T, D)
    expected = attention(x, causal=True)
    attention.bfloat16()
    cache = KVCache(B, H, T, D // H, dtype=torch.bfloat16)
    got = [attention(step, causal=True, cache=cache) for step in x.bfloat16().split(1, dim=1)]
    assert got[0].dtype == torch.bfloat16
    assert (torch.cat(got, dim=1) - expected).norm() < 0.03 * expected.norm()


# --- pruning ---


def silenced(attention, heads):
    """A copy in which these heads give zeros: their columns of ``out_proj`` are 0."""
    copy = MultiHeadAttention(attention.d_model, attention.n_heads)
    copy.load_state_dict(attention.state_dict())
    with torch.no_grad():
        for head in heads:
            width = attention.d_head
            copy.out_proj.weight[:, head * width : (head + 1) * width] = 0
    return copy


@pytest.mark.parametrize("heads", [[2], [0, 3], [4, 1, 1], [0, 1, 2, 3], []], ids=str)
def test_a_pruned_head_is_a_head_that_gives_zeros(heads, randomise):
    attention = randomise(MultiHeadAttention(15, 5))
    expected = silenced(attention, heads)
    kept = [head for head in range(5) if head not in heads]
    x, memory = torch.randn(B, T, 15), torch.randn(B, S, 15)
    mask = padding_mask(lengths_to_tokens(torch.tensor([7, 3, 1]), T))
    weights = attention.weights(x)
    attention.prune(iter(heads))
    assert attention.n_heads == attention.n_kv_heads == len(kept)
    assert (attention.d_model, attention.d_head) == (15, 3)
    torch.testing.assert_close(attention(x), expected(x))
    torch.testing.assert_close(attention(x, mask=mask), expected(x, mask=mask))
    torch.testing.assert_close(attention(x, memory), expected(x, memory))
    torch.testing.assert_close(attention.weights(x), weights[:, kept])


def test_pruning_again_counts_the_heads_that_are_left(randomise):
    attention = randomise(MultiHeadAttention(15, 5))
    expected = silenced(attention, [0, 2, 4])
    attention.prune([0])  # 1, 2, 3, 4 are now 0, 1, 2, 3
    attention.prune({1, 3})
    x = torch.randn(B, T, 15)
    torch.testing.assert_close(attention(x), expected(x))


@pytest.mark.parametrize("bias", [False, True])
def test_pruning_makes_the_matrices_smaller_and_keeps_them_trainable(bias, randomise):
    attention = randomise(MultiHeadAttention(15, 5, bias=bias))
    frozen = attention.out_proj.weight.requires_grad_(False)
    output_bias = attention.out_proj.bias
    attention.prune([1, 2])
    assert attention.widths == (9, 9, 9)
    assert attention.in_proj.weight.shape == (27, 15)
    assert attention.out_proj.weight.shape == (15, 9)
    assert (attention.in_proj.out_features, attention.in_proj.in_features) == (27, 15)
    assert (attention.out_proj.out_features, attention.out_proj.in_features) == (15, 9)
    assert (attention.in_proj.bias is not None) == bias
    assert attention.out_proj.bias is output_bias
    assert torch.equal(attention.out_proj.weight, frozen[:, [0, 1, 2, *range(9, 15)]])
    assert not attention.out_proj.weight.requires_grad
    attention(torch.randn(B, T, 15)).square().sum().backward()
    assert (attention.in_proj.weight.grad != 0).any(dim=1).all()
    assert len(list(attention.parameters())) == (4 if bias else 2)
    fresh = MultiHeadAttention(15, 5, bias=bias)
    fresh.prune([0, 4])
    fresh.load_state_dict(attention.state_dict())
    x = torch.randn(B, T, 15)
    assert torch.equal(fresh(x), attention(x))


@torch.no_grad()
def test_a_pruned_module_still_decodes(randomise):
    attention = randomise(MultiHeadAttention(24, 4))
    attention.prune([2])
    x, cache = torch.randn(B, T, 24), KVCache(B, 3, T, 6)
    got = [attention(step, causal=True, cache=cache) for step in x.split(1, dim=1)]
    torch.testing.assert_close(torch.cat(got, dim=1), attention(x, causal=True))


@pytest.mark.parametrize(
    ("heads", "named"), [([5], r"\[5\]"), ([2, -1], r"\[-1, 2\]"), (range(5), r"\[0, 1, 2, 3, 4\]")]
)
def test_pruning_what_is_not_there_or_everything_is_refused(heads, named):
    attention = MultiHeadAttention(15, 5)
    with pytest.raises(ValueError, match=rf"heads={named} must be some, not all, of 0..4"):
        attention.prune(heads)
    assert attention.n_heads == 5


def test_heads_that_share_keys_are_not_pruned():
    attention = MultiHeadAttention(24, 4, n_kv_heads=2)
    with pytest.raises(ValueError, match="grouped queries share keys and values"):
        attention.prune([1])
