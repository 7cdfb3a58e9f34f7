"""What grade.py does with a cluster, in small: skip what is recorded, store what comes.

    python coordinator.py ADDRESS FOLDER ASSIGNMENT COUNT SECONDS [ORDERS]

The assignment "real" is a notebook, for the engine itself; all others are for the fake one.
ORDERS are those of one more submission, by the student "odd" (see fake_engine.py). Stores records
in FOLDER/ASSIGNMENT/records and adds a line to FOLDER/ASSIGNMENT/came for each.
"""

import sys
from pathlib import Path

import nbformat
from fake_engine import FakeEngine

from grading.cluster import engine as cluster
from grading.cluster.engine import ClusterEngine
from grading.engine.bundle import Bundle, SourceCell, SourceNotebook
from grading.engine.policy import Policy
from grading.engine.pool import Submission
from grading.results import ResultStore

ENGINE = f"{FakeEngine.__module__}:{FakeEngine.__name__}"


def bundle(assignment: str) -> Bundle:
    return Bundle(assignment, {}, {"checks.py": b"SECRET = 7\n"}, Policy())


def submissions(count: int, seconds: float) -> list[Submission]:
    orders = f"sleep {seconds}".encode()
    return [
        Submission(f"student-{number:03d}", {"one.ipynb": b"%d" % number, "orders": orders})
        for number in range(count)
    ]


TEST = "assert double(2) == 4\nassert double(-3) == -6"


def real_bundle() -> Bundle:
    """Two points for a function that doubles."""
    stub = "def double(x):\n    raise NotImplementedError"
    cells = (
        SourceCell("double", "answer", "code", 0.0, "def double(x):\n    return 2 * x", stub),
        SourceCell("test-double", "test", "code", 2.0, TEST, TEST),
    )
    return Bundle("real", {"one": SourceNotebook("one", cells)}, {}, Policy())


def real_submissions(count: int) -> list[Submission]:
    """Every third is wrong."""
    return [Submission(f"student-{n:03d}", {"one.ipynb": _notebook(n)}) for n in range(count)]


def _notebook(number: int) -> bytes:
    factor = 3 if number % 3 == 0 else 2
    cells = []
    for name, source, graded in (
        ("double", f"def double(x):  # {number}\n    return {factor} * x", False),
        ("test-double", TEST, True),
    ):
        marks = {"grade_id": name, "grade": graded, "locked": graded, "solution": not graded}
        marks |= {"schema_version": 3, "task": False} | ({"points": 2} if graded else {})
        cells.append(nbformat.v4.new_code_cell(source, metadata={"nbgrader": marks}, id=name))
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def say(sentence: str) -> None:
    print(sentence, flush=True)


def main(
    address: str, folder: str, assignment: str, count: str, seconds: str, odd: str = ""
) -> None:
    home = Path(folder) / assignment
    store = ResultStore(home / "records")
    real = assignment == "real"
    wanted = real_bundle() if real else bundle(assignment)
    engine = cluster.ENGINE if real else ENGINE
    with ClusterEngine(address, engine=engine, wait=30, say=say) as engine:
        coming = real_submissions(int(count)) if real else submissions(int(count), float(seconds))
        if odd:
            coming.insert(3, Submission("odd", {"orders": odd.encode()}))
        todo = {engine.key(wanted, one): one for one in coming}
        for key in store.known(todo):
            del todo[key]
        say(f"{len(todo)} to grade")
        for student, record in engine.grade(wanted, todo.values()):
            store.put(record)
            with (home / "came").open("a", encoding="ascii") as file:
                file.write(f"{student}\n")
    say("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
