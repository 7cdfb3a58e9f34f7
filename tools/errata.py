"""Write the errata museum (appendix C) from ``docs/errata.csv``, and check that it is whole.

``docs/errata.csv`` has one line for each erratum: id, article, chapter, severity, claim, measured,
right, where. ``where`` is the proof: ``building-blocks/04-attention#err-E002-13`` (the row of a
chapter's errata table, marked there as ``<span id="err-E002-13"></span>E002-13``, with the
computed numbers), ``tests/errata/test_x.py::test_y`` (a test that runs claim and right version),
or ``text: SOURCE`` where nothing can be executed. Other pages that hold the same id, and tests that
are marked ``@known_bug(id, ...)``, are found and linked by themselves.

``python -m tools.errata`` writes ``book/_generated/errata.md``, prints every problem, and exits 1
if there is one: an id missing or twice, an anchor or test that does not exist, a page that is not
in the contents.
"""

import ast
import csv
import html
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.notebooks import ROOT

TABLE = "docs/errata.csv"
OUTPUT = "book/_generated/errata.md"
PAGE = "reference/errata"
TEXT = "text:"

# Number: title, errata. An article without a title is named by how it begins.
ARTICLES = {
    "000": ("*Transformer大模型实战：理解编码器*", 27),
    "001": ("*Transformer大模型实战 理解编码器*", 26),
    "002": ("*Transformer大模型实战：通过位置编码来学习位置*", 27),
    "003": ('an article without a title, which begins with "背景介绍"', 14),
    "004": ("*编码器的输出和编码器-解码器的连接*", 44),
}
IDS = [f"E{article}-{n:02}" for article, (_, size) in ARTICLES.items() for n in range(1, size + 1)]
SEVERITIES = {
    "silently wrong": "runs, in the right shape, and computes something else",
    "crash": "does not run, install or typeset",
    "false": "says what is not so",
    "misleading": "leads a reader to a wrong idea",
    "imprecise": "is true of something narrower than what it says",
    "gap": "is announced and not there",
}
# Headings of what has no page of its own; a chapter's heading is its title in the contents.
TITLES = {
    "11": "Autoregression and autoencoders",
    "15": "Pre-training",
    "16": "Adapting a model",
    "17": "Looking inside",
    "19": "Applications",
    "20": "Shipping a model",
    "21": "A customer-service assistant",
    "App A": "Notation",
    "App C": "Listings",
}
ANCHOR = re.compile(r'id="err-(E\d{3}-\d\d)"')


@dataclass(frozen=True)
class Erratum:
    """One line of the table."""

    id: str
    article: str
    chapter: str
    severity: str
    claim: str
    measured: str
    right: str
    where: str

    @property
    def severities(self) -> list[str]:
        """Most errata have one."""
        return self.severity.split(" + ")


COLUMNS = list(Erratum.__dataclass_fields__)


def read(root: Path = ROOT) -> list[Erratum]:
    """The errata, in the order of the file."""
    with (root / TABLE).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if reader.fieldnames != COLUMNS:
            raise SystemExit(f"{TABLE}: expected the columns {COLUMNS}, got {reader.fieldnames}")
        lines = list(reader)
    for number, line in enumerate(lines, start=2):
        if None in line or not all((text or "").strip() for text in line.values()):
            raise SystemExit(f"{TABLE}, line {number}: expected {len(COLUMNS)} fields, none empty")
    return [Erratum(**line) for line in lines]


def contents(root: Path = ROOT) -> dict[str, str]:
    """Pages of the table of contents, and their titles where it gives one."""

    def files(node: dict) -> Iterator[tuple[str, str]]:
        if "file" in node:
            yield node["file"], node.get("title", "")
        for name in ("parts", "chapters", "sections"):
            for child in node.get(name, ()):
                yield from files(child)

    return dict(files(yaml.safe_load((root / "book/_toc.yml").read_text(encoding="utf-8"))))


def anchors(root: Path = ROOT) -> dict[str, list[tuple[str, bool]]]:
    """For each id the pages that mark it, and whether the mark stands before the id itself."""
    found = defaultdict(list)
    for path in sorted((root / "book").rglob("*.md")):
        if {"_build", "_generated"} & set(path.relative_to(root).parts):
            continue
        page = str(path.relative_to(root / "book").with_suffix(""))
        text = path.read_text(encoding="utf-8")
        for match in ANCHOR.finditer(text):
            rest = text[match.end() : match.end() + 60]
            found[match[1]].append((page, rest.startswith(f"></span>{match[1]}")))
    return found


def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def guards(root: Path = ROOT) -> dict[str, list[str]]:
    """For each id the tests marked ``@known_bug(id, ...)``: the library is free of it."""
    found = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        for name, function in _functions(path).items():
            for call in function.decorator_list:
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "known_bug":
                    number = re.match(r"E\d{3}-\d\d", str(getattr(call.args[0], "value", "")))
                    if number:
                        found[number[0]].append(f"{path.relative_to(root)}::{name}")
    return found


