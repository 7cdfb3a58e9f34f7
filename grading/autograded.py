"""The autograded folder of a submission: notebooks that formgrader and feedback show."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from grading.banner import TAG, banner
from grading.course import GradingError
from grading.engine.record import NotebookRecord, Record
from grading.facts import CellFacts, NotebookFacts
from grading.results import sync_folder, write_atomically
from grading.safe_html import PICTURES, Cleaner, inert_output

MARKER = ".grading.json"
SHOWN_FILES = {".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp"}
MAX_SHOWN = 5 << 20


def notebook_of(record: Record, name: str) -> NotebookRecord:
    """The part of a record about one notebook, which may be missing."""
    for notebook in record.notebooks:
        if notebook.name == name:
            return notebook
    return NotebookRecord(name, failed=record.message or "the grader said nothing about it")


def write_folder(
    target: Path,
    notebooks: dict[str, dict],
    timestamp: str,
    pictures: dict[str, bytes],
    mode: int,
) -> None:
    """Replace the autograded folder of a submission. A crash leaves the old one or the new one.

    Args:
        target: ``autograded/STUDENT/ASSIGNMENT``.
        notebooks: what :func:`autograded_notebook` made, by name.
        timestamp: content of timestamp.txt, or nothing.
        pictures: the instructor's files that texts show: relative path to content.
        mode: permissions of the files.
    """
    marker = read_marker(target)

    def write(folder: Path) -> None:
        for name, content in notebooks.items():
            text = json.dumps(content, ensure_ascii=False) + "\n"  # indents would double the cost
            _write(folder / f"{name}.ipynb", text.encode("utf-8", "replace"), mode)
        for name, data in pictures.items():
            _write(folder / name, data, mode)
        if timestamp:
            _write(folder / "timestamp.txt", timestamp.encode(), mode)
        if marker:  # of the earlier record, until the gradebook follows
            _write(folder / MARKER, json.dumps(marker).encode(), 0o644)

    _replace(target, write)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _replace(target: Path, write: Callable[[Path], None]) -> None:
    new, old = (target.with_name(f".{target.name}.{word}") for word in ("new", "old"))
    restore(target)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    write(new)
    sync_folder(new)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def restore(target: Path) -> None:
    """Undo an exchange of folders that a crash cut in two."""
    old = target.with_name(f".{target.name}.old")
    if old.is_dir() and not target.exists():
        os.replace(old, target)
    shutil.rmtree(old, ignore_errors=True)


def autograded_notebook(facts: NotebookFacts, record: Record) -> dict:
    """A notebook in nbformat 4.5: the banner, then the cells of the record, nothing live in them.

    Graded cells that the record does not show are put at the end, so that a person can give points.
    """
    part = notebook_of(record, facts.name)
    first = _markdown(banner(record, part), TAG)
    told = {"record": _without_notebooks(record), "notebook": _without_cells(part)}
    first["metadata"] = {"deletable": False, "editable": False, TAG: told}
    cells, seen, cleaner = [first], set(), Cleaner()
    for number, cell in enumerate(part.cells):
        name = _grade_id(cell)
        known = facts.cells.get(name) if name not in seen else None
        seen.add(name)
        cells.append(_cell(cell, known, f"cell-{number:04d}", cleaner))
    for number, known in enumerate(facts.cells.values()):
        if known.maximum is not None and known.name not in seen:
            cells.append(_placeholder(known, f"missing-{number:04d}"))
    kernel = {"kernelspec": facts.kernelspec} if facts.kernelspec else {}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def _without_notebooks(record: Record) -> dict:
    return {name: value for name, value in vars(record).items() if name != "notebooks"}


def _without_cells(part: NotebookRecord) -> dict:
    return asdict(NotebookRecord(part.name, part.results, [], part.notes, part.failed))


def _grade_id(cell: dict) -> str:
    marks = cell.get("metadata", {}).get("nbgrader")
    name = marks.get("grade_id", "") if isinstance(marks, dict) else ""
    return name if isinstance(name, str) else ""


def _cell(cell: dict, known: CellFacts | None, identity: str, cleaner: Cleaner) -> dict:
    source = cell.get("source", "")
    source = source if isinstance(source, str) else "".join(source)
    kind = cell.get("cell_type")
    if known:
        identity = re.sub(r"[^\w-]", "-", known.name)[:50] + identity[4:]
    if kind == "code":
        made = {"cell_type": "code", "id": identity, "metadata": {}, "source": source}
        outputs = (inert_output(output, cleaner) for output in cell.get("outputs", []))
        made["outputs"] = [output for output in outputs if output]
        count = cell.get("execution_count")
        made["execution_count"] = count if isinstance(count, int) else None
    else:
        made = _markdown(source, identity)
        if kind == "raw":
            made["cell_type"] = "raw"
        pictures = _pictures(cell.get("attachments"))
        if pictures:
            made["attachments"] = pictures
    if known:
        made["metadata"] = {"nbgrader": known.metadata()}
        if known.maximum is not None and not known.solution:
            made["metadata"] |= {"deletable": False, "editable": False}
    return made


def _markdown(source: str, identity: str) -> dict:
    return {"cell_type": "markdown", "id": identity, "metadata": {}, "source": source}


def _pictures(attachments: object) -> dict:
    found = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        kept = {
            kind: data
            for kind, data in (kinds.items() if isinstance(kinds, dict) else ())
            if kind in PICTURES and isinstance(data, str) and re.fullmatch(r"[\w+/=\s]*", data)
        }
        if kept:
            found[str(name)] = kept
    return found


def _placeholder(known: CellFacts, identity: str) -> dict:
    text = f"{known.name}: there is nothing to show"
    if known.cell_type == "code":
        cell = {"cell_type": "code", "source": f"# {text}"}
    else:
        cell = {"cell_type": "markdown", "source": f"*{text}*"}
    return _cell(cell, known, identity, Cleaner())


def answer_digests(facts: Iterable[NotebookFacts], record: Record) -> dict[str, str]:
    """For each graded cell, a name for the answer that it is about.

    A written answer stands for itself. A test may be about any answer of its notebook.
    """
    digests = {}
    for notebook in facts:
        sources = {}
        for cell in notebook_of(record, notebook.name).cells:
            text = cell.get("source", "")
            sources.setdefault(_grade_id(cell), text if isinstance(text, str) else "".join(text))
        answers = [sources.get(cell.name, "") for cell in notebook.cells.values() if cell.solution]
        for cell in notebook.cells.values():
            if cell.maximum is not None:
                own = [sources.get(cell.name, "")] if cell.solution or cell.task else answers
                data = json.dumps(own).encode()
                digests[f"{notebook.name}/{cell.name}"] = hashlib.sha256(data).hexdigest()[:16]
    return digests


def read_marker(target: Path) -> dict:
    """What is known of the record that an autograded folder shows; empty if nothing is."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((target / MARKER).read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}


