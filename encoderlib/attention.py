"""Scaled dot-product attention: one function, two bodies (chapter 04).

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from encoderlib.masks import causal_mask, check_bias, check_mask, combine_masks

__all__ = [
    "attention_weights",
    "choose_method",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_reference",
]

METHODS = ("auto", "reference", "fused")


def attention_weights(
    query: Float[Tensor, "*batch T d_k"],
    key: Float[Tensor, "*keys S d_k"],
    mask: Bool[Tensor, "..."] | None = None,
    *,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
) -> Float[Tensor, "*batch T S"]:
    r"""How much each query reads each key: ``softmax(Q K^T / sqrt(d_k) + bias)``.

    Args:
        query: queries ``(..., T, d_k)``.
        key: keys ``(..., S, d_k)``, of the same dtype.
        mask: True = may attend, broadcastable to ``(..., T, S)``; None = all may.
        bias: added to the scaled scores, broadcastable to ``(..., T, S)``.
        causal: hide the keys after each query, as `masks.causal_mask` does.

    Returns:
        Weights ``(..., T, S)``: rows sum to 1; hidden keys have exactly 0; a row that may
        attend to nothing is all zeros. ``torch.softmax`` alone gives NaN for such a row.

    Raises:
        TypeError, ValueError: a mask or bias of the wrong dtype or shape.
    """
    dtype = query.dtype
    if dtype == torch.float16:  # a score above 65504 would overflow
        query, key = query.float(), key.float()
    key = _repeat_heads(key, query)
    scores = query / math.sqrt(query.size(-1)) @ key.transpose(-2, -1)  # (..., T, S)
    if bias is not None:
        check_bias(bias, tuple(scores.shape))
        scores = scores + bias.to(scores.dtype)
    if mask is not None:
        check_mask(mask, tuple(scores.shape))
    if causal:
        mask = combine_masks(mask, _causal(scores.shape, scores.device))
    if mask is None:
        return scores.softmax(dim=-1).to(dtype)
    # finfo.min, not -inf: a fully masked row then has no NaN on its way, nor on the way back.
    weights = scores.masked_fill_(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    empty = ~mask.any(dim=-1, keepdim=True)  # (..., T, 1): rows with nothing to attend to
    return (weights.masked_fill(empty, 0.0) if empty.any() else weights).to(dtype)


def scaled_dot_product_attention_reference(
    query: Float[Tensor, "*batch T d_k"],
    key: Float[Tensor, "*keys S d_k"],
    value: Float[Tensor, "*keys S d_v"],
    mask: Bool[Tensor, "..."] | None = None,
    dropout: float = 0.0,
    *,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
) -> Float[Tensor, "*batch T d_v"]:
    """`scaled_dot_product_attention`, written as the equation of chapter 04.

    It is what the fused version is checked against, and what to read.
    """
    weights = attention_weights(query, key, mask, bias=bias, causal=causal)
    return F.dropout(weights, dropout) @ _repeat_heads(value, query)  # (..., T, d_v)


def scaled_dot_product_attention(
    query: Float[Tensor, "*batch T d_k"],
    key: Float[Tensor, "*keys S d_k"],
    value: Float[Tensor, "*keys S d_v"],
    mask: Bool[Tensor, "..."] | None = None,
    dropout: float = 0.0,
    *,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
    method: str = "auto",
) -> Float[Tensor, "*batch T d_v"]:
    r"""``softmax(Q K^T / sqrt(d_k) + bias) V``: each query gets a weighted mean of the values.

    Args:
        query, key, value: ``(..., T, d_k)``, ``(..., S, d_k)``, ``(..., S, d_v)``; any float dtype.
            Keys and values may have fewer heads, ``(..., G, S, d)`` to ``(..., H, T, d)``: each
            serves H/G neighbouring queries (grouped-query attention, Ainslie et al. 2023).
        mask: True = may attend, broadcastable to ``(..., T, S)``.
        dropout: probability of dropping a weight. Applied whenever it is above 0, so pass 0
            outside training, as for ``F.scaled_dot_product_attention``.
        bias: added to the scaled scores, broadcastable to ``(..., T, S)``.
        causal: hide the keys after each query; the T queries are the last T of S positions,
            where torch's ``is_causal`` aligns the first ones. The two agree when ``S == T``.
        method: ``"reference"``, the formula; ``"fused"``, torch's kernel, whose memory grows
            with T instead of T squared; ``"auto"``, the faster one (`choose_method`).

    Returns:
        ``(..., T, d_v)``; zeros where a query may attend to nothing.

    Raises:
        TypeError, ValueError: a mask or bias of the wrong dtype or shape, or another ``method``.

    Vaswani et al. 2017, equation 1; chapter 04.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} must be one of {METHODS}")
    if method == "auto":
        method = choose_method(query, key)
    if method == "reference":
        return scaled_dot_product_attention_reference(
            query, key, value, mask, dropout, bias=bias, causal=causal
        )
    shape = (*query.shape[:-1], key.size(-2))  # (..., T, S)
    if mask is not None:
        check_mask(mask, shape)
    # torch takes a triangle or a mask, not both, and aligns its triangle to the top left.
    if causal and (mask is not None or bias is not None or shape[-2] != shape[-1]):
        mask, causal = combine_masks(mask, _causal(shape, query.device)), False
    additive = mask
    if bias is not None:
        check_bias(bias, shape)
        additive = bias.to(query.dtype)
        if mask is not None:
            additive = torch.where(mask, additive, -torch.inf)  # what torch makes of a mask
    if additive is not None:
        additive = torch.atleast_2d(additive)  # torch does not broadcast fewer axes
    key, value = _repeat_heads(key, query), _repeat_heads(value, query)
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=additive, dropout_p=dropout, is_causal=causal
    )


def choose_method(query: Tensor, key: Tensor) -> str:
    """The faster body for these inputs, ``"reference"`` or ``"fused"``.

    The fused kernel, which ties or wins everywhere but for bfloat16 on a CPU. There the formula
    takes 0.1 to 0.8 of its time for batches of many weights up to 512 positions. Near 4096 weights
    in all it gains with the gradient (0.2 to 0.7) and loses without (up to twice the time); below,
    calls cost more than arithmetic; above 512 positions its memory is quadratic.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return "fused"
    weights = query.shape[:-1].numel() * key.size(-2)  # of all sentences and heads
    per_head = query.size(-2) * key.size(-2)
    return "reference" if weights >= 4096 and per_head <= 512**2 else "fused"


def _causal(scores_shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The causal mask ``(T, S)`` for scores ``(..., T, S)``."""
    return causal_mask(scores_shape[-2], scores_shape[-1], device)[0, 0]


def _repeat_heads(key: Tensor, query: Tensor) -> Tensor:
    """Keys or values for every head of the query: ``(..., G, S, d)`` to ``(..., H, S, d)``.

    Raises:
        ValueError: if G does not divide H.
    """
    if query.dim() < 3 or key.dim() != query.dim() or key.size(-3) == query.size(-3):
        return key
    if query.size(-3) % key.size(-3):
        raise ValueError(
            f"{key.size(-3)} key heads do not divide {query.size(-3)} query heads: each key "
            "head serves the same number of query heads"
        )
    return key.repeat_interleave(query.size(-3) // key.size(-3), dim=-3)
