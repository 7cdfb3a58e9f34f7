"""From records to what an instructor asks: who, which task, which mistake, and what was odd."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grading.bugs import Bug
from grading.engine.record import ABSENT, MANUAL, PASSED, Record, Result

BINS = 10


@dataclass
class TaskSummary:
    """How one graded cell went.

    Args:
        name: ``NOTEBOOK/GRADE_ID``.
        maximum: points.
        outcomes: how many submissions ended how.
        share: mean of the points earned over the points possible, where there is a score.
        separation: correlation of this task's points with those of the other tasks: near 1 for a
            task that tells strong submissions from weak ones, None where nothing varies.
    """

    name: str
    maximum: float
    outcomes: Counter
    share: float | None
    separation: float | None


@dataclass
class Misconception:
    """A known wrong answer, by what its check says."""

    task: str
    names: tuple[str, ...]
    errata: tuple[str, ...]
    says: str
    students: list[str]


@dataclass
class ClassSummary:
    """A class after grading.

    Args:
        assignment: its name.
        records: by student; None for one who handed nothing in.
        tasks: in the order of the assignment.
        histogram: submissions by tenth of the points that were decided automatically.
        misconceptions: most frequent first.
        unexplained: messages of failed tests that match no known wrong answer, with their counts.
    """

    assignment: str
    records: dict[str, Record | None]
    tasks: list[TaskSummary] = field(default_factory=list)
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)
    misconceptions: list[Misconception] = field(default_factory=list)
    unexplained: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def statuses(self) -> Counter:
        """How many submissions have which status."""
        return Counter(ABSENT if one is None else one.status for one in self.records.values())

    @property
    def suspicious(self) -> dict[str, list[str]]:
        """What was tried and refused, by student."""
        return {
            student: record.suspicious
            for student, record in self.records.items()
            if record is not None and record.suspicious
        }


def earned(record: Record) -> tuple[float, float]:
    """Points so far, and how many points have been decided."""
    decided = [one for one in record.results.values() if one.score is not None]
    return sum(one.score for one in decided), sum(one.maximum for one in decided)


def summarise(
    assignment: str, records: Mapping[str, Record | None], bugs: Sequence[Bug] = ()
) -> ClassSummary:
    """Everything that the pages and tables show.

    Args:
        assignment: its name.
        records: by student; None for one who handed nothing in.
        bugs: the known wrong answers; their ``says`` is looked for in the messages.
    """
    summary = ClassSummary(assignment, dict(sorted(records.items())))
    present = {student: one for student, one in summary.records.items() if one is not None}
    names = list(dict.fromkeys(name for one in present.values() for name in one.results))
    for name in names:
        results = {
            student: one.results[name] for student, one in present.items() if name in one.results
        }
        summary.tasks.append(_task(name, results, present))
    for record in present.values():
        points, possible = earned(record)
        if possible:
            summary.histogram[min(BINS - 1, int(BINS * points / possible))] += 1
    _misconceptions(summary, present, bugs)
    return summary


def _task(name: str, results: Mapping[str, Result], records: Mapping[str, Record]) -> TaskSummary:
    maximum = max((one.maximum for one in results.values()), default=0.0)
    scored = {
        student: one.score
        for student, one in results.items()
        if one.score is not None and one.outcome != MANUAL
    }
    others = [earned(records[student])[0] - score for student, score in scored.items()]
    return TaskSummary(
        name,
        maximum,
        Counter(one.outcome for one in results.values()),
        statistics.fmean(scored.values()) / maximum if scored and maximum else None,
        _correlation(list(scored.values()), others),
    )


def _correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    try:
        return statistics.correlation(left, right)
    except statistics.StatisticsError:  # fewer than two, or nothing varies
        return None


def _misconceptions(
    summary: ClassSummary, records: Mapping[str, Record], bugs: Sequence[Bug]
) -> None:
    known: dict[tuple[str, str], Misconception] = {}
    other: Counter = Counter()
    for student, record in records.items():
        for name, result in record.results.items():
            if result.outcome in (PASSED, MANUAL) or not result.message:
                continue
            task = name.rpartition("/")[2].removeprefix("test-")
            says = _longest_match(task, result.message, bugs)
            if says is None:
                other[task, result.message.split("\n")[0][:160]] += 1
                continue
            same = [bug for bug in bugs if (bug.task, bug.says) == (task, says)]
            found = known.setdefault(
                (task, says),
                Misconception(
                    task,
                    tuple(bug.name for bug in same),
                    tuple(sorted({bug.errata for bug in same if bug.errata})),
                    says,
                    [],
                ),
            )
            found.students.append(student)
    summary.misconceptions = sorted(
        known.values(), key=lambda one: (-len(one.students), one.task, one.says)
    )
    summary.unexplained = [
        (task, message, count)
        for (task, message), count in sorted(other.items(), key=lambda item: (-item[1], item[0]))
    ]


def _longest_match(task: str, message: str, bugs: Sequence[Bug]) -> str | None:
    """The most particular of the sentences that name a mistake."""
    fitting = [bug.says for bug in bugs if bug.task == task and bug.says and bug.says in message]
    return max(fitting, key=len, default=None)