def check_table(errata: list[Erratum]) -> list[str]:
    """Every id once, and every field one of the known ones."""
    counts = Counter(erratum.id for erratum in errata)
    problems = [f"{name}: missing in {TABLE}" for name in IDS if not counts[name]]
    problems += [f"{name}: {n} times in {TABLE}" for name, n in counts.items() if n > 1]
    problems += [f"{name}: not an erratum's id" for name in counts if name not in IDS]
    for erratum in errata:
        if erratum.article != erratum.id[1:4]:
            problems.append(f"{erratum.id}: its article is not {erratum.article}")
        for severity in erratum.severities:
            if severity not in SEVERITIES:
                problems.append(f"{erratum.id}: no severity is called {severity!r}")
    return problems


def check_where(
    errata: list[Erratum],
    listed: dict[str, str],
    marked: dict[str, list[tuple[str, bool]]],
    root: Path = ROOT,
) -> list[str]:
    """Every proof must exist."""
    problems = []
    for erratum in errata:
        name, where = erratum.id, erratum.where
        if where.startswith(TEXT):
            if not where.removeprefix(TEXT).strip():
                problems.append(f"{name}: 'text' without a source")
        elif "::" in where:
            problems += [f"{name}: {problem}" for problem in _check_test(erratum, root)]
        else:
            page, _, anchor = where.partition("#")
            number = page.rsplit("/", 1)[-1].split("-")[0]
            if anchor != f"err-{name}":
                problems.append(f"{name}: the anchor must be err-{name}, not {anchor!r}")
            elif not (root / "book" / f"{page}.md").is_file():
                problems.append(f"{name}: there is no page {page}")
            elif page not in {marked_page for marked_page, _ in marked.get(name, ())}:
                problems.append(f"{name}: page {page} has no anchor {anchor}")
            elif page not in listed:
                problems.append(f"{name}: page {page} is not in the contents")
            if number != erratum.chapter:
                problems.append(f"{name}: chapter {erratum.chapter}, but the proof is on {page}")
            continue
        if erratum.chapter not in TITLES and not _page_of(erratum.chapter, listed):
            problems.append(f"{name}: nothing is called chapter {erratum.chapter}")
    return problems


def _check_test(erratum: Erratum, root: Path) -> Iterator[str]:
    file, _, name = erratum.where.partition("::")
    if not (root / file).is_file():
        yield f"there is no file {file}"
        return
    function = _functions(root / file).get(name)
    if function is None:
        yield f"{file} has no test {name}"
    elif erratum.id not in (ast.get_docstring(function) or ""):
        yield f"the test {name} does not name it in its docstring"
    elif any(re.search(r"\.(skip|xfail)\b", ast.unparse(d)) for d in function.decorator_list):
        yield f"the test {name} is skipped"


def check_marks(marked: dict[str, list[tuple[str, bool]]]) -> list[str]:
    """A mark in a page must stand before its own id, once, and be an erratum's."""
    problems = []
    for name, places in marked.items():
        if name not in IDS:
            problems.append(f"{places[0][0]}: err-{name} is not an erratum")
        for page, count in Counter(page for page, _ in places).items():
            if count > 1:
                problems.append(f"{page}: the anchor err-{name} stands {count} times")
        problems += [
            f"{page}: the anchor err-{name} does not stand before {name}"
            for page, before in places
            if not before
        ]
    return problems


def _page_of(chapter: str, listed: dict[str, str]) -> str | None:
    for page in listed:
        if page.rsplit("/", 1)[-1].startswith(f"{chapter}-") and "instructors" not in page:
            return page
    return None


def _row(
    erratum: Erratum, listed: dict[str, str], pages: list[str], tests: list[str]
) -> Iterator[str]:
    severity = html.escape(erratum.severity)
    yield (
        f'<div class="erratum" id="{erratum.id}" data-article="{erratum.article}" '
        f'data-chapter="{erratum.chapter}" data-severity="{severity}">\n'
        f'<p class="erratum-head"><a href="#{erratum.id}">{erratum.id}</a> '
        f'<span class="erratum-severity">{severity}</span> '
        f"<span>article {erratum.article}</span></p>"
    )
    yield f"Claimed\n: {erratum.claim}"
    if erratum.where.startswith(TEXT):
        source = erratum.where.removeprefix(TEXT).strip()
        yield f"Found in the text\n: {erratum.measured} (Source: {source}.)"
    else:
        here = [erratum.where.partition("#")[0]] if "::" not in erratum.where else []
        links = [
            f'<a href="../{page}.html#err-{erratum.id}">'
            f"{'Row in' if page in here else 'also in'} chapter {_number(page)}</a>"
            for page in [*here, *(page for page in pages if page not in here)]
            if page in listed and page in pages
        ]
        yield f"Measured\n: {erratum.measured} {', '.join(links)}".rstrip()
    yield f"Right\n: {erratum.right}"
    if "::" in erratum.where:
        file, _, name = erratum.where.partition("::")
        yield (
            f'<details class="erratum-proof">\n<summary>The test: '
            f"<code>{html.escape(erratum.where)}</code></summary>"
        )
        yield f"```{{literalinclude}} ../../{file}\n:language: python\n:pyobject: {name}\n```"
        yield "</details>"
    if tests:
        names = ", ".join(f"<code>{html.escape(test)}</code>" for test in tests)
        yield f'<p class="erratum-guards">The library is tested for it: {names}</p>'
    yield "</div>"


