"""What is to be executed of one notebook of a submission, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

STUDENT, LOCKED, TEST, TEXT = "student", "locked", "test", "text"


@dataclass(frozen=True)
class Step:
    """One cell.

    Args:
        kind: student (code that the student's process runs), locked or test (the instructor's),
            or text (shown, never run).
        grade_id: nothing for plain cells. Of several copies of an answer one alone bears it, so
            that a grade_id occurs once in a plan.
        cell_type: code, markdown or raw.
        source: of student and text the submission's; of locked and test the instructor's, whole.
        task: of an answer its grade_id, also on the copies; of a test the grade_id of the answer
            that it belongs to, or nothing.
        attachments: pictures that were pasted into a text: name to MIME type to base64.
    """

    kind: str
    grade_id: str
    cell_type: str
    source: str
    task: str = ""
    attachments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass
class Plan:
    """One notebook of a submission.

    Args:
        notebook: its name in the assignment.
        steps: in the order in which to execute and to show them.
        notes: sentences for student and instructor: what was odd, and what was done about it.
        failed: nothing, or why nothing of this notebook can be graded.
        empty: grade_ids of answers that are missing or still as they were released.
    """

    notebook: str
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: str = ""
    empty: list[str] = field(default_factory=list)
