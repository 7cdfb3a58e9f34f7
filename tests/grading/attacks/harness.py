"""Run attacks on our grader, many in one batch, and judge what came of them.

The class is: ada (right) and bela (half) first, then the attacks, each a student of its own, with
a victim (right) after every few. The grader runs in a process of its own, with a throw-away home,
temporary folder and working folder, and with planted secrets; see `classroom`.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grading.engine.record import UNDECIDED, Record
from tests.grading.attacks import judge
from tests.grading.attacks.classroom import (
    ASSIGNMENT,
    HALF,
    RIGHT,
    build,
    environment,
    write_attack,
    write_submission,
)
from tests.grading.attacks.form import TASKS, Attack, Place
from tests.grading.attacks.listener import Listener

ROOT = Path(__file__).resolve().parents[3]
GUARD = Path(__file__).with_name("guard.py")
EVERY = 5  # attacks between two victims
SHARED = Path("/dev/shm")
# The trusted parent keeps matplotlib's list of fonts for the next start.
CACHE = "tmp/grading-matplotlib"


@dataclass(frozen=True)
class Batch:
    """What came of a batch: outcomes by attack, and what cannot be laid to one attack."""

    outcomes: dict[str, judge.Outcome]
    left: list[str]
    report: dict


def run_ours(
    attacks: Sequence[Attack],
    folder: Path,
    workers: int = 1,
    seconds: float = 900,
    grader: str = "tests.grading.attacks.ours",
    progress: Callable[[int], object] = lambda done: None,
) -> Batch:
    """Grade the attacks in one batch.

    Args:
        attacks: which.
        folder: an empty folder for everything.
        workers: of the engine.
        seconds: after which the batch counts as stopped.
        grader: a module with the interface of :mod:`tests.grading.attacks.ours`.
        progress: is told how many submissions are done.
    """
    course = build(folder / "course")
    queue, victims = _write_class(attacks, course, folder)
    job = {
        "source": str(course / "source" / ASSIGNMENT),
        "assignment": ASSIGNMENT,
        "submissions": [[student, str(path)] for student, path in queue],
        "results": str(folder / "results.jsonl"),
        "workers": workers,
    }
    work = folder / "work"
    work.mkdir()
    with Listener(str(folder / "s")) as listener:
        places = {
            one.name: Place(victims / one.name, listener.port, listener.path) for one in attacks
        }
        for one in attacks:
            _prepare(one, course, places[one.name])
        before = {name: judge.snapshot(place.victim) for name, place in places.items()}
        around = _around(course, work)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-m", grader, str(folder / "job.json")]
        report = guarded(command, folder, work, seconds, _environment(course), progress)
    lines = _lines(folder / "results.jsonl")
    outcomes = {}
    for one in attacks:
        outcome = judge.Outcome(one.name, one.group, sum(one.earned.values()))
        _judge_record(outcome, one, lines.get(f"attack-{one.name}"))
        judge.judge_reading(
            outcome,
            lines.get(f"attack-{one.name}", {}).get("record", ""),
            listener.of(one.name),
        )
        place = places[one.name].victim
        outcome.left += judge.changes(before[one.name], judge.snapshot(place))
        outcomes[one.name] = outcome
    _judge_others(attacks, [student for student, _ in queue], lines, outcomes)
    left = judge.changes(around, _around(course, work)) + report["left"] + shared_files()
    left = [one for one in left if not one.startswith(CACHE)]
    for outcome in outcomes.values():  # what bears the name of an attack is its own
        outcome.left += [one for one in left if f"attack-{outcome.attack}" in one]
    return Batch(outcomes, left, report)


def guarded(
    command: Sequence[str],
    folder: Path,
    work: Path,
    seconds: float,
    variables: dict[str, str],
    progress: Callable[[int], object] = lambda done: None,
    before: Sequence[str] = (),
) -> dict:
    """Run a command under the guard; return its report. Log and report are in ``folder``.

    ``before`` is a command that runs the guard, such as unshare.
    """
    report = folder / "report.json"
    with open(folder / "log.txt", "wb") as log:
        guard = subprocess.Popen(
            [*before, sys.executable, str(GUARD), str(report), str(seconds), *command],
            cwd=work,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                guard.wait(0.5)
                break
            progress(_done(folder / "results.jsonl"))
    progress(_done(folder / "results.jsonl"))
    if not report.is_file():
        return {"code": guard.returncode, "timed_out": False, "left": ["the guard was ended"]}
    return json.loads(report.read_text(encoding="utf-8"))


def _environment(course: Path) -> dict[str, str]:
    variables = environment(course)
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), variables["PYTHONPATH"]])
    return variables


def _write_class(
    attacks: Sequence[Attack], course: Path, folder: Path
) -> tuple[list[tuple[str, Path]], Path]:
    """The order of grading, victims after every few attacks."""
    submitted = course / "submitted"
    queue = [(name, submitted / name / ASSIGNMENT) for name in ("ada", "bela")]
    for number, one in enumerate(attacks, start=1):
        student = f"attack-{one.name}"
        queue.append((student, folder / "class/submitted" / student / ASSIGNMENT))
        if number % EVERY == 0 or number == len(attacks):
            queue.append((f"victim-{number:03d}", submitted / "ada" / ASSIGNMENT))
    for name, answers in (("ada", RIGHT), ("bela", HALF)):
        write_submission(course, name, answers)
    (folder / "class").mkdir()
    shutil.copytree(course / "release", folder / "class/release")
    return queue, folder / "victims"


def _prepare(attack: Attack, course: Path, place: Place) -> None:
    shutil.copytree(course, place.victim)
    base = place.victim.parents[1] / "class"
    write_attack(attack, base, f"attack-{attack.name}", place)


def _around(course: Path, work: Path) -> dict[str, str]:
    here = judge.snapshot(course)
    return here | {f"work/{path}": text for path, text in judge.snapshot(work).items()}


def shared_files() -> list[str]:
    """Name and remove what attacks left in shared memory."""
    found = []
    for path in SHARED.glob("attack-*") if SHARED.is_dir() else ():
        found.append(str(path))
        path.unlink()
    return found


def _done(path: Path) -> int:
    return path.read_bytes().count(b'{"student": "attack-') if path.is_file() else 0


def _lines(path: Path) -> dict[str, dict]:
    if not path.is_file():
        return {}
    whole = [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line]
    return {one["student"]: one for one in map(json.loads, whole)}


def _judge_record(outcome: judge.Outcome, attack: Attack, line: dict | None) -> None:
    if line is None:
        outcome.batch, outcome.lost = "no record", sum(attack.kept.values())
        return
    record = Record.from_json(line["record"])
    marks = {
        name.partition("/")[2].removeprefix("test-"): result.score
        for name, result in record.results.items()
        if result.outcome != UNDECIDED
    }
    scores = [score for score in marks.values() if score is not None]
    judge.judge_marks(outcome, attack, marks, sum(scores) if scores else None)
    outcome.seconds = round(record.measures.get("wall_seconds", line["seconds"]), 2)
    notes = [note for notebook in record.notebooks for note in (notebook.failed, *notebook.notes)]
    outcome.message = "; ".join(
        part for part in (record.status, record.message, *notes, *record.limits_hit) if part
    )
    for notebook in record.notebooks:
        judge.judge_markup(outcome, json.dumps([cell.get("outputs") for cell in notebook.cells]))


def _judge_others(
    attacks: Sequence[Attack], queue: Sequence[str], lines: dict, outcomes: dict
) -> None:
    """A victim must get exactly what ada got before the first attack."""
    ada = lines.get("ada", {}).get("digest")
    for group, victim in _groups(attacks, queue):
        got = lines.get(victim, {}).get("digest")
        if got is None:
            fault = f"{victim} got no record"
        elif got != ada:
            fault = f"{victim} got another record than ada"
        else:
            continue
        for one in group:
            outcomes[one.name].others.append(fault)


def _groups(
    attacks: Sequence[Attack], queue: Sequence[str]
) -> Iterator[tuple[Sequence[Attack], str]]:
    victims = [student for student in queue if student.startswith("victim-")]
    for number, victim in enumerate(victims):
        yield attacks[number * EVERY : (number + 1) * EVERY], victim


def right_of(batch_folder: Path, student: str) -> dict[str, float | None]:
    """The marks by task of one of the honest students."""
    record = Record.from_json(_lines(batch_folder / "results.jsonl")[student]["record"])
    scores = {name.partition("/")[2]: result.score for name, result in record.results.items()}
    return {task: scores.get(f"test-{task}") for task in TASKS}
