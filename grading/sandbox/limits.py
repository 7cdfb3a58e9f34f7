"""How much a sandboxed process may use up, and the kernel's resource limits that see to it."""

import contextlib
import os
from dataclasses import dataclass

with contextlib.suppress(ImportError):  # Windows, where there is no sandbox anyway
    import resource

MIB = 1 << 20
THREADS = 64
"""Threads count as processes for the kernel; this many are always allowed."""
STACK_MIB = 8


@dataclass(frozen=True)
class SandboxLimits:
    """What one sandbox may use up.

    Args:
        cpu_seconds: CPU time of one process: SIGXCPU then, SIGKILL a second later.
        memory_mib: address space of one process beyond what is mapped when it enters.
        processes: how many further processes there may be; with 0, fork is refused.
        open_files: the highest number of a file descriptor.
        file_mib: size of one file.
        disk_mib: size of the work folder, /tmp and /dev/shm together. It is kept in memory.
    """

    cpu_seconds: float = 300.0
    memory_mib: int = 1024
    processes: int = 0
    open_files: int = 256
    file_mib: int = 64
    disk_mib: int = 64


def mapped_bytes() -> int:
    """The address space of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def apply_rlimits(limits: SandboxLimits, mapped: int, own_count: bool) -> None:
    """Lower this process's limits, soft and hard; a limit that is lower already stays.

    Args:
        limits: what is allowed.
        mapped: the address space that is taken already, see :func:`mapped_bytes`.
        own_count: the process has a user namespace, so that only its own processes are counted.
    """
    cpu = max(1, round(limits.cpu_seconds))
    _lower(resource.RLIMIT_CPU, cpu, cpu + 1)
    _lower(resource.RLIMIT_AS, mapped + limits.memory_mib * MIB)
    _lower(resource.RLIMIT_STACK, STACK_MIB * MIB)
    _lower(resource.RLIMIT_NOFILE, limits.open_files)
    _lower(resource.RLIMIT_FSIZE, limits.file_mib * MIB)
    if own_count:  # not enforced for the host's root, who becomes nobody before (see enter.py)
        _lower(resource.RLIMIT_NPROC, limits.processes + THREADS)
    for name in ("CORE", "MEMLOCK", "MSGQUEUE", "NICE", "RTPRIO"):
        _lower(getattr(resource, f"RLIMIT_{name}"), 0)


def _lower(name: int, soft: int, hard: int | None = None) -> None:
    old = resource.getrlimit(name)[1]
    if old == resource.RLIM_INFINITY:
        old = max(soft, hard or soft)
    hard = min(soft if hard is None else hard, old)
    resource.setrlimit(name, (min(soft, hard), hard))
