"""Plain and Markdown tables."""

import textwrap
from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int = 40) -> str:
    """Aligned columns for a terminal; a longer cell is shortened to ``width``."""
    cells = [
        [textwrap.shorten(str(cell), width, placeholder="...") for cell in row] for row in rows
    ]
    columns = list(zip(header, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    lines = [[*header], ["-" * size for size in widths], *cells]
    return "\n".join(
        "  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """A Markdown table; the columns ``right`` are aligned to the right."""
    rule = ["---:" if column in right else "---" for column in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |"
        for line in lines
    )
