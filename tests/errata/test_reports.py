"""Errata about results that nobody has computed."""

import torch

from encoderlib.metrics import class_scores, confusion_matrix


def test_a_report_that_was_computed_has_counts_behind_it():
    """E004-41: no run can have printed the article's recall; a report of a run passes."""

    def possible(precision, recall, support):
        """Whether right answers out of ``support`` and some predictions round to the cells."""
        hits = [k for k in range(support + 1) if round(k / support, 3) == recall]
        return any(
            round(k / predicted, 3) == precision
            for k in hits
            for predicted in range(max(k, 1), 3 * support)
        )

    labels = torch.randint(2, (1925,))
    predictions = torch.where(torch.rand(1925) < 0.9, labels, 1 - labels)
    scores = class_scores(confusion_matrix(predictions, labels))
    cells = zip(*(column.tolist() for column in scores), strict=True)
    for precision, recall, _, support in cells:
        assert possible(round(precision, 3), round(recall, 3), support)
    assert possible(0.947, 0.978, 1668)  # the article's first class
    assert not possible(0.916, 0.909, 257)  # its second
    assert all(round(k / 257, 3) != 0.909 for k in range(258))  # whatever its precision was
