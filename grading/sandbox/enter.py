"""Start a sandboxed process: fork it from a warm parent, and let it lock itself in."""

import contextlib
import gc
import locale
import os
import pickle
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from grading.course import GradingError
from grading.sandbox import kernel, landlock, root, seccomp
from grading.sandbox.layers import Sandbox, SetupFailed
from grading.sandbox.limits import SandboxLimits, apply_rlimits, mapped_bytes
from grading.sandbox.root import NOBODY

ENVIRONMENT = {
    "HOME": root.WORK,
    "LANG": "C.UTF-8",
    "LOGNAME": "student",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TZ": "UTC",
    "USER": "student",
}
NAMESPACES = {
    "pid": kernel.CLONE_NEWPID,
    "files": kernel.CLONE_NEWNS,
    "net": kernel.CLONE_NEWNET,
    "ipc": kernel.CLONE_NEWIPC,
    "uts": kernel.CLONE_NEWUTS,
}


def spawn(
    run: Callable[[], None],
    limits: SandboxLimits,
    sandbox: Sandbox,
    keep_fds: Sequence[int] = (),
) -> int:
    """Fork a process that enters the sandbox and then calls ``run``; return its id at once inside.

    Killing the process that is returned kills everything that it started. It exits with 0 when
    ``run`` returns and with 1 when ``run`` raises. The caller waits for it (``os.waitpid``). The
    caller must have one thread only: others would be missing in the new process, with their locks.

    What the caller knows, the new process knows: its memory is a copy. Objects are to be kept out
    of the caller; its environment and arguments should be clean when it starts, because the first
    page of its stack holds them for good (see :func:`clean_environment`).

    Args:
        run: called inside.
        limits: what it may use up.
        sandbox: the layers, see :meth:`Sandbox.best`.
        keep_fds: the only file descriptors that stay open; 0, 1 and 2 are ``/dev/null`` otherwise.

    Raises:
        GradingError: the caller has several threads.
        SetupFailed: a layer could not be entered; ``run`` was not called.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise GradingError("a sandbox can only be forked from a process with one thread")
    if "files" not in sandbox.layers:
        root.sweep()
    # Made here once, not in each child.
    sandbox.layout.steps()
    if "seccomp" in sandbox.layers and "pid" in sandbox.layers:
        seccomp.program(_rules(limits, sandbox), pid=1)
    ids = (NOBODY, NOBODY) if sandbox.as_root else (os.getuid(), os.getgid())
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid = _fork(sandbox)
        if pid == 0:
            _child(run, limits, sandbox, keep_fds, ids, writing)
    finally:
        os.close(writing)
        if sys.exc_info()[0]:
            os.close(reading)
    with open(reading, "rb") as pipe:
        report = pipe.read()
    if report == b"ready":
        return pid
    os.waitpid(pid, 0)
    layer, why = pickle.loads(report) if report else ("start", "the process ended")
    raise SetupFailed(layer, why)


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment to start a warm parent with: nothing in it is anybody's secret."""
    kept = ("PATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "LANG", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in kept if name in os.environ} | extra


def _flags(sandbox: Sandbox) -> int:
    flags = 0
    for layer, flag in NAMESPACES.items():
        if layer in sandbox.layers:
            flags |= flag
    if flags and not sandbox.as_root:
        flags |= kernel.CLONE_NEWUSER
    return flags


def _fork(sandbox: Sandbox) -> int:
    try:
        return kernel.clone(_flags(sandbox))
    except OSError as error:
        raise SetupFailed("namespaces", str(error)) from error


def _child(
    run: Callable[[], None],
    limits: SandboxLimits,
    sandbox: Sandbox,
    keep_fds: Sequence[int],
    ids: tuple[int, int],
    report: int,
) -> None:
    """Never returns."""
    status = 1
    try:
        gc.freeze()  # a collection would copy the parent's pages
        try:
            enter(limits, sandbox, {*keep_fds, report}, ids)
        except SetupFailed as failure:
            os.write(report, pickle.dumps((failure.layer, failure.why)))
            os._exit(status)
        os.write(report, b"ready")
        os.close(report)
        run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def enter(
    limits: SandboxLimits, sandbox: Sandbox, keep_fds: set[int], ids: tuple[int, int]
) -> None:
    """Lock this process in. It must have been cloned with the namespaces of the sandbox.

    Args:
        limits: what it may use up.
        sandbox: the layers.
        keep_fds: the files that stay open.
        ids: who this process is, or will be, as the machine sees it: user and group.

    Raises:
        SetupFailed: a layer could not be entered; the process must end.
    """
    mapped = mapped_bytes()
    work = root.WORK
    with _step("start"):
        os.setsid()
        os.umask(0o022)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
        own = os.open("/proc/self", os.O_PATH)
    if not sandbox.as_root and "user" in sandbox.layers:
        with _step("user"):
            _map_user(own, ids)
    with _step("files"):
        if "files" in sandbox.layers:
            root.enter_root(sandbox.layout, limits.disk_mib, NOBODY)
        else:
            work = root.enter_plain_folder(ids[0] if sandbox.as_root else None)
    if "uts" in sandbox.layers:
        with _step("uts"):
            socket.sethostname("grading")
    if sandbox.as_root:
        with _step("nobody"):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.stat(os.__file__)
        if "user" in sandbox.layers:
            with _step("user"):
                kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else the maps are still root's
                kernel.unshare(kernel.CLONE_NEWUSER)
                _map_user(own, ids)
    with _step("start"):
        os.umask(0o077)
        _only_files(keep_fds)
        _clean_python(work)
        if "rlimits" in sandbox.layers:
            apply_rlimits(limits, mapped, own_count="user" in sandbox.layers)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if "landlock" in sandbox.layers:
        with _step("landlock"):
            writable = [*root.writable(work), *sandbox.layout.writable]
            landlock.restrict([*sandbox.layout.readable, *root.TEXTS], writable)
    if "seccomp" in sandbox.layers:
        with _step("seccomp"):
            seccomp.install(_rules(limits, sandbox))


def _rules(limits: SandboxLimits, sandbox: Sandbox) -> seccomp.Rules:
    return seccomp.Rules(
        fork=limits.processes > 0,
        sockets=sandbox.sockets,
        own_process_only="pid" not in sandbox.layers,
        own_files_only="files" not in sandbox.layers,
    )


@contextlib.contextmanager
def _step(layer: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise SetupFailed(layer, str(error)) from error


def _map_user(own: int, ids: tuple[int, int]) -> None:
    """In the new user namespace, be nobody: a user without rights, whoever it is outside."""
    user, group = ids
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {user} 1"),
        ("gid_map", f"{NOBODY} {group} 1"),
    ):
        handle = os.open(name, os.O_WRONLY, dir_fd=own)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def _only_files(keep: set[int]) -> None:
    """Close all files but these; standard input and outputs are null."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in {0, 1, 2} - keep:
        os.dup2(null, number)
    kernel.close_others({0, 1, 2} | keep)


def _clean_python(work: str) -> None:
    """Forget what the parent's Python knew of the machine."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT | {"HOME": work})
    time.tzset()
    locale.setlocale(locale.LC_ALL, ENVIRONMENT["LANG"])
    sys.argv, sys.orig_argv = ["student"], ["student"]
    gone = [path for path in sys.path if not path or not os.path.exists(path)]
    for path in gone:
        sys.path.remove(path)
        sys.path_importer_cache.pop(path, None)
    tempfile.tempdir = None
