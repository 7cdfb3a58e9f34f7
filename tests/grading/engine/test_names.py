"""Whose a name is; what the examiner runs; whose value a test cell ends with."""

import pytest

from grading.engine.bundle import SourceCell, SourceNotebook
from grading.engine.names import (
    SourceError,
    ends_with_student_call,
    examiner_source,
    student_names,
)


def _cell(source: str, kind: str = "", public: str | None = None, name: str = "") -> SourceCell:
    name = name or (f"a-{kind}" if kind else "")
    return SourceCell(name, kind, "code", 1, source, source if public is None else public)


def _names(*cells: SourceCell) -> set[str]:
    return set(student_names(SourceNotebook("work", cells)))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def squares(n):\n    inner = n\n    return inner", "squares"),
        ("async def later(): pass", "later"),
        ("class Net:\n    width = 3", "Net"),
        ("x = 1", "x"),
        ("x = y = 1", "x y"),
        ("(a, *b), [c] = z", "a b c"),
        ("x += 1", "x"),
        ("x: int = 1", "x"),
        ("x: int", "x"),
        ("for i, (j, k) in pairs:\n    m = i\nelse:\n    n = 1", "i j k m n"),
        ("while True:\n    turn = 1", "turn"),
        ("with open(p) as f, g as (h, i): pass", "f h i"),
        (
            "try:\n    a = 1\nexcept OSError as error:\n    b = 2\nfinally:\n    c = 3",
            "a error b c",
        ),
        ("print(found := 3)", "found"),
        ("kept = [x for x in y if (seen := x)]", "kept seen"),
        ("f = lambda p: (q := p)", "f"),
        (
            "match v:\n    case {'a': a, **rest}: pass\n    case [b, *c] | (b, c): pass",
            "a rest b c",
        ),
        ("match v:\n    case Point(x=px) as whole: pass", "px whole"),
        ("del old", "old"),
        ("def f():\n    global counter\n    counter = 1", "f counter"),
        ("def f():\n    def g():\n        global deep\n        deep = 1", "f deep"),
        ("def f():\n    global read\n    return read", "f"),
        ("x[0] = 1\ny.z = 2", ""),
        ("if a:\n    b = 1\nelif c:\n    d = 1\nelse:\n    e = 1", "b d e"),
        ("%matplotlib inline\nx = 1\n!ls", "x"),
        ("files = !ls", "files"),
        ("%time x = work()", "x"),
        ("%%time\ny = 1", "y"),
        ("%%bash\nz=1", ""),
        ("squares?", ""),
        ("import numpy as np\nfrom math import pi\nx = 1", "x"),
        ("a = await thing()", "a"),
    ],
)
def test_what_an_answer_binds_is_the_students(source, expected):
    assert _names(_cell(source, "answer")) == set(expected.split())
    assert _names(_cell(source, "written")) == set(expected.split())


def test_names_of_the_stub_count_too():
    assert _names(_cell("full = 1", "answer", "stub = 2")) == {"full", "stub"}


def test_stub_that_is_not_python_is_no_error():
    assert _names(_cell("def f():\n    return 1", "answer", "def f():")) == {"f"}


def test_text_cells_locked_cells_and_tests_bind_nothing():
    assert not _names(
        SourceCell("why", "written", "markdown", 1, "x = 1", ""),
        _cell("y = 1", "locked"),
        _cell("z = 1", "test"),
        _cell("plain = 1"),
    )


ANSWER = _cell("def squares(n):\n    return n", "answer")


