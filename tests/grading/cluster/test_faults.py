"""Retry, refusal, late and damaged results, submissions that kill workers: without a cluster."""

import argparse
import dataclasses
import sys
import types
from concurrent.futures import CancelledError, Future
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="distributed is not installed")

from distributed.scheduler import KilledWorker

from grading.cluster import batch as batch_module
from grading.cluster import engine as engine_module
from grading.cluster import worker as worker_module
from grading.cluster.batch import Batch, BundleMissing, Case, WorkerUnfit
from grading.cluster.engine import ClusterEngine, why_refused
from grading.cluster.options import add_scheduler_option, engine_from
from grading.cluster.worker import Desk, Order, pack_files, unpack_files
from grading.course import GradingError
from grading.engine.environment import environment
from grading.engine.pool import Submission
from grading.engine.record import FAILED, GRADED, record_key
from grading.results import ResultStore

sys.path.insert(0, str(Path(__file__).parent))
from coordinator import bundle
from fake_engine import record_of

sys.path.pop(0)

TINY = bundle("tiny")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(batch_module, "POLL_SECONDS", 0.02)


def submission(student: str, text: str = "") -> Submission:
    return Submission(student, {"one.ipynb": (text or student).encode()})


def case(one: Submission) -> Case:
    return Case(one, record_key(one.digest, TINY.digest, "env"), [one.student])


def right(one: Submission):
    return record_of(TINY, one, case(one).key)


def died(allowed: int = 0) -> KilledWorker:
    return KilledWorker("grade-1", types.SimpleNamespace(address="tcp://10.0.0.1:1"), allowed)


class Cluster:
    """Answers each try of a student with the next outcome of a script; then with the truth."""

    def __init__(self, script: dict | None = None, room: int = 3) -> None:
        self.script = {student: list(outcomes) for student, outcomes in (script or {}).items()}
        self.room, self.kept, self.offers = room, {}, 0
        self.sent, self.beside, self.said, self.open = [], [], [], {}

    def send(self, one: Case) -> Future:
        student = one.submission.student
        self.sent.append(student)
        future = self.open[student, one.sent] = Future()
        self.beside.append({name for (name, _), other in self.open.items() if not other.done()})
        outcome = self.script.get(student) and self.script[student].pop(0)
        if outcome is None or outcome == []:
            future.set_result(right(one.submission).to_json())
        elif isinstance(outcome, BaseException):
            future.set_exception(outcome)
        elif outcome != "silence":
            future.set_result(outcome)
        return future

    def offer(self) -> None:
        self.offers += 1

    def batch(self, **more) -> Batch:
        return Batch(
            TINY.assignment,
            self.send,
            lambda: self.room,
            self.kept.get,
            self.offer,
            say=self.said.append,
            **more,
        )

    def grade(self, *students: str, **more) -> dict:
        results = list(self.batch(**more).run(case(submission(name)) for name in students))
        assert len(results) == len({student for student, _ in results})
        return dict(results)


def test_all_are_graded_and_no_more_are_on_their_way_than_there_is_room():
    cluster = Cluster()
    names = [f"s{n}" for n in range(20)]
    results = cluster.grade(*names)
    assert results == {name: right(submission(name)) for name in names}
    assert max(map(len, cluster.beside)) <= 3
    assert cluster.sent == names


def test_submissions_are_read_as_they_are_needed():
    cluster, taken = Cluster(room=2), []

    def coming():
        for number in range(10):
            taken.append(number)
            yield case(submission(f"s{number}"))

    next(cluster.batch().run(coming()))
    assert len(taken) <= 3


@pytest.mark.parametrize(
    "trouble",
    [
        died(),
        WorkerUnfit("no sandbox"),
        BundleMissing("gone"),
        CancelledError(),
        TimeoutError(),
        RuntimeError("the engine is out of order"),
        "not JSON",
        "{}",
        "null",
    ],
    ids=lambda trouble: (
        type(trouble).__name__ + ("" if isinstance(trouble, Exception) else trouble)
    ),
)
def test_trouble_is_tried_again(trouble):
    cluster = Cluster({"bela": [trouble]})
    results = cluster.grade("ada", "bela", "chen")
    assert results["bela"] == right(submission("bela"))
    assert cluster.sent.count("bela") == 2
    assert cluster.said
    assert "bela" in cluster.said[0]
    assert cluster.offers == isinstance(trouble, BundleMissing)


