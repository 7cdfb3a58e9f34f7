"""Which software made a record: the same on all machines with the same installation."""

import functools
import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

LIBRARIES = (
    "IPython",
    "jaxtyping",
    "matplotlib",
    "msgpack",
    "nbformat",
    "numpy",
    "pandas",
    "safetensors",
    "scikit-learn",
    "scipy",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
)
"""What runs a submission, or what one may import and compute with."""

OURS = ("encoderlib", "grading")
"""Packages of this project: their version is a digest of their source."""

INFORMATION = ("instruction set", "system")
"""Worth reading where two machines disagree, but no part of the digest.

The last bits of a float depend on the instruction set. They stay out all the same: a test that
the last bits decide is a wrong test, the nodes of one cluster differ in them, and the coordinator,
which executes nothing, would have to be the same model of machine as the workers. With it in the
digest, a class would be graded anew because a node was replaced.
"""


@functools.cache
def _environment() -> dict[str, str]:
    found = {"Python": f"{platform.python_implementation()} {platform.python_version()}"}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    for name in OURS:
        found[name] = source_digest(PROJECT / name)
    found["instruction set"] = _instruction_set()
    found["system"] = f"{platform.system()} {platform.machine()}"
    return found


def environment() -> dict[str, str]:
    """Name to version of what decides a record; no host names and no paths.

    The number of threads is not in it: a submission computes with one.
    """
    return dict(_environment())


def environment_digest(of: Mapping[str, str] | None = None) -> str:
    """A name for exactly this software (SHA-256), by default this process's.

    Args:
        of: what :func:`environment` returned, perhaps on another machine.
    """
    versions = environment() if of is None else of
    counted = {name: value for name, value in versions.items() if name not in INFORMATION}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What makes the digests differ, in words; nothing if they are the same."""
    names = sorted((set(here) | set(there)) - set(INFORMATION))
    return [
        f"{name} is {there.get(name, 'unknown')} there and {here.get(name, 'unknown')} here"
        for name in names
        if here.get(name) != there.get(name)
    ]


def source_digest(package: Path) -> str:
    """The first 16 digits of a digest of a package's Python files, whatever their line ends."""
    if not package.is_dir():
        return "not installed"
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).parts):
        name = path.relative_to(package).as_posix()
        for part in (name.encode(), path.read_bytes().replace(b"\r\n", b"\n")):
            total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def _instruction_set() -> str:
    """The widest vectors that the processor has; read, not asked: torch takes seconds to import."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    words = set(text.split())
    return next((name for name in ("avx512f", "avx2", "asimd") if name in words), "unknown")
