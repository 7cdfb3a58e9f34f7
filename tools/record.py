"""Execute the chapters and record their outputs under tests/book/recorded (``make record``).

`make test` re-executes the recorded notebooks and compares. A cell whose output may vary between
machines carries the tag ``nbval-ignore-output``: it must run, its output is not compared and not
recorded.
"""

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm

from tools import notebooks

IGNORE = "nbval-ignore-output"


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Keep only what is compared: nothing of a tagged cell, counts from 1.

    nbval takes a cell with outputs but no count for one that was never run, and fails it.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        cell.metadata.pop("execution", None)
        cell.execution_count = number
        if IGNORE in cell.metadata.get("tags", []):
            cell.outputs = []
        cell.outputs = merge_streams(cell.outputs)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return notebook


def merge_streams(outputs: list) -> list:
    """One output for what was printed in one go: the kernel sends it in pieces as it likes."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output.output_type == "stream" and output.get("name") == last.get("name"):
            last.text += output.text
        else:
            merged.append(output)
    return merged


def record(chapter: Path) -> Path:
    """Execute one chapter and write its recorded notebook."""
    notebook = notebooks.read(chapter)
    # Widgets and language_info vary with the machine; the kernel's name is enough to run it.
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(chapter.parent)}},
    )
    client.execute()
    notebook.metadata = {"kernelspec": dict(notebook.metadata["kernelspec"])}
    target = notebooks.recorded_path(chapter)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(strip(notebook), target)
    return target


def main() -> int:
    """Record every chapter, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*", type=Path, help="chapters; by default all of them")
    options = parser.parse_args()
    every = notebooks.chapters()
    for chapter in tqdm([path.resolve() for path in options.chapters] or every, unit="chapter"):
        tqdm.write(f"recorded {record(chapter).relative_to(notebooks.ROOT)}")
    wanted = {notebooks.recorded_path(chapter) for chapter in every}
    for stale in set((notebooks.ROOT / "tests/book/recorded").glob("*.ipynb")) - wanted:
        stale.unlink()
        print(f"removed {stale.name}: its chapter is gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
