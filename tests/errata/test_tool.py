"""The museum is whole, and its tool goes red on each thing that can be wrong with it."""

import csv
from dataclasses import astuple, replace

import pytest
from bs4 import BeautifulSoup

from tools import errata
from tools.errata import Erratum

FIRST = Erratum(
    id="E000-01",
    article="000",
    chapter="04",
    severity="crash",
    claim="a claim",
    measured="a symptom",
    right="the right version",
    where="one/04-attention#err-E000-01",
)
TOC = """
format: jb-book
root: index
parts:
  - caption: One
    chapters:
      - file: one/04-attention
        title: 04 Attention
      - file: one/05-heads
      - file: reference/errata
"""
PAGE = '| <span id="err-E000-01"></span>E000-01 | claim |\n'
PROOF = '''
def test_proof():
    """E000-01: why."""


def test_of_another():
    """E000-02: why."""


@pytest.mark.skip("later")
def test_skipped():
    """E000-01: why."""


@known_bug("E000-01b", ours, bug)
def test_guard(version):
    """The library."""
'''


@pytest.fixture
def project(tmp_path):
    """A project of two chapters and a museum with one row."""
    files = {
        "book/_toc.yml": TOC,
        "book/one/04-attention.md": PAGE,
        "book/one/05-heads.md": PAGE,
        "book/one/06-hidden.md": PAGE,
        "book/reference/errata.md": "",
        "tests/errata/test_x.py": PROOF,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    write(tmp_path, [FIRST])
    return tmp_path


def write(root, rows, columns=errata.COLUMNS):
    (root / "docs").mkdir(exist_ok=True)
    with (root / errata.TABLE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *(astuple(row) for row in rows)])


def where_problems(root, **change):
    row = replace(FIRST, **change)
    return errata.check_where([row], errata.contents(root), errata.anchors(root), root)


# The real museum


def test_the_table_has_every_erratum_once():
    assert len(errata.IDS) == 138
    assert errata.check_table(errata.read()) == []


def test_every_proof_exists():
    rows, marked = errata.read(), errata.anchors()
    assert errata.check_where(rows, errata.contents(), marked) == []
    assert errata.check_marks(marked) == []


def test_the_page_holds_every_erratum_and_counts_them():
    rows = errata.read()
    text = errata.render(rows, errata.contents(), errata.anchors(), errata.guards())
    soup = BeautifulSoup(text, "html.parser")
    assert {tag["id"] for tag in soup.select("div.erratum")} == set(errata.IDS)
    options = soup.select("select[name=chapter] option")[1:]
    assert sum(int(option.text.rsplit("(", 1)[1][:-1]) for option in options) == len(rows)
    values = {option["value"] for option in options}
    assert values == {tag["data-chapter"] for tag in soup.select("div.erratum")}
    assert soup.select_one("output").text == "138 of 138"


