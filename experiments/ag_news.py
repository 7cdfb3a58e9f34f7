"""AG News: four topics of short news items; 20,000 of the official training rows."""

import dataclasses
from typing import Any

import torch
from torch import nn

from encoderlib import EncoderConfig, Tokenizer, device
from encoderlib.data import LabelledTexts, TextSet, load_ag_news
from encoderlib.training import TrainingConfig
from experiments.baselines import linear_text_classifier
from experiments.texts import Parts, batches, score, split
from experiments.texts import train as train  # the runner looks for it here

ENCODER = EncoderConfig(d_model=128, n_heads=4, d_ff=256, n_layers=2, dropout=0.3)
TRAINING = TrainingConfig(
    epochs=10, lr=1e-3, weight_decay=0.1, label_smoothing=0.1, ema=0.998, precision="fast"
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The choices of this experiment."""

    held_out: int = 2000  # training texts that the model is chosen by
    vocab_size: int = 16000  # word pieces, learnt from the training texts
    max_length: int = 96  # tokens; longer texts are cut
    batch_size: int = 64
    hidden_words: float = 0.2  # share of the tokens replaced by [MASK] in training
    pooling: str = "mean"
    encoder: EncoderConfig = ENCODER
    training: TrainingConfig = TRAINING
    limit: int | None = None  # texts of each part; for a trial of the code


CONFIG = Config()
SMOKE = dataclasses.replace(
    CONFIG,
    held_out=8,
    vocab_size=400,
    limit=16,
    batch_size=8,
    encoder=EncoderConfig(d_model=16, n_heads=2, d_ff=16, n_layers=1),
    training=TrainingConfig(epochs=1),
)
SEEDS = (0, 1, 2)


def read(verify: bool = True) -> TextSet:
    """20,000 training rows, 5,000 a topic, and the official test part.

    Without the file of the sample other rows are drawn from the official training part.
    """
    try:
        return load_ag_news(sample=True, verify=verify)
    except FileNotFoundError:
        data = load_ag_news(verify=verify)
    order = torch.randperm(len(data.train.texts), generator=torch.Generator().manual_seed(0))
    labels = data.train.labels[order]
    topics = range(len(data.classes))
    chosen = torch.cat([order[labels == topic][:5000] for topic in topics])
    rows = LabelledTexts([data.train.texts[i] for i in chosen], data.train.labels[chosen])
    return dataclasses.replace(data, train=rows)


def load(config: Config, verify: bool = True) -> Parts:
    """The training texts, those held out from them, and the vocabulary of the former."""
    data = read(verify)
    train, validation = split(data.train, config.held_out, config.limit)
    tokenizer = Tokenizer.train(
        train.texts, "wordpiece", config.vocab_size, min_frequency=2, lowercase=True
    )
    return Parts(train, validation, data.classes, tokenizer)


def validate(config: Config, data: Parts, model: nn.Module) -> dict[str, float]:
    """Scores on the texts that were held out from the training part."""
    loader = batches(data.validation, data.tokenizer, config.max_length, config.batch_size)
    return score(model, loader, device())


@torch.no_grad()
def test(config: Config, data: Parts, model: nn.Module, verify: bool) -> dict[str, float]:
    """Scores on the official test part. Only here is it looked at, after training."""
    part = read(verify).test
    loader = batches(part, data.tokenizer, config.max_length, config.batch_size)
    return score(model, loader, device()) | {"texts": len(part.texts)}


def baselines(config: Config, data: Parts, verify: bool) -> list[dict[str, Any]]:
    """TF-IDF of words and pairs of words with linear classifiers."""
    tests = {"accuracy": read(verify).test}
    words = {"analyzer": "word", "ngram_range": (1, 2), "sublinear_tf": True, "min_df": 2}
    return [
        linear_text_classifier("logistic regression", words, data.train, data.validation, tests),
        linear_text_classifier("linear SVM", words, data.train, data.validation, tests),
    ]


def download() -> None:
    """Fetch the official files; the sample has no address of its own."""
    load_ag_news(download=True)
