"""Records made by hand, and an engine without a sandbox, for the tests of the recording side."""

import ast
import contextlib
import io
import json
import tempfile
import traceback
from pathlib import Path

from grading.engine import record as r
from grading.engine.record import NotebookRecord, Record, Result
from grading.namespace import assignment_folder


def cell(source: str, name: str = "", kind: str = "code", outputs=(), **more) -> dict:
    made = {"cell_type": kind, "source": source, "metadata": {}, **more}
    if name:
        made["metadata"] = {"nbgrader": {"grade_id": name}}
    if kind == "code":
        made |= {"outputs": list(outputs), "execution_count": 1}
    return made


def tiny_record(**changes) -> Record:
    """A record of tests/grading/fixture: everything right, the written answer is with a person."""
    numbers = NotebookRecord(
        "numbers",
        [
            Result("test-double", r.PASSED, 2.0, 2.0),
            Result("test-total", r.PASSED, 3.0, 3.0),
        ],
        [
            cell("# Tiny numbers", kind="markdown"),
            cell("from checks import check_double", "setup"),
            cell("def double(n):\n    return 2 * n", "double"),
            cell("check_double(double)", "test-double"),
            cell("def total(numbers):\n    return sum(numbers)", "total"),
            cell("check_total(total)", "test-total"),
        ],
    )
    words = NotebookRecord(
        "words",
        [Result("test-reverse", r.PASSED, 1.0, 1.0), Result("why", r.MANUAL, None, 2.0)],
        [
            cell("def reverse(word):\n    return word[::-1]", "reverse"),
            cell("check_reverse(reverse)", "test-reverse"),
            cell("Because.", "why", "markdown"),
        ],
    )
    fields = {"key": f"{1:064x}", "assignment": "01-tiny", "status": r.GRADED} | changes
    return Record(notebooks=[numbers, words], **fields)


class TrustingEngine:
    """Runs what it is given in this process: for submissions that a test wrote itself."""

    environment = "trusting"

    def __init__(self) -> None:
        self.graded = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def grade(self, bundle, submissions):
        for submission in submissions:
            self.graded.append(submission.student)
            yield submission.student, trusting_record(bundle, submission)


def trusting_record(bundle, submission) -> Record:
    with tempfile.TemporaryDirectory() as name:
        shipped = [Path(name, file) for file in bundle.files]
        for path in shipped:
            path.write_bytes(bundle.files[path.name])
        with assignment_folder(Path(name), shipped):
            notebooks = [run_notebook(one, submission) for one in bundle.notebooks.values()]
    failed = [one for one in notebooks if one.failed]
    status = r.GRADED if not failed else r.PARTLY if len(failed) < len(notebooks) else r.FAILED
    message = "; ".join(one.failed for one in failed)
    key = r.record_key(submission.digest, bundle.digest, "trusting")
    return Record(key, bundle.assignment, status, message, notebooks)


def run_notebook(source, submission) -> NotebookRecord:
    made = NotebookRecord(source.name)
    try:
        cells = json.loads(submission.files[f"{source.name}.ipynb"])["cells"]
    except KeyError:
        made.failed = f"{source.name}.ipynb was not handed in"
    except ValueError:
        made.failed = f"{source.name}.ipynb is not a notebook file (not JSON)"
    if made.failed:
        made.results = [
            Result(one.grade_id, r.UNDECIDED, None, one.points)
            for one in source.cells
            if one.graded
        ]
        return made
    namespace, seen = {"__name__": "__main__"}, set()
    for given in cells:
        text = given["source"] if isinstance(given["source"], str) else "".join(given["source"])
        marks = given["metadata"].get("nbgrader", {})
        known = source.by_id.get(marks.get("grade_id", ""))
        if known:
            seen.add(known.grade_id)
        run_cell(made, known, given["cell_type"], text, marks, namespace)
    for known in source.cells:
        if known.kind == "test" and known.grade_id not in seen:
            run_cell(made, known, "code", known.source, {}, namespace)
    return made


def run_cell(made, known, cell_type, text, marks, namespace) -> None:
    name = known.grade_id if known else ""
    instructors = known is not None and known.kind in ("test", "locked")
    shown, source = (known.public, known.source) if instructors else (text, text)
    outputs, failed, value = [], "", None
    if cell_type == "code":
        outputs, failed, value = execute(source, namespace)
    made.cells.append(cell(shown, name, known.cell_type if known else cell_type, outputs))
    if known is None or not known.graded:
        return
    if known.kind == "test":
        partial = isinstance(value, int | float) and not isinstance(value, bool)
        score = 0.0 if failed else float(value) if partial else known.points
        outcome = r.PASSED if score == known.points else r.WRONG
        made.results.append(Result(name, outcome, score, known.points, failed))
    elif known.kind == "written" and unchanged(known, text, marks):
        made.results.append(Result(name, r.WRONG, 0.0, known.points, "No response."))
    else:
        made.results.append(Result(name, r.MANUAL, None, known.points))


def unchanged(known, text, marks) -> bool:
    from grading.intake.stub import looks_empty

    return looks_empty(known, text, marks.get("checksum"))


def execute(source, namespace):
    outputs, value = [], None
    printed = io.StringIO()
    try:
        tree = ast.parse(source)
        last = tree.body[-1] if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        if last:
            tree.body.pop()
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, "<cell>", "exec"), namespace)
            if last:
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
        failed = ""
    except Exception as error:
        failed = f"{type(error).__name__}: {error}"
        lines = traceback.format_exception_only(error)
        outputs.append(
            {
                "output_type": "error",
                "ename": type(error).__name__,
                "evalue": str(error),
                "traceback": lines,
            }
        )
    if printed.getvalue():
        text = printed.getvalue()
        outputs.insert(0, {"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        data = {"text/plain": repr(value)}
        outputs.append(
            {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1}
        )
    return outputs, failed, value
