"""encoderlib.relative: scores that know distances only; transformers' buckets and attentions."""

import copy
import math

import numpy as np
import pytest
import torch
from transformers import T5Config, Wav2Vec2BertConfig
from transformers.models.bloom import modeling_bloom
from transformers.models.mpt import modeling_mpt
from transformers.models.t5 import modeling_t5
from transformers.models.wav2vec2_bert import modeling_wav2vec2_bert

from encoderlib.attention import attention_weights
from encoderlib.cache import KVCache
from encoderlib.masks import causal_mask
from encoderlib.multihead import MultiHeadAttention
from encoderlib.positions import RelativePositions, SinusoidalPositions
from encoderlib.relative import (
    RELATIVE_KINDS,
    ALiBi,
    ShawRelativePositions,
    T5RelativeBias,
    alibi_slopes,
    distance_range,
    make_relative,
    t5_buckets,
    toeplitz,
)
from encoderlib.rotary import RotaryPositions

B, H, T, S, D_HEAD = 2, 3, 5, 11, 14
KINDS = {
    "rotary": lambda: RotaryPositions(D_HEAD),
    "alibi": lambda: ALiBi(H),
    "t5": lambda: T5RelativeBias(H, n_buckets=8, max_distance=6),
    "shaw": lambda: ShawRelativePositions(D_HEAD, max_distance=3),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_bias = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rotary"])


def make(kind, randomise):
    return randomise(KINDS[kind]())


def scores(positions, q, k, start=0):
    """What attention takes the softmax of, with the keys k behind ``start`` others."""
    q, k = positions.rotate(q, k, start)
    bias = positions.bias(q, start + k.size(-2))
    result = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    return result if bias is None else result + bias[..., start:]


def heads(length, dtype=torch.float32):
    return torch.randn(B, H, length, D_HEAD, dtype=dtype)


# --- all kinds -------------------------------------------------------------------------------


@every_kind
def test_moving_a_sequence_does_not_change_its_scores(kind, randomise):
    """Erratum E002-03: 9 other tokens before a sequence leave the scores in it alone."""
    positions = make(kind, randomise)
    q, k = heads(7), heads(7)
    alone = scores(positions, q, k)
    moved = scores(positions, torch.cat([heads(9), q], 2), torch.cat([heads(9), k], 2))
    torch.testing.assert_close(moved[..., 9:, 9:], alone, rtol=1e-4, atol=1e-5)
    assert (alone - scores(RelativePositions(), q, k)).abs().max() > 0.1  # it does something


def test_moving_a_sequence_changes_its_scores_with_absolute_positions():
    """The check above can fail."""
    positions, x, before = SinusoidalPositions(D_HEAD), torch.randn(1, 7, D_HEAD), 9
    alone = positions(x) @ positions(x).mT
    long = positions(torch.cat([torch.randn(1, before, D_HEAD), x], 1))
    assert ((long @ long.mT)[:, before:, before:] - alone).abs().max() > 0.1


@every_kind
def test_equal_tokens_get_scores_by_distance_alone(kind, randomise):
    """With one query and one key everywhere, the scores are constant along each diagonal."""
    positions = make(kind, randomise)
    q, k = (torch.randn(B, H, 1, D_HEAD).expand(-1, -1, 13, -1) for _ in range(2))
    got = scores(positions, q, k)
    for distance in range(-12, 13):
        diagonal = got.diagonal(distance, dim1=-2, dim2=-1)
        expected = diagonal[..., :1].expand_as(diagonal)
        torch.testing.assert_close(diagonal, expected, rtol=1e-4, atol=1e-5)
    assert (got[..., 0, 1:] - got[..., 0, :1]).abs().max() > 0.1


@every_kind
def test_decoding_token_by_token_gives_the_rows_of_the_whole(kind, randomise):
    positions = make(kind, randomise)
    q, k = heads(S), heads(S)
    rotated, keys = positions.rotate(q, k)
    whole = positions.bias(q, S)
    for t in range(S):
        one, key = positions.rotate(q[:, :, t : t + 1], k[:, :, t : t + 1], t)
        torch.testing.assert_close(one, rotated[:, :, t : t + 1])
        torch.testing.assert_close(key, keys[:, :, t : t + 1])
        row = positions.bias(q[:, :, t : t + 1], t + 1)
        if whole is None:
            assert row is None
        else:
            torch.testing.assert_close(row, whole[:, :, t : t + 1, : t + 1])


@every_kind
def test_attention_with_a_cache_equals_attention_without(kind, randomise):
    positions = make(kind, randomise)
    attention, x = randomise(MultiHeadAttention(H * D_HEAD, H)), torch.randn(B, S, H * D_HEAD)
    with torch.no_grad():
        expected = attention(x, causal=True, positions=positions)
        cache = KVCache(B, H, S, D_HEAD)
        parts = [
            attention(x[:, start:stop], causal=True, positions=positions, cache=cache)
            for start, stop in ((0, 4), (4, 5), (5, S))
        ]
    torch.testing.assert_close(torch.cat(parts, 1), expected, rtol=1e-4, atol=1e-5)


@every_kind
def test_attention_learns_the_order_from_relative_positions_alone(kind, randomise):
    """Erratum E000-11: shuffled tokens get other outputs, not the shuffled ones."""
    positions = make(kind, randomise)
    attention = randomise(MultiHeadAttention(H * D_HEAD, H))
    x, order = torch.randn(1, 5, H * D_HEAD), torch.tensor([1, 0, 4, 2, 3])
    torch.testing.assert_close(attention(x)[:, order], attention(x[:, order]))
    with_positions = [attention(z, positions=positions) for z in (x, x[:, order])]
    assert (with_positions[0][:, order] - with_positions[1]).abs().max() > 1e-2


@every_kind
def test_gradients_equal_finite_differences(kind, randomise):
    positions = make(kind, randomise).double()
    q = torch.randn(1, H, 2, D_HEAD, dtype=torch.float64, requires_grad=True)
    k = torch.randn(1, H, 2, D_HEAD, dtype=torch.float64, requires_grad=True)
    inputs = (q, k, *positions.parameters())  # gradcheck changes the parameters in place
    assert torch.autograd.gradcheck(lambda q, k, *_: scores(positions, q, k, 3), inputs)


@every_bias
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_bias_has_the_dtype_of_the_query(kind, dtype, randomise):
    """Also under autocast, where parameters stay float32: the fused kernel wants one dtype."""
    positions = make(kind, randomise)
    q = heads(T)
    exact = positions.bias(q, S)
    for module in (positions, copy.deepcopy(positions).to(dtype)):
        got = module.bias(q.to(dtype), S)
        assert got.dtype == dtype
        torch.testing.assert_close(got.float(), exact, rtol=0.02, atol=0.05)


@every_bias
def test_the_bias_is_dense_in_the_keys(kind, randomise):
    """What the fused kernels want."""
    assert make(kind, randomise).bias(heads(T), S).stride(-1) == 1


@every_bias
def test_fewer_positions_than_queries_are_refused(kind, randomise):
    with pytest.raises(ValueError, match="source=4 is smaller than the number of queries, 5"):
        make(kind, randomise).bias(heads(T), 4)


@pytest.mark.parametrize("kind", ["alibi", "t5"])
def test_another_number_of_heads_is_refused(kind, randomise):
    """Such as one head, to which the bias of three would broadcast."""
    with pytest.raises(ValueError, match=r"queries of 1 heads, but .* made for 3; build them"):
        make(kind, randomise).bias(heads(T)[:, :1], S)


# --- distances -------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "source"), [(5, 11), (4, 4), (1, 7), (1, 1)])
def test_a_toeplitz_matrix_of_the_range_holds_all_distances(target, source):
    """Erratum E002-03: relative positions are the matrix s - t, not neighbours' differences."""
    matrix = toeplitz(distance_range(target, source), target)
    expected = np.empty((target, source), dtype=int)
    for t in range(target):
        for s in range(source):
            expected[t, s] = s - (source - target + t)
    np.testing.assert_array_equal(matrix, expected)


def test_a_toeplitz_matrix_of_values_with_any_strides():
    values = torch.randn(9, 3).T  # (3, 9), the last axis not dense
    got = toeplitz(values, 4)
    assert got.shape == (3, 4, 6)
    for t in range(4):
        assert torch.equal(got[:, t], values[:, 3 - t : 9 - t])


# --- the base class, and make_relative -------------------------------------------------------


def test_the_base_class_does_nothing():
    q, k = heads(T), heads(T)
    base = RelativePositions()
    assert all(a is b for a, b in zip(base.rotate(q, k, 3), (q, k), strict=True))
    assert base.bias(q, S) is None


def test_make_relative_gives_each_kind_with_its_sizes():
    kinds = {"rotary": RotaryPositions, "alibi": ALiBi, "t5": T5RelativeBias}
    kinds["shaw"] = ShawRelativePositions
    assert tuple(kinds) == RELATIVE_KINDS
    for kind, expected in kinds.items():
        assert type(make_relative(kind, H, D_HEAD)) is expected
    assert make_relative(None, H, D_HEAD) is None
    assert make_relative("rotary", H, D_HEAD).d_head == D_HEAD
    assert make_relative("alibi", H, D_HEAD).slopes.shape == (H,)
    assert make_relative("t5", H, D_HEAD).table.shape == (32, H)
    assert make_relative("t5", H, D_HEAD).max_distance == 128
    assert make_relative("t5", H, D_HEAD).bidirectional
    assert not make_relative("t5", H, D_HEAD, bidirectional=False).bidirectional
    assert make_relative("shaw", H, D_HEAD).table.shape == (33, D_HEAD)


def test_make_relative_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"kind='rope' must be None or one of .*rotary.*shaw"):
        make_relative("rope", H, D_HEAD)
    with pytest.raises(ValueError, match="d_head=7 must be even"):
        make_relative("rotary", H, 7)


