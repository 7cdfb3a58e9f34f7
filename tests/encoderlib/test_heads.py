"""encoderlib.heads: pooling over real tokens only, and logits."""

import pytest
import torch

from encoderlib import ClassificationHead, lengths_to_tokens, pool

B, T, D = 3, 7, 5


def test_the_mean_is_over_real_tokens_only():
    x = torch.randn(B, T, D)
    got = pool(x, lengths_to_tokens(torch.tensor([7, 2, 1])))
    expected = torch.stack([x[0].mean(0), x[1, :2].mean(0), x[2, 0]])
    torch.testing.assert_close(got, expected)


def test_tokens_may_lie_anywhere_and_sizes_may_coincide():
    x = torch.randn(4, 4, 4)
    tokens = torch.eye(4).bool() | torch.eye(4).bool().roll(1, 1)
    expected = torch.stack([x[b, tokens[b]].mean(0) for b in range(4)])
    torch.testing.assert_close(pool(x, tokens), expected)


def test_without_tokens_all_are_real():
    x = torch.randn(B, T, D)
    torch.testing.assert_close(pool(x), x.mean(1))
    torch.testing.assert_close(pool(x, torch.ones(B, T, dtype=torch.bool)), x.mean(1))


@pytest.mark.parametrize("rubbish", [1e9, torch.nan, torch.inf])
def test_padding_does_not_come_through(rubbish):
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(torch.tensor([4, 2, 1]), T)
    spoilt = x.masked_fill(~tokens[..., None], rubbish)
    assert torch.equal(pool(spoilt, tokens), pool(x, tokens))


def test_a_sequence_without_tokens_gives_zeros_and_finite_gradients():
    x = torch.randn(2, T, D, requires_grad=True)
    got = pool(x, lengths_to_tokens(torch.tensor([3, 0]), T))
    assert (got[1] == 0).all()
    got.sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[1] == 0).all()


def test_cls_is_the_first_vector():
    x = torch.randn(B, T, D)
    assert torch.equal(pool(x, how="cls"), x[:, 0])
    assert torch.equal(pool(x, lengths_to_tokens(torch.tensor([7, 2, 1])), "cls"), x[:, 0])


def test_an_unknown_pooling_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"how='max' must be one of \('mean', 'cls'\)"):
        pool(torch.zeros(B, T, D), how="max")
    with pytest.raises(ValueError, match=r"pooling='max' must be one of \('mean', 'cls'\)"):
        ClassificationHead(D, 2, "max")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_mean_keeps_the_dtype(dtype):
    x = torch.randn(B, T, D, dtype=dtype)
    assert pool(x, torch.ones(B, T, dtype=torch.bool)).dtype == dtype


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_head_gives_one_row_of_logits_for_each_sequence(pooling, randomise):
    """Erratum E000-12: without pooling there is a row for each token."""
    head = randomise(ClassificationHead(D, 11, pooling))
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(torch.tensor([7, 2, 1]))
    got = head(x, tokens)
    assert got.shape == (B, 11)
    vectors = pool(x, tokens, pooling)
    torch.testing.assert_close(got, vectors @ head.linear.weight.T + head.linear.bias)


def test_logits_are_not_probabilities(randomise):
    """Erratum E000-27: a softmax before the loss is a softmax twice."""
    got = randomise(ClassificationHead(D, 11))(3 * torch.randn(B, T, D))
    assert (got < 0).any()
    assert (got.sum(-1) - 1).abs().min() > 1e-3


def test_dropout_is_on_the_pooled_vector_in_training_only():
    head = ClassificationHead(64, 64, dropout=0.5)
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(64))
        head.linear.bias.fill_(5.0)
    got = head(torch.ones(B, T, 64))
    assert set(got.unique().tolist()) == {5.0, 7.0}
    assert torch.equal(head.eval()(torch.ones(B, T, 64)), torch.full((B, 64), 6.0))
    assert ClassificationHead(D, 2).dropout.p == 0
