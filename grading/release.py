"""From ``solutions/`` to the student edition, by nbgrader's own converter."""

import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading.course import Course, GradingError, is_shipped
from grading.engine.policy import POLICY_FILE
from grading.leaks import find_leaks
from grading.source import kind, read_text_notebook, signature, write_notebook
from grading.stock import Stock, quiet
from grading.tasks import fill_placeholders
from grading.validate import validate

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def build_source(course: Course, assignment: str, target: Path) -> None:
    """Write nbgrader's source notebooks and the shipped files of an assignment to ``target``.

    Raises:
        GradingError: the assignment is not sound, or a conversion changed a cell.
    """
    validate(course, assignment)
    shutil.rmtree(target, ignore_errors=True)
    for path in course.problems(assignment):
        notebook = read_text_notebook(path)
        fill_placeholders(path.stem, notebook)
        notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        expected = signature(notebook)
        written = target / f"{path.stem}.ipynb"
        write_notebook(notebook, written)
        _same_cells(path.name, expected, signature(nbformat.read(written, as_version=4)))
    policy = course.solutions / assignment / POLICY_FILE
    kept = [policy] if policy.is_file() else []  # the grader reads it there; no student gets it
    for path in course.shipped_files(assignment) + kept:
        copy = target / path.relative_to(course.solutions / assignment)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def generate(stock: Stock, course: Course, assignment: str) -> Path:
    """Build the source notebooks, and from them the student edition; return its folder.

    Raises:
        GradingError: nbgrader refused; the message holds the end of its log.
    """
    root = Path(stock.directory.root)
    source = root / stock.directory.source_directory / assignment
    release = root / stock.directory.release_directory / assignment
    build_source(course, assignment, source)
    run_generator(stock, assignment)
    (release / POLICY_FILE).unlink(missing_ok=True)
    for path in sorted(source.glob("*.ipynb")):
        student = release / path.name
        before, after = (nbformat.read(file, as_version=4) for file in (path, student))
        _same_cells(path.name, _without_digest(before), _without_digest(after))
        write_notebook(after, student)
    return release


def run_generator(stock: Stock, assignment: str) -> None:
    """Let nbgrader make the student edition and record the assignment in the gradebook.

    Raises:
        GradingError: nbgrader refused; the message holds the end of its log.
    """
    result = stock.generate_assignment(assignment)
    if not result.success:
        if "there are submissions associated with it" in result.log:
            raise GradingError(
                f"cells of {assignment} were added or removed after submissions had been graded, "
                f"and nbgrader keeps marks by cell; move {stock.directory.db_url} away (marks "
                "given by hand are in it) and run the command again"
            )
        raise GradingError(f"nbgrader could not generate {assignment}:\n{result.log[-2000:]}")


def _without_digest(notebook: NotebookNode) -> list[tuple]:
    return [cell[:3] for cell in signature(notebook)]


def _same_cells(name: str, expected: list, got: list) -> None:
    if expected != got:
        wrong = [pair for pair in zip(expected, got, strict=False) if pair[0] != pair[1]]
        raise GradingError(
            f"{name}: the conversion changed the cells that nbgrader knows: "
            f"{len(expected)} cells, then {len(got)}; the first difference: {wrong[:1]}"
        )


def release(course: Course, assignment: str, force: bool = False) -> list[Path]:
    """Generate, check for leaks, and only then write ``exercises/ASSIGNMENT``.

    Args:
        course: the course.
        assignment: its name.
        force: overwrite answers that someone typed into exercises/, and remove strange files.

    Returns:
        The files that are new or changed.

    Raises:
        GradingError: something leaks, or a file of exercises/ holds someone's work.
    """
    target = course.exercises / assignment
    stock = Stock(course, {"CourseDirectory": {"release_directory": "build/release"}})
    generated = generate(stock, course, assignment)
    leaks = find_leaks(course, assignment, generated)
    if leaks:
        raise GradingError(f"{assignment} is not released, it leaks:\n  " + "\n  ".join(leaks))
    fresh = {path.relative_to(generated) for path in generated.rglob("*") if path.is_file()}
    strange = [path for path in exercise_files(target) if path not in fresh]
    worked_in = [path for path in fresh if path.suffix == ".ipynb" and _answered(target / path)]
    if not force and (strange or worked_in):
        raise GradingError(
            "not overwritten: "
            + ", ".join(str(target / path) for path in sorted(worked_in + strange))
            + " (answers or files that the release did not write). Move them away, or run "
            "`python -m grading release --force` to lose them"
        )
    for path in strange:
        (target / path).unlink()
    changed = []
    for path in sorted(fresh):
        data = (generated / path).read_bytes()
        if not (target / path).is_file() or (target / path).read_bytes() != data:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(data)
            changed.append(target / path)
    return changed


def exercise_files(folder: Path) -> list[Path]:
    """Files of a student edition, relative to it, without caches and checkpoints."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path for path in files if path.name in ("bugs.py", POLICY_FILE) or is_shipped(path)
    )


def _answered(path: Path) -> bool:
    """Has someone changed an answer cell? nbgrader keeps a checksum of each as released."""
    if not path.is_file():
        return False
    with quiet():
        from nbgrader.utils import compute_checksum
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception:  # a merge conflict, or not a notebook: not ours to overwrite silently
        return True
    return any(
        cell.metadata["nbgrader"].get("checksum") not in (None, compute_checksum(cell))
        for cell in notebook.cells
        if kind(cell) in ("answer", "written")
    )
