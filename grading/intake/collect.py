"""From the files of a learning platform to nbgrader's ``submitted`` folder."""

import re
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from grading.course import GradingError
from grading.intake.archives import Refused, safe_parts
from grading.intake.files import shown_name
from grading.intake.placing import File, Report, place, read_time, stamp, versions_of
from grading.intake.unpack import Entry, Limits, Unpacker
from grading.tables import text_table

PATTERNS = {
    "blackboard": (
        r"{assignment}_(?P<student_id>[^/]+?)_attempt_(?P<timestamp>[\d-]+)(?:_(?P<file_id>.+))?"
    ),
    "student first": (
        r"(?P<student_id>[^/]+?)_{assignment}_attempt_(?P<timestamp>[\d-]+)(?:_(?P<file_id>.+))?"
    ),
    "moodle": r"(?P<name>[^/]+)_(?P<student_id>\d+)_assignsubmission_file_?(?P<file_id>.*)",
    "canvas": r"(?P<student_id>[^/_]+)(?:_LATE)?_(?P<user>\d+)_(?P<upload>\d+)_(?P<file_id>.+)",
}
"""Names of files or folders that are known, tried in this order. ``{assignment}`` is its name."""


def collect(
    source: Path,
    submitted: Path,
    assignment: str,
    *,
    pattern: str | None = None,
    force: bool = False,
    older: Path | None = None,
    limits: Limits | None = None,
) -> Report:
    """Sort what a learning platform gave out into ``submitted/STUDENT/ASSIGNMENT/``.

    A bad archive, file or name costs only itself, and is reported. Of several attempts the latest
    version of each file counts; the others go to ``older``. A submission that is already there
    stays if it is as new, or if nobody can tell.

    Args:
        source: an archive (zip, tar) or a folder of files and archives; these may hold archives.
        submitted: nbgrader's folder of submissions.
        assignment: its name.
        pattern: a regular expression with the named groups student_id, and file_id and timestamp
            where there are any; it is tried on the name of each file, on the folders and archives
            that it lies in, and on the whole path. None for :data:`PATTERNS`.
        force: replace newer submissions too; they go to ``older``.
        older: where to keep what is replaced; None for the folder ``submitted-older`` beside.
        limits: how much archives may unpack to.

    Raises:
        GradingError: there is no such source, or the pattern is none.
    """
    if not source.exists():
        raise GradingError(f"there is no {source}; name the archive, or the folder of the files")
    patterns = _compiled(pattern, assignment)
    older = older or submitted.with_name(f"{submitted.name}-older")
    submitted.mkdir(parents=True, exist_ok=True)
    report = Report()
    with tempfile.TemporaryDirectory(prefix=".collect-", dir=submitted) as scratch:
        unpacker = Unpacker(Path(scratch), limits or Limits(), report.problems)
        by_student: dict[str, list[File]] = defaultdict(list)
        for order, entry in enumerate(unpacker.entries(source)):
            try:
                student, path, timestamp = _identify(entry, patterns)
                by_student[student].append(File(path, entry, timestamp, order))
            except Refused as error:
                report.problems.append(f"{shown_name('/'.join(entry.parts))} {error}; left out")
        spelling = {path.name.casefold(): path.name for path in submitted.iterdir()}
        for student in sorted(by_student):
            first = spelling.setdefault(student.casefold(), student)
            if first != student:
                report.problems.append(
                    f"students {first} and {student} differ in capital letters only, and some "
                    "systems take them for one; the second is left out"
                )
                continue
            places = submitted / student / assignment, older / student / assignment
            new = Path(tempfile.mkdtemp(dir=scratch))
            try:
                versions = versions_of(by_student[student], report)
                if versions:
                    report.students.append(place(student, versions, *places, force, new))
            except Exception as error:  # one student's trouble is not the others'
                report.problems.append(f"{student} could not be written: {error}")
    return report


def _compiled(pattern: str | None, assignment: str) -> list[re.Pattern]:
    given = list(PATTERNS.values()) if pattern is None else [pattern]
    try:
        found = [re.compile(one.replace("{assignment}", re.escape(assignment))) for one in given]
    except re.error as error:
        raise GradingError(
            f"the pattern {pattern!r} is not a regular expression: {error}"
        ) from error
    if any("student_id" not in one.groupindex for one in found):
        raise GradingError(
            f"the pattern {pattern!r} has no group student_id; for example {PATTERNS['blackboard']}"
        )
    return found


def _identify(
    entry: Entry, patterns: Sequence[re.Pattern]
) -> tuple[str, tuple[str, ...], datetime | None]:
    """Student, path in the submission, and time.

    Raises:
        Refused: no pattern fits, or what it finds is not usable.
    """
    whole = "/".join(entry.parts)
    if len(whole) > 1000:
        raise Refused("has a name that is too long")
    for one in patterns:
        for at, part in [*enumerate(entry.parts), (len(entry.parts) - 1, whole)]:
            if not (match := one.match(part)):
                continue
            groups = match.groupdict()
            below = entry.parts[at + 1 :]
            named = groups.get("file_id") or (part if "file_id" not in groups else "")
            path = below or _path(named, entry.parts[-1])
            return _student(groups["student_id"]), path, read_time(groups.get("timestamp"))
    raise Refused("has a name that does not tell the student; is the pattern right?")


def _path(named: str, name: str) -> tuple[str, ...]:
    """The path in the submission; the ending is that of the file."""
    ending = Path(name).suffix
    if not named:
        raise Refused("has a name that does not tell the file; is the pattern right?")
    return safe_parts(named if named.endswith(ending) else named + ending)


def _student(name: str | None) -> str:
    name = unicodedata.normalize("NFC", (name or "").strip())
    if len(safe_parts(name)) != 1 or "/" in name or "\\" in name or name[0] in ".-":
        raise Refused(f"gives {shown_name(name)!r} for a student, which is no name")
    return name


def collect_text(report: Report) -> str:
    """The report for a terminal."""
    lines = []
    if report.students:
        rows = [
            [
                one.student,
                one.state,
                stamp(one.timestamp),
                str(one.older or ""),
                ", ".join(one.files),
            ]
            for one in report.students
        ]
        header = ["student", "state", "handed in", "older", "files"]
        lines.append(text_table(header, rows, width=60))
    kept = sum(one.state == "kept" for one in report.students)
    if kept:
        lines.append(
            f"{kept} submissions that are already there are as new or newer and were kept; "
            "--force replaces them."
        )
    if report.problems:
        lines.append("Left out or odd:")
        lines += [f"- {problem}" for problem in report.problems]
    return "\n".join(lines) or "There was nothing to collect."
