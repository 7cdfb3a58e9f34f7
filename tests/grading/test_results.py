"""The store of records: what a crash, a damaged file or a foreign file cannot do."""

import json
import multiprocessing
import os
import signal
import time

import pytest

from grading.engine.record import GRADED, WRONG, NotebookRecord, Record, Result
from grading.results import ResultStore, write_atomically


def key(number: int) -> str:
    return f"{number:064x}"


def record(number: int = 7, score: float = 2.0, **changes) -> Record:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": "Größe 漢字 " + "x" * 2000}]
    results = [Result("test-double", WRONG, score, 3.0, "double(3) must be 6")]
    notebook = NotebookRecord("numbers", results, cells)
    return Record(key(number), "01-tiny", GRADED, notebooks=[notebook], **changes)


@pytest.fixture
def store(tmp_path) -> ResultStore:
    return ResultStore(tmp_path / "results")


def test_a_record_comes_back_as_it_was_put(store):
    assert store.get(key(7)) is None
    assert store.known([key(7)]) == set()
    store.put(record(measures={"wall": 1.5}))
    assert store.get(key(7)) == record(measures={"wall": 1.5})
    assert store.known([key(7), key(8)]) == {key(7)}
    assert store.path(key(7)).relative_to(store.folder).as_posix() == f"00/{key(7)}.json"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"key": 1}',
        json.dumps(json.loads(record().to_json()) | {"notebooks": [7]}).encode(),
        json.dumps(json.loads(record().to_json()) | {"surprise": 1}).encode(),
        record(8).to_json().encode(),  # a record, but of another key
        b"[" * 100_000,
    ],
)
def test_a_damaged_or_foreign_file_is_set_aside_with_a_warning(store, content):
    path = store.path(key(7))
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"not trusted.*graded anew"):
        assert store.get(key(7)) is None
    assert not path.exists()
    (aside,) = path.parent.iterdir()
    assert aside.read_bytes() == content
    store.put(record())
    assert store.get(key(7)) == record()


@pytest.mark.parametrize("wrong", ["", "../../etc/passwd", "A" * 64, key(1) + "0"])
def test_a_key_is_never_taken_for_a_path(store, wrong):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        store.get(wrong)


def test_a_new_verdict_on_the_same_key_keeps_the_old_one(store):
    first, second = record(score=1.0), record(score=3.0)
    for one in (first, second, second):
        store.put(one)
        store.note("ada", one)
    assert store.get(key(7)) == second
    entries = store.history("ada", "01-tiny")
    assert [store.earlier(entry) for entry in entries] == [first, second, second]
    assert store.history("bela", "01-tiny") == []
    assert store.history("ada", "02-other") == []


def test_history_survives_a_line_that_a_crash_cut_off(store):
    store.note("ada", record(1))
    with (store.folder / "history.jsonl").open("a") as file:
        file.write('\n{"student": "ada", "assig')
    store.note("ada", record(2))
    assert [entry["key"] for entry in store.history("ada", "01-tiny")] == [key(1), key(2)]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def put_for_ever(folder, finished) -> None:
    store, number = ResultStore(folder), 0
    while True:
        store.put(record(number % 40, score=float(number)))
        number += 1
        finished.value = number


@pytest.mark.slow
def test_a_writer_that_is_killed_loses_nothing_that_was_finished(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        finished = context.Value("i", 0)
        writer = context.Process(target=put_for_ever, args=(folder, finished))
        writer.start()
        deadline = time.monotonic() + 60
        while finished.value < 10 + 23 * attempt and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        done = finished.value
        assert done >= 10 + 23 * attempt, "the writer was too slow to be killed"
        for path in folder.glob("*/*.json"):
            Record.from_json(path.read_text(encoding="utf-8"))
        for number in range(max(0, done - 40), done):
            found = ResultStore(folder).get(key(number % 40))
            assert found.results["numbers/test-double"].score >= number