def test_send_that_fails_is_tried_again():
    cluster, answers = Cluster(), [RuntimeError("Client not running"), None]
    send = cluster.send

    def sometimes(one):
        if error := answers.pop(0):
            raise error
        return send(one)

    cluster.send = sometimes
    assert cluster.grade("ada")["ada"].status == GRADED


def test_submission_that_kills_three_workers_fails_with_a_message_and_only_that():
    cluster = Cluster({"dora": [died()] * 9})
    results = cluster.grade("ada", "dora", "chen", "emil")
    assert cluster.sent.count("dora") == 3
    assert cluster.beside[-1] == {"dora"}  # the last try was alone
    assert results["dora"].status == FAILED
    assert "3 times" in results["dora"].message
    assert "the worker died" in results["dora"].message
    assert "10.0.0.1" not in results["dora"].message
    assert all(results[name].status == GRADED for name in ("ada", "chen", "emil"))


def test_bystander_of_many_deaths_is_acquitted():
    """With Dask's default, a task is reported only after four workers have died."""
    cluster = Cluster({"ada": [died(3)]})
    assert cluster.grade("ada", "bela")["ada"].status == GRADED
    assert cluster.sent == ["ada", "bela", "ada"]


def test_suspects_are_tried_one_at_a_time_after_all_others():
    cluster = Cluster({"ada": [died(), died()], "bela": [died(), died()]})
    results = cluster.grade("ada", "bela", "chen", "dora", "emil", "finn")
    assert {record.status for record in results.values()} == {GRADED}
    assert set(cluster.sent[-2:]) == {"ada", "bela"}


@pytest.mark.parametrize("outcome", [RuntimeError("the engine is out of order"), "garbage"])
def test_engine_that_fails_three_times_gives_a_failed_record(outcome):
    cluster = Cluster({"ada": [outcome] * 9})
    record = cluster.grade("ada", "bela")["ada"]
    assert cluster.sent.count("ada") == 3
    assert record.status == FAILED
    assert "3 times" in record.message
    assert "not a zero" in record.message
    record.to_json()


def test_losses_are_bounded_too():
    cluster = Cluster({"ada": [CancelledError()] * 99})
    assert cluster.grade("ada")["ada"].status == FAILED
    assert cluster.sent.count("ada") == batch_module.PATIENCE_WITH_LOSSES


@pytest.mark.parametrize("change", ["key", "assignment"])
def test_record_of_something_else_is_not_taken(change):
    false = dataclasses.replace(right(submission("ada")), **{change: "0" * 64})
    cluster = Cluster({"ada": [false.to_json()]})
    assert cluster.grade("ada")["ada"] == right(submission("ada"))
    assert "something else" in cluster.said[0]


def test_late_result_is_not_counted_twice():
    cluster = Cluster({"ada": ["silence"], "bela": ["silence"]})
    batch = cluster.batch()
    running = batch.run(case(submission(name)) for name in ("ada", "bela", "chen"))
    assert next(running)[0] == "chen"
    # The host of ada's try is cut off: the try is given up, and a second one begins.
    batch._done.put(((case(submission("ada")).key, 1), died()))
    assert next(running)[0] == "ada"
    cluster.open["ada", 1].set_result(right(submission("ada")).to_json())
    cluster.open["bela", 1].set_result(right(submission("bela")).to_json())
    assert [student for student, _ in running] == ["bela"]


def test_same_files_of_two_students_are_graded_once_while_on_their_way():
    cluster = Cluster()
    cases = [case(submission(name, "stub")) for name in ("ada", "bela", "chen")]
    results = dict(cluster.batch().run(cases))
    assert set(results) == {"ada", "bela", "chen"}
    assert results["ada"] == results["bela"]
    assert results["ada"] is not results["bela"]  # the caller may add notes to each
    assert len(cluster.sent) == 1


def test_results_that_workers_kept_are_fetched_and_not_graded_again():
    cluster = Cluster()
    cluster.kept = {
        case(submission("ada")).key: right(submission("ada")).to_json(),
        case(submission("bela")).key: "damaged",
    }
    results = cluster.grade("ada", "bela")
    assert results["ada"] == right(submission("ada"))
    assert cluster.sent == ["bela"]


def test_without_workers_it_says_so_and_ends():
    cluster = Cluster(room=0)
    with pytest.raises(GradingError, match="no worker could take a submission for 0 seconds"):
        cluster.grade("ada", wait=0.1)
    assert cluster.grade(wait=0.1) == {}  # nothing to do needs no worker


