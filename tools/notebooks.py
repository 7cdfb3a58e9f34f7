"""The project's text notebooks: where they are and how to read them."""

from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parent.parent


def is_notebook(path: Path) -> bool:
    """A MyST file is executed only if its front matter names jupytext and a kernel."""
    head = path.read_text(encoding="utf-8").split("\n---", 1)[0]
    return head.startswith("---") and "jupytext:" in head and "kernelspec:" in head


def chapters(root: Path = ROOT) -> list[Path]:
    """Every executed page of the book."""
    pages = (root / "book").rglob("*.md")
    return sorted(
        page
        for page in pages
        if not {"_build", "_generated"} & set(page.relative_to(root).parts) and is_notebook(page)
    )


def problems(root: Path = ROOT) -> list[Path]:
    """Every notebook of the instructor's edition of the exercises."""
    return sorted(page for page in (root / "solutions").glob("*/*.md") if is_notebook(page))


def read(path: Path) -> nbformat.NotebookNode:
    """A MyST file as a notebook whose cell ids are the same in every run."""
    notebook = jupytext.read(path, fmt="md:myst")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
    return notebook


def recorded_path(chapter: Path, root: Path = ROOT) -> Path:
    """Where a chapter's recorded outputs live."""
    name = "-".join(chapter.relative_to(root / "book").with_suffix("").parts)
    return root / "tests" / "book" / "recorded" / f"{name}.ipynb"
