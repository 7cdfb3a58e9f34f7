"""The recorded notebooks are those of the chapters, and compare something."""

import nbformat
import pytest

from tools import notebooks
from tools.record import IGNORE, strip

CHAPTERS = notebooks.chapters()


def test_there_are_chapters():
    assert len(CHAPTERS) >= 2


def test_every_page_of_a_part_is_executed():
    """A page without its jupytext header would silently not be run."""
    parts = ("start", "building-blocks", "making-it-work", "tasks", "experiments")
    pages = {page for part in parts for page in (notebooks.ROOT / "book" / part).glob("*.md")}
    assert pages == set(CHAPTERS)


def test_no_record_without_a_chapter():
    recorded = set((notebooks.ROOT / "tests/book/recorded").glob("*.ipynb"))
    assert recorded == {notebooks.recorded_path(chapter) for chapter in CHAPTERS}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_recorded_inputs_are_those_of_the_chapter(chapter):
    recorded = nbformat.read(notebooks.recorded_path(chapter), as_version=4)
    ours, theirs = notebooks.read(chapter).cells, recorded.cells
    for number, (cell, other) in enumerate(zip(ours, theirs, strict=False)):
        same = (cell.cell_type, cell.source) == (other.cell_type, other.source)
        same &= cell.metadata.get("tags") == other.metadata.get("tags")
        assert same, f"{chapter.name}: cell {number} is not as recorded; run `make record`"
    assert len(ours) == len(theirs), f"{chapter.name}: cells added or removed; run `make record`"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_record_compares_something(chapter):
    recorded = nbformat.read(notebooks.recorded_path(chapter), as_version=4)
    compared = [cell for cell in recorded.cells if cell.get("outputs")]
    assert len(compared) >= 5, "nbval compares nothing where no output is stored"
    for cell in compared:
        assert IGNORE not in cell.metadata.get("tags", [])


def test_strip_forgets_tagged_outputs_only():
    kept, dropped = (nbformat.v4.new_code_cell("print(1)") for _ in range(2))
    dropped.metadata.tags = [IGNORE]
    for cell in (kept, dropped):
        cell.outputs = [nbformat.v4.new_output("stream", text="1\n")]
    strip(nbformat.v4.new_notebook(cells=[kept, dropped]))
    assert len(kept.outputs) == 1
    assert dropped.outputs == []


def test_page_without_header_is_not_taken_for_a_notebook(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```{code-cell} python\n1 / 0\n```\n", encoding="utf-8")
    assert not notebooks.is_notebook(page)


def test_strip_joins_what_was_printed_in_pieces():
    cell = nbformat.v4.new_code_cell("print(1, 2)")
    pieces = (("stdout", "1 "), ("stdout", "2\n"), ("stderr", "w"))
    cell.outputs = [nbformat.v4.new_output("stream", name=n, text=t) for n, t in pieces]
    strip(nbformat.v4.new_notebook(cells=[cell]))
    assert [(output.name, output.text) for output in cell.outputs] == [
        ("stdout", "1 2\n"),
        ("stderr", "w"),
    ]
