"""What came of an attack, and whether that is what must happen."""

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.grading.attacks.classroom import SECRETS
from tests.grading.attacks.form import Attack

COMPLETE = "complete"


@dataclass
class Outcome:
    """What one grader did with one attack.

    Args:
        attack: its name.
        group: its group.
        worth: the points that it earns.
        got: the points that it was given; None if it got no mark.
        unearned: points beyond what each task earns.
        lost: points that are intact and were not given.
        others: whose marks changed, and how.
        batch: complete, or what stopped it.
        read: secrets that came out, and the network if it was reached.
        left: files, processes, keys outside the submission.
        seconds: wall time of the submission.
        message: what the grader said.
    """

    attack: str
    group: str
    worth: float
    got: float | None = None
    unearned: float = 0.0
    lost: float = 0.0
    others: list[str] = field(default_factory=list)
    batch: str = COMPLETE
    read: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    seconds: float | None = None
    message: str = ""

    @property
    def faults(self) -> list[str]:
        """Everything that must not happen, in words."""
        found = []
        if self.unearned:
            found.append(f"{self.unearned:g} unearned points")
        if self.lost:
            found.append(f"{self.lost:g} earned points lost")
        found += [f"others: {one}" for one in self.others]
        if self.batch != COMPLETE:
            found.append(f"batch: {self.batch}")
        found += [f"read: {one}" for one in self.read] + [f"left: {one}" for one in self.left]
        return found

    def as_dict(self) -> dict:
        """Plain data."""
        return asdict(self)


def judge_marks(
    outcome: Outcome, attack: Attack, marks: Mapping[str, float | None], total: float | None
) -> None:
    """Compare what each task was given with what it is worth.

    Args:
        outcome: is filled in.
        attack: says what each task is worth.
        marks: by task; None where a person decides.
        total: what the grader adds up to, which may be more; None for no mark at all.
    """
    outcome.got = total
    given = {task: score or 0.0 for task, score in marks.items()}
    beyond = sum(max(0.0, score - attack.earned.get(task, 0)) for task, score in given.items())
    outcome.unearned = beyond + max(0.0, (total or 0.0) - sum(given.values()))
    outcome.lost = sum(
        max(0.0, points - given.get(task, 0)) for task, points in attack.kept.items()
    )


def secrets_in(text: str | bytes) -> list[str]:
    """Which planted secrets stand in a text."""
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return [name for name, token in SECRETS.items() if token.encode() in content]


def judge_reading(outcome: Outcome, shown: str, messages: Iterable[bytes]) -> None:
    """Look for secrets in what the student sees and in what the listener received."""
    outcome.read += [f"{name} in the feedback" for name in secrets_in(shown)]
    messages = list(messages)
    if messages:
        outcome.read.append("the listener was reached")
    for name in SECRETS:
        if any(SECRETS[name].encode() in message for message in messages):
            outcome.read.append(f"{name} sent to the listener")


def judge_markup(outcome: Outcome, pages: str) -> None:
    """Look for scripts of an attack in what the feedback page would show."""
    for sign in ("<script>document.title", "onerror=", "application/javascript"):
        if sign in pages and "attack-" in pages:
            outcome.left.append(f"{sign.strip('<=')} in the feedback page")


def snapshot(folder: Path) -> dict[str, str]:
    """Every entry below a folder: type, rights and content. Links are not followed."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            try:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    content = _digest(path, status)
                elif stat.S_ISLNK(status.st_mode):
                    content = os.readlink(path)
                else:
                    content = ""
            except FileNotFoundError:  # a running kernel's files come and go
                continue
            found[path.relative_to(folder).as_posix()] = f"{status.st_mode:o} {content}"
    return found


def _digest(path: Path, status: os.stat_result) -> str:
    if status.st_blocks * 512 + 4096 < status.st_size or status.st_size > 64 << 20:
        return f"{status.st_size} bytes"  # sparse, or a filler
    return hashlib.sha256(path.read_bytes()).hexdigest()


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is new, gone or different."""
    return sorted(
        [f"{path} is new" for path in after.keys() - before.keys()]
        + [f"{path} is gone" for path in before.keys() - after.keys()]
        + [
            f"{path} changed"
            for path in before.keys() & after.keys()
            if before[path] != after[path]
        ]
    )
