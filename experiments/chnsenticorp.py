"""ChnSentiCorp: are Chinese reviews of hotels, laptops and books content or not?"""

import dataclasses
from typing import Any

from torch import nn

from encoderlib import EncoderConfig, Tokenizer, device
from encoderlib.data import load_chnsenticorp
from encoderlib.data.texts import LabelledTexts, drop_leaked
from encoderlib.training import TrainingConfig
from experiments.baselines import linear_text_classifier
from experiments.texts import Parts, batches, score
from experiments.texts import train as train  # the runner looks for it here

ENCODER = EncoderConfig(
    d_model=128, n_heads=4, d_ff=256, n_layers=2, dropout=0.3, positions="rotary"
)
TRAINING = TrainingConfig(
    epochs=12, lr=1e-3, weight_decay=0.1, label_smoothing=0.1, ema=0.998, precision="fast"
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The choices of this experiment."""

    tokens: str = "character"
    vocab_size: int = 5000
    max_length: int = 256  # tokens; longer texts are cut
    batch_size: int = 32
    hidden_words: float = 0.2  # share of the tokens replaced by [MASK] in training
    pooling: str = "attention"
    encoder: EncoderConfig = ENCODER
    training: TrainingConfig = TRAINING
    limit: int | None = None  # texts of each part; for a trial of the code


CONFIG = Config()
SMOKE = dataclasses.replace(
    CONFIG,
    vocab_size=400,
    limit=16,
    batch_size=8,
    encoder=EncoderConfig(d_model=16, n_heads=2, d_ff=16, n_layers=1),
    training=TrainingConfig(epochs=1),
)
SEEDS = (0, 1, 2)


def load(config: Config, verify: bool = True) -> Parts:
    """The official training part and the validation part, and the characters of the former.

    Reviews of the validation part that also stand in the training part are left out, so that
    the model is not chosen by what it has learnt by heart.
    """
    data = load_chnsenticorp(verify=verify)
    validation = drop_leaked(data.validation, data.train)
    train, validation = (
        LabelledTexts(part.texts[: config.limit], part.labels[: config.limit])
        for part in (data.train, validation)
    )
    tokenizer = Tokenizer.train(train.texts, config.tokens, config.vocab_size, min_frequency=2)
    return Parts(train, validation, data.classes, tokenizer)


def validate(config: Config, data: Parts, model: nn.Module) -> dict[str, float]:
    """Scores on the validation reviews that do not stand in the training part."""
    loader = batches(data.validation, data.tokenizer, config.max_length, config.batch_size)
    return score(model, loader, device())


def tests(verify: bool) -> dict[str, LabelledTexts]:
    """The test part without its leak, which is the number to believe, and as it is."""
    return {
        "accuracy": load_chnsenticorp(drop_leaks=True, verify=verify).test,
        "accuracy_with_leak": load_chnsenticorp(verify=verify).test,
    }


def test(config: Config, data: Parts, model: nn.Module, verify: bool) -> dict[str, float]:
    """Scores on the test part. Only here is it looked at, after training."""
    scores = {}
    for name, part in tests(verify).items():
        loader = batches(part, data.tokenizer, config.max_length, config.batch_size)
        scores[name] = score(model, loader, device())["accuracy"]
        scores[name.replace("accuracy", "texts")] = len(part.texts)
    return scores


def baselines(config: Config, data: Parts, verify: bool) -> list[dict[str, Any]]:
    """TF-IDF of one to three characters with linear classifiers."""
    characters = {"analyzer": "char", "ngram_range": (1, 3), "sublinear_tf": True, "min_df": 2}
    parts = (data.train, data.validation, tests(verify))
    return [
        linear_text_classifier("logistic regression", characters, *parts),
        linear_text_classifier("linear SVM", characters, *parts),
    ]


def download() -> None:
    """Fetch the files."""
    load_chnsenticorp(download=True)
