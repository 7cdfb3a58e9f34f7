"""From one vector a token to one vector a sequence, and to class scores (chapters 12 and 14)."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["ClassificationHead", "pool"]

POOLINGS = ("mean", "cls")


def pool(
    x: Float[Tensor, "B T D"], tokens: Bool[Tensor, "B T"] | None = None, how: str = "mean"
) -> Float[Tensor, "B D"]:
    """Reduce a sequence to one vector.

    Args:
        x: ``(B, T, D)``.
        tokens: True = real token; padding does not count. None = all are real.
        how: ``"mean"`` of the real tokens (zeros if there is none), or ``"cls"``, the first.

    Raises:
        ValueError: for another ``how``.
    """
    if how == "cls":
        return x[:, 0]
    if how != "mean":
        raise ValueError(f"how={how!r} must be one of {POOLINGS}")
    if tokens is None:
        return x.mean(dim=1)
    real = tokens[..., None]  # (B, T, 1)
    # masked_fill, not a product: NaN or inf at a padded position must not come through.
    return x.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1).clamp_min(1)  # (B, D)


class ClassificationHead(nn.Module):
    """Pool, drop out, and score the classes: ``(B, T, D)`` to logits ``(B, C)``.

    Logits, not probabilities: ``F.cross_entropy`` takes the softmax itself.
    """

    def __init__(self, d_model: int, n_classes: int, pooling: str = "mean", dropout: float = 0.0):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r} must be one of {POOLINGS}")
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(d_model, n_classes)

    def forward(
        self, x: Float[Tensor, "B T D"], tokens: Bool[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B C"]:
        """Logits; ``tokens`` as for `pool`."""
        return self.linear(self.dropout(pool(x, tokens, self.pooling)))
