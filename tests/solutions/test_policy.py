"""grading.toml forbids what the assignment's text forbids, and nothing that answers need."""

import pytest

from grading.answers import reference_answers
from grading.bugs import load_bugs
from grading.course import Course
from grading.engine.policy import POLICY_FILE, read_policy
from grading.shortcuts import find_shortcuts
from grading.source import kind, read_text_notebook

COURSE = Course()
ASSIGNMENTS = [
    name for name in COURSE.assignments() if (COURSE.solutions / name / POLICY_FILE).is_file()
]
SDPA, MHA = "torch.nn.functional.scaled_dot_product_attention", "torch.nn.MultiheadAttention"
SHORTCUTS = {
    "softmax": {
        "def softmax(scores, dim=-1):\n    return torch.softmax(scores, dim)": "torch.softmax",
        "def softmax(scores, dim=-1):\n    return scores.softmax(dim)": "torch.softmax",
        "import torch.nn.functional as F\n"
        "def softmax(scores, dim=-1):\n    return F.log_softmax(scores, dim).exp()": (
            "torch.log_softmax"
        ),
        "from encoderlib.attention import softmax": "encoderlib",
    },
    "scaled_dot_product_attention": {
        "import torch.nn.functional as F\n"
        "def scaled_dot_product_attention(query, key, value, mask=None):\n"
        "    return F.scaled_dot_product_attention(query, key, value, mask)": SDPA,
        "from encoderlib import attention": "encoderlib",
    },
    "head_attention": {
        "from torch.nn import MultiheadAttention as M\n"
        "def head_attention(query, key, value):\n    return M(4, 2)(query, key, value)": MHA,
    },
}


def _rules(assignment: str) -> dict[str, tuple[str, ...]]:
    policy = read_policy(COURSE.solutions / assignment / POLICY_FILE)
    return {task: policy.forbidden_for(task) for task in reference_answers(COURSE, assignment)}


def _setup_cells(assignment: str) -> list[str]:
    return [
        cell.source
        for path in COURSE.problems(assignment)
        for cell in read_text_notebook(path).cells
        if cell.cell_type == "code" and kind(cell) in ("locked", "")
    ]


def _code_answers(assignment: str) -> dict[str, str]:
    texts = {
        cell.metadata["nbgrader"]["grade_id"]
        for path in COURSE.problems(assignment)
        for cell in read_text_notebook(path).cells
        if kind(cell) == "written" and cell.cell_type != "code"
    }
    answers = reference_answers(COURSE, assignment)
    return {task: text for task, text in answers.items() if task not in texts}


def test_there_is_a_policy():
    assert "04-attention" in ASSIGNMENTS


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_tasks_of_the_policy_exist(assignment):
    policy = read_policy(COURSE.solutions / assignment / POLICY_FILE)
    assert set(policy.forbidden_in) <= set(reference_answers(COURSE, assignment))


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_reference_answers_use_nothing_forbidden(assignment):
    answers = _code_answers(assignment)
    assert find_shortcuts(answers, _setup_cells(assignment), _rules(assignment)) == []


def test_wrong_answers_of_assignment_04_are_wrong_for_another_reason():
    answers, setup = _code_answers("04-attention"), _setup_cells("04-attention")
    rules = _rules("04-attention")
    for bug in load_bugs(COURSE, "04-attention"):
        rule = {bug.task: rules[bug.task]}
        assert find_shortcuts(answers | {bug.task: bug.source}, setup, rule) == [], bug.name


@pytest.mark.parametrize("task", SHORTCUTS)
def test_shortcuts_of_assignment_04_are_found(task):
    answers, rules = _code_answers("04-attention"), _rules("04-attention")
    setup = _setup_cells("04-attention")
    for source, name in SHORTCUTS[task].items():
        found = find_shortcuts(answers | {task: source}, setup, rules)
        assert (task, name) in {(one.task, one.name) for one in found}, source
        assert all(one.task == task or one.helper for one in found)


def test_text_of_assignment_04_names_what_the_policy_forbids():
    """The student edition says what is not allowed."""
    text = "".join(path.read_text("utf-8") for path in COURSE.problems("04-attention"))
    policy = read_policy(COURSE.solutions / "04-attention" / POLICY_FILE)
    names = {*policy.forbidden, *(name for each in policy.forbidden_in.values() for name in each)}
    for name in names:
        if not name.startswith("aten::"):
            word = {"log_softmax": "log-softmax"}.get(name.split(".")[-1], name.split(".")[-1])
            assert word in text, name
