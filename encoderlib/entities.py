"""Entities in tagged text: BIO tags to spans, and their scores (chapter 13)."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from encoderlib.metrics import Scores

__all__ = ["entity_scores", "entity_spans", "to_tags"]


def to_tags(
    ids: Int[Tensor, "B T"],
    labels: Int[Tensor, "B T"],
    names: Sequence[str],
    ignore: int = -100,
) -> list[list[str]]:
    """Names of the ids where ``labels`` is not ``ignore``: one tag for each word.

    Predictions have an id for every piece and for padding; the labels know which ones count.
    ``to_tags(labels, labels, names)`` gives the true tags.

    Raises:
        ValueError: if the shapes differ or an id has no name.
    """
    if ids.shape != labels.shape:
        raise ValueError(f"expected ids of shape {(*labels.shape,)}, got {(*ids.shape,)}")
    rows = [row[real].tolist() for row, real in zip(ids, labels != ignore, strict=True)]
    wrong = [i for row in rows for i in row if not 0 <= i < len(names)]
    if wrong:
        raise ValueError(f"expected ids from 0 to {len(names) - 1}, got {wrong[0]}")
    return [[names[i] for i in row] for row in rows]


def entity_spans(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """Entities ``(type, start, end)`` of one sequence of BIO tags; ``end`` is not part of it.

    ``B-x`` begins an entity of type x, ``I-x`` goes on with it, ``O`` is outside. As in the
    CoNLL-2000 and 2003 evaluation an ``I-x`` that follows no x begins one.

    Raises:
        ValueError: for a tag that is not ``O``, ``B-x`` or ``I-x``.
    """
    found, start, kind = set(), 0, ""  # kind "" = outside
    for t, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not name):
            raise ValueError(f"expected tags O, B-x and I-x, got {tag!r} at position {t}")
        if prefix != "I" or name != kind:  # the entity so far, if any, ends before t
            if kind:
                found.add((kind, start, t))
            start, kind = t, name
    return found


def entity_scores(predictions: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> Scores:
    """CoNLL scores of tagging (Tjong Kim Sang, De Meulder 2003): an entity counts as right only
    if its type and both its ends are; counts are summed over all sequences.

    ``precision = right / predicted``, ``recall = right / true``,
    ``F1 = 2 right / (predicted + true)``; 0 where the denominator is 0.

    Args:
        predictions: a list of BIO tags for each sequence, see `to_tags`.
        labels: the true tags.

    Raises:
        ValueError: if sequences differ in number or length, or for a tag that is no BIO tag.
    """
    sizes, expected = [len(tags) for tags in predictions], [len(tags) for tags in labels]
    if sizes != expected:
        raise ValueError(f"expected sequences of lengths {expected}, got {sizes}")
    pairs = [(entity_spans(p), entity_spans(t)) for p, t in zip(predictions, labels, strict=True)]
    right = sum(len(guess & truth) for guess, truth in pairs)
    predicted = sum(len(guess) for guess, _ in pairs)
    true = sum(len(truth) for _, truth in pairs)
    return Scores(
        precision=right / max(1, predicted),
        recall=right / max(1, true),
        f1=2 * right / max(1, predicted + true),
    )
