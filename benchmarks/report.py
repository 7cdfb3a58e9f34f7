"""From measured rows to the bars and the tables, in Markdown. Pure functions of the results."""

import dataclasses
import statistics
from collections.abc import Iterator

import decoding
from memory import growth
from peers import OURS, PADDED, USUAL
from reasons import reasons
from timing import ratio

Row = dict  # one measured case: its names, and "seconds": {name: [..]}, "failed": {name: why}
Quartiles = tuple[float, float, float]

#: The longest and shortest T between which the memory's growth has a bar.
GROWTH = (2048, 8192)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One bar in one case: measured quartiles, the limit, and which side of it is good."""

    bar: str
    case: str
    measured: Quartiles
    limit: float
    at_least: bool = False
    broken: bool = False  # unequal results: no speed makes up for them

    @property
    def met(self) -> bool:
        """Whether the median is on the good side, the limit included."""
        middle = self.measured[1]
        good = middle >= self.limit if self.at_least else middle <= self.limit
        return good and not self.broken

    def cells(self) -> list[str]:
        """A row of the table of bars."""
        side = "at least" if self.at_least else "at most"
        verdict = "met" if self.met else "**missed**"
        if self.broken:
            verdict += " (tokens differ)"
        return [self.bar, self.case, spread(self.measured), f"{side} {self.limit:.3g}", verdict]


def case(row: Row) -> str:
    """What a row measured, in words."""
    return f"{row['size']}, {row['kind']}, {row['precision']}"


def best(row: Row, names: list[str] | None = None) -> str | None:
    """The one of these with the lowest median time; None if all of them failed."""
    names = [
        name for name in (row["seconds"] if names is None else names) if name not in (OURS, PADDED)
    ]
    medians = {n: statistics.median(row["seconds"][n]) for n in names if n in row["seconds"]}
    return min(medians, key=medians.__getitem__) if medians else None


def against(row: Row, name: str | None, bar: str, limit: float) -> Iterator[Verdict]:
    """Our time over that of this one, if both were measured."""
    if name in row["seconds"] and OURS in row["seconds"]:
        measured = ratio(row["seconds"][OURS], row["seconds"][name])
        yield Verdict(bar, f"{case(row)}: {name}", measured, limit)


def verdicts(section: str, rows: list[Row]) -> Iterator[Verdict]:
    """The bars that this section's rows decide."""
    if section == "memory":
        yield from memory_verdicts(rows)
    for row in rows:
        if section == "full":
            yield from against(row, best(row, [*USUAL]), "fp32, full: best peer", 1.05)
        elif section == "bf16" and row["kind"] == "training":
            for name in ("torch.nn", "HF sdpa", "x-transformers"):
                yield from against(row, name, "bf16, full, training", 0.70)
        elif section == "padding" and row["kind"] == "training":
            yield from against(row, best(row, [*USUAL]), "fill 0.5, training: best peer", 0.65)
        elif section == "padding" and row["precision"] == "fp32":
            yield from against(row, "torch.nn", "fill 0.5, forward: nested fast path", 0.75)
        elif section == "fast":
            yield from against(row, "torch.nn, fp32", "fast settings: torch.nn fp32", 0.32)
            yield from against(row, best(row), "fast settings: best of all peers", 0.85)
        elif section == "decoding":
            yield from decoding_verdicts(row)


def memory_verdicts(rows: list[Row]) -> Iterator[Verdict]:
    """Growth between 2048 and 8192, or what was measured of it, and the share of torch.nn's."""
    inside = [row for row in rows if OURS in row["bytes"] and row["length"] <= GROWTH[1]]
    if not inside:
        return
    last = inside[-1]
    first = next((row for row in inside if row["length"] >= GROWTH[0]), last)
    if first is last:
        first = inside[0]
    if first is not last:
        power = growth(*((row["length"], row["bytes"][OURS]) for row in (first, last)))
        between = f"T={first['length']} to {last['length']}"
        yield Verdict("memory: exponent of growth", between, (power,) * 3, 1.1)
    if "torch.nn" in last["bytes"]:
        share = last["bytes"][OURS] / last["bytes"]["torch.nn"]
        yield Verdict("memory: of torch.nn's", f"T={last['length']}", (share,) * 3, 0.1)


def decoding_verdicts(row: Row) -> Iterator[Verdict]:
    """How many times faster the cache is, and that nothing else changed."""
    bars = {32: (decoding.WITHOUT, 4.0), 128: (decoding.TORCH, 12.0)}
    name, limit = bars.get(row["steps"], ("", 0.0))
    if name in row["seconds"] and decoding.OURS in row["seconds"]:
        faster = ratio(row["seconds"][name], row["seconds"][decoding.OURS])
        what = f"{row['steps']} steps: {name}"
        yield Verdict("decoding, times faster", what, faster, limit, True, not row["same"])


def spread(values: Quartiles) -> str:
    """The median, with the quartiles where there are any."""
    low, middle, high = values
    return f"{middle:.2f}" if low == high else f"{middle:.2f} ({low:.2f}-{high:.2f})"


