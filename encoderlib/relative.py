"""Relative positions as a bias on the attention scores: ALiBi, T5's and Shaw's (chapter 03).

The bias depends on the distance s - t of key and query only, so a sequence that is moved as a
whole gets the same scores. `RotaryPositions` has the same property without a bias.
"""

import math

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from encoderlib.positions import RelativePositions
from encoderlib.rotary import RotaryPositions

__all__ = [
    "RELATIVE_KINDS",
    "ALiBi",
    "ShawRelativePositions",
    "T5RelativeBias",
    "alibi_slopes",
    "distance_range",
    "make_relative",
    "t5_buckets",
    "toeplitz",
]

RELATIVE_KINDS = ("rotary", "alibi", "t5", "shaw")


def distance_range(
    target: int, source: int, device: torch.device | str | None = None
) -> Int[Tensor, " L"]:
    """All distances s - t, from 1 - S to T - 1, of T queries that are the last of S positions.

    Raises:
        ValueError: if ``source < target``.
    """
    if source < target:
        raise ValueError(
            f"source={source} is smaller than the number of queries, {target}: relative positions "
            "take the queries for the last of the source positions"
        )
    return torch.arange(1 - source, target, device=device)


def toeplitz(values: Shaped[Tensor, "*batch L"], target: int) -> Shaped[Tensor, "*batch T S"]:
    """One value for each of `distance_range` to a matrix: entry (t, s) holds that of s - t.

    Each row is the one above, moved by one to the right: ``toeplitz(distance_range(T, S), T)``
    is the matrix of all s - t. 4 to 8 times faster at T = 512 than looking up T x S distances.
    """
    source = values.size(-1) - target + 1
    windows = values.contiguous().unfold(-1, source, 1)  # (..., T, S), the last row first
    return windows.flip(-2).contiguous()


def _bias(values: Tensor, q: Tensor) -> Tensor:
    """Values ``(H, L)`` of the distances to a bias ``(1, H, T, S)`` like ``q``."""
    if q.size(1) != values.size(0):
        raise ValueError(
            f"queries of {q.size(1)} heads, but these positions were made for {values.size(0)}; "
            "build them with the n_heads of the attention"
        )
    return toeplitz(values.to(q.dtype), q.size(-2))[None]  # (1, H, T, S)


def alibi_slopes(n_heads: int) -> Float[Tensor, " H"]:
    """``2^(-8/H), 2^(-16/H), ..., 2^-8``: each head looks less far than the one after it.

    For H that is no power of two: those of the next smaller power of two, then every other one
    of the next larger, as the code of Press et al. does.
    """
    power = 1 << (n_heads.bit_length() - 1)  # the largest power of two that is at most H
    exponents = [8 * (h + 1) / power for h in range(power)]
    exponents += [8 * (h + 0.5) / power for h in range(n_heads - power)]
    return torch.tensor([2.0**-exponent for exponent in exponents])


class ALiBi(RelativePositions):
    r"""Attention with linear biases: ``-slope_h |s - t|`` is added to the scores of head h.

    Press et al. 2022, "Train Short, Test Long", section 3. No parameters; made to be run on
    sequences longer than those of training. The paper's form is causal, ``-slope_h (t - s)``:
    under a causal mask this symmetric one is the same, so that it serves encoders and decoders.
    Alone it is blind to direction: a reversed sequence gets reversed outputs, and their mean
    over the tokens stays. Where order matters to an encoder, pool the first token instead, or
    take another kind.

    Args:
        n_heads: H.

    Hugging Face's Bloom adds ``slope s``, which differs by a constant in each row: the softmax
    does not see it, but bfloat16 does.
    """

    def __init__(self, n_heads: int):
        super().__init__()
        self.slopes = alibi_slopes(n_heads)  # no buffer: .to(torch.bfloat16) would round them

    def bias(self, q: Float[Tensor, "B H T d"], source: int) -> Float[Tensor, "1 H T S"]:
        """``(1, H, T, S)`` in the dtype of ``q``.

        Raises:
            ValueError: if ``q`` has another number of heads, or more positions than ``source``.
        """
        if self.slopes.device != q.device:
            self.slopes = alibi_slopes(self.slopes.numel()).to(q.device)
        distances = distance_range(q.size(-2), source, q.device)  # (L,)
        return _bias(-self.slopes[:, None] * distances.abs(), q)


def t5_buckets(
    distances: Int[Tensor, "*shape"],
    n_buckets: int = 32,
    max_distance: int = 128,
    bidirectional: bool = True,
) -> Int[Tensor, "*shape"]:
    """The bucket of each distance s - t: small ones have their own, large ones share by logarithm.

    Raffel et al. 2020, section 2.1. Bidirectional: the first half of the buckets is for s <= t,
    the second for s > t. Otherwise all are for s <= t, and s > t counts as 0.
    The same as ``T5Attention._relative_position_bucket`` of transformers.
    """
    side = n_buckets // 2 if bidirectional else n_buckets  # buckets for one direction
    exact = side // 2
    far = distances.abs() if bidirectional else (-distances).clamp_min(0)
    # In float32, as T5's weights were trained: rounding decides at the borders.
    logs = (far.clamp_min(1).float() / exact).log() / math.log(max_distance / exact)
    shared = (exact + (logs * (side - exact)).long()).clamp_max(side - 1)
    bucket = torch.where(far < exact, far, shared)
    return bucket + side * (distances > 0) if bidirectional else bucket


