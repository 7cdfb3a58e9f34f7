"""How long encoderlib's Encoder takes, as a ratio to torch.nn.TransformerEncoder's time.

Both do the same computation with the same sizes, pre-norm, gelu, a padding mask and no dropout.
The runs of the two alternate in one process, so that whatever else slows the machine slows
both; each pair of neighbours gives one ratio, and the median of the ratios is printed with its
quartiles. It prints a table and asserts nothing.
"""

import argparse
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from encoderlib import Encoder, EncoderConfig, lengths_to_tokens, padding_mask

# name: (batch, length, d_model, heads, layers)
SIZES = {"small": (16, 64, 128, 4, 2), "medium": (8, 128, 256, 8, 4)}


def encoders(d_model: int, heads: int, layers: int) -> tuple[Encoder, nn.TransformerEncoder]:
    """Our stack and torch's, of the same sizes."""
    config = EncoderConfig(d_model, heads, 4 * d_model, layers, dropout=0.0)
    layer = nn.TransformerEncoderLayer(
        d_model,
        heads,
        4 * d_model,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    theirs = nn.TransformerEncoder(
        layer, layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False
    )
    return Encoder(config), theirs


def forward(model: nn.Module, call: Callable[[], Tensor]) -> Callable[[], None]:
    """A function that runs the model for its outputs only."""

    def run() -> None:
        with torch.inference_mode():
            call()

    model.eval()
    return run


def training_step(model: nn.Module, call: Callable[[], Tensor]) -> Callable[[], None]:
    """A function that takes one optimiser step on the mean square of the outputs."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        call().square().mean().backward()
        optimizer.step()

    model.train()
    return run


def seconds(run: Callable[[], None]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(
    ours: Callable[[], None], theirs: Callable[[], None], repeats: int
) -> tuple[list[float], float]:
    """Ratios of neighbouring runs, and the median seconds of theirs."""
    for run in (ours, theirs) * 2:  # warm up
        run()
    ratios, times = [], []
    for i in range(repeats):
        # Whoever goes first alternates.
        if i % 2:
            b, a = seconds(theirs), seconds(ours)
        else:
            a, b = seconds(ours), seconds(theirs)
        ratios.append(a / b)
        times.append(b)
    return ratios, statistics.median(times)


def rows(sizes: dict[str, tuple[int, ...]], repeats: int) -> list[str]:
    """The table's body: one row for each size and each kind of run."""
    lines = []
    for name, (batch, length, d_model, heads, layers) in sizes.items():
        for kind, build in (("forward", forward), ("training step", training_step)):
            torch.manual_seed(0)
            ours, theirs = encoders(d_model, heads, layers)
            x = torch.randn(batch, length, d_model)
            lengths = torch.linspace(length // 2, length, batch).long()
            tokens = lengths_to_tokens(lengths, length)
            mask = padding_mask(tokens)

            def ours_call(model=ours, x=x, mask=mask) -> Tensor:
                return model(x, mask)

            def theirs_call(model=theirs, x=x, ignored=~tokens) -> Tensor:
                return model(x, src_key_padding_mask=ignored)

            ratios, base = compare(build(ours, ours_call), build(theirs, theirs_call), repeats)
            low, middle, high = statistics.quantiles(ratios, n=4)
            shape = f"B={batch} T={length} D={d_model} H={heads} N={layers}"
            lines.append(
                f"| {name} | {shape} | {kind} | {middle:.2f} | {low:.2f} to {high:.2f} "
                f"| {1000 * base:.1f} |"
            )
    return lines


def machine() -> str:
    """The processor, the system, and how many threads torch uses."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [
                line.split(":", 1)[1].strip() for line in info if line.startswith("model name")
            ]
        processor = names[0] if names else processor
    except OSError:
        pass
    threads = torch.get_num_threads()
    return f"{processor}, {os.cpu_count()} cores, {threads} threads, {platform.system()}"


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small size only, few repeats")
    parser.add_argument("--repeats", type=int, help="pairs of runs a row (default: 41, quick: 9)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    options = parser.parse_args(arguments)
    repeats = options.repeats or (9 if options.quick else 41)
    if repeats < 2 or options.threads < 1:
        parser.error("--repeats must be at least 2 and --threads at least 1")
    torch.set_num_threads(options.threads)
    sizes = {"small": SIZES["small"]} if options.quick else SIZES
    print(f"Machine: {machine()}. torch {torch.__version__}, float32.")
    print(f"Date: {datetime.date.today().isoformat()}. {repeats} pairs a row.\n")
    print("| size | shape | run | encoderlib / torch.nn | quartiles | torch.nn, ms |")
    print("|---|---|---|---|---|---|")
    for line in rows(sizes, repeats):
        print(line, flush=True)
    print("\nBelow 1 encoderlib is faster.")


if __name__ == "__main__":
    main()
