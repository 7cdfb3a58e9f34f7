"""The engine's process: ``python -m grading.engine`` is started by :class:`~.pool.Engine`.

It imports the libraries once and forks: first the warm parent of the student processes, then the
workers. It never sees an assignment itself, so that it can fork further workers.
"""

import argparse
import contextlib
import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import sys
import traceback

import msgpack

import grading.border
import grading.engine
from grading import aliases
from grading.engine import warm
from grading.engine.process import call_it, die_with_parent, stay_on, use_huge_pages


def main() -> int:
    """Start everything; end when the coordinator hangs up."""
    options = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator decides
    control = socket.socket(fileno=options.control)
    shell = _load_libraries(options.preload)
    try:
        start, layers = _starter(shell, options.no_sandbox)
    except Exception as error:
        control.send(msgpack.packb({"error": str(error)}))
        return 1
    gc.collect()
    gc.freeze()  # forks share these pages for as long as nobody touches them
    use_huge_pages()
    pairs = [warm.pair() for _ in options.workers]
    call_it("grading-engine")
    forker = os.fork()
    if not forker:
        die_with_parent()
        call_it("grading-warm")
        control.close()
        for fd in options.workers:
            os.close(fd)
        for ours, _ in pairs:
            ours.close()
        warm.serve([theirs for _, theirs in pairs], start)
        os._exit(0)
    for _, theirs in pairs:
        theirs.close()
    pids = {}
    for number, fd in enumerate(options.workers):
        later = options.workers[number + 1 :]  # whoever holds them hides that a worker has died
        pids[number] = _fork_worker(fd, shell, pairs, number, [control, *later])
    control.send(msgpack.packb({"layers": layers}))
    ended = os.pidfd_open(forker)
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            return 1  # killed: nothing works without it; the coordinator starts everything anew
        data, fds, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not data:
            return 0  # the workers and the warm parent die with this process
        number = msgpack.unpackb(data)["number"]
        os.kill(pids[number], signal.SIGKILL)
        os.waitpid(pids[number], 0)
        pids[number] = _fork_worker(fds[0], shell, pairs, number, [control, ended])
        control.send(msgpack.packb({"replaced": number}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grading.engine", description=__doc__)
    parser.add_argument("--control", type=int, required=True, help="socket to the coordinator")
    parser.add_argument("--workers", type=int, nargs="+", required=True, help="a socket each")
    parser.add_argument("--no-sandbox", action="store_true")
    parser.add_argument("--preload", nargs="*", default=[], help="libraries to import once")
    return parser


def _load_libraries(names: list[str]):
    """Import what submissions use; nothing here may start a thread."""
    from grading.engine.shell import make_shell, show_figures_inline
    from grading.engine.student import seed_generators

    try:
        import torch

        torch.set_num_threads(1)  # before any operation: a fork must find no sleeping threads
        leaf = torch.ones(2, 2, requires_grad=True)
        torch.autograd.grad(leaf @ leaf, leaf, torch.ones(2, 2))  # imports much, once
    except ImportError:
        pass
    seed_generators()  # imports numpy.random
    shell = make_shell()
    with contextlib.suppress(ImportError):
        show_figures_inline(shell)
    for name in names:
        with contextlib.suppress(Exception):  # then it fails where it is used, and says so
            importlib.import_module(name)
        if len(os.listdir("/proc/self/task")) > 1:  # a fork would lose its threads: begin again
            later = [word for word in sys.orig_argv if word != name]
            os.execv(sys.executable, later)
    aliases.torch_names()  # what forbidden names are looked up in
    for package in (grading.border, grading.engine):  # a sandbox cannot read our own files
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", ".pool")):
                importlib.import_module(module.name)
    return shell


def _starter(shell, no_sandbox: bool):
    """What forks a student process, and the names of the layers around it."""
    from grading.engine.start import plain_starter, sandboxed_starter

    return plain_starter(shell) if no_sandbox else sandboxed_starter(shell)


def _fork_worker(fd: int, shell, pairs, number: int, others: list) -> int:
    pid = os.fork()
    if pid:
        os.close(fd)
        return pid
    from grading.engine.worker import Worker

    try:
        die_with_parent()
        call_it("grading-worker")
        for other in others:
            os.close(other if isinstance(other, int) else other.detach())
        stay_on(number)
        parent = warm.WarmParent(pairs[number][0], number)
        Worker(socket.socket(fileno=fd), shell, parent).serve()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
