"""Settings of nbgrader for this course.

The plain commands work from this folder too, once ``python -m grading release`` has run:
``nbgrader autograde 04-attention``, ``nbgrader formgrader``, ``nbgrader export``.
"""

import os
import sysconfig
from pathlib import Path

root = Path(__file__).resolve().parent
c = get_config()  # noqa: F821 (traitlets defines it)

c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = "encoder-from-scratch"
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "course/submitted"
c.CourseDirectory.autograded_directory = "course/autograded"
c.CourseDirectory.feedback_directory = "course/feedback"
c.CourseDirectory.solution_directory = "build/solution"
c.CourseDirectory.db_url = f"sqlite:///{(root / 'course' / 'gradebook.db').as_posix()}"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "*.pyc",
    "__pycache__",
    "bugs.py",
    "grading.toml",
    ".grading.json",
    "feedback",
]
(root / "course").mkdir(exist_ok=True)  # SQLite creates the file, not its folder

# nbgrader starts `alembic` by name to set up the gradebook, which fails where the environment is
# not activated: put its programs first.
programs = sysconfig.get_path("scripts")
if programs not in os.environ.get("PATH", "").split(os.pathsep):
    os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])

# One thread a kernel: several spinning thread pools on few cores slow each other down many times.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What stands in the student edition instead of an answer.
c.ClearSolutions.code_stub = {
    "python": '# YOUR CODE HERE\nraise NotImplementedError("replace this line by your answer")'
}
c.ClearSolutions.text_stub = "*Replace this line by your answer.*"

# A student's Markdown may hold scripts: pages of nbgrader show it without.
c.HTMLExporter.filters = {"markdown2html": "grading.safe_html.markdown2html"}

# For stock `nbgrader autograde`; limits of our own grader stand in grading.toml.
# A cell that needs longer is interrupted and counts as an error; the other cells still run.
c.Execute.timeout = 30
c.Execute.interrupt_on_timeout = True
# Without this, ipykernel 7 warns at every start that its localhost sockets are not encrypted.
c.Execute.extra_arguments = ["--log-level=ERROR"]

# Hidden tests draw their inputs from this seed, so that a published test is no answer key. Choose
# your own: the environment variable COURSE_SEED, or a number in the file course/seed.
if "COURSE_SEED" not in os.environ:
    seed_file = root / "course" / "seed"
    chosen = seed_file.read_text(encoding="utf-8").strip() if seed_file.is_file() else "20170612"
    if not chosen.isdigit():
        raise ValueError(f"{seed_file} must hold one whole number, got {chosen!r}")
    os.environ["COURSE_SEED"] = chosen