# What goes red


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows, None),
        (lambda rows: rows[1:], "E000-01: missing"),
        (lambda rows: [*rows, rows[0]], "E000-01: 2 times"),
        (lambda rows: [*rows, replace(FIRST, id="E009-01", article="009")], "not an erratum"),
        (lambda rows: [replace(rows[0], article="003"), *rows[1:]], "its article is not 003"),
        (lambda rows: [replace(rows[0], severity="crash + bad"), *rows[1:]], "called 'bad'"),
    ],
    ids=["right", "missing", "twice", "unknown", "article", "severity"],
)
def test_table(change, complaint):
    rows = [replace(FIRST, id=name, article=name[1:4]) for name in errata.IDS]
    found = errata.check_table(change(rows))
    assert bool(found) == bool(complaint)
    assert not complaint or complaint in found[0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"where": "one/07-norms#err-E000-01", "chapter": "07"}, "there is no page"),
        ({"id": "E000-02", "where": "one/04-attention#err-E000-02"}, "has no anchor"),
        ({"where": "one/04-attention#E000-01"}, "must be err-E000-01"),
        ({"where": "one/06-hidden#err-E000-01", "chapter": "06"}, "not in the contents"),
        ({"where": "one/05-heads#err-E000-01"}, "chapter 04, but the proof is on one/05"),
        ({"where": "tests/errata/test_x.py::test_proof"}, None),
        ({"where": "tests/errata/test_y.py::test_proof"}, "no file"),
        ({"where": "tests/errata/test_x.py::test_gone"}, "has no test test_gone"),
        ({"where": "tests/errata/test_x.py::test_of_another"}, "does not name it"),
        ({"where": "tests/errata/test_x.py::test_skipped"}, "is skipped"),
        ({"where": "text: section 2", "chapter": "App A"}, None),
        ({"where": "text: "}, "without a source"),
        ({"where": "text: section 2", "chapter": "99"}, "nothing is called chapter 99"),
    ],
)
def test_where(project, change, complaint):
    found = where_problems(project, **change)
    assert bool(found) == bool(complaint), found
    assert not complaint or complaint in found[0]


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        (PAGE, None),
        (PAGE + PAGE, "stands 2 times"),
        ('<span id="err-E000-01"></span>E000-02', "does not stand before E000-01"),
        ('<span id="err-E009-01"></span>E009-01', "not an erratum"),
    ],
)
def test_marks(project, page, complaint):
    (project / "book/one/04-attention.md").write_text(page, encoding="utf-8")
    found = errata.check_marks(errata.anchors(project))
    assert bool(found) == bool(complaint)
    assert not complaint or complaint in found[0]


def test_a_table_of_other_columns_or_with_an_empty_field_is_refused(project):
    write(project, [FIRST], columns=errata.COLUMNS[::-1])
    with pytest.raises(SystemExit, match="expected the columns"):
        errata.read(project)
    write(project, [replace(FIRST, right=" ")])
    with pytest.raises(SystemExit, match="line 2"):
        errata.read(project)


def test_the_command_writes_the_page_and_fails_on_a_problem(project, capsys, monkeypatch):
    monkeypatch.setattr(errata, "IDS", ["E000-01"])
    assert errata.main(project) == 0
    soup = BeautifulSoup((project / errata.OUTPUT).read_text(encoding="utf-8"), "html.parser")
    row = soup.find(id="E000-01")
    links = [(link["href"], link.text) for link in row.select("a")]
    assert links == [
        ("#E000-01", "E000-01"),
        ("../one/04-attention.html#err-E000-01", "Row in chapter 04"),
        ("../one/05-heads.html#err-E000-01", "also in chapter 05"),
    ]  # and none to chapter 06, which is not on the site
    assert "tests/errata/test_x.py::test_guard" in row.text
    (project / "book/one/04-attention.md").write_text("gone\n", encoding="utf-8")
    assert errata.main(project) == 1
    assert "[FAIL] E000-01: page one/04-attention has no anchor" in capsys.readouterr().out


def test_a_museum_that_is_not_in_the_contents_is_reported(project, capsys, monkeypatch):
    monkeypatch.setattr(errata, "IDS", ["E000-01"])
    toc = TOC.replace("      - file: reference/errata\n", "")
    (project / "book/_toc.yml").write_text(toc, encoding="utf-8")
    assert errata.main(project) == 1
    assert "not in the contents" in capsys.readouterr().out


def test_a_row_with_a_test_unfolds_it_and_a_row_of_text_names_its_source(project):
    def row(where):
        rows = [replace(FIRST, where=where)]
        listed, marked = errata.contents(project), errata.anchors(project)
        return errata.render(rows, listed, marked, {})

    proof = row("tests/errata/test_x.py::test_proof")
    assert "{literalinclude} ../../tests/errata/test_x.py" in proof
    assert ":pyobject: test_proof" in proof
    assert "Found in the text" in row("text: section 2")
    assert "(Source: section 2.)" in row("text: section 2")
