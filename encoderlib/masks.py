"""Attention masks: one convention, its builders, and converters to the others.

The convention of the whole project: a mask is boolean, **True = may attend**, and
broadcasts to ``(B, H, T, S)``, as in ``torch.nn.functional.scaled_dot_product_attention``.
A query with nothing to attend to gets zeros, never NaN. Chapter 04 derives all of this.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "causal_mask",
    "check_bias",
    "check_mask",
    "combine_masks",
    "from_additive",
    "from_huggingface",
    "from_torch_key_padding",
    "lengths_to_tokens",
    "padding_mask",
    "to_additive",
    "to_huggingface",
    "to_torch_key_padding",
]


def lengths_to_tokens(lengths: Int[Tensor, " B"], size: int | None = None) -> Bool[Tensor, "B S"]:
    """Mark the real tokens of a padded batch: ``tokens[b, s] = s < lengths[b]``.

    Args:
        lengths: number of real tokens of each sequence, integers ``(B,)``.
        size: padded length S; by default the longest length.

    Raises:
        ValueError: if a length is negative or longer than ``size``.
    """
    longest = int(lengths.max()) if lengths.numel() else 0
    size = longest if size is None else size
    if longest > size or bool((lengths < 0).any()):
        raise ValueError(
            f"lengths must lie between 0 and size={size}, got {lengths.tolist()}; "
            "truncate the sequences or give a larger size"
        )
    return torch.arange(size, device=lengths.device) < lengths[:, None]  # (B, S)


def padding_mask(tokens: Bool[Tensor, "B S"]) -> Bool[Tensor, "B 1 1 S"]:
    """Hide padding from every head and every query: ``(B, S)`` real tokens to ``(B, 1, 1, S)``.

    The two axes of size one are what makes the mask safe: a bare ``(B, S)`` mask would be
    read as ``(T, S)`` by broadcasting whenever ``B == T``, without an error.
    ``torch.nn`` calls the opposite of ``tokens`` a ``key_padding_mask``.
    """
    return tokens[:, None, None, :]


def causal_mask(
    size: int, source_size: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "1 1 T S"]:
    """Let query t see keys 0..t only: ``mask[0, 0, t, s] = s <= t + (S - T)``.

    With ``source_size`` S > T the T queries are the last T of S positions, which is what
    decoding with a cache needs. ``F.scaled_dot_product_attention(is_causal=True)`` aligns
    the triangle to the top left instead; the two agree when ``S == T``.

    Raises:
        ValueError: if S < T, where the first queries would see nothing.
    """
    source_size = size if source_size is None else source_size
    if source_size < size:
        raise ValueError(f"source_size={source_size} is smaller than size={size}")
    t = torch.arange(size, device=device)[:, None]  # (T, 1)
    s = torch.arange(source_size, device=device)  # (S,)
    return (s <= t + source_size - size)[None, None]  # (1, 1, T, S)


def combine_masks(*masks: Bool[Tensor, "..."] | None) -> Bool[Tensor, "..."] | None:
    """AND of masks, by broadcasting: a key is visible only if every mask allows it.

    ``None`` means "no restriction" and is skipped; all ``None`` gives ``None``.
    """
    combined = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else combined & mask
    return combined


def check_mask(mask: Tensor, scores_shape: tuple[int, ...]) -> None:
    """Refuse a mask that is not boolean or does not broadcast *into* ``scores_shape``.

    Raises:
        TypeError: if the mask is not boolean. A 0/1 or 0/-inf mask used as it is would be
            silently wrong, so the message names the converter.
        ValueError: if broadcasting fails or would enlarge the scores.
    """
    if mask.dtype != torch.bool:
        raise TypeError(
            f"a mask must be boolean with True = may attend, got {mask.dtype}; convert it with "
            "masks.from_huggingface (1/0) or masks.from_additive (0/-inf)"
        )
    if not _fits(mask, scores_shape):
        raise ValueError(
            f"mask {tuple(mask.shape)} does not broadcast to the scores {tuple(scores_shape)}; "
            "use masks.padding_mask for a (B, S) padding mask, masks.causal_mask for (T, S)"
        )


def check_bias(bias: Tensor, scores_shape: tuple[int, ...]) -> None:
    """Refuse an additive bias that is not floating or does not broadcast *into* ``scores_shape``.

    Raises:
        TypeError: if the bias is not floating: a boolean one is a mask.
        ValueError: if broadcasting fails or would enlarge the scores.
    """
    if not bias.is_floating_point():
        raise TypeError(f"a bias is added to the scores and must be floating, got {bias.dtype}")
    if not _fits(bias, scores_shape):
        raise ValueError(
            f"bias {tuple(bias.shape)} does not broadcast to the scores {tuple(scores_shape)}"
        )


def _fits(tensor: Tensor, scores_shape: tuple[int, ...]) -> bool:
    """Whether broadcasting works and leaves ``scores_shape`` as it is."""
    sizes = zip(reversed(tensor.shape), reversed(scores_shape), strict=False)
    return tensor.dim() <= len(scores_shape) and all(own in (1, size) for own, size in sizes)


def to_additive(mask: Bool[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
    """True/False to 0/-inf, to be added to the scores before the softmax."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, -torch.inf)


def from_additive(bias: Float[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """0/-inf (or 0/finfo.min, as Hugging Face writes it) to True/False.

    Raises:
        ValueError: if an entry is neither 0 nor hugely negative: such a tensor is a learned
            bias, not a mask, and must not be thrown away.
    """
    hidden = bias <= torch.finfo(bias.dtype).min
    if not bool((hidden | (bias == 0)).all()):
        raise ValueError("an additive mask holds only 0 and -inf (or finfo.min); this is a bias")
    return ~hidden


def to_torch_key_padding(tokens: Bool[Tensor, "B S"]) -> Bool[Tensor, "B S"]:
    """Real tokens to ``nn.MultiheadAttention``'s ``key_padding_mask`` (True = ignore)."""
    return ~tokens


def from_torch_key_padding(key_padding_mask: Bool[Tensor, "B S"]) -> Bool[Tensor, "B 1 1 S"]:
    """``nn.MultiheadAttention``'s ``key_padding_mask`` (True = ignore) to our mask."""
    return padding_mask(~key_padding_mask)


def to_huggingface(tokens: Bool[Tensor, "B S"]) -> Int[Tensor, "B S"]:
    """Real tokens to Hugging Face's ``attention_mask`` (1 = real, 0 = padding)."""
    return tokens.long()


def from_huggingface(
    attention_mask: Int[Tensor, "B S"] | Bool[Tensor, "B S"],
) -> Bool[Tensor, "B 1 1 S"]:
    """Hugging Face's ``attention_mask`` (1 = real, 0 = padding) to our mask.

    Raises:
        ValueError: if an entry is neither 0 nor 1.
    """
    if not bool(((attention_mask == 0) | (attention_mask == 1)).all()):
        raise ValueError("an attention_mask holds only 1 (real token) and 0 (padding)")
    return padding_mask(attention_mask.bool())