def test_why_no_worker_is_left_is_said():
    cluster = Cluster({"ada": [WorkerUnfit("tcp://a: no sandbox on this machine")]}, room=1)
    batch = cluster.batch(wait=0.1)
    rooms = iter([1])
    batch._capacity = lambda: next(rooms, 0)
    with pytest.raises(GradingError, match="no sandbox on this machine"):
        list(batch.run([case(submission("ada"))]))


def test_what_is_on_its_way_is_cancelled_when_the_caller_stops():
    cluster = Cluster({"bela": ["silence"]})
    running = cluster.batch().run(case(submission(name)) for name in ("ada", "bela"))
    next(running)
    running.close()
    assert cluster.open["bela", 1].cancelled()


# ---------------------------------------------------------------- refusal


class FakeClient:
    """As much of distributed.Client as the checks ask."""

    def __init__(self, workers, answers=None, scheduler=None):
        self.workers, self.answers, self.scheduler = workers, answers or {}, scheduler
        self.ran, self.closed = [], False

    def run_on_scheduler(self, function):
        if isinstance(self.scheduler, Exception):
            raise self.scheduler
        return self.scheduler or environment()

    def scheduler_info(self):
        return {"workers": self.workers}

    def run(self, function, *arguments, workers, on_error):
        self.ran.append(function.__name__)
        return {address: self.answers[address] for address in workers}

    def close(self, timeout):
        self.closed = True


def connected(monkeypatch, client, **more):
    monkeypatch.setattr(engine_module, "Client", lambda *args, **kwargs: client)
    said = []
    engine = ClusterEngine("tcp://head:8786", wait=0.1, say=said.append, **more)
    return engine, said


def grader(engine, threads=2):
    return {"nthreads": threads, "resources": {engine.resource: threads}}


OTHER = {"nthreads": 1, "resources": {}}


def test_worker_that_differs_is_refused_by_name_and_the_others_grade(monkeypatch):
    client = FakeClient({})
    engine, said = connected(monkeypatch, client)
    client.workers = {"tcp://a": grader(engine), "tcp://b": OTHER, "tcp://c": OTHER}
    client.answers = {
        "tcp://b": environment() | {"torch": "1.0"},
        "tcp://c": ModuleNotFoundError("No module named 'grading'"),
    }
    with engine:
        assert engine.graders() == {"tcp://a": 2}
    text = "\n".join(said)
    assert "tcp://b is refused: torch is 1.0 there and" in text
    assert "tcp://c is refused" in text
    assert "No module named 'grading'" in text
    assert client.closed
    assert client.ran == ["environment"]  # nothing of the course was sent


def test_without_a_matching_worker_nothing_is_sent(monkeypatch):
    answers = {"tcp://b": environment() | {"numpy": "1.0"}}
    client = FakeClient({"tcp://b": OTHER}, answers)
    engine, _ = connected(monkeypatch, client)
    with pytest.raises(GradingError, match=r"tcp://b: numpy is 1\.0 there"), engine:
        pass
    assert client.closed
    assert set(client.ran) == {"environment"}


def test_instruction_set_and_system_refuse_nobody():
    assert "--preload" in why_refused(environment() | {"instruction set": "none", "system": "x"})


@pytest.mark.parametrize(
    ("scheduler", "says"),
    [
        ({"grading": "old"}, "grading is old there"),
        (ModuleNotFoundError("No module named 'grading'"), "install the same software"),
    ],
    ids=["differs", "lacks it"],
)
def test_scheduler_that_differs_is_refused(monkeypatch, scheduler, says):
    if isinstance(scheduler, dict):
        scheduler = environment() | scheduler
    engine, _ = connected(monkeypatch, FakeClient({}, scheduler=scheduler))
    with pytest.raises(GradingError, match=says), engine:
        pass


