"""Absolute positions, added to the embeddings (chapter 03).

Attention without positions treats a sentence as a bag of words; these tell it the order.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["LearnedPositions", "SinusoidalPositions", "sinusoids"]


def sinusoids(length: int, d_model: int, base: float = 10000.0) -> Float[Tensor, "T D"]:
    r"""The fixed table of Vaswani et al. 2017, section 3.5.

    ``PE[t, 2i] = sin(t / base^(2i/D))``, ``PE[t, 2i+1] = cos(t / base^(2i/D))``: column pairs
    are clocks, from fast (period 2 pi) to slow (period 2 pi base). float32, computed in float64.

    Raises:
        ValueError: if ``d_model`` is odd, since columns come in pairs.
    """
    if d_model % 2:
        raise ValueError(f"d_model={d_model} must be even: columns come in sine/cosine pairs")
    t = torch.arange(length, dtype=torch.float64)[:, None]  # (T, 1)
    i = torch.arange(0, d_model, 2, dtype=torch.float64)  # (D/2,)
    angles = t * torch.exp(-math.log(base) * i / d_model)  # (T, D/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).float()  # (T, D)


class SinusoidalPositions(nn.Module):
    """Add `sinusoids` to ``(B, T, D)``: no parameters, any length.

    The table grows when a longer sequence comes, and is not stored in checkpoints.
    """

    table: Tensor

    def __init__(self, d_model: int, length: int = 512):
        super().__init__()
        self.register_buffer("table", sinusoids(length, d_model), persistent=False)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Position t of each sequence gets row t."""
        length = x.size(-2)
        if length > self.table.size(0):
            self.table = sinusoids(2 * length, self.table.size(1)).to(self.table)
        return x + self.table[:length].to(x.dtype)


class LearnedPositions(nn.Module):
    """Add a learned row for each position, as BERT and ViT do.

    Args:
        max_length: rows of the table; a longer sequence is an error, since such a position
            was never trained.
        d_model: width D.
        std: of the normal initial values. 0.02 is the custom of large models; a small model
            on patches that do not overlap learns far faster from about 0.5 (chapter 14).
    """

    def __init__(self, max_length: int, d_model: int, std: float = 0.02):
        super().__init__()
        self.table = nn.Parameter(torch.empty(max_length, d_model).normal_(std=std))

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Position t of each sequence gets row t.

        Raises:
            ValueError: if T is larger than ``max_length``.
        """
        if x.size(-2) > self.table.size(0):
            raise ValueError(
                f"sequence of {x.size(-2)} positions, but the table has {self.table.size(0)}; "
                "truncate the input or build the model with a larger max_length"
            )
        return x + self.table[: x.size(-2)]
