"""encoderlib.data.negation: what comes after "but" counts, and unigrams cannot know."""

import re
from collections import Counter

import pytest

from encoderlib.data import negation, negation_task
from encoderlib.data.negation import BAD, GOOD, NOUNS


@pytest.fixture(scope="module")
def task():
    return negation_task(2000, 1000, seed=1)


def test_labels_follow_the_second_clause(task):
    for part in (task.train, task.test):
        for text, label in zip(part.texts, part.labels.tolist(), strict=True):
            first, second = text.split(" , but ")
            pattern = r"the (\w+) was (not )?(?:(?:really|very|so) )?(\w+)"
            clauses = [re.fullmatch(pattern, clause) for clause in (first, second)]
            assert sum(bool(clause[2]) for clause in clauses) == 1  # one "not"
            assert clauses[0][1] != clauses[1][1]
            good = clauses[1][3] in GOOD
            assert good != (clauses[1][3] in BAD)
            assert label == int(good != bool(clauses[1][2]))


def test_every_bag_has_as_many_labels_of_each_kind(task):
    for part in (task.train, task.test):
        ones, all_ = Counter(), Counter()
        for text, label in zip(part.texts, part.labels.tolist(), strict=True):
            bag = " ".join(sorted(text.split()))
            ones[bag] += label
            all_[bag] += 1
        assert all(2 * ones[bag] == count for bag, count in all_.items())
        assert len(set(part.texts)) == len(part.texts)


def test_parts_share_neither_a_sentence_nor_a_twin(task):
    def without_not(part):
        return {text.replace("not ", "") for text in part.texts}

    assert without_not(task.train) & without_not(task.test) == set()
    assert len(without_not(task.train)) == 1000


def test_tfidf_is_at_chance_and_the_second_clause_is_not(task):
    pytest.importorskip("sklearn")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    for classifier in (LogisticRegression(), KNeighborsClassifier(5)):
        model = make_pipeline(TfidfVectorizer(), classifier)
        model.fit(task.train.texts, task.train.labels.numpy())
        assert model.score(task.test.texts, task.test.labels.numpy()) == 0.5

    # What it takes: the second clause, and "not" joined to the adjective.
    def second(texts):
        return [re.sub(r"not (\w+ )?(\w+)$", r"not_\2", t.split(" , but ")[1]) for t in texts]

    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model.fit(second(task.train.texts), task.train.labels.numpy())
    assert model.score(second(task.test.texts), task.test.labels.numpy()) == 1.0


def test_all_words_occur_about_equally_often(task):
    counts = Counter(word for text in task.train.texts for word in text.split())
    for words in (NOUNS, GOOD + BAD):
        expected = 4000 / len(words)
        assert all(abs(counts[word] - expected) < 7 * expected**0.5 for word in words)
    assert counts["not"] == 2000
    assert all(abs(counts[adverb] - 1000) < 200 for adverb in ("really", "very", "so"))


def test_there_are_as_many_sentences_as_it_says(monkeypatch):
    with pytest.raises(ValueError, match=r"n_train \+ n_test = 491,522 must be at most 491,520"):
        negation_task(491520, 2)  # 2 * 16 * 15 * 16 * 16 * 4
    for name, words in (("NOUNS", "abc"), ("GOOD", "xy"), ("BAD", "z"), ("ADVERBS", ("", "so "))):
        monkeypatch.setattr(negation, name, tuple(words))
    everything = negation_task(200, 16)
    assert len(set(everything.train.texts) | set(everything.test.texts)) == 2 * 3 * 2 * 3 * 3 * 2
    with pytest.raises(ValueError, match="= 218 must be at most 216"):
        negation_task(200, 18)


@pytest.mark.parametrize(
    ("n_train", "n_test", "message"),
    [(3, 2, "n_train=3 must be even"), (2, 3, "n_test=3"), (-2, 2, "n_train=-2"), (2, -2, "-2")],
)
def test_odd_and_negative_numbers_are_refused(n_train, n_test, message):
    with pytest.raises(ValueError, match=message):
        negation_task(n_train, n_test)


def test_the_seed_decides(task):
    again, other = negation_task(2000, 1000, seed=1), negation_task(2000, 1000, seed=2)
    assert again.train.texts == task.train.texts
    assert again.test.labels.tolist() == task.test.labels.tolist()
    assert set(other.train.texts) != set(task.train.texts)
    assert negation_task(0, 4).train.texts == []
    assert negation_task(0, 4).train.labels.shape == (0,)
    labels = task.train.labels
    assert 0.3 < (labels[1:] != labels[:-1]).float().mean() < 0.7  # twins are shuffled
