"""What the experiments with texts share: batches by length, words left out, the training."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import DataLoader

from encoderlib import TextClassifier, Tokenizer, collate, device, seed_everything
from encoderlib.data.texts import LabelledTexts
from encoderlib.training import LengthBucketSampler, evaluate, fit

__all__ = ["Parts", "batches", "hide_words", "score", "split", "train"]


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a model may learn from and be chosen by. The test part is not here."""

    train: LabelledTexts
    validation: LabelledTexts
    classes: tuple[str, ...]
    tokenizer: Tokenizer


def split(part: LabelledTexts, held_out: int, limit: int | None = None) -> list[LabelledTexts]:
    """Shuffle, always in the same way; the last ``held_out`` are for validation.

    ``limit`` cuts each of the two, for a trial of the code.
    """
    order = torch.randperm(len(part.texts), generator=torch.Generator().manual_seed(0))
    cut = len(part.texts) - held_out
    return [
        LabelledTexts([part.texts[i] for i in index], part.labels[index])
        for index in (order[:cut][:limit], order[cut:][:limit])
    ]


def batches(
    part: LabelledTexts,
    tokenizer: Tokenizer,
    max_length: int,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
) -> DataLoader:
    """Batches ``(ids, labels)`` of texts of similar length."""
    ids = [tokenizer.encode(text)[:max_length] for text in part.texts]
    lengths = [len(row) for row in ids]

    def join(rows: Sequence[int]) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
        return collate([ids[i] for i in rows], tokenizer.padding_id), part.labels[list(rows)]

    sampler = LengthBucketSampler(lengths, batch_size, buckets=16, shuffle=shuffle, seed=seed)
    return DataLoader(range(len(ids)), batch_sampler=sampler, collate_fn=join)


def hide_words(ids: Int[Tensor, "B T"], share: float, tokenizer: Tokenizer) -> Int[Tensor, "B T"]:
    """Put [MASK] in the place of a random share of the tokens, so that no word is relied on."""
    hidden = torch.rand(ids.shape).to(ids.device) < share  # (B, T)
    special = (ids == tokenizer.padding_id) | (ids == tokenizer.cls_id) | (ids == tokenizer.sep_id)
    return ids.masked_fill(hidden & ~special, tokenizer.mask_id)


def score(model: nn.Module, loader: DataLoader, device: torch.device) -> dict[str, float]:
    """Accuracy in per cent and mean loss, dropout off."""
    numbers = evaluate(model, loader, device)
    return {"accuracy": 100 * numbers["accuracy"], "loss": numbers["loss"]}


def train(config: Any, data: Parts, seed: int, **watch: Any) -> tuple[nn.Module, list[dict]]:
    """Train one model; the weights of the epoch with the best validation loss are kept."""
    seed_everything(seed)
    model = TextClassifier(
        data.tokenizer.vocab_size,
        len(data.classes),
        config.encoder,
        data.tokenizer.padding_id,
        config.pooling,
    )
    sizes = (data.tokenizer, config.max_length, config.batch_size)
    history = fit(
        model,
        batches(data.train, *sizes, shuffle=True, seed=seed),
        batches(data.validation, *sizes),
        config.training,
        augment=functools.partial(hide_words, share=config.hidden_words, tokenizer=data.tokenizer),
        device=device(),
        **watch,
    )
    return model, history