def test_no_scheduler_is_an_error_that_says_what_to_do(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(engine_module, "Client", refuse)
    with pytest.raises(GradingError, match="dask scheduler"), ClusterEngine("tcp://head:8786"):
        pass


# ---------------------------------------------------------------- the worker's side


class FakeWorker:
    address = "tcp://10.0.0.1:1"

    def __init__(self):
        self.state = types.SimpleNamespace(total_resources={"grading-env": 2})
        self.scheduler = types.SimpleNamespace(set_resources="set_resources")
        self.contact_address, self.loop = self.address, None


@pytest.fixture
def desk(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADING_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("FAKE_ENGINE_LOG", str(tmp_path / "log"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    desk = Desk()
    desk.setup(FakeWorker())
    desk._bundles[TINY.digest] = TINY
    return desk


def order(one: Submission, **changes) -> Order:
    whole = Order(
        one.student,
        case(one).key,
        one.digest,
        pack_files(one.files),
        TINY.digest,
        "fake_engine:FakeEngine",
        {"environment": "env"},
    )
    return dataclasses.replace(whole, **changes)


def test_worker_answers_a_second_time_from_what_it_kept(desk, tmp_path):
    first = desk.grade(order(submission("ada")))
    assert first == right(submission("ada")).to_json()
    assert desk.grade(order(submission("ada"))) == first
    assert (tmp_path / "log").read_text().count("start") == 1
    key = order(submission("ada")).key
    assert worker_module.kept(TINY.digest) == [key]
    assert worker_module.fetch(TINY.digest, key) == first
    assert desk.grade(order(submission("ada"), fresh=True)) == first
    assert (tmp_path / "log").read_text().count("start") == 2
    worker_module.forget(TINY.digest)
    assert worker_module.kept(TINY.digest) == []


def test_full_disk_costs_no_result(desk, monkeypatch):
    def full(self, record):
        raise OSError("No space left on device")

    monkeypatch.setattr(ResultStore, "put", full)
    assert desk.grade(order(submission("ada"))) == right(submission("ada")).to_json()


def test_damaged_submission_is_not_graded(desk, tmp_path):
    with pytest.raises(batch_module.Damaged):
        desk.grade(order(submission("ada"), files=pack_files({"one.ipynb": b"other"})))
    assert not (tmp_path / "log").exists()


def test_engine_that_fails_is_replaced(desk):
    bad = Submission("bela", {"orders": b"raise"})
    with pytest.raises(RuntimeError, match="out of order"):
        desk.grade(order(bad))
    assert not any(desk._idle.values())
    assert desk.grade(order(submission("ada")))


def test_engine_is_kept_and_closed_in_the_end(desk):
    for student in ("ada", "bela"):
        desk.grade(order(submission(student)))
    (kept,) = desk._idle.values()
    assert len(kept) == 1
    closed = []
    kept[0].callback(lambda: closed.append(True))
    desk.teardown(desk.worker)
    assert closed == [True]


def test_worker_whose_engine_does_not_start_asks_for_no_more_work(desk, monkeypatch):
    told = []
    monkeypatch.setenv("FAKE_ENGINE_REFUSES", "1")
    monkeypatch.setattr(worker_module, "sync", lambda loop, what, **how: told.append((what, how)))
    with pytest.raises(WorkerUnfit, match="no sandbox on this machine"):
        desk.grade(order(submission("ada")))
    nothing = {"resources": {"grading-env": 0}, "worker": "tcp://10.0.0.1:1"}
    assert told == [("set_resources", nothing)]
    assert desk.worker.state.total_resources == {"grading-env": 2}  # what it has, it refuses


def test_assignment_that_the_scheduler_lacks(desk, monkeypatch):
    desk.worker.scheduler = types.SimpleNamespace(get_metadata=None)
    monkeypatch.setattr(worker_module, "sync", lambda *args, **kwargs: None)
    with pytest.raises(BundleMissing):
        desk.bundle("0" * 64)


def test_results_folder_of_someone_else_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADING_RESULTS", str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(GradingError, match="belongs to someone else"):
        worker_module.results_folder()


def test_files_travel_as_bytes_whatever_their_names():
    files = {"a b/é.ipynb": b"\x00\xff", "中.txt": b"", "odd-\udcff": b"x" * 100_000}
    packed = pack_files(files)
    assert isinstance(packed, bytes)
    assert len(packed) < 2000
    assert unpack_files(packed) == files


# ---------------------------------------------------------------- options


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_scheduler_option(parser)
    return parser.parse_args(arguments)


def test_without_scheduler_this_machine_grades():
    assert engine_from(options()) is None


def test_options_make_an_engine():
    engine = engine_from(
        options("--scheduler", "tcp://head:8786", "--wait-for-workers", "5"), sandbox=False
    )
    assert (engine.address, engine.wait) == ("tcp://head:8786", 5.0)
    assert engine.options["sandbox"] is False


def test_certificates_go_to_tls_only(tmp_path):
    given = ["--tls-ca-file", "ca.pem", "--tls-cert", "me.pem", "--tls-key", "me.key"]
    with pytest.raises(GradingError, match="tls://"):
        engine_from(options("--scheduler", "tcp://head:8786", *given))
    engine = engine_from(options("--scheduler", "tls://head:8786", *given))
    assert engine.security.tls_ca_file == "ca.pem"
    assert engine.security.require_encryption
