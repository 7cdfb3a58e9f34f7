"""The example assignment as fixtures."""

import json

import pytest

from grading.engine.bundle import Bundle
from grading.intake import read_submission
from tests.grading.intake.example import ANSWERS, released, source_notebook


@pytest.fixture
def bundle() -> Bundle:
    """An assignment of one notebook, work.ipynb."""
    return Bundle("ps", {"work": source_notebook()}, {})


@pytest.fixture
def honest() -> dict:
    """A notebook in which everything is answered."""
    return released(ANSWERS)


@pytest.fixture
def plan_of(bundle):
    """The plan for a notebook given as JSON or as bytes."""

    def read(notebook, name="work.ipynb"):
        data = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
        (plan,) = read_submission(bundle, {name: data})
        return plan

    return read
