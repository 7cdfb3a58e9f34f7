"""The classical floor beside each experiment: linear models of counted words (scikit-learn)."""

import time
from typing import Any

import torch

from encoderlib.data.texts import LabelledTexts

__all__ = ["best_of", "linear_text_classifier"]

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # C of scikit-learn: small is strong regularisation


def best_of(make, strengths, fit_and_score) -> tuple[float, float]:
    """The regularisation with the best validation score, and this score in per cent."""
    scores = {c: fit_and_score(make(c)) for c in strengths}
    best = max(scores, key=scores.get)
    return best, 100 * scores[best]


def linear_text_classifier(
    kind: str,
    features: dict[str, Any],
    train: LabelledTexts,
    validation: LabelledTexts,
    tests: dict[str, LabelledTexts],
) -> dict[str, Any]:
    """TF-IDF and a linear classifier; C is chosen on the validation texts.

    The one that is tested then learns from training and validation texts together, which is
    more than the encoder gets.

    Args:
        kind: "logistic regression" or "linear SVM".
        features: arguments of ``TfidfVectorizer``.
        train, validation: as the encoder has them.
        tests: name of a score to the texts that it is computed on.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    def make(c: float):
        if kind == "linear SVM":
            return LinearSVC(C=c)
        return LogisticRegression(C=10 * c, max_iter=1000)

    start = time.process_time()
    counter = TfidfVectorizer(**features)
    seen, held_out = counter.fit_transform(train.texts), counter.transform(validation.texts)
    best, validated = best_of(
        make,
        STRENGTHS,
        lambda model: model.fit(seen, train.labels).score(held_out, validation.labels),
    )
    counter = TfidfVectorizer(**features)
    everything = counter.fit_transform([*train.texts, *validation.texts])
    model = make(best).fit(everything, torch.cat([train.labels, validation.labels]))
    scores = {
        name: 100 * model.score(counter.transform(part.texts), part.labels)
        for name, part in tests.items()
    }
    return {
        "name": f"TF-IDF, {kind}",
        "config": {
            **features,
            "ngram_range": list(features["ngram_range"]),
            "C": model.C,
            "features": everything.shape[1],
        },
        "validation": {"accuracy": validated},
        "test": scores,
        "cpu_seconds": time.process_time() - start,
    }
