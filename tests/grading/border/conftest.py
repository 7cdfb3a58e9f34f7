"""A student's process forked beside the test, without a sandbox."""

import contextlib
import os
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator

import pytest

from grading.border import Border, BorderError, Channel, Servant

MAX_BYTES = 64 << 20


def _serve(sock: socket.socket, source: str, prepare: object) -> None:
    namespace = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(source), "<cell student>", "exec"), namespace)
    channel = Channel(sock, MAX_BYTES)
    servant = Servant(channel, namespace, prepare)
    with contextlib.suppress(BorderError):
        while True:
            servant.handle(channel.receive(None))


class Student:
    """One forked process; ``namespace`` is what test code of an instructor sees."""

    def __init__(self, source: str, names: str, seconds: float, prepare: object, options: dict):
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                ours.close()
                _serve(theirs, source, prepare)
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        self.channel = Channel(ours, MAX_BYTES)
        self.border = Border(self.channel, seconds, **options)
        self.names = names.split()
        self.namespace: dict = {"__name__": "__main__"}
        self.border.bind(self.names, self.namespace)

    def run(self, test: str) -> dict:
        """Run test code as an instructor would write it."""
        exec(compile(textwrap.dedent(test), "<cell test>", "exec"), self.namespace)
        return self.namespace

    def rebind(self) -> None:
        """As before each test cell."""
        self.border.bind(self.names, self.namespace)

    def end(self) -> None:
        """End the process and wait for it."""
        self.channel.close()
        timer = threading.Timer(20, os.kill, (self.pid, 9))
        timer.start()
        os.waitpid(self.pid, 0)
        timer.cancel()


@pytest.fixture
def student() -> Iterator[Callable[..., Student]]:
    """Start a student's process from source; all are ended after the test."""
    started: list[Student] = []

    def start(source, names, seconds=10.0, prepare=None, **options) -> Student:
        started.append(Student(source, names, seconds, prepare, options))
        return started[-1]

    yield start
    for one in started:
        one.end()
