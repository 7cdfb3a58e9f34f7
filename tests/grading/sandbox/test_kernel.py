"""The sandboxed notebook kernel, driven by nbclient and by stock nbgrader."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grading.course import PROJECT
from grading.sandbox.bubblewrap import BubblewrapSandbox
from grading.sandbox.kernelspec import NAME, PROVISIONER, install
from grading.sandbox.launch import files_of

v4 = nbformat.v4
NBGRADER = shutil.which("nbgrader", path=str(Path(sys.executable).parent))


@pytest.fixture(params=["own", "bubblewrap"])
def environment(request, sandbox, tmp_path) -> dict[str, str]:
    """An environment in which Jupyter finds the kernel and its provisioner, without installing."""
    if request.param == "bubblewrap" and not BubblewrapSandbox.best().sufficient:
        pytest.skip("bubblewrap is not installed, or may not make namespaces here")
    if request.param == "own" and "net" not in sandbox.layers:
        pytest.skip("a kernel needs sockets, which need a network namespace")
    spec = install(tmp_path / "prefix") / "kernel.json"
    content = json.loads(spec.read_text())
    content["metadata"]["kernel_provisioner"]["config"]["how"] = request.param
    spec.write_text(json.dumps(content))
    info = tmp_path / "packages" / "grading_sandbox_test-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: grading-sandbox-test\nVersion: 0\n"
    )
    (info / "entry_points.txt").write_text(
        "[jupyter_client.kernel_provisioners]\n"
        f"{PROVISIONER} = grading.sandbox.provisioner:SandboxProvisioner\n"
    )
    temporary = tmp_path / "t"
    temporary.mkdir()
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(info.parent), str(PROJECT)]),
        "JUPYTER_PATH": str(tmp_path / "prefix" / "share" / "jupyter"),
        "TMPDIR": str(temporary) if len(str(temporary)) < 60 else "/tmp",
        "GRADEBOOK_PASSWORD": "hunter2",
        "COURSE_SEED": "7",
    }


EXECUTE = """\
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], 4)
client = nbclient.NotebookClient(
    notebook, kernel_name=sys.argv[2], timeout=float(sys.argv[3]), interrupt_on_timeout=True,
    allow_errors=True, resources={"metadata": {"path": sys.argv[4]}})
client.execute()
nbformat.write(notebook, sys.argv[1])
"""


def execute(cells, environment, tmp_path, timeout=60):
    """What each cell put out, as text."""
    folder = tmp_path / "beside"
    folder.mkdir(exist_ok=True)
    (folder / "data.txt").write_text("given")
    path = tmp_path / "notebook.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells]), path)
    command = [sys.executable, "-c", EXECUTE, str(path), NAME, str(timeout), str(folder)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(one.name for one in folder.iterdir()) == ["data.txt"]
    outputs = []
    for cell in nbformat.read(path, 4).cells:
        texts = (one.get("text") or one.get("evalue") or one.get("data") for one in cell.outputs)
        outputs.append("".join(map(str, texts)))
    return outputs


def test_a_plain_notebook_works_and_a_hostile_one_is_refused(environment, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not for students")
    with socket.create_server(("127.0.0.1", 0)) as server:
        outputs = execute(
            [
                "import numpy as np; print(np.arange(5).sum())",
                "%matplotlib inline\nimport matplotlib.pyplot as plt; plt.plot([1, 2]);",
                "print(open('data.txt').read())",
                f"import socket; socket.create_connection({server.getsockname()}, 2)",
                f"open({str(secret)!r})",
                "import os; print(os.environ['COURSE_SEED'], 'hunter2' in os.environ.values())",
                "open('kept.txt', 'w').write('x'); print(os.getcwd(), len(os.listdir('/tmp')) < 3)",
            ],
            environment,
            tmp_path,
        )
    assert outputs[0] == "10\n"
    assert "image/png" in outputs[1]
    assert outputs[2] == "given\n"
    assert "refused" in outputs[3] or "denied" in outputs[3]
    assert "No such file" in outputs[4]
    assert outputs[5] == "7 False\n"
    assert outputs[6] == "/home/student True\n"
    if environment["TMPDIR"] != "/tmp":
        assert not list(Path(environment["TMPDIR"]).glob("kernel-*"))


def test_an_interrupt_arrives_as_a_message(environment, tmp_path):
    outputs = execute(
        ["import time\nfor _ in range(100): time.sleep(0.1)", "print('still here')"],
        environment,
        tmp_path,
        timeout=3,
    )
    assert "still here" in outputs[1]


def solution_cell(source, **grader):
    metadata = {"nbgrader": {"schema_version": 3, "task": False, **grader}}
    return v4.new_code_cell(source, metadata=metadata)


@pytest.mark.skipif(NBGRADER is None, reason="nbgrader is not installed")
@pytest.mark.slow
def test_stock_nbgrader_grades_in_it(environment, tmp_path):
    """One line of configuration; a submission that writes to the gradebook changes nothing."""
    course = tmp_path / "course"
    source = course / "source" / "a1"
    source.mkdir(parents=True)
    gradebook = course / "gradebook.db"
    answer = {"grade": False, "solution": True, "locked": False, "grade_id": "answer"}
    test = {"grade": True, "solution": False, "locked": True, "grade_id": "test", "points": 3}
    cells = [
        solution_cell("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", **answer),
        solution_cell("assert x == 1", **test),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell{number}"
    python3 = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=python3), source / "p1.ipynb")
    (course / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        "c.CourseDirectory.course_id = 'tiny'\n"
        f"c.Execute.kernel_name = {NAME!r}\n"
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])

    def nbgrader(*arguments):
        done = subprocess.run(
            [NBGRADER, *arguments],
            cwd=course,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    nbgrader("generate_assignment", "a1")
    for student, code in {
        "honest": "x = 1",
        "hostile": f"x = 1\nopen({str(gradebook)!r}, 'r+b').write(b'garbage')",
    }.items():
        folder = course / "submitted" / student / "a1"
        folder.mkdir(parents=True)
        notebook = nbformat.read(course / "release" / "a1" / "p1.ipynb", 4)
        notebook.cells[0].source = code
        nbformat.write(notebook, folder / "p1.ipynb")
    nbgrader("autograde", "a1")
    with sqlite3.connect(gradebook) as database:
        scores = database.execute("select auto_score from grade order by id").fetchall()
    assert scores == [(3.0,), (3.0,)]
    autograded = (course / "autograded" / "hostile" / "a1" / "p1.ipynb").read_text()
    assert "No such file or directory" in autograded


def test_the_folder_of_a_course_is_not_copied_into_the_sandbox(tmp_path):
    (tmp_path / "data.csv").write_text("1")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / ".hidden").write_text("1")
    assert files_of(tmp_path) == {"data.csv": b"1"}
    (tmp_path / "gradebook.db").write_text("")
    assert files_of(tmp_path) == {}


def test_a_folder_that_is_too_large_is_not_copied(tmp_path, monkeypatch, capsys):
    (tmp_path / "data.csv").write_text("12345")
    monkeypatch.setattr("grading.sandbox.launch.MOST_BYTES", 4)
    assert files_of(tmp_path) == {}
    assert "too large" in capsys.readouterr().err


def test_the_kernelspec_interrupts_by_message(tmp_path):
    content = json.loads((install(tmp_path) / "kernel.json").read_text())
    assert content["interrupt_mode"] == "message"
    assert content["metadata"]["kernel_provisioner"]["provisioner_name"] == PROVISIONER
