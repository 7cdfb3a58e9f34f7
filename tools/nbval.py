"""Re-execute the recorded chapters and compare their outputs, two at a time (nbval).

A thin wrapper so that `make test` and the tests of this gate run the same command.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tools.notebooks import ROOT


def compare(paths: list[str], processes: int = 2) -> int:
    """Run nbval on recorded notebooks; its exit status.

    ``loadscope`` keeps the cells of one notebook on one worker, which nbval needs.
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval"]
    command += ["--nbval-sanitize-with", str(ROOT / "tests/book/sanitize.cfg")]
    command += ["--nbval-cell-timeout", "300", "-q", "-o", "addopts=", "-W", "default"]
    if processes > 1:
        command += ["-n", str(processes), "--dist", "loadscope"]
    # One thread a kernel: two that each take all cores wait for each other most of the time.
    environment = {"OMP_NUM_THREADS": "1"} | os.environ
    status = subprocess.run([*command, *paths], cwd=ROOT, env=environment).returncode
    if status:
        print("\nA chapter fails or prints something else than recorded. If the change is meant:")
        print("    make record   and read the difference with   git diff tests/book/recorded")
    return status


def main() -> int:
    """Compare all recorded notebooks, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", default=["tests/book/recorded"])
    parser.add_argument("-n", "--processes", type=int, default=2)
    options = parser.parse_args()
    if not any(Path(ROOT, name).exists() for name in options.notebooks):
        print(f"nothing to compare at {options.notebooks}; run `make record`")
        return 1
    return compare(options.notebooks, options.processes)


if __name__ == "__main__":
    sys.exit(main())
