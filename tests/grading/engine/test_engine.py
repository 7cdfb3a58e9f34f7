"""The engine: verdicts, what a broken submission costs, and that nothing leaks or lingers."""

import os
import signal
import threading
import time

import psutil
import pytest

from grading.engine import pool
from grading.engine.bundle import libraries_of, read_bundle
from grading.engine.pool import Engine
from grading.engine.record import FAILED, FORBIDDEN, GRADED, PARTLY, PASSED, STOPPED, UNDECIDED

from .conftest import LIMITS, submission, write_course


def verdicts(record):
    return {name.split("/test-")[1]: one for name, one in record.results.items()}


def scores(record):
    return {name: one.score for name, one in verdicts(record).items()}


FULL = {"double": 2, "square": 3, "share": 2}


def test_right_answers_get_every_point(grade):
    record = grade(submission())
    assert (record.status, record.message) == (GRADED, "")
    assert scores(record) == FULL
    assert {one.outcome for one in record.results.values()} == {PASSED}
    assert record.measures["cpu_seconds"] > 0
    assert record.suspicious == record.limits_hit == record.changed == []


def test_changed_arguments_are_named_and_no_offence(grade):
    square = "def square(x):\n    x *= x\n    return x"
    record = grade(submission(square=square))
    assert record.changed == ["square()"]
    assert record.suspicious == []


def test_printing_warning_and_logging_cost_nothing(grade):
    loud = (
        "import sys, warnings, logging\ndef double(x):\n    print('working')\n"
        "    print('careful', file=sys.stderr)\n    warnings.warn('hm')\n"
        "    logging.getLogger().warning('logged')\n    return 2 * x"
    )
    record = grade(submission(double=loud))
    assert scores(record) == FULL
    shown = "".join(str(cell) for cell in record.notebooks[0].cells)
    assert "working" in shown
    assert "careful" in shown


def test_a_wrong_answer_costs_its_task_and_is_told_why(grade):
    record = grade(submission(double="def double(x):\n    return x + 2"))
    assert scores(record) == FULL | {"double": 0}
    assert verdicts(record)["double"].message == "a half is doubled too"
    record = grade(submission(double="def double(x):\n    return 5"))
    assert verdicts(record)["double"].message == "twice two is four"
    record = grade(submission(square="def square(x):\n    return x ** 3"))
    assert "Not equal to tolerance" in verdicts(record)["square"].message


def test_an_answer_that_does_not_run_says_so(grade):
    for broken, name in (("def double(x)\n    return x", "SyntaxError"), ("1 / 0", "ZeroDivision")):
        message = verdicts(grade(submission(double=broken)))["double"].message
        assert message.startswith(f"the cell of the answer did not run: {name}")
        assert "NameError: name 'double' is not defined" in message


def test_a_bare_assert_shows_its_line_only_where_students_have_it(grade):
    record = grade(submission(square="def square(x):\n    return x * x + (type(x) is int)"))
    assert verdicts(record)["square"].message == "this does not hold: assert square(3) == 9"


def test_a_value_that_cannot_cross_hides_no_other(grade):
    record = grade(submission(square="square = 1 << 13_000_000"))
    assert scores(record) == FULL | {"square": 0}
    assert any("the tests cannot read square" in note for note in record.notebooks[0].notes)
    record = grade(submission(square="def square(x):\n    return 1 << 13_000_000"))
    assert scores(record) == FULL | {"square": 0}


def test_partial_credit(grade):
    assert scores(grade(submission(share="def share(n):\n    return 1"))) == FULL | {"share": 0.5}
    assert scores(grade(submission(share="def share(n):\n    return 2"))) == FULL | {"share": 1.5}


