"""The form of an attack file, and the placeholders in it.

An attack is one Python file in a folder that is named for its group. Its docstring says what it
tries. These constants say the rest; every one may be left out.

    BASE      "naive" (earns double, 2 of 15 points) or "right" (earns everything): whose answers
              stand in the cells that the attack does not write. "right" for honest and broken.
    FIRST     code put before the first answer of each notebook.
    ANSWERS   from a task to the whole answer cell.
    FILES     further files of the submission: relative path to text.
    submit    a function of the submission's folder that edits what was written there.
    EARNED    from a task to its points: what the submission is worth. More is unearned.
    KEPT      what it must be given at least; EARNED if left out. An attack on its own answers may
              lose them, an intact answer may not be lost.
    LINUX     True: it needs Linux; elsewhere it only prints that.

The code is data: it stands in strings, and is run by a grader only. Every attack is bounded in
itself, so that it does no harm where there is no sandbox: at most 1 GiB, 50 processes and 60
seconds, files below its own folder, network to the runner's listener.
"""

import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
GROUPS = ("liveness", "cheating", "stealing", "sabotage", "escape", "broken", "honest")
TASKS = {"mean_of": 2, "double": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}
"""Points that a machine gives; the written answer is worth one more, and a person gives it."""
TOTAL = sum(TASKS.values()) + 1
CONSTANTS = {"BASE", "FIRST", "ANSWERS", "FILES", "submit", "EARNED", "KEPT", "LINUX"}

# Stops a process that outlives its attack: a limit on CPU time, which no handler can catch.
BOUND = """
import resource as _resource
import time as _time

_LIMIT = _resource.getrlimit(_resource.RLIMIT_CPU)[1]
_LIMIT = 50 if _LIMIT == _resource.RLIM_INFINITY else min(50, _LIMIT)
_resource.setrlimit(_resource.RLIMIT_CPU, (_LIMIT, _LIMIT))
_END = _time.monotonic() + 50


def alive():
    return _time.monotonic() < _END
"""

# Sends what looks like a planted secret, and nothing else, wherever a student could read it.
TELL = """
import re as _re
import socket as _socket


def tell(text):
    if isinstance(text, (bytes, bytearray, memoryview)):
        text = bytes(text).decode("latin-1")
    found = sorted(set(_re.findall("sealed.[a-z]+.[0-9a-f]{4,6}", str(text))))
    if found:
        print("found", *found)
        try:
            with _socket.create_connection(("127.0.0.1", {{PORT}}), 2) as connection:
                connection.sendall(" ".join(["{{NAME}}", *found]).encode())
        except OSError:
            pass
    return found
"""


@dataclass(frozen=True)
class Place:
    """What the runner prepared for one attack; it stands in the code as ``{{VICTIM}}`` and so on.

    Args:
        victim: a course folder of the runner's, with gradebook, sources, other submissions and a
            home. It is what the attack may read, change and destroy.
        port: of the runner's listener on 127.0.0.1, TCP and UDP.
        socket: path of its unix socket.
    """

    victim: Path
    port: int = 9
    socket: str = ""

    def fill(self, name: str, code: str) -> str:
        """The code with the placeholders replaced."""
        code = code.replace("{{BOUND}}", BOUND).replace("{{TELL}}", TELL)
        for key, value in {
            "VICTIM": self.victim.as_posix(),
            "PORT": self.port,
            "SOCKET": self.socket,
            "NAME": name,
        }.items():
            code = code.replace("{{" + key + "}}", str(value))
        return code


@dataclass(frozen=True)
class Attack:
    """One attack, as its file says."""

    name: str
    group: str
    claim: str
    base: str = "naive"
    first: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    submit: Callable[[Path], None] | None = None
    earned: Mapping[str, float] = field(default_factory=dict)
    kept: Mapping[str, float] = field(default_factory=dict)
    linux: bool = False

    @property
    def code(self) -> str:
        """Everything that a grader runs, before the placeholders are filled."""
        return "\n".join([self.first, *self.answers.values(), *self.files.values()])


def load(path: Path) -> Attack:
    """Read one attack file.

    Raises:
        ValueError: it has no docstring, or a name or a value that the form does not know.
    """
    content = runpy.run_path(str(path))
    if not (content.get("__doc__") or "").strip():
        raise ValueError(f"{path}: the docstring must say what the attack tries")
    known = {name for name in content if name.isupper() or name == "submit"}
    if known - CONSTANTS:
        raise ValueError(f"{path}: unknown {sorted(known - CONSTANTS)}; see form.py")
    given = {name.lower(): content[name] for name in known}
    group = path.parent.name
    given.setdefault("base", "right" if group in ("broken", "honest") else "naive")
    given.setdefault("earned", dict(TASKS) if given["base"] == "right" else {"double": 2})
    given.setdefault("kept", given["earned"])
    strange = {*given["earned"], *given["kept"], *given.get("answers", {})} - {*TASKS, "why"}
    if strange or group not in GROUPS or given["base"] not in ("naive", "right"):
        raise ValueError(f"{path}: unknown task, group or base {sorted(strange)}")
    return Attack(path.stem, group, content["__doc__"].strip(), **given)


def load_all() -> list[Attack]:
    """Every attack, by group and name."""
    attacks = [load(path) for group in GROUPS for path in sorted((HERE / group).glob("*.py"))]
    names = [attack.name for attack in attacks]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"two attacks have the name {sorted(repeated)}")
    return attacks