def table(head: list[str], body: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)]


def over(row: Row, name: str, ours: str = OURS) -> str:
    """The cell of one peer: our time over its time."""
    if name in row["seconds"] and ours in row["seconds"]:
        return spread(ratio(row["seconds"][ours], row["seconds"][name]))
    return word(row["failed"].get(name))


def word(why: str | None) -> str:
    """What stands in a cell without a number."""
    if why is None:
        return "-"
    return next((w for w in ("not installed", "skipped") if why.startswith(w)), "fails")


def milliseconds(row: Row, name: str) -> str:
    """The median time of one, or what became of it."""
    times = row["seconds"].get(name)
    return f"{1000 * statistics.median(times):.3g}" if times else word(row["failed"].get(name))


def ratios(rows: list[Row]) -> list[str]:
    """One row a case, one column a peer."""
    found = [name for row in rows for name in (*row["seconds"], *row["failed"])]
    names = [name for name in dict.fromkeys(found) if name != OURS]
    head = ["case", "ours, ms", *names]
    body = [[case(r), milliseconds(r, OURS), *(over(r, n) for n in names)] for r in rows]
    return table(head, body)


def settings_table(rows: list[Row]) -> list[str]:
    """One row a setting: what it takes, and our fast settings over it."""
    lines = []
    for row in rows:
        names = sorted(row["seconds"], key=lambda name: statistics.median(row["seconds"][name]))
        body = [[n, milliseconds(row, n), over(row, n)] for n in (*names, *row["failed"])]
        lines += table([f"{row['size']}, {row['kind']}", "ms", "ours over it"], body)
    return lines


def memory_tables(rows: list[Row]) -> list[str]:
    """Peak memory in MiB with its growth, then times."""
    names = list(dict.fromkeys(name for row in rows for name in row["bytes"]))
    body = [
        [f"T={row['length']}"]
        + [f"{row['bytes'][n] / 2**20:.1f}" if n in row["bytes"] else "fails" for n in names]
        for row in rows
    ]
    ends = rows[0], rows[-1]
    if ends[0] is not ends[1]:
        both = [all(name in row["bytes"] for row in ends) for name in names]
        powers = [
            f"{growth(*((row['length'], row['bytes'][name]) for row in ends)):.2f}" if ok else "-"
            for name, ok in zip(names, both, strict=True)
        ]
        body.append(["exponent of growth", *powers])
    return [*table(["MiB", *names], body), "", *ratios(rows)]


def decoding_table(rows: list[Row]) -> list[str]:
    """One row a number of steps."""
    names = (decoding.WITHOUT, decoding.TORCH)
    head = ["case", "with cache, ms", *(f"times faster than {name}" for name in names), "tokens"]
    body = []
    for row in rows:
        ours = row["seconds"].get(decoding.OURS)
        faster = [
            spread(ratio(row["seconds"][name], ours)) if ours and name in row["seconds"] else "-"
            for name in names
        ]
        same = "the same" if row["same"] else "**differ**"
        body.append([f"{row['steps']} steps", milliseconds(row, decoding.OURS), *faster, same])
    return table(head, body)


def work_table(rows: list[Row]) -> list[str]:
    """That all compute the same."""
    body = [
        [row["peer"], f"{row['difference']:.1e}", f"{row['parameters']:,}"]
        if "difference" in row
        else [row["peer"], row["failed"], "-"]
        for row in rows
    ]
    return table(["peer", "largest difference", "parameters"], body)


def failures(rows: list[Row]) -> list[str]:
    """What failed, once for each reason, with the cases."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if isinstance(row.get("failed"), dict):
            for name, why in row["failed"].items():
                found.setdefault(f"{name}: {why}", []).append(case(row))
    return [f"- {what} ({'; '.join(dict.fromkeys(cases))})" for what, cases in found.items()]


TABLES = {
    "work": work_table,
    "fast": settings_table,
    "memory": memory_tables,
    "decoding": decoding_table,
}


def section_lines(title: str, note: str, section: str, rows: list[Row]) -> list[str]:
    """A section of the page: what was done, the table, what failed."""
    lines = [f"## {title}", "", note, "", *TABLES.get(section, ratios)(rows), ""]
    failed = failures(rows)
    return [*lines, "Not measured:", "", *failed, ""] if failed else lines


def bar_lines(measured: dict[str, list[Row]]) -> list[str]:
    """The table of bars, how many are missed, and why."""
    all_of_them = [v for section, rows in measured.items() for v in verdicts(section, rows)]
    missed = [verdict.bar for verdict in all_of_them if not verdict.met]
    head = ["bar", "case", "measured", "limit", "verdict"]
    counts = f"{len(all_of_them) - len(missed)} met, {len(missed)} missed."
    rows = table(head, [v.cells() for v in all_of_them])
    return ["## The bars", "", counts, "", *rows, "", *reasons(missed)]
