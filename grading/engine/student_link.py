"""The student's process as the examiner sees it: it may lie, hang or die, and is started anew."""

import base64
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from grading.border import BorderError, Channel, Closed, TimedOut
from grading.engine.policy import MIB, Limits
from grading.engine.shell import Recorder
from grading.engine.warm import Ending, Family

GRACE = 1.0
"""Seconds between the timer inside the student's process, which it can switch off, and its end."""

SIGNALS = {
    4: "an illegal instruction",
    6: "an abort",
    7: "a bus error",
    8: "a floating-point trap",
    9: "the memory limit or its own kill",
    11: "a crash in native code (segmentation fault)",
    24: "the limit of CPU time",
    25: "the limit of the file size",
    31: "a forbidden system call",
}


@dataclass
class CellResult:
    """How a cell of the student's ended; everything in it was checked."""

    outputs: list[dict] = field(default_factory=list)
    error: str = ""
    where: list[str] = field(default_factory=list)
    lost: str = ""


class LostStudent(Exception):
    """The student's process is gone, or cannot be believed any more."""


class WatchedChannel(Channel):
    """A channel that notices calls which use up their time, whatever the test makes of them."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        super().__init__(sock, limits.message_mib * MIB)
        self.slow_calls = 0
        self._call_seconds = limits.call_seconds

    def receive(self, timeout: float | None = None) -> dict:
        """See :meth:`Channel.receive`."""
        start = time.monotonic()
        try:
            return super().receive(timeout)
        finally:
            # The student's process has often begun before this one waits for it.
            self.slow_calls += time.monotonic() - start >= 0.95 * self._call_seconds


class StudentLink:
    """Runs a student's cells in a process of their own, and starts a new one where that one died.

    Args:
        parent: forks student processes.
        files: what lies in the work folder: the course's files over the student's own.
        limits: see :class:`~grading.engine.policy.Limits`.
        forbidden: every name that is switched off at some time.
        deadline: a ``time.monotonic()`` after which no process is started.
    """

    def __init__(
        self,
        parent: Family,
        files: Mapping[str, bytes],
        limits: Limits,
        forbidden: tuple[str, ...],
        deadline: float,
    ) -> None:
        self.limits, self.deadline = limits, deadline
        self.tried: set[str] = set()
        self.changed: set[str] = set()  # functions that changed what they were given
        self.limits_hit: list[str] = []
        self.cpu_seconds = self.peak_mib = 0.0
        self.channel: WatchedChannel | None = None
        self._parent, self._files, self._forbidden = parent, dict(files), forbidden
        self._pid = 0
        self._number = 0
        self.last_words = ""
        self._done: list[dict] = []
        self._starts = 0

    def ready(self) -> WatchedChannel:
        """The channel to a living process, in which every cell so far has run.

        Raises:
            LostStudent: there is no time or no process any more; says why.
        """
        while self.channel is None:
            if time.monotonic() > self.deadline:
                raise LostStudent(
                    f"the notebook took longer than {self.limits.submission_seconds:g} s in all"
                )
            self._start()
            for message in list(self._done):
                if self._ask(message, message["seconds"]) is None:
                    self._done.remove(message)  # it ran well once and kills now: leave it out
                    break
        return self.channel

    def run_cell(self, source: str, name: str, forbidden: tuple[str, ...] = ()) -> CellResult:
        """Run one cell. One that kills or blocks the process is left out from then on."""
        message = {
            "op": "run_cell",
            "source": source,
            "name": name,
            "forbidden": list(forbidden),
            "seconds": self.limits.cell_seconds,
        }
        try:
            self.ready()
        except LostStudent as error:
            return CellResult(lost=str(error))
        answer = self._ask(message, self.limits.cell_seconds)
        if answer is None:
            return CellResult(lost=f"this cell did not end: {self.last_words}")
        self._done.append(message)
        return self._checked(answer)

    def seal(self) -> None:
        """From now on forbidden libraries cannot be imported."""
        if self._forbidden and self.channel is not None:
            message = {"op": "seal", "seconds": self.limits.cell_seconds}
            if self._ask(message, self.limits.cell_seconds) is not None:
                self._done.append(message)

    def lose(self, why: str = "") -> str:
        """End the process; says how it ended."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self._pid:
            ending = self._parent.end(self._pid)
            self._pid = 0
            self.cpu_seconds += ending.cpu_seconds
            self.peak_mib = max(self.peak_mib, ending.peak_mib)
            why = why or self._why(ending)
        if why and why not in self.limits_hit:
            self.limits_hit.append(why)
        self.last_words = why
        return why

    def close(self) -> None:
        """End the process for good."""
        hit = list(self.limits_hit)
        self.lose("closed")
        self.limits_hit = hit

    def _start(self) -> None:
        self._starts += 1
        ours, theirs = socket.socketpair()
        limits = asdict(self.limits) | {"forbidden": list(self._forbidden)}
        try:
            self._pid = self._parent.spawn(theirs, limits)
        except RuntimeError as error:
            ours.close()
            raise LostStudent(str(error)) from error
        finally:
            theirs.close()
        self.channel = WatchedChannel(ours, self.limits)
        for path, data in self._files.items():
            if self._ask({"op": "write_file", "path": path}, 10.0, data) is None:
                raise LostStudent(f"the work folder cannot be filled: {self.last_words}")

    def _ask(self, message: dict, seconds: float, tail: bytes = b"") -> dict | None:
        """Send a request of the engine's and wait; None if the process is lost over it."""
        self._number += 1
        try:
            self.channel.send({**message, "n": self._number}, [tail] if tail else (), seconds)
            answer = self.channel.receive(seconds + GRACE)
            if answer.get("n") != self._number:
                raise BorderError("an answer to nothing")
        except TimedOut:
            self.lose(f"the time limit of {seconds:g} s")
            return None
        except Closed:
            self.lose()
            return None
        except BorderError:
            self.lose("a message that is none")
            return None
        return answer

    def _why(self, ending: Ending) -> str:
        if ending.signal:
            return f"the process ended by {SIGNALS.get(ending.signal, f'signal {ending.signal}')}"
        return "the code ended its own process"

    def _checked(self, answer: dict) -> CellResult:
        """The answer, as far as it is what an answer may be."""
        recorder = Recorder(self.limits.output_kib * 1024)
        outputs = answer.get("outputs")
        for output in outputs[:10_000] if isinstance(outputs, list) else ():
            if not isinstance(output, dict):
                continue
            if output.get("output_type") == "stream" and isinstance(output.get("text"), str):
                name = "stderr" if output.get("name") == "stderr" else "stdout"
                recorder.text(name, output["text"])
            elif isinstance(output.get("data"), dict):
                kind = output.get("output_type")
                shown = {k: v for k, v in output["data"].items() if _is_shown(k, v)}
                is_result = kind == "execute_result"
                recorder.data("execute_result" if is_result else "display_data", shown)
        result = CellResult(recorder.outputs)
        error = answer.get("error")
        if isinstance(error, dict):
            name, text = (_short(error.get(key), 4000) for key in ("ename", "evalue"))
            if name == "OutOfTime":
                result.error = f"this cell took longer than {self.limits.cell_seconds:g} s"
                self.note_limit(f"the time limit of {self.limits.cell_seconds:g} s for a cell")
            else:
                result.error = f"{name}: {text}".removesuffix(": ")
            where = error.get("where")
            lines = where[:60] if isinstance(where, list) else []
            result.where = [_short(line, 300) for line in lines]
        self.note_tried(answer.get("tried"))
        return result

    def note_tried(self, tried: object) -> None:
        """Remember what the student's process says that it was refused."""
        for what in tried[:20] if isinstance(tried, list) else ():
            if isinstance(what, str) and len(what) < 80:
                self.tried.add(what)

    def note_limit(self, what: str) -> None:
        if what not in self.limits_hit:
            self.limits_hit.append(what)


def _short(text: object, size: int) -> str:
    return text[:size].encode("utf-8", "replace").decode() if isinstance(text, str) else ""


def _is_shown(kind: object, content: object) -> bool:
    if not isinstance(content, str):
        return False
    if kind == "text/plain":
        return True
    magic = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}.get(kind)
    try:
        return bool(magic) and base64.b64decode(content, validate=False).startswith(magic)
    except ValueError:
        return False
