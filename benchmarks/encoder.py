"""Compare encoderlib's encoder with what you would use instead, and print Markdown.

The others are torch.nn.TransformerEncoder, Hugging Face's BERT encoder (eager and sdpa),
x-transformers, and the same written out as tutorials do. All hold the same weights and take
turns in one process; what is printed are ratios of neighbouring runs, as medians with
quartiles, beside the bars that encoderlib sets itself. It asserts nothing about time. Results
are kept after each section, so a run that was stopped goes on where it was.
"""

import argparse
import contextlib
import copy
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import decoding
import torch
from memory import extra_memory
from peers import (
    OURS,
    PADDED,
    PEERS,
    USUAL,
    Ours,
    build,
    difference,
    lengths_of_fill,
    our_encoder,
)
from report import Row, bar_lines, section_lines
from timing import clock_for, interleave, machine, reason, today, versions
from torch import Tensor, nn
from tqdm.auto import tqdm

import encoderlib

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class Size:
    """A batch and a model."""

    batch: int
    length: int
    d_model: int
    heads: int
    layers: int

    def __str__(self) -> str:
        return f"B={self.batch}, T={self.length}, D={self.d_model}, H={self.heads}, N={self.layers}"


SIZES = {
    "tiny": Size(32, 32, 64, 4, 2),
    "small": Size(16, 128, 256, 8, 4),
    "small, T=512": Size(4, 512, 256, 8, 4),
    "base": Size(8, 128, 768, 12, 2),
}
KINDS = ("forward", "training")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much is measured: the sizes, and for each row at least and at most so many rounds."""

    quick: bool = False
    threads: int = 1
    sizes: tuple[str, ...] = ("tiny", "small", "base")
    sizes_bf16: tuple[str, ...] = ("tiny", "small", "small, T=512", "base")
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    steps: tuple[int, ...] = (32, 128)
    slow_settings: tuple[str, ...] = tuple(PEERS)  # whom to try in fp32 against the fast settings
    budget: float = 12.0  # seconds a row
    least: int = 7
    most: int = 41
    long: int = 3  # rounds of what takes many seconds


QUICK = Settings(
    quick=True,
    sizes=("tiny", "small"),
    sizes_bf16=("tiny", "small"),
    lengths=(512, 2048),
    steps=(32,),
    slow_settings=("torch.nn",),
    budget=1.0,
    least=3,
    most=9,
    long=1,
)


def precision_of(name: str, device: torch.device = CPU) -> torch.autocast:
    """bf16 autocast, or none."""
    return torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16")


def runner(
    model: nn.Module,
    kind: str,
    x: Tensor,
    tokens: Tensor | None,
    context: contextlib.AbstractContextManager,
) -> Callable[[], None]:
    """A function that runs the model once: for its outputs, or for one step of training."""
    if kind == "forward":
        model.eval()

        def forward() -> None:
            with torch.inference_mode(), context:
                model(x, tokens)

        return forward
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with context:
            loss = model(x, tokens).float().square().mean()
        loss.backward()
        optimizer.step()

    return step


def batch_of(size: Size, fill: float) -> tuple[Tensor, Tensor | None, float]:
    """Vectors, which of them are real (None: all), and the mean fill that came out."""
    torch.manual_seed(1)
    x = torch.randn(size.batch, size.length, size.d_model)
    if fill == 1.0:
        return x, None, 1.0
    lengths = lengths_of_fill(size.batch, size.length, fill)
    tokens = torch.arange(size.length) < lengths[:, None]  # (B, T)
    return x, tokens, float(tokens.double().mean())


def measure(
    settings: Settings, name: str, kind: str, precision: str, fill: float, peers: tuple[str, ...]
) -> Row:
    """One row: everybody at this size, in this precision."""
    size = SIZES[name]
    x, tokens, actual = batch_of(size, fill)
    encoder = our_encoder(size.d_model, size.heads, size.layers)
    models, missing = build(encoder, peers)
    if tokens is not None:
        models = {PADDED: Ours(copy.deepcopy(encoder), pack=False)} | models
    models = {OURS: Ours(encoder)} | models
    context = precision_of(precision)
    runs = {n: runner(model, kind, x, tokens, context) for n, model in models.items()}
    return timed_row(settings, runs, missing) | {
        "size": name,
        "shape": str(size),
        "kind": kind,
        "precision": precision,
        "fill": actual,
    }


def timed_row(
    settings: Settings, runs: dict[str, Callable], missing: dict[str, str], long: bool = False
) -> Row:
    """The times of one row."""
    rounds = (settings.long, settings.long) if long else (settings.least, settings.most)
    clock = clock_for(CPU, settings.threads)
    seconds, failed = interleave(runs, clock, settings.budget, *rounds)
    return {"seconds": seconds, "failed": missing | failed}


def work(settings: Settings) -> Iterator[Row]:
    """First of all: that everybody computes the same."""
    for peer in PEERS:
        try:
            worst, parameters = difference(peer)
        except ImportError as error:
            yield {"peer": peer, "failed": f"not installed: {error.name}"}
            continue
        if worst > 1e-4:
            raise ValueError(f"{peer} differs from encoderlib by {worst:.1e}: not the same work")
        yield {"peer": peer, "difference": worst, "parameters": parameters}


def full(settings: Settings) -> Iterator[Row]:
    """fp32, no padding."""
    for name in settings.sizes:
        for kind in KINDS:
            yield measure(settings, name, kind, "fp32", 1.0, USUAL)


def bf16(settings: Settings) -> Iterator[Row]:
    """bf16 autocast, no padding."""
    for name in settings.sizes_bf16:
        for kind in KINDS:
            yield measure(settings, name, kind, "bf16", 1.0, tuple(PEERS))


def padding(settings: Settings) -> Iterator[Row]:
    """Half of the batch is padding."""
    for name in settings.sizes:
        for precision in ("fp32", "bf16"):
            for kind in KINDS:
                yield measure(settings, name, kind, precision, 0.5, USUAL)


def fast(settings: Settings) -> Iterator[Row]:
    """encoderlib.fast with automatic packing against every setting of every peer."""
    size = SIZES["small"]
    x, tokens, actual = batch_of(size, 0.5)
    encoder = our_encoder(size.d_model, size.heads, size.layers)
    runs = {OURS: runner(Ours(encoder), "training", x, tokens, encoderlib.fast(CPU))}
    missing: dict[str, str] = {}
    for precision, peers in (("fp32", settings.slow_settings), ("bf16", tuple(PEERS))):
        models, absent = build(encoder, peers)
        missing |= {f"{peer}, {precision}": why for peer, why in absent.items()}
        context = precision_of(precision)
        for peer, model in models.items():
            runs[f"{peer}, {precision}"] = runner(model, "training", x, tokens, context)
    yield timed_row(settings, runs, missing) | {
        "size": "small",
        "shape": str(size),
        "kind": "training",
        "precision": "fast settings",
        "fill": actual,
    }


def memory(settings: Settings) -> Iterator[Row]:
    """Long sequences: one, with its last eighth hidden."""
    names = ("torch.nn", "HF sdpa", "x-transformers")
    for length in settings.lengths:
        size = Size(1, length, 256, 8, 2)
        x = torch.randn(1, length, size.d_model)
        tokens = (torch.arange(length) < length - length // 8)[None]  # (1, T)
        encoder = our_encoder(size.d_model, size.heads, size.layers)
        models, missing = build(encoder, names)
        models = {OURS: Ours(encoder), PADDED: Ours(encoder, pack=False)} | models
        context = precision_of("fp32")
        runs = {n: runner(m, "forward", x, tokens, context) for n, m in models.items()}
        taken = {}
        for name, run in runs.items():
            try:
                taken[name] = extra_memory(run, CPU)
            except Exception as error:  # out of memory is a result
                missing[name] = reason(error)
        runs = {name: run for name, run in runs.items() if name in taken}
        yield timed_row(settings, runs, missing, long=True) | {
            "size": f"T={length}",
            "shape": str(size),
            "kind": "forward",
            "precision": "fp32",
            "length": length,
            "bytes": taken,
        }


def decode(settings: Settings) -> Iterator[Row]:
    """Greedy decoding, B=16."""
    model = decoding.our_model(d_model=256, heads=8, layers=4, vocabulary=1000)
    source = torch.randint(3, 1000, (16, 32))
    for steps in settings.steps:
        runs = decoding.decoders(model, source, steps)
        tokens = [run() for run in runs.values()]
        yield timed_row(settings, runs, {}, long=True) | {
            "size": f"{steps} steps",
            "shape": "B=16, S=32, D=256, H=8, N=4, V=1000",
            "kind": "decoding",
            "precision": "fp32",
            "steps": steps,
            "same": all(torch.equal(tokens[0], other) for other in tokens[1:]),
        }


#: name: (what to do, the title, what the reader must know)
SECTIONS: dict[str, tuple[Callable[[Settings], Iterator[Row]], str, str]] = {
    "work": (
        work,
        "Equal work",
        "Each peer gets encoderlib's weights, D=64 and two layers, and is compared at real tokens, "
        "with and without padding, in evaluation and in training mode. The biases are random, "
        "except that x-transformers has none in attention and norms: there ours are zero. "
        "`x-transformers` stands for `attn_flash=True`, `x-transf. plain` for its default.",
    ),
    "full": (
        full,
        "float32, full batches",
        "Our time over theirs; below 1 encoderlib is faster. No mask is given to anyone.",
    ),
    "bf16": (
        bf16,
        "bfloat16 autocast, full batches",
        "All under the same autocast. The bar holds for training and for the three whose users "
        "have a fused kernel; the peers with plain attention are shown beside them.",
    ),
    "padding": (
        padding,
        "Half of the batch is padding",
        "Lengths are drawn uniformly and scaled to a mean fill of 0.5; the longest is T, so nobody "
        "can cut the batch. encoderlib packs by itself; the column `not packed` is "
        "`Encoder(..., pack=False)`. torch.nn's forward is its nested fast path.",
    ),
    "fast": (
        fast,
        "The fast settings",
        "Training on a batch with fill 0.5. Ours is `with encoderlib.fast(device):` and a padding "
        "mask, nothing else; the others run in both precisions.",
    ),
    "memory": (
        memory,
        "Long sequences",
        "One sequence with its last eighth hidden, D=256, H=8, N=2, forward in inference mode. "
        "Memory is what torch's allocator takes at most, above inputs and weights. Then the "
        "times, our time over theirs.",
    ),
    "decoding": (
        decode,
        "Decoding",
        "Greedy, B=16, S=32, D=256, H=8, four encoder and four decoder layers. The loop encodes "
        "the source once and runs `nn.Transformer`'s decoder, with the same weights, on all that "
        "is written, at each step.",
    ),
}


class Results:
    """Rows by section in a JSON file; those of another machine, version or library are dropped."""

    def __init__(self, path: Path, settings: Settings, fresh: bool):
        sources = sorted((ROOT / "encoderlib").rglob("*.py"))
        library = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
        self.path = path
        self.conditions = {
            "machine": machine(CPU),
            "versions": versions(),
            "encoderlib": library[:12],
            # as JSON gives them back
            "settings": json.loads(json.dumps(dataclasses.asdict(settings))),
        }
        self.sections: dict[str, dict] = {}
        if path.exists() and not fresh:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["conditions"] == self.conditions:
                self.sections = kept["sections"]

    def save(self, name: str, rows: list[Row], seconds: float) -> None:
        """Add one section and write the file anew."""
        self.sections[name] = {"date": today(), "took": round(seconds, 1), "rows": rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"conditions": self.conditions, "sections": self.sections}, indent=1)
        partial = self.path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path)


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
