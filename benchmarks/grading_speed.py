"""CPU and wall seconds a submission: this grader against stock nbgrader, on the same class.

python benchmarks/grading_speed.py --quick     # 4 submissions, about two minutes
python benchmarks/grading_speed.py --write     # 40 submissions; also writes the docs
python benchmarks/grading_speed.py --report    # the docs again, from the committed results
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import grading_report
from grading_class import new_course, write_class
from grading_steps import STEPS, adopt_orphans, measured, step

from grading.course import PROJECT, Course
from grading.stock import Stock

RESULTS = PROJECT / "build" / "benchmarks" / "grading.json"
COMMITTED = PROJECT / "docs" / "grading-speed.json"


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=40, metavar="N")
    parser.add_argument("--assignment", default="04-attention")
    parser.add_argument("--quick", action="store_true", help="4 submissions")
    parser.add_argument("--write", action="store_true", help="write docs/grading-*.{json,md}")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the docs")
    options = parser.parse_args()
    if options.report:
        write_pages(json.loads(COMMITTED.read_text(encoding="utf-8")))
        return
    adopt_orphans()
    count = 4 if options.quick else options.submissions
    with tempfile.TemporaryDirectory(prefix="grading-speed-") as folder:
        results = measure(Path(folder), options.assignment, count)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(grading_report.speed_page(results))
    if options.write:
        shutil.copyfile(RESULTS, COMMITTED)
        write_pages(results)


def measure(folder: Path, assignment: str, count: int) -> dict:
    """All steps, one after the other, on two copies of one class."""
    say("making the class")
    ours = new_course(folder / "ours", assignment)
    write_class(ours, assignment, count)
    stock = Course(folder / "stock")
    shutil.copytree(ours.root, stock.root)
    results: dict = {
        "date": str(datetime.datetime.now(datetime.UTC).date()),
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("nbgrader", "torch")},
        "assignment": assignment,
        "submissions": count,
        "stock": {},
        "ours": {},
    }
    nbgrader = [sys.executable, "-m", "nbgrader"]
    for name, command in (
        ("start", [*nbgrader, "autograde", "--version"]),
        ("autograde", [*nbgrader, "autograde", assignment]),
        ("feedback", [*nbgrader, "generate_feedback", assignment]),
    ):
        say(f"stock: {name}")
        results["stock"][name] = measured(command, stock.root)
    step("prepare_only", ours.root, assignment)  # the gradebook learns of the assignment
    for name in STEPS:
        say(f"ours: {name}")
        results["ours"][name] = step(name, ours.root, assignment)
    results["records"] = json.loads((ours.root / "measures.json").read_text(encoding="utf-8"))
    results["marks"] = compare(scores(stock, assignment), scores(ours, assignment))
    return results


def scores(course: Course, assignment: str) -> dict[str, float | None]:
    """The automatic score of each test cell of each student, from the gradebook."""
    found = {}
    with Stock(course).gradebook() as gradebook:
        for submission in gradebook.assignment_submissions(assignment):
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    place = f"{submission.student.id}/{notebook.name}/{grade.cell.name}"
                    found[place] = grade.auto_score
    return found


def compare(stock: dict, ours: dict) -> dict:
    """How many scores there are, and which differ."""
    places = sorted(set(stock) | set(ours))
    return {
        "compared": len(places),
        "different": [
            f"{place}: stock {stock.get(place, 'nothing')}, ours {ours.get(place, 'nothing')}"
            for place in places
            if stock.get(place, "nothing") != ours.get(place, "nothing")
        ],
    }


def write_pages(results: dict) -> None:
    """The page of the docs, and the part of the book's page that holds the numbers."""
    for name, text in (
        ("grading-speed.md", grading_report.speed_page(results)),
        ("grading-plan.md", grading_report.plan(results)),
    ):
        (PROJECT / "docs" / name).write_text(text, encoding="utf-8", newline="\n")
        say(f"docs/{name}")


def machine() -> str:
    """Processor, cores and system."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model n"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def say(what: str) -> None:
    """Progress, apart from the page that goes to the output."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
