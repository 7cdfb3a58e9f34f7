"""tools.mutants on a tiny package: what is seen, what is stopped, what is not done twice."""

import fcntl
import json
import shutil
import subprocess
import sys

import pytest

from tools.mutants import ROOT, Project, Session, content_hash
from tools.mutation import mutate

SOURCE = '''\
"""Count."""

__all__ = ["clamp", "total"]


def clamp(x: int, least: int) -> int:
    """The larger of ``x`` and ``least``."""
    if x < least:
        return least
    return x


def total(n: int) -> int:
    """1 + 2 + ... + n."""
    if n < 0:
        raise ValueError(f"n={n} must be at least {0}")
    result = 0
    while n > 0:
        result += n
        n -= 1
    return result
'''
GOOD = """\
import pytest
from tiny import sums

def test_clamp():
    assert [sums.clamp(x, 2) for x in (1, 2, 3)] == [2, 2, 3]

def test_total():
    assert [sums.total(n) for n in range(5)] == [0, 1, 3, 6, 10]
    with pytest.raises(ValueError):
        sums.total(-1)
"""
BAD = """\
from tiny import sums

def test_nothing():
    assert sums.total(1) == 1
"""
SETTINGS = """\
package = "tiny"
floor = 0.80
grace = 0

[modules]
sums = ["test_sums.py"]
"""
ONE = """
[[survivor]]
module = "sums"
where = "clamp"
was = "if x < least:"
now = "if x <= least:"
reason = "Equal numbers: either is the larger."
"""
OTHERS = """
[[survivor]]
module = "sums"
where = "total"
was = "while n > 0:"
now = "while n >= 0:"
reason = "Adds 0."

[[survivor]]
module = "sums"
where = "total"
was = "while n > 0:"
now = "while n > -1:"
reason = "Adds 0."
"""


