"""The student's process: it runs cells and answers calls, and is trusted with nothing."""

import builtins
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator

from grading.border import BorderError, Channel, Servant
from grading.engine.shell import error_text, run_cell, traceback_lines
from grading.shortcuts import Blocker

WATCHED = {
    "socket.connect": "a network connection",
    "socket.sendto": "a network connection",
    "socket.bind": "a network connection",
    "socket.getaddrinfo": "a network connection",
    "subprocess.Popen": "another program",
    "os.system": "another program",
    "os.exec": "another program",
    "os.posix_spawn": "another program",
    "os.fork": "another process",
    "os.forkpty": "another process",
    "os.kill": "a signal to a process",
    "ctypes.dlopen": "native code (ctypes)",
}


class OutOfTime(BaseException):
    """The time for this cell or call is over. Not an Exception: a loop must not swallow it."""


class Student:
    """Serves one examiner over one socket.

    Args:
        sock: the only way out of the sandbox.
        shell: an IPython shell, made before the fork.
        limits: as a dictionary, see :class:`grading.engine.policy.Limits`.
    """

    def __init__(self, sock: socket.socket, shell, limits: dict) -> None:
        self.limits = limits
        self.shell = shell
        self.channel = Channel(sock, int(limits["message_mib"] * (1 << 20)))
        self.blocker = Blocker(limits.get("forbidden", ()))
        self.servant = Servant(self.channel, shell.user_ns, self._prepared)
        self.tried: list[str] = []

    def serve(self) -> None:
        """Until the examiner hangs up."""
        signal.signal(signal.SIGALRM, self._out_of_time)
        builtins.input = _no_input
        self.shell.user_ns["input"] = _no_input
        sys.addaudithook(self._watch)
        seed_generators()
        with contextlib.suppress(BorderError):
            while True:
                message = self.channel.receive(None)
                answer = self._own(message)
                if answer is None:
                    self.servant.handle(message)
                else:
                    self.channel.send({"n": message["n"], **answer})

    def _own(self, message: dict) -> dict | None:
        if message["op"] == "run_cell":
            return self._run_cell(message)
        if message["op"] == "write_file":
            return self._write_file(message["path"], message.get("tail", b""))
        if message["op"] == "seal":
            self.blocker.seal_modules()
            return {}
        return None

    def _run_cell(self, message: dict) -> dict:
        context = {"forbidden": message["forbidden"], "seconds": message["seconds"]}
        try:
            with self._prepared(context):
                limit = int(self.limits["output_kib"] * 1024)
                outcome = run_cell(self.shell, message["source"], message["name"], limit)
        except OutOfTime as error:  # between the cell's last statement and the timer's end
            outcome = None
            late = error
        problem = late if outcome is None else outcome.error
        answer = {"outputs": outcome.outputs if outcome else [], "error": None}
        if problem is not None:
            name, text = error_text(problem)
            answer["error"] = {"ename": name, "evalue": text, "where": traceback_lines(problem)}
        answer["tried"], self.tried = self.tried[:20], []
        return answer

    def _write_file(self, path: str, data: bytes) -> dict:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return {}

    @contextlib.contextmanager
    def _prepared(self, context: dict | None) -> Iterator[None]:
        """Around every piece of the student's code: the clock runs, forbidden names are off."""
        context = context or {}
        signal.setitimer(signal.ITIMER_REAL, context.get("seconds", self.limits["call_seconds"]))
        try:
            with self.blocker.active(context.get("forbidden", ())):
                yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _out_of_time(self, _number, _frame) -> None:
        raise OutOfTime("the time limit")

    def _watch(self, event: str, _arguments: tuple) -> None:
        if event in WATCHED and len(self.tried) < 20 and WATCHED[event] not in self.tried:
            self.tried.append(WATCHED[event])


def _no_input(prompt: object = "") -> str:
    raise RuntimeError("input() is not available while grading: nobody is there to type")


def seed_generators(seed: int = 0) -> None:
    """The same start for every process: the same submission gets the same marks."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
