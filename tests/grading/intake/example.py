"""A small assignment and its released notebook."""

from grading.engine.bundle import SourceCell, SourceNotebook
from grading.intake import Plan

CELLS = (
    # grade_id, kind, cell_type, points, source, public
    ("intro", "locked", "markdown", 0, "# Work", "# Work"),
    ("setup", "locked", "code", 0, "import math\nlimit = 3", "import math\nlimit = 3"),
    ("", "", "code", 0, "import os", "import os"),
    (
        "squares",
        "answer",
        "code",
        0,
        "def squares(n):\n    ### BEGIN SOLUTION\n    return n * n\n    ### END SOLUTION",
        "def squares(n):",
    ),
    ("", "", "code", 0, "result = squares(3)", "result = squares(3)"),
    (
        "test-squares",
        "test",
        "code",
        2,
        "assert squares(2) == 4\n### BEGIN HIDDEN TESTS\nassert result == 9\n### END HIDDEN TESTS",
        "assert squares(2) == 4",
    ),
    ("", "", "markdown", 0, "Now cubes.", "Now cubes."),
    (
        "cubes",
        "answer",
        "code",
        0,
        "def cubes(n):\n    ### BEGIN SOLUTION\n    return n**3\n    ### END SOLUTION",
        "def cubes(n):",
    ),
    ("cubes_small", "test", "code", 1, "assert cubes(2) == 8", "assert cubes(2) == 8"),
    ("cubes_large", "test", "code", 1, "assert cubes(9) == 729", "assert cubes(9) == 729"),
    ("why", "written", "markdown", 3, "### BEGIN SOLUTION\nBecause.\n### END SOLUTION", ""),
    ("draw", "written", "code", 2, "### BEGIN SOLUTION\nplot()\n### END SOLUTION", ""),
    ("table", "locked", "code", 0, "print(cubes(limit))", "print(cubes(limit))"),
)
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
ANSWERS = {
    "squares": "def squares(n):\n    return n * n",
    "cubes": "def cubes(n):\n    return n**3",
    "why": "Since it is so.",
    "draw": "print('a plot')",
}


def source_notebook(name: str = "work") -> SourceNotebook:
    return SourceNotebook(name, tuple(SourceCell(*cell) for cell in CELLS))


def released(answers: dict | None = None) -> dict:
    """The student edition as JSON, with answers in it."""
    cells = []
    for grade_id, kind, cell_type, points, _, public in CELLS:
        metadata = {}
        if kind:
            metadata["nbgrader"] = {
                "grade_id": grade_id,
                "grade": kind in ("test", "written"),
                "solution": kind in ("answer", "written"),
                "locked": kind in ("test", "locked"),
                "schema_version": 3,
                "task": False,
            }
            if kind in ("test", "written"):
                metadata["nbgrader"]["points"] = points
        stub = "YOUR ANSWER HERE" if cell_type == "markdown" else STUB
        source = public if kind not in ("answer", "written") else f"{public}\n{stub}".strip()
        cell = {
            "cell_type": cell_type,
            "metadata": metadata,
            "source": (answers or {}).get(grade_id, source),
        }
        if cell_type == "code":
            cell |= {"outputs": [], "execution_count": None}
        cells.append(cell)
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def named(notebook: dict, grade_id: str) -> dict:
    """The first cell with this grade_id."""
    return next(
        cell
        for cell in notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def sketch(plan: Plan) -> list[str]:
    """The steps in short: kind and name, or the first line."""
    return [
        f"{step.kind} {step.task or step.grade_id}"
        if step.kind == "student" and step.task
        else f"{step.kind} {step.grade_id or step.source.split(chr(10))[0]}"
        for step in plan.steps
    ]


HONEST = [
    "locked intro",
    "locked setup",
    "student import os",
    "student squares",
    "student result = squares(3)",
    "test test-squares",
    "text Now cubes.",
    "student cubes",
    "test cubes_small",
    "test cubes_large",
    "text why",
    "student draw",
    "locked table",
]
