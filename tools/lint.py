"""Style and spelling of everything: ruff on code, ruff on the code of notebooks, codespell.

``python -m tools.lint`` checks and says what to do; ``--fix`` formats and fixes what it can.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jupytext

from tools import notebooks

# A notebook imports where it needs a name, shows a value by naming it, and redefines freely.
NOTEBOOK_IGNORES = "E402,B018,D,F811,E731,B023,RUF059"
SPELLED = ["README.md", "CONTRIBUTING.md", "CITATION.cff", "Makefile", ".ci"]
SPELLED += ["book", "solutions", "encoderlib", "grading", "tests", "tools"]
SPELLED += ["experiments", "benchmarks", "docs"]


def run(*command: str) -> bool:
    """Run a checker; True if it was content."""
    return subprocess.run([sys.executable, "-m", *command], cwd=notebooks.ROOT).returncode == 0


def lint_notebooks(pages: list[Path], root: Path) -> bool:
    """Ruff on each notebook's code; messages name the text file and the cell."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(notebooks.ROOT / "pyproject.toml", folder)
        for page in pages:
            copy = (folder / page.relative_to(root)).with_suffix(".ipynb")
            copy.parent.mkdir(parents=True, exist_ok=True)
            jupytext.write(notebooks.read(page), copy)
        content = True
        for command in (
            ["ruff", "check", "--quiet", "--extend-ignore", NOTEBOOK_IGNORES, "."],
            ["ruff", "format", "--check", "--quiet", "."],
        ):
            result = subprocess.run(
                [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True
            )
            if result.returncode:
                content = False
                print(result.stdout.replace(".ipynb", ".md") + result.stderr)
                print("in the code cells of the files above; `make format` fixes the layout")
    return content


def format_notebooks(pages: list[Path]) -> None:
    """Format each notebook's code where it stands."""
    for page in pages:
        notebook = jupytext.read(page, fmt="md:myst")
        changed = False
        for cell in notebook.cells:
            if cell.cell_type == "code" and not cell.source.lstrip().startswith(("%", "!")):
                result = subprocess.run(
                    [sys.executable, "-m", "ruff", "format", "-"],
                    input=cell.source,
                    capture_output=True,
                    text=True,
                    cwd=notebooks.ROOT,
                )
                formatted = result.stdout.rstrip("\n")
                if result.returncode == 0 and formatted != cell.source:
                    cell.source, changed = formatted, True
        if changed:
            text = jupytext.writes(notebook, fmt="md:myst")
            lines = [line for line in text.splitlines(True) if "jupytext_version:" not in line]
            page.write_text("".join(lines), encoding="utf-8")
            print(f"formatted {page.relative_to(notebooks.ROOT)}")


def main() -> int:
    """Run every checker, also after one has complained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fix", action="store_true", help="format and fix instead of checking")
    options = parser.parse_args()
    pages = notebooks.chapters() + notebooks.problems()
    spelled = [name for name in SPELLED if (notebooks.ROOT / name).exists()]
    if options.fix:
        run("ruff", "check", "--fix", "--quiet", ".")
        run("ruff", "format", "--quiet", ".")
        format_notebooks(pages)
    results = {
        "ruff check": run("ruff", "check", "--quiet", "."),
        "ruff format": run("ruff", "format", "--check", "--quiet", "."),
        "ruff on notebooks": lint_notebooks(pages, notebooks.ROOT),
        "codespell": run("codespell_lib", *spelled),
    }
    for name, content in results.items():
        print(f"[{' OK ' if content else 'FAIL'}] {name}")
    if not all(results.values()):
        print("`make format` fixes layout; the messages above say what to change by hand")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
