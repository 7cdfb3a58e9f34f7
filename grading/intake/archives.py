"""Zip and tar archives that strangers made, as lists of files that nobody has opened yet."""

import contextlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

MIB = 1 << 20


class TooMuch(Exception):
    """A limit is exceeded; the message says which."""


class Refused(Exception):
    """A file that is left out; the message says why."""


@dataclass
class Member:
    """A file in an archive, before anyone looks into it."""

    name: str
    open: Callable[[], IO[bytes]]
    size: int
    packed: int | None
    modified: datetime | None
    refused: str = ""


def safe_parts(name: str) -> tuple[str, ...]:
    """Folders and name of a path in an archive, with both kinds of slashes.

    Raises:
        Refused: it would lead elsewhere, or is no name on one of the usual systems.
    """
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    if not parts:
        raise Refused("has no name")
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        raise Refused("has a name that leads out of the folder")
    if any(not part.isprintable() or len(part.encode()) > 240 for part in parts) or len(parts) > 12:
        raise Refused("has a name that is too long or holds control characters")
    return parts


def zip_members(file: Path) -> Iterator[Member]:
    """The files of a zip."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            refused = ""
            if info.flag_bits & 1:
                refused = "is encrypted"
            elif kind not in (0, stat.S_IFREG):
                refused = "is a link or a device"
            modified = None
            with contextlib.suppress(ValueError):  # a date such as the 31st of February
                modified = datetime(*info.date_time, tzinfo=UTC)
            yield Member(
                _zip_name(info),
                lambda info=info: archive.open(info),
                info.file_size,
                info.compress_size,
                modified,
                refused,
            )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name; of a zip that does not say its encoding, UTF-8 or Chinese before code page 437."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    for encoding in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeError):
            name = info.filename.encode("cp437").decode(encoding)
            if encoding == "utf-8" or all(s.isascii() or "\u3000" <= s <= "\u9fff" for s in name):
                return name
    return info.filename


class _Careful(io.BufferedReader):
    """A file that refuses to be read in huge pieces, as a forged tar header asks for."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= 16 * MIB:
            raise tarfile.ReadError("a header that is too large")
        return super().read(size)


def tar_members(file: Path) -> Iterator[Member]:
    """The files of a tar that is not compressed."""
    with (
        _Careful(io.FileIO(file)) as raw,
        tarfile.open(fileobj=raw, mode="r:", errorlevel=2) as archive,
    ):
        for info in archive:
            if info.isdir():
                continue
            refused = "" if info.isreg() and not info.issparse() else "is a link or a device"
            modified = None
            with contextlib.suppress(ValueError, OverflowError, OSError):
                modified = datetime.fromtimestamp(info.mtime, UTC)
            yield Member(
                info.name.encode("utf-8", "replace").decode(),
                lambda info=info: archive.extractfile(info),
                info.size,
                None,
                modified,
                refused,
            )
