"""The list of concepts is settled by the chapters, and the checker goes red where it is not."""

import csv

import pytest

from tools import coverage
from tools.notebooks import ROOT

TOC = """
format: jb-book
root: index
parts:
  - caption: One
    chapters:
      - file: one/04-attention
        sections:
          - file: one/05-heads
      - file: instructors/06-norms
      - file: reference/api/index
"""
ROWS = """id,item,chapters,mode
C1,scores,04,CE
C2,"masks, all kinds","04,05",C
C3,later,06,P
C4,questions,all,P
"""
FILES = {
    "04-attention": "row,anchor,where\nC1,sec-scores,a table\nC2,eq-mask,a formula\nC4,ch-x,top\n",
    "05-heads": "row,anchor,where\nC2,Sec_Heads,code\n",
}
PAGES = {
    "04-attention": '<b id="sec-scores"></b><div id="equation-eq-mask"></div><i id="ch-x"></i>',
    "05-heads": '<section id="sec-heads"></section>',
}


@pytest.fixture
def project(tmp_path):
    """A project of two chapters in which everything is settled, with its site."""
    for folder in ("docs/coverage", "book", "site/one"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book/_toc.yml").write_text(TOC, encoding="utf-8")
    (tmp_path / "docs/coverage/rows.csv").write_text(ROWS, encoding="utf-8")
    for name, text in FILES.items():
        (tmp_path / f"docs/coverage/{name}.csv").write_text(text, encoding="utf-8")
    for name, text in PAGES.items():
        (tmp_path / f"site/one/{name}.html").write_text(text, encoding="utf-8")
    return tmp_path


def run(project, *arguments):
    site = () if "--sources" in arguments else ("--site", str(project / "site"))
    return coverage.main([*site, *arguments], root=project)


def test_a_complete_project_passes(project, capsys):
    assert run(project) == 0
    printed = capsys.readouterr().out
    assert "[ OK ] 04: 2 of 2 rows settled" in printed
    assert "[ OK ] 05: 1 of 1 rows settled" in printed
    assert "C4, for all chapters, is listed by: 04" in printed
    assert "3 of 4 rows are settled" in printed
    assert "06" not in printed, "an instructors' page is no chapter"


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("04-attention", "C1,sec-scores,a table\n", "", "missing C1 (CE, for 04): scores"),
        ("05-heads", "C2,Sec_Heads,code\n", "", "missing C2 (C, for 04,05): masks, all kinds"),
        ("04-attention", "sec-scores", "sec-nowhere", "no anchor 'sec-nowhere' in one/04"),
        ("04-attention", "C1,", "C9,", "C9: no such row"),
        ("05-heads", "C2,", "C2,sec-heads,again\nC2,", "C2: twice"),
    ],
)
def test_a_gap_is_named_and_fails(project, capsys, name, old, new, complaint):
    path = project / f"docs/coverage/{name}.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert run(project) == 1
    printed = capsys.readouterr().out
    assert complaint in printed
    assert f"[FAIL] {name[:2]}" in printed


def test_a_chapter_without_file_or_page_fails(project, capsys):
    (project / "docs/coverage/05-heads.csv").unlink()
    assert run(project) == 1
    assert "missing C2" in capsys.readouterr().out
    (project / "site/one/04-attention.html").unlink()
    assert run(project) == 1
    assert "it is not built" in capsys.readouterr().out


def test_a_chapter_that_is_not_on_the_navigation_is_told_and_passes(project, capsys):
    path = project / "docs/coverage/06-norms.csv"
    path.write_text("row,anchor,where\nC3,sec-norms,prose\n", encoding="utf-8")
    assert run(project) == 0
    printed = capsys.readouterr().out
    assert "[soon] 06: 1 of 1 rows settled, not on the navigation" in printed
    assert "3 of 4 rows are settled" in printed


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("rows", "id,item,chapters\nC1,scores,04\n", "expected the columns"),
        ("rows", ROWS + "C1,again,04,P\n", "twice in the list: C1"),
        ("04-attention", "row,anchor,where\nC1,sec-scores,\n", "line 2"),
        ("04-attention", "row,anchor,where\nC1,sec-scores,one, two\n", "line 2"),
        ("notes", "row,anchor,where\n", "must begin with the chapter"),
    ],
)
def test_a_broken_table_is_refused(project, name, text, complaint):
    (project / f"docs/coverage/{name}.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=complaint):
        run(project)


def test_a_file_beside_the_page_it_names_is_refused(project, capsys):
    (project / "docs/coverage/05-heads.csv").rename(project / "docs/coverage/05-tails.csv")
    assert run(project) == 1
    assert "05-tails.csv does not belong to the page one/05-heads" in capsys.readouterr().out


def test_a_missing_site_is_no_success(project):
    with pytest.raises(SystemExit, match="make book"):
        coverage.main(["--site", str(project / "nowhere")], root=project)


def test_labels_of_a_source(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "(ch_one)=\n# One: first, and more\n\n```{math}\n:label: eq-one\nx\n```\n"
        "````{prf:definition} Two\n:label: def-two\n````\n"
        "```{code-cell} ipython3\n(sec-in-code)=\n# Not a heading\n```\n",
        encoding="utf-8",
    )
    assert coverage.anchors_in_source(page) == {
        "ch-one",
        "one-first-and-more",
        "eq-one",
        "def-two",
    }


def test_sources_instead_of_a_site(project):
    (project / "book/one").mkdir()
    (project / "book/one/04-attention.md").write_text(
        "(ch-x)=\n# X\n(sec-scores)=\n## Scores\n:label: eq-mask\n", encoding="utf-8"
    )
    heads = project / "book/one/05-heads.md"
    heads.write_text("(sec-heads)=\n# Heads\n", encoding="utf-8")
    assert run(project, "--sources") == 0
    heads.write_text("# Others\n", encoding="utf-8")
    assert run(project, "--sources") == 1


def test_the_table_is_the_files_by_chapter_in_one(project):
    table = project / "build/coverage.csv"
    assert run(project) == 0
    with table.open(encoding="utf-8", newline="") as file:
        lines = [tuple(line.values()) for line in csv.DictReader(file)]
    assert lines == [
        ("C1", "04", "one/04-attention.html#sec-scores", "a table"),
        ("C2", "04", "one/04-attention.html#equation-eq-mask", "a formula"),
        ("C2", "05", "one/05-heads.html#sec-heads", "code"),
        ("C4", "04", "one/04-attention.html#ch-x", "top"),
    ]


@pytest.mark.parametrize(
    ("stem", "key"),
    [
        ("04-attention", "04"),
        ("app-a-mathematics", "App A"),
        ("appendix-e-library", "App E"),
        ("b-keras", "App B"),
        ("glossary", None),
    ],
)
def test_chapter_of_a_name(stem, key):
    assert coverage.chapter_key(stem) == key


# ------------------------------------------------------------------ the project's own files

ROWS_OF_PROJECT, CHAPTERS = coverage.examine(ROOT, None)


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if c.listed], ids=lambda c: c.key)
def test_a_chapter_on_the_navigation_settles_its_rows(chapter):
    assert [row.id for row in chapter.missing] == []
    assert chapter.problems == []


def test_the_list_is_whole():
    assert [row.id for row in ROWS_OF_PROJECT] == [f"C{number:03d}" for number in range(1, 225)]
    assert {"04", "05"} <= {chapter.key for chapter in CHAPTERS if chapter.listed}
    known = {f"{number:02d}" for number in range(22)} | {f"App {x}" for x in "ABCDEF"} | {"all"}
    assert {key for row in ROWS_OF_PROJECT for key in row.chapters} <= known
