"""encoderlib.entities: spans as the CoNLL evaluation reads them, found here by brute force."""

import itertools
import random

import pytest
import torch

from encoderlib.entities import entity_scores, entity_spans, to_tags
from encoderlib.metrics import Scores

NAMES = ["O", "B-artist", "I-artist", "B-city", "I-city"]


def spans_by_brute_force(tags):
    """Every stretch (i, j) that begins, goes on and ends as an entity of its type."""

    def kind(t):
        return tags[t][2:] if 0 <= t < len(tags) and tags[t] != "O" else None

    def begins(t):
        return kind(t) is not None and (tags[t][0] == "B" or kind(t - 1) != kind(t))

    def goes_on(t):
        return kind(t) is not None and not begins(t)

    return {
        (kind(i), i, j)
        for i in range(len(tags))
        for j in range(i + 1, len(tags) + 1)
        if begins(i) and all(map(goes_on, range(i + 1, j))) and not goes_on(j)
    }


@pytest.mark.parametrize("length", range(6))
def test_spans_of_all_short_sequences(length):
    """All 5^T sequences of T tags, those with an I- after O or after another type too."""
    for tags in itertools.product(NAMES, repeat=length):
        assert entity_spans(tags) == spans_by_brute_force(tags)


def test_spans_by_hand():
    tags = ["B-city", "I-city", "B-city", "O", "I-artist", "I-city", "B-artist", "I-artist"]
    assert entity_spans(tags) == {
        ("city", 0, 2),
        ("city", 2, 3),
        ("artist", 4, 5),
        ("city", 5, 6),
        ("artist", 6, 8),
    }
    assert entity_spans(["B-playlist-owner", "I-playlist-owner"]) == {("playlist-owner", 0, 2)}
    assert entity_spans(["O", "B-O", "I-O"]) == {("O", 1, 3)}


@pytest.mark.parametrize("tag", ["city", "B", "B-", "I-", "", "o", "E-city", "O-city"])
def test_other_tags_are_refused(tag):
    with pytest.raises(ValueError, match=f"expected tags O, B-x and I-x, got '{tag}' at positi"):
        entity_spans(["O", tag])


def test_scores_count_whole_entities_of_all_sequences():
    generator = random.Random(5)
    labels = [generator.choices(NAMES, k=generator.randrange(9)) for _ in range(40)]
    predictions = [
        [generator.choice(NAMES) if generator.random() < 0.2 else tag for tag in tags]
        for tags in labels
    ]
    found = {(b, *s) for b, tags in enumerate(predictions) for s in spans_by_brute_force(tags)}
    true = {(b, *s) for b, tags in enumerate(labels) for s in spans_by_brute_force(tags)}
    assert len(found) != len(true)
    precision, recall = len(found & true) / len(found), len(found & true) / len(true)
    expected = (precision, recall, 2 * precision * recall / (precision + recall))
    got = entity_scores(predictions, labels)
    assert isinstance(got, Scores)
    assert got == pytest.approx(expected, abs=1e-15)


def test_half_an_entity_is_none():
    """Token accuracy would be 3 of 4."""
    got = entity_scores([["B-city", "O", "O", "O"]], [["B-city", "I-city", "O", "O"]])
    assert got == Scores(0.0, 0.0, 0.0)
    assert entity_scores([["B-city"]], [["B-artist"]]) == Scores(0.0, 0.0, 0.0)
    assert entity_scores([["I-city"]], [["B-city"]]) == Scores(1.0, 1.0, 1.0)


def test_the_same_span_in_another_sequence_is_another_entity():
    got = entity_scores([["B-city"], ["O"]], [["O"], ["B-city"]])
    assert got == Scores(0.0, 0.0, 0.0)


def test_without_entities_all_scores_are_zero():
    assert entity_scores([], []) == Scores(0.0, 0.0, 0.0)
    assert entity_scores([["O", "O"], []], [["O", "O"], []]) == Scores(0.0, 0.0, 0.0)
    assert entity_scores([["O"]], [["B-city"]]) == Scores(0.0, 0.0, 0.0)
    assert entity_scores([["B-city"]], [["O"]]) == Scores(0.0, 0.0, 0.0)


def test_sequences_must_match():
    with pytest.raises(ValueError, match=r"expected sequences of lengths \[1, 2\], got \[1, 1\]"):
        entity_scores([["O"], ["O"]], [["O"], ["O", "O"]])
    with pytest.raises(ValueError, match=r"expected sequences of lengths \[1, 2\], got \[1\]"):
        entity_scores([["O"]], [["O"], ["O", "O"]])


def test_tags_stand_where_a_label_counts():
    labels = torch.tensor([[-100, 1, -100, 2, 0, -100], [-100, 3, -100, -100, -100, -100]])
    predictions = torch.tensor([[9, 1, 9, 0, 4, 0], [1, 3, 1, 1, 1, -5]])
    assert to_tags(predictions, labels, NAMES) == [["B-artist", "O", "I-city"], ["B-city"]]
    assert to_tags(labels, labels, NAMES) == [["B-artist", "I-artist", "O"], ["B-city"]]
    assert to_tags(labels[:, :1], labels[:, :1], NAMES) == [[], []]
    with_zero = to_tags(predictions.clamp(0, 4), labels, NAMES, ignore=0)
    assert [len(row) for row in with_zero] == [5, 6]


@pytest.mark.parametrize("wrong", [-1, 5])
def test_an_id_without_a_name_is_refused(wrong):
    ids = torch.tensor([[0, wrong]])
    with pytest.raises(ValueError, match=f"expected ids from 0 to 4, got {wrong}"):
        to_tags(ids, torch.zeros(1, 2, dtype=torch.int64), NAMES)


def test_ids_and_labels_must_match(unchecked):
    ids = torch.zeros(2, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"expected ids of shape \(2, 4\), got \(2, 3\)"):
        to_tags(ids, torch.zeros(2, 4, dtype=torch.int64), NAMES)
