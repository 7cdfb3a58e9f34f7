"""Known bugs of tutorials: masks, the formula of attention, heads. See `known_bugs`."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from encoderlib import (
    MultiHeadAttention,
    attention_weights,
    causal_mask,
    padding_mask,
    scaled_dot_product_attention,
)
from encoderlib.masks import from_torch_key_padding
from tests.encoderlib.known_bugs import close, known_bug


def scores(query, key):
    """Scaled scores ``(..., T, S)``, for the bugs."""
    return query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))


# Masks


def masked_weights(mask_of):
    """The library's weights under the mask that ``mask_of`` makes."""
    return lambda query, key, tokens: attention_weights(query, key, mask_of(tokens))


def mask_after_softmax(query, key, value, mask):
    return (scores(query, key).softmax(-1) * mask) @ value


@known_bug("E002-13", scaled_dot_product_attention, mask_after_softmax)
def test_hidden_keys_get_no_share_of_the_softmax(attend):
    query, key, value = torch.randn(3, 2, 6, 8).unbind(0)
    mask = torch.ones(2, 1, 6, dtype=torch.bool)
    mask[:, :, 4:] = False
    close(attend(query, key, torch.ones(2, 6, 8), mask), torch.ones(2, 6, 8))
    other = key.clone()
    other[:, 4:] += 3
    close(attend(query, other, value, mask), attend(query, key, value, mask))
    close(
        attend(query, key, value, mask),
        F.scaled_dot_product_attention(query, key, value, attn_mask=mask),
    )


@known_bug(
    "E002-14",
    lambda query, key, value, bias: scaled_dot_product_attention(query, key, value, bias=bias),
    lambda query, key, value, bias: (scores(query, key).softmax(-1) * bias) @ value,
)
def test_an_additive_mask_is_added(attend):
    query, key, value = torch.randn(3, 1, 5, 4).unbind(0)
    bias = torch.full((5, 5), -torch.inf).triu(1)
    out = attend(query, key, value, bias)
    assert out.isfinite().all()
    close(out, F.scaled_dot_product_attention(query, key, value, is_causal=True))


def filled_with_1e20(query, key, tokens):
    return scores(query, key).masked_fill(~padding_mask(tokens), -1e20).softmax(-1)


@known_bug("E003-04", masked_weights(padding_mask), filled_with_1e20, RuntimeError)
def test_hidden_keys_get_exactly_zero_in_every_dtype(weights):
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        query, key = torch.zeros(1, 1, 2, 4, dtype=dtype), torch.zeros(1, 1, 3, 4, dtype=dtype)
        assert weights(query, key, torch.tensor([[True, True, False]]))[..., 2].eq(0).all()


@known_bug("E003-05", masked_weights(padding_mask), filled_with_1e20)
def test_a_row_with_nothing_to_attend_to_is_zeros(weights):
    query, key = torch.randn(2, 1, 3, 4), torch.randn(2, 1, 4, 4)
    out = weights(query, key, torch.tensor([[True, True, False, False], [False] * 4]))
    assert out.isfinite().all()
    close(out[0].sum(-1), torch.ones(1, 3))
    assert out[1].eq(0).all()


@known_bug("E003-06", masked_weights(padding_mask), masked_weights(lambda tokens: tokens))
def test_a_padding_mask_hides_keys_also_when_batch_and_length_are_equal(weights):
    tokens = torch.ones(4, 4, dtype=torch.bool)
    tokens[0, 2:] = False
    out = weights(torch.zeros(4, 2, 4, 8), torch.zeros(4, 2, 4, 8), tokens)
    assert out[0, ..., 2:].eq(0).all()
    assert out[1].gt(0).all()


def test_multi_head_attention_refuses_a_mask_of_two_axes(unchecked):
    """Erratum E003-06 again: `MultiHeadAttention` takes no mask that could be misread."""
    with pytest.raises(ValueError, match="four axes"):
        MultiHeadAttention(8, 2)(torch.zeros(4, 4, 8), mask=torch.ones(4, 4, dtype=torch.bool))


