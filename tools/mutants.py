"""Break the library on purpose, one small mistake at a time, and see whether a test notices.

``make mutants`` writes the mutants of each module (`tools.mutation`), runs the tests of that
module on each, and writes docs/mutation.md. Settings, and the reasons why a mutant may survive,
stand in tests/mutants.toml. A second run repeats nothing whose source and tests are unchanged.

    python -m tools.mutants --module masks      # one module, no report
    python -m tools.mutants --list              # every mutant and what became of it
    python -m tools.mutants --show 9608ebf7     # one mutant as a diff

Importing torch is what costs, so it is imported once; each mutant is tested in a forked child.
(Which packages to import is what the tests imported when they ran without a mutant.)
Package and tests are copied first, and the child sees a copy with one changed file, so the
working tree may be edited meanwhile. It needs Linux or macOS.
"""

import argparse
import collections
import contextlib
import dataclasses
import datetime
import difflib
import fcntl
import gc
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import signal
import site
import sys
import time
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tqdm import tqdm

from tools.mutation import Mutant, mutate

ROOT = Path(__file__).resolve().parent.parent
KILLED = ("killed", "timeout")
MEMORY = 12 << 30  # bytes of address space; torch alone maps about 4 GiB


@dataclasses.dataclass(frozen=True)
class Project:
    """What tests/mutants.toml says, and where things are."""

    root: Path  # where the report and the results go
    source: Path  # where package and tests are read: the same, or a copy
    package: str
    floor: float
    modules: dict[str, list[str]]
    survivors: dict[tuple, str]
    grace: float = 10  # seconds that a mutant may take beyond five times what the tests need

    @classmethod
    def read(cls, root: Path) -> "Project":
        """Read the settings; a survivor without a reason is refused."""
        settings = tomllib.loads((root / "tests/mutants.toml").read_text(encoding="utf-8"))
        survivors = {}
        for entry in settings.pop("survivor", []):
            reason = entry.pop("reason").strip()
            key = (entry["module"], entry["where"], entry["was"], entry["now"], entry.get("nth", 1))
            if not reason or key in survivors:
                raise SystemExit(f"tests/mutants.toml: no reason, or twice: {entry}")
            survivors[key] = reason
        return cls(root=root, source=root, survivors=survivors, **settings)

    def copy(self) -> "Project":
        """The same, with package and tests as they are now, whatever is edited later."""
        folder = self.build / "plain"
        shutil.rmtree(folder, ignore_errors=True)
        for name in (self.package, "tests"):
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(self.root / name, folder / name, ignore=skip)
        shutil.copy(self.root / "pyproject.toml", folder)
        return dataclasses.replace(self, source=folder)

    def path(self, module: str) -> Path:
        """The module's file, from the root."""
        return Path(self.package, f"{module.replace('.', '/')}.py")

    def read_module(self, module: str) -> str:
        """The module's text."""
        return (self.source / self.path(module)).read_text(encoding="utf-8")

    def tests(self, module: str) -> list[Path]:
        """The test files that are run on a module, in this order, from the root."""
        found = []
        for pattern in self.modules[module]:
            paths = sorted(p.relative_to(self.source) for p in self.source.glob(f"tests/{pattern}"))
            found += [path for path in paths if path not in found]
        if not found:
            raise SystemExit(f"no test file for {module}: {self.modules[module]}")
        return found

    @property
    def build(self) -> Path:
        """Where copies, logs and results go; nothing in it is committed."""
        return self.root / "build/mutants"


class Session:
    """Results by content: the mutant's whole source and the tests that were run on it."""

    def __init__(self, path: Path, fresh: bool = False):
        self.path, self.results = path, {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            path.unlink(missing_ok=True)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):  # a run that was cut off in a line
                row = json.loads(line)
                self.results[row["hash"]] = row

    def add(self, row: dict) -> None:
        """Keep a result, on disk too."""
        self.results[row["hash"]] = row
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def content_hash(project: Project, module: str, source: str) -> str:
    """Changes with the mutant and with the tests."""
    digest = hashlib.sha256(f"{module}\0{source}".encode())
    for path in [Path("tests/conftest.py"), *project.tests(module)]:
        file = project.source / path
        digest.update(file.read_bytes() if file.exists() else b"")
    return digest.hexdigest()


