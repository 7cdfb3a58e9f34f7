"""Whatever the bytes are, there is a plan, and a message that says what to do."""

import json

import pytest

from grading.intake import decode, read_submission
from tests.grading.intake.example import ANSWERS, HONEST, named, released, sketch


def test_honest_notebook_has_no_notes(plan_of, honest):
    plan = plan_of(honest)
    assert (sketch(plan), plan.notes, plan.failed, plan.empty) == (HONEST, [], "", [])


def test_untouched_notebook_is_empty_and_has_no_notes(plan_of):
    plan = plan_of(released())
    assert plan.empty == ["squares", "cubes", "why", "draw"]
    assert plan.notes == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\0\0\0", "is empty"),
        (b"PK\x03\x04 not a notebook", "not valid JSON"),
        (b"<html>Please log in</html>", "not valid JSON"),
        (b"[1, 2]", "not a notebook"),
        (b"null", "not a notebook"),
        (b"{}", "has no cells"),
        (b'{"cells": [1, null, []]}', "has no cells"),
        (b'{"cells": {}, "worksheets": 3}', "has no cells"),
        (b'{"cells": [' + b"9" * 5000 + b"]}", "not valid JSON"),
        (b"[" * 900_000, "nested too deeply"),
        (b'{"cells":' * 100_000, "nested too deeply"),
        (b"[" * 2_000_001, "too many parts"),
        (b" " * (20 << 20) + b"{}", "20 MiB"),
    ],
)
def test_what_is_no_notebook_fails_with_a_reason(plan_of, data, says):
    plan = plan_of(data)
    assert plan.failed.startswith("work.ipynb: ")
    assert says in plan.failed
    assert plan.steps == []


def test_large_file_is_not_parsed(plan_of, monkeypatch):
    monkeypatch.setattr(decode.json, "loads", None)  # calling it would raise
    monkeypatch.setattr(decode.json, "detect_encoding", None)
    plan = plan_of(bytes(200 << 20))
    assert "The file has 200 MiB" in plan.failed
    assert "Clear all outputs" in plan.failed


def test_outputs_of_any_shape_are_ignored(plan_of, honest):
    for outputs in (None, 3, "text", {"a": 1}, [None], [{"output_type": []}]):
        for cell in honest["cells"]:
            cell["outputs"] = outputs
            cell["execution_count"] = outputs
        plan = plan_of(honest)
        assert (sketch(plan), plan.notes) == (HONEST, [])


def test_file_that_is_cut_off_counts_up_to_the_cut(plan_of, honest):
    text = json.dumps(honest, indent=1)
    cut = text.index("return n**3")
    plan = plan_of(text[:cut].encode())
    assert "cut off; its first 7 cells" in plan.notes[0]
    assert sketch(plan)[:6] == HONEST[:6]
    assert plan.empty == ["cubes", "why", "draw"]
    assert {"cubes_small", "cubes_large"} <= {step.grade_id for step in plan.steps}


def test_merge_conflict_is_damage_not_the_end(plan_of, honest):
    text = json.dumps(honest, indent=1)
    at = text.index('"source": "Now cubes."')
    plan = plan_of((text[:at] + "<<<<<<< HEAD\n" + text[at:]).encode())
    assert "damaged or cut off" in plan.notes[0]
    assert not plan.failed


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("latin-1", "LATIN-1"),
    ],
)
def test_other_encodings_are_read_and_named(plan_of, encoding, says):
    text = "Weil es schön ist, für naïve Leser."
    notebook = released(ANSWERS | {"why": text})
    plan = plan_of(json.dumps(notebook, ensure_ascii=False).encode(encoding))
    assert next(step.source for step in plan.steps if step.grade_id == "why") == text
    assert bool(plan.notes) == (says is not None)
    assert says is None or says in plan.notes[0]


def test_chinese_encoding_is_recognised(plan_of):
    text = "因为注意力的权重之和为一。"
    notebook = released(ANSWERS | {"why": text})
    plan = plan_of(json.dumps(notebook, ensure_ascii=False).encode("gb18030"))
    assert next(step.source for step in plan.steps if step.grade_id == "why") == text
    assert "GB18030" in plan.notes[0]


def test_damaged_utf8_keeps_the_rest(plan_of):
    notebook = released(ANSWERS | {"why": "schön, über, für"})
    data = json.dumps(notebook, ensure_ascii=False).encode()
    plan = plan_of(data.replace("ü".encode(), b"\xfc", 1))
    assert next(step.source for step in plan.steps if step.grade_id == "why").startswith("schön")


def test_nul_bytes_and_half_characters_are_cleaned(plan_of, honest):
    named(honest, "squares")["source"] = "x = '\0'\r\ny = '\ud800'\r"
    plan = plan_of(honest)
    source = next(step.source for step in plan.steps if step.task == "squares")
    assert source == "x = ''\ny = '\N{REPLACEMENT CHARACTER}'\n"
    assert source.encode()
    assert any("NUL" in note for note in plan.notes)
    assert any("Unicode" in note for note in plan.notes)


