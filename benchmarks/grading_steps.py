"""The steps that grading_speed.py measures, each in a process of its own."""

import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

# As `python -m grading` does; see there.
sys.modules.setdefault("rfc3987_syntax", None)

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let processes whose parent died become children of this one: their CPU time counts too."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def measured(command: list[str], cwd: Path) -> dict[str, float]:
    """Run a command; the CPU and wall seconds of it and everything that it started.

    Raises:
        RuntimeError: it failed; the message ends with what it said.
    """
    paths = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    others = {child.pid for child in psutil.Process().children()}
    before, start = _children(), time.perf_counter()
    result = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wall = time.perf_counter() - start
    while orphans := {child.pid for child in psutil.Process().children()} - others:
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{result.stdout[-3000:].decode()}")
    return {"cpu": _children() - before, "wall": wall}


def step(name: str, root: Path, assignment: str) -> dict[str, float]:
    """Measure one of :data:`STEPS`; ``whole`` is the command that an instructor types."""
    if name == "whole":
        command = [sys.executable, "-m", "grading", "--root", str(root), "grade", assignment]
        return measured([*command, "--no-feedback"], root)
    return measured([sys.executable, __file__, name, str(root), assignment], root)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _material(root: Path, assignment: str):
    from grading.course import Course
    from grading.prepare import open_stock, prepare

    course = Course(root)
    stock = open_stock(course)
    return stock, prepare(course, stock, assignment)


def _submissions(root: Path, assignment: str) -> Iterator:
    from grading.engine.pool import Submission

    for folder in sorted((root / "course" / "submitted").glob(f"*/{assignment}")):
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        yield Submission(folder.parent.name, files)


def prepare_only(root: Path, assignment: str) -> None:
    """Read the course and start the engine: what each run costs once."""
    from grading.engine.pool import Engine

    _, bundle = _material(root, assignment)
    with Engine() as engine:
        list(engine.grade(bundle, []))


def engine_only(root: Path, assignment: str) -> None:
    """The same, and run the submissions; nothing is recorded."""
    from grading.engine.pool import Engine

    _, bundle = _material(root, assignment)
    used = {"cpu_seconds": 0.0, "student_cpu_seconds": 0.0}
    with Engine() as engine:
        for _, record in engine.grade(bundle, _submissions(root, assignment)):
            for name in used:
                used[name] += record.measures.get(name, 0.0)
    (root / "measures.json").write_text(json.dumps(used), encoding="utf-8")


def pages(root: Path, assignment: str) -> None:
    """Nothing is new: read what is recorded, write the pages of those who have none."""
    from grading.course import Course
    from grading.grade import grade

    grade(Course(root), assignment)


FUNCTIONS = {one.__name__: one for one in (prepare_only, engine_only, pages)}
STEPS = ("prepare_only", "engine_only", "whole", "pages")

if __name__ == "__main__":
    FUNCTIONS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
