"""Feedback pages: what they say, and that nothing that a student made can act in them."""

import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from grading.autograded import MARKER
from grading.banner import banner
from grading.course import Course
from grading.engine import record as r
from grading.engine.record import NotebookRecord, Record, Result
from grading.feedback import EARLIER, feedback_folder, write_feedback
from grading.gradebook import GradebookWriter
from grading.release import generate
from grading.safe_html import MAX_CLEANED, MAX_HTML, Cleaner, inert_output
from grading.stock import Stock
from tests.grading.conftest import new_course
from tests.grading.recording import cell, tiny_record

TINY = "01-tiny"
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader's dependencies
ACT = "alert(document.domain)"


class Live(HTMLParser):
    """Finds what acts: code, frames, plug-ins, forms, handlers, schemes that run code."""

    def __init__(self) -> None:
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attributes):
        values = {name: "".join((value or "").split()).lower() for name, value in attributes}
        if tag == "script":
            self.found.add(f"script {values.get('src', '')} {values.get('type', '')}")
        inner = {"iframe", "frame", "object", "embed", "form", "base", "svg", "math", "meta"}
        if tag in inner and (tag, set(values)) != ("meta", {"charset"}):
            self.found.add(tag)
        for name, value in values.items():
            if name.startswith("on") or name in {"srcdoc", "formaction", "xlink:href"}:
                self.found.add(f"{tag} {name}")
            runs = value.startswith(("javascript:", "vbscript:", "data:text"))
            if name in {"href", "src", "action", "data"} and runs:
                self.found.add(f"{tag} {name}={value[:11]}")
        if tag == "img" and values.get("src", "").startswith(("http", "//")):
            self.found.add("picture from elsewhere")
        if tag == "link":
            self.found.add(f"link {values.get('href')}")

    handle_startendtag = handle_starttag


def live(page: str) -> set[str]:
    parser = Live()
    parser.feed(page)
    parser.close()
    return parser.found


