"""The second choice: bubblewrap, a program that is allowed namespaces where Python is not.

It runs a command, so it cannot fork a warm parent: each start pays for its imports. There is no
filter of system calls and no limit of the disk.
"""

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from grading.sandbox.enter import ENVIRONMENT
from grading.sandbox.layout import Layout, default_layout
from grading.sandbox.limits import SandboxLimits
from grading.sandbox.root import NOBODY, WORK

# Runs inside, where this package is not. The same limits as in limits.py.
LIMITER = """\
import json, os, resource, sys
for name, value in json.loads(sys.argv[1]).items():
    hard = resource.getrlimit(getattr(resource, name))[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(getattr(resource, name), (value, value))
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class BubblewrapSandbox:
    """Starts commands in bubblewrap; ``program`` is empty where it does not work."""

    program: str = ""
    layout: Layout = field(default_factory=default_layout)

    @staticmethod
    @functools.cache
    def best() -> "BubblewrapSandbox":
        """Bubblewrap if it is installed and may make namespaces. Tried once."""
        program = shutil.which("bwrap")
        if not program:
            return BubblewrapSandbox()
        sandbox = BubblewrapSandbox(program)
        command = bwrap_command([sys.executable, "-c", ""], SandboxLimits(), sandbox=sandbox)
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        return sandbox if done.returncode == 0 else BubblewrapSandbox()

    @property
    def sufficient(self) -> bool:
        """May code that nobody trusts run in it? Files, network and processes are apart."""
        return bool(self.program)


def bwrap_command(
    argv: Sequence[str],
    limits: SandboxLimits,
    work: str = "",
    keep_fds: Sequence[int] = (),
    sandbox: BubblewrapSandbox | None = None,
    environment: dict[str, str] | None = None,
) -> list[str]:
    """The command line that runs ``argv`` in bubblewrap, with the work folder current.

    Args:
        argv: the command; its program must be a path that the sandbox shows.
        limits: ``processes`` bounds processes and threads of a user who is not root; the
            disk is not limited.
        work: a folder that becomes the work folder; an empty one in memory if not given.
        keep_fds: start bubblewrap with these open (``pass_fds``) and it leaves them open.
        sandbox: what it shows.
        environment: variables beyond the fixed ones.
    """
    del keep_fds  # bubblewrap closes nothing; named so that callers need not know
    sandbox = sandbox or BubblewrapSandbox.best()
    command = [sandbox.program, "--unshare-all", "--unshare-user", "--die-with-parent"]
    command += ["--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "grading"]
    command += ["--uid", str(NOBODY), "--gid", str(NOBODY), "--dev", "/dev", "--tmpfs", "/tmp"]
    command += ["--bind", work, WORK] if work else ["--tmpfs", WORK]
    for path, step in sandbox.layout.steps():
        if step == "link":
            command += ["--ro-bind", path, path]
        elif step == "bind":
            how = "--bind" if path in sandbox.layout.writable else "--ro-bind"
            command += [how, path, path]
        elif step == "hide":
            command += ["--tmpfs", path]
    for name, value in (ENVIRONMENT | (environment or {})).items():
        command += ["--setenv", name, value]
    command += ["--chdir", WORK, "--"]
    return [*command, sys.executable, "-I", "-c", LIMITER, json.dumps(_rlimits(limits)), *argv]


def _rlimits(limits: SandboxLimits) -> dict[str, int]:
    values = asdict(limits)
    return {
        "RLIMIT_CPU": max(1, round(values["cpu_seconds"])),
        "RLIMIT_AS": (values["memory_mib"] + START_MIB) << 20,
        "RLIMIT_NOFILE": values["open_files"],
        "RLIMIT_FSIZE": values["file_mib"] << 20,
        "RLIMIT_CORE": 0,
    }


START_MIB = 1024
"""A process that starts cold maps its libraries within its limit."""
