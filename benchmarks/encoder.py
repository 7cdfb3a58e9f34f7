"""Compare encoderlib's encoder with what you would use instead, and print Markdown.

The others are torch.nn.TransformerEncoder, Hugging Face's BERT encoder (eager and sdpa),
x-transformers, and the same written out as tutorials do. All hold the same weights and take
turns in one process; what is printed are ratios of neighbouring runs, as medians with
quartiles, beside the bars that encoderlib sets itself. It asserts nothing about time. Results
are kept after each section, so a run that was stopped goes on where it was.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sections
import torch
from report import Row, bar_lines, section_lines
from results import ROOT, Results
from sections import CPU
from settings import QUICK, SIZES, Settings
from timing import machine, versions
from tqdm.auto import tqdm

#: name: (what to do, the title, what the reader must know)
SECTIONS: dict[str, tuple[Callable[[Settings], Iterator[Row]], str, str]] = {
    "work": (
        sections.work,
        "Equal work",
        "Each peer gets encoderlib's weights, D=64 and two layers, and is compared at real tokens, "
        "with and without padding, in evaluation and in training mode. The biases are random, "
        "except that x-transformers has none in attention and norms: there ours are zero. "
        "`x-transformers` stands for `attn_flash=True`, `x-transf. plain` for its default.",
    ),
    "full": (
        sections.full,
        "float32, full batches",
        "Our time over theirs; below 1 encoderlib is faster. No mask is given to anyone.",
    ),
    "bf16": (
        sections.bf16,
        "bfloat16 autocast, full batches",
        "All under the same autocast. The bar holds for training and for the three whose users "
        "have a fused kernel; the peers with plain attention are shown beside them.",
    ),
    "padding": (
        sections.padding,
        "Half of the batch is padding",
        "Lengths are drawn uniformly and scaled to a mean fill of 0.5; the longest is T, so nobody "
        "can cut the batch. encoderlib packs by itself; the column `not packed` is "
        "`Encoder(..., pack=False)`. torch.nn's forward is its nested fast path.",
    ),
    "fast": (
        sections.fast,
        "The fast settings",
        "Training on a batch with fill 0.5. Ours is `with encoderlib.fast(device):` and a padding "
        "mask, nothing else; the others run in both precisions.",
    ),
    "memory": (
        sections.memory,
        "Long sequences",
        "One sequence with its last eighth hidden, D=256, H=8, N=2, forward in inference mode. "
        "Memory is what torch's allocator takes at most, above inputs and weights. Then the "
        "times, our time over theirs.",
    ),
    "decoding": (
        sections.decode,
        "Decoding",
        "Greedy, B=16, S=32, D=256, H=8, four encoder and four decoder layers. The loop encodes "
        "the source once and runs `nn.Transformer`'s decoder, with the same weights, on all that "
        "is written, at each step.",
    ),
}


def page(results: Results, settings: Settings, chosen: list[str]) -> str:
    """The whole page."""
    found = {name: results.sections[name] for name in chosen}
    dates = sorted({section["date"] for section in found.values()})
    minutes = sum(section["took"] for section in found.values()) / 60
    timer = "CPU time" if settings.threads == 1 else "wall time"
    command = "python benchmarks/encoder.py" + (" --quick" if settings.quick else "")
    lines = [
        "# Benchmarks of the encoder",
        "",
        f"Written by `{command} --write docs/benchmarks.md`; do not edit.",
        "",
        f"- Machine: {machine(CPU)}.",
        f"- Versions: {versions()}.",
        f"- Date: {' to '.join(dates)}; {minutes:.0f} minutes.",
        f"- Sizes: {'; '.join(f'{name} ({SIZES[name]})' for name in settings.sizes_bf16)}. "
        "F = 4 D everywhere."
        + (" base is BERT-base with 2 of its 12 layers." if "base" in settings.sizes else ""),
        f"- Each ratio is the median over rounds of {timer}, with the quartiles; in a round all "
        "run once, one after the other. Where the quartiles are far apart, the machine was busy.",
        "- Training is forward, mean square, backward, fused AdamW. No dropout. Post-norm, gelu.",
        "",
        *bar_lines({name: section["rows"] for name, section in found.items()}),
    ]
    for name, section in found.items():
        _, title, note = SECTIONS[name]
        lines += section_lines(title, note, name, section["rows"])
    return "\n".join(lines).rstrip() + "\n"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    listing = "\n".join(f"  {name:10} {title}" for name, (_, title, _) in SECTIONS.items())
    found = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"sections:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--quick", action="store_true", help="smaller sizes, few repeats: 2 minutes")
    found.add_argument(
        "--only", action="append", choices=SECTIONS, metavar="SECTION", help="may be repeated"
    )
    found.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    found.add_argument("--fresh", action="store_true", help="measure again what was kept")
    found.add_argument("--write", type=Path, metavar="FILE", help="write the page there as well")
    found.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        default=ROOT / "build" / "benchmarks",
        help="where results are kept (default: build/benchmarks)",
    )
    return found


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, measure what is not kept, print the page."""
    options = parser().parse_args(arguments)
    if options.threads < 1:
        parser().error(f"--threads={options.threads} must be at least 1")
    torch.set_num_threads(options.threads)
    settings = dataclasses.replace(QUICK if options.quick else Settings(), threads=options.threads)
    chosen = [name for name in SECTIONS if not options.only or name in options.only]
    path = options.keep / f"encoder{'-quick' if options.quick else ''}.json"
    results = Results(path, settings, options.fresh)
    for name in chosen:
        if name in results.sections:
            print(f"{name}: kept in {path} (--fresh measures again)", file=sys.stderr)
            continue
        start = time.perf_counter()
        measured = SECTIONS[name][0](settings)
        rows = list(tqdm(measured, desc=name, unit="row", file=sys.stderr))
        results.save(name, rows, time.perf_counter() - start)
    text = page(results, settings, chosen)
    print(text, end="")
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
