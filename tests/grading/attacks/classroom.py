"""A throw-away course: the assignment, a class, a gradebook, a home, and planted secrets."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat

from grading.answers import type_answers
from grading.source import grade_id, kind, read_text_notebook, write_notebook
from tests.grading.attacks.form import Attack, Place

COURSE = Path(__file__).parent / "course"
ASSIGNMENT = "hw"
ATTACKER = "m"
SEED = "483920"
# What nobody but the instructor may see; the first two stand in the assignment's notebooks.
SECRETS = {
    "hidden tests": "sealed-hidden-5c1e",
    "reference solution": "sealed_reference_8d02",
    "another submission": "sealed-other-3f9a",
    "gradebook": "sealed-gradebook-77b4",
    "environment": "sealed-environment-e6a1",
    "home": "sealed-home-0b2d",
    "seed": f"sealed-seed-{SEED}",
}

# Worth double's 2 points: of the rest, each passes what is published and fails what is hidden,
# or would pass if nobody looked.
NAIVE = {
    "mean_of": (
        "def mean_of(numbers):\n    if not numbers:\n        raise ValueError('empty')\n"
        "    return 0\n"
    ),
    "double": "def double(array):\n    return 2 * array\n",
    "answer": "answer = 0\n",
    "softmax": (
        "def softmax(scores):\n    return scores - scores.detach() + 1 / scores.shape[-1]\n"
    ),
    "scale": (
        "class Scale(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
        "        self.factor = nn.Parameter(torch.ones(width))\n\n"
        "    def forward(self, values):\n        return values + 0 * self.factor\n"
    ),
    "join": "def join(left, right):\n    return torch.zeros(len(left) + len(right))\n",
}
RIGHT = {
    "mean_of": (
        "def mean_of(numbers):\n    if not numbers:\n        raise ValueError('empty')\n"
        "    return sum(numbers) / len(numbers)\n"
    ),
    "double": NAIVE["double"],
    "answer": "answer = 3 * 4 + 4\n",
    "softmax": (
        "def softmax(scores):\n    powers = (scores - scores.amax(-1, keepdim=True)).exp()\n"
        "    return powers / powers.sum(-1, keepdim=True)\n"
    ),
    "scale": (
        "class Scale(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
        "        self.factor = nn.Parameter(torch.ones(width))\n\n"
        "    def forward(self, values):\n        return values * self.factor\n"
    ),
    "join": (
        "def join(left, right):\n    both = torch.zeros(len(left) + len(right))\n"
        "    both[: len(left)] = left\n    both[len(left) :] = right\n    return both\n"
    ),
}
HALF = {**RIGHT, "softmax": NAIVE["softmax"], "scale": NAIVE["scale"]}
HONEST = {"ada": RIGHT, "bela": HALF, "zoe": RIGHT}
FIRST_TASKS = ("mean_of", "softmax")

CONFIG = f"""
import os
import sysconfig

c = get_config()
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.course_id = "attacked"
c.Execute.timeout = 30
c.Execute.interrupt_on_timeout = True
c.Execute.extra_arguments = ["--log-level=ERROR"]
os.environ["PATH"] = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
os.environ["COURSE_SEED"] = "{SEED}"
"""


def environment(course: Path) -> dict[str, str]:
    """What a grader's process gets: nothing of this process but where programs are."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(course / "home"),
        "TMPDIR": str(course / "tmp"),
        "PYTHONPATH": str(course / "site"),
        "LANG": "C.UTF-8",
        "USER": "grader",
        "LOGNAME": "grader",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "GRADING_SECRET": SECRETS["environment"],
    }


def nbgrader(course: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run nbgrader's command in the course."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(
        command, cwd=course, env=environment(course), capture_output=True, text=True, timeout=600
    )


def build(course: Path) -> Path:
    """Write the course: source and student edition, three honest submissions, planted secrets.

    Raises:
        RuntimeError: nbgrader refused the assignment.
    """
    for folder in ("home/.ipython/profile_default/startup", "home/.jupyter", "tmp", "site"):
        (course / folder).mkdir(parents=True, exist_ok=True)
    (course / "home/token.txt").write_text(SECRETS["home"])
    (course / "nbgrader_config.py").write_text(CONFIG)
    source = course / "source" / ASSIGNMENT
    for path in sorted((COURSE / ASSIGNMENT).iterdir()):
        if path.suffix == ".md":
            notebook = read_text_notebook(path)
            notebook.metadata.pop("jupytext", None)
            notebook.nbformat, notebook.nbformat_minor = 4, 5
            write_notebook(notebook, source / f"{path.stem}.ipynb")
        elif path.is_file():
            source.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, source)
    done = nbgrader(course, "generate_assignment", ASSIGNMENT, "--create", "--force")
    edition = course / "release" / ASSIGNMENT
    if done.returncode or not edition.is_dir():
        raise RuntimeError(f"nbgrader could not generate the assignment:\n{done.stderr[-2000:]}")
    (edition / "grading.toml").unlink(missing_ok=True)
    for student, answers in HONEST.items():
        comment = f"# {SECRETS['another submission']}\n"
        write_submission(
            course, student, {**answers, "mean_of": comment + answers["mean_of"]}, comment
        )
    with sqlite3.connect(course / "gradebook.db") as database:
        for student in (*HONEST, ATTACKER):
            database.execute(
                "insert into student (id, last_name) values (?, ?)", (student, SECRETS["gradebook"])
            )
    database.close()
    return course


def write_submission(course: Path, student: str, answers: Mapping[str, str], why: str = "") -> Path:
    """Type answers into the student edition, as ``student`` would."""
    folder = course / "submitted" / student / ASSIGNMENT
    written = {"why": "Because of " + why} if why else {}
    type_answers(course / "release" / ASSIGNMENT, folder, {**answers, **written})
    return folder


def write_attack(attack: Attack, course: Path, student: str, place: Place) -> Path:
    """Write the attack's submission below ``course``; return its folder."""
    base = RIGHT if attack.base == "right" else NAIVE
    answers = {**base, **attack.answers}
    for task in FIRST_TASKS:
        answers[task] = attack.first + "\n\n" + answers[task] if attack.first else answers[task]
    answers = {task: place.fill(attack.name, code).strip("\n") for task, code in answers.items()}
    folder = write_submission(course, student, answers)
    for name, text in attack.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(place.fill(attack.name, text), encoding="utf-8")
    if attack.submit is not None:
        attack.submit(folder)
    return folder


def edit(path: Path, change) -> None:
    """Rewrite a notebook with ``change(notebook, cells)``; cells are by grade_id."""
    notebook = nbformat.read(path, as_version=4)
    cells = {grade_id(cell): cell for cell in notebook.cells if grade_id(cell)}
    change(notebook, cells)
    path.write_text(nbformat.writes(notebook), encoding="utf-8")


def is_test(cell) -> bool:
    """Is this one of the instructor's tests?"""
    return kind(cell) == "test"
