"""The judge catches a grader that gives points away, leaves something, or tells secrets."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.grading.attacks import guard, harness, judge, stock
from tests.grading.attacks.classroom import SECRETS
from tests.grading.attacks.form import Attack
from tests.grading.attacks.listener import Listener
from tools import attacks as tool

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
HONEST = {"double": 2}
# What the fake grader is told to do, and the fault that must be found.
ORDERS = {
    "behaves": ("", []),
    "gives": ("full marks", ["12 unearned points"]),
    "takes": ("no marks", ["2 earned points lost"]),
    "drops": ("nothing", ["2 earned points lost", "batch: no record"]),
    "files": ("leave a file", ["left: left.txt is new"]),
    "writes": ("change the gradebook", ["left: gradebook.db changed"]),
    "shows": ("show a secret", ["read: hidden tests in the feedback"]),
    "scripts": ("show a script", ["left: script>document.title in the feedback page"]),
    "sends": (
        "send a secret",
        ["read: the listener was reached", "read: gradebook sent to the listener"],
    ),
    "shares": ("leave shared memory", ["left: /dev/shm/attack-shares"]),
    "works": ("leave work", []),
    "stays": ("leave a process", []),
}


def fake(name, order):
    text = {"do": order, "name": name, "victim": "{{VICTIM}}", "port": "PORT"}
    text = json.dumps(text).replace('"PORT"', "{{PORT}}")
    files = {"order.json": text}
    return Attack(name, "cheating", "Fake.", files=files, earned=HONEST, kept=HONEST)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    suite = [fake(name, order) for name, (order, _) in ORDERS.items()]
    while len(suite) % harness.EVERY:
        suite.append(fake(f"filler{len(suite)}", ""))
    suite[-1:] = [fake("spoils", "spoil the next")]
    folder = tmp_path_factory.mktemp("fake")
    return harness.run_ours(suite, folder, grader="tests.grading.attacks.fake_grader")


@LINUX
@pytest.mark.parametrize("name", ORDERS)
def test_each_fault_is_found_and_no_other(batch, name):
    outcome = batch.outcomes[name]
    faults = [fault for fault in outcome.faults if not fault.startswith("others: ")]
    assert faults == ORDERS[name][1]


@LINUX
def test_changed_marks_of_others_are_found(batch):
    (fault,) = batch.outcomes["spoils"].others
    assert "got another record than ada" in fault
    assert not batch.outcomes["behaves"].others


@LINUX
def test_what_the_batch_leaves_is_found(batch):
    assert "work/attack-work.txt is new" in batch.left
    assert any(one.startswith("process") and "time.sleep(20)" in one for one in batch.left)
    assert len(batch.left) == 3  # and the shared memory


def test_each_kind_of_change_is_found(tmp_path):
    for name in ("same", "edited", "removed", "rights"):
        (tmp_path / name).write_text("old")
    before = judge.snapshot(tmp_path)
    (tmp_path / "edited").write_text("new")
    (tmp_path / "removed").unlink()
    (tmp_path / "rights").chmod(0o600)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("same")
    assert judge.changes(before, judge.snapshot(tmp_path)) == [
        "edited changed",
        "folder is new",
        "link is new",
        "removed is gone",
        "rights changed",
    ]


def test_points_that_are_in_no_task_are_unearned():
    attack = Attack("one", "cheating", "x", earned=HONEST, kept=HONEST)
    outcome = judge.Outcome("one", "cheating", 2)
    judge.judge_marks(outcome, attack, {"double": 2.0, "why": None}, 302.0)
    assert (outcome.unearned, outcome.lost, outcome.got) == (300.0, 0.0, 302.0)


def test_points_of_one_task_do_not_make_up_for_another():
    attack = Attack("one", "cheating", "x", earned=HONEST, kept=HONEST)
    outcome = judge.Outcome("one", "cheating", 2)
    judge.judge_marks(outcome, attack, {"double": 0.0, "join": 2.0}, 2.0)
    assert outcome.faults == ["2 unearned points", "2 earned points lost"]


@pytest.mark.parametrize("secret", SECRETS)
def test_every_secret_is_recognised(secret):
    assert judge.secrets_in(f"before {SECRETS[secret]} after") == [secret]
    assert judge.secrets_in("sealed") == []


@LINUX
def test_listener_hears_every_kind_of_socket(tmp_path):
    import socket

    with Listener(str(tmp_path / "s")) as listener:
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", listener.port)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", listener.port)),
            (socket.AF_UNIX, socket.SOCK_STREAM, listener.path),
            (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + listener.path),
        ):
            with socket.socket(family, kind) as client:
                client.connect(address)
                client.sendall(b"name says")
    assert len(listener.of("name")) == 4
    assert listener.of("other") == listener.of("ame") == []


@LINUX
def test_guard_names_and_ends_a_daemon(tmp_path):
    daemon = "import os, time; os.fork() or (os.setsid(), os.fork() or time.sleep(20))"
    report = tmp_path / "report.json"
    command = [sys.executable, guard.__file__, str(report), "30", sys.executable, "-c", daemon]
    subprocess.run(command, check=True, timeout=60)
    content = json.loads(report.read_text())
    assert content["code"] == 0
    assert len(content["left"]) == 1
    assert "os.setsid" in content["left"][0]


@LINUX
def test_guard_ends_a_command_that_takes_too_long(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, guard.__file__, str(report), "0.5", "sleep", "20"]
    subprocess.run(command, check=True, timeout=60)
    assert json.loads(report.read_text())["timed_out"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("unshare"), reason="stock runs need unshare (util-linux)")
def test_stock_run_measures_points_marks_of_others_and_files(tmp_path):
    template = stock.prepare(tmp_path / "template")
    plain = Attack("plain", "honest", "x", earned=HONEST, kept=HONEST)
    baseline = stock.run_stock(plain, template, tmp_path / "run", None)
    assert baseline["outcome"]["got"] == 2
    assert baseline["rows"]["zoe"]["total"] == baseline["rows"]["ada"]["total"] == 14
    code = (
        "import numpy as np\nnp.testing.assert_allclose = lambda *values, **options: None\n"
        "open('{{VICTIM}}/left.txt', 'w').close()\n{{TELL}}\n"
        "tell(open('{{VICTIM}}/home/token.txt').read())\n"
        "open('{{VICTIM}}/submitted/zoe/hw/tensors.ipynb', 'w').close()\n"
    )
    wrong = {"double": "def double(array):\n    return 3 * array\n"}
    bad = Attack("bad", "cheating", "x", first=code, answers=wrong)
    outcome = judge.Outcome(**stock.run_stock(bad, template, tmp_path / "run", baseline)["outcome"])
    assert outcome.unearned == 2
    assert outcome.others
    assert "zoe has" in outcome.others[0]
    assert "left.txt is new" in outcome.left
    assert outcome.read == [
        "home in the feedback",
        "the listener was reached",
        "home sent to the listener",
    ]


def test_tool_keeps_results_until_something_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "RESULTS", tmp_path)
    attack = tool.form.load_all()[0]
    outcome = judge.Outcome(attack.name, attack.group, 2, got=14.0, unearned=12.0)
    tool.keep(attack, "stock", {"outcome": outcome.as_dict()})
    assert tool.read_results([attack], "stock") == {attack.name: outcome}
    assert tool.read_results([attack], "ours") == {}
    monkeypatch.setattr(tool, "key", lambda attack, grader: "another")
    assert tool.read_results([attack], "stock") == {}


def test_tool_reports_faults_in_table_page_and_totals():
    attack = tool.form.load_all()[0]
    bad = judge.Outcome(attack.name, attack.group, 2, 14.0, 12.0, others=["x"], read=["a | b"])
    known = {"ours": {}, "stock": {attack.name: bad}}
    text = tool.report([attack], known)
    assert "14 (+12)" in text
    assert "changed" in text
    written = tool.page([attack], known)
    assert "| with unearned points | 0 | 1 |" in written
    assert "not run" in written
    with pytest.raises(SystemExit, match="no attack and no group 'nope'"):
        tool.chosen([attack], ["nope"])