@known_bug(
    "E003-07",
    masked_weights(from_torch_key_padding),
    masked_weights(lambda ignored: padding_mask(ignored)),
)
def test_true_in_a_key_padding_mask_means_ignore(weights):
    ignored = torch.tensor([[False, False, True, True]])
    out = weights(torch.zeros(1, 1, 1, 4), torch.zeros(1, 1, 4, 4), ignored)
    assert out.flatten().tolist() == [0.5, 0.5, 0.0, 0.0]


@known_bug("E004-12b", causal_mask, lambda n: torch.ones(1, 1, n, n, dtype=torch.bool))
def test_under_the_causal_mask_no_output_knows_a_later_token(mask_of):
    x = torch.randn(1, 1, 5, 8)
    changed = x.clone()
    changed[..., 4, :] += 1
    before, after = (scaled_dot_product_attention(z, z, z, mask_of(5)) for z in (x, changed))
    close(before[..., :4, :], after[..., :4, :])


# The formula


@known_bug(
    "E004-14",
    attention_weights,
    lambda query, key: (query @ key.transpose(-2, -1)).softmax(-1),
)
def test_wide_heads_do_not_attend_to_one_key_alone(weights):
    for d in (16, 512):
        w = weights(torch.randn(256, d), torch.randn(64, d))
        assert -(w * w.clamp_min(1e-30).log()).sum(-1).mean() > 3  # log(64) is 4.2


@known_bug(
    "E003-03",
    lambda query, key, value: scaled_dot_product_attention(query, key, value),
    lambda query, key, value: (
        (query @ key.transpose(-2, -1) / math.sqrt(query.size(1) * query.size(-1))).softmax(-1)
        @ value
    ),
)
def test_scores_are_divided_by_the_root_of_the_head_width(attend):
    query, key, value = torch.randn(3, 2, 8, 6, 16).unbind(0)  # 8 heads
    close(attend(query, key, value), F.scaled_dot_product_attention(query, key, value))


def naive_softmax(query, key):
    weights = scores(query, key).exp()
    return weights / weights.sum(-1, keepdim=True)


@known_bug("E004-16", attention_weights, naive_softmax)
def test_large_scores_do_not_overflow(weights):
    wanted = torch.tensor([[1000.0, 0.0, -1000.0], [1.0, 2.0, 3.0]])
    out = weights(torch.ones(2, 1, 1), wanted[..., None])  # d = 1: the keys are the scores
    assert out.isfinite().all()
    close(out[:, 0], wanted.softmax(-1))


def torch_attends(target, source):
    return F.scaled_dot_product_attention(target[None], source[None], source[None])[0]


@known_bug(
    "E004-15",
    lambda target, source: scaled_dot_product_attention(target, source, source),
    lambda target, source: scores(target, source).softmax(-1),
)
def test_the_weights_are_applied_to_the_values(attend):
    target, source = torch.randn(3, 8), torch.randn(5, 8)
    close(attend(target, source), torch_attends(target, source))


@known_bug(
    "E004-17",
    lambda target, source: scaled_dot_product_attention(target, source, source),
    lambda target, source: scores(source, target).softmax(0) @ source,
)
def test_sources_are_summed_for_each_target_when_both_are_equally_long(attend):
    target, source = torch.randn(4, 8), torch.randn(4, 8)
    close(attend(target, source), torch_attends(target, source))


@known_bug(
    "E003-08",
    lambda target, source: scaled_dot_product_attention(target, source, source),
    lambda target, source: scaled_dot_product_attention(source, source, target),
)
def test_the_first_argument_asks(attend):
    target, source = torch.randn(5, 8), torch.randn(5, 8)
    close(attend(target, source), torch_attends(target, source))


# Heads


def our_heads(x, rows, out, n_heads):
    """`MultiHeadAttention` with the matrices of torch's module."""
    attention = MultiHeadAttention(x.size(-1), n_heads, bias=False)
    attention.load_state_dict({"in_proj.weight": rows, "out_proj.weight": out})
    return attention(x)


