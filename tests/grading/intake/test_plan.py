"""Whose cell is whose, and what runs when."""

import copy
import json

import pytest

from tests.grading.intake.example import ANSWERS, HONEST, STUB, named, released, sketch


def _without(honest: dict, *grade_ids: str) -> dict:
    cells = honest["cells"]
    for name in grade_ids:
        cells.remove(named(honest, name))
    return honest


def _notes(plan) -> str:
    return "\n".join(plan.notes)


def test_locked_and_test_cells_come_from_the_source(plan_of, honest):
    for name in ("setup", "test-squares", "table"):
        named(honest, name)["source"] = "import os; os._exit(0)"
    plan = plan_of(honest)
    assert sketch(plan) == HONEST
    assert not any("_exit" in step.source for step in plan.steps)
    assert "HIDDEN TESTS" in next(s.source for s in plan.steps if s.grade_id == "test-squares")
    assert "Locked or test cells were changed" in _notes(plan)
    assert "setup, test-squares, table" in _notes(plan)


def test_lines_deleted_from_a_test_are_not_worth_a_note(plan_of, honest):
    named(honest, "test-squares")["source"] = ""
    assert plan_of(honest).notes == []


def test_changed_locked_text_is_noted(plan_of, honest):
    named(honest, "intro")["source"] += "\nmy own remark"
    assert "Locked text was changed" in _notes(plan_of(honest))


@pytest.mark.parametrize("name", ["test-squares", "cubes_small", "cubes_large"])
def test_deleted_test_runs_where_the_source_has_it(plan_of, honest, name):
    plan = plan_of(_without(honest, name))
    assert sketch(plan) == HONEST
    assert plan.notes == [f"Test cells were deleted; the instructor's ran all the same: {name}."]


def test_all_deleted_tests_run(plan_of, honest):
    names = ("test-squares", "cubes_small", "cubes_large", "setup", "table", "intro")
    plan = plan_of(_without(honest, *names))
    assert sorted(sketch(plan)) == sorted(HONEST)
    at = {step.grade_id or step.source: place for place, step in enumerate(plan.steps)}
    assert at["setup"] < at["squares"] < at["result = squares(3)"] < at["test-squares"]
    assert at["test-squares"] < at["cubes"] < at["cubes_small"] < at["cubes_large"] < at["table"]


def test_deleted_answer_leaves_its_tests_in_place(plan_of, honest):
    plan = plan_of(_without(honest, "squares"))
    assert sketch(plan) == [line for line in HONEST if line != "student squares"]
    assert plan.empty == ["squares"]
    assert "Answers are not in the notebook" in _notes(plan)


def test_deleted_answer_and_test(plan_of, honest):
    plan = plan_of(_without(honest, "cubes", "cubes_small", "cubes_large"))
    at = sketch(plan)
    assert at.index("test test-squares") < at.index("test cubes_small") < at.index("text why")


def test_deleted_written_answers_are_empty_and_have_a_place(plan_of, honest):
    plan = plan_of(_without(honest, "why", "draw"))
    assert plan.empty == ["why", "draw"]
    assert sketch(plan) == HONEST
    assert "Written answers are not in the notebook: why, draw." in plan.notes


def test_everything_deleted(plan_of):
    plan = plan_of({"cells": [{"cell_type": "code", "source": "x = 1"}], "nbformat": 4})
    assert [s.grade_id for s in plan.steps if s.kind == "test"] == [
        "test-squares",
        "cubes_small",
        "cubes_large",
    ]
    assert not plan.failed


def test_copied_answer_runs_twice_and_the_test_after_both(plan_of, honest):
    copied = copy.deepcopy(named(honest, "squares"))
    copied["source"] = "def squares(n):\n    return n**2"
    honest["cells"].insert(5, copied)  # below the plain cell, above the test
    plan = plan_of(honest)
    assert sketch(plan) == [*HONEST[:5], "student squares", *HONEST[5:]]
    assert [step.grade_id for step in plan.steps if step.task == "squares"] == [
        "",
        "squares",
        "test-squares",
    ]
    assert "Answers stand in several cells" in _notes(plan)


def test_split_answer_runs_whole_though_half_stands_below_the_test(plan_of, honest):
    half = copy.deepcopy(named(honest, "squares"))
    half["source"] = "answer = squares(2)"
    honest["cells"].insert(6, half)  # below the test
    plan = plan_of(honest)
    assert sketch(plan)[3:7] == [
        "student squares",
        "student result = squares(3)",
        "student squares",
        "test test-squares",
    ]
    assert "Tests stood above their answer" in _notes(plan)


def test_copy_below_the_next_task_is_too_late(plan_of, honest):
    late = copy.deepcopy(named(honest, "squares"))
    late["source"] = "def squares(n):\n    return 0"
    honest["cells"].append(late)
    plan = plan_of(honest)
    assert sketch(plan) == [*HONEST, "student squares"]


