"""Sentiment that a "not" turns around (chapter 12)."""

import dataclasses
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from encoderlib.data.seeds import as_generator

__all__ = ["NegationTask", "Opinions", "negation_task"]

NOUNS = (
    "acting",
    "breakfast",
    "camera",
    "design",
    "ending",
    "food",
    "garden",
    "hotel",
    "kitchen",
    "music",
    "plot",
    "room",
    "screen",
    "service",
    "story",
    "view",
)
GOOD = ("bright", "clever", "friendly", "good", "great", "lovely", "pleasant", "wonderful")
BAD = ("awful", "bad", "boring", "dirty", "dull", "horrible", "poor", "terrible")
ADVERBS = ("", "really ", "very ", "so ")


class Opinions(NamedTuple):
    """Sentences and their sentiment.

    Args:
        texts: B sentences, words and comma apart by spaces.
        labels: ``(B,)``, int64; 1 positive, 0 negative.
    """

    texts: list[str]
    labels: Int[Tensor, " B"]


@dataclasses.dataclass(frozen=True)
class NegationTask:
    """Two parts that share no sentence.

    Args:
        train: what may be learned from.
        test: what the model is judged on.
    """

    train: Opinions
    test: Opinions


def negation_task(n_train: int, n_test: int, seed: int | torch.Generator = 0) -> NegationTask:
    """``the food was not good , but the view was very lovely``: what comes after "but" counts.

    One of the two clauses is negated. The label is the sentiment of the second: positive if its
    adjective is good and not negated, or bad and negated. Every sentence has a twin in its part
    in which the "not" stands in the other clause, and nothing else differs: the same bag of
    words, the other label. So **every bag of words, TF-IDF unigrams included, is right on
    exactly half of a part**: the floor is 50 %, on the set itself. Neighbours are worth
    something: logistic regression on 4,000 sentences reaches 56 % with word pairs added and 79 %
    with triples too ("not good ," can only be the first clause).

    A sentence and its twin are never in different parts, and no sentence comes twice.

    Args:
        n_train: sentences to learn from, even.
        n_test: sentences to be judged on, even.
        seed: a whole number, or a CPU generator.

    Raises:
        ValueError: if a number is odd or negative, or more than there are sentences.
    """
    adjectives = GOOD + BAD
    sizes = (len(NOUNS), len(NOUNS) - 1, len(adjectives), len(adjectives), len(ADVERBS))
    available = 2 * int(torch.tensor(sizes).prod())
    for name, n in (("n_train", n_train), ("n_test", n_test)):
        if n < 0 or n % 2:
            raise ValueError(f"{name}={n} must be even: each sentence comes with its twin")
    if n_train + n_test > available:
        raise ValueError(
            f"n_train + n_test = {n_train + n_test:,} must be at most {available:,}: there are no "
            "more sentences"
        )
    generator = as_generator(seed)
    picked = torch.randperm(available // 2, generator=generator)[: (n_train + n_test) // 2]
    choices = torch.stack(torch.unravel_index(picked, sizes), dim=1)  # (n / 2, 5)
    return NegationTask(
        train=_write(choices[: n_train // 2], adjectives, generator),
        test=_write(choices[n_train // 2 :], adjectives, generator),
    )


def _write(choices: Tensor, adjectives: tuple[str, ...], generator: torch.Generator) -> Opinions:
    texts, labels = [], []
    for noun, shift, first, second, adverb in choices.tolist():
        other = (noun + 1 + shift) % len(NOUNS)  # never the same noun twice
        for negated in (0, 1):  # which clause
            clauses = [
                f"the {NOUNS[which]} was {'not ' * (clause == negated)}{ADVERBS[adverb]}"
                f"{adjectives[word]}"
                for clause, (which, word) in enumerate(((noun, first), (other, second)))
            ]
            texts.append(" , but ".join(clauses))
            labels.append(int((second < len(GOOD)) != (negated == 1)))
    shuffle = torch.randperm(len(texts), generator=generator).tolist()
    return Opinions([texts[i] for i in shuffle], torch.tensor(labels)[shuffle])
