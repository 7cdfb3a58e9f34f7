"""From measured steps to the tables in Markdown. Pure functions of the results."""

HOUR = 3600.0
CLASS = 20_000
CORES = (2, 16, 64, 256)
TRAINING = 60.0  # CPU seconds of an exercise in which something is trained: assumed, not measured
BAR = 30.0


def per_submission(results: dict) -> dict[str, float]:
    """CPU seconds a submission by phase, and the ratios."""
    count, stock, ours = results["submissions"], results["stock"], results["ours"]
    engine = (ours["engine_only"]["cpu"] - ours["prepare_only"]["cpu"]) / count
    recording = (ours["whole"]["cpu"] - ours["engine_only"]["cpu"]) / count
    student = results["records"]["student_cpu_seconds"] / count
    return {
        "stock": stock["autograde"]["cpu"] / count,
        "stock, without start": (stock["autograde"]["cpu"] - stock["start"]["cpu"]) / count,
        "stock pages": (stock["feedback"]["cpu"] - stock["start"]["cpu"]) / count,
        "ours": ours["whole"]["cpu"] / count,
        "student": student,
        "examiner": max(0.0, results["records"]["cpu_seconds"] / count - student),
        "engine": engine,
        "recording": max(0.0, recording),
        "ours, without start": engine + max(0.0, recording),
        "pages": ours["pages"]["cpu"] / count,
        "start": ours["prepare_only"]["cpu"],
        "ratio": stock["autograde"]["cpu"] / ours["whole"]["cpu"],
        "wall ratio": stock["autograde"]["wall"] / ours["whole"]["wall"],
    }


def speed_page(results: dict) -> str:
    """docs/grading-speed.md."""
    each, marks = per_submission(results), results["marks"]
    met = "met" if each["ratio"] >= BAR else "**missed**"
    stock, ours = results["stock"], results["ours"]
    count = results["submissions"]
    different = [f"- {line}" for line in marks["different"]]
    return "\n".join(
        [
            "# How fast grading is",
            "",
            "Written by `python benchmarks/grading_speed.py --write`; do not edit.",
            "",
            f"- Machine: {results['machine']}.",
            f"- Versions: {', '.join(f'{k} {v}' for k, v in results['versions'].items())}.",
            f"- Date: {results['date']}.",
            f"- {count} submissions of {results['assignment']} (two notebooks, torch), the same "
            "for both, one run after the other: 60 % of the answers are right, 30 % are the "
            "known wrong ones, 10 % are left open.",
            "- CPU seconds are those of all processes together, one thread each. Wall seconds "
            "depend on what else the machine does.",
            "",
            "## The bar",
            "",
            *table(
                ["", "stock `nbgrader autograde`", "`grading grade`", "ratio"],
                [
                    ["CPU s, all", num(stock["autograde"]["cpu"]), num(ours["whole"]["cpu"]), ""],
                    [
                        "CPU s a submission",
                        num(each["stock"]),
                        num(each["ours"]),
                        f"**{each['ratio']:.1f}**",
                    ],
                    [
                        "the same, without what a run costs once",
                        num(each["stock, without start"]),
                        num(each["ours, without start"]),
                        f"{each['stock, without start'] / each['ours, without start']:.1f}",
                    ],
                    [
                        "wall s a submission",
                        num(stock["autograde"]["wall"] / count),
                        num(ours["whole"]["wall"] / count),
                        f"{each['wall ratio']:.1f}",
                    ],
                ],
            ),
            "",
            f"At least {BAR:g} times fewer CPU seconds: {met}.",
            "",
            "## Where they go",
            "",
            *table(
                ["phase", "CPU s a submission"],
                [
                    ["the student's process", num(each["student"])],
                    ["the examiner's process", num(each["examiner"])],
                    ["engine in all (with forks, sandbox, messages)", num(each["engine"])],
                    ["records, gradebook, autograded notebooks", num(each["recording"])],
                    ["feedback pages, ours", num(each["pages"])],
                    ["feedback pages, stock", num(each["stock pages"])],
                ],
            ),
            "",
            f"Once a run: {num(each['start'])} CPU s for us (read the course, import the libraries "
            f"and torch, try the sandbox), {num(stock['start']['cpu'])} for nbgrader's imports.",
            "",
            "## The same marks",
            "",
            f"{marks['compared']} automatic scores compared, {len(different)} differ.",
            *([""] if different else []),
            *different,
            "",
        ]
    )


def plan(results: dict) -> str:
    """docs/grading-plan.md: a class of 20,000, from what was measured."""
    each = per_submission(results)
    ours, writer = each["ours, without start"], each["recording"]
    stock = each["stock, without start"]
    rows = []
    for cores in CORES:
        rows.append(
            [
                str(cores),
                hours(seconds(CLASS, stock, writer, cores)),
                hours(seconds(CLASS, each["engine"], writer, cores)),
                hours(seconds(CLASS, each["engine"] + TRAINING, writer, cores)),
            ]
        )
    return "\n".join(
        [
            "<!-- Written by `python benchmarks/grading_speed.py --write`; do not edit. -->",
            f"Measured on {results['date']} with {results['submissions']} submissions "
            f"({results['machine']}):",
            "",
            *table(
                ["CPU seconds", "stock nbgrader", "ours"],
                [
                    ["one submission", num(stock), num(ours)],
                    ["of these, what only the coordinator can do", num(stock), num(writer)],
                    [
                        f"{CLASS:,} submissions, in hours",
                        num(CLASS * stock / HOUR),
                        num(CLASS * ours / HOUR),
                    ],
                    [
                        f"{CLASS:,} feedback pages, in hours",
                        num(CLASS * each["stock pages"] / HOUR),
                        num(CLASS * each["pages"] / HOUR),
                    ],
                ],
            ),
            "",
            f"Computed from that, for {CLASS:,} submissions:",
            "",
            *table(
                [
                    "cores",
                    "stock, if its writer were ours",
                    "ours",
                    f"ours, if each submission trains for {TRAINING:g} CPU s",
                ],
                rows,
            ),
            "",
            f"One process writes the gradebook, {num(writer)} CPU s a submission. For exercises "
            f"like this one, more than about {busy(each['engine'], writer)} cores wait for it; "
            f"those that train keep about {busy(each['engine'] + TRAINING, writer)} cores busy.",
            "",
        ]
    )


def seconds(count: int, engine: float, writer: float, cores: int) -> float:
    """Wall seconds: the engine's work is shared, the writer's is not, and both go on at once."""
    return count * max(engine / cores, writer)


def busy(engine: float, writer: float) -> int:
    """How many cores one coordinator can feed."""
    return max(1, round(engine / writer)) if writer else CORES[-1]


def num(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def hours(value: float) -> str:
    """A duration to plan with."""
    return f"{value / 60:.0f} min" if value < 2 * HOUR else f"{value / HOUR:.1f} h"


def table(head: list[str], body: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)]
