"""Say what is right and wrong with this machine: ``make doctor``.

Runs with any Python from 3.8 on and without anything installed, to say what to install.
"""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def constraints():
    """The tested versions, by normalised package name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {normal(name): version for name, version in pins}


def normal(name):
    """Package names compare without case, and with - for _ and dots."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_python():
    """Python 3.11 or newer."""
    version = platform.python_version()
    ok = sys.version_info >= (3, 11)
    return ok, f"Python {version}", "install Python 3.11 or newer, or use the conda route"


def check_packages():
    """The packages that every part needs, at the tested versions."""
    pins = constraints()
    for name in ("torch", "numpy", "jupyter-book", "jupyterlab", "nbgrader", "nbval", "jupytext"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{name} is missing", "make setup"
            continue
        tested = pins.get(normal(name))
        same = version.split("+")[0] == tested
        note = "" if same else f" (tested with {tested})"
        yield same, f"{name} {version}{note}", "make setup installs the tested versions"


def check_encoderlib():
    """The library imports and attends."""
    try:
        import torch

        import encoderlib

        x = torch.ones(1, 2, 3)
        ok = bool(torch.allclose(encoderlib.scaled_dot_product_attention(x, x, x), x))
        return ok, f"encoderlib works on {encoderlib.device()}", "make setup"
    except Exception as error:
        return False, f"encoderlib: {error}", "make setup"


def check_tools():
    """Programs that some targets use; without them something is lost, but not much."""
    yield bool(shutil.which("npm")), "npm (pages that read offline)", "install Node.js"
    free = shutil.disk_usage(ROOT).free / 1e9
    yield free > 4, f"{free:.0f} GB of free disk", "free some space; everything needs about 3 GB"
    cores = os.cpu_count() or 1
    yield cores >= 2, f"{cores} cores", "everything works, only slower"


def check_sandbox():
    """The layers around submissions that are graded, and an attempt to break each.

    A machine without them can do everything but grade the work of others.
    """
    remedy = "only for grading the work of others; python -m grading.sandbox says more"
    command = [sys.executable, "-m", "grading.sandbox", "--json"]
    done = subprocess.run(command, cwd=str(ROOT), capture_output=True)
    try:
        report = json.loads(done.stdout.decode())
    except ValueError:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no answer"])[-1]
        yield False, "sandbox: " + reason, remedy
        return
    yield report["sufficient"], "sandbox: good enough for code that nobody trusts", remedy
    for layer in report["sandbox"]["layers"]:
        tried = [one for one in report["findings"] if one["layer"] == layer]
        broken = ", ".join(one["attempt"] for one in tried if not one["held"])
        held = sum(one["held"] for one in tried)
        note = f"held {held} of {len(tried)} attempts to break it" if tried else "active"
        yield not broken, f"layer {layer}: {note}", "it did not stop: " + broken
    for layer, why in report["sandbox"]["missing"]:
        yield False, f"layer {layer} is missing: {why}", remedy


def show(results):
    """Print a line for each check; True if all are well."""
    every = []
    for ok, what, remedy in results:
        print(f"[{' OK ' if ok else 'FAIL'}] {what}" + ("" if ok else f"  ->  {remedy}"))
        every.append(ok)
    return all(every)


def main():
    """Print what is right and wrong; exit 1 if something failed that everybody needs."""
    checks = [check_python(), *check_packages(), check_encoderlib(), *check_tools()]
    fine = show(checks)
    print("Sandbox (needed only to grade the work of others)")
    show(check_sandbox())
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
