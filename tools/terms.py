"""Check that a term of the glossary is linked where a reader of the chapters meets it first.

The chapters are read in the order of the contents. Headings, tables, code, formulas, lists of goals
(all that stands before a page's first section) and quotations in italics do not count as a use.
"""

import argparse
import re
import sys
from pathlib import Path

from tools import notebooks
from tools.execute import on_navigation

GLOSSARY = "book/reference/glossary.md"
OPAQUE = {"code-cell", "math", "mermaid", "raw", "glossary", "bibliography", "code-block"}
EVERYDAY = {"key", "value"}  # words that a page needs in their other sense
NEAR = 200  # characters: a link may follow its word within the sentence
CJK = re.compile(r"[\u4e00-\u9fff]")
FENCE = re.compile(r"\s*(`{3,}|:{3,})(?:\{([\w:-]+)\})?(.*)$")


def _blank(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def entries(glossary: str) -> list[str]:
    """The terms, as they stand in the glossary: English, a dot, Chinese."""
    return re.findall(r"^(?!#)(\S.* · .*)$", glossary, re.M)


def running_text(page: str, tables: bool = False) -> str:
    """The page with everything else blanked, so that places stay the same.

    Args:
        page: a MyST file.
        tables: keep tables, in which a link counts and a word does not.
    """
    page = re.sub(r"\A---\n.*?^---\n", _blank, page, count=1, flags=re.S | re.M)
    lines, fences = [], []  # a fence: its mark, and whether it hides what it holds
    for line in page.split("\n"):
        hidden = any(hides for _, hides in fences)
        if match := FENCE.match(line):
            mark, name, rest = match.groups()
            if fences and mark == fences[-1][0] and not name and not rest.strip():
                fences.pop()
                line = " " * len(line)
            elif not hidden:
                fences.append((mark, name is None or name in OPAQUE))
                line = " " * len(line)
        hidden = hidden or re.match(r"\s*(#+ |:\w|\(.*\)=$)", line)
        hidden = hidden or (not tables and re.match(r"\s*\|", line))
        lines.append(" " * len(line) if hidden else line)
    text = "\n".join(lines)
    for kind in (r"\$\$.*?\$\$", r"(?<![*\w])\*[^*\n][^*]*\?\*"):
        text = re.sub(kind, _blank, text, flags=re.S)
    return text


def _without_roles(text: str) -> str:
    """Words in code and in roles other than links to the glossary are no use of a term."""
    text = re.sub(r"\{(?!term\})[\w:-]+\}`[^`]*`", _blank, text)
    return re.sub(r"(?<![`}])`[^`\n]*`", _blank, text)


def problems(root: Path = notebooks.ROOT) -> list[str]:
    """One sentence for each term that is used before it is linked."""
    found = []
    texts = []
    for page in on_navigation(root / "book"):
        text = page.read_text(encoding="utf-8")
        goals = max(text.find("\n## "), 0)
        uses = _without_roles(running_text(text))
        uses = re.sub(r"[^\n]", " ", uses[:goals]) + uses[goals:]
        texts.append((page, running_text(text, tables=True), uses))
    for entry in entries((root / GLOSSARY).read_text(encoding="utf-8")):
        english, chinese = entry.split(" · ")
        target = re.escape(entry).replace(r"\ ", r"\s+")
        names = [name for name in english.split(", ") if name not in EVERYDAY]
        names = "|".join(re.escape(name) for name in names)
        use = re.compile(rf"\b(?:{names})(?:e?s)?\b".replace(r"\ ", r"\s+"), re.I)
        for page, text, uses in texts:
            link = re.search(rf"\{{term\}}`(?:[^`<]*<)?{target}>?`", text)
            first = use.search(uses)
            if not link and not first:
                continue
            place = link or first
            if not link or (first and first.start() < link.start() - NEAR):
                place, problem = first, f"{first[0]!r} is used before a link to {entry!r}"
            elif "".join(CJK.findall(chinese))[:2] not in text[link.end() : link.end() + 60]:
                problem = f"the first link to {entry!r} is not followed by the Chinese term"
            else:
                break
            line = text[: place.start()].count("\n") + 1
            found.append(f"{page.relative_to(root)}:{line}: {problem}")
            break
    return found


def main(root: Path = notebooks.ROOT) -> int:
    """Print every problem; 1 if there is one."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = problems(root)
    print("\n".join(found) or "every term is linked at its first use")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