def test_a_score_that_cannot_be_is_left_to_a_person(grade, tmp_path):
    for value in ("float('nan')", "2.5", "-1"):
        write_course(tmp_path, tests={"share": f"share(1)\n{value}"}, policy=LIMITS)
        record = grade(submission(), read_bundle(tmp_path, "numbers"))
        assert scores(record) == FULL | {"share": None}
        assert verdicts(record)["share"].outcome == UNDECIDED
        assert record.status == PARTLY


def test_the_value_of_the_student_is_no_partial_credit(grade, tmp_path):
    write_course(tmp_path, tests={"share": "share(0.25)"}, policy=LIMITS)
    record = grade(submission(), read_bundle(tmp_path, "numbers"))
    assert scores(record)["share"] == 2


CRASHES = {
    "exits": "import os\n    os._exit(0)",
    "sys.exit": "import sys\n    sys.exit()",
    "kills itself": "import os\n    os.kill(os.getpid(), 9)\n    os.abort()",
    "crashes": "import ctypes\n    ctypes.string_at(8)",
    "hangs": "while True: pass",
    "hangs and swallows": (
        "while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass"
    ),
    "uses up the memory": "x = [bytearray(1 << 20) for _ in range(700)]",
    "recurses": "return double(x)",
    "raises": "raise KeyError(x)",
    "raises StopIteration": "raise StopIteration",
}


@pytest.mark.parametrize("how", CRASHES)
def test_a_call_that_does_not_return_costs_its_test(grade, how):
    record = grade(submission(double=f"def double(x):\n    {CRASHES[how]}"))
    assert scores(record) == FULL | {"double": 0}
    assert record.status == GRADED  # it is a verdict: the tests saw what the code does
    assert verdicts(record)["double"].message
    if how.startswith("hangs"):
        assert verdicts(record)["double"].outcome == STOPPED
        assert record.limits_hit


@pytest.mark.parametrize("how", ["os._exit(1)", "while True: pass", "raise SystemExit", "1 +"])
def test_a_cell_that_does_not_end_costs_no_other_cell(grade, how):
    record = grade(submission("ada", "import os\n" + how))
    assert scores(record) == FULL
    spoiled = "import os\ndef double(x):\n    return 2 * x\n" + how
    after = scores(grade(submission(double=spoiled)))
    assert {name: after[name] for name in ("square", "share")} == {"square": 3, "share": 2}


def test_a_test_that_swallows_the_end_of_the_process_still_fails(grade, tmp_path):
    test = "try:\n    share(1)\nexcept Exception:\n    pass"
    write_course(tmp_path, tests={"share": test}, policy=LIMITS)
    bundle = read_bundle(tmp_path, "numbers")
    for body in ("import os\n    os._exit(0)", "while True: pass"):
        record = grade(submission(share=f"def share(n):\n    {body}"), bundle)
        assert verdicts(record)["share"].outcome == STOPPED
        assert scores(record)["share"] == 0


def test_hidden_tests_are_not_in_the_record(grade):
    for answer in ("def double(x):\n    return 5", "def double(x):\n    raise ValueError(x)"):
        text = grade(submission(double=answer)).to_json()
        assert "secret_expectation" not in text
        assert "815" not in text or "raise ValueError" in text  # an input may be seen
        assert "Further tests" in text


def test_live_content_is_not_shown(grade):
    record = grade(
        submission(
            "ada",
            "from IPython.display import HTML, display\n"
            "display(HTML('<script>alert(1)</script>'))\nHTML('<b>x</b>')",
            "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
        )
    )
    outputs = [one for cell in record.notebooks[0].cells for one in cell.get("outputs", ())]
    kinds = {kind for one in outputs for kind in one.get("data", ())}
    assert kinds == {"text/plain", "image/png"}


def test_shell_input_and_magics(grade):
    record = grade(submission("ada", "!ls", "input()", "%timeit -n1 -r1 1", "%%bash\nls"))
    errors = [
        one["evalue"]
        for cell in record.notebooks[0].cells
        for one in cell.get("outputs", ())
        if one["output_type"] == "error"
    ]
    assert "starts a program, which is not available while grading" in errors[0]
    assert "input() is not available while grading" in errors[1]
    assert len(errors) == 3
    assert scores(record) == FULL


