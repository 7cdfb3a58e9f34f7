"""Try to break each layer from inside a sandbox: ``python -m grading.sandbox``."""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from grading.course import GradingError
from grading.sandbox.attempts import ATTEMPTS, SHM_KEY, Attempt, Target
from grading.sandbox.enter import spawn
from grading.sandbox.layers import Sandbox, SetupFailed
from grading.sandbox.root import sweep

PATIENCE = 20.0
GONE_AFTER = 2.0
IPC_CREATE, IPC_REMOVE = 0o1000, 0


@dataclass(frozen=True)
class Finding:
    """What came of one attempt."""

    layer: str
    attempt: str
    held: bool
    detail: str


def probe(sandbox: Sandbox, only: Iterable[str] = ()) -> list[Finding]:
    """Make the attempts, each in a sandbox of its own.

    Args:
        sandbox: what is tried.
        only: names of attempts; all of them if none is given.

    Raises:
        GradingError: an attempt is not known, or this process has several threads.
    """
    names = set(only)
    unknown = names - {attempt.name for attempt in ATTEMPTS}
    if unknown:
        raise GradingError(f"there is no attempt {sorted(unknown)[0]!r}")
    chosen = [one for one in ATTEMPTS if not names or one.name in names]
    with _target() as target:
        findings = [_finding(attempt, sandbox, target) for attempt in chosen]
    sweep()
    return findings


@contextlib.contextmanager
def _target() -> Iterator[Target]:
    libc = ctypes.CDLL(None)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        os.chmod(folder, 0o777)
        secret = Path(folder, "secret")
        secret.write_text("not for students")
        secret.chmod(0o644)
        udp.bind(("127.0.0.1", 0))
        key = SHM_KEY + os.getpid()
        shared = libc.shmget(key, 4096, IPC_CREATE | 0o666)
        try:
            yield Target(
                folder,
                str(secret),
                tcp.getsockname()[1],
                udp.getsockname()[1],
                key,
                os.getpid(),
                socket.gethostname(),
            )
        finally:
            libc.shmctl(shared, IPC_REMOVE, None)


def _finding(attempt: Attempt, sandbox: Sandbox, target: Target) -> Finding:
    reading, writing = os.pipe()
    run = partial(_inside, attempt, target, writing)
    limits = attempt.limits
    if "pid" not in sandbox.layers:  # then nothing may start processes, see Sandbox.require
        limits = replace(limits, processes=0)
    try:
        pid = spawn(run, limits, sandbox, [writing])
    except SetupFailed as failure:
        os.close(reading)
        os.close(writing)
        return Finding(attempt.layer, attempt.name, False, f"not tried: {failure}")
    os.close(writing)
    with open(reading, "rb", buffering=0) as pipe:
        answer = _answer(pipe.fileno(), time.monotonic() + PATIENCE)
        status = None if answer else _ended(pid, time.monotonic() + GONE_AFTER)
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        left = not _closed(pipe.fileno(), time.monotonic() + GONE_AFTER)
    if left:
        return Finding(attempt.layer, attempt.name, False, "a process is still there afterwards")
    if answer is None:
        code = None if status is None else os.waitstatus_to_exitcode(status)
        detail = "it went on and on" if code is None else f"the process ended with {code}"
        return Finding(attempt.layer, attempt.name, code is not None and code < 0, detail)
    achieved, refused = answer["achieved"], answer["refused"]
    return Finding(attempt.layer, attempt.name, not achieved, achieved or refused)


def _inside(attempt: Attempt, target: Target, writing: int) -> None:
    achieved, refused = None, "nothing was found"
    try:
        achieved = attempt.run(target)
    except (OSError, MemoryError) as error:
        refused = f"{type(error).__name__}: {error}"
    os.write(writing, json.dumps({"achieved": achieved, "refused": refused}).encode() + b"\n")
    os.close(writing)
    signal.pause()  # until the probe ends it


def _answer(reading: int, until: float) -> dict | None:
    data = b""
    while not data.endswith(b"\n"):
        if not select.select([reading], [], [], max(0, until - time.monotonic()))[0]:
            return None
        part = os.read(reading, 4096)
        if not part:
            return None
        data += part
    return json.loads(data)


def _ended(pid: int, until: float) -> int | None:
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    return None


def _closed(reading: int, until: float) -> bool:
    while select.select([reading], [], [], max(0, until - time.monotonic()))[0]:
        if not os.read(reading, 4096):
            return True
    return False
