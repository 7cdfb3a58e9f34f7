"""Forking a student process, with a sandbox around it or without."""

import os
import signal
import socket
import tempfile
import traceback

from grading.engine.process import call_it, die_with_parent
from grading.engine.student import Student


def sandboxed_starter(shell):
    """A function that forks a student process in a sandbox, and the names of its layers.

    Raises:
        GradingError: this machine cannot give one; says what to do.
    """
    from grading.sandbox import Sandbox, SandboxLimits, spawn

    sandbox = Sandbox.best()
    sandbox.require()

    def start(fd: int, limits: dict) -> int:
        allowed = SandboxLimits(
            cpu_seconds=limits["cpu_seconds"],
            memory_mib=limits["memory_mib"],
            processes=limits["processes"],
            open_files=limits["open_files"],
            file_mib=limits["file_mib"],
            disk_mib=limits["file_mib"],
        )
        return spawn(
            lambda: _serve(fd, shell, limits),
            allowed,
            sandbox,
            [fd, 2] if os.environ.get("DEBUG_S") else [fd],
        )

    return start, list(sandbox.layers)


def plain_starter(shell):
    """The same without a sandbox: for code that you trust."""

    def start(fd: int, limits: dict) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            die_with_parent()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with tempfile.TemporaryDirectory(prefix="student-") as folder:
                os.chdir(folder)
                _serve(fd, shell, limits)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    return start, ["none"]


def _serve(fd: int, shell, limits: dict) -> None:
    import sys

    call_it("grading-student")
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True
    Student(socket.socket(fileno=os.dup(fd)), shell, limits).serve()
