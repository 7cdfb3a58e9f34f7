"""Running the cells of a text notebook in a fresh namespace, without a kernel."""

import contextlib
import io
import linecache
import os
import random
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from nbformat import NotebookNode

from grading.source import HIDDEN, answer_text, grade_id, kind, regions


@contextlib.contextmanager
def assignment_folder(folder: Path, shipped: list[Path]) -> Iterator[None]:
    """Work in ``folder`` as a kernel would: its modules are found first, and loaded afresh."""
    names = {path.stem for path in shipped if path.suffix == ".py"}
    saved = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    backend = os.environ.setdefault("MPLBACKEND", "Agg")
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = bytecode
        if backend == "Agg":
            os.environ.pop("MPLBACKEND", None)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(saved)


def run_up_to(notebook: NotebookNode, task: str, answer: str | None = None) -> dict:
    """Run every code cell before the test cell of ``task``, hidden tests left out.

    Args:
        notebook: a text notebook.
        task: grade_id of an answer cell.
        answer: what stands in this cell; None for the reference.

    Returns:
        The namespace, in which the test can run.
    """
    seed_generators()
    namespace = {"__name__": "__main__"}
    for cell in notebook.cells:
        if grade_id(cell) == f"test-{task}":
            return namespace
        if cell.cell_type == "code":
            source = (
                answer_text(cell) if kind(cell) == "answer" else regions(cell.source, HIDDEN)[0]
            )
            if grade_id(cell) == task and answer is not None:
                source = answer
            run_cell(source, grade_id(cell) or cell.id, namespace)
    raise KeyError(f"there is no test cell test-{task}")


def run_cell(source: str, name: str, namespace: dict) -> None:
    """Execute one cell; what it prints and warns is swallowed."""
    file = f"<cell {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        exec(compile(source, file, "exec"), namespace)


def seed_generators() -> None:
    """The same start for every run; the gate must not depend on luck."""
    random.seed(0)
    for module, seed in (("numpy", "random.seed"), ("torch", "manual_seed")):
        if module in sys.modules:
            function = sys.modules[module]
            for part in seed.split("."):
                function = getattr(function, part)
            function(0)


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    saved = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
