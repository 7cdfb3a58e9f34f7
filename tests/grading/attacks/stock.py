"""Run one attack on stock nbgrader, in a course of its own, and judge what came of it.

These runs really execute the attack without protection. So each has a throw-away course, home and
temporary folder, and a belt: namespaces in which only these are writable, no capabilities, and
every process ends with the run. Nothing of this changes what nbgrader does.
"""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import nbformat

from grading.course import Course
from grading.stock import Stock, quiet
from tests.grading.attacks import judge
from tests.grading.attacks.classroom import (
    ASSIGNMENT,
    ATTACKER,
    HONEST,
    build,
    environment,
    nbgrader,
    write_attack,
)
from tests.grading.attacks.form import Attack, Place
from tests.grading.attacks.harness import guarded, shared_files
from tests.grading.attacks.listener import Listener

SECONDS = 300
BELT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec setpriv "$@"'
# What nbgrader, Jupyter and IPython write themselves.
OWN = ("autograded/m/", "autograded/zoe", "home/.cache/", "home/.local/share/jupyter/runtime")
OWN += ("tmp/tmp", "tmp/jupyter", "home/.ipython/profile_default/history", "tmp/matplotlib")
PAGES = {"script_in_feedback"}  # the feedback page is generated too


def prepare(folder: Path) -> Path:
    """A course in which ada and bela are graded; zoe and the attacker are to come."""
    course = build(folder)
    for student in ("ada", "bela"):
        done = nbgrader(course, "autograde", ASSIGNMENT, "--student", student)
        if done.returncode:
            raise RuntimeError(f"nbgrader could not grade {student}:\n{done.stderr[-2000:]}")
    return course


def run_stock(attack: Attack, template: Path, folder: Path, baseline: dict | None) -> dict:
    """Grade the attacker, then zoe; return the outcome and what was seen.

    Args:
        attack: which.
        template: the course that :func:`prepare` made.
        folder: where the copy of the course and the log go; what was there is removed.
        baseline: what this function returned for a submission without an attack.
    """
    shutil.rmtree(folder, ignore_errors=True)
    course = folder / "course"
    shutil.copytree(template, course, symlinks=True)
    with Listener(str(folder / "s")) as listener:
        place = Place(course, listener.port, listener.path)
        write_attack(attack, course, ATTACKER, place)
        before = judge.snapshot(course)
        command = [sys.executable, "-m", "nbgrader", "autograde", ASSIGNMENT]
        report = _belted(command, folder, course)
    messages = listener.of(attack.name)
    if attack.name in PAGES:
        nbgrader(course, "generate_feedback", ASSIGNMENT, "--student", ATTACKER)
    rows = read_rows(course)
    changed = judge.changes(before, judge.snapshot(course))
    changed = [one for one in changed if not one.startswith(OWN)] + report["left"] + shared_files()
    outcome = judge.Outcome(attack.name, attack.group, sum(attack.earned.values()))
    mine = rows.get(ATTACKER) or {}
    judge.judge_marks(outcome, attack, mine.get("tasks", {}), mine.get("total"))
    judge.judge_reading(outcome, shown(course), messages)
    for page in (course / "feedback").rglob("*.html"):
        judge.judge_markup(outcome, page.read_text(encoding="utf-8"))
    if report["timed_out"]:
        outcome.batch = f"ended after {SECONDS} s"
    elif not rows.get("zoe"):
        outcome.batch = "later students were not graded"
    if baseline is not None:
        outcome.left += [one for one in changed if one not in baseline["changed"]]
        outcome.others = [
            f"{name} has {_short(rows.get(name))} instead of {_short(baseline['rows'][name])}"
            for name in HONEST
            if rows.get(name) != baseline["rows"][name]
        ]
    outcome.seconds = report.get("wall")
    outcome.message = "no mark" if outcome.got is None else ""
    return {
        "outcome": outcome.as_dict(),
        "rows": rows,
        "changed": changed,
        "report": report,
        "shown": shown(course)[-2000:],
    }


def read_rows(course: Path) -> dict[str, dict | None]:
    """Everybody's marks as nbgrader would export them; empty if the gradebook cannot be read."""
    rows: dict[str, dict | None] = {}
    with contextlib.suppress(Exception), quiet():  # garbage, in any form
        stock = Stock(Course(course))
        with stock.gradebook() as gradebook:
            for student in (*HONEST, ATTACKER):
                rows[student] = None
                with contextlib.suppress(Exception):
                    rows[student] = _row(gradebook.find_submission(ASSIGNMENT, student))
    return rows


def _row(submission) -> dict:
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    return {
        "total": submission.score,
        "maximum": submission.max_score,
        "tasks": {
            grade.name.removeprefix("test-"): grade.auto_score
            for grade in grades
            if grade.auto_score is not None
        },
    }


def _short(row: dict | None) -> str:
    return "no mark" if row is None else f"{row['total']:g} of {row['maximum']:g}"


def shown(course: Path) -> str:
    """What the attacker's cells put out. Tracebacks are left out: they quote the tests anyway."""
    found = []
    for path in sorted((course / "autograded" / ATTACKER / ASSIGNMENT).glob("*.ipynb")):
        with contextlib.suppress(Exception):
            for cell in nbformat.read(path, as_version=4).cells:
                outputs = [one for one in cell.get("outputs", []) if one.output_type != "error"]
                found.append(json.dumps(outputs)[:1_000_000])
    return "\n".join(found)


def _belted(command: list[str], folder: Path, course: Path) -> dict:
    belt = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--ipc"]
    if os.geteuid():
        belt += ["--user", "--map-root-user"]
    belt += ["sh", "-c", BELT, str(folder), "--bounding-set=-all", "--inh-caps=-all"]
    variables = environment(course)
    return guarded(command, folder, course, SECONDS, variables, before=belt)
