"""The examples for clusters that we do not have parse, and the page explains what they use."""

import argparse
import ast
import re

import pytest
import yaml

from grading.cluster import options
from grading.course import PROJECT

FOLDER = PROJECT / "docs" / "cluster"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def slurm_arguments(source: str) -> set[str]:
    """Keyword arguments of SLURMCluster(...)."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        keyword.arg
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "SLURMCluster"
        for keyword in call.keywords
    }


def undocumented(source: str, page: str) -> set[str]:
    rows = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    return slurm_arguments(source) - rows


def test_slurm_example_compiles_and_the_page_explains_each_argument():
    source = (FOLDER / "slurm.py").read_text(encoding="utf-8")
    compile(source, "slurm.py", "exec")
    assert len(slurm_arguments(source)) >= 8
    assert undocumented(source, PAGE) == set()
    assert undocumented(source.replace("walltime=", "wall_clock="), PAGE) == {"wall_clock"}


def test_workers_of_each_example_have_the_preload():
    for name in ("slurm.py", "kubernetes.yaml", "README.md"):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert re.search(r'--preload[", =]+"?grading\.cluster\.worker', text), name


def test_kubernetes_example_is_yaml_and_its_workers_may_make_a_sandbox():
    parts = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")))
    by_name = {(part["kind"], part["metadata"]["name"]): part for part in parts}
    worker = by_name["Deployment", "grading-worker"]["spec"]["template"]["spec"]
    (container,) = worker["containers"]
    allowed = container["securityContext"]
    assert allowed["seccompProfile"] == {"type": "Unconfined"}
    assert allowed["runAsNonRoot"] is True
    assert allowed["capabilities"] == {"drop": ["ALL"]}
    assert worker["automountServiceAccountToken"] is False
    service = by_name["Service", "grading-scheduler"]["spec"]["ports"][0]["port"]
    assert f"tcp://grading-scheduler:{service}" in container["command"]


def test_page_names_every_option_of_the_command_line():
    parser = argparse.ArgumentParser(add_help=False)
    options.add_scheduler_option(parser)
    for action in parser._actions:
        assert action.option_strings[0] in PAGE


@pytest.mark.parametrize("claim", ["Not run by us: Slurm, Kubernetes", "computed, not measured"])
def test_page_says_what_was_not_run(claim):
    assert claim in PAGE