# --- ALiBi -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_heads", [1, 2, 3, 4, 6, 7, 8, 12, 16, 25])
def test_slopes_equal_blooms_and_mpts(n_heads):
    """Both follow the paper's code; they differ from ours and from each other in rounding."""
    slopes = alibi_slopes(n_heads)
    assert slopes.dtype == torch.float32
    torch.testing.assert_close(slopes, modeling_bloom._get_alibi_slopes(n_heads, "cpu"))
    mpts = modeling_mpt.build_mpt_alibi_tensor(n_heads, 2)[:, 0]  # slopes times (-1, 0)
    torch.testing.assert_close(slopes, -mpts[:, 0])


def test_slopes_of_eight_heads_halve_from_head_to_head():
    assert alibi_slopes(8).tolist() == [2.0**-h for h in range(1, 9)]


@pytest.mark.parametrize("n_heads", [3, 4])
def test_alibi_falls_with_the_distance_on_both_sides(n_heads):
    got = ALiBi(n_heads).bias(torch.randn(B, n_heads, T, D_HEAD), S)
    slopes, expected = alibi_slopes(n_heads).tolist(), torch.empty(1, n_heads, T, S)
    for h in range(n_heads):
        for t in range(T):
            for s in range(S):
                expected[0, h, t, s] = -slopes[h] * abs(s - (S - T + t))
    torch.testing.assert_close(got, expected)


