"""The position-wise feed-forward network, plain or gated (chapter 06).

Sources: Vaswani et al. 2017, section 3.3, equation 2; Shazeer 2020, "GLU Variants Improve
Transformer", equation 6.
"""

import functools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "FeedForward"]

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_tanh": functools.partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}
# The same, written over their argument.
IN_PLACE = {
    "gelu": torch.ops.aten.gelu_,
    "gelu_tanh": functools.partial(torch.ops.aten.gelu_, approximate="tanh"),
    "relu": torch.relu_,
    "silu": functools.partial(F.silu, inplace=True),
}


class FeedForward(nn.Module):
    r"""Two linear maps with a non-linearity between, the same at every position.

    ``FFN(x) = activation(x W_1 + b_1) W_2 + b_2``, or gated:
    ``FFN(x) = (activation(x W_1 + b_1) * (x W_3 + b_3)) W_2 + b_2``.

    Args:
        d_model: width D of input and output.
        d_ff: inner width F, usually 4 D; about two thirds of that when gated, for as many
            parameters.
        activation: ``"relu"`` (Vaswani et al.), ``"gelu"`` (BERT, ViT; the exact erf form),
            ``"gelu_tanh"`` (GPT-2; its approximation) or ``"silu"`` (Llama).
        dropout: dropout on the inner activations, in training only.
        gated: multiply by a second linear map: GEGLU with gelu, SwiGLU with silu.
        bias: whether the maps have biases.

    Raises:
        ValueError: for an unknown activation.

    Gated, ``linear1`` is ``[W_1 ; W_3]`` in one matrix of 2 F rows: the first F are activated,
    as in ModernBERT's ``Wi``. Llama's ``gate_proj`` is W_1, its ``up_proj`` W_3.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        activation: str = "gelu",
        dropout: float = 0.0,
        gated: bool = False,
        bias: bool = True,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} must be one of {sorted(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.activation_in_place = IN_PLACE[activation]
        self.gated = gated
        self.linear1 = nn.Linear(d_model, 2 * d_ff if gated else d_ff, bias=bias)
        self.linear2 = nn.Linear(d_ff, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Transform each position by itself: no position sees another."""
        inner = self.linear1(x)  # D -> F, or 2 F
        if self.gated:
            inner, gate = inner.chunk(2, dim=-1)  # 2 F -> F, F
            inner = self._activate(inner) * gate
        else:
            inner = self._activate(inner)
        return self.linear2(self.dropout(inner))  # F -> D

    def _activate(self, inner: Tensor) -> Tensor:
        """In place where nobody reads the inner values again: a fresh buffer of this size costs
        a CPU more than the activation. A gradient reads them, and so may a hook.
        """
        read_again = torch.is_grad_enabled() or self.linear1._forward_hooks
        return self.activation(inner) if read_again else self.activation_in_place(inner)