def test_surrogate_pairs_become_one_character(plan_of, honest):
    named(honest, "why")["source"] = "\N{GRINNING FACE}"
    data = json.dumps(honest)  # writes the two halves as escapes
    assert "\\ud83d" in data
    plan = plan_of(data.encode())
    assert next(step.source for step in plan.steps if step.grade_id == "why") == "\N{GRINNING FACE}"
    assert plan.notes == []


def _as_v3(notebook: dict) -> dict:
    cells = []
    for cell in notebook["cells"]:
        cell = dict(cell)
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source").splitlines(keepends=True)
            cell["language"] = "python"
            cell["prompt_number"] = 3
            cell["outputs"] = [{"output_type": "pyout", "text": "forged", "prompt_number": 3}]
            del cell["execution_count"]
        cells.append(cell)
    return {
        "worksheets": [{"cells": cells, "metadata": {}}],
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
    }


@pytest.mark.parametrize("version", [2, 3])
def test_old_formats_are_converted(plan_of, honest, version):
    plan = plan_of(_as_v3(honest) | {"nbformat": version})
    assert sketch(plan) == HONEST
    assert plan.notes == [f"The notebook has the old format {version}; it was converted."]


def test_old_format_that_is_damaged_is_read_all_the_same(plan_of, honest):
    notebook = _as_v3(honest)
    notebook["worksheets"].append(None)
    notebook["metadata"] = 7
    assert sketch(plan_of(notebook)) == HONEST


def test_future_format_is_read(plan_of, honest):
    plan = plan_of(honest | {"nbformat": 9})
    assert sketch(plan) == HONEST
    assert "format 9" in plan.notes[0]


@pytest.mark.parametrize("version", [None, "4", True, [], 4.5, {}])
def test_strange_format_numbers_are_ignored(plan_of, honest, version):
    assert sketch(plan_of(honest | {"nbformat": version})) == HONEST


@pytest.mark.parametrize(
    ("metadata", "noted"),
    [
        ({"kernelspec": {"name": "ir", "language": "R"}}, True),
        ({"kernelspec": {"name": "julia-1.9"}}, True),
        ({"language_info": {"name": "javascript"}}, True),
        ({"kernelspec": {"name": "my-env", "language": "python"}}, False),
        ({"kernelspec": {"name": "python37-tf"}}, False),
        ({"kernelspec": None, "language_info": ["R"]}, False),
        ("R", False),
    ],
)
def test_other_languages_are_noted(plan_of, honest, metadata, noted):
    plan = plan_of(honest | {"metadata": metadata})
    assert sketch(plan) == HONEST
    assert any("graded as Python" in note for note in plan.notes) == noted


def test_lists_of_lines_are_joined(plan_of, honest):
    for cell in honest["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    assert sketch(plan_of(honest)) == HONEST


def test_missing_keys_and_wrong_types_cost_only_their_cell(plan_of, honest):
    honest["cells"] += [
        None,
        [],
        7,
        {},
        {"cell_type": "code"},
        {"cell_type": ["code"], "source": {"a": 1}},
        {"cell_type": "widget", "source": "unknown", "metadata": []},
        {"cell_type": "code", "source": [1, None], "metadata": {"nbgrader": "x"}},
        {"cell_type": "code", "source": "last = 1", "metadata": {"nbgrader": {"grade_id": 5}}},
        {"id": ["!"], "cell_type": "code", "source": "y = 1", "metadata": None},
    ]
    plan = plan_of(honest)
    assert sketch(plan)[: len(HONEST)] == HONEST
    assert sketch(plan)[-2:] == ["student last = 1", "student y = 1"]
    assert "text unknown" in sketch(plan)
    assert sum(note.startswith("Some cells were damaged") for note in plan.notes) == 3


def test_too_many_cells_are_cut(plan_of, honest):
    honest["cells"] += [{"cell_type": "code", "source": "x = 1"}] * decode.MAX_CELLS
    plan = plan_of(honest)
    assert len(plan.steps) == decode.MAX_CELLS
    assert any("the first 2000 count" in note for note in plan.notes)


def test_very_long_cell_is_left_out(plan_of, honest):
    named(honest, "squares")["source"] = "#" * (decode.MAX_SOURCE + 1)
    plan = plan_of(honest)
    assert "Cell 4 has 500,001 characters" in plan.notes[0]
    assert len(plan.steps) == len(HONEST)


def test_pictures_in_a_written_answer_are_kept_and_others_are_not(plan_of, honest):
    named(honest, "why")["attachments"] = {
        "photo.png": {"image/png": "iVBORw0KGgo="},
        "x.svg": {"image/svg+xml": "PHN2Zz4="},
        "odd.png": {"image/png": '"><script>'},
        "../../up.png": {"image/png": "iVBORw0KGgo="},
        "list.png": ["image/png"],
    }
    plan = plan_of(honest)
    step = next(step for step in plan.steps if step.grade_id == "why")
    assert step.attachments == {"photo.png": {"image/png": "iVBORw0KGgo="}}


def test_one_bad_notebook_does_not_cost_the_other(bundle, honest):
    from grading.engine.bundle import Bundle

    both = Bundle("ps", {"first": bundle.notebooks["work"], "work": bundle.notebooks["work"]}, {})
    data = json.dumps(honest).encode()
    first, second = read_submission(both, {"first.ipynb": b"?", "work.ipynb": data})
    assert first.failed
    assert sketch(second) == HONEST
