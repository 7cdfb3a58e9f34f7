"""Scores of predicted classes and of translations (chapters 10, 12 and 13).

Every number is computed from counts over the whole data set, never averaged over batches, and
stands on the CPU in float64, whatever the device of the predictions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = [
    "AVERAGES",
    "ClassScores",
    "Scores",
    "accuracy",
    "average_scores",
    "bleu",
    "class_scores",
    "classification_report",
    "confusion_matrix",
]

AVERAGES = ("macro", "micro", "weighted")


class Scores(NamedTuple):
    """Precision, recall and F1 as three numbers.

    Args:
        precision: share of what was predicted that is right.
        recall: share of what is there that was found.
        f1: their harmonic mean, or a mean of such.
    """

    precision: float
    recall: float
    f1: float


class ClassScores(NamedTuple):
    """Scores of each class.

    Args:
        precision: ``(C,)``, float64.
        recall: ``(C,)``, float64.
        f1: ``(C,)``, float64.
        support: ``(C,)``, int64, how often the class is the true one.
    """

    precision: Float[Tensor, " C"]
    recall: Float[Tensor, " C"]
    f1: Float[Tensor, " C"]
    support: Int[Tensor, " C"]


def accuracy(
    predictions: Int[Tensor, "*shape"], labels: Int[Tensor, "*shape"], ignore: int = -100
) -> float:
    """Share of the labels that are predicted, of those that are not ``ignore``.

    Raises:
        ValueError: if the shapes differ or every label is ``ignore``.
    """
    predictions, labels = _counted(predictions, labels, ignore)
    return (predictions == labels).double().mean().item()


def confusion_matrix(
    predictions: Int[Tensor, "*shape"],
    labels: Int[Tensor, "*shape"],
    n_classes: int | None = None,
    ignore: int = -100,
) -> Int[Tensor, "C C"]:
    """Counts ``[label, prediction]``, as scikit-learn: rows are what is true, int64.

    Args:
        predictions: predicted classes, any shape.
        labels: true classes, or ``ignore``, the same shape.
        n_classes: C; by default one more than the largest class that occurs.
        ignore: the label that does not count.

    Raises:
        ValueError: if the shapes differ, every label is ``ignore``, or a class is not in
            0 .. C-1.
    """
    predictions, labels = _counted(predictions, labels, ignore)
    both = torch.cat([predictions, labels])
    n_classes = int(both.max()) + 1 if n_classes is None else n_classes
    if int(both.min()) < 0 or int(both.max()) >= n_classes:
        raise ValueError(
            f"expected classes from 0 to {n_classes - 1}, got {int(both.min())} to "
            f"{int(both.max())}; give n_classes, or mark with ignore={ignore} what does not count"
        )
    counts = torch.bincount(labels * n_classes + predictions, minlength=n_classes**2)
    return counts.view(n_classes, n_classes)  # (C, C)


def class_scores(confusion: Int[Tensor, "C C"]) -> ClassScores:
    """Scores of each class from a `confusion_matrix`.

    ``precision = right / predicted``, ``recall = right / support``,
    ``F1 = 2 right / (predicted + support)``; 0 where the denominator is 0, as in scikit-learn.
    """
    right, predicted, support = confusion.diagonal(), confusion.sum(0), confusion.sum(1)  # (C,)
    return ClassScores(
        precision=_ratio(right, predicted),
        recall=_ratio(right, support),
        f1=_ratio(2 * right, predicted + support),
        support=support,
    )


def average_scores(confusion: Int[Tensor, "C C"], how: str = "macro") -> Scores:
    """One precision, recall and F1 for all classes of a `confusion_matrix`.

    Args:
        confusion: the counts.
        how: ``"macro"``: the plain mean over the C classes, those that never occur too.
            ``"weighted"``: the mean weighted by support. ``"micro"``: from the summed counts;
            with one class for each label all three are the accuracy.

    Raises:
        ValueError: for another ``how``.
    """
    if how not in AVERAGES:
        raise ValueError(f"how={how!r} must be one of {AVERAGES}")
    scores = class_scores(confusion)
    if how == "micro":
        return Scores(*[_ratio(confusion.trace(), confusion.sum()).item()] * 3)
    weights = scores.support if how == "weighted" else torch.ones_like(scores.support)
    return Scores(*(_ratio((x * weights).sum(), weights.sum()).item() for x in scores[:3]))


def classification_report(
    predictions: Int[Tensor, "*shape"],
    labels: Int[Tensor, "*shape"],
    names: Sequence[str] | None = None,
    digits: int = 3,
    ignore: int = -100,
) -> str:
    """A table of all class scores and their averages, in scikit-learn's layout.

    Differs from scikit-learn: it lists every class that has a name, and all from 0 on without
    names, whether it occurs or not.

    Args:
        predictions: predicted classes, any shape.
        labels: true classes, or ``ignore``, the same shape.
        names: the C names of the classes; by default their numbers.
        digits: decimals of the scores.
        ignore: the label that does not count.

    Raises:
        ValueError: as `confusion_matrix`; a class without a name is one out of range.
    """
    confusion = confusion_matrix(predictions, labels, None if names is None else len(names), ignore)
    names = [str(c) for c in range(len(confusion))] if names is None else names
    width = max(*map(len, names), len("weighted avg"))

    def line(name: str, scores: Sequence[float | str], support: int | str) -> str:
        cells = [x if isinstance(x, str) else f"{x:.{digits}f}" for x in scores]
        return " ".join([f"{name:>{width}} ", *(f"{cell:>9}" for cell in [*cells, support])])

    rows = zip(names, *(column.tolist() for column in class_scores(confusion)), strict=True)
    total, right = int(confusion.sum()), average_scores(confusion, "micro").recall
    return "\n".join(
        [
            line("", ("precision", "recall", "f1-score"), "support"),
            "",
            *(line(name, scores, support) for name, *scores, support in rows),
            "",
            line("accuracy", ("", "", right), total),
            line("macro avg", average_scores(confusion, "macro"), total),
            line("weighted avg", average_scores(confusion, "weighted"), total),
        ]
    )


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: str = "13a") -> float:
    """BLEU of a corpus, 0 to 100 (Papineni et al. 2002), by sacrebleu (Post 2018).

    Args:
        hypotheses: translations as plain text; sacrebleu splits them itself.
        references: one reference for each.
        tokenize: sacrebleu's tokenizer, ``"zh"`` for Chinese.

    Raises:
        ValueError: if there is no hypothesis, or the numbers differ.
    """
    import sacrebleu

    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"expected a reference for each hypothesis, and at least one, got "
            f"{len(hypotheses)} hypotheses and {len(references)} references"
        )
    return sacrebleu.corpus_bleu(list(hypotheses), [list(references)], tokenize=tokenize).score


def _counted(predictions: Tensor, labels: Tensor, ignore: int) -> tuple[Tensor, Tensor]:
    """Predictions and labels, flat and int64, where the label counts."""
    if predictions.shape != labels.shape:
        raise ValueError(
            f"expected predictions of shape {(*labels.shape,)}, got {(*predictions.shape,)}; "
            "of logits take argmax(dim=-1) first"
        )
    real = labels != ignore
    if not real.any():
        raise ValueError(f"expected labels to score, got none that is not ignore={ignore}")
    return predictions[real].long().cpu(), labels[real].long().cpu()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """``part / whole`` in float64, 0 where ``whole`` is 0."""
    return torch.where(whole == 0, 0.0, part.double() / whole)
