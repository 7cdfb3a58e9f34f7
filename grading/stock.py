"""nbgrader's own API, configured by the course's nbgrader_config.py."""

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from grading.course import Course, GradingError

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Result:
    """What came of one step: its log, and whether nbgrader calls it a success."""

    success: bool
    log: str


def load_config(course: Course) -> Config:
    """Run the course's nbgrader_config.py; this also sets COURSE_SEED.

    Raises:
        GradingError: there is none.
    """
    if not (course.root / "nbgrader_config.py").is_file():
        raise GradingError(f"there is no nbgrader_config.py in {course.root}; is --root right?")
    return PyFileConfigLoader("nbgrader_config.py", path=str(course.root)).load_config()


class Stock:
    """The three steps of nbgrader that the course uses.

    Args:
        course: where nbgrader_config.py is.
        overrides: what to change, such as ``{"Execute": {"timeout": 3}}``.
    """

    def __init__(self, course: Course, overrides: dict | None = None) -> None:
        config = load_config(course)
        config.merge(Config(overrides or {}))
        with quiet():
            from nbgrader.apps.api import NbGraderAPI
            from nbgrader.coursedir import CourseDirectory

            self.directory = CourseDirectory(config=config)
            self.api = NbGraderAPI(coursedir=self.directory, config=config)

    def generate_assignment(self, assignment: str) -> Result:
        """The student edition, and the assignment's entry in the gradebook."""
        return self._run(self.api.generate_assignment, assignment)

    def autograde(self, assignment: str, student: str) -> Result:
        """Execute one submission and record its marks."""
        with kernels_apart() as said:
            result = self._run(self.api.autograde, assignment, student)
            return result if result.success else Result(False, result.log + said())

    def generate_feedback(self, assignment: str, student: str) -> Result:
        """The HTML page that a student gets back."""
        return self._run(self.api.generate_feedback, assignment, student)

    def _run(self, step, *arguments: str) -> Result:
        with quiet():
            answer = step(*arguments, force=True)
        log = answer.get("log", "") + answer.get("error", "")
        return Result(answer["success"], ANSI.sub("", log))

    @contextlib.contextmanager
    def gradebook(self) -> Iterator:
        """The open gradebook."""
        with quiet():
            from nbgrader.api import Gradebook

            with Gradebook(self.directory.db_url, self.directory.course_id) as gradebook:
                yield gradebook


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what nbgrader's dependencies warn about and an instructor cannot change."""
    logger = logging.getLogger("traitlets")
    propagate, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate = propagate


@contextlib.contextmanager
def kernels_apart() -> Iterator:
    """Keep what kernels write on stderr off the terminal; yields a function that tells it.

    A kernel that is shut down while it writes may end in a traceback of its own (zmq's "Socket
    operation on non-socket"), after the notebook has been executed to its end.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)

            def said() -> str:
                length = os.fstat(file.fileno()).st_size
                return os.pread(file.fileno(), length, 0).decode(errors="replace")

            try:
                yield said
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
    finally:
        os.close(kept)


def scratch(folder: Path) -> dict:
    """Overrides that keep every step of nbgrader inside ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {
        f"{step}_directory": step for step in ("source", "release", "submitted", "autograded")
    }
    return {
        "CourseDirectory": {
            "root": str(folder.resolve()),
            "db_url": f"sqlite:///{(folder.resolve() / 'gradebook.db').as_posix()}",
            "feedback_directory": "feedback",
            **places,
        }
    }
