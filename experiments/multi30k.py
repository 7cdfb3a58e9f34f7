"""Multi30k: captions of photographs from English to German, by an encoder-decoder."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from encoderlib import (
    EncoderConfig,
    EncoderDecoder,
    Tokenizer,
    beam_search,
    collate,
    device,
    seed_everything,
)
from encoderlib.data import SentencePairs, load_multi30k
from encoderlib.metrics import bleu
from encoderlib.training import LengthBucketSampler, TrainingConfig, fit

ENCODER = EncoderConfig(d_model=128, n_heads=4, d_ff=256, n_layers=4, dropout=0.3)
TRAINING = TrainingConfig(
    epochs=30,
    lr=3e-3,
    weight_decay=0.01,
    warmup=0.1,
    label_smoothing=0.1,
    ema=0.998,
    precision="fast",
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The choices of this experiment."""

    vocab_size: int = 8000  # one vocabulary of byte-level BPE for both languages
    max_tokens: int = 4096  # of a padded batch, in the longer of its two languages
    beam: int = 4
    alpha: float = 0.6  # of the length penalty
    encoder: EncoderConfig = ENCODER
    training: TrainingConfig = TRAINING
    limit: int | None = None  # sentences of each part; for a trial of the code


CONFIG = Config()
SMOKE = dataclasses.replace(
    CONFIG,
    vocab_size=300,
    max_tokens=1024,
    limit=8,
    encoder=EncoderConfig(d_model=16, n_heads=2, d_ff=16, n_layers=1),
    training=TrainingConfig(epochs=1),
)
SEEDS = (0,)


@dataclasses.dataclass(frozen=True)
class Data:
    """What a model may learn from and be chosen by. The test part is not here."""

    train: SentencePairs
    validation: SentencePairs
    tokenizer: Tokenizer


def load(config: Config, verify: bool = True) -> Data:
    """The training and the validation sentences as they are, and the vocabulary of the former."""
    data = load_multi30k(verify=verify)
    train, validation = (
        SentencePairs(part.source[: config.limit], part.target[: config.limit])
        for part in (data.train, data.validation)
    )
    tokenizer = Tokenizer.train([*train.source, *train.target], "bpe", config.vocab_size)
    return Data(train, validation, tokenizer)


