"""A cluster of several hosts: a worker is killed, one is cut off, the coordinator is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from grading.course import PROJECT

sys.path.insert(0, str(Path(__file__).parent))

import coordinator
import fake_engine
from hosts import Network, NotPermitted, end_group

sys.path.pop(0)

WORKERS = ("a", "b", "c")
COUNT = 500
SECONDS = 0.02
SLOWER = 0.05  # so that a host that is cut off is noticed while there is work left
LIMIT = 150.0  # of patience: a test that hangs fails and does not hold up the others


class Site:
    """The hosts, what runs on them, and what the workers noted."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network, self.folder, self.killed = network, folder, 0
        self.code = folder / "code"
        # A copy: all processes have the same source, whatever is edited meanwhile.
        shutil.copytree(
            PROJECT / "grading", self.code / "grading", ignore=shutil.ignore_patterns("__pycache__")
        )
        self.address = f"tcp://{network.add('head')}:8786"
        network.add("desk")
        self._dask("head", "scheduler", "--port", "8786", "--no-dashboard", "--no-show")
        for host in WORKERS:
            network.add(host)
            self.start_worker(host)

    def environment(self, host: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{self.code}:{Path(__file__).parent}",
            "GRADING_RESULTS": str(self.folder / f"results-{host}"),  # no shared file system
            "FAKE_ENGINE_LOG": str(self.log(host)),
            "DASK_TEMPORARY_DIRECTORY": str(self.folder / f"dask-{host}"),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
        }

    def _dask(self, host: str, *arguments: str, **changes: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "dask", *arguments]
        environment = self.environment(host) | changes
        return self.network.start(
            host, command, self.folder / f"{host}.txt", environment, self.folder
        )

    def start_worker(self, host: str, *more: str, **changes: str) -> subprocess.Popen:
        options = ["--nthreads", "1", "--no-dashboard", "--preload", "grading.cluster.worker"]
        return self._dask(host, "worker", self.address, *options, *more, **changes)

    def start_coordinator(
        self, assignment: str, seconds: float = SECONDS, count: int = COUNT, odd: str = ""
    ) -> subprocess.Popen:
        (self.folder / assignment).mkdir(exist_ok=True)
        command = [sys.executable, coordinator.__file__, self.address, str(self.folder)]
        return self.network.start(
            "desk",
            [*command, assignment, str(count), str(seconds), odd],
            self.folder / f"{assignment}.txt",
            self.environment("desk"),
            self.folder,
        )

    def log(self, host: str) -> Path:
        return self.folder / f"executions-{host}"

    def executions(self, event: str) -> Counter:
        """How often each key was started, or ended, on all workers together."""
        lines = [
            line.split()
            for host in WORKERS
            if self.log(host).is_file()
            for line in self.log(host).read_text(encoding="ascii").splitlines()
        ]
        return Counter(words[1] for words in lines if words[0] == event)

    def pid(self, host: str) -> int:
        """Of the process that grades on this host, by its own word."""
        lines = self.log(host).read_text(encoding="ascii").splitlines()
        return int(next(words[2] for words in map(str.split, reversed(lines)) if len(words) > 2))

    def came(self, assignment: str) -> list[str]:
        path = self.folder / assignment / "came"
        return path.read_text(encoding="ascii").splitlines() if path.is_file() else []

    def wait_for(self, assignment: str, count: int, process: subprocess.Popen) -> None:
        """Until so many results came; a coordinator that ends too early is an error."""
        self.wait_until(lambda: len(self.came(assignment)) >= count, assignment, process)

    def wait_until(self, true, assignment: str, process: subprocess.Popen) -> None:
        until = time.monotonic() + LIMIT
        while not true():
            assert process.poll() is None, self.said(assignment)
            assert time.monotonic() < until, self.said(assignment)
            time.sleep(0.05)

    def wait_for_end(self, assignment: str, process: subprocess.Popen) -> None:
        try:
            assert process.wait(LIMIT) == 0, self.said(assignment)
        except subprocess.TimeoutExpired:
            pytest.fail(f"no end after {LIMIT:.0f} s:\n{self.said(assignment)}")

    def said(self, assignment: str) -> str:
        names = (assignment, "head", *WORKERS)
        return "\n".join(
            f"--- {name}\n" + (self.folder / f"{name}.txt").read_text(errors="replace")[-3000:]
            for name in names
        )

    def check_results(self, assignment: str, seconds: float) -> None:
        """All that is recorded is right, and nothing is missing."""
        bundle = coordinator.bundle(assignment)
        wanted = coordinator.submissions(COUNT, seconds)
        files = list((self.folder / assignment / "records").glob("*/*.json"))
        assert len(files) == COUNT
        by_key = {path.stem: path.read_text(encoding="utf-8") for path in files}
        keys = {}
        for key, text in by_key.items():
            record = fake_engine.Record.from_json(text)
            keys[record.notebooks[0].results[0].message] = key
        for one in wanted:
            key = keys[one.digest]
            assert by_key[key] == fake_engine.record_of(bundle, one, key).to_json()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    try:
        network = Network()
    except NotPermitted as error:
        pytest.skip(f"no network namespaces: {error}")
    try:
        yield Site(network, tmp_path_factory.mktemp("site"))
    finally:
        network.close()


