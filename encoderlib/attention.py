"""Scaled dot-product attention and multi-head attention (chapters 04 and 05).

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoderlib.masks import check_mask

__all__ = [
    "MultiHeadAttention",
    "attention_weights",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_reference",
]


def attention_weights(
    query: Float[Tensor, "*batch T d_k"],
    key: Float[Tensor, "*batch S d_k"],
    mask: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch T S"]:
    r"""How much each query reads each key: ``softmax(Q K^T / sqrt(d_k))`` over the visible keys.

    Args:
        query: queries ``(..., T, d_k)``.
        key: keys ``(..., S, d_k)``, of the same dtype.
        mask: True = may attend, broadcastable to ``(..., T, S)``; None = all may.

    Returns:
        Weights ``(..., T, S)``: rows sum to 1; hidden keys have exactly 0; a row that may
        attend to nothing is all zeros. ``torch.softmax`` alone gives NaN for such a row.

    Raises:
        TypeError, ValueError: a mask of the wrong dtype or shape (`masks.check_mask`).
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))  # (..., T, S)
    if mask is None:
        return scores.softmax(dim=-1)
    check_mask(mask, tuple(scores.shape))
    # finfo.min, not -inf: a fully masked row then has no NaN on its way, nor on the way back.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)  # zeros for a row with nothing to attend to


def scaled_dot_product_attention_reference(
    query: Float[Tensor, "*batch T d_k"],
    key: Float[Tensor, "*batch S d_k"],
    value: Float[Tensor, "*batch S d_v"],
    mask: Bool[Tensor, "..."] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "*batch T d_v"]:
    """`scaled_dot_product_attention`, written as the equation of chapter 04.

    It is what the fused version is checked against, and what to read.
    """
    return F.dropout(attention_weights(query, key, mask), dropout) @ value  # (..., T, d_v)


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch T d_k"],
    key: Float[Tensor, "*batch S d_k"],
    value: Float[Tensor, "*batch S d_v"],
    mask: Bool[Tensor, "..."] | None = None,
    dropout: float = 0.0,
) -> Float[Tensor, "*batch T d_v"]:
    r"""``softmax(Q K^T / sqrt(d_k)) V``: each query gets a weighted mean of the values.

    Args:
        query, key, value: ``(..., T, d_k)``, ``(..., S, d_k)``, ``(..., S, d_v)``; any float dtype.
        mask: True = may attend, broadcastable to ``(..., T, S)``.
        dropout: probability of dropping a weight. Applied whenever it is above 0, so pass 0
            outside training, as for ``F.scaled_dot_product_attention``.

    Returns:
        ``(..., T, d_v)``; zeros where a query may attend to nothing.

    Raises:
        TypeError, ValueError: a mask of the wrong dtype or shape (`masks.check_mask`).

    Runs torch's fused kernel, whose memory grows with T instead of T squared.
    Vaswani et al. 2017, equation 1; chapter 04.
    """
    if mask is not None:
        check_mask(mask, (*query.shape[:-1], key.size(-2)))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


class MultiHeadAttention(nn.Module):
    r"""H attentions side by side, each on its own d_model/H columns, then mixed by ``W_O``.

    ``MultiHead(X) = Concat(head_1 .. head_H) W_O``,
    ``head_h = Attention(X W_Q^h, X W_K^h, X W_V^h)`` (Vaswani et al. 2017, section 3.2.2;
    chapter 05). Self-attention when called with one tensor, cross-attention with ``key``.

    Args:
        d_model: width D of input and output.
        n_heads: number of heads H; must divide ``d_model``.
        dropout: dropout on the attention weights, in training only.
        bias: whether the projections have biases.

    Raises:
        ValueError: if ``n_heads`` does not divide ``d_model``.

    The three input projections are one matrix, ``in_proj``, as in ``nn.MultiheadAttention``
    (rows: query, key, value), so one multiplication serves self-attention. Unlike torch's
    module the mask is True = may attend and the weights have a method of their own.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} must divide d_model={d_model}")
        self.d_model = d_model
        self.n_heads = n_heads
        self.dropout = dropout
        self.in_proj = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot-uniform matrices and zero biases; torch draws ``out_proj`` as any Linear."""
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        if self.in_proj.bias is not None:
            nn.init.zeros_(self.in_proj.bias)
            nn.init.zeros_(self.out_proj.bias)

    def project(
        self, query: Float[Tensor, "B T D"], key: Float[Tensor, "B S D"] | None = None
    ) -> tuple[Float[Tensor, "B H T d"], Float[Tensor, "B H S d"], Float[Tensor, "B H S d"]]:
        """Project to queries, keys and values and split the heads. ``key=None``: self-attention."""
        if key is None:
            q, k, v = self.in_proj(query).chunk(3, dim=-1)  # 3 x (B, T, D)
        else:
            weight, bias = self.in_proj.weight, self.in_proj.bias
            d = self.d_model
            q = F.linear(query, weight[:d], None if bias is None else bias[:d])  # (B, T, D)
            kv = F.linear(key, weight[d:], None if bias is None else bias[d:])  # (B, S, 2D)
            k, v = kv.chunk(2, dim=-1)
        return self.split_heads(q), self.split_heads(k), self.split_heads(v)

    def split_heads(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T d"]:
        """Give each head its own columns: ``(B, T, D)`` to ``(B, H, T, D/H)``."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(
        self,
        query: Float[Tensor, "B T D"],
        key: Float[Tensor, "B S D"] | None = None,
        mask: Bool[Tensor, "#B #H #T #S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend from ``query`` to ``key`` (to itself when ``key`` is None).

        Args:
            query: ``(B, T, D)``.
            key: ``(B, S, D)``, read as keys and as values; None means ``query``.
            mask: True = may attend; four axes, broadcastable to ``(B, H, T, S)``.

        Raises:
            ValueError: if the mask has not four axes: a 2-D mask cannot tell ``(B, S)``
                from ``(T, S)``.
        """
        q, k, v = self.project(query, key)
        self._check_axes(mask)
        heads = scaled_dot_product_attention(
            q, k, v, mask, dropout=self.dropout if self.training else 0.0
        )  # (B, H, T, d)
        return self.out_proj(heads.transpose(1, 2).flatten(-2))  # (B, T, D)

    def weights(
        self,
        query: Float[Tensor, "B T D"],
        key: Float[Tensor, "B S D"] | None = None,
        mask: Bool[Tensor, "#B #H #T #S"] | None = None,
    ) -> Float[Tensor, "B H T S"]:
        """The attention weights of every head, without dropout, for looking at."""
        q, k, _ = self.project(query, key)
        self._check_axes(mask)
        return attention_weights(q, k, mask)

    @staticmethod
    def _check_axes(mask: Tensor | None) -> None:
        if mask is not None and mask.dim() != 4:
            raise ValueError(
                f"mask {tuple(mask.shape)} must have four axes, broadcastable to (B, H, T, S); "
                "use masks.padding_mask for (B, S) tokens, or mask[None, None] for a (T, S) mask"
            )
