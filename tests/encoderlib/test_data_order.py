"""encoderlib.data.order and seeds: word order is everything, the bag is nothing."""

from collections import Counter

import numpy as np
import pytest
import torch

from encoderlib.data import OrderTask, order_task
from encoderlib.data.seeds import as_generator

cases = pytest.mark.parametrize("min_length", [None, 2, 5])


def bags(task: OrderTask) -> list[tuple[int, ...]]:
    return [tuple(sorted(row)) for row in task.ids.tolist()]


@cases
def test_labels_say_which_marker_comes_first(min_length):
    task = order_task(502, 11, 7, min_length, seed=1)
    assert task.ids.shape == (502, 11)
    assert {part.dtype for part in task} == {torch.int64}
    for row, label, length in zip(*(part.tolist() for part in task), strict=True):
        real, padding = row[:length], row[length:]
        assert set(padding) <= {0}
        assert 0 not in real
        assert real.count(1) == real.count(2) == 1
        assert max(real) < 7
        assert label == int(real.index(1) < real.index(2))


@cases
def test_every_bag_has_as_many_labels_of_each_kind(min_length):
    """So whatever is computed from the bag is right on exactly half of the set."""
    task = order_task(400, 7, 6, min_length)
    ones, all_ = Counter(), Counter()
    for bag, label in zip(bags(task), task.labels.tolist(), strict=True):
        ones[bag] += label
        all_[bag] += 1
    assert all(2 * ones[bag] == count for bag, count in all_.items())


def test_classifiers_of_the_bag_are_at_chance_and_of_the_order_are_not():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    train, test = order_task(600, 9, 8, 5, seed=1), order_task(400, 9, 8, 5, seed=2)
    counts = [torch.nn.functional.one_hot(task.ids, 8).sum(1).numpy() for task in (train, test)]
    for model in (LogisticRegression(), DecisionTreeClassifier(random_state=0)):
        model.fit(counts[0], train.labels.numpy())
        assert model.score(counts[1], test.labels.numpy()) == 0.5
    # The same model, told where the markers are, solves the task: it is not impossible.
    places = [
        np.stack([(task.ids == marker).int().argmax(1) for marker in (1, 2)], 1)
        for task in (train, test)
    ]
    model = LogisticRegression().fit(places[0], train.labels.numpy())
    assert model.score(places[1], test.labels.numpy()) > 0.99


def test_markers_stand_anywhere_and_lengths_take_all_values():
    task = order_task(6000, 5, 9, 3, seed=3)
    assert set(task.lengths.tolist()) == {3, 4, 5}
    full = task.ids[task.lengths == 5]
    pairs = Counter(
        zip((full == 1).int().argmax(1).tolist(), (full == 2).int().argmax(1).tolist(), strict=True)
    )
    assert len(pairs) == 20  # every pair of different places
    expected = len(full) / 20
    assert all(abs(count - expected) < 5 * expected**0.5 for count in pairs.values())
    fillers = full[full > 2].bincount()[3:]
    assert len(fillers) == 6
    assert (fillers - fillers.float().mean()).abs().max() < 0.1 * fillers.float().mean()


def test_twins_are_shuffled():
    task = order_task(200, seed=0)
    assert 0.2 < (task.labels[1:] != task.labels[:-1]).float().mean() < 0.8
    assert order_task(2).labels.sum() == 1


def test_the_smallest_sequence_is_the_two_markers():
    task = order_task(4, length=2, vocab_size=4)
    assert sorted(task.ids.tolist()) == [[1, 2], [1, 2], [2, 1], [2, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 3}, "n=3 must be even"),
        ({"n": 0}, "n=0 must be even and at least 2"),
        ({"n": 2, "length": 1}, r"min_length=1 must lie in 2..length=1"),
        ({"n": 2, "length": 5, "min_length": 6}, r"min_length=6 must lie in 2..length=5"),
        ({"n": 2, "length": 5, "min_length": 1}, r"min_length=1 must lie in 2..length=5"),
        ({"n": 2, "vocab_size": 3}, "vocab_size=3 must be at least 4"),
    ],
)
def test_impossible_sets_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        order_task(**arguments)


def same(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_seed_decides():
    state = torch.get_rng_state()
    assert same(order_task(50, seed=7), order_task(50, seed=7))
    assert same(order_task(50, seed=7), order_task(50, seed=torch.Generator().manual_seed(7)))
    assert not same(order_task(50, seed=7), order_task(50, seed=8))
    shared = torch.Generator().manual_seed(7)
    assert not same(order_task(50, seed=shared), order_task(50, seed=shared))
    assert torch.equal(state, torch.get_rng_state())


def test_a_seed_becomes_a_generator_and_a_generator_stays_itself():
    generator = torch.Generator()
    assert as_generator(generator) is generator
    assert as_generator(5).initial_seed() == 5
    assert as_generator(5) is not as_generator(5)


def test_a_generator_elsewhere_is_refused():
    class Elsewhere(torch.Generator):
        device = torch.device("cuda")

    with pytest.raises(ValueError, match=r"on cuda, expected one on the CPU"):
        as_generator(Elsewhere())