def test_the_copy_that_is_still_a_stub_does_not_bear_the_grade_id(plan_of, honest):
    stub = copy.deepcopy(named(honest, "draw"))
    stub["source"] = STUB
    honest["cells"].append(stub)
    plan = plan_of(honest)
    assert plan.empty == []
    (bearer,) = (step for step in plan.steps if step.grade_id == "draw")
    assert bearer.source == ANSWERS["draw"]


def test_copied_test_runs_once(plan_of, honest):
    honest["cells"].append(copy.deepcopy(named(honest, "cubes_small")))
    plan = plan_of(honest)
    assert sketch(plan) == HONEST
    assert "Test cells stand there several times" in _notes(plan)


def test_moved_answer_takes_its_tests_along(plan_of, honest):
    cell = named(honest, "squares")
    honest["cells"].remove(cell)
    honest["cells"].append(cell)
    plan = plan_of(honest)
    assert sketch(plan)[-2:] == ["student squares", "test test-squares"]
    assert sketch(plan).index("test cubes_small") < sketch(plan).index("text why")


def test_moved_test_runs_after_its_answer_and_not_before_its_place(plan_of, honest):
    cell = named(honest, "test-squares")
    honest["cells"].remove(cell)
    honest["cells"].insert(0, cell)
    plan = plan_of(honest)
    at = sketch(plan)
    assert at.index("student squares") < at.index("test test-squares") < at.index("student cubes")
    honest["cells"].remove(cell)
    honest["cells"].append(cell)
    assert sketch(plan_of(honest))[-1] == "test test-squares"


def test_setup_that_was_moved_down_runs_before_the_answers(plan_of, honest):
    cell = named(honest, "setup")
    honest["cells"].remove(cell)
    honest["cells"].append(cell)
    at = sketch(plan_of(honest))
    assert at.index("locked setup") < at.index("student squares")


def test_locked_cell_that_uses_an_answer_runs_after_it(plan_of, honest):
    cell = named(honest, "table")
    honest["cells"].remove(cell)
    honest["cells"].insert(0, cell)
    at = sketch(plan_of(honest))
    assert at.index("student cubes") < at.index("locked table")


def test_reversed_notebook_has_every_test_after_its_answer(plan_of, honest):
    honest["cells"].reverse()
    at = sketch(plan_of(honest))
    assert sorted(at) == sorted(HONEST)
    assert at.index("student squares") < at.index("test test-squares")
    assert at.index("student cubes") < at.index("test cubes_small")
    assert at.index("locked setup") == 0


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_retyped_answer_runs_as_code(plan_of, honest, kind):
    named(honest, "squares")["cell_type"] = kind
    named(honest, "test-squares")["cell_type"] = kind
    plan = plan_of(honest)
    assert sketch(plan) == HONEST
    assert {step.cell_type for step in plan.steps if step.task == "squares"} == {"code"}
    assert "turned into another type" in _notes(plan)


def test_written_text_turned_into_code_is_not_run(plan_of, honest):
    named(honest, "why")["cell_type"] = "code"
    (step,) = (step for step in plan_of(honest).steps if step.grade_id == "why")
    assert (step.kind, step.cell_type) == ("text", "markdown")


def test_changed_settings_change_nothing(plan_of, honest):
    for name, changes in {
        "test-squares": {"points": 100, "locked": False, "checksum": "0"},
        "squares": {"grade": True, "points": 50},
        "cubes_small": {"schema_version": 99, "solution": True},
        "why": {"points": float("nan")},
        "cubes": {"schema_version": [1]},
    }.items():
        named(honest, name)["metadata"]["nbgrader"] |= changes
    plan = plan_of(honest)
    assert sketch(plan) == HONEST
    assert "settings of cells were changed" in _notes(plan)


def test_older_schema_is_not_worth_a_note(plan_of, honest):
    named(honest, "squares")["metadata"]["nbgrader"]["schema_version"] = 1
    assert plan_of(honest).notes == []


@pytest.mark.parametrize("metadata", [{}, None, [], "x", {"nbgrader": None}, {"nbgrader": []}])
def test_notebook_that_lost_its_metadata_is_recognised(plan_of, honest, metadata):
    for cell in honest["cells"]:
        cell["metadata"] = metadata
    plan = plan_of(honest)
    assert sketch(plan) == HONEST
    assert plan.empty == []
    assert "recognised by their content" in _notes(plan)


def test_renamed_grade_ids_are_recognised(plan_of, honest):
    named(honest, "squares")["metadata"]["nbgrader"]["grade_id"] = "SQUARES "
    named(honest, "test-squares")["metadata"]["nbgrader"]["grade_id"] = "mine"
    named(honest, "cubes")["metadata"]["nbgrader"]["grade_id"] = "q2"
    assert sketch(plan_of(honest)) == HONEST


