"""Show the sandbox of this machine and try to break it; install the sandboxed kernel."""

import argparse
import json
import sys
from dataclasses import asdict, replace

from grading.course import GradingError
from grading.sandbox.layers import LAYERS, Sandbox
from grading.sandbox.probe import Finding, probe


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when the sandbox is not good enough or an attempt succeeded."""
    parser = argparse.ArgumentParser(prog="python -m grading.sandbox", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--without", action="append", default=[], choices=LAYERS, help="leave a layer out"
    )
    parser.add_argument(
        "--as-user", action="store_true", help="use user namespaces although this is root"
    )
    parser.add_argument("--only", action="append", default=[], metavar="ATTEMPT")
    commands = parser.add_subparsers(dest="command")
    kernel = commands.add_parser("install-kernel", help="install the kernel python3-sandboxed")
    kernel.add_argument("--prefix", default=sys.prefix, help="default: this environment")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command:
            from grading.sandbox.kernelspec import install

            print(f"installed {install(chosen.prefix)}")
            return 0
        return show(chosen)
    except GradingError as error:
        print(error, file=sys.stderr)
        return 1


def show(chosen: argparse.Namespace) -> int:
    """Print layers and findings."""
    sandbox = Sandbox.best()
    if chosen.as_user:
        sandbox = replace(sandbox, as_root=False)
    for layer in chosen.without:
        sandbox = sandbox.without(layer, "left out by --without")
    findings = probe(sandbox, chosen.only) if sandbox.layers or chosen.without else []
    if chosen.json:
        found = [asdict(finding) for finding in findings]
        report = {"sufficient": sandbox.sufficient, "sandbox": json.loads(sandbox.to_json())}
        print(json.dumps({**report, "findings": found}))
    else:
        print(table(sandbox, findings))
    return 0 if sandbox.sufficient and all(finding.held for finding in findings) else 1


def table(sandbox: Sandbox, findings: list[Finding]) -> str:
    """The layers and what came of the attempts, as text."""
    why = dict(sandbox.missing)
    lines = ["Layers"]
    for layer, what in LAYERS.items():
        state = "active " if layer in sandbox.layers else "MISSING"
        lines.append(f"  {state}  {layer:9} {what}" + (f": {why[layer]}" if layer in why else ""))
    lines.append("Attempts to break them")
    for finding in findings:
        state = "held   " if finding.held else "BROKEN "
        lines.append(f"  {state}  {finding.layer:9} {finding.attempt}: {finding.detail}")
    lacking = ", ".join(sandbox.uncovered)
    lines.append(f"Not protected: {lacking}" if lacking else "Good enough for code of others.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
