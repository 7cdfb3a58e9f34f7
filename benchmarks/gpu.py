"""The comparison of encoder.py on a CUDA device: bf16, kernels, packing, compile, memory.

Each section has a limit of time, and what it measured until then is kept as JSON. A kernel that
is not supported and a run that is out of memory are results. With --device cpu the same code
runs on small sizes, to see that it works; what needs CUDA is skipped, with the reason.
"""

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gpu_sections
import torch
from gpu_sections import Settings
from report import Row, section_lines
from settings import Size
from timing import machine, reason, today, versions
from tqdm.auto import tqdm

ROOT = Path(__file__).resolve().parents[1]


class OutOfTime(BaseException):
    """The section's time is up; not an Exception, so that nothing mistakes it for a result."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` after so many seconds, between two steps of Python."""
    if not hasattr(signal, "SIGALRM"):  # Windows: without a limit
        yield
        return

    def stop(*_) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


#: name: (what to do, the title); the tables of `report` know memory and decoding by name.
SECTIONS: dict[str, tuple[Callable[[Settings], Iterator[Row]], str]] = {
    "full": (gpu_sections.full, "Full batches"),
    "padding": (gpu_sections.padding, "Half of the batch is padding"),
    "attention": (gpu_sections.attention, "Attention alone"),
    "varlen": (gpu_sections.varlen, "Attention on packed batches"),
    "memory": (gpu_sections.memory, "Long sequences"),
    "decoding": (gpu_sections.decode, "Decoding"),
    "compile": (gpu_sections.compiled, "torch.compile"),
}


def run_section(settings: Settings, name: str) -> dict:
    """The rows of one section, as far as it came, and why it ended early."""
    rows, stopped, start = [], None, time.perf_counter()
    try:
        with at_most(settings.limit):
            measured = SECTIONS[name][0](settings)
            for row in tqdm(measured, desc=name, unit="row", file=sys.stderr):
                rows.append(row)
    except OutOfTime:
        stopped = f"stopped after {settings.limit:g} s"
    except Exception as error:  # the other sections go on
        stopped = reason(error)
    if settings.device.type == "cuda":
        torch.cuda.empty_cache()
    took = round(time.perf_counter() - start, 1)
    return {"rows": rows, "stopped": stopped, "took": took}


def page(settings: Settings, sections: dict[str, dict]) -> str:
    """All tables."""
    sizes = "; ".join(f"{name} ({size})" for name, size in settings.sizes.items())
    lines = ["# Benchmarks on a GPU", ""]
    lines += [f"- Machine: {machine(settings.device)}.", f"- Versions: {versions()}."]
    lines += [f"- Date: {today()}.", f"- Sizes: {sizes}.", ""]
    lines += ["Wall time; each ratio is our time over theirs, the median with quartiles.", ""]
    for name, section in sections.items():
        ended = f"Ended early: {section['stopped']}." if section["stopped"] else "Complete."
        if section["rows"]:
            lines += section_lines(SECTIONS[name][1], ended, name, section["rows"])
        else:
            lines += [f"## {SECTIONS[name][1]}", "", ended, ""]
    return "\n".join(lines).rstrip() + "\n"


def settings_for(device: torch.device, quick: bool, limit: float) -> Settings:
    """Small sizes for a first look or a CPU, else those that fill a GPU."""
    if quick:
        sizes = {"tiny": Size(4, 16, 32, 4, 1)}
        return Settings(device, sizes, (64, 128), 4, 0.1, 2, 3, limit)
    sizes = {"base": Size(32, 512, 768, 12, 12), "small": Size(64, 128, 256, 8, 4)}
    return Settings(device, sizes, (2048, 4096, 8192, 16384), 128, 3.0, 5, 41, limit)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure section by section, print the tables."""
    listing = "\n".join(f"  {name:10} {title}" for name, (_, title) in SECTIONS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"sections:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:1, or cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, metavar="SECTION", help="may be repeated"
    )
    parser.add_argument("--limit", type=float, default=65, help="seconds a section (default: 65)")
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / "build" / "benchmarks" / "gpu.json",
        help="results, written after each section (default: build/benchmarks/gpu.json)",
    )
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu --quick shows that the program runs")
    settings = settings_for(device, options.quick, options.limit)
    conditions = {"machine": machine(device), "versions": versions(), "date": today()}
    sections: dict[str, dict] = {}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for name in SECTIONS:
        if not options.only or name in options.only:
            sections[name] = run_section(settings, name)
            text = json.dumps({"conditions": conditions, "sections": sections}, indent=1)
            options.json.write_text(text, encoding="utf-8")
    print(page(settings, sections), end="")


if __name__ == "__main__":
    main()
