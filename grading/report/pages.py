"""Writing the report: HTML without scripts, and CSV."""

import csv
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from grading.engine.record import ABSENT, Record
from grading.report.summary import BINS, ClassSummary, earned

_templates = Environment(
    loader=PackageLoader("grading.report", "templates"),
    autoescape=True,  # names and messages are the students'
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["g"] = lambda value: "" if value is None else f"{value:g}"
_templates.filters["percent"] = lambda value: "" if value is None else f"{100 * value:.0f} %"


def write_report(summary: ClassSummary, folder: Path) -> Path:
    """Write ``index.html``, a page for each submission, and the tables; returns the index.

    Args:
        summary: see :func:`~grading.report.summary.summarise`.
        folder: is made if need be; files of an earlier report are replaced.
    """
    (folder / "students").mkdir(parents=True, exist_ok=True)
    pages = {student: f"students/{page_name(student)}.html" for student in summary.records}
    for student, record in summary.records.items():
        page = _templates.get_template("student.html").render(
            student=student, record=record, summary=summary, points=_points(record)
        )
        _write(folder / pages[student], page)
    rows = [
        {"student": student, "record": record, "points": _points(record)}
        for student, record in summary.records.items()
    ]
    index = _templates.get_template("class.html").render(
        summary=summary,
        rows=rows,
        pages={student: urllib.parse.quote(page) for student, page in pages.items()},
        bins=BINS,
        highest=max(summary.histogram) or 1,
        absent=ABSENT,
    )
    _write(folder / "index.html", index)
    _tables(summary, folder)
    return folder / "index.html"


def page_name(student: str) -> str:
    """A file name for any student's name."""
    return urllib.parse.quote(student, safe=" @+=").replace(".", "%2E") or "%"


def _points(record: Record | None) -> tuple[float, float] | None:
    """Points and what was decided; None where nothing was, which is not a zero."""
    points = earned(record) if record is not None else (0.0, 0.0)
    return points if points[1] else None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="replace")


def _tables(summary: ClassSummary, folder: Path) -> None:
    names = [task.name for task in summary.tasks]
    lines = []
    for student, record in summary.records.items():
        if record is None:
            lines.append([student, ABSENT, *[""] * (7 + len(names))])
            continue
        points = _points(record)
        measures = record.measures
        lines.append(
            [
                student,
                record.status,
                *(["", ""] if points is None else points),
                record.message,
                "; ".join(record.limits_hit),
                "; ".join(record.suspicious),
                measures.get("wall_seconds", ""),
                measures.get("peak_mib", ""),
                *(_score(record, name) for name in names),
            ]
        )
    header = ["student", "status", "points", "decided", "message", "limits hit", "refused"]
    _csv(folder / "submissions.csv", [*header, "seconds", "peak MiB", *names], lines)
    _csv(
        folder / "tasks.csv",
        ["task", "points", "mean share", "separation", "outcomes"],
        (
            [
                task.name,
                task.maximum,
                "" if task.share is None else round(task.share, 4),
                "" if task.separation is None else round(task.separation, 4),
                "; ".join(f"{count} {name}" for name, count in task.outcomes.most_common()),
            ]
            for task in summary.tasks
        ),
    )
    _csv(
        folder / "misconceptions.csv",
        ["task", "count", "wrong answer", "errata", "what the check says", "students"],
        (
            [
                one.task,
                len(one.students),
                " / ".join(one.names),
                " ".join(one.errata),
                one.says,
                "; ".join(one.students),
            ]
            for one in summary.misconceptions
        ),
    )


def _score(record: Record, name: str) -> float | str:
    result = record.results.get(name)
    return "" if result is None or result.score is None else result.score


def _csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_inert(value) for value in row] for row in rows)


def _inert(value: object) -> object:
    """A text that a spreadsheet does not take for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