HOSTILE_TEXTS = [
    f"<script>{ACT}</script>",
    f"<img src=x onerror={ACT}>",
    f"<svg onload={ACT}><script>{ACT}</script></svg>",
    f"<div onmouseover='{ACT}'\n",
    f"[click](javascript:{ACT})",
    f"[click](java&#115;cript:{ACT})",
    f"[click](<java\tscript:{ACT}>)",
    f"[click](javascript&colon;{ACT})",
    f"<javascript:{ACT}>",
    f"[click][1]\n\n[1]: javascript:{ACT}",
    f"![p](x){{onerror={ACT}}}",
    f'![p](x "a\\" onerror=\\"{ACT}")',
    "![spy](http://127.0.0.1/spy.png)",
    f"<a href='data:text/html,<script>{ACT}</script>'>x</a>",
    "<iframe src='http://127.0.0.1/'></iframe>",
    f"<iframe srcdoc='<script>{ACT}</script>'></iframe>",
    "<object data='x'></object><embed src='x'><base href='http://127.0.0.1/'>",
    f"<form action='javascript:{ACT}'><button formaction='javascript:{ACT}'>x</button></form>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1/'>",
    "<link rel=stylesheet href='http://127.0.0.1/x.css'>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={ACT}>",
    f"<!--><script>{ACT}</script-->",
    f"<noscript><p title='</noscript><img src=x onerror={ACT}>'>",
    f"```html\n<script>{ACT}</script>\n```\n</code></pre><script>{ACT}</script>",
    f"$x$<script>{ACT}</script>$$ <img src=x onerror={ACT}> $$",
    f"\\begin{{align}}<script>{ACT}</script>\\end{{align}}",
    "![missing](attachment:missing.png)",
    "<b><i>" * 1000,
]
HOSTILE_DATA = [
    {"text/html": f"<script>{ACT}</script><b>bold</b>"},
    {"text/html": f"<svg/onload={ACT}>"},
    {"text/html": "<table><tr><td>kept</td></tr></table>"},
    {"text/html": f"<img src=x onerror={ACT}>" * (MAX_HTML // 20)},
    {"text/html": "<div>" * 1000},
    {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg' onload='{ACT}'></svg>"},
    {"image/png": f"x' onerror='{ACT}"},
    {"image/png": f'"><script>{ACT}</script>'},
    {"application/javascript": ACT},
    {"text/markdown": f"[x](javascript:{ACT})<script>{ACT}</script>", "text/plain": "md"},
    {"text/latex": f"$</script><script>{ACT}</script>$"},
    {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "widget"},
    {"text/plain": f"</pre><script>{ACT}</script>"},
    {"text/vnd.mermaid": f"graph TD; a-->b; click a call {ACT}"},
]


def hostile_record() -> Record:
    record = tiny_record(
        message=f"<script>{ACT}</script>", limits_hit=[f"<img src=x onerror={ACT}>"]
    )
    outputs = [
        {"output_type": "display_data", "data": data, "metadata": {"text/html": {"isolated": True}}}
        for data in HOSTILE_DATA
    ]
    outputs += [
        {"output_type": "stream", "name": "stdout", "text": f"\x1b[31m<script>{ACT}</script>"},
        {
            "output_type": "error",
            "ename": f"<script>{ACT}</script>",
            "evalue": f"</pre><script>{ACT}</script>",
            "traceback": [f"<script>{ACT}</script>"],
        },
        {"output_type": f"<script>{ACT}</script>"},
    ]
    words = record.notebooks[1]
    words.notes.append(f"</td><script>{ACT}</script> $\\href{{javascript:{ACT}}}{{x}}$")
    words.results[0] = Result(
        "test-reverse", r.WRONG, 0.0, 1.0, f"**<script>{ACT}</script>**\n\n# x"
    )
    words.cells[0]["source"] = f"'''</pre><script>{ACT}</script>'''"
    words.cells[0]["outputs"] = outputs
    words.cells[0]["metadata"]["magics_language"] = f"<script>{ACT}</script>"
    words.cells[2]["source"] = "\n\n".join(HOSTILE_TEXTS)
    words.cells += [cell(text, kind="markdown") for text in HOSTILE_TEXTS]
    words.cells += [cell(text, kind="raw") for text in HOSTILE_TEXTS]
    png = {"image/png": f"x' onerror='{ACT}"}
    words.cells.append(cell("![a](attachment:a)", kind="markdown", attachments={"a": png}))
    return record


@pytest.fixture(scope="module")
def recorded_once(tmp_path_factory):
    """Harmless ada, hostile eve, and fay, of whom nothing could be graded."""
    course = new_course(tmp_path_factory.mktemp("recorded") / "root")
    stock = Stock(course, {"CourseDirectory": {"release_directory": "build/release"}})
    generate(stock, course, TINY)
    failed = Record(f"{2:064x}", TINY, r.FAILED, "numbers.ipynb: not JSON")
    failed.notebooks = [
        NotebookRecord(name, failed=f"{name}.ipynb is not JSON") for name in ("numbers", "words")
    ]
    with GradebookWriter(stock) as writer:
        writer.record("ada", tiny_record())
        writer.record("eve", hostile_record())
        writer.record("fay", failed)
    return course.root


@pytest.fixture
def stock(recorded_once, tmp_path):
    shutil.copytree(recorded_once, tmp_path / "root")
    return Stock(Course(tmp_path / "root"))


def clean(html):
    return Cleaner().clean(html)


def inert(output):
    return inert_output(output, Cleaner())


def page(stock, student, name="words"):
    return (feedback_folder(stock, student, TINY) / f"{name}.html").read_text(encoding="utf-8")


def test_nothing_that_a_student_made_is_live(stock):
    written = write_feedback(stock, TINY, ["ada", "eve"])
    assert (written.students, written.missing) == (["ada", "eve"], [])
    assert live(page(stock, "eve")) == live(page(stock, "ada"))  # nbgrader's own, for formulas
    assert all("mathjax" in one for one in live(page(stock, "ada")))
    text = page(stock, "eve")
    assert "<td>kept</td>" in text
    assert "<b>bold</b>" in text
    assert text.count("&lt;script&gt;") > 10  # what they typed is shown


def test_the_check_for_live_parts_finds_them():
    for text in (f"<script>{ACT}</script>", f"<img onerror={ACT}>", "<svg/onload=x>", "<iframe>"):
        assert live(text)
    assert live(f"<a href=' java\nscript:{ACT}'>")
    assert not live("<p>x</p><img src='data:image/png;base64,AA'><a href='#x'>y</a>")


def test_stock_feedback_and_formgrader_are_safe_with_one_line_of_configuration(stock):
    from nbconvert.exporters import HTMLExporter
    from traitlets.config import Config

    path = stock.directory.format_path("course/autograded", "eve", TINY) + "/words.ipynb"
    config = Config()
    config.HTMLExporter.template_name = "classic"  # what formgrader's builds upon
    line = {"markdown2html": "grading.safe_html.markdown2html"}
    config.HTMLExporter.filters = line
    html, _ = HTMLExporter(config=config).from_filename(path)
    harmless, _ = HTMLExporter(config=config).from_filename(path.replace("eve", "ada"))
    assert live(html) == live(harmless)
    stock.api.config.HTMLExporter.filters = line
    for student in ("eve", "ada"):
        assert stock.api.generate_feedback(TINY, student)["success"]
    assert live(page(stock, "eve")) == live(page(stock, "ada"))


def test_stock_nbgrader_without_that_line_shows_live_texts_but_no_live_outputs(stock):
    """So the line is needed, and the outputs are inert already in the autograded notebook."""
    del stock.api.config.HTMLExporter["filters"]
    with GradebookWriter(stock) as writer:
        record = hostile_record()
        for one in record.notebooks[1].cells:
            one["source"] = "x"
        writer.record("eve", record)
        record.notebooks[1].cells[2]["source"] = f"[x](javascript:{ACT})"
        writer.record("gil", record)
    for student in ("ada", "eve", "gil"):
        assert stock.api.generate_feedback(TINY, student)["success"]
    assert live(page(stock, "eve")) == live(page(stock, "ada"))
    assert live(page(stock, "gil")) - live(page(stock, "ada")) == {"a href=javascript:"}


def test_a_page_says_how_it_ended_and_why(stock):
    write_feedback(stock, TINY, ["ada", "eve"])
    text = page(stock, "ada")
    assert "Status: graded." in text
    assert "a person decides" in text
    assert "Score: not decided / 2.0" in text  # where nbgrader says 0.0
    assert "(Score: 1.0 / 3.0)" in text
    assert "drawn" not in page(stock, "ada", "numbers")  # of the hidden test
    assert "not right yet" in page(stock, "eve")


def test_the_list_of_tests_names_them_by_their_headings(stock):
    path = Path(stock.directory.format_path("course/autograded", "ada", TINY)) / "words.ipynb"
    notebook = nbformat.read(path, 4)
    graded = next(
        number
        for number, one in enumerate(notebook.cells)
        if (marks := one.metadata.get("nbgrader", {})).get("grade") and not marks["solution"]
    )
    heading = nbformat.v4.new_markdown_cell("# No\n\n## Turn <b>it</b>\n\ntext")
    notebook.cells.insert(graded, heading)
    nbformat.write(notebook, path)
    write_feedback(stock, TINY, ["ada"])
    name = notebook.cells[graded + 1].metadata.nbgrader.grade_id
    assert f'<a href="#{name}">Turn &lt;b&gt;it&lt;/b&gt;</a> (Score' in page(stock, "ada")
    assert "Test cell</a>" not in page(stock, "ada")


def test_points_that_a_person_gave_since_are_shown(stock):
    write_feedback(stock, TINY, ["ada"])
    with stock.gradebook() as gradebook:
        gradebook.find_grade("why", "words", TINY, "ada").manual_score = 1.5
        gradebook.find_comment("why", "words", TINY, "ada").manual_comment = "*well* said"
        gradebook.db.commit()
    write_feedback(stock, TINY, ["ada"])
    text = page(stock, "ada")
    assert "<td>1.5 of 2</td>" in text
    assert "(Score: 2.5 / 3.0)" in text
    assert "<em>well</em> said" in text


def test_a_failed_submission_gets_a_page_that_says_what_to_do(stock):
    assert write_feedback(stock, TINY, ["fay"]).missing == []
    text = page(stock, "fay", "numbers")
    assert "Status: failed." in text
    assert "not a zero" in text
    assert "numbers.ipynb is not JSON" in text
    assert "What to do:" in text
    assert "(Score: no score / 5.0)" in text
    assert "Score: 0.0" not in text


def test_replaced_pages_are_kept_and_equal_ones_are_not(stock):
    folder = feedback_folder(stock, "ada", TINY)
    earlier = folder.parent / EARLIER / TINY
    write_feedback(stock, TINY, ["ada"])
    write_feedback(stock, TINY, ["ada"])
    assert not list(earlier.glob("*"))
    first = page(stock, "ada")
    with GradebookWriter(stock) as writer:
        writer.record("ada", tiny_record(message="mended"))
    write_feedback(stock, TINY, ["ada"])
    (kept,) = earlier.iterdir()
    assert (kept / "words.html").read_text(encoding="utf-8") == first != page(stock, "ada")
    assert {path.name for path in folder.iterdir()} == {"numbers.html", "words.html"}
    assert not (folder / MARKER).exists()


def test_one_that_cannot_be_converted_costs_only_itself(stock):
    folder = stock.directory.format_path("course/autograded", "eve", TINY)
    with open(f"{folder}/words.ipynb", "w") as file:
        file.write("{")
    written = write_feedback(stock, TINY, ["ada", "eve", "fay"])
    assert (written.students, written.missing) == (["ada", "fay"], ["eve"])
    assert "eve" in written.log


def test_names_that_look_like_patterns_are_taken_as_they_are(stock):
    with GradebookWriter(stock) as writer:
        writer.record("a[d]*", tiny_record())
    assert write_feedback(stock, TINY, ["a[d]*"]).students == ["a[d]*"]
    assert not feedback_folder(stock, "ada", TINY).exists()
    assert write_feedback(stock, TINY, []).students == []


@pytest.mark.parametrize("html", HOSTILE_TEXTS + [one["text/html"] for one in HOSTILE_DATA[:5]])
def test_clean_html_has_no_live_part(html):
    assert not live(clean(html) or "")


def test_the_grader_does_not_spend_its_day_on_cleaning():
    assert clean("x" * MAX_HTML) == "x" * MAX_HTML
    assert clean("x" * (MAX_HTML + 1)) is None
    cleaner, pieces = Cleaner(), MAX_CLEANED // 1024
    assert all(cleaner.clean("x" * 1024) for _ in range(pieces))
    assert cleaner.clean("x") is None
    data = {"text/html": "<b>" * MAX_HTML, "text/plain": "plain"}
    assert inert({"output_type": "display_data", "data": data})["data"] == {"text/plain": "plain"}


def test_clean_keeps_what_texts_are_made_of():
    kept = '<table class="dataframe"><tbody><tr><td>1</td></tr></tbody></table>'
    assert clean(f"<style>x</style>{kept}") == kept
    assert clean('<a href="https://pytorch.org">x</a>') == '<a href="https://pytorch.org">x</a>'
    assert clean('<img src="jupyter.png" alt="x">') == '<img src="jupyter.png" alt="x">'
    assert "url(" not in clean('<p style="color: red; background: url(http://127.0.0.1)">x</p>')


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"output_type": "display_data"},
        {"output_type": "display_data", "data": []},
        {"output_type": "display_data", "data": {"image/png": "no base64: <"}},
        {"output_type": "update_display_data", "data": {"text/plain": "x"}},
    ],
)
def test_an_output_of_a_wrong_form_is_left_out(output):
    assert inert_output(output, Cleaner()) is None


def test_outputs_have_the_form_of_nbformat():
    assert inert({"output_type": "stream", "name": "x", "text": ["a", "b"]}) == {
        "output_type": "stream",
        "name": "stdout",
        "text": "ab",
    }
    made = inert(
        {"output_type": "execute_result", "data": {"text/plain": "1"}, "execution_count": "<"}
    )
    assert made["execution_count"] is None
    assert inert({"output_type": "error", "traceback": "x"})["traceback"] == []


def test_banner_is_one_block_of_html():
    record = hostile_record()
    text = banner(record, record.notebooks[1])
    assert "\n" not in text
    assert not live(text)
    assert "&#42;&#42;" in text  # stars are no emphasis
