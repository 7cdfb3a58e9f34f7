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
from dataclasses import dataclass

import msgpack

MOST = 1 << 16


@dataclass(frozen=True)
class Ending:
    """How a student process ended: by which signal or exit code, and what it used."""

    signal: int
    code: int
    cpu_seconds: float
    peak_mib: float


class WarmParent:
    """What an examiner asks for student processes (the other end of :func:`serve`).

    Args:
        sock: one end of :func:`pair`.
        processor: the number of the one on which they run.
    """

    def __init__(self, sock: socket.socket, processor: int = 0) -> None:
        self._socket, self._processor = sock, processor

    def spawn(self, theirs: socket.socket, limits: dict) -> int:
        """A new student process that serves the socket ``theirs``; its process id."""
        request = msgpack.packb({"op": "spawn", "limits": limits, "processor": self._processor})
        socket.send_fds(self._socket, [request], [theirs.fileno()])
        answer = self._answer()
        if "error" in answer:
            raise RuntimeError(f"no student process: {answer['error']}")
        return answer["pid"]

    def end(self, pid: int) -> Ending:
        """Kill a student process, with everything that it started."""
        self._socket.send(msgpack.packb({"op": "end", "pid": pid}))
        return Ending(**self._answer())

    def end_all(self) -> None:
        """Kill the student processes that were spawned over this socket."""
        self._socket.send(msgpack.packb({"op": "end_all"}))
        self._answer()

    def _answer(self) -> dict:
        data = self._socket.recv(MOST)
        if not data:
            raise RuntimeError("the parent of the student processes has ended")
        return msgpack.unpackb(data)


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends for :class:`WarmParent` and :func:`serve`; a message is received whole."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def serve(sockets: Sequence[socket.socket], start) -> None:
    """Fork student processes on request, until nobody can ask any more.

    Args:
        sockets: one for each worker.
        start: called with the descriptor and the limits; returns the new process id.
    """
    children: dict[socket.socket, set[int]] = {sock: set() for sock in sockets}
    processors = sorted(os.sched_getaffinity(0))
    while children:
        ready, _, _ = select.select(list(children), [], [])
        for sock in ready:
            data, fds, _, _ = socket.recv_fds(sock, MOST, 4)
            if not data:
                _end_all(children.pop(sock))
                sock.close()
                continue
            request = msgpack.unpackb(data)
            if "processor" in request:  # the child inherits it
                os.sched_setaffinity(0, {processors[request["processor"] % len(processors)]})
            sock.send(msgpack.packb(_answer(request, fds, children[sock], start)))
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
