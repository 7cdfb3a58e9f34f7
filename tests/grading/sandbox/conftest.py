"""Sandboxes are forked from small fresh processes: pytest itself may have threads."""

import json
import os
import subprocess
import sys

import pytest

from grading.course import PROJECT
from grading.sandbox import Sandbox

PRELUDE = """\
import json, os, sys
sys.path.append({project!r})
from dataclasses import replace
from grading.sandbox import *
sandbox = Sandbox.from_json({sandbox!r})

def inside(run, sandbox=sandbox, keep_fds=(), **limits):
    "What run() returns in a sandbox, or the exit code if it does not return."
    reading, writing = os.pipe()
    def report():
        try:
            answer = run()
        except Exception as error:
            answer = [type(error).__name__, str(error), why(error)]
        os.write(writing, json.dumps(answer).encode())
    pid = spawn(report, SandboxLimits(**limits), sandbox, [writing, *keep_fds])
    os.close(writing)
    with open(reading) as pipe:
        text = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return json.loads(text) if text else code
"""


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """The sandbox of this machine."""
    best = Sandbox.best()
    if not best.sufficient:
        pytest.skip(f"this machine gives no sandbox: {best.missing}")
    return best


@pytest.fixture(params=["as it is", "user namespaces"])
def python(request, sandbox):
    """Run code in a fresh process with ``inside`` and ``sandbox``; what it prints as JSON."""
    chosen = sandbox
    if request.param == "user namespaces":
        if not sandbox.as_root or "user" not in sandbox.layers:
            pytest.skip("the sandbox is made of user namespaces anyway, or there are none")
        chosen = Sandbox(sandbox.layers, sandbox.missing, False, sandbox.layout)

    def run(code: str, **environment: str):
        prelude = PRELUDE.format(project=str(PROJECT), sandbox=chosen.to_json())
        done = subprocess.run(
            [sys.executable, "-c", prelude + code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def findings():
    """Run ``python -m grading.sandbox``; which attempts did not hold, and the whole report."""

    def run(*options: str, python: str = sys.executable, before: tuple[str, ...] = ()):
        done = subprocess.run(
            [*before, python, "-B", "-m", "grading.sandbox", "--json", *options],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=PROJECT,
        )
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        broken = {one["attempt"] for one in report["findings"] if not one["held"]}
        return broken, report

    return run
