"""The attack files themselves: they say what they try, they run, and they are bounded."""

import ast
import re

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tests.grading.attacks.form import GROUPS, HERE, TASKS, TOTAL, Attack, Place, load, load_all

ATTACKS = load_all()
# The only places outside the victim's folder that an attack names.
PLACES = re.compile(
    r"/proc(/|$)|/dev/shm/attack-|/dev/(mem|kmsg|tty|tcp/127\.0\.0\.1/)|/bin/(true|bash)$|/$|/\*|"
    r"/(root|home|usr)$|/home/token\.txt$"
)


def bounded(code: str) -> list[str]:
    """What in an attack's code could do harm where there is no sandbox."""
    found = []
    if "fork(" in code and not re.search(r"\b(BOUND|_exit|execv)\b", code):
        found.append("a fork that does not end")
    tree = ast.parse(TransformerManager().transform_cell(code))
    sums = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp)]
    rest = {part for node in sums for part in ast.walk(node.right)}  # "{{VICTIM}}" + "/this"
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    rest |= {part for node in joined for part in node.values[1:]}
    for node in ast.walk(tree):
        if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
            found.append("a loop without an end")
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str | bytes)
            and node not in rest
        ):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if text.startswith("/") and not PLACES.match(text) and "\n" not in text:
                found.append(f"a file elsewhere: {text}")
            for address in re.findall(r"\d+\.\d+\.\d+\.\d+", text):
                if address != "127.0.0.1":
                    found.append(f"another machine: {address}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = ast.unparse(node.args[0]) if node.args else ""
            if node.func.attr in ("kill", "killpg") and target not in (
                "os.getpid()",
                "os.getppid()",
                "int(sys.argv[1])",
            ):
                found.append(f"a signal to {target}")
            if node.func.attr == "sleep" and float(target) > 50:
                found.append(f"a sleep of {target} s")
    if "kill(os.getppid()" in code and "os.getppid() > 1" not in code:
        found.append("a signal to the first process")
    return found


def test_there_are_enough_attacks_of_each_group():
    assert len(ATTACKS) >= 75
    for group in GROUPS:
        assert sum(one.group == group for one in ATTACKS) >= 12, group


def test_points_of_the_form_are_those_of_the_assignment():
    assert sum(TASKS.values()) == 14
    assert TOTAL == 15
    text = "".join(path.read_text() for path in (HERE / "course/hw").glob("*.md"))
    points = dict(re.findall(r'"grade_id": "(?:test-)?(\w+)", [^}]*"points": (\d)', text))
    assert {task: int(number) for task, number in points.items()} == {**TASKS, "why": 1}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: f"{one.group}-{one.name}")
def test_attack_is_bounded_and_is_code(attack, tmp_path):
    if attack.name != "syntax_error":
        for code in (attack.first, *attack.answers.values()):
            assert not bounded(code.replace("{{BOUND}}", "BOUND").replace("{{TELL}}", ""))
    filled = Place(tmp_path, 9, "socket").fill(attack.name, attack.code)
    assert "{{" not in re.sub(r"\{\{\}\}", "", filled), "a placeholder that the form does not know"
    assert max(attack.earned.values(), default=0) <= max(TASKS.values())
    for task, points in attack.kept.items():
        assert points <= attack.earned.get(task, 0), "kept must be earned"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("while True:\n    pass", "a loop without an end"),
        ("open('/etc/passwd')", "a file elsewhere: /etc/passwd"),
        ("connect(('10.0.0.1', 9))", "another machine: 10.0.0.1"),
        ("os.kill(1, 9)", "a signal to 1"),
        ("os.kill(os.getppid(), 15)", "a signal to the first process"),
        ("time.sleep(99)", "a sleep of 99 s"),
        ("if os.fork() == 0:\n    wait()", "a fork that does not end"),
    ],
)
def test_unbounded_code_is_found(code, fault):
    assert fault in bounded(code)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FIRST = ''", "docstring must say"),
        ("'''Says.'''\nFRIST = ''", "unknown \\['FRIST'\\]"),
        ("'''Says.'''\nEARNED = {'dubble': 2}", "dubble"),
        ("'''Says.'''\nBASE = 'wrong'", "base"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, message):
    (tmp_path / "cheating").mkdir()
    path = tmp_path / "cheating" / "one.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_what_a_file_leaves_out_has_a_meaning(tmp_path):
    for group, points in (("honest", dict(TASKS)), ("cheating", {"double": 2})):
        (tmp_path / group).mkdir()
        path = tmp_path / group / "one.py"
        path.write_text("'''Says.'''")
        expected = "right" if group == "honest" else "naive"
        assert load(path) == Attack("one", group, "Says.", expected, earned=points, kept=points)
