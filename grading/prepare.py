"""An assignment made ready for grading: in the gradebook, and as the bundle that examiners need."""

import contextlib
import hashlib
import json
import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from nbformat import NotebookNode

from grading.course import Course, GradingError
from grading.engine.bundle import Bundle, SourceNotebook, read_bundle
from grading.facts import AssignmentFacts, read_facts
from grading.release import generate, run_generator
from grading.results import write_atomically
from grading.source import public_part
from grading.stock import Stock, load_config, quiet

SCRATCH = ".grading"
"""Folder of a course that is not ours, for what generating an assignment leaves behind."""
PASSED_ON = ("COURSE_SEED",)
"""Variables of the coordinator that the instructor's tests may read."""


def open_stock(course: Course) -> Stock:
    """Configure nbgrader for this course so that generating overwrites no released assignment.

    Raises:
        GradingError: there is no nbgrader_config.py.
    """
    places = {"release_directory": f"{SCRATCH}/release"}
    places["source_with_tests_directory"] = f"{SCRATCH}/source_with_tests"
    if course.solutions.is_dir():
        places = {"release_directory": "build/release"}
    if "root" not in load_config(course).CourseDirectory:
        places["root"] = str(course.root)
    return Stock(course, {"CourseDirectory": places})


def records_folder(stock: Stock) -> Path:
    """Where marks and records are: beside the submissions."""
    return (Path(stock.directory.root) / stock.directory.submitted_directory).parent


def source_folder(stock: Stock, assignment: str) -> Path:
    """The instructor's edition as nbgrader reads it."""
    directory = stock.directory
    return Path(directory.format_path(directory.source_directory, ".", assignment))


def check_known(course: Course, stock: Stock, assignment: str) -> None:
    """Is there such an assignment?

    Raises:
        GradingError: no; the message lists those that there are.
    """
    known = set(course.assignments())
    for path in source_folder(stock, "x").parent.glob("*/*.ipynb"):
        known.add(path.parent.name)
    if not known:
        course.select()  # raises, and says what an assignment is
    if assignment not in known:
        raise GradingError(
            f"there is no assignment {assignment!r} in {course.root}; "
            f"the assignments are: {', '.join(sorted(known))}"
        )


def prepare(course: Course, stock: Stock, assignment: str, timeout: float | None = None) -> Bundle:
    """Bring the gradebook up to date with the source, if need be, and read the bundle.

    Args:
        course: the course.
        stock: what :func:`open_stock` gave.
        assignment: its name.
        timeout: seconds a cell, in the place of what grading.toml says.

    Raises:
        GradingError: the source is not sound, or nbgrader refuses it.
    """
    ours = any((course.solutions / assignment).glob("*.md"))
    source = source_folder(stock, assignment)
    origin = course.solutions / assignment if ours else source
    digest = _source_digest(course, origin)
    memory = records_folder(stock) / "results" / "sources.json"
    remembered = _remembered(memory)
    facts = _facts(stock, assignment, source)
    if facts is None or remembered.get(assignment) != digest or not any(source.glob("*.ipynb")):
        if ours:
            generate(stock, course, assignment)
        else:
            run_generator(stock, assignment)
        facts = _facts(stock, assignment, source)
        if facts is None:
            raise GradingError(f"nbgrader has generated {assignment}, but not recorded it")
        remembered[assignment] = digest
        write_atomically(memory, json.dumps(remembered, indent=1).encode())
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment["NBGRADER_EXECUTION"] = "autograde"  # as stock nbgrader sets it
    bundle = read_bundle(source, assignment, environment, facts.locked_sources)
    bundle = replace(bundle, notebooks=_as_released(bundle, facts))
    unknown = set(bundle.notebooks) ^ {notebook.name for notebook in facts.notebooks}
    if unknown:
        raise GradingError(
            f"source and gradebook of {assignment} disagree about the notebooks "
            f"{', '.join(sorted(unknown))}; run `nbgrader generate_assignment {assignment}`"
        )
    if timeout is not None:
        limits = bundle.policy.limits
        limits = replace(
            limits, cell_seconds=timeout, call_seconds=min(timeout, limits.call_seconds)
        )
        bundle = replace(bundle, policy=replace(bundle.policy, limits=limits))
    return bundle


def _as_released(bundle: Bundle, facts: AssignmentFacts) -> dict[str, SourceNotebook]:
    """The notebooks, with the stubs that students got as the public part of the answers.

    Without markers in it an answer is replaced by a stub as a whole, so that its source alone does
    not tell what students see. The gradebook does: it has each answer as it was released.
    """
    notebooks = dict(bundle.notebooks)
    for known in facts.notebooks:
        if known.name in notebooks:
            cells = tuple(
                replace(cell, public=_public(known.cells[cell.grade_id].text))
                if cell.kind in ("answer", "written") and cell.grade_id in known.cells
                else cell
                for cell in notebooks[known.name].cells
            )
            notebooks[known.name] = replace(notebooks[known.name], cells=cells)
    return notebooks


def _public(text: str) -> str:
    return public_part(NotebookNode(source=text))


def _facts(stock: Stock, assignment: str, source: Path) -> AssignmentFacts | None:
    with quiet(), stock.gradebook() as gradebook, contextlib.suppress(GradingError):
        return read_facts(gradebook, assignment, source)
    return None


def _source_digest(course: Course, folder: Path) -> str:
    total = hashlib.sha256(version("nbgrader").encode())
    total.update((course.root / "nbgrader_config.py").read_bytes())
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith((".", "__pycache__")) for part in path.parts[-2:])
        if path.is_file() and not hidden:
            total.update(path.relative_to(folder).as_posix().encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _remembered(path: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}