def test_alibi_under_a_causal_mask_is_blooms():
    """Bloom adds slope * s; a constant in each row does not change the softmax."""
    q, k = heads(S), heads(S)
    bloom = modeling_bloom.build_alibi_tensor(torch.ones(1, S), H, torch.float32).view(1, H, 1, S)
    hidden = ~causal_mask(S)
    raw = q @ k.mT / math.sqrt(D_HEAD)
    expected = (raw + bloom).masked_fill(hidden, -torch.inf).softmax(-1)
    got = (raw + ALiBi(H).bias(q, S)).masked_fill(hidden, -torch.inf).softmax(-1)
    torch.testing.assert_close(got, expected)


def test_alibi_without_a_causal_mask_cannot_tell_left_from_right(randomise):
    """The mirrored sentence gets mirrored outputs; the other kinds see the difference."""
    attention, x = randomise(MultiHeadAttention(H * D_HEAD, H)), torch.randn(1, 5, H * D_HEAD)
    for kind in KINDS:
        positions = make(kind, randomise)
        forward, mirrored = (attention(z, positions=positions) for z in (x, x.flip(1)))
        same = torch.allclose(mirrored.flip(1), forward, rtol=1e-4, atol=1e-5)
        assert same == (kind == "alibi"), kind


def test_alibi_has_no_state_and_keeps_its_slopes_exact():
    positions = ALiBi(12)
    assert positions.state_dict() == {}
    assert list(positions.parameters()) == []
    expected = alibi_slopes(12)
    assert torch.equal(positions.to(torch.bfloat16).slopes, expected)


