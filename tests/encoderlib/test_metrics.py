"""encoderlib.metrics: the numbers of scikit-learn and sacrebleu, also where nothing is there."""

import re
import warnings

import numpy as np
import pytest
import sacrebleu
import sklearn.metrics
import torch

from encoderlib.metrics import (
    AVERAGES,
    Scores,
    accuracy,
    average_scores,
    bleu,
    class_scores,
    classification_report,
    confusion_matrix,
)

C = 5


def example(case):
    """Predictions and labels; some classes are never predicted, never true, or neither."""
    labels = torch.randint(0, C, (7, 11))
    predictions = torch.where(torch.rand(7, 11) < 0.6, labels, torch.randint(0, C, (7, 11)))
    if case == "never predicted":
        predictions[predictions == 2] = 1
    elif case == "never true":
        labels[labels == 3] = 0
    elif case == "neither":
        predictions[predictions == 4] = 1
        labels[labels == 4] = 0
    elif case == "all right":
        predictions = labels.clone()
    elif case == "all wrong":
        predictions = (labels + 1) % C
    return predictions, labels


cases = pytest.mark.parametrize(
    "case", ["all there", "never predicted", "never true", "neither", "all right", "all wrong"]
)


@cases
def test_counts_are_those_of_scikit_learn(case):
    predictions, labels = example(case)
    got = confusion_matrix(predictions, labels, C)
    expected = sklearn.metrics.confusion_matrix(
        labels.flatten(), predictions.flatten(), labels=range(C)
    )
    assert np.array_equal(got.numpy(), expected)
    assert got.dtype == torch.int64
    assert accuracy(predictions, labels) == pytest.approx(
        sklearn.metrics.accuracy_score(labels.flatten(), predictions.flatten()), abs=1e-15
    )


@cases
@pytest.mark.parametrize("how", [None, *AVERAGES])
def test_scores_are_those_of_scikit_learn(case, how):
    predictions, labels = example(case)
    *expected, support = sklearn.metrics.precision_recall_fscore_support(
        labels.flatten(), predictions.flatten(), labels=range(C), average=how, zero_division=0
    )
    confusion = confusion_matrix(predictions, labels, C)
    if how is None:
        got = class_scores(confusion)
        assert got.support.tolist() == support.tolist()
        assert got.precision.dtype == got.recall.dtype == got.f1.dtype == torch.float64
        np.testing.assert_allclose(torch.stack(got[:3]).numpy(), expected, atol=1e-15)
    else:
        got = average_scores(confusion, how)
        assert got == pytest.approx(expected, abs=1e-15)
        assert all(type(x) is float for x in got)


@cases
@pytest.mark.parametrize("digits", [3, 2, 5])
@pytest.mark.parametrize("names", [None, ["a", "b", "a long name of a class", "d", "e"]])
def test_the_table_is_that_of_scikit_learn(case, digits, names):
    predictions, labels = example(case)
    if names is None:
        predictions[0, 0] = C - 1  # so that all numbers occur
    expected = sklearn.metrics.classification_report(
        labels.flatten(),
        predictions.flatten(),
        labels=range(C),
        target_names=names,
        digits=digits,
        zero_division=0,
    )
    expected = expected.rstrip("\n")
    if case == "all wrong":  # then scikit-learn writes whole numbers as 13.0
        expected = re.sub(r"(\d+)\.0$", r"  \1", expected, flags=re.MULTILINE)
    options = {} if digits == 3 else {"digits": digits}
    assert classification_report(predictions, labels, names, **options) == expected


def test_averages_are_computed_from_the_rows():
    """Erratum E004-40: the article's weighted row repeated the first class."""
    right = torch.tensor([[1631, 37], [23, 234]])
    scores = class_scores(right)
    expected = [(1668 * x[0] + 257 * x[1]).item() / 1925 for x in scores[:3]]
    assert average_scores(right, "weighted") == pytest.approx(expected)
    assert average_scores(right, "weighted") != pytest.approx([x[0].item() for x in scores[:3]])
    assert average_scores(right) == average_scores(right, "macro")
    assert average_scores(right, "macro") == pytest.approx([x.mean().item() for x in scores[:3]])
    assert average_scores(right, "micro") == pytest.approx([1865 / 1925] * 3)


def test_rows_are_true_and_columns_predicted():
    got = confusion_matrix(torch.tensor([1, 1, 0]), torch.tensor([0, 0, 2]))
    assert got.tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]
    scores = class_scores(torch.tensor([[3, 1], [0, 4]]))
    assert scores.precision.tolist() == [1.0, 0.8]
    assert scores.recall.tolist() == [0.75, 1.0]
    assert scores.support.tolist() == [4, 4]


