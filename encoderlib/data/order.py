"""A task that only word order can solve (chapters 03 and 12)."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from encoderlib.data.seeds import as_generator

__all__ = ["OrderTask", "order_task"]

FIRST, SECOND, FILLER = 1, 2, 3  # 0 is padding


class OrderTask(NamedTuple):
    """Sequences in which one marker comes before the other.

    Args:
        ids: ``(B, T)``, int64; 0 padding, 1 and 2 the markers, 3 and more fillers.
        labels: ``(B,)``, int64; 1 if marker 1 comes before marker 2, else 0.
        lengths: ``(B,)``, int64, the real tokens of each sequence.
    """

    ids: Int[Tensor, "B T"]
    labels: Int[Tensor, " B"]
    lengths: Int[Tensor, " B"]


def order_task(
    n: int,
    length: int = 12,
    vocab_size: int = 20,
    min_length: int | None = None,
    seed: int | torch.Generator = 0,
) -> OrderTask:
    """Sequences of filler tokens with markers 1 and 2 in them: which one comes first?

    Every sequence has a twin in the set, the same but for the two markers, which have changed
    places; its label is the other one. So **a bag of words is worth nothing**: for each bag
    exactly half of the labels are 1, and every function of the bag is right on exactly n/2 of
    these n sequences, whatever it was trained on. The Bayes floor is 50 %, on the set itself
    and not only on average. An encoder without positions, pooled by the mean, is such
    a function.

    Args:
        n: number of sequences, even.
        length: T, the longest length.
        vocab_size: number of ids, padding and markers included.
        min_length: shortest length; None for ``length``, all of them equally long.
        seed: a whole number, or a CPU generator.

    Raises:
        ValueError: if ``n`` is odd or less than 2, the lengths are not in 2..length, or there
            is no filler.
    """
    min_length = length if min_length is None else min_length
    if n < 2 or n % 2:
        raise ValueError(f"n={n} must be even and at least 2: each sequence comes with its twin")
    if not 2 <= min_length <= length:
        raise ValueError(f"min_length={min_length} must lie in 2..length={length}: two markers")
    if vocab_size <= FILLER:
        raise ValueError(f"vocab_size={vocab_size} must be at least {FILLER + 1}: one filler")
    generator = as_generator(seed)
    half = n // 2
    ids = torch.randint(FILLER, vocab_size, (half, length), generator=generator)  # (B/2, T)
    lengths = torch.randint(min_length, length + 1, (half,), generator=generator)  # (B/2,)
    real = torch.arange(length) < lengths[:, None]  # (B/2, T)
    ids = ids.where(real, 0)
    # Two different real positions, each pair equally likely: the two largest of random numbers.
    places = torch.rand(half, length, generator=generator).where(real, -1.0).topk(2).indices
    places = places.sort().values  # (B/2, 2), the earlier one first
    twins = torch.tensor([[FIRST, SECOND], [SECOND, FIRST]])
    ids = torch.cat([ids.scatter(1, places, pair.expand(half, 2)) for pair in twins])  # (B, T)
    labels = torch.tensor([1, 0]).repeat_interleave(half)  # (B,)
    shuffle = torch.randperm(n, generator=generator)
    return OrderTask(ids[shuffle], labels[shuffle], lengths.repeat(2)[shuffle])
