"""The artefact of an experiment, ``book/experiments/NAME.json``: its content, and its age."""

import dataclasses
import importlib
import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from encoderlib import has_fast_bfloat16
from encoderlib.training.checkpoint import write_atomically
from experiments.fingerprint import ROOT, fingerprint

__all__ = [
    "EXPERIMENTS",
    "FLOOR",
    "SCORES",
    "check",
    "machine",
    "of",
    "path",
    "read",
    "shown",
    "summary",
    "write",
]

# The order in which they run: the quick ones first.
EXPERIMENTS = ("ag-news", "snips", "chnsenticorp", "fashion-mnist", "multi30k")
# What the scores of a seed depend on, and what those of the baselines do.
SCORES = ("load", "train", "validate", "test")
FLOOR = ("load", "baselines")


def of(name: str) -> ModuleType:
    """The module of an experiment."""
    return importlib.import_module(f"experiments.{name.replace('-', '_')}")


def path(name: str, root: Path = ROOT) -> Path:
    """Where the artefact of an experiment stands."""
    return root / "book" / "experiments" / f"{name}.json"


def read(name: str, root: Path = ROOT) -> dict[str, Any]:
    """The artefact.

    Raises:
        FileNotFoundError: if the experiment has not been run; says how to.
    """
    file = path(name, root)
    if not file.exists():
        raise FileNotFoundError(
            f"{file.name} is not there; make it with: python -m experiments {name}"
        )
    return json.loads(file.read_text(encoding="utf-8"))


def write(file: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(file, lambda out: out.write(text.encode()))


def shown(root: Path = ROOT) -> list[str]:
    """The experiments that have a page in the book."""
    return [name for name in EXPERIMENTS if path(name, root).with_suffix(".md").exists()]


def check(names: Sequence[str] | None = None, root: Path = ROOT) -> list[str]:
    """What is wrong with the artefacts, one line each: not there, unfinished, or stale.

    Without ``names``, those of the pages are checked.
    """
    wrong = []
    for name in shown(root) if names is None else names:
        module = of(name)
        try:
            found = read(name, root)
        except (FileNotFoundError, ValueError) as error:
            wrong.append(f"{name}: {error}")
            continue
        again = f"run it again: python -m experiments {name}"
        now = fingerprint(module.__name__, module.CONFIG, (*SCORES, *FLOOR), root)
        missing = set(module.SEEDS) - {row["seed"] for row in found["seeds"]}
        if found["config"] != plain(module.CONFIG):
            wrong.append(f"{name}: stale, its configuration has changed; {again}")
        elif found["fingerprint"] != now:
            wrong.append(f"{name}: stale, the code that it was computed with has changed; {again}")
        elif missing:
            wrong.append(f"{name}: seeds {sorted(missing)} are missing; {again}")
    return wrong


def plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON gives it back."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def machine() -> dict[str, Any]:
    """What the numbers of seconds depend on; no names of hosts or folders."""
    model = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line.partition(":")[2].strip() for line in file if "model name" in line]
        model = lines[0] if lines else ""
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bfloat16": has_fast_bfloat16("cpu"),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def summary(rows: Sequence[dict[str, Any]], part: str) -> dict[str, dict[str, float]]:
    """Mean, sample standard deviation, smallest and largest of each number over the seeds."""
    numbers = {
        name: [row[part][name] for row in rows]
        for name, value in rows[0][part].items()
        if isinstance(value, int | float)
    }
    return {
        name: {
            "mean": statistics.fmean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else None,
            "min": min(values),
            "max": max(values),
        }
        for name, values in numbers.items()
    }
