"""encoderlib.masks: builders, the one convention, converters both ways, refusals that help."""

import re

import pytest
import torch

from encoderlib import attention_weights, causal_mask, combine_masks, lengths_to_tokens
from encoderlib.masks import (
    check_bias,
    check_mask,
    from_additive,
    from_huggingface,
    from_torch_key_padding,
    padding_mask,
    to_additive,
    to_huggingface,
    to_torch_key_padding,
)

LENGTHS = [5, 0, 2]
TOKENS = [[True] * 5, [False] * 5, [True, True, False, False, False]]


def test_lengths_mark_the_first_tokens_as_real():
    assert lengths_to_tokens(torch.tensor(LENGTHS)).tolist() == TOKENS
    padded = lengths_to_tokens(torch.tensor(LENGTHS), size=7)
    assert padded.shape == (3, 7)
    assert padded.sum(dim=1).tolist() == LENGTHS
    assert not padded[:, 5:].any()


def test_no_sequences_give_no_tokens():
    assert lengths_to_tokens(torch.tensor([], dtype=torch.long)).shape == (0, 0)
    assert lengths_to_tokens(torch.tensor([], dtype=torch.long), size=4).shape == (0, 4)


@pytest.mark.parametrize(("lengths", "size"), [([3, -1], None), ([3, 6], 5), ([-1], 2)])
def test_impossible_lengths_are_refused(lengths, size):
    with pytest.raises(ValueError, match="lengths must lie between 0 and size"):
        lengths_to_tokens(torch.tensor(lengths), size)


def test_padding_mask_hides_keys_from_every_head_and_query():
    tokens = torch.tensor(TOKENS)
    mask = padding_mask(tokens)
    assert mask.shape == (3, 1, 1, 5)
    assert mask.dtype == torch.bool
    spread = mask.expand(3, 2, 4, 5)
    for b in range(3):
        for s in range(5):
            assert (spread[b, :, :, s] == TOKENS[b][s]).all()


def test_causal_mask_is_the_lower_triangle():
    assert causal_mask(3)[0, 0].tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert causal_mask(3).shape == (1, 1, 3, 3)


def test_causal_mask_of_more_keys_aligns_queries_with_the_last_keys():
    full, last = causal_mask(7), causal_mask(3, 7)
    assert torch.equal(last, full[:, :, -3:])
    assert causal_mask(1, 7).all()


def test_causal_mask_agrees_with_torch_when_square():
    query, key, value = torch.randn(3, 2, 5, 7, 3).unbind(0)
    attend = torch.nn.functional.scaled_dot_product_attention
    ours = attend(query, key, value, attn_mask=causal_mask(7))
    torch.testing.assert_close(ours, attend(query, key, value, is_causal=True))


def test_causal_mask_refuses_fewer_keys_than_queries():
    with pytest.raises(ValueError, match="source_size=2 is smaller than size=3"):
        causal_mask(3, 2)


def test_masks_are_made_on_the_device_that_is_asked_for():
    assert causal_mask(2, device="meta").device.type == "meta"
    assert to_additive(causal_mask(2, device="meta"), torch.float32).device.type == "meta"


def test_masks_are_on_the_device_of_their_input_whatever_the_default_device():
    with torch.device("meta"):
        assert lengths_to_tokens(torch.tensor([2, 1], device="cpu"), 3).sum() == 3
        mask = torch.ones(2, dtype=torch.bool, device="cpu")
        assert to_additive(mask, torch.float32).sum() == 0


def test_combined_masks_allow_what_all_allow():
    tokens = torch.tensor(TOKENS)
    both = combine_masks(padding_mask(tokens), None, causal_mask(5))
    assert both.shape == (3, 1, 5, 5)
    for b in range(3):
        for t in range(5):
            for s in range(5):
                assert bool(both[b, 0, t, s]) == (TOKENS[b][s] and s <= t)


def test_combining_nothing_restricts_nothing():
    assert combine_masks() is None
    assert combine_masks(None, None) is None
    mask = causal_mask(4)
    assert combine_masks(None, mask) is mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8])
def test_a_mask_that_is_not_boolean_is_refused_with_the_converters(dtype):
    with pytest.raises(TypeError, match=r"boolean.*masks\.from_huggingface.*masks\.from_additive"):
        check_mask(torch.ones(1, 1, 2, 3).to(dtype), (2, 1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 1, 1, 4), (5, 1, 1, 3), (7,), (1, 2, 1, 2, 3)])
