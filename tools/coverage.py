"""Say which concepts of the source articles the book settles, where, and what is missing.

``docs/coverage/rows.csv`` lists the concepts: id, item, chapters that must settle it, and mode
(C code, CE code and graded exercise, F figure, P prose). ``docs/coverage/NN-name.csv`` says where
chapter NN settles each: row, anchor, where. An anchor is a label of the chapter's source, such
as ``(sec-cost)=``, or the id that a heading gets: in both cases an id on the built page. A row
of the chapters "all" counts as settled when one chapter lists it.

``python -m tools.coverage`` checks every chapter in ``book/_toc.yml`` against the built site,
writes the whole table to ``build/coverage.csv``, and exits 1 if a chapter misses a row that names
it, or if an anchor does not exist. The table is generated; the files by chapter are the truth.
"""

import argparse
import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from bs4 import BeautifulSoup
from docutils.nodes import make_id

from tools.notebooks import ROOT

ROWS = "rows.csv"
ALL = "all"


@dataclass(frozen=True)
class Row:
    """One concept, and the chapters that must settle it."""

    id: str
    item: str
    chapters: tuple[str, ...]
    mode: str


@dataclass
class Chapter:
    """What one file of ``docs/coverage`` says, and what is wrong with it."""

    key: str  # "04", or "App A"
    page: str  # "building-blocks/04-attention", or the stem of the file if the page is not listed
    listed: bool  # is the page on the navigation?
    entries: list[dict[str, str]] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def rows(self) -> set[str]:
        """The ids that the chapter lists."""
        return {entry["row"] for entry in self.entries}


def read_csv(path: Path, columns: list[str]) -> list[dict[str, str]]:
    """The lines of a table that must have exactly these columns."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if reader.fieldnames != columns:
            raise SystemExit(f"{path}: expected the columns {columns}, got {reader.fieldnames}")
        lines = list(reader)
    for number, line in enumerate(lines, start=2):
        if None in line or not all((text or "").strip() for text in line.values()):
            raise SystemExit(f"{path}, line {number}: expected {len(columns)} fields, none empty")
    return lines


def read_rows(folder: Path) -> list[Row]:
    """The concepts, in order."""
    lines = read_csv(folder / ROWS, ["id", "item", "chapters", "mode"])
    rows = [
        Row(line["id"], line["item"], tuple(line["chapters"].split(",")), line["mode"])
        for line in lines
    ]
    ids = [row.id for row in rows]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise SystemExit(f"{folder / ROWS}: twice in the list: {', '.join(twice)}")
    return rows


def chapter_key(stem: str) -> str | None:
    """`04` of `04-attention`, `App A` of `app-a-mathematics` or `A-mathematics`, or None."""
    if match := re.match(r"(\d\d)-", stem):
        return match[1]
    if match := re.match(r"(?:app(?:endix)?-)?([a-z])-", stem, re.IGNORECASE):
        return f"App {match[1].upper()}"
    return None


def navigation(toc: Path) -> dict[str, str]:
    """Chapter to page, for every chapter on the navigation; the instructors' pages left out."""

    def files(node: object) -> Iterator[str]:
        if isinstance(node, dict):
            if "file" in node:
                yield node["file"]
            for child in node.values():
                yield from files(child)
        elif isinstance(node, list):
            for child in node:
                yield from files(child)

    found: dict[str, str] = {}
    for page in files(yaml.safe_load(toc.read_text(encoding="utf-8"))):
        key = chapter_key(Path(page).name)
        if key and not page.startswith(("instructors/", "reference/")):
            found[key] = page
    return found


def anchors_on_site(page: Path) -> set[str]:
    """Every id on a built page."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    return {tag["id"] for tag in soup.find_all(id=True)}


def anchors_in_source(page: Path) -> set[str]:
    """The ids that the labels and the headings of a MyST source become."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^(`{3,})\{code-cell\}.*?^\1\s*$", "", text, flags=re.DOTALL | re.MULTILINE)
    labels = re.findall(r"^\(([^()\s]+)\)=\s*$", text, re.MULTILINE)
    labels += re.findall(r"^:(?:label|name): *(\S+)\s*$", text, re.MULTILINE)
    labels += re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    return {make_id(label) for label in labels}


def anchors_of(page: str, site: Path | None, book: Path) -> set[str] | None:
    """The anchors of a page on the site, or in the source if there is no site; None: no page."""
    path = book / f"{page}.md" if site is None else site / f"{page}.html"
    if not path.is_file():
        return None
    return anchors_in_source(path) if site is None else anchors_on_site(path)


