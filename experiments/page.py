"""What the experiment pages of the book show of an artefact: tables, the curve, numbers."""

import dataclasses
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from encoderlib import EncoderConfig, TrainingConfig, plots
from experiments import artefact

__all__ = [
    "Table",
    "baselines",
    "configuration",
    "curve",
    "mean_and_spread",
    "numbers",
    "results",
    "search",
    "table",
    "time",
]

DEFAULTS = {"encoder": EncoderConfig(), "training": TrainingConfig()}
ALWAYS = ("d_model", "n_heads", "d_ff", "n_layers", "dropout", "epochs", "lr", "precision")


class Table:
    """A table of the page; as plain text where no HTML can be shown."""

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[Any]]):
        self.rows = [[str(cell) for cell in row] for row in (head, *rows)]

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in self.rows
        )

    def _repr_html_(self) -> str:
        head, *rows = self.rows
        lines = ["<table class='table'>", line(head, "th"), *(line(row, "td") for row in rows)]
        return "\n".join([*lines, "</table>"])


def line(cells: Sequence[str], kind: str) -> str:
    """A row in HTML; `code`, **bold** and [text](page.html) as in Markdown."""
    found = []
    for cell in cells:
        text = html.escape(cell, quote=False)
        for pattern, new in (
            (r"`(.+?)`", r"<code>\1</code>"),
            (r"\*\*(.+?)\*\*", r"<strong>\1</strong>"),
            (r"\[(.+?)\]\((.+?)\)", r"<a href='\2'>\1</a>"),
        ):
            text = re.sub(pattern, new, text)
        found.append(f"<{kind}>{text}</{kind}>")
    return f"<tr>{''.join(found)}</tr>"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table of the page."""
    return Table(head, [["" if cell is None else cell for cell in row] for row in rows])


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as ``encoder.d_model``: value."""
    found = {}
    for name, value in config.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": x for inner, x in flat(value).items()}
        else:
            found[name] = value
    return found


def configuration(content: dict[str, Any]) -> Table:
    """The configuration: the sizes, and what is not the library's default."""
    rows = []
    for name, value in flat(content["config"]).items():
        part, _, field = name.rpartition(".")
        default = dataclasses.asdict(DEFAULTS[part])[field] if part in DEFAULTS else None
        if name != "limit" and (value != default or field in ALWAYS):
            rows.append([f"`{name}`", f"`{value}`"])
    rows.append(["parameters of the model", f"{content['seeds'][0]['parameters']:,}"])
    return table(["choice", "value"], rows)


def mean_and_spread(
    content: dict[str, Any], score: str, part: str = "test", digits: int = 1
) -> str:
    """``91.2 ± 0.3``: mean and sample standard deviation over the seeds."""
    found = content["summary"][part][score]
    text = f"{found['mean']:.{digits}f}"
    return text if found["sd"] is None else f"{text} ± {found['sd']:.{digits}f}"


def results(content: dict[str, Any], scores: dict[str, str], digits: int = 1) -> Table:
    """A row a seed, then mean and spread; ``scores`` maps names of the artefact to headings."""
    parts = [(part, name) for part in ("validation", "test") for name in scores
             if name in content["summary"][part]]  # fmt: skip
    head = ["seed", *(f"{part}: {scores[name]}" for part, name in parts)]
    rows = [
        [row["seed"], *(f"{row[part][name]:.{digits}f}" for part, name in parts)]
        for row in content["seeds"]
    ]
    if len(rows) > 1:
        rows.append(
            [
                "mean ± spread",
                *(mean_and_spread(content, name, part, digits) for part, name in parts),
            ]
        )
    return table(head, rows)


def baselines(content: dict[str, Any], scores: dict[str, str], ours: str, digits: int = 1) -> Table:
    """What the model and each baseline reach on the test part, and their CPU seconds."""
    seconds = max(row["cpu_seconds"] for row in content["seeds"])
    rows = [[f"**{ours}**", *(mean_and_spread(content, name, "test", digits) for name in scores),
             f"{seconds:,.0f}"]]  # fmt: skip
    for row in content["baselines"]:
        cells = [row["test"].get(name) for name in scores]
        rows.append(
            [row["name"], *("" if x is None else f"{x:.{digits}f}" for x in cells),
             f"{row['cpu_seconds']:,.0f}"]
        )  # fmt: skip
    return table(["method", *scores.values(), "CPU s"], rows)


def time(content: dict[str, Any]) -> Table:
    """How long each seed took, and on what."""
    machine = content["machine"]
    rows = [
        [row["seed"], row["epochs"], f"{row['cpu_seconds']:,.0f}",
         f"{row['cpu_seconds'] / 60:.1f}", f"{row['wall_seconds'] / 60:.1f}"]
        for row in content["seeds"]
    ]  # fmt: skip
    print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} thread(s) a run; "
        f"torch {machine['torch']}"
    )
    return table(["seed", "epochs", "CPU seconds", "CPU minutes", "wall minutes"], rows)


def curve(content: dict[str, Any], score: str, label: str, alt: str, scale: float = 1.0) -> None:
    """Training and validation loss, and a validation score, epoch by epoch, a line a seed."""
    fig, axes = plots.figure(6.4, 2.9, ncols=2)
    colours = [plots.COLOURS[name] for name in ("blue", "orange", "green")]
    for row, colour in zip(content["seeds"], colours, strict=False):
        points = [p for p in content["curve"] if p["seed"] == row["seed"]]
        epochs = [p["epoch"] + 1 for p in points]
        name = f"seed {row['seed']}"
        axes[0].plot(epochs, [p["val_loss"] for p in points], color=colour, label=name)
        axes[0].plot(epochs, [p["train_loss"] for p in points], color=colour, linestyle=":")
        axes[1].plot(epochs, [scale * p[score] for p in points], color=colour, label=name)
    axes[0].set(xlabel="epoch", title="loss: training dotted")
    axes[1].set(xlabel="epoch", title=label)
    if len(content["seeds"]) > 1:
        axes[1].legend(loc="lower right")
    plots.show(fig, alt=alt)


def search(name: str, scores: dict[str, str], digits: int = 1) -> Table:
    """The attempts of the search log: the fields in which they differ, and what they reached."""
    attempts = json.loads(artefact.path(f"{name}-search").read_text(encoding="utf-8"))
    configs = [flat(attempt["config"]) for attempt in attempts]
    fields = dict.fromkeys(field for config in configs for field in config)
    differing = [
        field for field in fields if len({str(config.get(field)) for config in configs}) > 1
    ]
    head = [
        "attempt", *(f"`{field}`" for field in differing), *scores.values(), "CPU s", "note"
    ]  # fmt: skip
    rows = [
        [
            number,
            *(f"`{config.get(field)}`" for field in differing),
            *(f"{attempt['validation'][score]:.{digits}f}" for score in scores),
            f"{attempt['cpu_seconds']:,.0f}",
            attempt["note"],
        ]
        for number, (attempt, config) in enumerate(zip(attempts, configs, strict=True), start=1)
    ]
    return table(head, rows)


def numbers(content: dict[str, Any]) -> dict[str, str]:
    """Scores of the test part for the text of a page: name to "mean ± spread", one digit."""
    return {name: mean_and_spread(content, name) for name in content["summary"]["test"]}


def read(name: str, root: Path = artefact.ROOT) -> dict[str, Any]:
    """The artefact of an experiment."""
    return artefact.read(name, root)
