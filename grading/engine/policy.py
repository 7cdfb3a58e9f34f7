"""What a submission may use: grading.toml beside the instructor's notebooks."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from grading.course import GradingError

POLICY_FILE = "grading.toml"
MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What one submission may use up. A limit that is hit costs the test at hand, and is named.

    Args:
        call_seconds: wall time of one call of the student's code from a test.
        cell_seconds: wall time of one cell, the student's or the instructor's.
        submission_seconds: wall time of one notebook of the submission, restarts included.
        cpu_seconds: CPU time of one student process.
        memory_mib: memory beyond what the loaded libraries take, for each process.
        processes: how many further processes the student's code may have; 0 for none.
        open_files: how many files may be open.
        file_mib: size of one file, and of the work folder.
        output_kib: text and pictures that one cell may put out; the rest is cut off.
        message_mib: size of one message between student and examiner.
    """

    call_seconds: float = 10.0
    cell_seconds: float = 30.0
    submission_seconds: float = 300.0
    cpu_seconds: float = 300.0
    memory_mib: int = 1024
    processes: int = 0
    open_files: int = 256
    file_mib: int = 64
    output_kib: int = 256
    message_mib: int = 64


@dataclass(frozen=True)
class Policy:
    """Limits, and names that answers may not use.

    Args:
        limits: see :class:`Limits`.
        forbidden: names that no answer may use: dotted Python names
            (``torch.nn.MultiheadAttention``, a library such as ``encoderlib``) or operators
            (``aten::_softmax``).
        forbidden_in: further names, by the grade_id of the answer.
    """

    limits: Limits = field(default_factory=Limits)
    forbidden: tuple[str, ...] = ()
    forbidden_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def forbidden_for(self, task: str) -> tuple[str, ...]:
        """The names that the answer ``task`` may not use."""
        return (*self.forbidden, *self.forbidden_in.get(task, ()))

    def as_dict(self) -> dict:
        """Plain data, for a digest or a message."""
        return asdict(self)


def read_policy(path: Path) -> Policy:
    """Read grading.toml.

    Raises:
        GradingError: it is not TOML, or holds a key or a value that is not known.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GradingError(f"{path} cannot be read: {error}") from error
    unknown = set(content) - {"forbidden", "forbidden_in", "limits"}
    if unknown:
        raise GradingError(
            f"{path}: unknown key {sorted(unknown)[0]!r}; known: forbidden, forbidden_in, limits"
        )
    known = {one.name: one.type for one in fields(Limits)}
    limits = content.get("limits", {})
    for name, value in limits.items():
        if name not in known:
            raise GradingError(f"{path}: unknown limit {name!r}; known: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise GradingError(f"{path}: the limit {name} must be a number, got {value!r}")
    return Policy(
        Limits(**limits),
        _names(path, "forbidden", content.get("forbidden", [])),
        {
            task: _names(path, f"forbidden_in.{task}", names)
            for task, names in content.get("forbidden_in", {}).items()
        },
    )


def _names(path: Path, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise GradingError(f"{path}: {key} must be a list of names")
    return tuple(value)
