"""What came of one submission: a record that does not depend on when or where it was made."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

VERSION = 1
"""Part of every key: raise it when the same submission would get another record."""

GRADED, PARTLY, FAILED, ABSENT = "graded", "partly graded", "failed", "not submitted"

# How one graded cell ended.
PASSED = "passed"  # full points
WRONG = "wrong"  # a test failed, perhaps with part of the points: the score is earned
FORBIDDEN = "forbidden"  # a name that the task does not allow: no points, and that is a verdict
STOPPED = "stopped"  # a limit was hit or the process died in this test: no points, a verdict
MANUAL = "manual"  # a person decides
UNDECIDED = "undecided"  # the grader could not decide; a person looks: no score, not a zero


@dataclass
class Result:
    """The verdict on one graded cell. ``score`` is None where a person decides."""

    grade_id: str
    outcome: str
    score: float | None
    maximum: float
    message: str = ""


@dataclass
class NotebookRecord:
    """What came of one notebook.

    ``cells`` are the cells of the autograded notebook, as plain nbformat dictionaries: the
    submission's text, the outputs of this run, and of test cells what students may see.
    """

    name: str
    results: list[Result] = field(default_factory=list)
    cells: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: str = ""


@dataclass
class Record:
    """What came of one submission.

    Args:
        key: see :func:`record_key`.
        assignment: its name.
        status: graded, partly graded or failed; a failure is never an earned zero.
        message: why, for the student and the instructor.
        notebooks: one each of the assignment's notebooks.
        suspicious: what was tried and refused: forbidden names, network, files, processes.
        limits_hit: which limits, in words.
        changed: functions that changed what a test gave them, ``softmax()``: allowed, but a test
            that computes what it expects only afterwards is fooled by it.
        transient: the grader itself failed, so that it is worth another try.
        measures: wall and CPU seconds and peak MiB: not part of what must be the same again.
    """

    key: str
    assignment: str
    status: str
    message: str = ""
    notebooks: list[NotebookRecord] = field(default_factory=list)
    suspicious: list[str] = field(default_factory=list)
    limits_hit: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    transient: bool = False
    measures: dict[str, float] = field(default_factory=dict)

    @property
    def results(self) -> dict[str, Result]:
        """All verdicts, by ``NOTEBOOK/GRADE_ID``: a grade_id is unique in its notebook only."""
        return {
            f"{notebook.name}/{result.grade_id}": result
            for notebook in self.notebooks
            for result in notebook.results
        }

    def to_json(self) -> str:
        """One line of JSON; NaN and infinity are refused."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """The same for the same verdicts and outputs, whatever they took (SHA-256)."""
        content = asdict(self)
        del content["measures"]
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """The record that :meth:`to_json` wrote.

        Raises:
            ValueError: the text is not a record.
        """
        try:
            content = json.loads(text)
            notebooks = [
                NotebookRecord(**{**one, "results": [Result(**each) for each in one["results"]]})
                for one in content.pop("notebooks")
            ]
            return cls(**content, notebooks=notebooks)
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a record: {error}") from error


def submission_digest(files: Mapping[str, bytes]) -> str:
    """A name for exactly these files (SHA-256)."""
    total = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode("utf-8", "surrogatepass"), files[name]):
            total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def record_key(submission: str, bundle: str, environment: str) -> str:
    """Where a record is kept: digests of the submission, the assignment and the environment."""
    return hashlib.sha256(f"{VERSION}\n{submission}\n{bundle}\n{environment}".encode()).hexdigest()
