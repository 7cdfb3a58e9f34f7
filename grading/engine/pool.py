"""The engine as the coordinator sees it: submissions go in, records come out as they are done."""

import contextlib
import os
import pickle
import selectors
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgpack

from grading.border import BorderError, Channel
from grading.course import GradingError
from grading.engine.bundle import Bundle, libraries_of
from grading.engine.policy import MIB
from grading.engine.record import FAILED, Record, record_key, submission_digest

TRIES = 3
START_SECONDS = 120.0
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""All that student processes could read of an environment: nothing of the coordinator's own."""


@dataclass(frozen=True)
class Submission:
    """What a student handed in: relative path to content."""

    student: str
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """A name for exactly these files."""
        return submission_digest(self.files)


@dataclass
class _Seat:
    """One worker, and what it is at work on."""

    number: int
    channel: Channel
    sock: socket.socket
    task: "_Task | None" = None


@dataclass
class _Task:
    submission: Submission
    key: str
    tries: int = 0


@dataclass
class Engine:
    """Grades submissions on this machine, each in a sandbox of its own.

    Use it in a ``with`` statement. The order of results is the order in which they are done.

    Args:
        workers: how many submissions at a time; None for the number of processors.
        sandbox: False runs the submissions' code unprotected: for code that you trust.
        environment: digest of the installation, a part of each record's key.

    Its process starts with the first assignment, and imports what that one needs once.
    """

    workers: int | None = None
    sandbox: bool = True
    environment: str = ""
    layers: list[str] = field(default_factory=list, init=False)

    def __enter__(self) -> "Engine":
        self._number = self.workers or len(os.sched_getaffinity(0))
        self._log = tempfile.TemporaryFile()
        self._home = tempfile.TemporaryDirectory(prefix="grading-home-")
        self._bundle: Bundle | None = None
        self._process: subprocess.Popen | None = None
        self._seats: list[_Seat] = []
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()
        self._home.cleanup()
        self._log.close()

    def key(self, bundle: Bundle, submission: Submission) -> str:
        """Where the record of this submission is kept."""
        return record_key(submission.digest, bundle.digest, self.environment)

    def grade(
        self, bundle: Bundle, submissions: Iterable[Submission]
    ) -> Iterator[tuple[str, Record]]:
        """Grade submissions; yields (student, record), each as soon as it is done.

        A submission over which its worker dies three times gets a failed record.

        Raises:
            GradingError: this machine cannot give a sandbox; says what to do.
        """
        digest = bundle.digest
        new = self._bundle is None or self._bundle.digest != digest
        self._bundle = bundle
        if self._process is None:
            self._start()
        for seat in self._seats if new else ():
            self._send_bundle(seat)
        waiting: list[_Task] = []
        coming = iter(submissions)
        while True:
            for seat in self._seats:
                if seat.task is None and (task := self._next(waiting, coming, digest)):
                    seat.task = task
                    self._send_task(seat)
            if not any(seat.task for seat in self._seats):
                return
            for seat in self._ready():
                if not any(seat is one for one in self._seats):
                    continue  # the engine was started anew meanwhile, and another seat has its task
                task, seat.task = seat.task, None
                try:
                    message = seat.channel.receive(None)
                    record = Record.from_json(bytes(message["tail"]).decode())
                except (BorderError, ValueError, KeyError):
                    self._replace(seat)
                    if task is None:
                        continue
                    task.tries += 1
                    if task.tries < TRIES:
                        waiting.append(task)
                        continue
                    why = f"the grader itself stopped {TRIES} times on this submission"
                    record = Record(task.key, bundle.assignment, FAILED, why, transient=True)
                if task is not None:
                    yield task.submission.student, record

    def _next(
        self, waiting: list[_Task], coming: Iterator[Submission], digest: str
    ) -> _Task | None:
        if waiting:
            return waiting.pop(0)
        submission = next(coming, None)
        if submission is None:
            return None
        return _Task(submission, record_key(submission.digest, digest, self.environment))

    def _ready(self) -> list[_Seat]:
        with selectors.DefaultSelector() as selector:
            for seat in self._seats:
                if seat.task is not None:
                    selector.register(seat.sock, selectors.EVENT_READ, seat)
            return [key.data for key, _ in selector.select()]

    def _send_bundle(self, seat: _Seat) -> None:
        data = pickle.dumps(self._bundle)
        with contextlib.suppress(BorderError):  # a dead worker shows when it should answer
            seat.channel.send({"op": "bundle"}, [data])

    def _send_task(self, seat: _Seat) -> None:
        message = {"op": "grade", "key": seat.task.key}
        with contextlib.suppress(BorderError):
            seat.channel.send(message, [pickle.dumps(dict(seat.task.submission.files))])

    # ------------------------------------------------------------ processes

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pairs = [socket.socketpair() for _ in range(self._number)]
        fds = [theirs.fileno(), *(worker.fileno() for _, worker in pairs)]
        command = [sys.executable, "-m", "grading.engine", "--control", str(fds[0])]
        command += ["--workers", *map(str, fds[1:])]
        command += [] if self.sandbox else ["--no-sandbox"]
        command += ["--preload", *libraries_of(self._bundle)]
        kept = {
            name: os.environ[name]
            for name in ("PATH", "VIRTUAL_ENV", "DEBUG_S")
            if name in os.environ
        }
        home = {"HOME": self._home.name, "IPYTHONDIR": self._home.name, "MPLCONFIGDIR": _mpl()}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**kept, **ENVIRONMENT, **home},
            pass_fds=fds,
            start_new_session=True,  # Ctrl-C is for the coordinator, which then ends this
            cwd=Path(__file__).resolve().parents[2],
        )
        theirs.close()
        for _, worker in pairs:
            worker.close()
        self._control = ours
        self._seats = [
            _Seat(number, Channel(sock, 1024 * MIB), sock) for number, (sock, _) in enumerate(pairs)
        ]
        ours.settimeout(START_SECONDS)
        try:
            answer = msgpack.unpackb(ours.recv(1 << 16) or b"\x80")
        except OSError:
            answer = {}
        if "error" in answer:
            raise GradingError(answer["error"])
        if "layers" not in answer:
            raise GradingError(f"the engine did not start:\n{self._last_lines()}")
        self.layers = answer["layers"]

    def _replace(self, seat: _Seat) -> None:
        """A new worker for one that died; a new engine if that died too."""
        ours, theirs = socket.socketpair()
        seat.sock.close()
        try:
            request = msgpack.packb({"number": seat.number})
            socket.send_fds(self._control, [request], [theirs.fileno()])
            if not self._control.recv(1 << 16):  # "replaced"
                raise OSError("the engine has ended")
        except OSError:
            ours.close()
            theirs.close()
            lost = [one.task for one in self._seats]
            self._stop()
            self._start()
            for one, task in zip(self._seats, lost, strict=True):
                one.task = task
                self._send_bundle(one)
                if task is not None:
                    self._send_task(one)
            return
        theirs.close()
        seat.sock, seat.channel = ours, Channel(ours, 1024 * MIB)
        self._send_bundle(seat)

    def _stop(self) -> None:
        for seat in self._seats:
            seat.sock.close()
        process, self._process = self._process, None
        if process is not None:
            self._control.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _last_lines(self) -> str:
        self._log.seek(0)
        return "\n".join(self._log.read().decode("utf-8", "replace").splitlines()[-12:])


def _mpl() -> str:
    """Matplotlib's font cache: without a kept one each start searches all fonts."""
    folder = Path(tempfile.gettempdir()) / f"grading-matplotlib-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return str(folder)
