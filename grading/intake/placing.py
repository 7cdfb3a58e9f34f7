"""Writing one student's submission, all of it or nothing."""

import contextlib
import filecmp
import itertools
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from dateutil import parser

from grading.intake.archives import Refused
from grading.intake.files import shown_name
from grading.intake.unpack import Entry

TIMESTAMP_FILE = "timestamp.txt"


@dataclass
class Collected:
    """What came of one student: ``state`` is new, replaced, unchanged or kept."""

    student: str
    state: str
    files: list[str]
    timestamp: datetime | None = None
    older: int = 0


@dataclass
class Report:
    """What was collected, and what was not, and why."""

    students: list[Collected] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class File:
    """One version of one file of a student."""

    path: tuple[str, ...]
    entry: Entry
    timestamp: datetime | None
    order: int

    @property
    def age(self) -> tuple:
        """Sorts versions: the last is the one that counts."""
        told = self.timestamp or self.entry.modified or datetime.min.replace(tzinfo=UTC)
        return self.timestamp is not None, told, self.order


def versions_of(files: Sequence[File], report: Report) -> list[list[File]]:
    """The versions of each file, the one that counts last; names that differ in case are one."""
    found: dict[tuple[str, ...], list[File]] = defaultdict(list)
    files = _without_common_folder(files)
    for one in files:
        found[tuple(part.casefold() for part in one.path)].append(one)
    for path, versions in sorted(found.items()):
        versions.sort(key=lambda one: one.age)
        name = shown_name("/".join(versions[-1].entry.parts))
        if len(versions) > 1 and versions[-1].age[:2] == versions[-2].age[:2]:
            report.problems.append(
                f"{name} stands there twice and nothing tells which is newer; the last one counts"
            )
        if path == (TIMESTAMP_FILE,):  # ours to write: it decides what is late
            del found[path]
        elif any(path[:end] in found for end in range(1, len(path))):
            report.problems.append(f"{name} lies in what is a file, not a folder; left out")
            del found[path]
    return list(found.values())


def _without_common_folder(files: Sequence[File]) -> list[File]:
    """Whoever packs a folder means what is in it."""
    files = list(files)
    while all(len(one.path) > 1 for one in files) and len({one.path[0] for one in files}) == 1:
        files = [replace(one, path=one.path[1:]) for one in files]
    return files


def place(
    student: str, versions: Sequence[list[File]], target: Path, older: Path, force: bool, new: Path
) -> Collected:
    """Write one submission, all of it or nothing."""
    newest = [files[-1] for files in versions]
    told = max((one.timestamp for one in newest if one.timestamp), default=None)
    modified = max((one.entry.modified for one in newest if one.entry.modified), default=None)
    made = Collected(student, "new", sorted("/".join(one.path) for one in newest), told or modified)
    if target.parent.is_symlink() or target.is_symlink():
        raise Refused("its folder is a link; remove it")
    for one in newest:
        _copy(one, new)
    if told:
        (new / TIMESTAMP_FILE).write_text(f"{told:%Y-%m-%d %H:%M:%S} UTC\n", encoding="utf-8")
    new.chmod(0o755)
    for one in (one for files in versions for one in files[:-1]):
        _copy(one, _free(older / stamp(one.timestamp or one.entry.modified), one))
        made.older += 1
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        new.rename(target)
    elif _same(new, target):
        made.state = "unchanged"
    elif not force and not _is_older(target, made.timestamp):
        made.state = "kept"
    else:
        made.state = "replaced"
        older.mkdir(parents=True, exist_ok=True)
        aside = _free(older / stamp(_time_of(target)))
        target.rename(aside)
        try:
            new.rename(target)
        except OSError:
            aside.rename(target)
            raise
    return made


def _copy(one: File, folder: Path) -> None:
    target = folder.joinpath(*one.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(one.entry.file, target)
    if one.entry.modified:
        with contextlib.suppress(OSError, OverflowError):  # a date that the system cannot hold
            os.utime(target, (one.entry.modified.timestamp(),) * 2)


def stamp(time: datetime | None) -> str:
    """A time as part of a file name."""
    return f"{time:%Y-%m-%d-%H-%M-%S}" if time else "undated"


def _free(folder: Path, one: File | None = None) -> Path:
    """The folder itself, or the first of those with a number that has room."""
    for number in itertools.count(1):
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        place = path.joinpath(*one.path) if one else path
        if not place.exists():
            return path
        if one and place.is_file() and filecmp.cmp(place, one.entry.file, shallow=False):
            return path
    raise AssertionError


def _contents(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }


def _same(one: Path, other: Path) -> bool:
    """Do two folders hold the same files?"""
    first, second = _contents(one), _contents(other)
    return first.keys() == second.keys() and all(
        filecmp.cmp(first[name], second[name], shallow=False) for name in first
    )


def _time_of(folder: Path) -> datetime | None:
    """When a submission was handed in, as far as its folder tells."""
    files = _contents(folder)
    if TIMESTAMP_FILE in files:
        text = files[TIMESTAMP_FILE].read_text(encoding="utf-8", errors="replace")
        if (time := read_time(text.strip()[:100])) is not None:
            return time
    times = [path.stat().st_mtime for path in files.values()]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _is_older(folder: Path, time: datetime | None) -> bool:
    known = _time_of(folder)
    return time is not None and (known is None or known < time)


def read_time(text: str | None) -> datetime | None:
    """What nbgrader's patterns give: ``2016-01-30-20-30-10``, or any usual form; UTC."""
    numbers = re.findall(r"\d+", text or "")
    try:
        if len(numbers) >= 3 and len(numbers[0]) == 4 and re.fullmatch(r"[\d-]+", text):
            return datetime(*map(int, numbers[:6]), tzinfo=UTC)
        time = parser.parse(text) if numbers else None
    except (ValueError, OverflowError):
        return None
    return time and (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC))
