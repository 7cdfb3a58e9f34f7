"""encoderlib.heads: pooling over real tokens only, and logits."""

import math

import pytest
import torch

from encoderlib import ClassificationHead, lengths_to_tokens, pool
from encoderlib.heads import AttentionPooling

B, T, D = 3, 7, 5


def pooling_function(how, randomise):
    """Any pooling as a function of x and tokens."""
    if how == "attention":
        return randomise(AttentionPooling(D))
    return lambda x, tokens=None: pool(x, tokens, how)


over_tokens = pytest.mark.parametrize("how", ["mean", "max", "attention"])


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


@over_tokens
def test_all_real_is_the_same_as_no_tokens(how, randomise):
    x, pooling = torch.randn(B, T, D), pooling_function(how, randomise)
    torch.testing.assert_close(pooling(x), pooling(x, torch.ones(B, T, dtype=torch.bool)))


@over_tokens
def test_pooling_equals_pooling_of_the_real_tokens_alone(how, randomise):
    x, pooling = torch.randn(4, 4, D), pooling_function(how, randomise)
    tokens = torch.eye(4).bool() | torch.eye(4).bool().roll(1, 1)
    got = pooling(x - 9, tokens)  # far below 0: a maximum with zeros would show
    expected = torch.cat([pooling(x[b : b + 1, tokens[b]] - 9) for b in range(4)])
    torch.testing.assert_close(got, expected)


@over_tokens
@pytest.mark.parametrize("rubbish", [1e9, -1e9, torch.nan, torch.inf])
def test_padding_does_not_come_through(how, rubbish, randomise):
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(torch.tensor([4, 2, 1]), T)
    pooling, spoilt = pooling_function(how, randomise), x.masked_fill(~tokens[..., None], rubbish)
    assert torch.equal(pooling(spoilt, tokens), pooling(x, tokens))
    spoilt.requires_grad_()
    pooling(spoilt, tokens).sum().backward()
    assert torch.equal(spoilt.grad.masked_fill(tokens[..., None], 0.0), torch.zeros(B, T, D))
    assert spoilt.grad.isfinite().all()


@over_tokens
def test_a_sequence_without_tokens_gives_zeros_and_finite_gradients(how, randomise):
    x, pooling = torch.randn(2, T, D, requires_grad=True), pooling_function(how, randomise)
    got = pooling(x, lengths_to_tokens(torch.tensor([3, 0]), T))
    assert (got[1] == 0).all()
    assert (got[0] != 0).all()
    got.sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[1] == 0).all()


def test_cls_is_the_first_vector():
    x = torch.randn(B, T, D)
    assert torch.equal(pool(x, how="cls"), x[:, 0])
    assert torch.equal(pool(x, lengths_to_tokens(torch.tensor([7, 2, 1])), "cls"), x[:, 0])


def test_the_maximum_is_that_of_each_column():
    x = torch.randn(B, T, D)
    got = pool(x, lengths_to_tokens(torch.tensor([7, 2, 1])), "max")
    expected = torch.stack([x[0].amax(0), torch.maximum(x[1, 0], x[1, 1]), x[2, 0]])
    assert torch.equal(got, expected)
    assert torch.equal(pool(x, how="max"), x.amax(1))


def test_attention_pooling_is_the_weighted_mean_of_the_equation(randomise):
    pooling, x, lengths = randomise(AttentionPooling(D)), torch.randn(B, T, D), [7, 2, 1]
    expected, query = torch.empty(B, D), pooling.query.detach()
    for b, length in enumerate(lengths):
        scores = [float(x[b, t] @ query) / math.sqrt(D) for t in range(length)]
        total = sum(math.exp(score) for score in scores)
        expected[b] = sum(math.exp(scores[t]) / total * x[b, t] for t in range(length))
    got = pooling(x, lengths_to_tokens(torch.tensor(lengths)))
    torch.testing.assert_close(got, expected)
    assert (got - pool(x, lengths_to_tokens(torch.tensor(lengths)))).abs().max() > 0.1


def test_attention_pooling_picks_one_token_with_huge_scores():
    """A padded token with the largest score of all gets nothing, and exp does not overflow."""
    pooling, x = AttentionPooling(2), torch.zeros(1, 3, 2)
    x[0, :, 0] = torch.tensor([1.0, 2.0, 3.0])
    x[0, :, 1] = torch.tensor([10.0, 20.0, 30.0])
    with torch.no_grad():
        pooling.query[0] = 1e6
    assert pooling(x, torch.tensor([[True, True, False]])).tolist() == [[2.0, 20.0]]
    assert pooling(x).tolist() == [[3.0, 30.0]]


def test_attention_pooling_starts_as_the_mean_and_can_learn():
    pooling, x = AttentionPooling(D), torch.randn(B, T, D)
    tokens = lengths_to_tokens(torch.tensor([7, 2, 1]))
    torch.testing.assert_close(pooling(x, tokens), pool(x, tokens))
    pooling(x, tokens).square().sum().backward()
    assert (pooling.query.grad != 0).all()
    assert list(pooling.state_dict()) == ["query"]


def test_an_unknown_pooling_is_refused_with_the_known_ones():
    message = r"how='median' must be one of \('mean', 'cls', 'max'\)"
    with pytest.raises(ValueError, match=message):
        pool(torch.zeros(B, T, D), how="median")
    with pytest.raises(ValueError, match=r"how='attention'.*; for attention use AttentionPooling"):
        pool(torch.zeros(B, T, D), how="attention")
    message = r"pooling='median' must be one of \('mean', 'cls', 'max', 'attention'\)"
    with pytest.raises(ValueError, match=message):
        ClassificationHead(D, 2, "median")


@over_tokens
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_pooling_keeps_the_dtype(how, dtype, randomise):
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(torch.tensor([7, 2, 0]))
    pooling = pooling_function(how, randomise)
    expected = pooling(x, tokens)
    if how == "attention":
        pooling.to(dtype)
    got = pooling(x.to(dtype), tokens)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "attention"])
def test_a_head_gives_one_row_of_logits_for_each_sequence(pooling, randomise):
    """Erratum E000-12: without pooling there is a row for each token."""
    head = randomise(ClassificationHead(D, 11, pooling))
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(torch.tensor([7, 2, 1]))
    got = head(x, tokens)
    assert got.shape == (B, 11)
    if pooling == "attention":
        vectors = head.attention(x, tokens)
        assert set(head.state_dict()) == {"attention.query", "linear.weight", "linear.bias"}
    else:
        vectors = pool(x, tokens, pooling)
        assert set(head.state_dict()) == {"linear.weight", "linear.bias"}
    torch.testing.assert_close(got, vectors @ head.linear.weight.T + head.linear.bias)
    torch.testing.assert_close(head(x), head(x, torch.ones(B, T, dtype=torch.bool)))


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "attention"])
def test_a_new_head_draws_what_a_linear_map_draws(pooling):
    """Chapters count on their random numbers."""
    torch.manual_seed(5)
    expected = torch.nn.Linear(D, 11)
    torch.manual_seed(5)
    head = ClassificationHead(D, 11, pooling)
    assert torch.equal(head.linear.weight, expected.weight)
    assert torch.equal(head.linear.bias, expected.bias)


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
