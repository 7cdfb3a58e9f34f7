"""The Docker files name things that exist. Docker itself is not run."""

import re

import pytest
import yaml

from grading.course import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (PROJECT / ".dockerignore").read_text(encoding="utf-8").split("\n")
COMPOSE = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))
COMMANDS = re.findall(r"python -m ([a-z.]+)", DOCKERFILE + (PROJECT / "compose.yaml").read_text())
MADE = {"./course"}  # by the first `make grade`; Docker makes it where it is missing


def copied():
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_the_image_copies_is_here_and_not_ignored():
    assert len(copied()) > 5
    for source in copied():
        assert (PROJECT / source).exists(), source
        assert source not in IGNORED, source


@pytest.mark.parametrize("secret", ["course", "solutions", ".git"])
def test_answers_and_submissions_do_not_enter_the_image(secret):
    assert secret in IGNORED
    assert secret not in copied()


def test_mounted_folders_are_here_and_where_the_image_expects_them():
    workdir = re.search(r"^WORKDIR (\S+)$", DOCKERFILE, re.MULTILINE).group(1)
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            outside, inside = volume.split(":")[:2]
            assert outside in MADE or (PROJECT / outside).is_dir(), outside
            assert inside == f"{workdir}/{outside.removeprefix('./')}"


def test_model_answers_are_mounted_read_only():
    volumes = COMPOSE["services"]["grader"]["volumes"]
    assert [one for one in volumes if "solutions" in one] == ["./solutions:/project/solutions:ro"]


def test_the_container_may_make_namespaces_and_is_not_privileged():
    grader = COMPOSE["services"]["grader"]
    assert {"seccomp:unconfined", "apparmor:unconfined"} == set(grader["security_opt"])
    assert "privileged" not in grader
    assert grader["cap_drop"] == ["ALL"]
    assert re.search(r"^USER (?!root)", DOCKERFILE, re.MULTILINE)


def test_the_documented_commands_exist():
    assert set(COMMANDS) == {"grading", "grading.sandbox"}
    for name in COMMANDS:
        assert (PROJECT / name.replace(".", "/") / "__main__.py").is_file()
