"""Which submission is on its way, which is tried again, and which is given up."""

import asyncio
import concurrent.futures
import contextlib
import copy
import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from distributed.scheduler import KilledWorker

from grading.course import GradingError
from grading.engine.pool import Submission
from grading.engine.record import FAILED, Record

TRIES = 3
"""After so many deaths of a worker, or errors of the engine, a submission is given up."""

PATIENCE_WITH_LOSSES = 20
"""How often a task may get lost through no fault of its own."""

POLL_SECONDS = 1.0
GATHER_SECONDS = 120.0
CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)

log = logging.getLogger(__name__)


class WorkerUnfit(Exception):
    """The worker cannot run the engine: no fault of the submission."""


class BundleMissing(Exception):
    """The scheduler no longer has the assignment: it was started anew."""


class Damaged(Exception):
    """What a worker sent is not the record that was asked for."""


@dataclass
class Case:
    """A submission, everyone who handed in exactly this, and what has happened to it so far."""

    submission: Submission
    key: str
    students: list[str]
    sent: int = 0
    deaths: int = 0
    errors: int = 0
    losses: int = 0
    alone: bool = False
    reasons: list[str] = field(default_factory=list)


class Batch:
    """Keeps the cluster busy and yields each submission's record exactly once.

    A worker that dies takes along all it was at work on, so dying beside a submission proves
    nothing. Whoever was there at two deaths waits until everything else is done and is then tried
    alone: a worker that dies of it then is proof.

    Args:
        assignment: its name.
        send: starts a case on the cluster; returns a future.
        capacity: how many cases may be on their way now; 0 while no worker is connected.
        fetch: a record that a worker kept from an earlier run, as JSON, or None.
        offer: puts the assignment on the scheduler again.
        wait: how many seconds to go on without a single worker.
        say: told what an instructor may want to know, a sentence each.
    """

    def __init__(
        self,
        assignment: str,
        send: Callable[[Case], Any],
        capacity: Callable[[], int],
        fetch: Callable[[str], str | None] = lambda key: None,
        offer: Callable[[], None] = lambda: None,
        wait: float = 300.0,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        self.assignment = assignment
        self._send, self._capacity, self._fetch, self._offer = send, capacity, fetch, offer
        self._wait, self._say = wait, say
        self._again: deque[Case] = deque()
        self._suspects: deque[Case] = deque()
        self._flying: dict[tuple[str, int], tuple[Case, Any]] = {}
        self._cases: dict[str, Case] = {}
        self._done: queue.SimpleQueue = queue.SimpleQueue()
        self._gatherers = ThreadPoolExecutor(4, thread_name_prefix="grading-gather")
        self._last_loss = ""

    def run(self, cases: Iterable[Case]) -> Iterator[tuple[str, Record]]:
        """Yield (student, record) as they are done.

        Raises:
            GradingError: there was no worker for too long.
        """
        coming, since = iter(cases), time.monotonic()
        try:
            while True:
                room = self._capacity()
                since = time.monotonic() if room else since
                while len(self._flying) < room and (case := self._next(coming)):
                    if case.sent == 0 and (record := self._kept(case)):
                        yield from self._finish(case, record)
                    else:
                        self._start(case)
                    if case.alone:
                        break
                if not self._flying:
                    if (case := self._next(coming)) is None:
                        return
                    self._again.appendleft(case)
                if time.monotonic() - since > self._wait:
                    raise GradingError(
                        f"no worker could take a submission for {self._wait:.0f} seconds"
                        f"{self._last_loss and f' ({self._last_loss})'}; what is finished is kept: "
                        "start workers and run the same command again"
                    )
                yield from self._settle()
        finally:
            for _, future in self._flying.values():
                with contextlib.suppress(Exception):  # the cluster may be gone
                    future.cancel()
            self._gatherers.shutdown(wait=False, cancel_futures=True)

    def _next(self, coming: Iterator[Case]) -> Case | None:
        if any(case.alone for case, _ in self._flying.values()):
            return None
        if self._again:
            return self._again.popleft()
        for case in coming:
            if case.key not in self._cases:
                self._cases[case.key] = case
                return case
            self._cases[case.key].students += case.students  # the same files are on their way
        if self._suspects and not self._flying:
            suspect = self._suspects.popleft()
            suspect.alone = True
            return suspect
        return None

    def _start(self, case: Case) -> None:
        case.sent += 1
        label = case.key, case.sent
        try:
            future = self._send(case)
        except Exception as error:  # the connection is just going
            future = concurrent.futures.Future()
            future.set_exception(TimeoutError(str(error)))
        self._flying[label] = case, future
        future.add_done_callback(lambda one: self._hand_over(label, one))

    def _hand_over(self, label: tuple[str, int], future: Any) -> None:
        """Fetch the result in another thread: one on a host that is cut off would hold up all."""
        with contextlib.suppress(RuntimeError):  # the batch is over
            self._gatherers.submit(self._gather, label, future)

    def _gather(self, label: tuple[str, int], future: Any) -> None:
        try:
            self._done.put((label, future.result(timeout=GATHER_SECONDS)))
        except BaseException as error:  # a cancelled future raises no Exception
            self._done.put((label, error))

    def _settle(self) -> Iterator[tuple[str, Record]]:
        try:
            label, outcome = self._done.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return
        case, _ = self._flying.pop(label, (None, None))
        if case is None:
            return  # late: this try had been given up
        if not isinstance(outcome, BaseException):
            try:
                outcome = self._read(case, outcome)
            except Damaged as error:
                outcome = error
        if isinstance(outcome, BaseException):
            self._blame(case, outcome)
            if not self._given_up(case):
                return
            outcome = self._failure(case)
        yield from self._finish(case, outcome)

    def _finish(self, case: Case, record: Record) -> Iterator[tuple[str, Record]]:
        del self._cases[case.key]
        for number, student in enumerate(case.students):
            yield student, copy.deepcopy(record) if number else record

    def _kept(self, case: Case) -> Record | None:
        text = self._fetch(case.key)
        if text is None:
            return None
        try:
            return self._read(case, text)
        except Damaged:
            return None

    def _read(self, case: Case, text: object) -> Record:
        try:
            record = Record.from_json(text)
            record.digest  # noqa: B018 (a record whose parts have wrong types has no digest)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Damaged(f"a worker sent no record: {error}") from error
        if (record.key, record.assignment) != (case.key, self.assignment):
            raise Damaged("a worker sent the record of something else")
        return record

    def _blame(self, case: Case, error: BaseException) -> None:
        """Note what went wrong, and queue the case again."""
        student = case.students[0]
        if isinstance(error, KilledWorker):
            case.deaths += error.allowed_failures + 1
            case.reasons.append("the worker died")
            self._say(f"{student}: {error.last_worker.address} died, trying again")
        elif isinstance(error, (WorkerUnfit, BundleMissing, TimeoutError, *CANCELLED)):
            case.losses += 1
            if isinstance(error, BundleMissing):
                self._offer()
            self._last_loss = str(error) or type(error).__name__
            self._say(f"{student}: sent again ({self._last_loss})")
        else:
            case.errors += 1
            case.reasons.append(str(error) or type(error).__name__)
            self._say(f"{student}: {type(error).__name__}: {error}, trying again")
        if case.alone or case.deaths < TRIES - 1:
            self._again.append(case)
        else:
            self._suspects.append(case)

    def _given_up(self, case: Case) -> bool:
        convicted = case.alone and case.deaths >= TRIES and case.reasons[-1] == "the worker died"
        if convicted or case.errors >= TRIES or case.losses >= PATIENCE_WITH_LOSSES:
            (self._again if case in self._again else self._suspects).remove(case)
            return True
        return False

    def _failure(self, case: Case) -> Record:
        """Says nothing of hosts and times, so that it is the same wherever it happens."""
        causes = list(dict.fromkeys(case.reasons)) or ["it got lost on the way each time"]
        tries = max(case.deaths, case.errors, case.losses)
        why = (
            f"tried {tries} times on the cluster without a result: {'; '.join(causes)}. "
            "This is not a zero: nobody has judged the work"
        )
        return Record(case.key, self.assignment, FAILED, why, transient=True)
