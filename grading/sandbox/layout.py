"""What a sandbox shows of the machine's files: a read-only Python, and little else."""

import functools
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grading.course import PROJECT, GradingError

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")
FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts")


@dataclass(frozen=True)
class Layout:
    """What the sandbox shows of the machine.

    Args:
        readable: files and folders that can be read, at their own places.
        hidden: folders below a readable one that are empty in the sandbox.
        writable: folders that can be written, at their own places. None for submissions.
    """

    readable: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()

    def steps(self) -> tuple[tuple[str, str], ...]:
        """What to do to build it, in order: pairs of a path and folder, file, link, bind or hide.

        What is shown or hidden together with its parent needs no step.
        """
        return _steps(self)


@functools.lru_cache(maxsize=32)
def _steps(layout: Layout) -> tuple[tuple[str, str], ...]:
    wanted = [(path, "show") for path in (*layout.readable, *layout.writable)]
    wanted += [(os.path.realpath(path), "hide") for path in layout.hidden]
    shown: dict[str, str] = {}
    steps: list[tuple[str, str]] = []
    for path, what in sorted(wanted, key=lambda one: len(Path(one[0]).parts)):
        parents = [str(parent) for parent in Path(path).parents]
        nearest = next((parent for parent in parents if parent in shown), None)
        if path in shown or what == (shown[nearest] if nearest else "hide"):
            continue
        shown[path] = what
        if what == "hide":
            steps.append((path, "hide"))
            continue
        steps += [(parent, "folder") for parent in reversed(parents[:-1])]
        if os.path.islink(path):
            steps.append((path, "link"))
        else:
            steps += [(path, "folder" if os.path.isdir(path) else "file"), (path, "bind")]
    return tuple(dict.fromkeys(steps))


def default_layout() -> Layout:
    """Python with its packages, the packages that are installed editable, the system's libraries.

    Raises:
        GradingError: Python is installed in the root folder itself, which cannot be shown.
    """
    python = {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    # A virtual environment may be reached through a link: show it under both names.
    python |= {sys.prefix, sys.base_prefix}
    if "/" in python:
        raise GradingError("this Python's prefix is the root folder; use a virtual environment")
    paths = [*SYSTEM, *FILES, *sorted(python), *editable_packages()]
    readable = tuple(path for path in dict.fromkeys(paths) if os.path.exists(path))
    # Where this package is installed among others, its parent is no project.
    project = (str(PROJECT),) if (PROJECT / "pyproject.toml").is_file() else ()
    return Layout(readable, hidden=(*project, os.path.expanduser("~")))


def editable_packages() -> Iterator[str]:
    """Folders of the packages that are installed in place, without this one, which grades."""
    for distribution in importlib.metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            continue
        for name in (distribution.read_text("top_level.txt") or "").split():
            spec = None if name == "grading" else importlib.util.find_spec(name)
            if spec is not None:
                yield from spec.submodule_search_locations or filter(None, [spec.origin])
