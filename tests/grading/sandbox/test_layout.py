"""What is shown and hidden, as steps to build it."""

import sys

import pytest

from grading.course import PROJECT, GradingError
from grading.sandbox import layout
from grading.sandbox.layout import Layout, default_layout, editable_packages


@pytest.fixture
def tree(tmp_path):
    """library/{open,secret/inner}, and a link to library."""
    (tmp_path / "library" / "open").mkdir(parents=True)
    (tmp_path / "library" / "secret" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("library")
    return tmp_path


def steps(tree, **paths):
    made = Layout(**{name: tuple(str(tree / one) for one in some) for name, some in paths.items()})
    found = [(path.removeprefix(str(tree)), step) for path, step in made.steps()]
    return [one for one in found if one[0].startswith(("/library", "/link"))]


def test_a_folder_is_made_and_bound(tree):
    assert steps(tree, readable=["library"]) == [("/library", "folder"), ("/library", "bind")]


def test_what_its_parent_shows_needs_no_step(tree):
    assert steps(tree, readable=["library/open", "library"]) == steps(tree, readable=["library"])


def test_a_hidden_folder_is_hidden_and_what_is_readable_below_it_is_shown(tree):
    found = steps(tree, readable=["library", "library/secret/inner"], hidden=["library/secret"])
    assert found.index(("/library/secret", "hide")) > found.index(("/library", "bind"))
    assert found[-1] == ("/library/secret/inner", "bind")


def test_what_is_not_shown_needs_no_hiding(tree):
    assert steps(tree, readable=["library/open"], hidden=["library/secret"])[-1] == (
        "/library/open",
        "bind",
    )


def test_a_link_stays_a_link(tree):
    assert ("/link", "link") in steps(tree, readable=["link"])


def test_the_default_shows_python_and_hides_the_project():
    found = default_layout()
    assert sys.prefix in found.readable
    assert str(PROJECT) in found.hidden
    assert "/etc" not in found.readable
    assert not [path for path in found.readable if path.startswith(("/proc", "/run", "/var"))]


def test_a_folder_of_installed_packages_is_not_hidden(monkeypatch, tmp_path):
    monkeypatch.setattr(layout, "PROJECT", tmp_path)
    assert str(tmp_path) not in default_layout().hidden


def test_the_package_that_grades_is_not_among_the_editable_ones():
    assert not [path for path in editable_packages() if path.endswith("/grading")]


def test_a_python_in_the_root_folder_is_refused(monkeypatch):
    monkeypatch.setattr(layout.sys, "prefix", "/")
    with pytest.raises(GradingError, match="virtual environment"):
        default_layout()