def heads_of(x, rows, n_heads):
    """Outputs of the heads ``(B, H, T, d)`` by torch's function, for the bugs."""
    q, k, v = (z.unflatten(-1, (n_heads, -1)).transpose(1, 2) for z in (x @ rows.T).chunk(3, -1))
    return F.scaled_dot_product_attention(q, k, v)


def one_head(x, rows, out, n_heads):
    return heads_of(x, rows, 1)[:, 0] @ out.T


def averaged_heads(x, rows, out, n_heads):
    mean = heads_of(x, rows, n_heads).mean(1)  # (B, T, d)
    return mean @ out.T[: mean.size(-1)]


def equals_torch(attend):
    torchs = nn.MultiheadAttention(32, 4, bias=False, batch_first=True)
    x = torch.randn(2, 5, 32)
    with torch.no_grad():
        ours = attend(x, torchs.in_proj_weight, torchs.out_proj.weight, 4)
        close(ours, torchs(x, x, x, need_weights=False)[0])


@known_bug("E002-12", our_heads, one_head)
def test_the_number_of_heads_counts(attend):
    equals_torch(attend)


@known_bug("E001-06", our_heads, averaged_heads)
def test_heads_are_concatenated_and_mixed(attend):
    equals_torch(attend)


@known_bug(
    "E002-12v",
    lambda x, n_heads: MultiHeadAttention(x.size(-1), n_heads).split_heads(x),
    lambda x, n_heads: x.view(x.size(0), n_heads, x.size(1), -1),  # no transposition
)
def test_a_head_gets_its_columns_of_every_token(split):
    x = torch.arange(24.0).view(1, 3, 8)
    close(split(x, 2)[0, 1, 0], torch.tensor([4.0, 5.0, 6.0, 7.0]))
    close(split(x, 2)[0, 0, 2], torch.tensor([16.0, 17.0, 18.0, 19.0]))


def our_query_heads(x):
    attention = MultiHeadAttention(x.size(-1), 4, bias=False)
    return attention.project(x)[0], attention.in_proj.weight.numel() // 3


def tied_query_heads(x):
    weight = torch.randn(x.size(-1) // 4, x.size(-1) // 4)
    return (x.unflatten(-1, (4, -1)) @ weight).transpose(1, 2), weight.numel()


@known_bug("E003-02", our_query_heads, tied_query_heads)
def test_each_head_has_its_own_projection_of_the_whole_token(project):
    x = torch.randn(1, 3, 16, requires_grad=True)
    heads, n_parameters = project(x)
    assert n_parameters == 16 * 16
    heads[:, 0].sum().backward()
    assert (x.grad != 0).all()


@known_bug(
    "E000-05",
    MultiHeadAttention,
    lambda d_model, n_heads: nn.ModuleList(  # d_model columns for each head
        [
            *(nn.Linear(d_model, n_heads * d_model) for _ in range(3)),
            nn.Linear(n_heads * d_model, d_model),
        ]
    ),
)
def test_heads_divide_the_width_among_themselves(make):
    torchs = nn.MultiheadAttention(64, 8)
    expected = sum(p.numel() for p in torchs.parameters())
    assert sum(p.numel() for p in make(64, 8).parameters()) == expected


class AlwaysDrops(MultiHeadAttention):
    def forward(self, x):
        q, k, v = self.project(x)
        heads = F.dropout(attention_weights(q, k), self.dropout) @ v  # no training=
        return self.out_proj(heads.transpose(1, 2).flatten(-2))


@known_bug("E002-15", MultiHeadAttention, AlwaysDrops)
def test_dropout_is_off_in_eval(make):
    attention, x = make(16, 2, dropout=0.5).eval(), torch.randn(2, 7, 16)
    close(attention(x), attention(x))
    attention.train()
    assert not torch.equal(attention(x), attention(x))


@known_bug(
    "E000-08",
    scaled_dot_product_attention,
    lambda query, key, value, dropout=0.5: scaled_dot_product_attention(
        query, key, value, dropout=dropout
    ),
)
def test_a_plain_call_is_no_training_call(attend):
    x = torch.randn(2, 7, 16)
    close(attend(x, x, x), attend(x, x, x))
