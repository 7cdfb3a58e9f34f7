"""Random damage: there is always a plan, and each test of the instructor's is in it once."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grading.engine.bundle import Bundle
from grading.intake import read_submission
from grading.intake.submission import UNEXPECTED
from tests.grading.intake.example import ANSWERS, CELLS, released, source_notebook

BUNDLE = Bundle("ps", {"work": source_notebook(), "other": source_notebook("other")}, {})
TESTS = [cell[0] for cell in CELLS if cell[1] == "test"]
INSTRUCTORS = {cell[0]: cell[4] for cell in CELLS if cell[1] in ("test", "locked")}
FEW = settings(max_examples=150, deadline=None, database=None, derandomize=True)

text = st.text(st.characters(), max_size=30)  # lone surrogates and NULs included
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)
)
names = st.sampled_from([cell[0] for cell in CELLS]) | text
cells = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading"]) | junk,
        "source": text | st.sampled_from([cell[5] for cell in CELLS]) | st.lists(text) | junk,
        "input": text,
        "outputs": junk,
        "attachments": junk | st.dictionaries(text, st.dictionaries(text, text)),
        "metadata": junk
        | st.fixed_dictionaries({"nbgrader": junk | st.dictionaries(text, junk, max_size=3)})
        | st.builds(lambda name, more: {"nbgrader": {"grade_id": name} | more}, names, st.just({})),
        "id": junk,
    },
)


def check(files: dict[str, bytes]) -> None:
    plans = read_submission(BUNDLE, files)
    assert [plan.notebook for plan in plans] == ["work", "other"]
    for plan in plans:
        assert not plan.failed.startswith(UNEXPECTED), plan.failed
        for sentence in [*plan.notes, plan.failed]:
            assert sentence.isprintable() or not sentence
            assert len(sentence) < 2000
        if plan.failed:
            assert not plan.steps
            continue
        assert sorted(s.grade_id for s in plan.steps if s.kind == "test") == sorted(TESTS)
        for step in plan.steps:
            step.source.encode()
            assert "\0" not in step.source
            assert step.kind in ("student", "locked", "test", "text")
            if step.kind in ("test", "locked"):
                assert step.source == INSTRUCTORS[step.grade_id]
        graded = [step.grade_id for step in plan.steps if step.grade_id]
        assert len(graded) == len(set(graded))
        assert {"why", "draw"} <= set(graded)


def dump(thing: object) -> bytes:
    return json.dumps(thing).encode()


@FEW
@given(
    st.binary(max_size=300), st.sampled_from([b"", b'{"cells": [', b"\xef\xbb\xbf{", b"\xff\xfe"])
)
def test_random_bytes(data, start):
    check({"work.ipynb": start + data})


@FEW
@given(junk)
def test_random_json(thing):
    check({"work.ipynb": dump(thing)})


@FEW
@given(junk | st.lists(cells | junk, max_size=6), junk, junk)
def test_random_notebooks(content, version, metadata):
    notebook = {"cells": content, "nbformat": version, "metadata": metadata}
    check({"work.ipynb": dump(notebook)})
    check({"work.ipynb": dump({"worksheets": [{"cells": content}], "nbformat": 3})})


@FEW
@given(st.dictionaries(text.map(lambda name: name + ".ipynb"), st.binary(max_size=20)))
def test_random_names(files):
    check(files)
    check({name: dump(released(ANSWERS)) for name in files})


MUTATIONS = ("delete", "copy", "move", "swap", "type", "metadata", "id", "field", "merge", "cell")


@st.composite
def mutated(draw) -> dict:
    notebook = released(ANSWERS)
    for _ in range(draw(st.integers(1, 6))):
        content = notebook["cells"]
        if not content:
            break
        one, two = (draw(st.integers(0, len(content) - 1)) for _ in range(2))
        match draw(st.sampled_from(MUTATIONS)):
            case "delete":
                del content[one]
            case "copy":
                content.insert(two, copy.deepcopy(content[one]))
            case "move":
                content.insert(two, content.pop(one))
            case "swap":
                first, second = content[one], content[two]
                first["source"], second["source"] = second.get("source"), first.get("source")
            case "type":
                content[one]["cell_type"] = draw(st.sampled_from(["code", "markdown", "raw", 3]))
            case "metadata":
                content[one]["metadata"] = draw(junk)
            case "id":
                content[one]["metadata"] = {"nbgrader": {"grade_id": draw(names)}}
            case "field" if content[one]:
                content[one][draw(st.sampled_from(sorted(content[one])))] = draw(junk)
            case "merge" if one != two:
                parts = content[one].get("source"), content[two].get("source")
                if all(isinstance(part, str) for part in parts):
                    content[one]["source"] = "\n".join(parts)
                    del content[two]
            case "cell":
                content.insert(one, draw(cells))
    return notebook


@FEW
@given(mutated())
def test_mutated_notebooks(notebook):
    check({"work.ipynb": dump(notebook)})


@FEW
@given(mutated(), st.data())
def test_mutated_bytes(notebook, data):
    content = bytearray(dump(notebook))
    for _ in range(3):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    check({"work.ipynb": bytes(content)})


def test_the_check_itself_can_fail(monkeypatch):
    import grading.intake.submission as submission

    monkeypatch.setattr(submission, "match", lambda *_: 1 / 0)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        check({"work.ipynb": dump(released())})
