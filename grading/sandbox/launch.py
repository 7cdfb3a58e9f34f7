"""Start a notebook kernel inside the sandbox; the kernel provisioner runs this."""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from grading.course import GradingError
from grading.sandbox.enter import spawn
from grading.sandbox.layers import Sandbox
from grading.sandbox.limits import MIB, SandboxLimits

START = "GRADING_SANDBOX_START"
"""The variable that names the file with what the provisioner decided."""
LOG = "log"
"""What the kernel says on standard error: a file, so that it cannot type on a terminal."""
MOST_FILES, MOST_BYTES = 2000, 32 * MIB
COURSE = {"gradebook.db", "nbgrader_config.py", ".git"}
"""A folder that holds one of these is a course, and not a submission."""


def files_of(folder: Path) -> dict[str, bytes]:
    """The files beside the notebook, by relative path: the sandbox has copies of them.

    Links and hidden files are left out, and everything when the folder is that of a course or
    is too large.
    """
    found: dict[str, bytes] = {}
    size = 0
    for root, folders, names in os.walk(folder):
        if COURSE & {*folders, *names}:
            return {}
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            size += path.stat().st_size
            if len(found) >= MOST_FILES or size > MOST_BYTES:
                print(f"{folder} is too large: the kernel sees no files", file=sys.stderr)
                return {}
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Write what :func:`files_of` read."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main() -> int:
    """Start the kernel, wait for its end, and end as it did."""
    if START not in os.environ:
        raise GradingError("this starts with the kernel provisioner grading-sandbox only")
    start = json.loads(Path(os.environ[START]).read_text(encoding="utf-8"))
    files = files_of(Path.cwd())
    arguments = sys.argv[1:]
    sandbox = Sandbox.from_json(start["sandbox"])

    def run() -> None:
        os.environ.update(start["environment"])
        write_files(files, Path.cwd())
        sys.path.insert(0, "")
        from ipykernel.kernelapp import IPKernelApp

        IPKernelApp.launch_instance(argv=arguments)

    log = os.open(Path(os.environ[START]).with_name(LOG), os.O_CREAT | os.O_WRONLY, 0o600)
    os.dup2(log, 2)
    pid = spawn(run, SandboxLimits(**start["limits"]), sandbox, [2])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # interrupts come as messages
    with contextlib.suppress(ChildProcessError):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return 1


if __name__ == "__main__":
    sys.exit(main())
