"""Run a command, then say what it left behind: processes, shared memory, kernel keys.

    python guard.py REPORT SECONDS COMMAND...

It adopts the orphans of the command (Linux), so that a daemon cannot hide; what is still alive
after the end is named in the report and ended by its id. Standard library only.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 3.0  # seconds for a well-behaved child to end after the command
SEGMENT = 0x61747461  # the key of the shared memory that an attack makes
RINGS = (-3, -4, -5)  # keyrings: session, user, user session


def descendants() -> dict[int, str]:
    """Processes below this one, with their command lines; zombies do not count."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(path.name)] = int(parent)
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ")
                names[int(path.name)] = command.decode(errors="replace").strip()[:120]
    found, size = {os.getpid()}, 0
    while len(found) > size:
        size = len(found)
        found |= {process for process, parent in parents.items() if parent in found}
    return {process: names[process] for process in found - {os.getpid()}}


def end_strays() -> list[str]:
    """Wait for the last children to end; name those that do not, and end them."""
    end = time.monotonic() + GRACE
    while descendants() and time.monotonic() < end:
        _reap()
        time.sleep(0.1)
    strays = list(descendants().values())
    for _ in range(50):
        alive = descendants()
        if not alive:
            break
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
        _reap()
    return strays


def end_segments() -> list[str]:
    """Name and remove the shared memory that an attack made."""
    table = Path("/proc/sysvipc/shm")
    if not table.is_file():
        return []
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    found = [int(row[1]) for row in rows if int(row[0]) & 0xFFFFFFFF == SEGMENT]
    for identity in found:
        ctypes.CDLL(None).shmctl(identity, 0, None)
    return [f"shared memory segment {identity}" for identity in found]


def end_keys() -> list[str]:
    """Name and remove the kernel keys that attacks made."""
    table = Path("/proc/keys")
    if not table.is_file():
        return []
    found, libc = [], ctypes.CDLL(None)
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines():
            parts = line.split()
            if "attack-" in line and parts[7] == "user":
                found.append("kernel key " + parts[8].rstrip(":"))
                for ring in RINGS:
                    libc.syscall(250, 9, int(parts[0], 16), ctypes.c_int(ring))
    return found


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Run the command that the arguments name and write the report."""
    report, seconds, command = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    started = time.monotonic()
    child = subprocess.Popen(command, start_new_session=True)
    try:
        code = child.wait(seconds)
        timed_out = False
    except subprocess.TimeoutExpired:
        child.kill()
        code, timed_out = child.wait(), True
    wall = time.monotonic() - started
    left = [f"process {name!r}" for name in end_strays()] if not timed_out else []
    end_strays()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = {
        "code": code,
        "timed_out": timed_out,
        "left": left + end_segments() + end_keys(),
        "wall": round(wall, 2),
        "cpu": round(usage.ru_utime + usage.ru_stime, 2),
    }
    report.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
