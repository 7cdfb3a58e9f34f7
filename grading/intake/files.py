"""Which file of a submission is which notebook of the assignment."""

import itertools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from grading.engine.bundle import Bundle, SourceNotebook
from grading.intake.decode import MAX_BYTES, Contents, read_cells
from grading.intake.stub import looks_empty

MAX_FILES = 50
MAX_TOTAL = 100 << 20
"""How many notebook files of one submission are opened, and how large they are together."""
IGNORED = {".ipynb_checkpoints", "__MACOSX", "__pycache__"}
COPY = re.compile(r"([ _-]*(\(\d+\)|copy\d*|kopie|副本|final|v\d+))+$")


@dataclass
class Choice:
    """The file that counts as a notebook, and what was odd about it."""

    contents: Contents | None = None
    notes: list[str] = field(default_factory=list)


def normal_name(name: str) -> str:
    """A file name for comparing: no folders, no ending, no case, no marks of a copy.

    ``../My_Homework (1).IPYNB`` and ``my homework.ipynb`` give the same.
    """
    base = unicodedata.normalize("NFKC", _base(name)).casefold().strip()
    base = re.sub(r"(\.(ipynb|json|txt))+$", "", base)
    base = COPY.sub("", base) or base
    return re.sub(r"[\s_-]+", " ", base).strip()


def shown_name(name: str) -> str:
    """A name that came from outside, as it can stand in a message."""
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def _base(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def choose_files(bundle: Bundle, files: Mapping[str, bytes]) -> dict[str, Choice]:
    """One choice for each notebook of the assignment; ``contents`` is None where none fits."""
    own = {f"{name}.ipynb" for name in bundle.notebooks}
    likely = sorted(filter(_is_notebook, files), key=lambda file: (file not in own, file))
    sizes = itertools.accumulate(min(len(files[file]), MAX_BYTES) for file in likely)
    opened = likely[: min(MAX_FILES, sum(size <= MAX_TOTAL for size in sizes))]
    free = {file: read_cells(files[file]) for file in opened}
    choices = {name: Choice() for name in bundle.notebooks}
    for name, notebook in bundle.notebooks.items():  # a file of the right name that fits
        file = f"{name}.ipynb"
        if file in free and (overlap(free[file], notebook) or not marked(notebook)):
            choices[name].contents = free.pop(file)
    mentioned = set()
    for name, notebook in bundle.notebooks.items():
        if choices[name].contents is None:
            mentioned |= _next_best(name, notebook, free, choices[name])
    for name, choice in choices.items():  # a file of the right name, though it does not fit
        if choice.contents is None:
            choice.contents = free.pop(f"{name}.ipynb", None)
    spare = sorted(shown_name(file) for file in free.keys() - mentioned)
    spare += [shown_name(file) for file in likely[len(opened) :]]
    if spare and choices:
        more = f" and {len(spare) - 5} more" if len(spare) > 5 else ""
        next(iter(choices.values())).notes.append(
            f"Not part of the assignment, and not graded: {', '.join(spare[:5])}{more}."
        )
    return choices


def _is_notebook(name: str) -> bool:
    parts = set(name.replace("\\", "/").split("/"))
    return not parts & IGNORED and ".ipynb" in _base(name).casefold() and _base(name)[0] != "."


def marked(notebook: SourceNotebook) -> set[str]:
    """The grade_ids that tell this notebook from others."""
    return {cell.grade_id for cell in notebook.cells if cell.kind in ("answer", "test", "written")}


def overlap(contents: Contents, notebook: SourceNotebook) -> int:
    """How many of the notebook's grade_ids a file holds."""
    return len(marked(notebook) & {cell.grade_id for cell in contents.cells})


def _next_best(
    name: str, notebook: SourceNotebook, free: dict[str, Contents], choice: Choice
) -> set[str]:
    """Take the file that is most like the notebook; return the others that are like it."""
    wanted = marked(notebook)
    found = []
    for file, contents in free.items():
        held = overlap(contents, notebook)
        same_name = normal_name(file) == normal_name(name)
        if 2 * held > len(wanted) or (same_name and not contents.failed):
            # then the one that was worked on; then the latest copy, "(2)" over "(1)"
            found.append((held, same_name, _answered(contents, notebook), file))
    if not found:
        return set()
    own = f"{name}.ipynb"
    chosen = max(found)[-1]
    if chosen != own:
        reason = "cannot be graded" if own in free else "was not handed in"
        choice.notes.append(
            f"{own} {reason}; {shown_name(chosen)} was graded in its place. Keep the names of the "
            "files."
        )
    others = {file for *_, file in found if file != chosen}
    if others:
        names = ", ".join(sorted(shown_name(file) for file in others)[:5])
        choice.notes.append(f"Also like {own}, and not graded: {names}.")
    choice.contents = free.pop(chosen)
    return others | {own}


def _answered(contents: Contents, notebook: SourceNotebook) -> int:
    """How many answers of a file are more than the released stub."""
    known = notebook.by_id
    return sum(
        not looks_empty(known[cell.grade_id], cell.source, cell.settings.get("checksum"))
        for cell in contents.cells
        if cell.grade_id in known and known[cell.grade_id].kind in ("answer", "written")
    )
