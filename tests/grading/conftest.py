"""A tiny course in a temporary folder; the real exercises/ and course/ are never touched."""

import shutil
from pathlib import Path

import pytest

from grading.course import PROJECT, Course
from grading.release import release

FIXTURE = Path(__file__).parent / "fixture"
TINY = "01-tiny"


def new_course(root: Path) -> Course:
    shutil.copytree(FIXTURE, root)
    shutil.copy(PROJECT / "nbgrader_config.py", root)
    return Course(root)


@pytest.fixture(autouse=True)
def default_seed(monkeypatch):
    """The configuration sets COURSE_SEED in this process; each test starts without."""
    monkeypatch.delenv("COURSE_SEED", raising=False)


@pytest.fixture
def course(tmp_path) -> Course:
    """The tiny course, not released yet."""
    return new_course(tmp_path / "course root")


@pytest.fixture(scope="session")
def released_once(tmp_path_factory) -> Path:
    built = new_course(tmp_path_factory.mktemp("released") / "root")
    release(built, TINY)
    shutil.rmtree(built.build)
    return built.root


@pytest.fixture
def released(released_once, tmp_path) -> Course:
    """The tiny course with its student edition."""
    shutil.copytree(released_once, tmp_path / "released")
    return Course(tmp_path / "released")


@pytest.fixture
def edit():
    """Replace a text in a file; it must be there."""

    def replace(path: Path, old: str, new: str) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace
