"""A Jupyter kernel that starts inside the sandbox, for nbgrader, nbval, nbclient and JupyterLab.

Install the kernel once, ``python -m grading.sandbox install-kernel``. Stock nbgrader then needs one
line of ``nbgrader_config.py``, which replaces the kernel that the notebooks name::

    c.Execute.kernel_name = "python3-sandboxed"

nbclient takes ``kernel_name=``, nbval and JupyterLab the kernel that a notebook names. Tests still
run in the same process as the submission: this keeps files, network, gradebook and other
submissions out of reach, but it does not keep a submission from forging its own tests' results.
"""

import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from jupyter_client.provisioning import LocalProvisioner
from traitlets import CaselessStrEnum, Dict, List, Unicode

from grading.course import GradingError
from grading.sandbox.bubblewrap import BubblewrapSandbox, bwrap_command
from grading.sandbox.launch import LOG, START, files_of, write_files
from grading.sandbox.layers import Sandbox
from grading.sandbox.limits import SandboxLimits
from grading.sandbox.root import NOBODY

MOST_PATH = 90
"""The kernel of Linux takes 107 characters for the path of a socket."""


ENDED = (None, 0, -9, -15, 256 - 9)
"""How a kernel ends that was not at fault: it runs, it left, or it was ended."""


class SandboxProvisioner(LocalProvisioner):
    """Starts the kernel in the sandbox, over sockets in a folder of its own.

    The traits are set in the kernelspec: ``metadata.kernel_provisioner.config``.
    """

    how = CaselessStrEnum(
        ["auto", "own", "bubblewrap"], "auto", help="Which sandbox; auto prefers our own."
    ).tag(config=True)
    limits = Dict(help="Fields of SandboxLimits that differ from their defaults.").tag(config=True)
    environment = List(
        Unicode(), ["COURSE_SEED"], help="Variables that the kernel takes over."
    ).tag(config=True)
    folder: Path | None = None
    said: IO[bytes] | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose the sandbox, make the folder, and write the command line."""
        how = self._choose()
        if self.folder is None:
            self._make_folder()
        kwargs = await super().pre_launch(**kwargs)
        arguments = kwargs["cmd"][kwargs["cmd"].index("-f") :]
        arguments.append("--HistoryManager.enabled=False")
        limits = SandboxLimits(**self.limits)
        given = kwargs.get("env") or os.environ
        taken = {name: given[name] for name in self.environment if name in given}
        connection, sockets = str(self.folder / "kernel.json"), str(self.folder / "sockets")
        if how == "own":
            sandbox = Sandbox.best()
            self._give(sockets, connection, sandbox)
            layout = sandbox.layout
            layout = replace(layout, readable=(*layout.readable, connection), writable=(sockets,))
            sandbox = replace(sandbox, layout=layout, sockets=True)
            start = self.folder / "start.json"
            content = {"sandbox": sandbox.to_json(), "limits": vars(limits), "environment": taken}
            start.write_text(json.dumps(content), encoding="utf-8")
            kwargs["env"] = {**given, START: str(start)}
            kwargs["cmd"] = [sys.executable, "-m", "grading.sandbox.launch", *arguments]
        else:
            sandbox = BubblewrapSandbox.best()
            layout = sandbox.layout
            layout = replace(layout, readable=(*layout.readable, connection), writable=(sockets,))
            work = self.folder / "work"
            work.mkdir(exist_ok=True)
            write_files(files_of(Path(kwargs.get("cwd") or Path.cwd())), work)
            self.said = (self.folder / LOG).open("wb")  # not the terminal
            kwargs["stdout"] = kwargs["stderr"] = self.said
            kwargs["cmd"] = bwrap_command(
                [sys.executable, "-m", "ipykernel_launcher", *arguments],
                limits,
                str(work),
                sandbox=replace(sandbox, layout=layout),
                environment=taken,
            )
        return kwargs

    async def poll(self) -> int | None:
        """None while the kernel runs. Where it failed, say what it said."""
        code = await super().poll()
        log = self.folder / LOG if self.folder else None
        if code not in ENDED and log is not None and log.is_file():
            text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            self.log.error("The sandboxed kernel failed (%s):\n%s", code, text)
            log.unlink()
        return code

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the folder with all that the kernel left in it."""
        await super().cleanup(restart=restart)
        if self.said is not None:
            self.said.close()
        if self.folder is not None and not restart:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _choose(self) -> str:
        own, bubblewrap = Sandbox.best(), BubblewrapSandbox.best()
        if self.how == "bubblewrap" and not bubblewrap.sufficient:
            raise GradingError("bubblewrap is not installed or may not make namespaces here")
        if self.how == "auto":
            usable = replace(own, sockets=True).sufficient or not bubblewrap.sufficient
            return self._checked(own) if usable else "bubblewrap"
        return self._checked(own) if self.how == "own" else self.how

    @staticmethod
    def _checked(own: Sandbox) -> str:
        replace(own, sockets=True).require()
        return "own"

    def _make_folder(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kernel-"))
        if len(str(self.folder)) > MOST_PATH:
            self.folder.rmdir()
            raise GradingError(f"{self.folder} is too long a path for sockets; set TMPDIR=/tmp")
        (self.folder / "sockets").mkdir()
        manager = self.parent
        manager.transport = "ipc"
        manager.ip = str(self.folder / "sockets" / "kernel")
        manager.cache_ports = False
        manager.connection_file = str(self.folder / "kernel.json")

    @staticmethod
    def _give(sockets: str, connection: str, sandbox: Sandbox) -> None:
        """Where root makes the sandbox, the kernel is nobody: let it make its sockets."""
        if sandbox.as_root:
            os.chown(sockets, NOBODY, NOBODY)
            os.chown(connection, NOBODY, NOBODY)
