"""Selective recall: find the key, say its value (chapters 01 and 05)."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from encoderlib.data.seeds import as_generator

__all__ = ["RecallTask", "recall_task"]


class RecallTask(NamedTuple):
    """Key-value pairs and a question.

    Args:
        ids: ``(B, T)``, int64, T = 2 pairs + 1: key, value, key, value, ..., the asked key.
            0 is unused (padding), 1..n_keys are keys, the rest are values.
        labels: ``(B,)``, int64, the value's number, 0 to n_values - 1.
        places: ``(B,)``, int64, where the answer stands in ``ids``: what attention must find.
    """

    ids: Int[Tensor, "B T"]
    labels: Int[Tensor, " B"]
    places: Int[Tensor, " B"]


def recall_task(
    n: int,
    n_pairs: int = 4,
    n_keys: int = 8,
    n_values: int = 8,
    seed: int | torch.Generator = 0,
) -> RecallTask:
    """Sequences ``k1 v1 k2 v2 .. q``, where q is one of the keys: the label is its value.

    Keys are different within a sequence, and so are values; which pair is asked for is drawn
    last, from all pairs alike. So **who does not compare the question with the keys** is right
    in ``1 / n_pairs`` of the cases at best, whatever else it knows of the sequence; who does not
    look at the sequence at all, in ``1 / n_values``. The value stands one place after its key,
    so one layer that attends by content finds the key and not the value: with two, the first
    can carry each key to its value's place.

    Args:
        n: number of sequences.
        n_pairs: pairs in each sequence; T is ``2 * n_pairs + 1``.
        n_keys: different keys.
        n_values: different values; value v has the id ``1 + n_keys + v``.
        seed: a whole number, or a CPU generator.

    Raises:
        ValueError: if ``n`` is less than 1 or there are fewer keys or values than pairs.

    After the associative recall of Graves, Wayne, Danihelka 2014, "Neural Turing Machines",
    section 4.3.
    """
    if n < 1:
        raise ValueError(f"n={n} must be at least 1")
    if not 1 <= n_pairs <= min(n_keys, n_values):
        raise ValueError(
            f"n_pairs={n_pairs} must lie in 1..{min(n_keys, n_values)}: keys ({n_keys}) and "
            f"values ({n_values}) are not repeated"
        )
    generator = as_generator(seed)
    keys, values = (
        torch.rand(n, size, generator=generator).argsort(dim=1)[:, :n_pairs]  # (B, pairs)
        for size in (n_keys, n_values)
    )
    asked = torch.randint(n_pairs, (n, 1), generator=generator)  # (B, 1)
    pairs = torch.stack([1 + keys, 1 + n_keys + values], dim=-1).flatten(1)  # (B, 2 pairs)
    ids = torch.cat([pairs, 1 + keys.gather(1, asked)], dim=1)  # (B, T)
    return RecallTask(ids, values.gather(1, asked)[:, 0], 2 * asked[:, 0] + 1)