def _number(page: str) -> str:
    return page.rsplit("/", 1)[-1].split("-")[0]


def _form(errata: list[Erratum], headings: dict[str, str]) -> str:
    def select(name: str, label: str, options: dict[str, tuple[str, int]]) -> str:
        inside = "".join(
            f'<option value="{html.escape(value)}">{html.escape(text)} ({count})</option>'
            for value, (text, count) in options.items()
        )
        return (
            f'<label>{label}<select name="{name}"><option value="">all</option>{inside}'
            "</select></label>"
        )

    severities = Counter(severity for erratum in errata for severity in erratum.severities)
    chapters = Counter(erratum.chapter for erratum in errata)
    articles = Counter(erratum.article for erratum in errata)
    fields = [
        select("severity", "Severity", {s: (s, severities[s]) for s in SEVERITIES}),
        select("chapter", "Chapter", {c: (headings[c], chapters[c]) for c in headings}),
        select("article", "Article", {a: (a, articles[a]) for a in ARTICLES}),
        '<label>Text<input type="search" name="text" placeholder="mask"></label>',
        '<button type="reset">Show all</button>',
    ]
    return (
        '<form id="errata-filter" hidden>\n'
        + "\n".join(fields)
        + f'\n<output aria-live="polite">{len(errata)} of {len(errata)}</output>\n</form>'
    )


def _legend(errata: list[Erratum]) -> str:
    counts = Counter(severity for erratum in errata for severity in erratum.severities)
    lines = [f"- **{name}** ({counts[name]}): {meaning}" for name, meaning in SEVERITIES.items()]
    return (
        "What an article's statement or listing does, and how often; a few do two things:\n\n"
        + ("\n".join(lines))
    )


def render(
    errata: list[Erratum],
    listed: dict[str, str],
    marked: dict[str, list[tuple[str, bool]]],
    guarded: dict[str, list[str]],
) -> str:
    """The body of the page."""
    headings = {}
    for chapter in sorted({erratum.chapter for erratum in errata}, key=_order):
        page = _page_of(chapter, listed)
        title = listed[page] if page else TITLES.get(chapter, "")
        if not page and chapter.isdigit():
            title = f"{chapter} {title}"
        headings[chapter] = title or chapter
    blocks = [
        _legend(errata),
        "The articles, by number:\n\n"
        + "\n".join(f"- {number}: {title}" for number, (title, _) in ARTICLES.items()),
        _form(errata, headings),
    ]
    for chapter, heading in headings.items():
        blocks.append(f"(errata-{chapter.lower().replace(' ', '-')})=\n## {heading}")
        page = _page_of(chapter, listed)
        if page is None and chapter.isdigit():
            blocks.append(
                "No chapter has this number in this edition: its errata are settled here."
            )
        for erratum in errata:
            if erratum.chapter == chapter:
                pages = [name for name, _ in marked.get(erratum.id, ())]
                blocks += _row(erratum, listed, pages, guarded.get(erratum.id, []))
    return "\n\n".join(blocks) + "\n"


def _order(chapter: str) -> tuple[bool, str]:
    return not chapter.isdigit(), chapter


def main(root: Path = ROOT) -> int:
    """Write the page's body, then say what is wrong."""
    errata, listed, marked = read(root), contents(root), anchors(root)
    output = root / OUTPUT
    output.parent.mkdir(parents=True, exist_ok=True)
    text = render(errata, listed, marked, guards(root))
    if not output.exists() or output.read_text(encoding="utf-8") != text:
        output.write_text(text, encoding="utf-8")  # the build looks at the file's time
    problems = [
        *check_table(errata),
        *check_where(errata, listed, marked, root),
        *check_marks(marked),
    ]
    if PAGE not in listed:
        problems.append(f"{PAGE} is not in the contents")
    for problem in problems:
        print(f"[FAIL] {problem}")
    kinds = Counter(
        "text"
        if e.where.startswith(TEXT)
        else "test of its own"
        if "::" in e.where
        else "chapter's row"
        for e in errata
    )
    print(f"{len(errata)} errata, settled by: {dict(kinds)}; {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
