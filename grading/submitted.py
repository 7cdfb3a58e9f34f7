"""Submissions as bytes: nothing is executed, no link is followed, every read has a limit."""

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grading.engine.record import submission_digest

MIB = 1 << 20
MAX_FILE = 64 * MIB
MAX_TOTAL = 256 * MIB
MAX_FILES = 1000
MAX_DEPTH = 10
NOT_THE_STUDENTS = {"timestamp.txt", "submission_secret.txt"}
"""What the exchange adds to a submission. The time counts, but not as a part of the work."""


@dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Args:
        student: the name of the folder.
        files: relative path to content.
        notes: what was not read, and why: sentences for student and instructor.
        timestamp: the text of timestamp.txt, or nothing.
    """

    student: str
    files: dict[str, bytes]
    notes: tuple[str, ...] = ()
    timestamp: str = ""

    @property
    def digest(self) -> str:
        """A name for exactly this content (SHA-256); the time of submission is no part of it."""
        notes = {"\0notes": "\n".join(self.notes).encode()} if self.notes else {}
        return submission_digest(self.files | notes)


@dataclass
class Found:
    """The folders of an assignment, and those that cannot be submissions: name and reason."""

    folders: dict[str, Path] = field(default_factory=dict)
    odd: dict[str, str] = field(default_factory=dict)


def find_submissions(directory, assignment: str) -> Found:
    """All submissions of an assignment.

    Args:
        directory: nbgrader's CourseDirectory.
        assignment: its name.
    """
    step = directory.submitted_directory
    pattern = re.compile(directory.format_path(step, "(?P<student>.*)", assignment, escape=True))
    safe = glob.escape(directory.format_path(step, "\0", assignment)).replace("\0", "*")
    found = Found()
    for path in sorted(glob.glob(safe, include_hidden=True)):
        match = pattern.fullmatch(path)
        if match is None:
            continue
        name = match["student"]
        problem = _problem(name, Path(path))
        if problem:
            found.odd[name.encode("utf-8", "backslashreplace").decode()] = problem
        else:
            found.folders[name] = Path(path)
    return found


def _problem(name: str, path: Path) -> str:
    if path.is_symlink() or path.parent.is_symlink():
        return "a symbolic link, which is not followed"
    if not path.is_dir():
        return "a file, and not a folder"
    if name.startswith("."):
        return "a hidden folder"
    if name != name.strip() or not name.isprintable():
        return "the name begins or ends with a blank, or has characters that cannot be shown"
    if len(name) > 128:
        return "the name is longer than the gradebook allows (128 characters)"
    return ""


def read_submission_files(student: str, folder: Path, ignored: Sequence[str] = ()) -> Submission:
    """Read what lies in a submission's folder.

    Args:
        student: whose it is.
        folder: where it is.
        ignored: patterns of names to leave out, as nbgrader's ``CourseDirectory.ignore``.
    """
    files, notes, total = {}, [], 0
    for relative, path in _walk(folder, ignored, notes):
        if relative in NOT_THE_STUDENTS:
            continue
        if len(files) >= MAX_FILES:
            notes.append(f"Only the first {MAX_FILES} files were read.")
            break
        limit = min(MAX_FILE, MAX_TOTAL - total)
        data, problem = _read_regular(path, limit)
        if problem:
            notes.append(f"{relative} was not read: {problem}.")
        else:
            files[relative] = data
            total += len(data)
    stamp, _ = _read_regular(folder / "timestamp.txt", 200)
    return Submission(student, files, tuple(notes), stamp.decode("utf-8", "replace").strip())


def _walk(folder: Path, ignored: Sequence[str], notes: list[str]) -> Iterator[tuple[str, Path]]:
    waiting = [(folder, "", 0)]
    while waiting:
        current, prefix, depth = waiting.pop()
        try:
            with os.scandir(current) as entries:
                entries = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            notes.append(f"The folder {prefix or '.'} was not read: {error.strerror}.")
            continue
        for entry in entries:
            relative = prefix + entry.name
            if any(fnmatch.fnmatch(entry.name, pattern) for pattern in ignored):
                continue
            if not _encodable(relative):
                shown = relative.encode("utf-8", "backslashreplace").decode()
                notes.append(f"{shown} was not read: its name is not UTF-8 text.")
            elif not entry.is_dir(follow_symlinks=False):
                yield relative, Path(entry.path)
            elif depth >= MAX_DEPTH:
                notes.append(f"{relative} was not read: folders in folders, too deep.")
            else:
                waiting.append((Path(entry.path), f"{relative}/", depth + 1))


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_regular(path: Path, limit: int) -> tuple[bytes, str]:
    """The content of an ordinary file, or why it is not read. A link or a pipe is not opened."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            return b"", "it is a symbolic link"
        return b"", (error.strerror or "it cannot be opened").lower()
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return b"", "it is not an ordinary file"
        if status.st_size > limit:
            return b"", (
                f"it has {status.st_size / MIB:.0f} MiB; at most {MAX_FILE // MIB} MiB a file and "
                f"{MAX_TOTAL // MIB} MiB in all are read"
            )
        data = file.read(limit + 1)
    return (data, "") if len(data) <= limit else (b"", "it grew while it was read")


_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
"""So that opening a pipe does not wait for a writer."""
