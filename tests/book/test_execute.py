"""Pages are executed several at a time, once, and again when the library changes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import execute
from tools.notebooks import ROOT

# The cache leaves the connections to its database to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
# A page

"""
CELL = "```{code-cell} python\n%s\n```\n"


def write_book(root: Path, pages: dict[str, str]) -> Path:
    book = root / "book"
    shutil.copytree(ROOT / "book" / "_ext", book / "_ext")
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))
    config.pop("bibtex_bibfiles")
    config["sphinx"]["config"].pop("bibtex_reference_style")
    (book / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    toc = {"format": "jb-book", "root": "index", "chapters": []}
    (book / "index.md").write_text("# Start\n", encoding="utf-8")
    for name, code in pages.items():
        toc["chapters"].append({"file": name})
        text = HEADER + ":::{note}\nA colon fence.\n:::\n\n" + CELL % code
        (book / f"{name}.md").write_text(text, encoding="utf-8")
    (book / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    return book


def note(tmp_path: Path, name: str) -> str:
    return f"with open({str(tmp_path / name)!r}, 'a') as file:\n    file.write('x')\nprint(1)"


def test_the_build_takes_what_was_executed(tmp_path):
    book = write_book(tmp_path, {"one": note(tmp_path, "1"), "two": note(tmp_path, "2")})
    done = execute.execute(book, "now")
    assert sorted(page.name for page in done) == ["one.md", "two.md"]
    assert all(seconds > 0 for seconds in done.values())
    result = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", "book", "-W", "--keep-going"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    html = (book / "_build/html/one.html").read_text(encoding="utf-8")
    assert re.search(r"<pre>.*1\s*</pre>", html, re.DOTALL)
    assert (tmp_path / "1").read_text() + (tmp_path / "2").read_text() == "xx"


def test_a_page_runs_again_when_it_or_the_library_changes(tmp_path):
    book = write_book(tmp_path, {"one": "a = 1", "two": "b = 1"})
    assert len(execute.execute(book, "now")) == 2
    assert execute.execute(book, "now") == {}
    page = book / "two.md"
    page.write_text(page.read_text(encoding="utf-8").replace("b = 1", "b = 2"), encoding="utf-8")
    assert [page.name for page in execute.execute(book, "now")] == ["two.md"]
    assert len(execute.execute(book, "another library")) == 2


def test_a_failing_page_is_shown_and_the_others_are_kept(tmp_path, monkeypatch, capsys):
    book = write_book(tmp_path, {"bad": "1 / 0", "good": "a = 1"})
    monkeypatch.setattr(sys, "argv", ["execute", "--root", str(tmp_path)])
    assert execute.main() == 1
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert [page.name for page in execute.execute(book, execute.fingerprint(tmp_path))] == [
        "bad.md"
    ]


def test_the_fingerprint_is_of_code_results_and_versions(tmp_path):
    for folder in ("encoderlib", "experiments", "book/experiments"):
        (tmp_path / folder).mkdir(parents=True)
    seen = {execute.fingerprint(tmp_path)}
    (tmp_path / "encoderlib" / "a.py").write_text("a = 1\n")
    seen.add(execute.fingerprint(tmp_path))
    (tmp_path / "encoderlib" / "a.py").write_text("a = 2\n")
    seen.add(execute.fingerprint(tmp_path))
    (tmp_path / "constraints.txt").write_text("torch==1\n")
    seen.add(execute.fingerprint(tmp_path))
    (tmp_path / "experiments" / "page.py").write_text("a = 1\n")
    seen.add(execute.fingerprint(tmp_path))
    (tmp_path / "book" / "experiments" / "ag-news.json").write_text("{}\n")
    seen.add(execute.fingerprint(tmp_path))
    assert len(seen) == 6
