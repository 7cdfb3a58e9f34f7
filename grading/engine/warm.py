"""The warm parent: it has imported the libraries, knows nothing else, and forks student processes.

It never sees an assignment, a submission or a mark: whatever a student process finds in the memory
that it inherits is the libraries'.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgpack

MOST = 1 << 16
ENDED = b"ended"


@dataclass(frozen=True)
class Ending:
    """How a student process ended: by which signal or exit code, and what it used."""

    signal: int
    code: int
    cpu_seconds: float
    peak_mib: float


class WarmParent:
    """Where a worker asks for student processes (the other end of :func:`serve`).

    Args:
        sock: one end of :func:`pair`.
        processor: the number of the one on which they run.
    """

    def __init__(self, sock: socket.socket, processor: int = 0) -> None:
        self._socket, self._processor = sock, processor

    def open(self) -> "Family":
        """A line of one's own to the warm parent: its answers can reach nobody else.

        Raises:
            WarmParentEnded: nobody is there.
        """
        ours, theirs = pair()
        request = msgpack.packb({"processor": self._processor})
        with theirs, _heard():
            socket.send_fds(self._socket, [request], [theirs.fileno()])
        return Family(ours)


class Family:
    """The student processes of one notebook. They end when the last holder of this line ends."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def spawn(self, theirs: socket.socket, limits: dict) -> int:
        """A new student process that serves the socket ``theirs``; its process id."""
        request = msgpack.packb({"op": "spawn", "limits": limits})
        with _heard():
            socket.send_fds(self._socket, [request], [theirs.fileno()])
        answer = self._answer()
        if "error" in answer:
            raise RuntimeError(f"no student process: {answer['error']}")
        return answer["pid"]

    def end(self, pid: int) -> Ending:
        """Kill a student process, with everything that it started."""
        return Ending(**self._ask({"op": "end", "pid": pid}))

    def end_all(self) -> None:
        """Kill those that are left, and wait for their end."""
        last = b""
        with self._socket, _heard():
            self._socket.shutdown(socket.SHUT_WR)
            while data := self._socket.recv(MOST):  # also what the examiner no longer read
                last = data
        if last != ENDED:
            raise WarmParentEnded

    def _ask(self, request: dict) -> dict:
        with _heard():
            self._socket.send(msgpack.packb(request))
        return self._answer()

    def _answer(self) -> dict:
        with _heard():
            data = self._socket.recv(MOST)
        if not data:
            raise WarmParentEnded
        return msgpack.unpackb(data)


class WarmParentEnded(RuntimeError):
    """The process that forks student processes is gone."""

    def __init__(self) -> None:
        super().__init__("the parent of the student processes has ended")


@contextlib.contextmanager
def _heard():
    try:
        yield
    except ConnectionError as error:
        raise WarmParentEnded from error


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends for :class:`WarmParent` and :func:`serve`; a message is received whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


@dataclass
class _Line:
    """One family's end here: on which processor its children run, and which are alive."""

    processor: int
    children: set[int] = field(default_factory=set)


def serve(sockets: Sequence[socket.socket], start) -> None:
    """Fork student processes on request, until nobody can ask any more.

    Args:
        sockets: one for each worker.
        start: called with the descriptor and the limits; returns the new process id.
    """
    lines: dict[socket.socket, _Line | None] = dict.fromkeys(sockets)
    processors = sorted(os.sched_getaffinity(0))
    while lines:
        ready, _, _ = select.select(list(lines), [], [])
        for sock in ready:
            try:
                data, fds, _, _ = socket.recv_fds(sock, MOST, 4)
            except ConnectionResetError:  # whoever was there died with an answer unread
                data = b""
            if not data:
                with sock, contextlib.suppress(OSError):
                    if line := lines.pop(sock):
                        _end_all(line.children)
                        sock.send(ENDED)
                continue
            request, line = msgpack.unpackb(data), lines[sock]
            if line is None:  # a worker opens a line
                lines[socket.socket(fileno=fds[0])] = _Line(request["processor"])
                continue
            os.sched_setaffinity(0, {processors[line.processor % len(processors)]})  # inherited
            answer = _answer(request, fds, line.children, start)
            with contextlib.suppress(OSError):  # whoever asked is gone: the next turn sees it
                sock.send(msgpack.packb(answer))
            for fd in fds:
                os.close(fd)


def _answer(request: dict, fds: list[int], mine: set[int], start) -> dict:
    if request["op"] == "spawn":
        try:
            pid = start(fds[0], request["limits"])
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
        mine.add(pid)
        return {"pid": pid}
    if request["op"] == "end":
        mine.remove(request["pid"])
        return vars(_end(request["pid"]))
    _end_all(mine)
    return {}


def _end(pid: int) -> Ending:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # no effect on one that is already dead: its own end stands
    _, status, used = os.wait4(pid, 0)
    return Ending(
        os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024,
    )


def _end_all(pids: set[int]) -> None:
    while pids:
        _end(pids.pop())
