"""Reading submissions: what is found, and what is left alone."""

import os

import pytest

from grading import submitted
from grading.stock import Stock, scratch
from grading.submitted import Submission, find_submissions, read_submission_files

TINY = "01-tiny"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def read(folder, ignored=(".ipynb_checkpoints", "*.pyc")) -> Submission:
    return read_submission_files("ada", folder, ignored)


def test_all_files_are_read_as_bytes(folder):
    (folder / "data").mkdir()
    (folder / "data" / "Größe 漢字.csv").write_bytes(b"\xff\x00")
    (folder / "numbers.ipynb").write_bytes(b"{")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "numbers-checkpoint.ipynb").write_bytes(b"old")
    (folder / "timestamp.txt").write_text("2026-01-01 00:00:00 UTC\n")
    (folder / "submission_secret.txt").write_text("secret")
    found = read(folder)
    assert found.files == {"data/Größe 漢字.csv": b"\xff\x00", "numbers.ipynb": b"{"}
    assert found.timestamp == "2026-01-01 00:00:00 UTC"
    assert found.notes == ()


def test_digest_depends_on_content_and_not_on_the_time(folder):
    (folder / "a.txt").write_bytes(b"1")
    first = read(folder).digest
    (folder / "timestamp.txt").write_text("2026-01-01 00:00:00 UTC")
    assert read(folder).digest == first
    (folder / "a.txt").write_bytes(b"2")
    assert read(folder).digest != first


def test_links_pipes_and_devices_are_not_opened(folder, tmp_path):
    (tmp_path / "secret").write_text("42")
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "nothing").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")  # opening it the usual way would wait for ever
    (folder / "timestamp.txt").symlink_to(tmp_path / "secret")
    found = read(folder)
    assert found.files == {}
    assert found.timestamp == ""
    assert sorted(found.notes) == [
        "file was not read: it is a symbolic link.",
        "folder was not read: it is a symbolic link.",
        "nothing was not read: it is a symbolic link.",
        "pipe was not read: it is not an ordinary file.",
    ]


def test_what_is_too_much_is_named_and_left_out(folder, monkeypatch):
    monkeypatch.setattr(submitted, "MAX_FILE", 1000)
    monkeypatch.setattr(submitted, "MAX_TOTAL", 1500)
    monkeypatch.setattr(submitted, "MAX_FILES", 3)
    (folder / "a.txt").write_bytes(b"x" * 1000)
    (folder / "b.txt").write_bytes(b"x" * 1001)
    (folder / "c.txt").write_bytes(b"x" * 600)
    (folder / "d.txt").write_bytes(b"x" * 400)
    assert set(read(folder).files) == {"a.txt", "d.txt"}
    assert [note.split(":")[0] for note in read(folder).notes] == [
        "b.txt was not read",
        "c.txt was not read",
    ]
    unread = read(folder).digest
    (folder / "b.txt").unlink()
    (folder / "c.txt").unlink()
    assert set(read(folder).files) == {"a.txt", "d.txt"}
    assert read(folder).digest != unread  # another record, which says something else
    for name in "efgh":
        (folder / f"{name}.txt").write_bytes(b"")
    assert len(read(folder).files) == 3
    assert read(folder).notes == ("Only the first 3 files were read.",)


def test_a_file_of_gigabytes_is_not_read(folder):
    with open(folder / "numbers.ipynb", "wb") as file:
        file.truncate(3 << 30)  # sparse: it takes no room on the disk
    (note,) = read(folder).notes
    assert note.startswith("numbers.ipynb was not read: it has 3072 MiB; at most 64 MiB a file")


def test_folders_without_end_are_cut_off(folder):
    deep = folder
    for _ in range(30):
        deep = deep / "x"
        deep.mkdir()
    (deep / "file").write_bytes(b"1")
    found = read(folder)
    assert found.files == {}
    assert "too deep" in found.notes[0]


def test_a_name_that_is_no_text_is_named(folder):
    with open(os.fsencode(folder) + b"/\xff.txt", "wb") as file:
        file.write(b"1")
    assert read(folder).notes == ("\\udcff.txt was not read: its name is not UTF-8 text.",)


def test_submissions_are_found_and_odd_ones_are_listed(course, tmp_path):
    stock = Stock(course, scratch(tmp_path / "scratch"))
    root = tmp_path / "scratch" / "submitted"
    for name in ("ada", "b c", "ćh 漢字", "a[d]*", "..x", " blank"):
        (root / name / TINY).mkdir(parents=True)
    (root / "dora").mkdir()
    (root / "dora" / TINY).write_text("a file")
    (root / "emil").mkdir()
    (root / "emil" / TINY).symlink_to(root / "ada" / TINY)
    (root / "finn").symlink_to(root / "ada")
    (root / "gil" / "02-other").mkdir(parents=True)
    (root / "readme.txt").write_text("x")
    found = find_submissions(stock.directory, TINY)
    assert set(found.folders) == {"ada", "b c", "ćh 漢字", "a[d]*"}
    assert found.folders["ada"] == root / "ada" / TINY
    assert set(found.odd) == {"dora", "emil", "finn", "..x", " blank"}
    assert "not followed" in found.odd["emil"]
    assert "not followed" in found.odd["finn"]
    assert find_submissions(stock.directory, "03-none").folders == {}


def test_another_structure_of_folders(course, tmp_path):
    overrides = scratch(tmp_path / "scratch")
    structure = "{nbgrader_step}/{assignment_id}/{student_id}"
    overrides["CourseDirectory"]["directory_structure"] = structure
    (tmp_path / "scratch/submitted" / TINY / "ada").mkdir(parents=True)
    found = find_submissions(Stock(course, overrides).directory, TINY)
    assert list(found.folders) == ["ada"]