@pytest.mark.parametrize("ignore", [-100, 0, 9])
def test_ignored_labels_do_not_count(ignore):
    labels = torch.randint(1, C, (4, 6))
    predictions = torch.randint(1, C, (4, 6))
    hidden = torch.rand(4, 6) < 0.4
    options = {} if ignore == -100 else {"ignore": ignore}
    masked = labels.masked_fill(hidden, ignore)
    predictions[hidden] = 77  # whatever the model says there
    kept, real = predictions[~hidden], labels[~hidden]
    assert accuracy(predictions, masked, **options) == accuracy(kept, real)
    got = confusion_matrix(predictions, masked, C, **options)
    assert torch.equal(got, confusion_matrix(kept, real, C))
    report = classification_report(predictions, masked, list("abcde"), **options)
    assert report == classification_report(kept, real, list("abcde"))
    assert accuracy(predictions[hidden], labels[hidden]) == 0


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_small_integers_do_not_overflow(dtype):
    classes = torch.arange(100, dtype=dtype)
    assert torch.equal(confusion_matrix(classes, classes), torch.eye(100, dtype=torch.int64))
    assert accuracy(classes, classes) == 1


def test_empty_counts_give_zeros_not_nan():
    nothing = torch.zeros(3, 3, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (torch.stack(class_scores(nothing)[:3]) == 0).all()
        assert [average_scores(nothing, how) for how in AVERAGES] == [Scores(0.0, 0.0, 0.0)] * 3


def test_counts_of_batches_add_up():
    """The score of a data set is no mean of the scores of its batches."""
    predictions, labels = example("all there")
    parts = [slice(0, 5), slice(5, 7)]
    total = sum(confusion_matrix(predictions[part], labels[part], C) for part in parts)
    assert torch.equal(total, confusion_matrix(predictions, labels, C))


@pytest.mark.parametrize(
    ("predictions", "labels", "n_classes", "found"),
    [([0, 3], [0, 1], 3, "2, got 0 to 3"), ([0, 1], [3, 1], 3, "2, got 0 to 3"),
     ([0, 1], [-1, 1], None, "1, got -1 to 1"), ([-2, 1], [0, 1], 4, "3, got -2 to 1")],
)  # fmt: skip
def test_classes_out_of_range_are_refused(predictions, labels, n_classes, found):
    predictions, labels = torch.tensor(predictions), torch.tensor(labels)
    with pytest.raises(ValueError, match=f"from 0 to {found}; give n_classes, or mark with ignore"):
        confusion_matrix(predictions, labels, n_classes)


def test_a_class_without_a_name_is_refused():
    with pytest.raises(ValueError, match="expected classes from 0 to 1, got 0 to 2"):
        classification_report(torch.tensor([0, 2]), torch.tensor([0, 1]), ["a", "b"])


def test_shapes_must_match(unchecked):
    for score in (accuracy, confusion_matrix, classification_report):
        with pytest.raises(ValueError, match=r"shape \(4,\), got \(4, 3\); of logits take argmax"):
            score(torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64))


def test_nothing_to_score_is_refused():
    nothing = torch.full((2, 3), -100)
    for score in (accuracy, confusion_matrix, classification_report):
        with pytest.raises(ValueError, match="labels to score, got none that is not ignore=-100"):
            score(torch.zeros(2, 3, dtype=torch.int64), nothing)


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match=r"how='mean' must be one of \('macro', 'micro', 'weigh"):
        average_scores(torch.eye(2, dtype=torch.int64), "mean")


HYPOTHESES = ["A dog runs over the green grass .", "Two men are talking.", "the cat"]
REFERENCES = ["A dog is running over green grass.", "Two men are talking.", "a cat sat on a mat"]


def test_bleu_is_that_of_sacrebleu_on_the_whole_corpus():
    expected = sacrebleu.BLEU().corpus_score(HYPOTHESES, [REFERENCES]).score
    assert bleu(HYPOTHESES, REFERENCES) == expected
    assert bleu(tuple(HYPOTHESES), REFERENCES) == expected
    assert 10 < expected < 90
    assert expected != pytest.approx(bleu(REFERENCES, HYPOTHESES))
    assert bleu(REFERENCES, REFERENCES) == pytest.approx(100)


def test_bleu_splits_chinese_when_told():
    hypotheses, references = ["这部电影真的很好看。"], ["这部电影很好看。"]
    expected = sacrebleu.BLEU(tokenize="zh").corpus_score(hypotheses, [references]).score
    assert bleu(hypotheses, references, tokenize="zh") == expected > 10
    assert bleu(hypotheses, references) < 1e-9


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_bleu_needs_a_reference_for_each_hypothesis(hypotheses, references):
    found = f"got {len(hypotheses)} hypotheses and {len(references)} references"
    with pytest.raises(ValueError, match=f"expected a reference for each hypothesis.*{found}"):
        bleu(hypotheses, references)
