"""Collecting what a learning platform gave out: nothing bad costs more than itself."""

import io
import os
import stat
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grading.course import GradingError
from grading.intake.archives import Refused, safe_parts
from grading.intake.collect import collect, collect_text
from grading.intake.unpack import Limits

EARLY, LATE = "2026-01-30-20-30-10", "2026-02-01-08-00-00"


def name(student: str, file: str = "work.ipynb", time: str = EARLY) -> str:
    return f"ps1_{student}_attempt_{time}_{file}"


def zipped(files: dict, path: Path | None = None) -> bytes:
    """A zip of names, or ZipInfos, and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    if path:
        path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


@pytest.fixture
def place(tmp_path):
    """Collect into ``submitted``; return the report and what lies there afterwards."""

    def run(source, **options):
        report = collect(source, tmp_path / "submitted", "ps1", **options)
        return report, tree(tmp_path / "submitted")

    yield run
    # nothing outside, no scratch left behind
    assert {path.name for path in tmp_path.iterdir()} <= {
        "submitted",
        "submitted-older",
        "in",
        "in.zip",
        "in.tar",
        "in.tar.gz",
        "secret",
    }
    assert not list(tmp_path.glob("submitted/.*"))


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timestamp.txt"
    }


def problems(report) -> str:
    return "\n".join(report.problems)


def test_folder_of_files(tmp_path, place):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name("ann")).write_text("a")
    (tmp_path / "in" / name("bob", "data/x.csv".replace("/", "_"))).write_text("b")
    (tmp_path / "in/notes.txt").write_text("?")
    report, files = place(tmp_path / "in")
    assert files == {"ann/ps1/work.ipynb": "a", "bob/ps1/data_x.csv": "b"}
    assert [one.state for one in report.students] == ["new", "new"]
    assert report.problems == [
        "notes.txt has a name that does not tell the student; is the pattern right?; left out"
    ]
    stamp = (tmp_path / "submitted/ann/ps1/timestamp.txt").read_text()
    assert stamp == "2026-01-30 20:30:10 UTC\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (name("ann"), "ann/ps1/work.ipynb"),
        (name("ann_lee"), "ann_lee/ps1/work.ipynb"),
        (f"ann_ps1_attempt_{EARLY}_work.ipynb", "ann/ps1/work.ipynb"),
        (f"ann_ps1_attempt_{EARLY}/sub/work.ipynb", "ann/ps1/work.ipynb"),
        ("Ann Lee_1234_assignsubmission_file_/work.ipynb", "1234/ps1/work.ipynb"),
        ("Ann Lee_1234_assignsubmission_file_work.ipynb", "1234/ps1/work.ipynb"),
        ("leeann_12345_678_work.ipynb", "leeann/ps1/work.ipynb"),
        ("leeann_LATE_12345_678_work.ipynb", "leeann/ps1/work.ipynb"),
        (name("李明", "作业 一.ipynb"), "李明/ps1/作业 一.ipynb"),
    ],
)
def test_platforms(tmp_path, place, path, expected):
    zipped({path: "a"}, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {expected: "a"}
    assert report.problems == []


def test_own_pattern(tmp_path, place):
    zipped({"class/ann/work.ipynb": "a", "class/bob/deep/x.ipynb": "b"}, tmp_path / "in.zip")
    pattern = r"class/(?P<student_id>\w+)/(?P<file_id>.+)"
    _, files = place(tmp_path / "in.zip", pattern=pattern)
    assert files == {"ann/ps1/work.ipynb": "a", "bob/ps1/x.ipynb": "b"}


@pytest.mark.parametrize("pattern", ["(", r"(?P<student>\w+)", ""])
def test_pattern_that_is_none(tmp_path, pattern):
    with pytest.raises(GradingError, match="pattern"):
        collect(tmp_path, tmp_path / "submitted", "ps1", pattern=pattern)


def test_source_that_is_not_there(tmp_path):
    with pytest.raises(GradingError, match="there is no"):
        collect(tmp_path / "nothing", tmp_path / "submitted", "ps1")


def test_archive_in_archive(tmp_path, place):
    inner = zipped({"work.ipynb": "a", "data/x.csv": "1"})
    wrapped = zipped({"my work/work.ipynb": "b", "__MACOSX/._work.ipynb": "junk"})
    deep = zipped({"third.zip": zipped({"x": "y"})})
    zipped(
        {name("ann", "x.zip"): inner, name("bob", "x.zip"): wrapped, name("cat", "x.zip"): deep},
        tmp_path / "in.zip",
    )
    report, files = place(tmp_path / "in.zip")
    assert files.pop("cat/ps1/third.zip").startswith("PK")  # not unpacked any deeper
    assert files == {
        "ann/ps1/work.ipynb": "a",
        "ann/ps1/data/x.csv": "1",
        "bob/ps1/work.ipynb": "b",
    }
    assert report.problems == []


@pytest.mark.parametrize("compression", ["", ".gz", ".bz2", ".xz"])
def test_tar(tmp_path, place, compression):
    mode = f"w:{compression[1:]}"
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / f"in/class.tar{compression}", mode) as archive:
        _add(archive, name("ann"), b"a")
    _, files = place(tmp_path / "in")
    assert files == {"ann/ps1/work.ipynb": "a"}


def _add(archive: tarfile.TarFile, file: str, content: bytes = b"", **changes) -> None:
    info = tarfile.TarInfo(file)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


HONEST = {name("zoe"): "honest"}
BAD_NAMES = (
    "../" + name("eve"),
    "x/../../" + name("eve"),
    "/" + name("eve"),
    "\\" + name("eve"),
    "C:\\" + name("eve"),
    "C:" + name("eve"),
    "..\\..\\" + name("eve"),
    name("eve", "../../../up.ipynb"),
    name("eve", "x" * 300 + ".ipynb"),
    name("eve", "a\x1b[31m.ipynb"),
    "/".join(["deep"] * 20) + "/" + name("eve"),
)


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_names_that_lead_out_are_left_out_of_zips(tmp_path, place, bad):
    zipped({bad: "evil"} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert len(report.problems) == 1
    assert report.problems[0].isprintable()


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_names_that_lead_out_are_left_out_of_tars(tmp_path, place, bad):
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        _add(archive, bad, b"evil")
        _add(archive, name("zoe"), b"honest")
    _, files = place(tmp_path / "in.tar")
    assert files == {"zoe/ps1/work.ipynb": "honest"}


@pytest.mark.parametrize(
    "student", ["..", ".", "-rf", ".ssh", "a/b", "a\\b", "", " ", "x" * 300, "a\nb", "C:"]
)
def test_student_that_is_no_name(tmp_path, place, student):
    pattern = r"(?s)(?P<student_id>.*)@(?P<file_id>.+)"
    (tmp_path / "in").mkdir()
    (tmp_path / "in/zoe@work.ipynb").write_text("honest")
    zipped({f"{student}@work.ipynb": "evil"}, tmp_path / "in/class.zip")
    _, files = place(tmp_path / "in", pattern=pattern)
    assert files["zoe/ps1/work.ipynb"] == "honest"
    assert not {"..", ".", "-rf", ".ssh", "C:"} & {path.split("/")[0] for path in files}
    assert all(len(path) < 260 for path in files)


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK]
)
def test_links_and_devices_in_zips(tmp_path, place, kind):
    info = zipfile.ZipInfo(name("eve"))
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    (tmp_path / "secret").write_text("secret")
    zipped({info: str(tmp_path / "secret")} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "is a link or a device; left out" in problems(report)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tars(tmp_path, place, kind):
    (tmp_path / "secret").write_text("secret")
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        _add(archive, name("eve"), type=kind, linkname=str(tmp_path / "secret"))
        _add(archive, name("zoe"), b"honest")
    report, files = place(tmp_path / "in.tar")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "is a link or a device; left out" in problems(report)


def test_links_in_folders(tmp_path, place):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "in" / name("eve")).symlink_to(tmp_path / "secret")
    (tmp_path / "in/away").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "in" / name("zoe")).write_text("honest")
    report, files = place(tmp_path / "in")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert len(report.problems) == 2


def test_link_in_the_place_of_a_submission(tmp_path, place):
    (tmp_path / "secret").mkdir()
    (tmp_path / "submitted").mkdir()
    (tmp_path / "submitted/eve").symlink_to(tmp_path / "secret", target_is_directory=True)
    zipped({name("eve"): "x"} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert not list((tmp_path / "secret").iterdir())
    assert "its folder is a link" in problems(report)


def test_bomb_in_a_students_archive_costs_that_archive(tmp_path, place):
    bomb = zipped({"fine.txt": "a", "zeros.bin": bytes(12 << 20)})
    zipped({name("eve", "x.zip"): bomb} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "is a bomb" in problems(report)
    assert "the whole archive is left out" in problems(report)


def test_bomb_in_a_compressed_tar(tmp_path, place):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        _add(archive, "zeros", bytes(12 << 20))
    zipped({name("eve", "x.tar.gz"): buffer.getvalue()} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "is a bomb" in problems(report)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(entries=3), "more than 3 files"),
        (Limits(archive_bytes=2500), "unpacks to more"),
        (Limits(total_bytes=8000), "unpacks to more"),
    ],
)
def test_limits_of_number_and_size(tmp_path, place, limits, says):
    many = zipped({f"{number}.txt": os.urandom(1000).hex() for number in range(4)})
    zipped({name("eve", "x.zip"): many} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip", limits=limits)
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert says in problems(report)


def test_one_file_that_is_too_large(tmp_path, place):
    inner = zipped({"large.bin": "x" * 5000, "work.ipynb": "a"})
    zipped({name("ann", "x.zip"): inner} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip", limits=Limits(entry_bytes=2000))
    assert files == {"ann/ps1/work.ipynb": "a", "zoe/ps1/work.ipynb": "honest"}
    assert "large.bin" in problems(report)


def test_size_that_the_archive_lies_about(tmp_path, place):
    data = bytearray(zipped({name("eve"): bytes(100_000)} | HONEST))
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "in.zip").write_bytes(data)
    report, files = place(tmp_path / "in.zip", limits=Limits(entry_bytes=50_000))
    assert files["zoe/ps1/work.ipynb"] == "honest"
    assert len(files.get("eve/ps1/work.ipynb", "")) <= 50_000
    assert report.problems


def test_forged_tar_header_does_not_ask_for_memory(tmp_path, place):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 4 << 30
    (tmp_path / "in.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_000))
    report, files = place(tmp_path / "in.tar")
    assert files == {}
    assert "is damaged" in problems(report)


def test_encrypted_entry(tmp_path, place):
    data = bytearray(zipped({name("eve"): "x"} | HONEST))
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "in.zip").write_bytes(data)
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "is encrypted; left out" in problems(report)


def test_damaged_entry_costs_itself(tmp_path, place):
    data = bytearray(zipped({name("eve"): os.urandom(500).hex()} | HONEST))
    at = data.index(b"ipynb") + 40
    data[at : at + 20] = bytes(20)
    (tmp_path / "in.zip").write_bytes(data)
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "eve" in problems(report)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a zip", zipped({"a": "b"})[:-30], b"Rar!\x1a\x07"],
    ids=["empty", "text", "cut off", "rar"],  # the bytes hold the time of day
)
@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.xz", "rar", "7z"])
def test_damaged_archive_costs_itself(tmp_path, place, content, ending):
    zipped({name("eve", f"x.{ending}"): content} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    if content or ending != "tar":
        assert "eve" in problems(report)


def test_tar_that_is_cut_off_keeps_what_comes_before(tmp_path, place):
    with tarfile.open(tmp_path / "in.tar.gz", "w:gz") as archive:
        _add(archive, name("zoe"), b"honest")
        _add(archive, name("eve"), os.urandom(100_000).hex().encode())
    data = (tmp_path / "in.tar.gz").read_bytes()
    (tmp_path / "in.tar.gz").write_bytes(data[: len(data) // 2])
    report, files = place(tmp_path / "in.tar.gz")
    assert files == {"zoe/ps1/work.ipynb": "honest"}
    assert "is damaged" in problems(report)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entry_that_stands_there_twice(tmp_path, place):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr(name("ann"), "first")
        archive.writestr(name("ann"), "second")
    report, files = place(tmp_path / "in.zip")
    assert files == {"ann/ps1/work.ipynb": "first"}
    assert "stands twice in its archive" in problems(report)


def test_names_that_differ_in_case(tmp_path, place):
    zipped({name("ann", "Work.ipynb"): "a", name("ann"): "b"}, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert len(files) == 1
    assert "nothing tells which is newer" in problems(report)
    zipped({name("bob"): "a", name("BOB"): "b"} | HONEST, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert {path.split("/")[0] for path in files} == {"ann", "BOB", "zoe"}
    assert "differ in capital letters only" in problems(report)


def test_file_in_the_place_of_a_folder(tmp_path, place):
    inner = zipped({"a": "1", "a/b": "2", "c": "3"})
    zipped({name("ann", "x.zip"): inner}, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip")
    assert files == {"ann/ps1/a": "1", "ann/ps1/c": "3"}
    assert "not a folder" in problems(report)


def test_latest_attempt_counts_and_the_others_are_kept(tmp_path, place):
    zipped(
        {
            name("ann", time=LATE): "late",
            name("ann", time=EARLY): "early",
            name("ann", "only-once.csv", time=EARLY): "data",
        },
        tmp_path / "in.zip",
    )
    report, files = place(tmp_path / "in.zip")
    assert files == {"ann/ps1/work.ipynb": "late", "ann/ps1/only-once.csv": "data"}
    assert report.students[0].timestamp == datetime(2026, 2, 1, 8, tzinfo=UTC)
    older = {f"ann/ps1/{EARLY}/work.ipynb": "early"}
    assert tree(tmp_path / "submitted-older") == older
    place(tmp_path / "in.zip")
    assert tree(tmp_path / "submitted-older") == older


def test_time_is_the_platforms_not_the_students(tmp_path, place):
    inner = zipped({"timestamp.txt": "1999-01-01 00:00:00 UTC", "work.ipynb": "a"})
    zipped({name("ann", "x.zip", LATE): inner}, tmp_path / "in.zip")
    place(tmp_path / "in.zip")
    stamp = (tmp_path / "submitted/ann/ps1/timestamp.txt").read_text()
    assert stamp == "2026-02-01 08:00:00 UTC\n"


@pytest.mark.parametrize(
    ("first", "second", "force", "state", "content"),
    [
        (EARLY, LATE, False, "replaced", "two"),
        (LATE, EARLY, False, "kept", "one"),
        (EARLY, EARLY, False, "kept", "one"),
        (LATE, EARLY, True, "replaced", "two"),
    ],
)
def test_newer_submissions_stay(tmp_path, place, first, second, force, state, content):
    zipped({name("ann", time=first): "one"}, tmp_path / "in.zip")
    place(tmp_path / "in.zip")
    zipped({name("ann", time=second): "two"}, tmp_path / "in.zip")
    report, files = place(tmp_path / "in.zip", force=force)
    assert [one.state for one in report.students] == [state]
    assert files == {"ann/ps1/work.ipynb": content}
    kept = {f"ann/ps1/{first}/work.ipynb": "one"} if state == "replaced" else {}
    assert tree(tmp_path / "submitted-older") == kept
    assert ("--force replaces them" in collect_text(report)) == (state == "kept")


def test_collecting_twice_changes_nothing(tmp_path, place):
    zipped(HONEST, tmp_path / "in.zip")
    place(tmp_path / "in.zip")
    before = (tmp_path / "submitted/zoe/ps1").stat().st_ino
    report, _ = place(tmp_path / "in.zip")
    assert [one.state for one in report.students] == ["unchanged"]
    assert (tmp_path / "submitted/zoe/ps1").stat().st_ino == before


def test_failure_leaves_the_submission_that_was_there(tmp_path, place, monkeypatch):
    zipped({name("ann"): "one"}, tmp_path / "in.zip")
    place(tmp_path / "in.zip")
    zipped({name("ann", time=LATE): "two"} | HONEST, tmp_path / "in.zip")
    rename = Path.rename

    def failing(self, target):
        if self.parent.name.startswith(".collect-") and "ann" in Path(target).parts:
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    report, files = place(tmp_path / "in.zip")
    assert files == {"ann/ps1/work.ipynb": "one", "zoe/ps1/work.ipynb": "honest"}
    assert "ann could not be written: no space left" in problems(report)


def test_report_as_text(tmp_path, place):
    zipped({"../x": "y"} | HONEST, tmp_path / "in.zip")
    report, _ = place(tmp_path / "in.zip")
    text = collect_text(report)
    assert "zoe" in text
    assert "- ../x has a name that leads out of the folder; left out" in text
    zipped({}, tmp_path / "in.zip")
    assert collect_text(place(tmp_path / "in.zip")[0]) == "There was nothing to collect."


def test_safe_parts():
    assert safe_parts("./a//b\\c") == ("a", "b", "c")
    for bad in ("", ".", "/", "..", "a/../b", "\ud800", "a\0"):
        with pytest.raises((Refused, UnicodeError)):
            safe_parts(bad)