def read_chapters(folder: Path, pages: dict[str, str]) -> list[Chapter]:
    """One chapter for each page on the navigation and for each file in the folder."""
    chapters = {key: Chapter(key, page, True) for key, page in pages.items()}
    for path in sorted(folder.glob("*.csv")):
        if path.name == ROWS:
            continue
        key = chapter_key(path.stem)
        if key is None:
            raise SystemExit(f"{path}: the name must begin with the chapter, such as 04-")
        chapter = chapters.setdefault(key, Chapter(key, path.stem, False))
        if Path(chapter.page).name != path.stem or chapter.entries:
            chapter.problems.append(f"{path.name} does not belong to the page {chapter.page}")
        chapter.entries += read_csv(path, ["row", "anchor", "where"])
    return [chapters[key] for key in sorted(chapters, key=lambda key: (key.startswith("App"), key))]


def check(rows: list[Row], chapters: list[Chapter], site: Path | None, book: Path) -> None:
    """Fill in what each chapter misses and what is wrong with it."""
    known = {row.id for row in rows}
    for chapter in chapters:
        chapter.missing = [
            row for row in rows if chapter.key in row.chapters and row.id not in chapter.rows
        ]
        names = [entry["row"] for entry in chapter.entries]
        for name in sorted(set(names)):
            if name not in known:
                chapter.problems.append(f"{name}: no such row in {ROWS}")
            if names.count(name) > 1:
                chapter.problems.append(f"{name}: twice")
        if not chapter.listed:
            continue
        anchors = anchors_of(chapter.page, site, book)
        if anchors is None:
            chapter.problems.append(f"{chapter.page} is on the navigation, but it is not built")
            continue
        for entry in chapter.entries:
            name = make_id(entry["anchor"])
            found = [x for x in (entry["anchor"], name, f"equation-{name}") if x in anchors]
            if found:
                entry["anchor"] = found[0]  # as the page has it
            else:
                chapter.problems.append(
                    f"{entry['row']}: no anchor {entry['anchor']!r} in {chapter.page}"
                )


def report(rows: list[Row], chapters: list[Chapter]) -> list[str]:
    """The findings, a line each."""
    lines = []
    named = {row.id for row in rows}
    for chapter in chapters:
        wanted = sum(chapter.key in row.chapters for row in rows)
        settled = wanted - len(chapter.missing)
        bad = chapter.listed and (chapter.missing or chapter.problems)
        mark = "FAIL" if bad else " OK " if chapter.listed else "soon"
        note = "" if chapter.listed else ", not on the navigation"
        lines.append(f"[{mark}] {chapter.key}: {settled} of {wanted} rows settled{note}")
        lines += [
            f"       missing {row.id} ({row.mode}, for {','.join(row.chapters)}): {row.item}"
            for row in chapter.missing
        ]
        lines += [f"       {problem}" for problem in chapter.problems]
    for row in rows:
        if ALL in row.chapters:
            where = [chapter.key for chapter in chapters if row.id in chapter.rows]
            lines.append(
                f"       {row.id}, for all chapters, is listed by: {', '.join(where) or '-'}"
            )
    settled = named & set().union(*(chapter.rows for chapter in chapters if chapter.listed))
    lines.append(f"{len(settled)} of {len(rows)} rows are settled in at least one chapter")
    return lines


def failures(chapters: list[Chapter]) -> int:
    """How many chapters on the navigation miss something."""
    return sum(bool(c.listed and (c.missing or c.problems)) for c in chapters)


def write_table(path: Path, chapters: list[Chapter]) -> None:
    """Row, chapter, anchor, where: all chapters in one table, by row."""
    lines = [
        (entry["row"], chapter.key, f"{chapter.page}.html#{entry['anchor']}", entry["where"])
        for chapter in chapters
        for entry in chapter.entries
        if chapter.listed
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "chapter", "anchor", "where"])
        writer.writerows(sorted(lines))


def examine(root: Path, site: Path | None) -> tuple[list[Row], list[Chapter]]:
    """Read and check the whole project below ``root``; without a site, by the sources."""
    folder, book = root / "docs" / "coverage", root / "book"
    rows = read_rows(folder)
    chapters = read_chapters(folder, navigation(book / "_toc.yml"))
    check(rows, chapters, site, book)
    return rows, chapters


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Check, print, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.coverage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--site", type=Path, default=root / "book/_build/html", metavar="DIR")
    parser.add_argument(
        "--sources", action="store_true", help="check against the labels in book/, not the site"
    )
    parser.add_argument(
        "--table", type=Path, default=root / "build/coverage.csv", metavar="FILE", help="to write"
    )
    options = parser.parse_args(arguments)
    if not options.sources and not options.site.is_dir():
        raise SystemExit(f"no site in {options.site}; run `make book`, or add --sources")
    rows, chapters = examine(root, None if options.sources else options.site)
    print("\n".join(report(rows, chapters)))
    write_table(options.table, chapters)
    print(f"the whole table: {options.table}")
    return 1 if failures(chapters) else 0


if __name__ == "__main__":
    sys.exit(main())
