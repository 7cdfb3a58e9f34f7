"""Positions: added or joined to the embeddings, or used inside attention (chapter 03).

Attention without positions treats a sentence as a bag of words; these tell it the order.
Absolute ones, here, say where a token is. Relative ones say how far it is from another:
`RelativePositions` is what attention asks of them, `rotary` and `relative` hold them.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = [
    "ConcatenatedPositions",
    "LearnedPositions",
    "RelativePositions",
    "SinusoidalPositions",
    "sinusoids",
]


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

    def forward(self, x: Float[Tensor, "B T D"], start: int = 0) -> Float[Tensor, "B T D"]:
        """Position t of each sequence gets row start + t; decoding starts after 0."""
        return x + self.rows(start, start + x.size(-2)).to(x.dtype)

    def rows(self, start: int, stop: int) -> Float[Tensor, "T D"]:
        """Rows start .. stop - 1 of the table, which grows if it is too short."""
        if stop > self.table.size(0):
            self.table = sinusoids(2 * stop, self.table.size(1)).to(self.table)
        return self.table[start:stop]


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

    def forward(self, x: Float[Tensor, "B T D"], start: int = 0) -> Float[Tensor, "B T D"]:
        """Position t of each sequence gets row start + t.

        Raises:
            ValueError: if start + T is larger than ``max_length``.
        """
        stop = start + x.size(-2)
        if stop > self.table.size(0):
            raise ValueError(
                f"sequence of {stop} positions, but the table has {self.table.size(0)}; "
                "truncate the input or build the model with a larger max_length"
            )
        return x + self.table[start:stop]


class ConcatenatedPositions(nn.Module):
    r"""Give the position columns of its own, then map back to D: ``[x_t ; PE_t] W``.

    The alternative to adding. Split W into the rows for x and those for the position:
    ``[x ; p] W = x W_x + p W_p``. So joining is adding after two learned maps, and adding as
    such is the case ``W_x = W_p = I``. It takes and gives ``(B, T, D)`` as the modules that add
    do, and can stand in their place; keeping D by a narrower embedding would need no W, but
    change the embedding too.

    Args:
        d_model: width D of input and output.
        d_position: columns of the position, even; by default D.
        length: positions in the first table, which grows when needed.

    Raises:
        ValueError: if ``d_position`` is odd.
    """

    def __init__(self, d_model: int, d_position: int | None = None, length: int = 512):
        super().__init__()
        d_position = d_model if d_position is None else d_position
        self.code = SinusoidalPositions(d_position, length)
        self.linear = nn.Linear(d_model + d_position, d_model, bias=False)

    def forward(self, x: Float[Tensor, "B T D"], start: int = 0) -> Float[Tensor, "B T D"]:
        """Position t of each sequence is joined with row start + t."""
        code = self.code.rows(start, start + x.size(-2)).to(x.dtype)  # (T, P)
        joined = torch.cat([x, code.expand(x.size(0), -1, -1)], dim=-1)  # (B, T, D+P)
        return self.linear(joined)


class RelativePositions(nn.Module):
    """What attention asks of relative positions. This one does nothing; each kind overrides one.

    The attention scores become ``rotate(q) . rotate(k) / sqrt(d) + bias``. Values, and what the
    layers pass on, stay free of positions.
    """

    def rotate(
        self, q: Float[Tensor, "B H T d"], k: Float[Tensor, "B G S d"], start: int = 0
    ) -> tuple[Float[Tensor, "B H T d"], Float[Tensor, "B G S d"]]:
        """Queries and new keys that begin at position ``start``, before their product."""
        return q, k

    def bias(self, q: Float[Tensor, "B H T d"], source: int) -> Float[Tensor, "#B H T S"] | None:
        """What to add to the scaled scores; the T queries are the last of ``source`` positions."""
        return None
