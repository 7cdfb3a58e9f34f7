"""Records on disk: one small file each, named by its key, that no crash can damage."""

import contextlib
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

from grading.engine.record import Record

KEY = re.compile(r"[0-9a-f]{64}")
HISTORY = "history.jsonl"


class ResultStore:
    """Records by key, in ``FOLDER/ab/abcdef....json``.

    Args:
        folder: is created when the first record is put.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the record of this key is kept.

        Raises:
            ValueError: it is no key.
        """
        if not KEY.fullmatch(key):
            raise ValueError(f"a key has 64 hexadecimal digits, got {key!r}")
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Record | None:
        """The record, or None. A damaged or foreign file is set aside with a warning."""
        path = self.path(key)
        record, problem = _read(path)
        if record is not None and record.key != key:
            record, problem = None, f"it is the record of {record.key[:12]}"
        if problem:
            _set_aside(path, problem)
        return record

    def put(self, record: Record) -> None:
        """Keep a record. One of the same key that says something else is kept beside it."""
        path = self.path(record.key)
        earlier, _ = _read(path)
        if earlier is not None and earlier.digest != record.digest:
            beside = path.with_name(f"{record.key}-{earlier.digest[:12]}.json")
            write_atomically(beside, path.read_bytes())  # a copy: a crash must not unname the old
        write_atomically(path, record.to_json().encode("utf-8", "surrogatepass"))

    def known(self, keys: Iterable[str]) -> set[str]:
        """Which of these keys have a record. Nothing is opened, so :meth:`get` may still refuse."""
        return {key for key in keys if self.path(key).is_file()}

    def note(self, student: str, record: Record) -> None:
        """Add a record to the history of a student."""
        line = {
            "student": student,
            "assignment": record.assignment,
            "key": record.key,
            "digest": record.digest,
            "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        # The line feed comes first, so that a line cut off by a crash spoils itself only.
        data = ("\n" + json.dumps(line)).encode()
        file = os.open(self.folder / HISTORY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, data)
            os.fsync(file)
        finally:
            os.close(file)

    def history(self, student: str, assignment: str) -> list[dict[str, str]]:
        """What was recorded for a student, oldest first: key, digest and when."""
        return [one for one in self._entries(assignment) if one["student"] == student]

    def latest(self, assignment: str) -> dict[str, Record | None]:
        """By student, the record that counts; None for one that is not there any more."""
        last = {entry["student"]: entry for entry in self._entries(assignment)}
        return {student: self.earlier(entry) for student, entry in last.items()}

    def _entries(self, assignment: str) -> list[dict[str, str]]:
        path = self.folder / HISTORY
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, AttributeError):  # cut off by a crash
                entry = json.loads(line)
                if entry.get("assignment") == assignment and "student" in entry:
                    found.append(entry)
        return found

    def earlier(self, entry: dict[str, str]) -> Record | None:
        """The record that an entry of the history names, if it is still there."""
        path = self.path(entry["key"])
        beside = path.with_name(f"{entry['key']}-{entry['digest'][:12]}.json")
        for candidate in (path, beside):
            record, _ = _read(candidate)
            if record is not None and record.digest == entry["digest"]:
                return record
        return None


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that is either there and whole, or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the system offers it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Path) -> tuple[Record | None, str]:
    """A record, or why the file is none; neither if there is no file."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        record = Record.from_json(text)
        record.digest  # noqa: B018 (a record whose parts have wrong types has no digest)
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        return None, f"it cannot be read ({type(error).__name__})"
    return record, ""


def _set_aside(path: Path, problem: str) -> None:
    aside = path.with_suffix(f".damaged-{time.time_ns()}")
    with contextlib.suppress(OSError):
        os.replace(path, aside)
    warnings.warn(
        f"{path} is not trusted: {problem}; moved to {aside.name}, this submission is graded anew",
        stacklevel=3,
    )