@pytest.mark.slow
def test_killed_coordinator_loses_nothing_and_repeats_nothing_that_was_finished(site):
    first = site.start_coordinator("resumed")
    site.wait_for("resumed", 200, first)
    end_group(first)
    at_once = site.came("resumed")
    time.sleep(1.0)  # what was being graded is finished meanwhile
    finished = set(site.executions("end"))
    assert len(at_once) < COUNT
    assert len(finished) >= len(at_once)
    second = site.start_coordinator("resumed")
    site.wait_for_end("resumed", second)
    site.check_results("resumed", SECONDS)
    came = site.came("resumed")
    assert len(came) == len(set(came))
    assert len(came) >= COUNT - 1  # a kill right after a record was stored leaves its name out
    repeated = {key: n for key, n in site.executions("start").items() if n > 1}
    assert not repeated.keys() & finished
    assert set(site.executions("end")) == set(site.executions("start"))


@pytest.mark.slow
def test_worker_killed_and_worker_cut_off(site):
    before = site.executions("start").total()
    process = site.start_coordinator("faults", SLOWER)
    site.wait_for("faults", 100, process)
    os.kill(site.pid("a"), signal.SIGKILL)
    site.killed += 1
    site.wait_for("faults", 150, process)
    site.network.cable("b", "down")
    try:
        removed = f"Remove worker addr: tcp://{site.network.addresses['b']}:"
        scheduler = site.folder / "head.txt"
        site.wait_until(lambda: removed in scheduler.read_text(), "faults", process)
        assert process.poll() is None  # b comes back while the batch is going on
    finally:
        site.network.cable("b", "up")
    site.wait_for_end("faults", process)
    site.check_results("faults", SLOWER)
    assert sorted(site.came("faults")) == [f"student-{number:03d}" for number in range(COUNT)]
    # Again was graded only what the two had: one at work and two waiting each, or not fetched yet.
    assert site.executions("start").total() - before <= COUNT + 12


@pytest.mark.slow
def test_strange_workers_get_nothing_and_a_poisoned_submission_costs_itself_only(site):
    changed = site.folder / "changed"
    shutil.copytree(site.code, changed)
    (changed / "grading" / "marks.py").write_text("# another version\n", encoding="utf-8")
    strange = {"PYTHONPATH": f"{changed}:{Path(__file__).parent}"}
    for host, changes in (("old", strange), ("weak", {"FAKE_ENGINE_REFUSES": "1"})):
        site.network.add(host)
        site.start_worker(host, "--no-nanny", **changes)
    logs = [site.folder / f"{host}.txt" for host in ("old", "weak")]
    deadline = time.monotonic() + LIMIT
    while not all("Registered to" in log.read_text() for log in logs):
        assert time.monotonic() < deadline, logs[0].read_text() + logs[1].read_text()
        time.sleep(0.1)
    process = site.start_coordinator("strange", count=40, odd="die")
    site.wait_for_end("strange", process)
    said = (site.folder / "strange.txt").read_text()
    assert "is refused: grading is " in said
    assert "no sandbox on this machine" in said
    assert len(site.came("strange")) == 41
    files = (site.folder / "strange" / "records").glob("*/*.json")
    records = [fake_engine.Record.from_json(path.read_text()) for path in files]
    assert len(records) == 41
    (failed,) = (record for record in records if record.status == fake_engine.FAILED)
    assert "tried 3 times" in failed.message
    assert not site.log("old").exists()
    assert not site.log("weak").exists()
    deaths = sum((site.folder / f"{host}.txt").read_text().count("by signal 9") for host in WORKERS)
    assert deaths == 3 + site.killed


@pytest.mark.slow
def test_engine_itself_grades_on_the_workers(site):
    """A sandbox in each worker, on hosts that share nothing."""
    process = site.start_coordinator("real", count=30)
    if process.wait(LIMIT):
        said = (site.folder / "real.txt").read_text()
        assert "sandbox" in said, site.said("real")
        pytest.skip(f"this machine gives no sandbox: {said[-500:]}")
    files = list((site.folder / "real" / "records").glob("*/*.json"))
    records = [fake_engine.Record.from_json(path.read_text(encoding="utf-8")) for path in files]
    assert {record.status for record in records} == {"graded"}
    scores = Counter(record.results["one/test-double"].score for record in records)
    assert scores == {2.0: 20, 0.0: 10}
    assert sorted(site.came("real")) == [f"student-{number:03d}" for number in range(30)]
