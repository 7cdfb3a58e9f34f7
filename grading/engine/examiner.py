"""The examiner: runs the instructor's cells on a submission that lives in another process."""

import contextlib
import signal
import time
from collections.abc import Mapping

from grading.blocker import INTERNALS
from grading.border import Border, StudentLost
from grading.engine.bundle import SourceCell
from grading.engine.lesson import ExaminerCell, Lesson
from grading.engine.record import (
    FORBIDDEN,
    MANUAL,
    STOPPED,
    WRONG,
    NotebookRecord,
    Result,
)
from grading.engine.shell import Outcome, error_text, run_cell, run_prepared
from grading.engine.static_code import StaticCode
from grading.engine.student_link import CellResult, LostStudent, StudentLink
from grading.engine.verdict import decide, frames
from grading.engine.warm import Family
from grading.intake import Plan, Step
from grading.shortcuts import find_shortcuts

NOT_SHOWN = "\n# Further tests of the instructor's run here."


class TestTooLong(BaseException):
    """The instructor's cell takes too long. Not an Exception: the test must not swallow it."""


class Examiner:
    """Grades one notebook of one submission, in a process made for it.

    Args:
        lesson: the assignment, made ready.
        plan: the steps of the submission's notebook.
        extra_files: the student's own files that lie beside the notebook.
        shell: an IPython shell that has run nothing.
        parent: forks student processes.
    """

    def __init__(
        self,
        lesson: Lesson,
        plan: Plan,
        extra_files: Mapping[str, bytes],
        shell,
        parent: Family,
    ) -> None:
        self.bundle = bundle = lesson.bundle
        self.plan, self.shell = plan, shell
        self.limits = bundle.policy.limits
        self.source = bundle.notebooks[plan.notebook]
        self.page = lesson.pages[plan.notebook]
        self.names = self.page.names
        every = {name for task in self._tasks() for name in bundle.policy.forbidden_for(task)}
        self.link = StudentLink(
            parent,
            {**extra_files, **lesson.files},
            self.limits,
            tuple(sorted(every)),
            time.monotonic() + self.limits.submission_seconds,
        )
        self.record = NotebookRecord(plan.notebook, notes=list(plan.notes))
        self.code = StaticCode(
            [(name, step.source) for name, step in self._named_steps() if step.kind == "student"]
        )
        self._examined = 0
        self._cell_errors: dict[str, str] = {}
        self._bound_to = self.border = None

    def run(self) -> NotebookRecord:
        """All steps, in order; one that fails costs itself."""
        signal.signal(signal.SIGALRM, _too_long)
        self.shortcuts = self._shortcuts()
        done = set()
        for name, step in self._named_steps():
            if step.kind == "test":
                done.add(step.grade_id)
                self._test(self.source.by_id[step.grade_id], step)
            elif step.kind in ("student", "locked") and step.cell_type == "code":
                self._student_cell(name, step)
            else:
                self._text(step)
        for cell in self.source.cells:
            if cell.graded and cell.kind != "test" and cell.grade_id not in done:
                self._manual(cell)
        self.link.close()
        return self.record

    def _tasks(self) -> set[str]:
        return {cell.grade_id for cell in self.source.cells if cell.kind in ("answer", "written")}

    def _named_steps(self) -> list[tuple[str, Step]]:
        """The steps with names that are theirs alone: tracebacks show them."""
        seen: dict[str, int] = {}
        named = []
        for position, step in enumerate(self.plan.steps, 1):
            name = step.grade_id or f"number {position}"
            seen[name] = seen.get(name, 0) + 1
            named.append((name if seen[name] == 1 else f"{name} ({seen[name]})", step))
        return named

    # ------------------------------------------------------------ the student's cells

    def _student_cell(self, name: str, step: Step) -> None:
        cell = self.source.by_id.get(step.grade_id)
        locked = step.kind == "locked"
        source = cell.public if locked else step.source
        forbidden = () if locked else self.bundle.policy.forbidden_for(step.task)
        result = self.link.run_cell(source, name, forbidden)
        if locked:
            self.link.seal()
        elif step.task:
            self._cell_errors[step.task] = result.error or result.lost
        self._show(cell, source, result)

    def _text(self, step: Step) -> None:
        cell = self.source.by_id.get(step.grade_id)
        shown = {"cell_type": step.cell_type, "source": step.source, "metadata": _marks(cell)}
        if step.attachments:
            shown["attachments"] = {name: dict(one) for name, one in step.attachments.items()}
        if step.cell_type == "code":
            shown |= {"outputs": [], "execution_count": None}
        self.record.cells.append(shown)

    def _show(self, cell: SourceCell | None, source: str, result: CellResult) -> None:
        outputs = list(result.outputs)
        if result.error or result.lost:
            name, _, text = (result.error or f"Stopped: {result.lost}").partition(": ")
            outputs.append(_error(name, text, [result.error or result.lost, *result.where]))
        self._code_cell(cell, source, outputs)

    def _code_cell(self, cell: SourceCell | None, source: str, outputs: list[dict]) -> None:
        self.record.cells.append(
            {
                "cell_type": "code",
                "execution_count": None,
                "metadata": _marks(cell),
                "outputs": outputs,
                "source": source,
            }
        )

    def _shortcuts(self) -> dict[str, str]:
        """For each task that uses a forbidden name, a sentence about it."""
        answers: dict[str, list[str]] = {}
        others = [cell.public for cell in self.source.cells if cell.kind == "locked"]
        for step in self.plan.steps:
            if step.kind != "student" or step.cell_type != "code":
                continue
            if step.task:
                answers.setdefault(step.task, []).append(step.source)
            else:
                others.append(step.source)
        forbidden = {task: self.bundle.policy.forbidden_for(task) for task in answers}
        for task, names in forbidden.items():
            if any("::" in name for name in names):
                forbidden[task] = (*names, *INTERNALS)
        if not any(forbidden.values()):
            return {}
        found: dict[str, str] = {}
        for shortcut in find_shortcuts(answers, others, forbidden):
            found.setdefault(shortcut.task, shortcut.message)
            self.link.tried.add(f"the forbidden name {shortcut.name}")
        return found

    # ------------------------------------------------------------ the instructor's cells

    def _test(self, cell: SourceCell, step: Step) -> None:
        one = self._examine_up_to(cell)
        if step.task in self.shortcuts:
            text = self.shortcuts[step.task]
            self._verdict(cell, step, Result(cell.grade_id, FORBIDDEN, 0.0, cell.points, text), [])
            return
        try:
            self._bind(step.task)
        except (LostStudent, StudentLost) as error:
            why = self.link.lose() if isinstance(error, StudentLost) else str(error)
            result = Result(cell.grade_id, STOPPED, 0.0, cell.points, why)
            self._verdict(cell, step, result, [])
            return
        outcome = self._run(one)
        broken = self.border.broken
        if broken:
            self.link.lose("" if broken == "the process ended" else broken)
            text = f"the test could not be finished: {self.link.last_words}"
            result = Result(cell.grade_id, STOPPED, 0.0, cell.points, text)
        elif self.link.channel.slow_calls:
            text = f"a call took longer than {self.limits.call_seconds:g} s"
            self.link.note_limit(f"the time limit of {self.limits.call_seconds:g} s for a call")
            result = Result(cell.grade_id, STOPPED, 0.0, cell.points, text)
        elif isinstance(outcome.error, TestTooLong):
            text = f"the test took longer than {self.limits.cell_seconds:g} s"
            self.link.lose(text)  # it may still be at work on an answer
            result = Result(cell.grade_id, STOPPED, 0.0, cell.points, text)
        else:
            result = decide(cell, outcome, one.own_value)
            if outcome.error is not None and error_text(outcome.error)[0] == "ForbiddenName":
                result = Result(
                    cell.grade_id, FORBIDDEN, 0.0, cell.points, error_text(outcome.error)[1]
                )
                self.link.tried.add(f"a forbidden name at run time ({cell.grade_id})")
        self._verdict(cell, step, result, outcome.outputs, outcome.error)

    def _bind(self, task: str) -> None:
        """Let the names of the student's stand for what they are now."""
        channel = self.link.ready()
        if self._bound_to is not channel:
            self.border = Border(
                channel,
                self.limits.call_seconds + 1.0,
                static_code=self.code.find,
                student_file_names=self.code.files,
                on_mutation=self._changed_an_argument,
            )
            self._bound_to = channel
        forbidden = self.bundle.policy.forbidden_for(task)
        self.border.context = {
            "forbidden": list(forbidden),
            "seconds": self.limits.call_seconds,
        }
        channel.slow_calls = 0
        namespace = self.shell.user_ns
        try:
            self.border.bind(self.names, namespace)
        except StudentLost:
            raise
        except Exception:  # of the student's making: what cannot cross must not hide the others
            self.border.bind(sorted(filter(self._crosses, self.names)), namespace)

    def _changed_an_argument(self, origin: str) -> None:
        """Allowed, and carried back; but a test whose oracle comes later is fooled by it."""
        if origin and len(self.link.changed) < 50:
            self.link.changed.add(origin)

    def _crosses(self, name: str) -> bool:
        try:
            self.border.bind([name], {})
        except StudentLost:
            raise
        except Exception as error:
            note = f"the tests cannot read {name}: {error_text(error)[1][:300]}"
            if note not in self.record.notes:
                self.record.notes.append(note)
            self.shell.user_ns.pop(name, None)
            return False
        return True

    def _examine_up_to(self, cell: SourceCell) -> ExaminerCell:
        """Run the instructor's cells that stand above a test, each once; returns the test."""
        while self._examined < len(self.page.cells):
            one = self.page.cells[self._examined]
            if one.cell is cell:
                break
            self._examined += 1
            if one.problem:
                self.record.notes.append(one.problem)
            if one.cell.kind == "test" or not one.source.strip():
                continue
            if one.cell.kind == "locked":  # it may use what the student wrote above it
                with contextlib.suppress(LostStudent, StudentLost):
                    self._bind("")
            self._run(one)
        return next(one for one in self.page.cells if one.cell is cell)

    def _run(self, one: ExaminerCell) -> Outcome:
        """Run one of the instructor's cells, within the time limit."""
        limit = self.limits.output_kib * 1024
        signal.setitimer(signal.ITIMER_REAL, self.limits.cell_seconds)
        try:
            if one.code is not None:
                return run_prepared(self.shell, one.code, limit)
            name = f"{one.cell.grade_id or 'setup'} of the instructor"
            return run_cell(self.shell, one.source, name, limit)
        except TestTooLong as error:
            return Outcome(error=error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _verdict(
        self,
        cell: SourceCell,
        step: Step,
        result: Result,
        outputs: list[dict],
        error: BaseException | None = None,
    ) -> None:
        failed = self._cell_errors.get(step.task)
        if failed and result.outcome in (WRONG, STOPPED):
            result.message = f"the cell of the answer did not run: {failed}\n{result.message}"
        self.record.results.append(result)
        shown = [output for output in outputs if output["output_type"] != "execute_result"]
        if result.message:
            name = error_text(error)[0] if error is not None else result.outcome
            lines = [result.message, *(frames(error) if error is not None else ())]
            shown.append(_error(name, result.message, lines))
        elif result.score is not None:
            worth = f"{result.score:g} of {cell.points:g} points"
            shown.append({"output_type": "stream", "name": "stdout", "text": worth + "\n"})
        source = cell.public + (NOT_SHOWN if cell.has_hidden_tests else "")
        self._code_cell(cell, source, shown)

    def _manual(self, cell: SourceCell) -> None:
        """A cell that a person marks: nothing was written, or a person decides."""
        written = [step.source for step in self.plan.steps if step.grade_id == cell.grade_id]
        if cell.kind == "written" and cell.grade_id in self.plan.empty:
            text = "nothing was written" if written else "there is no such cell in the submission"
            result = Result(cell.grade_id, MANUAL, 0.0, cell.points, text)
        else:
            result = Result(cell.grade_id, MANUAL, None, cell.points)
        self.record.results.append(result)


def _marks(cell: SourceCell | None) -> dict:
    """Nbgrader's metadata, from the instructor's cell."""
    if cell is None or not cell.grade_id:
        return {}
    kind = cell.kind
    marks = {
        "grade_id": cell.grade_id,
        "grade": kind in ("test", "written"),
        "solution": kind in ("answer", "written"),
        "task": kind == "task",
        "locked": kind in ("test", "locked", "task"),
        "schema_version": 3,
        "cell_type": cell.cell_type,
    }
    if cell.graded:
        marks["points"] = cell.points
    return {"nbgrader": marks}


def _error(name: str, text: str, lines: list[str]) -> dict:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": lines}


def _too_long(_number, _frame) -> None:
    raise TestTooLong("the time limit")
