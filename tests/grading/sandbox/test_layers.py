"""Every attempt is held, and every attempt succeeds when what holds it is switched off."""

import os
import shutil
import subprocess
import sys

import pytest

from grading.course import PROJECT, GradingError
from grading.sandbox import Sandbox
from grading.sandbox.attempts import ATTEMPTS
from grading.sandbox.layers import LAYERS
from grading.sandbox.layout import Layout

OLDER_PYTHON = "/usr/bin/python3"


@pytest.mark.parametrize("options", [(), ("--as-user",)])
def test_every_attempt_is_held(sandbox, findings, options):
    if sandbox.missing:
        pytest.skip(f"not all layers are here: {sandbox.missing}")
    broken, report = findings(*options)
    assert report["sufficient"]
    assert not broken
    assert len(report["findings"]) == len(ATTEMPTS)


def test_every_attempt_is_held_for_an_ordinary_user(sandbox, findings):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, to become somebody else with setpriv")
    version = "import sys; sys.exit(sys.version_info < (3, 11))"
    if not os.path.exists(OLDER_PYTHON) or subprocess.run([OLDER_PYTHON, "-c", version]).returncode:
        pytest.skip("needs a Python 3.11 that every user can start, as /usr/bin/python3")
    if any(not os.stat(folder).st_mode & 0o001 for folder in PROJECT.parents):
        pytest.skip("other users cannot read this project")
    user = ("setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups")
    broken, report = findings(python=OLDER_PYTHON, before=user)
    if report["sandbox"]["missing"]:
        pytest.skip(f"an ordinary user lacks layers here: {report['sandbox']['missing']}")
    assert not report["sandbox"]["as_root"]
    assert not broken


# With these layers off, these attempts succeed. Others that succeed too are not listed twice.
OPEN = {
    ("landlock",): {"list the root folder"},
    ("rlimits",): {
        "take too much memory",
        "write too large a file",
        "open too many files",
        "burn too much CPU",
    },
    ("uts",): {"see the machine's name"},
    ("seccomp", "ipc"): {
        "find shared memory",
        "make processes",
        "trace a process",
        "store a key in the kernel",
        "make a user namespace",
        "take memory that is not counted",
        "outlive the parent",
    },
    ("seccomp", "pid"): {"leave a daemon behind"},
    ("seccomp", "landlock", "net"): {"connect with TCP", "send with UDP", "start a program"},
    ("files", "landlock"): {
        "read a file outside",
        "list a folder outside",
        "write a file outside",
        "read through a symbolic link",
        "read through a hard link",
        "climb out of the work folder",
        "fill the disk",
        "list other processes",
    },
    tuple(LAYERS): {"change the mode of a file outside", "signal the process that grades"},
}


@pytest.mark.parametrize("off", OPEN, ids="+".join)
def test_an_attempt_succeeds_when_its_layers_are_off(sandbox, findings, off):
    if sandbox.missing:
        pytest.skip(f"not all layers are here: {sandbox.missing}")
    options = [part for layer in off for part in ("--without", layer)]
    options += [part for attempt in OPEN[off] for part in ("--only", attempt)]
    broken, _ = findings("--as-user", *options)
    assert broken == OPEN[off]


def test_attempts_that_are_never_let_succeed_are_few():
    """They would need rights over the machine, or touch its own files."""
    assert {one.name for one in ATTEMPTS} - set().union(*OPEN.values()) == {
        "read /etc/shadow",
        "overwrite Python",
        "make a device",
        "mount a folder",
        "read the environment of process 1",
        "become root",
    }


def test_a_machine_without_namespaces_still_has_landlock_and_seccomp(sandbox, findings):
    """As in a container with the usual settings: clone and unshare are refused there."""
    if not {"landlock", "seccomp"} <= set(sandbox.layers):
        pytest.skip(f"needs landlock and seccomp: {sandbox.missing}")
    code = f"""\
import sys
sys.path.append({str(PROJECT)!r})
from grading.sandbox import calls, kernel, seccomp
wanted = ("unshare", "setns", "mount", "pivot_root")
calls.ALWAYS = {{name: calls.ALWAYS[name] for name in wanted}}
calls.ALWAYS |= {{"execve": (None, None), "execveat": (None, None)}}
calls.PRCTL = (9999, 9999)
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
seccomp.ANY = seccomp.Rules(fork=True, programs=True, sockets=True)
seccomp.install(seccomp.ANY)
import os
os.execv(sys.argv[1], sys.argv[1:])
"""
    broken, report = findings(before=(sys.executable, "-c", code))
    missing = {layer for layer, _ in report["sandbox"]["missing"]}
    assert missing == {"files", "pid", "net", "ipc", "uts", "user"}
    assert report["sufficient"]
    # What it does not give; the decision record says so.
    assert broken - {"become root"} == {"fill the disk", "see the machine's name"}


def nothing(**changes) -> Sandbox:
    return Sandbox(**{"layers": (), "as_root": False, "layout": Layout(()), **changes})


def test_without_layers_the_refusal_says_what_is_missing_and_what_to_do():
    sandbox = nothing(missing=(("files", "Operation not permitted"),))
    assert not sandbox.sufficient
    with pytest.raises(GradingError) as error:
        sandbox.require()
    text = str(error.value)
    for part in ("files: Operation not permitted", "sysctl", "Docker", "--no-sandbox", "leftovers"):
        assert part in text


def test_landlock_and_seccomp_are_enough_for_one_process_only():
    sandbox = nothing(layers=("landlock", "seccomp", "rlimits"))
    assert sandbox.sufficient
    sandbox.require()
    with pytest.raises(GradingError, match="further processes"):
        sandbox.require(processes=1)


def test_root_without_rights_cannot_have_further_processes(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    sandbox = nothing(layers=tuple(LAYERS))
    sandbox.require()
    with pytest.raises(GradingError, match="does not count root"):
        sandbox.require(processes=1)
    nothing(layers=tuple(LAYERS), as_root=True).require(processes=1)


@pytest.mark.parametrize("layer", ["landlock", "seccomp"])
def test_one_of_them_alone_is_not_enough(layer):
    assert not nothing(layers=(layer, "rlimits")).sufficient


def test_sockets_need_a_network_of_their_own():
    assert nothing(layers=("landlock", "seccomp"), sockets=True).uncovered == ["network"]


def test_landlock_alone_cannot_hide_a_folder_below_a_readable_one():
    layout = Layout(("/usr",), hidden=("/usr/share",))
    assert "files" in nothing(layers=("landlock", "seccomp"), layout=layout).uncovered


def test_a_sandbox_survives_its_way_to_another_process(sandbox):
    assert Sandbox.from_json(sandbox.to_json()) == sandbox


def test_the_table_names_layers_and_attempts(sandbox):
    done = subprocess.run(
        [sys.executable, "-m", "grading.sandbox", "--only", "connect with TCP"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    assert done.returncode == 0
    assert "active " in done.stdout
    assert "connect with TCP" in done.stdout
    assert "Good enough" in done.stdout


def test_the_command_fails_when_an_attempt_succeeds(sandbox):
    command = [sys.executable, "-m", "grading.sandbox", "--without", "landlock"]
    done = subprocess.run(
        [*command, "--only", "list the root folder"], capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
