"""Run the adversarial suite on our grader and on stock nbgrader, and print both side by side.

    python -m tools.attacks                          # ours; about two minutes
    python -m tools.attacks --stock                  # stock too; about an hour the first time
    python -m tools.attacks --only endless_loop      # by name or group; may be repeated
    python -m tools.attacks --write docs/attacks.md  # the table as a page

Each result is kept in build/attacks/GRADER/NAME.json and used again while attack, assignment and
grader are unchanged. Stock runs execute the attacks without a sandbox: every attack is bounded in
itself, and each run has a throw-away course and home in namespaces of its own (Linux only).
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from grading.tables import markdown_table, text_table
from tests.grading.attacks import form
from tests.grading.attacks.form import HERE, Attack
from tests.grading.attacks.judge import COMPLETE, Outcome

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "attacks"
HEAD = ["attack", "earns", "got", "others", "batch", "read", "left", "seconds"]
COMMON = ("course", "classroom.py", "form.py")  # what every submission is made of


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stock", action="store_true", help="run stock nbgrader too (slow)")
    parser.add_argument("--no-ours", action="store_true", help="do not run our grader")
    parser.add_argument("--only", action="append", metavar="NAME", help="an attack or a group")
    parser.add_argument("--workers", type=int, default=2, help="of our grader")
    parser.add_argument("--again", action="store_true", help="run again what is known")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table as Markdown")
    options = parser.parse_args()
    attacks = chosen(form.load_all(), options.only or ())
    faults = [] if options.no_ours else run_ours(attacks, options.workers, options.again)
    if options.stock:
        run_stock(attacks, options.again)
    known = {grader: read_results(attacks, grader) for grader in ("ours", "stock")}
    print(report(attacks, known))
    if options.write:
        options.write.write_text(page(attacks, known), encoding="utf-8")
    faults += [fault for outcome in known["ours"].values() for fault in outcome.faults]
    sys.exit(1 if faults else 0)


def chosen(attacks: Sequence[Attack], names: Sequence[str]) -> list[Attack]:
    """The attacks that are named by name or group, or all."""
    unknown = set(names) - {one.name for one in attacks} - {one.group for one in attacks}
    if unknown:
        raise SystemExit(f"there is no attack and no group {sorted(unknown)[0]!r}")
    return [one for one in attacks if not names or one.name in names or one.group in names]


def key(attack: Attack, grader: str) -> str:
    """The same while attack, assignment and grader are."""
    total = hashlib.sha256(importlib.metadata.version("nbgrader").encode())
    paths = [HERE / attack.group / f"{attack.name}.py"]
    for name in COMMON:
        place = HERE / name
        paths += sorted(place.rglob("*.*")) if place.is_dir() else [place]
    if grader == "ours":
        paths += sorted((ROOT / "grading").rglob("*.py"))
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def read_results(attacks: Sequence[Attack], grader: str) -> dict[str, Outcome]:
    """What is known, by attack; results of an older attack or grader do not count."""
    known = {}
    for attack in attacks:
        path = RESULTS / grader / f"{attack.name}.json"
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["key"] == key(attack, grader):
                known[attack.name] = Outcome(**content["outcome"])
    return known


def keep(attack: Attack, grader: str, content: dict) -> None:
    """Store one result."""
    path = RESULTS / grader / f"{attack.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"key": key(attack, grader), **content}, indent=1)
    partial = path.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def run_ours(attacks: Sequence[Attack], workers: int, again: bool) -> list[str]:
    """Grade the attacks without a result in one batch; return what no attack can be blamed for."""
    from tests.grading.attacks.harness import run_ours as run

    known = {} if again else read_results(attacks, "ours")
    missing = [attack for attack in attacks if attack.name not in known]
    if not missing:
        return []
    with (
        tempfile.TemporaryDirectory(prefix="attacks-") as folder,
        tqdm(total=len(missing), desc="ours", unit="attack") as bar,
    ):

        def progress(done: int) -> None:
            bar.update(min(done, len(missing)) - bar.n)

        batch = run(missing, Path(folder), workers, progress=progress)
        log = (Path(folder) / "log.txt").read_text(errors="replace")
    if all(outcome.batch != COMPLETE for outcome in batch.outcomes.values()):
        raise SystemExit(f"our grader graded nothing:\n{log[-3000:]}")
    for attack in missing:
        keep(attack, "ours", {"outcome": batch.outcomes[attack.name].as_dict()})
    for one in batch.left:
        print(f"left behind by the batch: {one}")
    return batch.left


def run_stock(attacks: Sequence[Attack], again: bool) -> None:
    """Run stock nbgrader on the attacks without a result, one after the other."""
    from tests.grading.attacks import stock

    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("setpriv"):
        raise SystemExit(
            "stock runs execute the attacks without a sandbox, so they need namespaces of their "
            "own: Linux with unshare and setpriv (package util-linux)"
        )
    known = {} if again else read_results(attacks, "stock")
    missing = [attack for attack in attacks if attack.name not in known]
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        template = stock.prepare(Path(folder) / "template")
        plain = Attack("plain", "honest", "No attack.", earned={"double": 2}, kept={"double": 2})
        baseline = stock.run_stock(plain, template, Path(folder) / "run", None)
        if baseline["outcome"]["got"] != 2 or not baseline["rows"].get("zoe"):
            raise SystemExit(f"stock nbgrader does not grade the honest class: {baseline}")
        for attack in (bar := tqdm(missing, desc="stock", unit="attack")):
            bar.set_postfix_str(attack.name)
            result = stock.run_stock(attack, template, Path(folder) / "run", baseline)
            if doubtful(result["outcome"]):
                second = stock.run_stock(attack, template, Path(folder) / "run", baseline)
                result = min(result, second, key=lambda one: doubtful(one["outcome"]))
            keep(attack, "stock", result)


def doubtful(outcome: dict) -> int:
    """Faults that a busy machine could cause: these count only if they happen twice."""
    lost = outcome["group"] == "honest" and outcome["lost"] > 0
    return len(outcome["others"]) + (outcome["batch"] != COMPLETE) + lost


def cells(outcome: Outcome | None) -> list[str]:
    """The columns after the attack's name, in words."""
    if outcome is None:
        return ["", "not run", "", "", "", "", ""]
    marks = "no mark" if outcome.got is None else f"{outcome.got:g}"
    if outcome.unearned:
        marks += f" (+{outcome.unearned:g})"
    elif outcome.lost:
        marks += f" (-{outcome.lost:g})"
    return [
        f"{outcome.worth:g}",
        marks,
        "changed" if outcome.others else "same",
        outcome.batch,
        _few(outcome.read) or "nothing",
        _few(outcome.left) or "nothing",
        "" if outcome.seconds is None else f"{outcome.seconds:.1f}",
    ]