def test_forbidden_names(grade, tmp_path):
    write_course(tmp_path, policy=LIMITS + '[forbidden_in]\nsquare = ["numpy.square"]\n')
    bundle = read_bundle(tmp_path, "numbers")
    plain = "import numpy as np\ndef square(x):\n    return np.square(x)"
    record = grade(submission(square=plain), bundle)
    assert verdicts(record)["square"].outcome == FORBIDDEN
    assert "does not allow" in verdicts(record)["square"].message
    assert record.suspicious
    hidden = "import numpy as np\ndef square(x):\n    return getattr(np, 'squ' + 'are')(x)"
    record = grade(submission(square=hidden), bundle)
    assert verdicts(record)["square"].outcome == FORBIDDEN
    assert scores(record) == FULL | {"square": 0}
    elsewhere = "import numpy as np\ndef double(x):\n    return np.square(x) * 2 / x"
    assert scores(grade(submission(double=elsewhere), bundle)) == FULL


def test_a_notebook_that_cannot_be_read_has_no_score(grade):
    one = submission()
    broken = type(one)("ada", {"numbers.ipynb": b"{"})
    record = grade(broken)
    assert record.status == FAILED
    assert set(scores(record).values()) == {None}
    assert "not JSON" in record.message or "JSON" in record.message
    assert grade(type(one)("ada", {})).status == FAILED


def test_the_same_submission_gives_the_same_record(grade, bundle):
    random = (
        "import random, numpy, torch\ndef share(n):\n"
        "    print(random.random(), numpy.random.rand(), torch.rand(1))\n    return 7"
    )
    one = submission(share=random)
    first = grade(one)
    assert grade(one).digest == first.digest
    assert scores(grade(submission(share="def share(n):\n    return 8"))) != {}
    assert grade(one).digest == first.digest
    with Engine(workers=1) as cold:
        ((_, again),) = cold.grade(bundle, [one])
    assert again.digest == first.digest
    assert again.key == first.key


def test_the_student_process_knows_nothing_of_the_tests(grade):
    look = (
        "import gc, os\nfound = []\n"
        "def double(x):\n"
        "    for one in gc.get_objects():\n"
        "        if isinstance(one, dict) and 'secret_expectation' in one: found.append(1)\n"
        "    found.extend(k for k, v in os.environ.items() if 'COURSE' in k)\n"
        "    found.extend(open(p).read() for p in ('numbers.ipynb',) if os.path.exists(p))\n"
        "    print('FOUND', found)\n    return 2 * x"
    )
    text = grade(submission(double=look)).to_json()
    assert "FOUND []" in text


def processes(engine, name):
    """Those of the engine with this name; never the student processes."""
    if engine._process is None or engine._process.poll() is not None:
        return []
    children = psutil.Process(engine._process.pid).children()
    alive = (one for one in children if one.status() != psutil.STATUS_ZOMBIE)
    return [one for one in alive if one.name() == name]


def kill_one(engine, name="grading-worker", but=()):
    """Kill one of the engine's processes; one that died before takes a moment to be replaced."""
    end = time.monotonic() + 60
    while not (found := [one for one in processes(engine, name) if one.pid not in but]):
        assert time.monotonic() < end, f"no {name}"
        time.sleep(0.01)
    found[0].kill()
    return found[0].pid


