"""Which layers of the sandbox this machine has, and whether together they are enough."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace

from grading.course import PROJECT, GradingError
from grading.sandbox import kernel
from grading.sandbox.layout import Layout, default_layout

LAYERS = {
    "files": "a private root folder (mount namespace)",
    "pid": "no other processes in sight, none left over (PID namespace)",
    "net": "no network (network namespace)",
    "ipc": "no shared memory with others (IPC namespace)",
    "uts": "a host name of its own (UTS namespace)",
    "user": "a user without rights on the machine (user namespace)",
    "landlock": "only listed paths can be opened (landlock)",
    "seccomp": "a list of refused system calls (seccomp)",
    "rlimits": "CPU, memory, files (resource limits)",
}
NAMESPACES = ("files", "pid", "net", "ipc", "uts", "user")
# What is needed, and the layers each of which alone gives it.
NEEDS = {
    "files": (("files",), ("landlock", "seccomp")),
    "network": (("net",), ("seccomp",)),
    "processes": (("pid",), ("landlock", "seccomp")),
    "leftovers": (("pid",), ("seccomp",)),
}
HOW = """\
Ways to get it:
  - Linux 5.13 or newer. User namespaces may be switched off; look at, and set as root:
      sysctl user.max_user_namespaces                        (more than 0)
      sysctl kernel.unprivileged_userns_clone                (1; Debian)
      sysctl kernel.apparmor_restrict_unprivileged_userns    (0; Ubuntu)
  - sudo apt install bubblewrap, for the sandboxed kernel of notebooks.
  - Docker, for macOS, Windows and locked-down machines: see compose.yaml.
`python -m grading.sandbox` shows each layer and tries to break it. For code that you trust, and
for nothing else, there is --no-sandbox."""


class SetupFailed(GradingError):
    """A layer could not be entered."""

    def __init__(self, layer: str, why: str) -> None:
        super().__init__(f"the sandbox's layer {layer} failed: {why}")
        self.layer, self.why = layer, why


@dataclass(frozen=True)
class Sandbox:
    """The layers that a new process enters.

    Args:
        layers: names from :data:`LAYERS`.
        missing: (layer, why) of those that this machine cannot give.
        as_root: namespaces are made by the real root, who then becomes nobody.
        layout: what the sandbox shows of the machine's files.
        sockets: let the filter pass sockets, which a notebook kernel needs.
    """

    layers: tuple[str, ...] = tuple(LAYERS)
    missing: tuple[tuple[str, str], ...] = ()
    as_root: bool = field(default_factory=lambda: os.geteuid() == 0)
    layout: Layout = field(default_factory=default_layout)
    sockets: bool = False

    @staticmethod
    def best() -> "Sandbox":
        """The most that this machine can give. Tried once, in a process of its own."""
        return _best()

    @property
    def uncovered(self) -> list[str]:
        """Which of files, network, processes and leftovers nothing protects."""
        have = set(self.layers)
        if self.sockets and "net" not in have:
            return ["network"]  # nothing else would keep them apart
        if any(step == "hide" for _, step in self.layout.steps()):
            have.discard("landlock")  # it cannot hide a folder below one that it shows
        return [need for need, ways in NEEDS.items() if not any(have >= set(way) for way in ways)]

    @property
    def sufficient(self) -> bool:
        """May code that nobody trusts run in it?"""
        return not self.uncovered

    def require(self, processes: int = 0) -> None:
        """Refuse to go on without a sandbox.

        Args:
            processes: how many further processes a submission may have; with some, only a PID
                namespace clears up after it.

        Raises:
            GradingError: it is not sufficient; the message says what is missing and how to get it.
        """
        lacking = self.uncovered
        if processes and "pid" not in self.layers:
            lacking = [*lacking, "leftovers of further processes"]
        if processes and not self.as_root and os.geteuid() == 0:
            lacking = [*lacking, "the number of processes (the kernel does not count root's)"]
        if lacking:
            reasons = "\n".join(f"  {layer}: {why}" for layer, why in self.missing)
            raise GradingError(
                "this machine gives no sandbox that is good enough for code of others.\n"
                f"Not protected: {', '.join(dict.fromkeys(lacking))}\n{reasons}\n{HOW}"
            )

    def without(self, layer: str, why: str) -> "Sandbox":
        """The same with a layer less."""
        layers = tuple(one for one in self.layers if one != layer)
        return replace(self, layers=layers, missing=(*self.missing, (layer, why)))

    def to_json(self) -> str:
        """For a process that is told which sandbox to use."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Sandbox":
        """What :meth:`to_json` wrote."""
        data = json.loads(text)
        layout = Layout(**{name: tuple(paths) for name, paths in data.pop("layout").items()})
        missing = tuple((layer, why) for layer, why in data.pop("missing"))
        return cls(tuple(data.pop("layers")), missing, layout=layout, **data)


@functools.cache
def _best() -> Sandbox:
    if sys.platform != "linux":
        return _nothing("the sandbox is made of parts of the Linux kernel")
    if kernel.MACHINE not in kernel.MACHINES or sys.maxsize < 1 << 32:
        return _nothing(f"its system calls are known for {' and '.join(kernel.MACHINES)} only")
    code = (
        f"import sys; sys.path.append({str(PROJECT)!r})\n"
        "from grading.sandbox.detect import detect; print(detect().to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        return _nothing((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    return Sandbox.from_json(done.stdout)


def _nothing(why: str) -> Sandbox:
    return Sandbox((), tuple((layer, why) for layer in LAYERS), False, Layout(()))