def test_swapped_grade_ids_still_run_both_before_their_tests(plan_of, honest):
    one, two = named(honest, "squares"), named(honest, "cubes")
    one["metadata"], two["metadata"] = two["metadata"], one["metadata"]
    at = [step.source.split("(")[0] for step in plan_of(honest).steps]
    assert at.index("def squares") < at.index("assert squares")
    assert at.index("def cubes") < at.index("assert cubes")


def test_answer_merged_into_a_test_is_taken_out_of_it(plan_of, honest):
    answer = named(honest, "cubes")
    honest["cells"].remove(answer)
    test = named(honest, "cubes_small")
    test["source"] = answer["source"] + "\n\n" + test["source"]
    plan = plan_of(honest)
    assert sketch(plan) == HONEST
    assert plan.empty == []
    assert "taken out of it: cubes." in _notes(plan)


def test_answer_merged_into_the_setup_is_taken_out_of_it(plan_of, honest):
    answer = named(honest, "squares")
    honest["cells"].remove(answer)
    named(honest, "setup")["source"] += "\n\n" + answer["source"]
    at = sketch(plan_of(honest))
    assert at.index("locked setup") < at.index("student squares") < at.index("test test-squares")


def test_test_merged_into_its_answer_runs_from_the_source(plan_of, honest):
    test = named(honest, "cubes_small")
    honest["cells"].remove(test)
    named(honest, "cubes")["source"] += "\n" + test["source"]
    assert sketch(plan_of(honest)) == HONEST


def test_student_cells_between_run_where_they_stand(plan_of, honest):
    honest["cells"].insert(4, {"cell_type": "code", "source": "helper = 1", "metadata": {}})
    assert sketch(plan_of(honest)) == [*HONEST[:4], "student helper = 1", *HONEST[4:]]


def test_tests_know_their_answer(plan_of, honest):
    tasks = {step.grade_id: step.task for step in plan_of(honest).steps if step.kind == "test"}
    assert tasks == {"test-squares": "squares", "cubes_small": "cubes", "cubes_large": "cubes"}


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("YOUR ANSWER HERE", True),
        ("", True),
        (" \n\n", True),
        ("*Replace this line by your answer.*", True),
        ("Since it is so.", False),
        ("YOUR ANSWER HERE\nSince.", False),
    ],
)
def test_written_answer_as_released_is_empty(plan_of, honest, text, empty):
    named(honest, "why")["source"] = text
    assert plan_of(honest).empty == (["why"] if empty else [])


def test_checksum_of_nbgrader_tells_an_unknown_stub(plan_of, honest):
    from nbformat.v4 import new_markdown_cell
    from nbgrader.utils import compute_checksum

    cell = named(honest, "why")
    cell["source"] = "Schreiben Sie hier."
    assert plan_of(honest).empty == []
    as_nbgrader = new_markdown_cell(cell["source"], metadata=cell["metadata"])
    cell["metadata"]["nbgrader"]["checksum"] = compute_checksum(as_nbgrader)
    assert plan_of(honest).empty == ["why"]
    cell["source"] += " Weil es so ist."
    assert plan_of(honest).empty == []


def test_repair_by_deleting_a_line_is_an_answer():
    from grading.engine.bundle import SourceCell
    from grading.intake.stub import looks_empty

    fixed = "a = 1\n### BEGIN SOLUTION\n### END SOLUTION\nb = 2"
    cell = SourceCell("fix", "answer", "code", 0, fixed, "a = 1\na = 2\nb = 2")
    assert looks_empty(cell, "a = 1\na = 2\nb = 2")
    assert not looks_empty(cell, "a = 1\nb = 2")


def test_model_answer_without_marks_is_neither_empty_nor_given_away():
    """Nbgrader replaces the whole cell then, so the source's text is not the released one."""
    from grading.engine.bundle import Bundle, SourceCell, SourceNotebook
    from grading.intake import read_submission

    cell = SourceCell("formula", "written", "markdown", 1, "$n^2$", "$n^2$")
    bundle = Bundle("ps", {"work": SourceNotebook("work", (cell,))}, {})

    def plan(source, metadata):
        cells = [{"cell_type": "markdown", "source": source, "metadata": metadata}]
        data = json.dumps({"cells": cells, "nbformat": 4}).encode()
        return read_submission(bundle, {"work.ipynb": data})[0]

    marked = {"nbgrader": {"grade_id": "formula"}}
    assert plan("$n^2$", marked).empty == []
    assert plan("YOUR ANSWER HERE", marked).empty == ["formula"]
    assert plan("", {}).empty == ["formula"]
    assert not any("n^2" in step.source for step in plan("", {}).steps)
    assert plan("$n^2$", {}).empty == []


def test_grade_ids_occur_once(plan_of):
    notebook = released(ANSWERS)
    notebook["cells"] *= 3
    ids = [step.grade_id for step in plan_of(notebook).steps if step.grade_id]
    assert len(ids) == len(set(ids))
