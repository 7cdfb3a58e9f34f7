"""SNIPS: what a request to a voice assistant intends, and which of its words fill which slot."""

import dataclasses
import functools
import itertools
import operator
import random
import time
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from encoderlib import (
    EncoderConfig,
    TokenClassifier,
    Tokenizer,
    align_labels,
    collate,
    device,
    seed_everything,
)
from encoderlib.data import SNIPS_INTENTS, bio_tags, load_snips
from encoderlib.data.snips import Utterances
from encoderlib.entities import entity_scores
from encoderlib.training import LengthBucketSampler, TrainingConfig, fit
from experiments.baselines import STRENGTHS, best_of
from experiments.texts import hide_words

ENCODER = EncoderConfig(d_model=128, n_heads=4, d_ff=256, n_layers=3, dropout=0.3, positions="shaw")
TRAINING = TrainingConfig(
    epochs=20, lr=1.5e-3, weight_decay=0.1, label_smoothing=0.1, ema=0.998, precision="fast"
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The choices of this experiment."""

    held_out: int = 700  # training utterances that the model is chosen by
    vocab_size: int = 6000  # word pieces, learnt from the training texts; letters keep their case
    batch_size: int = 64
    hidden_words: float = 0.1  # share of the pieces replaced by [MASK] in training
    swapped_values: float = 0.3  # share of the slots filled with another utterance's words
    encoder: EncoderConfig = ENCODER
    training: TrainingConfig = TRAINING
    limit: int | None = None  # utterances of each part; for a trial of the code


CONFIG = Config()
SMOKE = dataclasses.replace(
    CONFIG,
    held_out=7,
    vocab_size=400,
    limit=16,
    batch_size=8,
    encoder=EncoderConfig(d_model=16, n_heads=2, d_ff=16, n_layers=1),
    training=TrainingConfig(epochs=1),
)
SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Tagged:
    """Utterances as words with one tag each."""

    words: list[list[str]]
    tags: list[list[str]]
    intents: list[int]


@dataclasses.dataclass(frozen=True)
class Data:
    """What a model may learn from and be chosen by. The test part is not here."""

    train: Tagged
    validation: Tagged
    names: tuple[str, ...]  # of the classes of tokens: the intents, then the tags
    tokenizer: Tokenizer


def tagged(part: Utterances) -> Tagged:
    """Words and BIO tags of every utterance."""
    pairs = [bio_tags(text, slots) for text, slots in zip(part.texts, part.slots, strict=True)]
    return Tagged([w for w, _ in pairs], [t for _, t in pairs], part.intents.tolist())


def take(part: Tagged, index: Sequence[int]) -> Tagged:
    """Some of the utterances."""
    return Tagged(*([column[i] for i in index] for column in vars(part).values()))


def load(config: Config, verify: bool = True) -> Data:
    """The training utterances, those held out from them, the vocabulary and the tags."""
    part = tagged(load_snips(verify=verify).train)
    order = torch.randperm(len(part.words), generator=torch.Generator().manual_seed(0)).tolist()
    cut = len(order) - config.held_out
    train, validation = (take(part, index[: config.limit]) for index in (order[:cut], order[cut:]))
    tags = sorted({tag for row in part.tags for tag in row})
    texts = [" ".join(words) for words in train.words]
    tokenizer = Tokenizer.train(texts, "wordpiece", config.vocab_size, min_frequency=2)
    return Data(train, validation, (*SNIPS_INTENTS, *tags), tokenizer)


class SwappedValues(Dataset):
    """Utterances in which some slots hold what fills the same slot elsewhere.

    "play [artist: Sade]" and "play [artist: Miles Davis]" are both requests, so the model sees
    more names in more places than were collected. Swaps are drawn anew each time an utterance
    is asked for, from Python's random numbers, which checkpoints keep.
    """

    def __init__(self, part: Tagged, share: float):
        self.part, self.share = part, share
        self.values: dict[str, list[list[str]]] = {}
        for words, tags in zip(part.words, part.tags, strict=True):
            for name, start, stop in pieces(tags):
                if name:
                    self.values.setdefault(name, []).append(words[start:stop])

    def __len__(self) -> int:
        return len(self.part.words)

    def __getitem__(self, i: int) -> tuple[list[str], list[str], int]:
        words, tags = [], []
        for name, start, stop in pieces(self.part.tags[i]):
            value, old = self.part.words[i][start:stop], self.part.tags[i][start:stop]
            if name and random.random() < self.share:
                value = random.choice(self.values[name])
                old = [f"B-{name}"] + [f"I-{name}"] * (len(value) - 1)
            words += value
            tags += old
        return words, tags, self.part.intents[i]


def pieces(tags: list[str]) -> list[tuple[str, int, int]]:
    """Cut a row of BIO tags: ``(slot, start, stop)``, the slot "" for words outside of slots."""
    starts = [t for t, tag in enumerate(tags) if tag[0] != "I"]
    ends = [*starts[1:], len(tags)]
    return [(tags[a].partition("-")[2], a, b) for a, b in zip(starts, ends, strict=True)]


def batches(
    part: Tagged, data: Data, config: Config, swap: float = 0.0, seed: int | None = None
) -> DataLoader:
    """Batches ``(ids, labels)``: of [CLS] the label is the intent, of a word's first piece its tag.

    So one token classifier learns both, and an utterance's words share what they know of it.
    """
    number = {name: i for i, name in enumerate(data.names)}

    def join(rows: list[tuple[list[str], list[str], int]]):
        batch = data.tokenizer([words for words, _, _ in rows])
        labels = align_labels([[number[tag] for tag in tags] for _, tags, _ in rows], batch.words)
        labels[:, 0] = torch.tensor([intent for _, _, intent in rows])  # (B,): [CLS]
        return batch.ids, labels

    lengths = [len(words) for words in part.words]
    shuffle = seed is not None
    sampler = LengthBucketSampler(
        lengths, config.batch_size, buckets=8, shuffle=shuffle, seed=seed or 0
    )
    return DataLoader(SwappedValues(part, swap), batch_sampler=sampler, collate_fn=join)


def train(config: Config, data: Data, seed: int, **watch: Any) -> tuple[nn.Module, list[dict]]:
    """Train one model; the weights of the epoch with the best validation loss are kept."""
    seed_everything(seed)
    model = TokenClassifier(
        data.tokenizer.vocab_size, len(data.names), config.encoder, data.tokenizer.padding_id
    )
    history = fit(
        model,
        batches(data.train, data, config, swap=config.swapped_values, seed=seed),
        batches(data.validation, data, config),
        config.training,
        augment=functools.partial(hide_words, share=config.hidden_words, tokenizer=data.tokenizer),
        device=device(),
        **watch,
    )
    return model, history


@torch.no_grad()
def predict(model: nn.Module, ids: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """The best intent at [CLS], the best tag at every other token."""
    logits = model.eval()(ids.to(device())).cpu()  # (B, T, C)
    intents = len(SNIPS_INTENTS)
    best = logits[..., intents:].argmax(dim=-1) + intents  # (B, T)
    best[:, 0] = logits[:, 0, :intents].argmax(dim=-1)
    return best


def scores(config: Config, data: Data, model: nn.Module, part: Tagged) -> dict[str, float]:
    """Entity F1 of the slots and accuracy of the intents, in per cent, over one part."""
    ids = [data.tokenizer([words]) for words in part.words]
    guessed, intents = [], []
    for start in range(0, len(ids), config.batch_size):
        group = ids[start : start + config.batch_size]
        found = predict(
            model, collate([row.ids[0].tolist() for row in group], data.tokenizer.padding_id)
        )
        for row, best in zip(group, found, strict=True):
            words = row.words[0].tolist()
            first = [words.index(word) for word in range(max(words) + 1) if word in words]
            guessed.append([data.names[best[t]] for t in first])
            intents.append(int(best[0]))
    found = entity_scores(guessed, part.tags)
    right = sum(a == b for a, b in zip(intents, part.intents, strict=True))
    whole = sum(
        a == b and p == t
        for a, b, p, t in zip(intents, part.intents, guessed, part.tags, strict=True)
    )
    return {
        "slot_f1": 100 * found.f1,
        "slot_precision": 100 * found.precision,
        "slot_recall": 100 * found.recall,
        "intent_accuracy": 100 * right / len(intents),
        "whole_utterances": 100 * whole / len(intents),
    }


def validate(config: Config, data: Data, model: nn.Module) -> dict[str, float]:
    """Scores on the utterances that were held out from the training part."""
    return scores(config, data, model, data.validation)


def test(config: Config, data: Data, model: nn.Module, verify: bool) -> dict[str, float]:
    """Scores on the official validation files, which are our test part; after training."""
    part = tagged(load_snips(verify=verify).test)
    return scores(config, data, model, part) | {"utterances": len(part.words)}


def flat(rows: Sequence[Sequence[str]]) -> list[str]:
    """All words, or tags, in one list."""
    return list(itertools.chain.from_iterable(rows))


def window(words: list[str], t: int) -> dict[str, float]:
    """What a linear tagger sees of word t: itself, its ends, and two words on each side."""
    found = {"bias": 1.0}
    for offset in range(-2, 3):
        inside = 0 <= t + offset < len(words)
        word = words[t + offset] if inside else "<edge>"
        found[f"{offset}:{word.lower()}"] = 1.0
        if offset in (-1, 0, 1) and inside:
            found[f"{offset}:ends:{word[-3:].lower()}"] = 1.0
            shape = "".join("9" if c.isdigit() else "A" if c.isupper() else "a" for c in word[:4])
            found[f"{offset}:shape:{shape}"] = 1.0
    if t + 1 < len(words):
        found[f"0+1:{words[t].lower()} {words[t + 1].lower()}"] = 1.0
    if t > 0:
        found[f"-1+0:{words[t - 1].lower()} {words[t].lower()}"] = 1.0
    return found


def baselines(config: Config, data: Data, verify: bool) -> list[dict[str, Any]]:
    """Intents by TF-IDF, slots by the commonest tag and by a linear model of word windows."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    test_part = tagged(load_snips(verify=verify).test)
    both = Tagged(*map(operator.add, vars(data.train).values(), vars(data.validation).values()))

    start = time.process_time()
    texts = {name: [" ".join(words) for words in part.words]
             for name, part in (("train", data.train), ("validation", data.validation),
                                ("both", both), ("test", test_part))}  # fmt: skip
    counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    seen, held_out = counter.fit_transform(texts["train"]), counter.transform(texts["validation"])
    best, validated = best_of(
        lambda c: LinearSVC(C=c),
        STRENGTHS,
        lambda model: model.fit(seen, data.train.intents).score(held_out, data.validation.intents),
    )
    counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LinearSVC(C=best).fit(counter.fit_transform(texts["both"]), both.intents)
    right = model.score(counter.transform(texts["test"]), test_part.intents)
    of_intents = {
        "name": "TF-IDF, linear SVM (intents)",
        "config": {"analyzer": "word", "ngram_range": [1, 2], "sublinear_tf": True, "C": best},
        "validation": {"intent_accuracy": validated},
        "test": {"intent_accuracy": 100 * right},
        "cpu_seconds": time.process_time() - start,
    }

    start = time.process_time()
    counts: dict[str, dict[str, int]] = {}
    for word, tag in zip(flat(both.words), flat(both.tags), strict=True):
        row = counts.setdefault(word.lower(), {})
        row[tag] = row.get(tag, 0) + 1
    usual = {word: max(row, key=row.get) for word, row in counts.items()}
    guessed = [[usual.get(word.lower(), "O") for word in words] for words in test_part.words]
    commonest = {
        "name": "commonest tag of each word",
        "config": {"unknown": "O"},
        "test": {"slot_f1": 100 * entity_scores(guessed, test_part.tags).f1},
        "cpu_seconds": time.process_time() - start,
    }

    start = time.process_time()
    counter = DictVectorizer()

    def rows(part: Tagged) -> list[dict[str, float]]:
        return [window(words, t) for words in part.words for t in range(len(words))]

    def narrow(matrix: Any) -> Any:  # the SVM takes indices of 32 bits only
        matrix.indices, matrix.indptr = matrix.indices.astype("i"), matrix.indptr.astype("i")
        return matrix

    def tag(model: Any, part: Tagged) -> float:
        found = iter(model.predict(narrow(counter.transform(rows(part)))))
        return entity_scores([[str(next(found)) for _ in words] for words in part.words],
                             part.tags).f1  # fmt: skip

    seen, labels = narrow(counter.fit_transform(rows(data.train))), flat(data.train.tags)
    best, validated = best_of(
        lambda c: LinearSVC(C=c),
        (0.1, 0.3),
        lambda model: tag(model.fit(seen, labels), data.validation),
    )
    counter = DictVectorizer()
    model = LinearSVC(C=best).fit(narrow(counter.fit_transform(rows(both))), flat(both.tags))
    linear = {
        "name": "linear SVM of word windows (slots)",
        "config": {"window": 2, "C": best},
        "validation": {"slot_f1": validated},
        "test": {"slot_f1": 100 * tag(model, test_part)},
        "cpu_seconds": time.process_time() - start,
    }
    return [of_intents, commonest, linear]


def download() -> None:
    """Fetch the files."""
    load_snips(download=True)