def test_the_slopes_follow_the_query_to_another_device():
    positions, q = ALiBi(H), heads(T)
    expected = positions.bias(q, S)
    assert positions.bias(q.to("meta"), S).device.type == "meta"
    assert torch.equal(positions.bias(q, S), expected)


# --- T5 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 6), (20, 37), (64, 999)])
def test_buckets_equal_transformers(bidirectional, n_buckets, max_distance):
    distances = torch.arange(-2000, 2000).view(4, -1)
    got = t5_buckets(distances, n_buckets, max_distance, bidirectional)
    expected = modeling_t5.T5Attention._relative_position_bucket(
        distances, bidirectional, n_buckets, max_distance
    )
    assert torch.equal(got, expected)
    assert got.min() == 0
    assert got.max() == n_buckets - 1


def test_the_default_buckets_are_t5s():
    distances = torch.arange(-300, 301)
    theirs = modeling_t5.T5Attention._relative_position_bucket
    assert torch.equal(t5_buckets(distances), theirs(distances))
    assert torch.equal(t5_buckets(distances, bidirectional=False), theirs(distances, False))
    positions = T5RelativeBias(H)
    assert (positions.n_buckets, positions.max_distance, positions.bidirectional) == (32, 128, True)


def t5_attention(n_heads, is_decoder):
    config = T5Config(
        d_model=n_heads * D_HEAD,
        d_kv=D_HEAD,
        num_heads=n_heads,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=6,
        dropout_rate=0.0,
    )
    config.is_decoder = is_decoder
    return modeling_t5.T5Attention(config, has_relative_attention_bias=True, layer_idx=0).eval()


@pytest.mark.parametrize("is_decoder", [False, True])
def test_the_bias_equals_t5s_with_its_table(is_decoder, randomise):
    theirs = randomise(t5_attention(H, is_decoder))
    ours = T5RelativeBias(H, 8, 6, bidirectional=not is_decoder)
    ours.table.data.copy_(theirs.relative_attention_bias.weight.data)
    q = heads(S)
    expected = theirs.compute_bias(S, S)
    assert torch.equal(ours.bias(q, S), expected)
    assert torch.equal(ours.bias(q[:, :, -T:], S), expected[:, :, -T:])


def test_attention_equals_t5s_when_the_scores_are_not_divided(randomise):
    d_model, x = H * D_HEAD, torch.randn(B, T, H * D_HEAD)
    theirs = randomise(t5_attention(H, is_decoder=False))
    ours, positions = MultiHeadAttention(d_model, H, bias=False), T5RelativeBias(H, 8, 6)
    with torch.no_grad():
        query = theirs.q.weight * math.sqrt(D_HEAD)  # T5 leaves out the division
        ours.in_proj.weight.copy_(torch.cat([query, theirs.k.weight, theirs.v.weight]))
        ours.out_proj.weight.copy_(theirs.o.weight)
        positions.table.copy_(theirs.relative_attention_bias.weight)
        got, expected = ours(x, positions=positions), theirs(x)[0]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("n_buckets", "max_distance", "bidirectional"),
    [(2, 128, True), (33, 128, True), (32, 8, True), (1, 128, False), (32, 16, False)],
)
def test_buckets_that_cannot_be_divided_are_refused(n_buckets, max_distance, bidirectional):
    sides = 2 if bidirectional else 1
    message = (
        f"n_buckets={n_buckets} must be at least {2 * sides} and divisible by {sides}, "
        f"and max_distance={max_distance} larger than n_buckets / {2 * sides}"
    )
    with pytest.raises(ValueError, match=message):
        T5RelativeBias(H, n_buckets, max_distance, bidirectional)


