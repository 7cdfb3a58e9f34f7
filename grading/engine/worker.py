"""A worker: takes submissions from the coordinator and forks an examiner for each notebook."""

import contextlib
import json
import os
import pickle
import resource
import select
import signal
import socket
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from grading.border import BorderError, Channel
from grading.engine.bundle import Bundle
from grading.engine.examiner import Examiner
from grading.engine.lesson import Lesson
from grading.engine.policy import MIB
from grading.engine.process import die_with_parent
from grading.engine.record import (
    FAILED,
    GRADED,
    PARTLY,
    UNDECIDED,
    NotebookRecord,
    Record,
    Result,
)
from grading.engine.student import seed_generators
from grading.engine.warm import Family, WarmParent
from grading.intake import Plan, read_submission

TRUSTED_MIB = 1024
SPARE_SECONDS = 60.0
"""What an examiner may take beyond the limit of its notebook before its worker ends it."""


class Worker:
    """Serves the coordinator over one socket (messages come from us alone: pickle is safe here)."""

    def __init__(self, sock: socket.socket, shell, parent: WarmParent) -> None:
        self.channel = Channel(sock, TRUSTED_MIB * MIB)
        self.shell, self.parent = shell, parent
        self.lesson: Lesson | None = None

    def serve(self) -> None:
        """Until the coordinator hangs up."""
        with contextlib.suppress(BorderError):
            while True:
                message = self.channel.receive(None)
                if message["op"] == "bundle":
                    self.lesson = Lesson(pickle.loads(message["tail"]))
                    continue
                record = self.grade(message["key"], pickle.loads(message["tail"]))
                self.channel.send({"op": "record"}, [record.to_json().encode()])

    def grade(self, key: str, files: dict[str, bytes]) -> Record:
        """Grade one submission; whatever goes wrong stands in the record."""
        bundle = self.lesson.bundle
        start, used = time.monotonic(), _cpu()
        record = Record(key, bundle.assignment, GRADED)
        measures = {"student_cpu_seconds": 0.0, "peak_mib": 0.0}
        try:
            plans = read_submission(bundle, files)
        except Exception as error:  # never known to happen; must not stop a batch
            text = f"the submission cannot be read: {type(error).__name__}"
            plans = [Plan(name, [], [], text) for name in bundle.notebooks]
        for plan in plans:
            notebook, more = self._grade_notebook(plan, _own_files(bundle, files))
            record.notebooks.append(notebook)
            for name in ("suspicious", "limits_hit", "changed"):
                known = getattr(record, name)
                known += [one for one in more.get(name, ()) if one not in known]
            record.transient |= more.get("transient", False)
            measures["student_cpu_seconds"] += more.get("cpu_seconds", 0.0)
            measures["peak_mib"] = max(measures["peak_mib"], more.get("peak_mib", 0.0))
        _set_status(record)
        record.measures = {
            "wall_seconds": round(time.monotonic() - start, 4),
            "cpu_seconds": round(_cpu() - used + measures["student_cpu_seconds"], 4),
            "student_cpu_seconds": round(measures["student_cpu_seconds"], 4),
            "peak_mib": round(measures["peak_mib"], 1),
        }
        return record

    def _grade_notebook(self, plan: Plan, own: dict[str, bytes]) -> tuple[NotebookRecord, dict]:
        bundle = self.lesson.bundle
        if plan.failed:
            return _undecided(bundle, plan, plan.failed), {}
        family = self.parent.open()
        reading, writing = os.pipe()
        with tempfile.TemporaryDirectory(prefix="examiner-") as folder:
            pid = os.fork()
            if not pid:
                os.close(reading)
                self._examine(plan, own, Path(folder), family, writing)
            os.close(writing)
            limit = bundle.policy.limits.submission_seconds + SPARE_SECONDS
            text = _read_all(reading, time.monotonic() + limit)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            family.end_all()
        try:
            content = json.loads(text)
        except ValueError:
            why = "the examiner did not finish; grade it again"
            return _undecided(bundle, plan, why), {"transient": True}
        if "crash" in content:
            why = f"the examiner itself failed ({content['crash']}); tell the instructor"
            return _undecided(bundle, plan, why), {"transient": True}
        results = [Result(**each) for each in content["notebook"].pop("results")]
        return NotebookRecord(**content["notebook"], results=results), content["more"]

    def _examine(
        self, plan: Plan, own: dict[str, bytes], folder: Path, family: Family, writing: int
    ) -> None:
        """The examiner's process; it does not return."""
        try:
            die_with_parent()
            self.channel.close()
            os.chdir(folder)
            for name, data in self.lesson.files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            sys.path.insert(0, str(folder))
            sys.dont_write_bytecode = True
            os.environ.update(self.lesson.bundle.environment)
            seed_generators()
            examiner = Examiner(self.lesson, plan, own, self.shell, family)
            notebook, link = examiner.run(), examiner.link
            content = {
                "notebook": asdict(notebook),
                "more": {
                    "suspicious": sorted(link.tried),
                    "limits_hit": link.limits_hit,
                    "changed": sorted(link.changed),
                    "cpu_seconds": link.cpu_seconds,
                    "peak_mib": link.peak_mib,
                },
            }
        except BaseException as error:
            import traceback

            traceback.print_exc()
            content = {"crash": f"{type(error).__name__}: {error}"[:500]}
        try:
            with os.fdopen(writing, "w", encoding="utf-8") as file:
                json.dump(content, file, allow_nan=False)
        finally:
            os._exit(0)


def _own_files(bundle: Bundle, files: dict[str, bytes]) -> dict[str, bytes]:
    """What a student may have beside the notebooks, as far as it fits."""
    own, left = {}, bundle.policy.limits.file_mib * MIB
    for name, data in sorted(files.items()):
        path = Path(name)
        odd = path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name
        if odd or path.suffix == ".ipynb" or len(data) > left:
            continue
        left -= len(data)
        own[name] = data
    return own


def _undecided(bundle: Bundle, plan: Plan, why: str) -> NotebookRecord:
    """A notebook without a verdict: no scores, which is not the same as zeros."""
    cells = bundle.notebooks[plan.notebook].cells
    results = [
        Result(cell.grade_id, UNDECIDED, None, cell.points, why) for cell in cells if cell.graded
    ]
    return NotebookRecord(plan.notebook, results, notes=list(plan.notes), failed=why)


def _set_status(record: Record) -> None:
    failed = [notebook.failed for notebook in record.notebooks if notebook.failed]
    undecided = any(result.outcome == UNDECIDED for result in record.results.values())
    if record.notebooks and len(failed) == len(record.notebooks):
        record.status = FAILED
    elif undecided:
        record.status = PARTLY
    record.message = "; ".join(dict.fromkeys(failed))


def _read_all(reading: int, deadline: float) -> bytes:
    parts = []
    with os.fdopen(reading, "rb", buffering=0) as file:
        while (left := deadline - time.monotonic()) > 0:
            if select.select([file], [], [], left)[0]:
                part = file.read(1 << 20)
                if not part:
                    break
                parts.append(part)
    return b"".join(parts)


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(one.ru_utime + one.ru_stime for one in both)
