"""What gpu.py measures: each section is a generator of rows."""

import copy
import dataclasses
from collections.abc import Callable, Iterator

import decoding
import torch
import torch.nn.functional as F
from memory import extra_memory
from peers import OURS, PADDED, USUAL, Ours, build, lengths_of_fill, our_encoder
from report import Row
from sections import KINDS, precision_of, runner
from settings import Size
from timing import clock_for, interleave, reason
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from encoderlib import padding_mask, scaled_dot_product_attention
from encoderlib.packing import Packing, pack_when_it_pays

NEEDS_CUDA = "skipped: needs a CUDA device"
BACKENDS = {
    "math": SDPBackend.MATH,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes, and how long a row and a section may take."""

    device: torch.device
    sizes: dict[str, Size]
    lengths: tuple[int, ...]
    steps: int
    budget: float
    least: int
    most: int
    limit: float


def timed(
    settings: Settings,
    runs: dict[str, Callable],
    missing: dict[str, str],
    size: str,
    kind: str,
    precision: str,
) -> Row:
    """The times of one row."""
    clock = clock_for(settings.device, threads=0)  # wall time, also on a CPU
    seconds, failed = interleave(runs, clock, settings.budget, settings.least, settings.most)
    names = {"size": size, "kind": kind, "precision": precision}
    return names | {"seconds": seconds, "failed": missing | failed}


def batch_of(settings: Settings, size: Size, fill: float) -> tuple[Tensor, Tensor | None]:
    """Vectors, and which are real (None: all)."""
    x = torch.randn(size.batch, size.length, size.d_model, device=settings.device)
    if fill == 1.0:
        return x, None
    lengths = lengths_of_fill(size.batch, size.length, fill)
    return x, (torch.arange(size.length) < lengths[:, None]).to(settings.device)


def differentiable(call: Callable[[], Tensor], kind: str) -> Callable[[], None]:
    """The call alone, or with its gradient."""

    def forward() -> None:
        with torch.inference_mode():
            call()

    def training() -> None:
        call().float().square().mean().backward()

    return forward if kind == "forward" else training


def attention(settings: Settings) -> Iterator[Row]:
    """Each kernel by itself, with and without a padding mask."""
    for name, size in settings.sizes.items():
        shape = (size.batch, size.heads, size.length, size.d_model // size.heads)
        for fill, kind in ((f, k) for f in (1.0, 0.5) for k in KINDS):
            _, tokens = batch_of(settings, size, fill)
            mask = None if tokens is None else padding_mask(tokens)
            qkv = [
                torch.randn(
                    shape,
                    device=settings.device,
                    dtype=torch.bfloat16,
                    requires_grad=kind == "training",
                )
                for _ in range(3)
            ]

            def ours(method: str, qkv=qkv, mask=mask) -> Tensor:
                return scaled_dot_product_attention(*qkv, mask, method=method)

            def kernel(backend: SDPBackend, qkv=qkv, mask=mask) -> Tensor:
                with sdpa_kernel(backend):
                    return F.scaled_dot_product_attention(*qkv, attn_mask=mask)

            calls = {OURS: lambda ours=ours: ours("auto"), "formula": lambda o=ours: o("reference")}
            missing = {}
            for label, backend in BACKENDS.items():
                if settings.device.type == "cuda" or label == "math":
                    calls[label] = lambda kernel=kernel, backend=backend: kernel(backend)
                else:
                    missing[label] = NEEDS_CUDA
            runs = {label: differentiable(call, kind) for label, call in calls.items()}
            yield timed(settings, runs, missing, f"{name}, fill {fill:g}", kind, "bf16")


def models(settings: Settings, precision: str, fill: float) -> Iterator[Row]:
    """Whole encoders."""
    for name, size in settings.sizes.items():
        x, tokens = batch_of(settings, size, fill)
        for kind in KINDS:
            encoder = our_encoder(size.d_model, size.heads, size.layers)
            built, missing = build(encoder, USUAL)
            if tokens is not None:
                built = {PADDED: Ours(copy.deepcopy(encoder), pack=False)} | built
            built = {OURS: Ours(encoder)} | built
            context = precision_of(precision, settings.device)
            runs = {
                n: runner(model.to(settings.device), kind, x, tokens, context)
                for n, model in built.items()
            }
            yield timed(settings, runs, missing, name, kind, precision)


def full(settings: Settings) -> Iterator[Row]:
    """Both precisions, no padding."""
    for precision in ("bf16", "fp32"):
        yield from models(settings, precision, 1.0)


def padding(settings: Settings) -> Iterator[Row]:
    """Half padding, bf16."""
    yield from models(settings, "bf16", 0.5)


def varlen(settings: Settings) -> Iterator[Row]:
    """Attention on a packed batch: our groups, torch's kernel for it, and the padded batch."""
    for name, size in settings.sizes.items():
        _, tokens = batch_of(settings, size, 0.5)
        lengths, d_head = tokens.sum(dim=1), size.d_model // size.heads
        plan = pack_when_it_pays(lengths, size.length, size.d_model)
        plan = plan or Packing.plan(lengths, size.length)
        for kind in KINDS:
            options = {"device": settings.device, "dtype": torch.bfloat16}
            options["requires_grad"] = kind == "training"
            n_tokens = plan.index.numel()
            packed = [torch.randn(n_tokens, size.heads, d_head, **options) for _ in range(3)]
            shape = (size.batch, size.heads, size.length, d_head)
            padded = [torch.randn(shape, **options) for _ in range(3)]

            def groups(packed=packed, plan=plan) -> Tensor:
                parts = [z.split([g.batch * g.length for g in plan.groups]) for z in packed]
                heads = []
                for group, *qkv in zip(plan.groups, *parts, strict=True):
                    q, k, v = (z.unflatten(0, (group.batch, -1)).transpose(1, 2) for z in qkv)
                    out = scaled_dot_product_attention(q, k, v, group.mask)  # (b, H, t, d)
                    heads.append(out.transpose(1, 2).flatten(0, 1))  # (b t, H, d)
                return torch.cat(heads)

            def all_padded(padded=padded, tokens=tokens) -> Tensor:
                return F.scaled_dot_product_attention(*padded, attn_mask=padding_mask(tokens))

            calls, missing = {OURS: groups, "padded sdpa": all_padded}, {}
            if settings.device.type == "cuda":
                calls["varlen_attn"] = varlen_call(lengths, size, options)
            else:
                missing["varlen_attn"] = NEEDS_CUDA
            runs = {label: differentiable(call, kind) for label, call in calls.items()}
            yield timed(settings, runs, missing, name, kind, "bf16")


def varlen_call(lengths: Tensor, size: Size, options: dict) -> Callable[[], Tensor]:
    """The kernel that torch has for sequences that stand one after the other."""

    def call() -> Tensor:
        from torch.nn.attention.varlen import varlen_attn  # torch 2.10 and newer

        return varlen_attn(*qkv, starts, starts, longest, longest)

    starts = F.pad(lengths.cumsum(0), (1, 0)).to(options["device"], torch.int32)  # (B + 1,)
    d_head, longest = size.d_model // size.heads, int(lengths.max())
    qkv = [torch.randn(int(lengths.sum()), size.heads, d_head, **options) for _ in range(3)]
    return call


def compiled(settings: Settings) -> Iterator[Row]:
    """torch.compile on each encoder; ours without packing, whose shapes would change."""
    name, size = next(iter(settings.sizes.items()))
    for kind in KINDS:
        x, _ = batch_of(settings, size, 1.0)
        encoder = our_encoder(size.d_model, size.heads, size.layers)
        built, missing = build(encoder, ("torch.nn", "HF sdpa"))
        built = {OURS: Ours(encoder, pack=False)} | built
        context, runs = precision_of("bf16", settings.device), {}
        for label, model in built.items():
            model.to(settings.device)
            runs[label] = runner(copy.deepcopy(model), kind, x, None, context)
            if settings.device.type == "cuda":
                model.compile()
                runs[f"{label}, compiled"] = runner(model, kind, x, None, context)
            else:
                missing[f"{label}, compiled"] = NEEDS_CUDA
        yield timed(settings, runs, missing, name, kind, "bf16")


def memory(settings: Settings) -> Iterator[Row]:
    """Long sequences with their last eighth hidden."""
    for length in settings.lengths:
        size = Size(1, length, 256, 8, 2)
        x = torch.randn(1, length, size.d_model, device=settings.device)
        tokens = (torch.arange(length, device=settings.device) < length - length // 8)[None]
        encoder = our_encoder(size.d_model, size.heads, size.layers)
        built, missing = build(encoder, ("torch.nn", "HF sdpa", "x-transformers"))
        built = {OURS: Ours(encoder)} | built
        context = precision_of("fp32", settings.device)
        runs, taken = {}, {}
        for name, model in built.items():
            model.to(settings.device)
            runs[name] = runner(model, "forward", x, tokens, context)
        row = timed(settings, runs, missing, f"T={length}", "forward", "fp32")
        for name in row["seconds"]:
            try:
                taken[name] = extra_memory(runs[name], settings.device)
            except Exception as error:  # out of memory is a result
                row["failed"][name] = reason(error)
        yield row | {"length": length, "bytes": taken}


def decode(settings: Settings) -> Iterator[Row]:
    """Greedy decoding, B=16."""
    model = decoding.our_model(d_model=256, heads=8, layers=4, vocabulary=1000)
    model.to(settings.device)
    source = torch.randint(3, 1000, (16, 32), device=settings.device)
    runs = decoding.decoders(model, source, settings.steps)
    tokens = [run() for run in runs.values()]
    row = timed(settings, runs, {}, f"{settings.steps} steps", "decoding", "fp32")
    same = all(torch.equal(tokens[0], other) for other in tokens[1:])
    yield row | {"steps": settings.steps, "same": same}
