"""The second choice runs a command with the same things out of reach."""

import json
import socket
import subprocess
import sys

import pytest

from grading.sandbox import SandboxLimits
from grading.sandbox.bubblewrap import BubblewrapSandbox, bwrap_command

LIMITS = SandboxLimits(memory_mib=64, open_files=50, file_mib=4)


@pytest.fixture
def run(tmp_path):
    """Run code in bubblewrap; what it prints as JSON."""
    if not BubblewrapSandbox.best().sufficient:
        pytest.skip("bubblewrap is not installed, or may not make namespaces here")
    work = tmp_path / "work"
    work.mkdir()

    def start(code: str, **environment: str):
        command = bwrap_command(
            [sys.executable, "-c", "import json, os, sys\n" + code],
            LIMITS,
            str(work),
            environment=environment,
        )
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return start


def error_of(statement: str) -> str:
    return f"""
try:
    {statement}
    print(json.dumps("it worked"))
except (OSError, MemoryError) as error:
    print(json.dumps(type(error).__name__))
"""


def test_network_is_out_of_reach(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        statement = f"import socket; socket.create_connection({address}, 2)"
        assert run(error_of(statement)) == "ConnectionRefusedError"
        socket.create_connection(address, 2).close()  # from outside it is there


def test_files_of_the_machine_are_out_of_reach(run, tmp_path):
    (tmp_path / "secret").write_text("x")
    assert run(error_of(f"open({str(tmp_path / 'secret')!r})")) == "FileNotFoundError"
    assert run(error_of("open('/etc/shadow')")) == "FileNotFoundError"
    assert run(error_of(f"open({sys.prefix!r} + '/new', 'w')")) == "OSError"


def test_only_the_work_folder_stays(run, tmp_path):
    run("open('kept', 'w').close(); open('/tmp/gone', 'w').close(); print('0')")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["kept"]
    assert run("print(json.dumps(os.path.exists('/tmp/gone')))") is False


def test_limits_hold(run):
    assert run(error_of("bytearray(2 << 30)")) == "MemoryError"
    assert run(error_of("[os.open('/dev/null', 0) for _ in range(60)]")) == "OSError"
    size = "print(json.dumps(open('large', 'wb', 0).write(bytes(8 << 20)) >> 20))"
    assert run(size) == 4


def test_the_environment_is_a_fixed_one(run, monkeypatch):
    monkeypatch.setenv("GRADEBOOK_PASSWORD", "hunter2")
    seen = run("print(json.dumps(dict(os.environ)))", COURSE_SEED="7")
    assert "hunter2" not in seen.values()
    assert seen["COURSE_SEED"] == "7"


def test_without_the_program_it_is_not_sufficient(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert not BubblewrapSandbox.best.__wrapped__().sufficient
