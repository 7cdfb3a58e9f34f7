"""The device to run on, its fast settings, and reproducible random numbers (chapter 00)."""

import random

import numpy as np
import torch

__all__ = ["device", "fast", "has_fast_bfloat16", "seed_everything"]


def device() -> torch.device:
    """The best device of this machine: CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_fast_bfloat16(device: torch.device | str) -> bool:
    """Whether this device multiplies bfloat16 faster than float32.

    CUDA from compute capability 8.0 on; a CPU with AVX512-BF16, AMX or the ARM instructions;
    not MPS. Elsewhere bfloat16 is emulated, and slower.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # torch < 2.10
        return False
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def fast(device: torch.device | str = "cpu") -> torch.autocast:
    """The library's fast settings: ``with encoderlib.fast(device): loss = ...``.

    Chooses the precision: bfloat16 autocast where `has_fast_bfloat16`, else nothing changes.
    The body of attention follows from dtype and length (`attention.choose_method`), and the
    encoder packs padded batches in any case (`packing`). Weights and the sums of residuals stay
    float32; only matrix products and attention round to bfloat16, whose 8 bits of mantissa give
    outputs that agree with float32 to about two digits (tested: within 3 % of their norm).

    Put the forward pass and the loss inside, the backward pass and the optimiser outside. There
    is no float16: its range needs loss scaling, and on a CPU it is slower than float32.
    """
    device = torch.device(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device))


def seed_everything(seed: int = 0) -> torch.Generator:
    """Seed Python, NumPy and torch (all devices); return a CPU generator of the same seed."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)