class T5RelativeBias(RelativePositions):
    r"""A learned number for each head and `t5_buckets` bucket of s - t, added to the scores.

    ``bias[h, t, s] = table[bucket(s - t), h]`` (Raffel et al. 2020, "T5", section 2.1).

    Args:
        n_heads: H.
        n_buckets: rows of the table.
        max_distance: from here on all distances share the last bucket.
        bidirectional: whether keys after the query have buckets of their own (encoders).

    Raises:
        ValueError: if the buckets cannot be divided so.

    ``table`` ``(n_buckets, H)`` is T5's ``relative_attention_bias.weight``. T5 has one table for
    all layers and does not divide scores by sqrt(d).
    """

    def __init__(
        self,
        n_heads: int,
        n_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
    ):
        super().__init__()
        sides = 2 if bidirectional else 1
        if n_buckets < 2 * sides or n_buckets % sides or max_distance <= n_buckets // sides // 2:
            raise ValueError(
                f"n_buckets={n_buckets} must be at least {2 * sides} and divisible by {sides}, "
                f"and max_distance={max_distance} larger than n_buckets / {2 * sides}"
            )
        self.n_buckets = n_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        # 0.1: from 0.02 a small encoder failed to find the order of two words on 2 of 11 seeds.
        self.table = nn.Parameter(torch.empty(n_buckets, n_heads).normal_(std=0.1))

    def bias(self, q: Float[Tensor, "B H T d"], source: int) -> Float[Tensor, "1 H T S"]:
        """``(1, H, T, S)`` in the dtype of ``q``.

        Raises:
            ValueError: if ``q`` has another number of heads, or more positions than ``source``.
        """
        distances = distance_range(q.size(-2), source, q.device)  # (L,)
        buckets = t5_buckets(distances, self.n_buckets, self.max_distance, self.bidirectional)
        return _bias(self.table[buckets].T, q)


class ShawRelativePositions(RelativePositions):
    r"""A learned vector for each distance, compared with the query: ``q . a_(s-t) / sqrt(d)``.

    Distances are clipped to -K..K (Shaw et al. 2018, "Self-Attention with Relative Position
    Representations", equations 4 and 5). The heads share the vectors. The key part only: the
    paper's second table, added to the values, is not included; its ablation finds this enough.
    Hugging Face calls the same ``position_embeddings_type="relative_key"``.

    Args:
        d_head: width d of a head.
        max_distance: K; farther keys count as K away.
    """

    def __init__(self, d_head: int, max_distance: int = 16):
        super().__init__()
        self.max_distance = max_distance
        shape = (2 * max_distance + 1, d_head)
        self.table = nn.Parameter(torch.empty(shape).normal_(std=d_head**-0.5))

    def bias(self, q: Float[Tensor, "B H T d"], source: int) -> Float[Tensor, "B H T S"]:
        """``(B, H, T, S)``, in the dtype of ``q``.

        Raises:
            ValueError: if ``q`` has more positions than ``source``.
        """
        farthest = self.max_distance
        distances = distance_range(q.size(-2), source, q.device).clamp(-farthest, farthest)  # (L,)
        table = self.table.to(q.dtype) / math.sqrt(q.size(-1))
        scores = q @ table.T  # (B, H, T, 2K+1): one for each distance
        index = toeplitz(distances + farthest, q.size(-2))  # (T, S)
        return scores.gather(-1, index.expand(*q.shape[:-1], -1))  # (B, H, T, S)


def make_relative(
    kind: str | None, n_heads: int, d_head: int, bidirectional: bool = True
) -> RelativePositions | None:
    """The relative positions with that name, with the defaults of their papers; None for None.

    Args:
        kind: None or one of `RELATIVE_KINDS`.
        n_heads: H.
        d_head: d.
        bidirectional: False for a decoder; it matters to ``"t5"`` only.

    Raises:
        ValueError: for another ``kind``, or an odd ``d_head`` with ``"rotary"``.
    """
    if kind is None:
        return None
    if kind == "rotary":
        return RotaryPositions(d_head)
    if kind == "alibi":
        return ALiBi(n_heads)
    if kind == "t5":
        return T5RelativeBias(n_heads, bidirectional=bidirectional)
    if kind == "shaw":
        return ShawRelativePositions(d_head)
    raise ValueError(f"kind={kind!r} must be None or one of {RELATIVE_KINDS}")
