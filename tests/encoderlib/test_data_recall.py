"""encoderlib.data.recall: the answer stands beside the asked key, and nowhere else."""

import pytest
import torch

from encoderlib.data import recall_task

cases = pytest.mark.parametrize(
    ("n_pairs", "n_keys", "n_values"), [(3, 7, 5), (4, 4, 4), (1, 1, 1), (5, 11, 5)]
)


@cases
def test_the_label_is_the_value_after_the_asked_key(n_pairs, n_keys, n_values):
    task = recall_task(211, n_pairs, n_keys, n_values, seed=1)
    assert task.ids.shape == (211, 2 * n_pairs + 1)
    assert {part.dtype for part in task} == {torch.int64}
    for row, label, place in zip(*(part.tolist() for part in task), strict=True):
        *pairs, question = row
        lookup = dict(zip(pairs[::2], pairs[1::2], strict=True))
        assert len(lookup) == n_pairs  # no key twice
        assert len(set(lookup.values())) == n_pairs  # no value twice
        assert set(lookup) <= set(range(1, 1 + n_keys))
        assert set(lookup.values()) <= set(range(1 + n_keys, 1 + n_keys + n_values))
        assert lookup[question] == 1 + n_keys + label
        assert row[place] == 1 + n_keys + label
        assert row[place - 1] == question


def test_keys_values_labels_and_places_are_drawn_alike():
    task = recall_task(9000, 3, 5, 6, seed=2)
    for drawn, kinds in (
        (task.labels, 6),
        ((task.places - 1) // 2, 3),
        (task.ids[:, -1] - 1, 5),
        (task.ids[:, 0] - 1, 5),
        (task.ids[:, 3] - 6, 6),
    ):
        counts = drawn.bincount()
        assert len(counts) == kinds
        expected = 9000 / kinds
        assert (counts - expected).abs().max() < 5 * expected**0.5


def test_without_the_question_the_floor_is_one_over_the_pairs():
    """Forests that see all pairs but not the question stay near 1/3; with it they rise above."""
    pytest.importorskip("sklearn")
    from sklearn.ensemble import RandomForestClassifier

    train, test = recall_task(3000, 3, 3, 3, seed=1), recall_task(2000, 3, 3, 3, seed=2)
    scores = []
    for columns in (slice(0, -1), slice(0, None)):
        model = RandomForestClassifier(30, random_state=0)
        model.fit(train.ids[:, columns].numpy(), train.labels.numpy())
        scores.append(model.score(test.ids[:, columns].numpy(), test.labels.numpy()))
    assert abs(scores[0] - 1 / 3) < 5 * (2 / 9 / 2000) ** 0.5
    assert scores[1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "n=0 must be at least 1"),
        ((1, 0), r"n_pairs=0 must lie in 1..8"),
        ((1, 5, 4, 9), r"n_pairs=5 must lie in 1..4: keys \(4\) and values \(9\)"),
        ((1, 5, 9, 4), r"n_pairs=5 must lie in 1..4"),
    ],
)
def test_impossible_sets_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        recall_task(*arguments)


def test_the_seed_decides():
    first, again, other = recall_task(40, seed=3), recall_task(40, seed=3), recall_task(40, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.ids, other.ids)
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(recall_task(40, seed=generator).ids, first.ids)