@pytest.mark.parametrize(
    ("n_buckets", "max_distance", "bidirectional"),
    [(4, 2, True), (32, 9, True), (2, 2, False), (3, 2, False), (32, 17, False)],
)
def test_the_smallest_buckets_that_can_be_divided(n_buckets, max_distance, bidirectional):
    positions = T5RelativeBias(H, n_buckets, max_distance, bidirectional)
    assert positions.bias(heads(T), S).isfinite().all()


def test_the_t5_table_starts_small_and_survives_a_round_trip():
    table = T5RelativeBias(50, n_buckets=100).table
    assert abs(table.std() / 0.1 - 1) < 0.05
    positions, other = T5RelativeBias(H), T5RelativeBias(H)
    assert list(positions.state_dict()) == ["table"]
    other.load_state_dict(positions.state_dict())
    assert torch.equal(other.bias(heads(T), S), positions.bias(heads(T), S))


# --- Shaw ------------------------------------------------------------------------------------


@pytest.mark.parametrize("farthest", [0, 3, 20])
def test_shaw_compares_the_query_with_the_vector_of_the_clipped_distance(farthest, randomise):
    positions = randomise(ShawRelativePositions(D_HEAD, farthest))
    q = heads(T)
    expected = torch.empty(B, H, T, S)
    for t in range(T):
        for s in range(S):
            distance = min(max(s - (S - T + t), -farthest), farthest)
            vector = positions.table[distance + farthest]
            expected[:, :, t, s] = (q[:, :, t] * vector).sum(-1) / math.sqrt(D_HEAD)
    torch.testing.assert_close(positions.bias(q, S), expected)


def test_attention_equals_wav2vec2_berts_relative_key(randomise):
    config = Wav2Vec2BertConfig(
        hidden_size=H * D_HEAD,
        num_attention_heads=H,
        position_embeddings_type="relative_key",
        left_max_position_embeddings=3,
        right_max_position_embeddings=3,
        attention_dropout=0.0,
        attn_implementation="eager",
    )
    theirs = randomise(modeling_wav2vec2_bert.Wav2Vec2BertSelfAttention(config)).eval()
    ours, positions = MultiHeadAttention(H * D_HEAD, H), ShawRelativePositions(D_HEAD, 3)
    x = torch.randn(B, S, H * D_HEAD)
    with torch.no_grad():
        parts = theirs.linear_q, theirs.linear_k, theirs.linear_v
        ours.in_proj.weight.copy_(torch.cat([part.weight for part in parts]))
        ours.in_proj.bias.copy_(torch.cat([part.bias for part in parts]))
        ours.out_proj.load_state_dict(theirs.linear_out.state_dict())
        positions.table.copy_(theirs.distance_embedding.weight)
        torch.testing.assert_close(ours(x, positions=positions), theirs(x)[0], rtol=1e-4, atol=1e-5)


def test_shaws_table_is_one_for_all_heads_and_survives_a_round_trip():
    positions = ShawRelativePositions(64, 100)
    assert positions.table.shape == (201, 64)
    assert abs(positions.table.std() * 8 - 1) < 0.05  # d_head^-0.5
    other = ShawRelativePositions(64, 100)
    other.load_state_dict(positions.state_dict())
    q = torch.randn(1, 5, 2, 64)
    assert torch.equal(other.bias(q, 9), positions.bias(q, 9))
    assert ShawRelativePositions(64).max_distance == 16


def test_the_vectors_of_unseen_distances_get_no_gradient():
    positions = ShawRelativePositions(D_HEAD, 7)
    positions.bias(heads(3), 3).sum().backward()
    seen = positions.table.grad.abs().sum(-1) > 0
    assert torch.equal(seen, torch.tensor([abs(i - 7) <= 2 for i in range(15)]))


def test_weights_of_attention_take_the_bias():
    """`attention_weights` with the bias, as `MultiHeadAttention.weights` gives it."""
    attention, positions = MultiHeadAttention(H * D_HEAD, H), ALiBi(H)
    x = torch.randn(B, T, H * D_HEAD)
    q, k, _ = attention.project(x)
    expected = attention_weights(q, k, bias=positions.bias(q, T))
    torch.testing.assert_close(attention.weights(x, positions=positions), expected)
