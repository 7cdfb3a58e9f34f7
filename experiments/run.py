"""Run experiments on real data, go on after a kill, and write their artefacts.

python -m experiments                    all of them; what is finished is not run again
python -m experiments ag-news --seed 1   one seed of one of them
python -m experiments --check            which artefacts are stale; exits 1 if there are any
python -m experiments ag-news --validate --set training.lr=2e-3 encoder.n_layers=3
                                         try a configuration on validation data; the test part
                                         is not read, the attempt is noted in the search log
"""

import argparse
import ast
import dataclasses
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from encoderlib.data.download import DataError, cache_folder
from encoderlib.training.loggers import Logger
from experiments import artefact
from experiments.fingerprint import ROOT, fingerprint

__all__ = ["main"]

WORK = ROOT / "build" / "experiments"
CURVE = 400  # points that an artefact holds at most, over all seeds


class Clock(Logger):
    """CPU and wall seconds of a run, over all attempts: what a killed one used counts too."""

    def __init__(self, file: Path):
        self.file = file
        self.before = json.loads(file.read_text()) if file.exists() else {"cpu": 0.0, "wall": 0.0}
        self.start = {"cpu": time.process_time(), "wall": time.perf_counter()}
        self.noted = 0.0

    def now(self) -> dict[str, float]:
        """Seconds so far."""
        passed = {"cpu": time.process_time(), "wall": time.perf_counter()}
        return {name: self.before[name] + passed[name] - self.start[name] for name in passed}

    def step(self, row: dict) -> None:
        """Note them from time to time."""
        if time.perf_counter() - self.noted > 5:
            self.noted = time.perf_counter()
            artefact.write(self.file, self.now())

    def epoch(self, row: dict) -> None:
        """Note them after each epoch."""
        artefact.write(self.file, self.now())


def watch(folder: Path, clock: Clock, progress: bool, every: int | None) -> dict[str, Any]:
    """How `encoderlib.training.fit` is to keep a run: its arguments by name."""
    return {
        "checkpoint": folder / "checkpoints",
        "every": every,
        "loggers": [clock],
        "progress": progress,
    }


