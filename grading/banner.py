"""What stands first on a page: how the submission ended, and why each point was given or not."""

import html
from collections.abc import Mapping, Sequence

from grading.engine.record import (
    ABSENT,
    FAILED,
    FORBIDDEN,
    GRADED,
    MANUAL,
    PARTLY,
    PASSED,
    STOPPED,
    UNDECIDED,
    WRONG,
    NotebookRecord,
    Record,
    Result,
)

MEANING = {
    GRADED: "Every task has a verdict, or waits for a person.",
    PARTLY: "A part could not be graded. That part has no score, which is not a zero.",
    FAILED: "Nothing could be graded. There is no score, which is not a zero.",
    ABSENT: "Nothing was handed in.",
}
OUTCOMES = {
    PASSED: "right",
    WRONG: "not right yet",
    FORBIDDEN: "uses a name that is not allowed here",
    STOPPED: "stopped at a limit",
    MANUAL: "a person decides",
    UNDECIDED: "not decided; a person looks at it",
}
WHAT_TO_DO = (
    "What to do: download the notebook as it was released, copy your answers into it, run it from "
    "top to bottom (Kernel, Restart and Run All), save it and hand it in again. If that is not "
    "possible, show this page to your instructor."
)
TAG = "grading-status"


def banner(
    record: Record, notebook: NotebookRecord, points: Mapping[str, float | None] | None = None
) -> str:
    """The banner of one notebook, as HTML without an empty line so that Markdown keeps it whole.

    Args:
        record: what came of the submission.
        notebook: the notebook at hand.
        points: by grade_id, what counts now, if a person has changed the points since.
    """
    parts = [f"<p><strong>Status: {_text(record.status)}.</strong> {MEANING[record.status]}</p>"]
    if record.message:
        parts.append(f"<p>{_text(record.message)}</p>")
    if notebook.failed:
        parts.append(f"<p>{_text(f'{notebook.name} could not be graded: {notebook.failed}')}</p>")
        parts.append(f"<p>{WHAT_TO_DO}</p>")
    parts += _list("What was odd", notebook.notes)
    parts += _list("Limits that were hit", record.limits_hit)
    parts += _list("Tried, and refused", record.suspicious)
    if notebook.results:
        parts.append(_table(notebook, points))
    return '<div class="alert">' + "".join(parts) + "</div>"


def _table(notebook: NotebookRecord, points: Mapping[str, float | None] | None) -> str:
    rows = []
    for result in notebook.results:
        score = result.score if points is None else points.get(result.grade_id, result.score)
        shown = "not decided yet" if score is None else f"{score:g}"
        cells = [
            f"<code>{_text(result.grade_id)}</code>",
            f"{shown} of {result.maximum:g}",
            _text(_verdict(result)),
            _text(result.message),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("cell", "points", "verdict", "message"))
    return (
        '<table class="table"><thead><tr>'
        + head
        + "</tr></thead><tbody>"
        + "".join(rows)
        + "</tbody></table>"
    )


def _verdict(result: Result) -> str:
    if result.outcome == MANUAL and result.score is not None:
        return "not written"
    return OUTCOMES.get(result.outcome, result.outcome)


def _list(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    return [f"<p>{title}:</p><ul>" + "".join(f"<li>{_text(line)}</li>" for line in lines) + "</ul>"]


def _text(value: str) -> str:
    """Text as HTML, in one line, in which Markdown and formulas find nothing to do."""
    escaped = html.escape(value.strip())
    for sign in "\\`*_[]$~|":
        escaped = escaped.replace(sign, f"&#{ord(sign)};")
    return "<br>".join(escaped.splitlines())
