"""Unpacking archives that strangers made: nothing is written outside, and no more than is due."""

import bz2
import contextlib
import gzip
import itertools
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from grading.intake.archives import (
    MIB,
    Member,
    Refused,
    TooMuch,
    safe_parts,
    tar_members,
    zip_members,
)
from grading.intake.files import shown_name

CHUNK = MIB
TARS = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
FOREIGN = (".rar", ".7z", ".lz", ".zst")
JUNK = {"__MACOSX", ".DS_Store", "Thumbs.db", ".ipynb_checkpoints", "__pycache__"}


@dataclass(frozen=True)
class Limits:
    """What archives may unpack to.

    Args:
        entry_bytes: one file.
        archive_bytes: one student's archive.
        total_bytes: everything.
        entries: files of one archive.
        ratio: how many times larger than the archive a file of more than 5 MiB may be.
    """

    entry_bytes: int = 256 * MIB
    archive_bytes: int = 1024 * MIB
    total_bytes: int = 8192 * MIB
    entries: int = 20_000
    ratio: int = 200


@dataclass(frozen=True)
class Entry:
    """A file that was unpacked, or lay in a folder.

    ``parts`` are the folders and archives on the way to it, and its name.
    """

    parts: tuple[str, ...]
    file: Path
    modified: datetime | None = None


@dataclass
class Unpacker:
    """Copies the files of archives and folders to a scratch folder, under names of its own."""

    scratch: Path
    limits: Limits = field(default_factory=Limits)
    problems: list[str] = field(default_factory=list)
    total: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def entries(self, source: Path) -> Iterator[Entry]:
        """All files in an archive, or in a folder and its archives, one archive in another."""
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                parts = path.relative_to(source).parts
                if JUNK & set(parts) or (path.is_dir() and not path.is_symlink()):
                    continue
                if path.is_symlink() or not path.is_file():
                    self._problem(parts, "is a link or no file; left out")
                    continue
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                yield from self._open(Entry(parts, path, changed), depth=0)
        else:
            yield from self._unpack(Entry((), source), source.name, depth=0)

    def _open(self, entry: Entry, depth: int) -> Iterator[Entry]:
        """The files in an entry, if it is an archive; else itself."""
        name = entry.parts[-1].lower()
        if name.endswith(FOREIGN):
            self._problem(entry.parts, "cannot be unpacked; pack it as zip; left out")
        elif depth < 2 and (
            name.endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))
        ):
            yield from self._unpack(entry, entry.parts[-1], depth)
        else:
            yield entry

    def _unpack(self, archive: Entry, name: str, depth: int) -> Iterator[Entry]:
        found: list[Entry] = []
        before = self.total
        try:
            self._copy_all(archive, name, found, depth)
        except TooMuch as error:
            self._problem(archive.parts or (name,), f"{error}; the whole archive is left out")
            for entry in found:
                entry.file.unlink()
            self.total = before
            return
        except Exception as error:  # whatever the libraries raise at what they do not expect
            rest = f"; {len(found)} files before the damage are kept" if found else ""
            self._problem(archive.parts or (name,), f"is damaged ({_reason(error)}){rest}")
        for entry in found:
            yield from self._open(entry, depth + 1)

    def _copy_all(self, archive: Entry, name: str, found: list[Entry], depth: int) -> None:
        limit = self.limits.archive_bytes if depth else self.limits.total_bytes
        start, seen = self.total, set()
        with contextlib.closing(self._members(archive.file, name)) as members:
            for number, member in enumerate(members):
                if number >= self.limits.entries:
                    raise TooMuch(f"holds more than {self.limits.entries:,} files")
                where = (*archive.parts, member.name)
                try:
                    parts = safe_parts(member.name)
                    if JUNK & set(parts):
                        continue
                    if member.refused:
                        raise Refused(member.refused)
                    if parts in seen:
                        raise Refused("stands twice in its archive; the first counts")
                    room = min(limit - (self.total - start), self.limits.total_bytes - self.total)
                    copy = self._copy(member, room)
                except TooMuch:
                    raise
                except Exception as error:  # Refused, or damage to this one file
                    self._problem(where, f"{_reason(error)}; left out")
                    continue
                seen.add(parts)
                found.append(Entry((*archive.parts, *parts), copy, member.modified))

    def _copy(self, member: Member, room: int) -> Path:
        if member.size > self.limits.entry_bytes:
            raise Refused(f"has {member.size / MIB:,.0f} MiB, too much")
        target = self.scratch / f"{next(self._numbers):08d}"
        size = 0
        try:
            with member.open() as source, target.open("xb") as file:
                while block := source.read(CHUNK):
                    size += len(block)
                    if size > self.limits.entry_bytes:
                        raise Refused(f"has more than {self.limits.entry_bytes / MIB:,.0f} MiB")
                    if size > room:
                        raise TooMuch("unpacks to more than is allowed")
                    if member.packed is not None and size > max(
                        5 * MIB, self.limits.ratio * member.packed
                    ):
                        raise TooMuch("is a bomb: a small file that unpacks to a huge one")
                    file.write(block)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        self.total += size
        return target

    def _members(self, file: Path, name: str) -> Iterator[Member]:
        if name.lower().endswith(".zip"):
            if _count(file, b"PK\1\2") > 5 * self.limits.entries:  # each takes memory at once
                raise TooMuch(f"holds more than {self.limits.entries:,} files")
            yield from zip_members(file)
        elif opener := TARS.get(Path(name.lower()).suffix):
            plain = self._decompressed(file, name, opener)
            try:
                yield from tar_members(plain)
            finally:
                plain.unlink()
        else:
            yield from tar_members(file)

    def _decompressed(self, file: Path, name: str, opener: Callable) -> Path:
        """The tar in a compressed one; of a damaged one what comes before the damage."""
        target = self.scratch / f"{next(self._numbers):08d}"
        most = min(self.limits.total_bytes, max(5 * MIB, self.limits.ratio * file.stat().st_size))
        with target.open("xb") as copy:
            try:
                with opener(file, "rb") as source:
                    while block := source.read1(CHUNK):  # what there is, not all or nothing
                        copy.write(block)
                        if copy.tell() > most:
                            raise TooMuch("is a bomb: a small file that unpacks to a huge one")
            except TooMuch:
                target.unlink()
                raise
            except Exception as error:
                self._problem((name,), f"is damaged ({_reason(error)})")
        return target

    def _problem(self, parts: tuple[str, ...], what: str) -> None:
        self.problems.append(f"{shown_name('/'.join(parts))} {what}")


def _count(file: Path, what: bytes) -> int:
    with file.open("rb") as source:
        return sum(block.count(what) for block in iter(lambda: source.read(CHUNK), b""))


def _reason(error: BaseException) -> str:
    return shown_name(str(error) or type(error).__name__)
