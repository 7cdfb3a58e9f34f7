"""From the bytes of a file to a list of cells, in bounded time and memory, without raising."""

import json
import re
import warnings
from dataclasses import dataclass, field

MIB = 1 << 20
MAX_BYTES = 20 * MIB
MAX_BRACKETS = 2_000_000
"""Objects and lists in the file: each takes about 64 bytes once it is read."""
MAX_CELLS = 2_000
MAX_SOURCE = 500_000
MAX_ATTACHMENT = 4 * MIB
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
CLEAR = "Clear all outputs (in JupyterLab: Edit, Clear Outputs of All Cells), save, hand in again."


@dataclass
class Cell:
    """A cell as it was handed in; ``grade_id`` is what its metadata claims."""

    cell_type: str
    source: str
    grade_id: str = ""
    settings: dict = field(default_factory=dict)
    attachments: dict = field(default_factory=dict)


@dataclass
class Contents:
    """What could be read of a file. ``failed`` says why nothing could."""

    cells: list[Cell] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: str = ""


def read_cells(data: bytes) -> Contents:
    """The cells of a notebook file; outputs are ignored, whatever they are."""
    contents = Contents()
    if len(data) > MAX_BYTES:
        contents.failed = (
            f"The file has {len(data) / MIB:.0f} MiB; at most {MAX_BYTES // MIB} MiB are read. "
            f"Large outputs are the usual cause. {CLEAR}"
        )
    elif not data.strip(b"\0 \t\r\n"):
        contents.failed = "The file is empty. Save the notebook and hand it in again."
    elif data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        contents.failed = f"The file has too many parts to be read. {CLEAR}"
    else:
        notebook = _parse(_text(data, contents), contents)
        if notebook is not None:
            _extract(notebook, contents)
    return contents


def _text(data: bytes, contents: Contents) -> str:
    encoding = json.detect_encoding(data)
    try:
        text = data.decode(encoding)
        if encoding not in ("utf-8", "utf-8-sig"):
            contents.notes.append(f"The file is stored as {encoding.upper()}; it was read as such.")
    except UnicodeDecodeError:
        encoding = _guess(data)
        text = data.decode(encoding, "replace")
        contents.notes.append(
            f"The file is not UTF-8 text. It was read as {encoding.upper()}: some letters with "
            "accents or signs may be wrong. Save it as UTF-8."
        )
    if "\0" in text:
        text = text.replace("\0", "")
        contents.notes.append("The file holds NUL bytes; they were left out.")
    return text.removeprefix("\ufeff")


