"""From how a test cell ended to points, by nbgrader's rules without their traps."""

import math

from grading.engine.bundle import SourceCell
from grading.engine.record import PASSED, UNDECIDED, WRONG, Result
from grading.engine.shell import Outcome, error_text, traceback_lines


def decide(cell: SourceCell, outcome: Outcome, own_value: bool) -> Result:
    """The verdict on a test cell that ran to its end.

    Args:
        cell: the instructor's cell.
        outcome: how it ended, in the examiner's process.
        own_value: the last expression is the student's own value, which decides nothing.

    A number as the last expression is partial credit, as in nbgrader. What is printed, displayed
    or warned about decides nothing. A number that cannot be a score leaves the cell undecided.
    """
    if outcome.error is not None:
        return Result(cell.grade_id, WRONG, 0.0, cell.points, failure(cell, outcome.error))
    score = None if own_value else _number(outcome.value)
    if score is None:
        return Result(cell.grade_id, PASSED, cell.points, cell.points)
    if math.isnan(score) or not 0 <= score <= cell.points:
        message = f"the test gave {score:g} of {cell.points:g} points, which cannot be"
        return Result(cell.grade_id, UNDECIDED, None, cell.points, message)
    how = PASSED if score == cell.points else WRONG
    message = "" if how == PASSED else f"{score:g} of {cell.points:g} points"
    return Result(cell.grade_id, how, score, cell.points, message)


def _number(value: object) -> float | None:
    """The number that nbgrader would read from the cell's output, or None."""
    if value is None:
        return None
    try:
        return float(repr(value))
    except Exception:
        return None


def failure(cell: SourceCell, error: BaseException) -> str:
    """What a student may read about a failed test: the message, never the hidden source."""
    name, text = error_text(error)
    if name == "AssertionError":
        return text or _public_line(cell, error)
    return f"{name}: {text}".removesuffix(": ")


def _public_line(cell: SourceCell, error: BaseException) -> str:
    """The line of a bare assert if students have it, and nothing of a hidden one."""
    public = {line.strip() for line in cell.public.splitlines()}
    for line in reversed(traceback_lines(error)):
        if line.startswith("    "):
            statement = line.strip()
            if statement in public:
                return f"this does not hold: {statement}"
            break
    return "a further test of the instructor's fails"


def frames(error: BaseException) -> list[str]:
    """The frames of the student's code, where the error came from there."""
    lines = getattr(error, "student_traceback", None)
    if isinstance(lines, str):
        lines = lines.splitlines()
    if not isinstance(lines, list | tuple):
        return []
    return [str(line)[:300] for line in lines[:60]]
