"""The position-wise feed-forward network (chapter 06).

Source: Vaswani et al. 2017, section 3.3, equation 2.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "FeedForward"]

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


class FeedForward(nn.Module):
    r"""Two linear maps with a non-linearity between, the same at every position.

    ``FFN(x) = activation(x W_1 + b_1) W_2 + b_2``.

    Args:
        d_model: width D of input and output.
        d_ff: inner width F, usually 4 D.
        activation: ``"relu"`` (Vaswani et al.) or ``"gelu"`` (BERT, ViT; the exact erf form).
        dropout: dropout on the inner activations, in training only.

    Raises:
        ValueError: for an unknown activation.
    """

    def __init__(self, d_model: int, d_ff: int, activation: str = "gelu", dropout: float = 0.0):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} must be one of {sorted(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Transform each position by itself: no position sees another."""
        return self.linear2(self.dropout(self.activation(self.linear1(x))))  # D -> F -> D