def encode(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Ids of each sentence, with [SEP] at its end."""
    return [[*tokenizer.encode(text, special=False), tokenizer.sep_id] for text in texts]


def batches(
    pairs: SentencePairs, tokenizer: Tokenizer, max_tokens: int, seed: int | None = None
) -> DataLoader:
    """Batches of sentence pairs of similar length; padding is no label."""
    source, target = encode(pairs.source, tokenizer), encode(pairs.target, tokenizer)
    lengths = [max(len(s), len(t)) for s, t in zip(source, target, strict=True)]

    def join(rows: Sequence[int]) -> dict[str, torch.Tensor]:
        ids = collate([target[i] for i in rows], tokenizer.padding_id)  # (B, T)
        return {
            "source_ids": collate([source[i] for i in rows], tokenizer.padding_id),  # (B, S)
            "target_ids": ids,
            "labels": ids.masked_fill(ids == tokenizer.padding_id, -100),
        }

    shuffle = seed is not None
    buckets = min(16, len(lengths))
    sampler = LengthBucketSampler(
        lengths, max_tokens=max_tokens, buckets=buckets, shuffle=shuffle, seed=seed or 0
    )
    return DataLoader(range(len(lengths)), batch_sampler=sampler, collate_fn=join)


def train(config: Config, data: Data, seed: int, **watch: Any) -> tuple[nn.Module, list[dict]]:
    """Train one model; the weights of the epoch with the best validation loss are kept."""
    seed_everything(seed)
    tokenizer = data.tokenizer
    model = EncoderDecoder(
        tokenizer.vocab_size,
        tokenizer.vocab_size,
        config.encoder,
        padding_id=tokenizer.padding_id,
        start_id=tokenizer.cls_id,
        end_id=tokenizer.sep_id,
        share_vocabulary=True,
    )
    history = fit(
        model,
        batches(data.train, tokenizer, config.max_tokens, seed),
        batches(data.validation, tokenizer, config.max_tokens),
        config.training,
        device=device(),
        **watch,
    )
    return model, history


def translate(
    config: Config, tokenizer: Tokenizer, model: nn.Module, texts: Sequence[str]
) -> list[str]:
    """Plain text to plain text, by beam search; short sentences with short ones."""
    model.eval()
    ids = encode(texts, tokenizer)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    written = [""] * len(ids)
    for start in range(0, len(ids), 50):
        rows = order[start : start + 50]
        source = collate([ids[i] for i in rows], tokenizer.padding_id).to(device())
        longest = source.size(1) + 20
        best, _ = beam_search(model, source, config.beam, longest, alpha=config.alpha)
        for i, row in zip(rows, best[:, 0].tolist(), strict=True):  # (B, n, T): the best of n
            written[i] = tokenizer.decode(row).strip()
    return written


def signature() -> str:
    """How sacrebleu computes what `encoderlib.metrics.bleu` returns."""
    from sacrebleu.metrics import BLEU

    metric = BLEU()
    metric.corpus_score(["a b c d"], [["a b c d"]])
    return str(metric.get_signature())


def validate(config: Config, data: Data, model: nn.Module) -> dict[str, float]:
    """BLEU on the official validation part."""
    written = translate(config, data.tokenizer, model, data.validation.source)
    return {"bleu": bleu(written, data.validation.target)}


def test(
    config: Config, data: Data, model: nn.Module, verify: bool
) -> dict[str, float | str | list]:
    """BLEU on test2016 and test2017. Only here are they looked at, after training."""
    scores: dict[str, float | str | list] = {"signature": signature()}
    for name in ("test_2016_flickr", "test_2017_flickr"):
        part = load_multi30k(test=name, verify=verify).test
        part = SentencePairs(part.source[: config.limit], part.target[: config.limit])
        written = translate(config, data.tokenizer, model, part.source)
        scores[name.replace("test_", "bleu_")] = bleu(written, part.target)
        if name == "test_2016_flickr":
            three = zip(part.source, part.target, written, strict=True)
            scores["examples"] = [list(row) for row in list(three)[:5]]
            scores["sentences"] = len(written)
    return scores


def word_table(pairs: SentencePairs, rounds: int = 5) -> dict[str, str]:
    """For each English word the German one that it most likely stands for (IBM model 1)."""
    sides = [([*s.split(), ""], t.split()) for s, t in zip(*pairs, strict=True)]
    p: dict[str, dict[str, float]] = {}
    for source, target in sides:
        for word in source:
            row = p.setdefault(word, {})
            for other in target:
                row[other] = 1.0
    for _ in range(rounds):
        counts: dict[str, dict[str, float]] = {word: dict.fromkeys(p[word], 0.0) for word in p}
        for source, target in sides:
            for other in target:
                total = sum(p[word][other] for word in source)
                for word in source:
                    counts[word][other] += p[word][other] / total
        for word, row in counts.items():
            total = sum(row.values())
            p[word] = {other: count / total for other, count in row.items()}
    return {word: max(row, key=row.get) for word, row in p.items() if row}


def baselines(config: Config, data: Data, verify: bool) -> list[dict[str, Any]]:
    """What it takes to beat: copying, word by word, and the nearest training sentence."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    part = load_multi30k(verify=verify).test
    found = []

    def note(name: str, choices: dict[str, Any], start: float, written: list[str]) -> None:
        found.append(
            {
                "name": name,
                "config": choices,
                "test": {"bleu_2016_flickr": bleu(written, part.target)},
                "cpu_seconds": time.process_time() - start,
            }
        )

    start = time.process_time()
    note("copy the English sentence", {}, start, list(part.source))

    start = time.process_time()
    table = word_table(data.train)
    written = [" ".join(table.get(word, word) for word in text.split()) for text in part.source]
    note("word for word", {"model": "IBM 1", "rounds": 5}, start, written)

    start = time.process_time()
    counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    known = counter.fit_transform(data.train.source)
    nearest = (counter.transform(part.source) @ known.T).toarray().argmax(axis=1)
    written = [data.train.target[i] for i in nearest]
    note("translation of the nearest training sentence", {"ngram_range": [1, 2]}, start, written)
    return found


def download() -> None:
    """Fetch the files."""
    load_multi30k(download=True)
    load_multi30k(test="test_2017_flickr", download=True)
