"""What encoder.py measures: each section is a generator of rows."""

import contextlib
import copy
from collections.abc import Callable, Iterator

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
from report import Row
from settings import SIZES, Settings, Size
from timing import clock_for, interleave, reason
from torch import Tensor, nn

import encoderlib

CPU = torch.device("cpu")
KINDS = ("forward", "training")


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