def run(root, *arguments, tests=GOOD, settings=SETTINGS + ONE + OTHERS):
    """Write tests and settings of the tiny project, and run the tool on it."""
    (root / "tests/test_sums.py").write_text(tests)
    (root / "tests/mutants.toml").write_text(settings)
    return subprocess.run(
        [sys.executable, "-m", "tools.mutants", "--root", root, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def results(root):
    lines = (root / "build/mutants/results.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """A project of one module, and what the tool answered on it with the good tests."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("tiny", "tests", "docs"):
        (root / folder).mkdir()
    (root / "tiny/__init__.py").write_text("")
    (root / "tiny/sums.py").write_text(SOURCE)
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    return root, run(root)


@pytest.fixture
def tiny(first_run, tmp_path):
    """A copy of that project, with its results."""
    return shutil.copytree(first_run[0], tmp_path / "project")


def test_a_good_suite_kills_all_but_the_equivalent_and_stops_the_endless_loop(first_run):
    root, answer = first_run
    assert answer.returncode == 0, answer.stdout + answer.stderr
    page = (root / "docs/mutation.md").read_text()
    assert page.count("\n### ") == 3
    assert "- if x < least:\n+ if x <= least:" in page
    assert "Equal numbers: either is the larger." in page
    assert "not explained" not in page + answer.stdout
    outcomes = {mutant.now: results(root)[i]["outcome"] for i, mutant in in_order(root)}
    assert outcomes["n += 1"] == "timeout"  # in `while n > 0`
    assert outcomes["result = 1"] == "killed"
    assert outcomes["while n >= 0:"] == "survived"
    assert (root / "tiny/sums.py").read_text() == SOURCE


def in_order(root):
    """(place in the results, mutant) of all mutants."""
    place = {row["id"]: i for i, row in enumerate(results(root))}
    mutants = mutate(SOURCE, "sums")[0]
    assert set(place) == {mutant.id for mutant in mutants}
    return [(place[mutant.id], mutant) for mutant in mutants]


def test_what_is_unchanged_is_not_run_again(tiny):
    before, page = results(tiny), (tiny / "docs/mutation.md").read_text()
    assert run(tiny).returncode == 0
    assert results(tiny) == before
    assert (tiny / "docs/mutation.md").read_text() == page
    # A changed function is a changed file: all of its mutants are run.
    (tiny / "tiny/sums.py").write_text(SOURCE[: SOURCE.index("\n\ndef total")])
    run(tiny, "--module", "sums", tests=GOOD[: GOOD.index("def test_total")])
    assert len(results(tiny)) == len(before) + 2


def test_a_bad_suite_is_seen(tiny):
    answer = run(tiny, tests=BAD)
    assert answer.returncode == 1
    assert "80% is the least" in answer.stdout
    assert "not explained" in answer.stdout
    page = (tiny / "docs/mutation.md").read_text()
    assert "**not explained**" in page
    assert "+ pass" in page  # the dropped raise


def test_a_survivor_that_is_not_explained_fails_a_run_with_a_good_rate(tiny):
    answer = run(tiny, settings=SETTINGS + OTHERS)
    assert answer.returncode == 1
    assert "is the least" not in answer.stdout
    assert answer.stdout.count("not explained") == 1


def test_an_explanation_without_a_survivor_is_seen(tiny):
    stale = ONE.replace("if x <= least:", "if x >= least:")
    answer = run(tiny, settings=SETTINGS + ONE + OTHERS + stale)
    assert answer.returncode == 1
    assert "explained, but it does not survive: sums | clamp" in answer.stdout


def test_one_module_is_run_without_writing_the_page(tiny):
    (tiny / "docs/mutation.md").unlink()
    assert run(tiny, "--module", "sums").returncode == 0
    assert not (tiny / "docs/mutation.md").exists()
    answer = run(tiny, "--module", "none")
    assert answer.returncode == 2
    assert "['none'] not in tests/mutants.toml" in answer.stderr


def test_two_runs_at_once_do_not_share_a_folder(tiny):
    with (tiny / "build/mutants/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = run(tiny)
        assert answer.returncode == 1
        assert "another run is using" in answer.stderr
        assert run(tiny, "--list").returncode == 0


def test_tests_that_fail_without_a_mutant_stop_the_run(tiny):
    answer = run(tiny, tests="def test_wrong():\n    assert 1 == 2\n")
    assert answer.returncode == 1
    assert "tests fail without any mutant (tests/test_sums.py::test_wrong)" in answer.stderr
    assert "assert 1 == 2" in answer.stderr
    missing = run(tiny, settings=SETTINGS.replace("test_sums", "test_other"))
    assert "no test file for sums" in missing.stderr


def test_mutants_are_listed_and_shown_with_what_became_of_them(tiny):
    listed = run(tiny, "--list").stdout.splitlines()
    assert len(listed) == len(mutate(SOURCE, "sums")[0])
    line = next(x for x in listed if "not x < least" in x)
    assert line.split()[1] == "killed"
    answer = run(tiny, "--show", line.split()[0])
    assert answer.returncode == 0
    assert "-    if x < least:\n+    if not (x < least):" in answer.stdout
    assert "killed tests/test_sums.py::test_clamp" in answer.stdout
    assert run(tiny, "--show", "00000000").returncode == 1
    assert "not run" in run(tiny, "--list", tests=BAD).stdout
    assert run(tiny, "--list", "--fresh").stdout.count("not run") == len(listed)


def test_what_a_mutant_may_be_and_what_is_left_alone():
    mutants, skipped = mutate(SOURCE, "sums")
    assert {(m.where, m.was, m.now) for m in mutants} == {
        ("clamp", "if x < least:", "if x <= least:"),
        ("clamp", "if x < least:", "if not x < least:"),
        ("total", "if n < 0:", "if not n < 0:"),
        ("total", "if n < 0:", "if n <= 0:"),
        ("total", "if n < 0:", "if n < 1:"),
        ("total", "if n < 0:", "if n < -1:"),
        ("total", "raise ValueError(f'n={n} must be at least {0}')", "pass"),
        ("total", "result = 0", "result = None"),
        ("total", "result = 0", "result = 1"),
        ("total", "result = 0", "result = -1"),
        ("total", "while n > 0:", "while n >= 0:"),
        ("total", "while n > 0:", "while not n > 0:"),
        ("total", "while n > 0:", "while n > 1:"),
        ("total", "while n > 0:", "while n > -1:"),
        ("total", "result += n", "result = n"),
        ("total", "result += n", "result -= n"),
        ("total", "n -= 1", "n = 1"),
        ("total", "n -= 1", "n += 1"),
        ("total", "n -= 1", "n -= 2"),
        ("total", "n -= 1", "n -= 0"),
    }
    assert set(skipped) == {"__all__", "text of an error"}
    assert all(compile(mutant.source, "mutant", "exec") for mutant in mutants)
    assert [mutant.line for mutant in mutants] == sorted(mutant.line for mutant in mutants)


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("@staticmethod\n@f\ndef g(): ...", {("@staticmethod", ""), ("@f", "")}),
        ("f(x)", {("f(x)", "pass"), ("f(x)", "f(None)")}),
        ("if not x: y", {("if not x:", "if x:")}),
        ("if x is None: y", {("if x is None:", "if x is not None:")}),
        ("if x == y: z", {("if x == y:", "if x != y:")}),
        ('"""A text."""', set()),
        ("x: int", set()),
        ("def f(x: Float[Tensor, 'B 3'] | None) -> tuple[1, 2]: ...", set()),
        ("raise ValueError(f'{x + 1}' if y else 'z')", {(None, "pass")}),
    ],
)
def test_operators(source, changes):
    found = {(mutant.was, mutant.now) for mutant in mutate(source, "m")[0]}
    assert {now for _, now in found} == {now for _, now in changes}
    assert all(was is None or (was, now) in found for was, now in changes)


def test_the_key_of_a_mutant_does_not_depend_on_its_line_or_layout():
    short = "def f(a):\n    return a + b(1)\n"
    long = "X = Y\n\n\ndef f(a):\n    return (\n        a  # first\n        + b(1)\n    )\n"
    keys = [
        {mutant.id for mutant in mutate(source, "m")[0] if mutant.where == "f"}
        for source in (short, long)
    ]
    assert keys[0] == keys[1] != set()
    twice = mutate("def f(a):\n    a = 1\n    g(a)\n    a = 1\n", "m")[0]
    assert [m.nth for m in twice if m.now == "a = None"] == [1, 2]
    assert len({mutant.id for mutant in twice}) == len(twice)


def test_results_belong_to_the_source_and_to_the_tests(tiny):
    project = Project.read(tiny)
    first = content_hash(project, "sums", SOURCE)
    assert content_hash(project, "sums", SOURCE + " ") != first
    (tiny / "tests/conftest.py").write_text("x = 1\n")
    second = content_hash(project, "sums", SOURCE)
    assert second != first
    (tiny / "tests/test_sums.py").write_text(BAD)
    assert content_hash(project, "sums", SOURCE) not in (first, second)


def test_a_line_that_was_cut_off_is_forgotten(tmp_path):
    path = tmp_path / "results.jsonl"
    Session(path).add({"hash": "a", "outcome": "killed"})
    with path.open("a") as file:
        file.write('{"hash": "b", "outc')
    assert set(Session(path).results) == {"a"}
    assert Session(path, fresh=True).results == {}
    assert not path.exists()


@pytest.mark.parametrize(
    "text", [ONE.replace("Equal numbers: either is the larger.", " "), 2 * ONE]
)
def test_an_empty_or_double_explanation_is_refused(tiny, text):
    answer = run(tiny, "--list", settings=SETTINGS + text)
    assert answer.returncode == 1
    assert "no reason, or twice" in answer.stderr


def test_the_settings_of_the_project_fit_it():
    project = Project.read(ROOT)
    for module in project.modules:
        assert project.read_module(module)
        assert all((ROOT / path).is_file() for path in project.tests(module))
    assert {key[0] for key in project.survivors} <= set(project.modules)
