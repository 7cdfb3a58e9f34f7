"""From one vector a token to one vector a sequence, and to class scores (chapters 12 and 14)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["AttentionPooling", "ClassificationHead", "pool"]

POOLINGS = ("mean", "cls", "max", "attention")


def pool(
    x: Float[Tensor, "B T D"], tokens: Bool[Tensor, "B T"] | None = None, how: str = "mean"
) -> Float[Tensor, "B D"]:
    """Reduce a sequence to one vector, without parameters.

    Args:
        x: ``(B, T, D)``.
        tokens: True = real token; padding does not count. None = all are real.
        how: ``"mean"`` of the real tokens, ``"max"``, the largest of each column, or ``"cls"``,
            the first vector. Mean and max give zeros if no token is real.

    Raises:
        ValueError: for another ``how``.
    """
    if how == "cls":
        return x[:, 0]
    if how not in ("mean", "max"):
        raise ValueError(
            f"how={how!r} must be one of {POOLINGS[:3]}; for attention use AttentionPooling"
        )
    if tokens is None:
        return x.mean(dim=1) if how == "mean" else x.amax(dim=1)
    real = tokens[..., None]  # (B, T, 1)
    # masked_fill, not a product: NaN or inf at a padded position must not come through.
    if how == "max":
        largest = x.masked_fill(~real, -torch.inf).amax(dim=1)  # (B, D)
        return largest.masked_fill(~real.any(dim=1), 0.0)
    return x.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1).clamp_min(1)  # (B, D)


class AttentionPooling(nn.Module):
    r"""A weighted mean of the real tokens: ``softmax(x . query / sqrt(D))`` are the weights.

    One learned query asks every token how much it matters (Yang et al. 2016, "Hierarchical
    Attention Networks", section 2.2, without the layer before the product; chapter 12). It
    starts as zeros, so that the pooling starts as the mean.

    Args:
        d_model: width D.

    ``nn.MultiheadAttention`` with one query would add four projections.
    """

    def __init__(self, d_model: int):
        super().__init__()
        # One axis, so that weight decay leaves it alone, as it does biases and norms.
        self.query = nn.Parameter(torch.zeros(d_model))

    def forward(
        self, x: Float[Tensor, "B T D"], tokens: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B D"]:
        """``(B, T, D)`` to ``(B, D)``; zeros if no token is real. ``tokens`` as for `pool`."""
        if tokens is None:
            tokens = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)  # (B, T)
        x = x.masked_fill(~tokens[..., None], 0.0)  # NaN or inf must not come through
        scores = x @ (self.query / math.sqrt(x.size(-1)))  # (B, T)
        scores = scores.masked_fill(~tokens, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1).masked_fill(~tokens, 0.0)  # all 0 without real tokens
        return (weights[:, None] @ x).squeeze(1)  # (B, 1, T) (B, T, D) -> (B, D)


class ClassificationHead(nn.Module):
    """Pool, drop out, and score the classes: ``(B, T, D)`` to logits ``(B, C)``.

    Logits, not probabilities: ``F.cross_entropy`` takes the softmax itself.

    Args:
        d_model: width D.
        n_classes: C.
        pooling: ``"mean"``, ``"cls"``, ``"max"`` (see `pool`) or ``"attention"``
            (`AttentionPooling`).
        dropout: on the pooled vector, in training only.

    Raises:
        ValueError: for another ``pooling``.
    """

    def __init__(self, d_model: int, n_classes: int, pooling: str = "mean", dropout: float = 0.0):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r} must be one of {POOLINGS}")
        self.pooling = pooling
        self.attention = AttentionPooling(d_model) if pooling == "attention" else None
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(d_model, n_classes)

    def forward(
        self, x: Float[Tensor, "B T D"], tokens: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits; ``tokens`` as for `pool`."""
        if self.attention is not None:
            pooled = self.attention(x, tokens)  # (B, D)
        else:
            pooled = pool(x, tokens, self.pooling)  # (B, D)
        return self.linear(self.dropout(pooled))
