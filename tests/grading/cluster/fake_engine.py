"""An engine whose records depend on the submission alone, and that does what a submission says.

It stands in for grading.engine.pool.Engine where a test is about the cluster. The file ``orders``
of a submission holds words: ``sleep SECONDS``, ``die`` (the worker's process with it), ``raise``.
Each execution is logged in $FAKE_ENGINE_LOG, a line when it starts and one when it ends.
"""

import os
import signal
import time
from collections.abc import Iterable, Iterator

from grading.engine.bundle import Bundle
from grading.engine.pool import Submission
from grading.engine.record import FAILED, GRADED, NotebookRecord, Record, Result, record_key

__all__ = ["FAILED", "FakeEngine", "Record", "record_of"]


class FakeEngine:
    def __init__(self, workers=1, sandbox=True, environment=""):
        self.environment = environment

    def __enter__(self):
        if os.environ.get("FAKE_ENGINE_REFUSES"):
            raise RuntimeError("no sandbox on this machine")
        return self

    def __exit__(self, *error):
        pass

    def grade(
        self, bundle: Bundle, submissions: Iterable[Submission]
    ) -> Iterator[tuple[str, Record]]:
        for submission in submissions:
            key = record_key(submission.digest, bundle.digest, self.environment)
            note("start", key)
            obey(submission.files.get("orders", b"").decode().split())
            note("end", key)
            yield submission.student, record_of(bundle, submission, key)


def record_of(bundle: Bundle, submission: Submission, key: str) -> Record:
    """The one right record of a submission."""
    score = float(int(submission.digest, 16) % 11)
    result = Result("test", "passed" if score == 10 else "wrong", score, 10.0, submission.digest)
    return Record(key, bundle.assignment, GRADED, notebooks=[NotebookRecord("one", [result])])


def obey(orders: list[str]) -> None:
    if "sleep" in orders:
        time.sleep(float(orders[orders.index("sleep") + 1]))
    if "die" in orders:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raise" in orders:
        raise RuntimeError("the engine is out of order")


def note(event: str, key: str) -> None:
    path = os.environ.get("FAKE_ENGINE_LOG")
    if path:
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{event} {key} {os.getpid()}\n")