@pytest.mark.parametrize(
    ("source", "tainted"),
    [
        ("result = squares(10)", "result"),
        ("one = squares(1)\ntwo = one + 1\nthree = two", "one two three"),
        ("last = first\nfirst = squares(1)", "first last"),
        ("def twice(n):\n    return 2 * squares(n)", "twice"),
        ("both = [squares(k) for k in range(3)]", "both"),
        ("for k in squares(3):\n    total = k", "k total"),
        ("table = []\nfor k in range(3):\n    table.append(squares(k))", "table k"),
        ("table = {}\ntable['a'] = squares(1)", "table"),
        ("total = 0\ntotal += squares(1)", "total"),
        ("import numpy as np\nnp.testing.assert_equal(squares(1), 1)", ""),
        ("import numpy as np\nnp.cache = squares(1)", ""),
        ("helper = 3", ""),
        ("def close(squares):\n    return squares == 1", ""),
        ("def close(a, b):\n    squares = a\n    return squares == b", ""),
        ("print(squares(3))", ""),
        ("this is not Python", ""),
    ],
)
def test_what_plain_cells_make_of_it_is_the_students(source, tainted):
    assert _names(ANSWER, _cell(source)) == {"squares", *tainted.split()}


def test_libraries_are_never_the_students():
    """Otherwise a submission that sets np.allclose would pass every test that calls it."""
    answer = _cell(
        "import numpy as np\nfrom math import *\ndef f(x):\n    return np.abs(x)", "answer"
    )
    assert _names(answer, _cell("checked = np.allclose(f(1), 1)")) == {"f", "checked"}
    assert examiner_source(answer, frozenset({"f"})) == "import numpy as np\nfrom math import *"


def test_locked_and_test_cells_run_whole():
    for kind in ("locked", "test"):
        source = "%matplotlib inline\nsquares(2)  # shown\n!ls"
        assert examiner_source(_cell(source, kind), frozenset({"squares"})) == source


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("import os\nx = 1", "import os\nx = 1"),
        ("x = squares(1)\ny = 2", "y = 2"),
        ("def helper():\n    return 1", "def helper():\n    return 1"),
        ("def helper():\n    return squares(1)", ""),
        ("%timeit 1\n!ls\nx = 1", "x = 1"),
        ("x = 1\nx\nx + 1\nprint(x)\ndisplay(x)", "x = 1"),
        ("data = []\nfor k in range(3):\n    data.append(k)", None),
        ("import numpy as np\nnp.random.seed(0)", None),
        ("squares = 3", ""),
        ("import squares", ""),
        ("del squares", ""),
        ("%%bash\nls", ""),
        ("this is not Python", ""),
        ("", ""),
    ],
)
def test_of_plain_cells_what_is_not_the_students(source, kept):
    got = examiner_source(_cell(source), frozenset({"squares"}))
    assert got == (source if kept is None else kept)


def test_answers_and_texts_are_not_run():
    assert examiner_source(ANSWER, frozenset({"squares"})) == ""
    text = SourceCell("why", "written", "markdown", 1, "import os", "")
    assert examiner_source(text, frozenset()) == ""


@pytest.mark.parametrize(
    ("source", "is_students"),
    [
        ("squares(2)", True),
        ("squares", True),
        ("assert True\nsquares(2)", True),
        ("squares(2)[0]", True),
        ("-squares(2)", True),
        ("squares.points", True),
        ("result.points()", True),
        ("score = squares(2)\nscore", True),
        ("await squares(2)", True),
        ("result = 0.5\nresult", False),
        ("score = 0\nif squares(2) == 4:\n    score = 1\nscore", False),
        ("points(squares(2))", False),
        ("squares(2) == 4", False),
        ("0.5", False),
        ("squares(2)\nx = 1", False),
        ("squares(2)\nNone", False),
        ("", False),
        ("# nothing", False),
    ],
)
def test_whose_value_the_cell_ends_with(source, is_students):
    assert ends_with_student_call(source, frozenset({"squares", "result"})) is is_students


@pytest.mark.parametrize(
    "source", ["def f(:", "x = '\0'", "(" * 300, "-" * 200_000 + "1", "\t1\n 2"]
)
@pytest.mark.parametrize("kind", ["answer", "test", "locked"])
def test_source_that_is_not_python_is_named(source, kind):
    cell = _cell(source, kind, name="broken-cell")
    with pytest.raises(SourceError, match="broken-cell"):
        _names(cell)
    with pytest.raises(SourceError, match="broken-cell"):
        examiner_source(cell, frozenset())
    with pytest.raises(SourceError, match="not Python"):
        ends_with_student_call(source, frozenset())