def _guess(data: bytes) -> str:
    """The encoding of a text that is not UTF-8: damaged UTF-8, Chinese, or Western European."""
    valid = sum(map(len, re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", data)))
    high = re.findall(rb"[\x80-\xff]+", data)
    if 2 * valid >= sum(map(len, high)):
        return "utf-8"
    if all(len(run) % 2 == 0 for run in high):
        try:
            chinese = b"".join(high).decode("gbk")
        except UnicodeDecodeError:
            return "latin-1"
        # signs of the Chinese alphabets only: accented letters in pairs look different
        if all("\u3000" <= sign <= "\u9fff" or "\uff00" <= sign <= "\uffef" for sign in chinese):
            return "gb18030"
    return "latin-1"


def _parse(text: str, contents: Contents) -> dict | None:
    """The JSON object; of a file that is cut off, an object with the cells before the cut."""
    try:
        notebook = json.loads(text, strict=False)
    except RecursionError:
        contents.failed = "The file is nested too deeply to be a notebook."
        return None
    except ValueError as error:  # also a number with too many digits
        cells = _intact_cells(text)
        if not cells:
            where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
            contents.failed = (
                f"The file is not a notebook: it is not valid JSON{where}. Hand in the .ipynb file "
                "that Jupyter saved, unchanged."
            )
            return None
        contents.notes.append(
            f"The file is damaged or cut off; its first {len(cells)} cells could be read and were "
            "graded. Save the notebook and hand it in again."
        )
        return {"nbformat": 4, "cells": cells}
    if not isinstance(notebook, dict):
        contents.failed = "The file is JSON, but not a notebook. Hand in the .ipynb file."
        return None
    return notebook


def _intact_cells(text: str) -> list:
    start = re.search(r'"cells"\s*:\s*\[\s*', text)
    if not start:
        return []
    decoder, cells, at = json.JSONDecoder(strict=False), [], start.end()
    between = re.compile(r"\s*,?\s*")
    while len(cells) < MAX_CELLS and text.startswith("{", at):
        try:
            cell, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        cells.append(cell)
        at = between.match(text, end).end()
    return cells


def _extract(notebook: dict, contents: Contents) -> None:
    version = notebook.get("nbformat")
    version = version if isinstance(version, int) and not isinstance(version, bool) else 4
    if version > 4:
        contents.notes.append(
            f"The notebook has format {version}, which is newer than this grader; it was read as "
            "format 4."
        )
    elif version < 4:
        notebook = _upgraded(notebook, version)
        contents.notes.append(f"The notebook has the old format {version}; it was converted.")
    raw = notebook.get("cells")
    if not isinstance(raw, list):
        raw = [cell for sheet in _lists(notebook, "worksheets") for cell in _lists(sheet, "cells")]
    if not any(isinstance(cell, dict) for cell in raw[:MAX_CELLS]):
        contents.failed = "The notebook has no cells. Hand in the .ipynb file that Jupyter saved."
        return
    if len(raw) > MAX_CELLS:
        contents.notes.append(f"The notebook has {len(raw)} cells; the first {MAX_CELLS} count.")
    _language(notebook.get("metadata"), contents)
    odd = set()
    for number, cell in enumerate(raw[:MAX_CELLS], 1):
        if isinstance(cell, dict):
            contents.cells.append(_cell(cell, number, contents, odd))
        else:
            odd.add("what is not a cell was left out")
    contents.notes += [f"Some cells were damaged: {what}." for what in sorted(odd)]


def _upgraded(notebook: dict, version: int) -> dict:
    """Format 4 of an older notebook; what cannot be converted stays as it is."""
    sheets = [notebook, *_lists(notebook, "worksheets")]
    for cell in (cell for sheet in sheets for cell in _lists(sheet, "cells")):
        if isinstance(cell, dict):
            cell["outputs"] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nbformat  # here, because it takes long and few need it

            return dict(nbformat.convert(nbformat.from_dict({**notebook, "nbformat": version}), 4))
    except Exception:  # damaged in a way that nbformat does not expect
        return notebook


def _lists(thing: object, key: str) -> list:
    value = thing.get(key) if isinstance(thing, dict) else None
    return value if isinstance(value, list) else []


def _language(metadata: object, contents: Contents) -> None:
    def text(part: str, key: str) -> str:
        section = metadata.get(part) if isinstance(metadata, dict) else None
        value = section.get(key) if isinstance(section, dict) else None
        return value[:40] if isinstance(value, str) else ""

    language = text("language_info", "name") or text("kernelspec", "language")
    language = language or text("kernelspec", "name")
    if language and "py" not in language.lower():
        contents.notes.append(
            f"The notebook says that it is written in {language!a}; it was graded as Python."
        )


def _cell(cell: dict, number: int, contents: Contents, odd: set[str]) -> Cell:
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        odd.add("cells of an unknown type were taken for text")
        kind = "code" if "input" in cell else "raw"
    source = cell["source"] if "source" in cell else cell.get("input", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        odd.add("text that is not text was left out")
        source = ""
    if len(source) > MAX_SOURCE:
        contents.notes.append(
            f"Cell {number} has {len(source):,} characters, more than {MAX_SOURCE:,}; it was left "
            "out. Keep data in a file."
        )
        source = ""
    metadata = cell.get("metadata")
    settings = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    settings = settings if isinstance(settings, dict) else {}
    name = settings.get("grade_id")
    name = name if isinstance(name, str) else ""
    return Cell(kind, _clean(source, odd), name, settings, _attachments(cell.get("attachments")))


def _clean(source: str, odd: set[str]) -> str:
    """No carriage returns, NULs and halves of characters."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in source:
        odd.add("NUL characters were left out")
        source = source.replace("\0", "")
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        odd.add("characters that do not exist in Unicode were replaced")
        source = source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return source


def _attachments(value: object) -> dict:
    """Pictures, as far as they are well formed."""
    kept, size = {}, 0
    for name, bundle in value.items() if isinstance(value, dict) else ():
        if not isinstance(bundle, dict) or not re.fullmatch(r"[\w.() -]{1,200}", name, re.ASCII):
            continue
        for kind, content in bundle.items():
            size += len(content) if isinstance(content, str) else 0
            good = isinstance(content, str) and re.fullmatch(r"[A-Za-z0-9+/=\n]*", content)
            if kind in PICTURES and good and size <= MAX_ATTACHMENT:
                kept.setdefault(name, {})[kind] = content
    return kept