def write_marker(
    target: Path, facts: Iterable[NotebookFacts], record: Record, timestamp: str
) -> None:
    """Say that folder and gradebook are those of ``record``."""
    content = {
        "key": record.key,
        "digest": record.digest,
        "timestamp": timestamp,
        "status": record.status,
        "message": record.message,
        "failed": {one.name: one.failed for one in record.notebooks if one.failed},
        "limits_hit": record.limits_hit,
        "suspicious": record.suspicious,
        "measures": record.measures,
        "answers": answer_digests(facts, record),
        "order": [f"{part.name}/{name}" for part in facts for name in part.cells],
    }
    data = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    write_atomically(target / MARKER, data)


def folder_of(directory, step: str, student: str, assignment: str) -> Path:
    """The folder of one submission in one of nbgrader's steps.

    Raises:
        GradingError: the name of the student would lead out of it.
    """
    if student in ("", ".", "..") or re.search(r"[/\\\0]", student):
        raise GradingError(f"{student!r} cannot be the name of a student's folder")
    return Path(directory.format_path(step, student, assignment))


def shown_files(folder: Path) -> dict[str, bytes]:
    """The instructor's pictures beside the notebooks: relative path to content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SHOWN_FILES
        and path.is_file()
        and path.stat().st_size <= MAX_SHOWN
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
