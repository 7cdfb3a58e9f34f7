"""Every attack on our grader: nothing unearned, nobody else affected, nothing read, nothing left.

All attacks are graded in one batch; `python -m tools.attacks --only NAME` runs one of them.
"""

import sys

import pytest

from tests.grading.attacks import harness
from tests.grading.attacks.form import TASKS, load_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux"),
]
ATTACKS = load_all()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="session")
def batch(folder):
    return harness.run_ours(ATTACKS, folder, workers=2)


def test_the_batch_is_complete_and_leaves_nothing(batch, folder):
    log = (folder / "log.txt").read_text(errors="replace")
    assert not batch.report["timed_out"], log[-2000:]
    assert batch.report["code"] == 0, log[-2000:]
    assert batch.left == []


def test_honest_students_get_what_they_earn(batch, folder):
    assert harness.right_of(folder, "ada") == TASKS
    assert harness.right_of(folder, "bela") == {**TASKS, "softmax": 0, "scale": 0}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: f"{one.group}-{one.name}")
def test_attack(batch, attack):
    outcome = batch.outcomes[attack.name]
    assert outcome.faults == [], f"{attack.claim.splitlines()[0]} {outcome.message}"