def installed_modules() -> list[str]:
    """What is imported from the standard library and the installed packages."""
    places = tuple({sys.base_prefix, *site.getsitepackages()})
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return [name for name, file in files.items() if file and file.startswith(places)]


class _FirstFailure:
    """A pytest plugin: write the name of the first test that fails to a file."""

    def __init__(self, path: Path):
        self.path = path

    def note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.failed and not self.path.exists():
            self.path.write_text(report.nodeid, encoding="utf-8")

    pytest_collectreport = note
    pytest_runtest_logreport = note


def run_tests(folder: Path, tests: list[Path], seconds: float, bytecode: bool):
    """In a forked child: run the tests of a copy of the project, and end with pytest's code.

    ``seconds`` of processor time at most; more ends the child with SIGXCPU.
    """
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 5))
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(folder)
        os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder)}
        sys.dont_write_bytecode = not bytecode
        sys.path.insert(0, str(folder))
        options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider"]
        plugin = _FirstFailure(folder / "failed")
        code = pytest.main([*options, *map(str, tests)], plugins=[plugin])
        (folder / "imported").write_text("\n".join(installed_modules()), encoding="utf-8")
        sys.stdout.flush()
    finally:
        os._exit(int(code))


class Slot:
    """A copy of the project, and the child that runs tests on it."""

    def __init__(self, project: Project, folder: Path):
        self.project, self.folder = project, folder
        self.pid = self.mutant = None

    def start(self, tests: list[Path], seconds: float, mutant: Mutant | None = None) -> None:
        """Put the mutant in its place and fork; None: the package as it is."""
        self.mutant = mutant
        if mutant is not None:
            file = self.folder / self.project.path(mutant.module)
            for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
                stale.unlink()
            file.write_text(mutant.source, encoding="utf-8")
        (self.folder / "failed").unlink(missing_ok=True)
        self.began = time.monotonic()
        self.end = self.began + 5 * seconds + 10  # of wall time: for a mutant that waits
        self.pid = os.fork()
        if self.pid == 0:
            run_tests(self.folder, tests, seconds, bytecode=mutant is None)

    def poll(self) -> tuple[str, str] | None:
        """(outcome, which test) when the child has ended, else None."""
        if late := time.monotonic() > self.end:
            self.stop()
        pid, status = os.waitpid(self.pid, 0 if late else os.WNOHANG)
        if pid == 0:
            return None
        self.stop()  # what the tests may have started
        self.pid = None
        failed = self.folder / "failed"
        test = failed.read_text(encoding="utf-8") if failed.exists() else ""
        code = os.waitstatus_to_exitcode(status)
        if late or code == -signal.SIGXCPU:
            return "timeout", test
        if code == 0:
            return "survived", ""
        if code > 3:
            log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"pytest could not run (exit status {code}):\n{log[-3000:]}")
        return "killed", test or f"exit status {code}"

    def stop(self) -> None:
        """End the child and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def baseline(project: Project, module: str) -> float:
    """Run the tests without a mutant; the processor time, or an exit with their output.

    What they imported is then imported here, so that no child has to.
    """
    folder = project.source
    slot = Slot(project, folder)
    before = os.times().children_user
    slot.start(project.tests(module), 600)
    while (result := slot.poll()) is None:
        time.sleep(0.05)
    if result[0] != "survived":
        log = (folder / "log").read_text(encoding="utf-8", errors="replace")
        raise SystemExit(
            f"{module}: its tests fail without any mutant ({result[1]})\n{log[-3000:]}"
        )
    seconds = os.times().children_user - before
    for name in (folder / "imported").read_text(encoding="utf-8").splitlines():
        if name not in sys.modules:
            with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the children's collections need not go through all this again
    return seconds


def run_module(
    project: Project, module: str, keys: dict[Mutant, str], session: Session, jobs: int
) -> None:
    """Test the mutants whose keys the session does not know yet."""
    todo = collections.deque(m for m, key in keys.items() if key not in session.results)
    if not todo:
        return
    seconds = project.grace + 5 * baseline(project, module)
    slots = []
    for i in range(jobs):
        folder = project.build / f"slot{i}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(project.source, folder)
        slots.append(Slot(project, folder))
    tests = project.tests(module)
    try:
        with tqdm(total=len(todo), desc=module, unit="mutant") as bar:
            count = collections.Counter()
            while todo or any(slot.pid for slot in slots):
                for slot in slots:
                    if slot.pid and (result := slot.poll()):
                        outcome, test = result
                        row = {"id": slot.mutant.id, "module": module, "outcome": outcome}
                        row |= {"test": test, "seconds": round(time.monotonic() - slot.began, 2)}
                        session.add({"hash": keys[slot.mutant], **row})
                        count[outcome] += 1
                        bar.set_postfix(count, refresh=False)
                        bar.update()
                    if not slot.pid and todo:
                        slot.start(tests, seconds, todo.popleft())
                time.sleep(0.01)
    finally:
        for slot in slots:
            if slot.pid:
                slot.stop()


@dataclasses.dataclass
class Verdict:
    """What is known of one module."""

    module: str
    mutants: list[Mutant]
    skipped: collections.Counter
    rows: dict[Mutant, dict]

    def count(self, *outcomes: str) -> int:
        """How many mutants ended so."""
        return sum(row["outcome"] in outcomes for row in self.rows.values())

    @property
    def survivors(self) -> Iterator[Mutant]:
        """Mutants that no test noticed."""
        return (mutant for mutant, row in self.rows.items() if row["outcome"] == "survived")


def table(verdicts: list[Verdict]) -> str:
    """The markdown table: one line a module, and the sum."""
    lines = ["| module | mutants | killed | timeouts | survived | killed, % |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    total = [0, 0, 0, 0]
    rows = []
    for v in verdicts:
        numbers = [len(v.rows), *map(v.count, ("killed", "timeout", "survived"))]
        total = [a + b for a, b in zip(total, numbers, strict=True)]
        rows.append((f"`{v.module}`", numbers))
    for name, numbers in [*rows, ("all", total)]:
        share = 100 * (numbers[1] + numbers[2]) / max(1, numbers[0])
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} | {share:.1f} |")
    return "\n".join(lines)


def problems(project: Project, verdicts: list[Verdict]) -> list[str]:
    """Why the run is not good enough; empty when it is."""
    found = []
    total = sum(len(v.rows) for v in verdicts)
    share = sum(v.count(*KILLED) for v in verdicts) / max(1, total)
    if share < project.floor:
        found.append(f"{share:.1%} of the mutants are killed, {project.floor:.0%} is the least")
    alive = {mutant.key: mutant for v in verdicts for mutant in v.survivors}
    for key, mutant in alive.items():
        if key not in project.survivors:
            found.append(f"not explained: {mutant.id} {mutant.module}.{mutant.where}")
    modules = {v.module for v in verdicts}
    for key in project.survivors:
        if key[0] in modules and key not in alive:
            found.append(f"explained, but it does not survive: {' | '.join(map(str, key))}")
    return found


def report(project: Project, verdicts: list[Verdict]) -> str:
    """The page docs/mutation.md."""
    skipped = sum((v.skipped for v in verdicts), collections.Counter())
    versions = [f"Python {platform.python_version()}"]
    for name in ("torch", "pytest", "mutmut"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    lines = [
        "# Mutation run",
        "",
        "Written by `make mutants`; do not edit. Each mutant is the library with one small",
        "mistake in it; it is killed when a test fails on it. The mistakes are mutmut's, and five",
        "more: a dropped statement, raise or decorator, a negated condition, an integer less one.",
        f"A mutant that takes more than {project.grace} seconds and five times what the tests need",
        "is stopped: a timeout, which counts as killed. A survivor that no test can tell from the",
        "original counts as a survivor all the same. The reasons stand in `tests/mutants.toml`.",
        "",
        f"{datetime.date.today().isoformat()}; {', '.join(versions)}.",
        "",
        table(verdicts),
        "",
        "Left alone: " + ", ".join(f"{n} in {why}" for why, n in skipped.most_common()) + ".",
        "",
        "## Survivors",
    ]
    for v in verdicts:
        for mutant in v.survivors:
            reason = project.survivors.get(mutant.key, "**not explained**")
            diff = [f"- {text}" for text in mutant.was.splitlines()]
            diff += [f"+ {text}" for text in mutant.now.splitlines()]
            title = f"### `{v.module}.{mutant.where}` ({mutant.id})"
            lines += ["", title, "", "```diff", *diff, "```", "", reason]
    return "\n".join(lines) + "\n"


def judge(project: Project, module: str, session: Session, jobs: int) -> Verdict:
    """Run what is missing of one module; with no jobs, only look up what is known."""
    mutants, skipped = mutate(project.read_module(module), module)
    keys = {mutant: content_hash(project, module, mutant.source) for mutant in mutants}
    if jobs:
        run_module(project, module, keys, session, jobs)
    rows = {m: session.results[key] for m, key in keys.items() if key in session.results}
    return Verdict(module, mutants, skipped, rows)


def show(project: Project, verdicts: list[Verdict], wanted: str) -> int:
    """Print one mutant as a diff, and what became of it."""
    for v in verdicts:
        for mutant in v.mutants:
            if mutant.id != wanted:
                continue
            name = str(project.path(v.module))
            old = project.read_module(v.module).splitlines()
            new = mutant.source.splitlines()
            print(
                *difflib.unified_diff(old, new, name, f"{name} ({wanted})", lineterm=""), sep="\n"
            )
            row = v.rows.get(mutant, {"outcome": "not run", "test": ""})
            print(f"\n{row['outcome']} {row['test']}".rstrip())
            print(project.survivors.get(mutant.key, "no reason given"))
            return 0
    print(f"no mutant {wanted}; see --list")
    return 1


def main(arguments: list[str] | None = None) -> int:
    """0: enough mutants are killed, and every survivor is explained."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--module", action="append", help="only this module (may be repeated)")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    parser.add_argument("--show", metavar="ID", help="show one mutant and run nothing")
    parser.add_argument("--fresh", action="store_true", help="forget the results of earlier runs")
    parser.add_argument("--jobs", type=int, default=2, help="children at a time (default 2)")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the project")
    options = parser.parse_args(arguments)

    project = Project.read(options.root.resolve())
    modules = options.module or list(project.modules)
    if unknown := set(modules) - set(project.modules):
        parser.error(f"{sorted(unknown)} not in tests/mutants.toml: {sorted(project.modules)}")
    session = Session(project.build / "results.jsonl", options.fresh)
    looking = options.list or options.show
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the children on its way out
    tqdm.monitor_interval = 0  # no thread: this process forks
    jobs = 0 if looking else options.jobs
    if jobs:
        lock = (project.build / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another run is using {project.build}") from None
        project = project.copy()
    verdicts = [judge(project, module, session, jobs) for module in modules]

    if options.show:
        return show(project, verdicts, options.show)
    if options.list:
        for v in verdicts:
            for mutant in v.mutants:
                outcome = v.rows.get(mutant, {"outcome": "not run"})["outcome"]
                place = f"{v.module}.{mutant.where}:{mutant.line}"
                print(f"{mutant.id} {outcome:8} {place}: {mutant.was} -> {mutant.now}")
        return 0
    print(table(verdicts))
    found = problems(project, verdicts)
    print(*found, sep="\n")
    if not options.module:
        path = project.root / "docs/mutation.md"
        path.write_text(report(project, verdicts), encoding="utf-8")
        print(f"written: {path.relative_to(project.root)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