def test_killing_workers_loses_nothing(bundle):
    slow = "import time\ndef share(n):\n    time.sleep(0.3)\n    return n"
    many = [submission(f"student {n}", share=slow) for n in range(6)]
    with Engine(workers=2) as running:
        seen = {}
        for student, record in running.grade(bundle, many):
            if len(seen) == 0:
                kill_one(running)
            if len(seen) == 2:
                os.kill(running._process.pid, signal.SIGKILL)  # the engine as a whole
            assert student not in seen
            seen[student] = record
        tree = psutil.Process(running._process.pid).children(recursive=True)
    assert set(seen) == {one.student for one in many}
    lost = [one.to_json() for one in seen.values() if scores(one) != FULL]
    assert not lost
    _, alive = psutil.wait_procs(tree, timeout=5)
    assert alive == []


def test_the_end_of_all_processes_at_once_gives_each_task_to_one_worker(bundle):
    slow = "import time\ndef share(n):\n    time.sleep(0.3)\n    return n"
    many = [submission(f"student {n}", share=slow) for n in range(6)]
    with Engine(workers=2) as running:
        students = []
        for student, _ in running.grade(bundle, many):
            students.append(student)
            if len(students) == 2:
                engine = psutil.Process(running._process.pid)
                tree = [engine, *engine.children(recursive=True)]
                engine.kill()
                running._process.wait()
                psutil.wait_procs(tree, timeout=10)  # now both workers' lines are at their end
    assert sorted(students) == [one.student for one in many]


@pytest.mark.parametrize("name", ["grading-warm", "grading-worker"])
@pytest.mark.parametrize("after", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_whichever_process_is_killed_when_ever(bundle, name, after):
    slow = "import time\ndef share(n):\n    time.sleep(0.2)\n    return n"
    many = [submission(f"student {n}", share=slow) for n in range(4)]
    with Engine(workers=2) as running:
        results = running.grade(bundle, many)
        seen = dict([next(results)])
        killer = threading.Timer(after, kill_one, [running, name])
        killer.start()
        seen |= dict(results)
        killer.join()
        seen |= dict(running.grade(bundle, [submission("later")]))
    assert set(seen) == {*(one.student for one in many), "later"}
    assert not [one.to_json() for one in seen.values() if scores(one) != FULL]


def test_a_submission_that_kills_its_worker_does_not_stop_the_batch(bundle, monkeypatch):
    slow = submission("killer", share="import time\ndef share(n):\n    time.sleep(1)\n    return n")
    with Engine(workers=1) as running:
        results = running.grade(bundle, [submission("good"), slow, submission("b")])
        assert next(results)[0] == "good"
        original, killed = running._send_task, set()

        def send(seat):
            original(seat)
            if seat.task.submission.student == "killer":
                killed.add(kill_one(running, but=killed))

        monkeypatch.setattr(running, "_send_task", send)
        rest = dict(results)
    assert rest["b"].status == GRADED
    assert rest["killer"].status == FAILED
    assert "stopped 3 times" in rest["killer"].message


def test_without_a_sandbox_only_on_request(bundle):
    with Engine(workers=1, sandbox=False) as running:
        ((_, record),) = running.grade(bundle, [submission()])
        assert running.layers == ["none"]
    assert scores(record) == FULL


def test_libraries_are_imported_once_and_named_by_the_course_alone(tmp_path):
    write_course(tmp_path, policy=LIMITS)
    (tmp_path / "helper.py").write_text("import json.decoder\nfrom numpy import fft\n", "utf-8")
    assert libraries_of(read_bundle(tmp_path, "numbers")) == ("json.decoder", "math", "numpy")


def test_a_library_that_starts_a_thread_is_imported_later(tmp_path, monkeypatch):
    """A process with threads cannot be forked safely."""
    (tmp_path / "busy_library.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "utf-8",
    )
    monkeypatch.setitem(pool.ENVIRONMENT, "PYTHONPATH", str(tmp_path))
    folder = tmp_path / "course"
    write_course(
        folder, tests={"share": "import busy_library\nassert share(1) == 1"}, policy=LIMITS
    )
    with Engine(workers=1, sandbox=False) as running:
        ((_, record),) = running.grade(read_bundle(folder, "numbers"), [submission()])
    assert scores(record) == FULL
