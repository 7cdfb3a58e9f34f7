"""The loss of a batch, as the training loop asks for it (chapter 09)."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Loss", "add_batch", "cross_entropy_loss", "means"]

Number = float | int | Tensor
# loss(model, batch): the mean, the number of labels it is a mean of, sums of metrics over them.
Loss = Callable[[nn.Module, Any], tuple[Tensor, int, dict[str, Number]]]


def cross_entropy_loss(
    model: nn.Module, batch: Any, label_smoothing: float = 0.0, ignore_index: int = -100
) -> tuple[Tensor, int, dict[str, Number]]:
    """Mean cross-entropy of one batch, for every task with one right class a label.

    A batch is ``(*inputs, labels)`` for ``model(*inputs)``, or a dict with "labels" whose other
    entries go to the model by name. Logits ``(..., C)`` and labels ``(...)`` fit together:

    ======================  ===============  ===========
    task                    logits           labels
    ======================  ===============  ===========
    classification          ``(B, C)``       ``(B,)``
    token classification    ``(B, T, C)``    ``(B, T)``
    translation             ``(B, T, V)``    ``(B, T)``
    ======================  ===============  ===========

    For translation the inputs are the source and the target without its last token, the labels
    the target without its first.

    Args:
        model: gives the logits.
        batch: see above.
        label_smoothing: share of the target probability that is spread over all classes.
        ignore_index: a label that does not count, as at padding.

    Returns:
        The mean over the labels that count (0 if none does), their number, and the sums of the
        metrics over them: ``{"accuracy": number of right answers}``. A loss of your own for
        `fit` returns such a triple; the loop weighs batches by the number.

    Raises:
        ValueError: if logits and labels do not fit together. torch would take ``(B, C, T)``.
    """
    if isinstance(batch, dict):
        labels = batch["labels"]
        logits = model(**{name: x for name, x in batch.items() if name != "labels"})
    else:
        *inputs, labels = batch
        logits = model(*inputs)
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} need labels {tuple(logits.shape[:-1])}, got "
            f"{tuple(labels.shape)}; give the classes the last axis"
        )
    logits, labels = logits.flatten(0, -2), labels.flatten()  # (N, C), (N,) for N labels
    if logits.element_size() < 4:
        logits = logits.float()  # the loss of bfloat16 logits is in float32
    counts = labels != ignore_index  # (N,)
    count = int(counts.sum())
    if count == 0:
        return logits[:0].sum(), 0, {"accuracy": 0}  # 0, with gradients of 0
    loss = F.cross_entropy(
        logits, labels, ignore_index=ignore_index, label_smoothing=label_smoothing
    )
    right = (logits.argmax(dim=-1) == labels) & counts
    return loss, count, {"accuracy": right.sum()}


def add_batch(
    sums: dict[str, float], mean: float, count: int, metrics: dict[str, Number]
) -> dict[str, float]:
    """Add one batch's numbers to ``sums``, in place: loss times count, count, and the metrics."""
    for name, value in {"loss": mean * count, "count": count, **metrics}.items():
        sums[name] = sums.get(name, 0.0) + (value.item() if isinstance(value, Tensor) else value)
    return sums


def means(sums: dict[str, float]) -> dict[str, float]:
    """Every sum divided by the sum of the counts (by 1 if nothing counted)."""
    count = max(1.0, sums["count"])
    return {name: value / count for name, value in sums.items() if name != "count"}
