"""Showing what students made without letting any of it act: no script, frame, form or link scheme.

nbgrader's templates put the HTML of text cells and outputs into the page as it is. For its own
commands and formgrader, one line of nbgrader_config.py replaces the filter that does so::

    c.HTMLExporter.filters = {"markdown2html": "grading.safe_html.markdown2html"}
"""

import re
from collections.abc import Mapping

from jinja2 import pass_context

MAX_HTML = 32 << 10
"""Longer HTML is shown as text: cleaning takes time with the square of the depth, a second here."""
MAX_CLEANED = 256 << 10
"""So much HTML is cleaned in one notebook; what follows is shown as text."""
TAGS = frozenset(
    {"a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del"}
    | {"details", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5"}
    | {"h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp"}
    | {"small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th"}
    | {"thead", "tr", "u", "ul", "var"}
)
STYLES = ["color", "background-color", "font-style", "font-weight", "text-align", "width"]
PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
"""SVG is safe as the source of an ``<img>``, which is how nbconvert's templates show it."""
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
GONE = re.compile(r"<(script|style|noscript|template)\b.*?(</\1\s*>|\Z)", re.I | re.S)


class Cleaner:
    """Cleans the HTML of one notebook, so much of it that nobody can keep the grader busy."""

    def __init__(self, budget: int = MAX_CLEANED) -> None:
        self.left = budget

    def clean(self, html: str) -> str | None:
        """HTML in which nothing can act, or None if there is too much of it.

        Text, tables, emphasis and embedded pictures remain.
        """
        import bleach
        from bleach.css_sanitizer import CSSSanitizer

        self.left -= len(html)
        if len(html) > MAX_HTML or self.left < 0:
            return None
        try:
            return bleach.clean(
                GONE.sub("", html),
                tags=TAGS,
                attributes=_allowed,
                protocols={"http", "https", "mailto", "data"},
                css_sanitizer=CSSSanitizer(allowed_css_properties=STYLES),
                strip=True,
            )
        except (RecursionError, ValueError, AssertionError):  # nested too deeply for the parser
            return None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _allowed(tag: str, name: str, value: str) -> bool:
    compact = re.sub(r"[\x00-\x20]", "", value).lower()
    if name == "href":
        return tag == "a" and compact.startswith(("http://", "https://", "mailto:", "#"))
    if name == "src":  # a picture from elsewhere would tell its host who reads the page
        return tag == "img" and (
            compact.startswith(tuple(f"data:{kind};base64," for kind in PICTURES))
            or re.fullmatch(r"[\w./ -]+", value) is not None
        )
    return name in {"class", "style", "title", "alt", "align", "width", "height", "border"} or (
        name in {"colspan", "rowspan", "open"}
    )


@pass_context
def markdown2html(context: Mapping, source: str) -> str:
    """Render Markdown as nbconvert does, and clean the result; a filter for its templates.

    A locked text is the instructor's, put back by the grader, and stays as it is. A text that is
    too long for that, or cannot be rendered, is shown as it was typed.
    """
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    cell = context.get("cell") or {}
    marks = cell.get("metadata", {}).get("nbgrader", {})
    attachments = _Attachments(cell.get("attachments") or {})
    plain = f"<pre>{_escaped(source)}</pre>"
    instructors = marks.get("locked") and marks.get("grade_id") and not marks.get("solution")
    if len(source) > MAX_HTML and not instructors:
        return plain
    try:
        renderer = IPythonRenderer(escape=False, attachments=attachments)
        html = MarkdownWithMath(renderer=renderer).render(source)
    except Exception:  # a page for the others is worth more than the layout of this text
        return plain
    if instructors:
        return html
    cleaned = context["resources"].setdefault("grading_cleaner", Cleaner()).clean(html)
    return plain if cleaned is None else cleaned


class _Attachments(dict):
    """Pictures in a text; a name that is missing gives an empty one and no exception."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> dict:
        return {"image/png": ""}


def inert_output(output: Mapping, cleaner: Cleaner) -> dict | None:
    """An output as plain nbformat in which nothing can act, or None if nothing is left."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": _text(output.get("text"))}
    if kind == "error":
        lines = output.get("traceback")
        return {
            "output_type": "error",
            "ename": _text(output.get("ename")),
            "evalue": _text(output.get("evalue")),
            "traceback": [_text(line) for line in lines] if isinstance(lines, list) else [],
        }
    if kind not in ("display_data", "execute_result"):
        return None
    data = _inert_data(output.get("data"), cleaner)
    if not data:
        return None
    made = {"output_type": kind, "data": data, "metadata": {}}
    if kind == "execute_result":
        count = output.get("execution_count")
        made["execution_count"] = count if isinstance(count, int) else None
    return made


def _inert_data(data: object, cleaner: Cleaner) -> dict:
    kept = {}
    for kind, value in data.items() if isinstance(data, Mapping) else ():
        if kind in ("text/plain", "text/latex", "image/svg+xml"):
            kept[kind] = _text(value)
        elif kind in PICTURES:
            if BASE64.fullmatch(_text(value)):
                kept[kind] = _text(value)
        elif kind == "text/html":
            cleaned = cleaner.clean(_text(value))
            if cleaned and cleaned.strip():  # else it was too long, or nothing but a script
                kept[kind] = cleaned
    return kept


def _text(value: object) -> str:
    """A text of nbformat, which may be a list of lines."""
    if isinstance(value, list):
        return "".join(map(str, value))
    return value if isinstance(value, str) else "" if value is None else str(value)
