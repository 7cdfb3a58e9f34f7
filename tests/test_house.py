"""The files that say what to install agree; style gates go red."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import lint
from tools.notebooks import ROOT


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(name): version
        for name, version in (line.split("==") for line in lines if "==" in line)
    }


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(text for extra in extras for text in extra)]
    return [Requirement(text) for text in listed], project


def test_every_requirement_is_pinned_to_a_version_that_it_allows():
    tested, (listed, _) = pins(), requirements()
    for requirement in listed:
        name = canonicalize_name(requirement.name)
        assert name in tested, f"{name} is in pyproject.toml but not in constraints.txt"
        assert requirement.specifier.contains(tested[name]), f"{requirement}: tested {tested[name]}"


def test_environment_yml_takes_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, last = environment["dependencies"]
    assert last == {"pip": ["--constraint constraints.txt", "--editable .[book,grading,dev]"]}
    _, project = requirements()
    assert set(project["optional-dependencies"]) == {"book", "grading", "dev"}
    python = next(entry for entry in conda if entry.startswith("python="))
    assert Requirement(f"python{project['requires-python']}").specifier.contains(python[7:])
    # Nothing but programs comes from conda: a package in both places could differ.
    assert {entry.split("=")[0] for entry in conda} == {"python", "pip", "make", "nodejs"}


def test_installed_versions_are_the_pinned_ones():
    from importlib.metadata import version

    for name in ("torch", "numpy", "jupyter-book", "nbgrader", "nbval", "jupyterlab"):
        assert version(name).split("+")[0] == pins()[name], "run `make setup`"


def test_make_help_lists_every_target_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    documented = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    assert named
    assert named <= documented
    assert {"book", "test", "lab", "release", "grade", "doctor", "help"} <= documented


@pytest.mark.parametrize(
    ("code", "green"),
    [
        ("import math\n\nprint(math.pi)", True),
        ("import math", False),
        ("x = {  'a':1}\nprint(x)", False),
        ("print(undefined)", False),
    ],
    ids=["clean", "unused import", "layout", "undefined name"],
)
def test_notebook_lint(tmp_path, capfd, code, green):
    page = tmp_path / "page.md"
    page.write_text(
        "---\njupytext:\n  text_representation:\n    format_name: myst\nkernelspec:\n"
        "  display_name: Python 3\n  language: python\n  name: python3\n---\n"
        f"# T\n\n```{{code-cell}} python\n{code}\n```\n",
        encoding="utf-8",
    )
    assert lint.lint_notebooks([page], tmp_path) == green
    assert green or "page.md" in capfd.readouterr().out


def test_spell_check_finds_a_mistake(tmp_path):
    (tmp_path / "page.md").write_text(
        "T" + "eh encoder " + "rec" + "ieves a batch.", encoding="utf-8"
    )
    command = [sys.executable, "-m", "codespell_lib", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode != 0


def test_every_package_is_installed():
    """An editable install hides a package that is missing from the list."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text)["tool"]["setuptools"]["packages"]
    tops = ("encoderlib", "grading")
    inits = [path for top in tops for path in (ROOT / top).rglob("__init__.py")]
    assert set(listed) == {".".join(path.parent.relative_to(ROOT).parts) for path in inits}