def _few(items: Sequence[str]) -> str:
    text = "; ".join(items[:2])
    text = re.sub(r"/\S*/(?=python)|(?<= -f )/\S*", "", text)  # where it ran says nothing
    if len(text) > 70:
        text = text[:70].rpartition(" ")[0] + " ..."
    return text.replace("|", "/").replace("\n", " ")


def totals(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """What the bar of the suite counts."""
    honest = [one for one in outcomes if one.group == "honest"]
    counts = {
        "attacks run": len(outcomes),
        "with unearned points": sum(one.unearned > 0 for one in outcomes),
        "that changed others' marks": sum(bool(one.others) for one in outcomes),
        "that stopped the batch": sum(one.batch != COMPLETE for one in outcomes),
        "that read something": sum(bool(one.read) for one in outcomes),
        "that left something": sum(bool(one.left) for one in outcomes),
        "with intact points lost": sum(one.lost > 0 for one in outcomes),
        "without any mark": sum(one.got is None for one in outcomes),
        "honest, not given full points": sum(one.lost > 0 for one in honest),
    }
    return [[name, str(count)] for name, count in counts.items()]


def report(attacks: Sequence[Attack], known: dict[str, dict[str, Outcome]]) -> str:
    """The table for a terminal: one line an attack and grader, then totals."""
    rows = [
        [grader, attack.group, attack.name, *cells(known[grader].get(attack.name))]
        for attack in attacks
        for grader in known
        if attack.name in known[grader]
    ]
    parts = [text_table(["grader", "group", *HEAD], rows, width=70)]
    for grader, outcomes in known.items():
        if outcomes:
            parts.append(text_table([grader, ""], totals(list(outcomes.values()))))
    return "\n\n".join(parts)


def page(attacks: Sequence[Attack], known: dict[str, dict[str, Outcome]]) -> str:
    """The table as Markdown."""
    counts = {grader: dict(totals(list(found.values()))) for grader, found in known.items()}
    lines = [
        "# Attacks: our grader and stock nbgrader",
        "",
        f"Written by `python -m tools.attacks --write`, {datetime.date.today()}: "
        f"{len(known['ours'])} submissions graded by ours, {len(known['stock'])} of them by "
        "stock too, without a sandbox; nbgrader "
        f"{importlib.metadata.version('nbgrader')}. The assignment has 15 points, 14 of them "
        "given by tests; an attack earns 2 of them honestly, unless its line says otherwise. "
        "(+n): points beyond what the submission earns; (-n): earned points that it was not "
        "given. Others: did anybody else's marks change. Seconds: wall time of the submission; "
        "for stock with one honest submission after it.",
        "",
        markdown_table(
            ["", "ours", "stock"],
            [[name, counts["ours"][name], counts["stock"][name]] for name in counts["ours"]],
            right=(1, 2),
        ),
    ]
    for group in form.GROUPS:
        members = [attack for attack in attacks if attack.group == group]
        if not members:
            continue
        rows = []
        for attack in members:
            start = [attack.name, attack.claim.split("\n")[0]]
            for grader in known:
                rows.append([*start, grader, *cells(known[grader].get(attack.name))])
                start = ["", ""]
        head = [HEAD[0], "what it tries", "grader", *HEAD[1:]]
        lines += ["", f"## {group.capitalize()}", "", markdown_table(head, rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