def test_a_mask_that_does_not_fit_the_scores_is_refused_with_the_builders(shape):
    with pytest.raises(ValueError, match=r"does not broadcast.*padding_mask.*causal_mask"):
        check_mask(torch.ones(shape, dtype=torch.bool), (2, 1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (1, 1, 1, 1), (2, 3), (3,), (2, 1, 2, 3), ()])
def test_a_mask_that_broadcasts_into_the_scores_is_taken(shape):
    check_mask(torch.ones(shape, dtype=torch.bool), (2, 1, 2, 3))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_a_bias_that_is_not_floating_is_refused(dtype):
    with pytest.raises(TypeError, match=f"must be floating, got {dtype}"):
        check_bias(torch.ones(1, 1, 2, 3).to(dtype), (2, 1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 1, 1, 4), (5, 1, 1, 3), (7,), (1, 2, 1, 2, 3)])
def test_a_bias_that_does_not_fit_the_scores_is_refused(shape):
    message = re.escape(f"bias {shape} does not broadcast to the scores (2, 1, 2, 3)")
    with pytest.raises(ValueError, match=message):
        check_bias(torch.ones(shape), (2, 1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 1, 1, 3), (1, 1, 1, 1), (2, 3), (3,), (2, 1, 2, 3), ()])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_bias_that_broadcasts_into_the_scores_is_taken(shape, dtype):
    check_bias(torch.ones(shape, dtype=dtype), (2, 1, 2, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_additive_masks_convert_both_ways(dtype):
    mask = causal_mask(4)
    bias = to_additive(mask, dtype)
    assert bias.dtype == dtype
    assert (bias[mask] == 0).all()
    assert (bias[~mask] == -torch.inf).all()
    assert torch.equal(from_additive(bias), mask)
    finite = bias.clamp_min(torch.finfo(dtype).min)  # what Hugging Face writes
    assert finite.isfinite().all()
    assert torch.equal(from_additive(finite), mask)


def test_an_additive_mask_gives_the_same_attention():
    query, key, value = torch.randn(2, 3, 5, 7), torch.randn(2, 3, 5, 7), torch.randn(2, 3, 5, 7)
    attend = torch.nn.functional.scaled_dot_product_attention
    mask = causal_mask(5)
    torch.testing.assert_close(
        attend(query, key, value, attn_mask=mask),
        attend(query, key, value, attn_mask=to_additive(mask, query.dtype)),
    )


@pytest.mark.parametrize("entry", [-1e4, 0.5, torch.inf, torch.nan])
def test_a_learned_bias_is_not_taken_for_a_mask(entry):
    with pytest.raises(ValueError, match="this is a bias"):
        from_additive(torch.tensor([0.0, entry, -torch.inf]))


def test_torch_key_padding_masks_convert_both_ways():
    tokens = torch.tensor(TOKENS)
    ignored = to_torch_key_padding(tokens)
    assert torch.equal(ignored, torch.tensor(TOKENS).logical_not())
    assert torch.equal(from_torch_key_padding(ignored), padding_mask(tokens))


def test_huggingface_masks_convert_both_ways():
    tokens = torch.tensor(TOKENS)
    ones = to_huggingface(tokens)
    assert ones.dtype == torch.int64
    assert ones.tolist() == [[int(real) for real in row] for row in TOKENS]
    assert torch.equal(from_huggingface(ones), padding_mask(tokens))
    assert torch.equal(from_huggingface(tokens), padding_mask(tokens))


def test_converters_put_no_weight_on_padding():
    """Erratum E003-07: with the polarity the wrong way round all weight goes to the padding."""
    tokens = torch.tensor([[True, True, False, False]])
    scores_of_zero = torch.zeros(1, 1, 3, 5), torch.zeros(1, 1, 4, 5)
    converted = [
        from_torch_key_padding(torch.tensor([[False, False, True, True]])),
        from_huggingface(torch.tensor([[1, 1, 0, 0]])),
        from_additive(torch.tensor([[[[0.0, 0.0, -torch.inf, -torch.inf]]]])),
        padding_mask(tokens),
    ]
    for mask in converted:
        weights = attention_weights(*scores_of_zero, mask)
        assert weights[0, 0].tolist() == [[0.5, 0.5, 0.0, 0.0]] * 3


@pytest.mark.parametrize("entries", [[[1, 2, 0]], [[0, -1, 1]]])
def test_huggingface_masks_hold_only_ones_and_zeros(entries):
    with pytest.raises(ValueError, match="only 1"):
        from_huggingface(torch.tensor(entries))
