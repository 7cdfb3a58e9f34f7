"""The build of the book stops at a failing cell, a warning on stderr and a broken reference."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools.notebooks import ROOT

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


def build(tmp_path, body):
    """Build a book of one page with the real configuration; exit status and output."""
    book = tmp_path / "book"
    shutil.copytree(ROOT / "book" / "_ext", book / "_ext")
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))
    config.pop("bibtex_bibfiles")
    config["sphinx"]["config"].pop("bibtex_reference_style")
    (book / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
    (book / "index.md").write_text(HEADER + body, encoding="utf-8")
    result = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", "book", "-W", "--keep-going"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("```{code-cell} python\nprint(1)\n```\n", None),
        ("```{code-cell} python\n1 / 0\n```\n", "ZeroDivisionError"),
        ("```{code-cell} python\nimport warnings\n\nwarnings.warn('x')\n```\n", "stderr"),
        ("See {ref}`nowhere`.\n", "nowhere"),
        ("See {func}`encoderlib.attention.nothing`.\n", "nothing"),
    ],
    ids=["clean", "failing cell", "warning", "broken reference", "unknown function"],
)
def test_build(tmp_path, body, complaint):
    status, printed = build(tmp_path, body)
    assert (status == 0) == (complaint is None), printed[-2000:]
    assert complaint is None or complaint in printed