def run_seed(
    module: ModuleType,
    config: Any,
    data: Any,
    seed: int,
    folder: Path,
    *,
    test: bool = True,
    progress: bool = True,
    every: int | None = None,
    verify: bool = True,
) -> dict[str, Any]:
    """Train one model, or go on with it; validate; then look at the test part, once."""
    finished, validated = folder / "result.json", folder / "validated.json"
    if finished.exists():
        return json.loads(finished.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    clock = Clock(folder / "seconds.json")
    model, history = module.train(config, data, seed, **watch(folder, clock, progress, every))
    if validated.exists():  # an attempt of --validate that became the configuration
        row = json.loads(validated.read_text(encoding="utf-8"))
    else:
        trained = clock.now()
        row = {
            "seed": seed,
            "parameters": sum(p.numel() for p in model.parameters()),
            "epochs": len(history),
            "cpu_seconds": round(trained["cpu"], 3),
            "wall_seconds": round(trained["wall"], 3),
            "validation": module.validate(config, data, model),
            "history": history,
        }
        artefact.write(validated, row)
    if test:
        start = time.process_time()
        row["test"] = module.test(config, data, model, verify)
        row["test_cpu_seconds"] = round(time.process_time() - start, 3)
        artefact.write(finished, row)
        for file in (folder / "checkpoints").glob("step-*.pt"):  # best.pt stays
            file.unlink()
    return row


def curve(rows: Sequence[dict]) -> list[dict[str, float | int]]:
    """The history of every seed, thinned out, short numbers."""
    step = -(-sum(len(row["history"]) for row in rows) // CURVE)
    return [
        {"seed": row["seed"]}
        | {name: float(f"{x:.5g}") if isinstance(x, float) else x for name, x in epoch.items()}
        for row in rows
        for epoch in row["history"]
        if epoch["epoch"] % step == 0 or epoch["epoch"] == len(row["history"]) - 1
    ]


def run(
    name: str,
    seeds: Sequence[int] | None = None,
    *,
    work: Path = WORK,
    root: Path = ROOT,
    progress: bool = True,
    every: int | None = None,
    verify: bool = True,
    module: ModuleType | None = None,
) -> bool:
    """Run what is missing of an experiment; write the artefact when all of it is there."""
    module = module or artefact.of(name)
    prints = {
        names: fingerprint(module.__name__, module.CONFIG, names)
        for names in (artefact.SCORES, artefact.FLOOR, (*artefact.SCORES, *artefact.FLOOR))
    }
    scores, floor, now = prints.values()
    if artefact.path(name, root).exists() and artefact.read(name, root)["fingerprint"] == now:
        found = artefact.path(name, root).relative_to(root), (work / name).relative_to(root)
        print(f"{name}: finished, nothing to do; to run it anew, delete {found[0]} and {found[1]}")
        return True
    folder = work / name / scores[:12]
    data = module.load(module.CONFIG, verify)
    rows = []
    for seed in module.SEEDS if seeds is None else seeds:
        print(f"{name}: seed {seed}", flush=True)
        options = {"progress": progress, "every": every, "verify": verify}
        row = run_seed(module, module.CONFIG, data, seed, folder / f"seed-{seed}", **options)
        print(f"{name}: seed {seed}, validation {row['validation']}, test {row['test']}")
        rows.append(row)
    if {row["seed"] for row in rows} != set(module.SEEDS):
        found = [json.loads(file.read_text()) for file in sorted(folder.glob("*/result.json"))]
        rows = sorted(found, key=lambda row: row["seed"])
        if missing := set(module.SEEDS) - {row["seed"] for row in rows}:
            print(f"{name}: no artefact yet, seeds {sorted(missing)} are missing")
            return False
    floor = work / name / f"baselines-{floor[:12]}.json"
    if not floor.exists():
        print(f"{name}: baselines", flush=True)
        artefact.write(floor, module.baselines(module.CONFIG, data, verify))
    content = {
        "name": name,
        "command": f"python -m experiments {name}",
        "fingerprint": now,
        "test_part": "read after training, once for each seed and each baseline; models and "
        "configurations were chosen on validation data",
        "config": artefact.plain(module.CONFIG),
        "machine": artefact.machine(),
        "summary": {part: artefact.summary(rows, part) for part in ("validation", "test")},
        "seeds": [{k: v for k, v in row.items() if k != "history"} for row in rows],
        "baselines": json.loads(floor.read_text(encoding="utf-8")),
        "curve": curve(rows),
    }
    artefact.write(artefact.path(name, root), content)
    print(f"{name}: wrote {artefact.path(name, root).relative_to(root)}")
    return True


def try_out(
    name: str, changes: dict[str, Any], seed: int, note: str, every: int | None, progress: bool
) -> None:
    """Train one model with a changed configuration and note its validation scores."""
    module = artefact.of(name)
    config = changed(module.CONFIG, changes)
    now = fingerprint(module.__name__, config, artefact.SCORES)
    log = artefact.path(f"{name}-search")
    folder = WORK / name / now[:12] / f"seed-{seed}"
    data = module.load(config)
    row = run_seed(module, config, data, seed, folder, test=False, progress=progress, every=every)
    print(f"{name}: {changes or 'as it stands'}, validation {row['validation']}")
    attempts = json.loads(log.read_text(encoding="utf-8")) if log.exists() else []
    attempt = {
        "seed": seed,
        "config": artefact.plain(config),
        "validation": row["validation"],
        "parameters": row["parameters"],
        "cpu_seconds": row["cpu_seconds"],
        "note": note,
    }
    known = ("seed", "config")  # an attempt that is made again takes its own place
    others = [old for old in attempts if any(old[part] != attempt[part] for part in known)]
    artefact.write(log, [*others, attempt])


def changed(config: Any, changes: dict[str, Any]) -> Any:
    """A configuration with other values, ``training.lr`` for a field of a field.

    Raises:
        ValueError: for a field that it does not have.
    """
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        if first not in {field.name for field in dataclasses.fields(config)}:
            fields = [field.name for field in dataclasses.fields(config)]
            raise ValueError(f"no field {first!r}; there are {', '.join(fields)}")
        if rest:
            value = changed(getattr(config, first), {rest: value})
        config = dataclasses.replace(config, **{first: value})
    return config


def smoke(name: str, progress: bool = False) -> None:
    """Every function of an experiment, on a few rows and with a tiny model; keeps nothing."""
    module = artefact.of(name)
    config = module.SMOKE
    with tempfile.TemporaryDirectory() as folder:
        data = module.load(config, verify=False)
        options = {"progress": progress, "every": 1, "verify": False}
        run_seed(module, config, data, 0, Path(folder), **options)
        module.baselines(config, data, verify=False)
    print(f"{name}: runs")


def assignment(text: str) -> tuple[str, Any]:
    """``name=value`` of the command line."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def where(error: Exception, name: str) -> str:
    """What to do when data are missing."""
    folder = os.environ.get("ENCODERLIB_DATA") or "not set"
    return (
        f"{name}: {error}\n"
        f"  ENCODERLIB_DATA is {folder}, the cache is {cache_folder()}\n"
        f"  to download what has an official address: python -m experiments {name} --download"
    )


def download(name: str) -> None:
    """Fetch an experiment's files to the cache."""
    artefact.of(name).download()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or 1 if data are missing or an artefact is stale."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(artefact.EXPERIMENTS))
    parser.add_argument("--seed", type=int, help="only this seed (default: all of the experiment)")
    parser.add_argument("--validate", action="store_true", help="do not read the test part")
    parser.add_argument(
        "--set", nargs="+", type=assignment, default=[], metavar="FIELD=VALUE",
        help="with --validate: another configuration, such as training.lr=2e-3",
    )  # fmt: skip
    parser.add_argument("--note", default="", help="with --validate: a word for the search log")
    parser.add_argument("--check", action="store_true", help="say which artefacts are stale")
    parser.add_argument("--smoke", action="store_true", help="a step or two, on any data")
    parser.add_argument("--list", action="store_true", help="say which experiments there are")
    parser.add_argument("--download", action="store_true", help="fetch the data first")
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints (100)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    names = options.names or list(artefact.EXPERIMENTS)
    if unknown := set(names) - set(artefact.EXPERIMENTS):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(artefact.EXPERIMENTS)}")
    if (options.set or options.note) and not options.validate:
        parser.error("--set and --note are for --validate; the configuration stands in the code")

    if options.list:
        stale = {line.partition(":")[0]: line for line in artefact.check(names)}
        for name in names:
            state = stale.get(name, "up to date").removeprefix(f"{name}: ")
            print(f"{name:14} {state}")
        return 0
    if options.check:
        names = options.names or artefact.shown()
        wrong = artefact.check(names)
        print("\n".join(wrong) or f"{len(names)} artefacts are up to date")
        return bool(wrong)
    for name in names:
        try:
            if options.download:
                download(name)
            if options.smoke:
                smoke(name, not options.quiet)
            elif options.validate:
                seed = options.seed or 0
                try_out(
                    name, dict(options.set), seed, options.note, options.every, not options.quiet
                )
            else:
                seeds = None if options.seed is None else [options.seed]
                run(name, seeds, progress=not options.quiet, every=options.every)
        except (FileNotFoundError, ConnectionError, DataError) as error:
            print(where(error, name), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            words = shlex.join(sys.argv[1:] if arguments is None else arguments)
            print(f"\nstopped; go on with: python -m experiments {words}", file=sys.stderr)
            return 130
    return 0
