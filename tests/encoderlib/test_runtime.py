"""encoderlib.runtime: the device that is there, its fast settings, and random numbers."""

import random

import numpy as np
import pytest
import torch

from encoderlib import (
    Encoder,
    EncoderConfig,
    device,
    fast,
    has_fast_bfloat16,
    lengths_to_tokens,
    seed_everything,
)


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_that_is_there(cuda, mps, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device() == torch.device(best)


# --- the fast settings ---


def capabilities(monkeypatch, **found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_cpu_with_bfloat16_instructions_is_fast(name, monkeypatch):
    capabilities(monkeypatch, architecture="x", avx512_f=False, **{name: True})
    assert has_fast_bfloat16("cpu") is True
    assert has_fast_bfloat16(torch.device("cpu", 0)) is True
    for where in ("cpu", torch.device("cpu")):
        context = fast(where)
        with context:
            assert torch.is_autocast_enabled("cpu")
            assert torch.get_autocast_dtype("cpu") == torch.bfloat16
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    "found", [{}, {"avx512_bf16": False, "amx_bf16": False, "bf16": False, "avx512_f": True}]
)
def test_a_cpu_without_them_is_not_and_nothing_changes(found, monkeypatch):
    capabilities(monkeypatch, **found)
    assert has_fast_bfloat16("cpu") is False
    with fast():
        assert not torch.is_autocast_enabled("cpu")
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_torch_that_cannot_tell_counts_as_slow(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert has_fast_bfloat16("cpu") is False


@pytest.mark.parametrize("answer", [True, False])
def test_cuda_is_asked_without_emulation_and_not_for_the_cpu(answer, monkeypatch):
    capabilities(monkeypatch, avx512_bf16=not answer)
    asked = []

    def supported(including_emulation=True):
        asked.append(including_emulation)
        return answer

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_fast_bfloat16("cuda") is answer
    assert has_fast_bfloat16(torch.device("cuda", 1)) is answer
    assert asked == [False, False]
    assert has_fast_bfloat16("cpu") is not answer
    assert len(asked) == 2


def test_mps_is_not_fast(monkeypatch):
    capabilities(monkeypatch, bf16=True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert has_fast_bfloat16("mps") is False
    assert fast("mps").device == "mps"
    with fast("mps"):
        assert not torch.is_autocast_enabled("mps")


@pytest.mark.parametrize("padded", [False, True])
def test_fast_results_are_within_three_percent_of_float32(padded, monkeypatch):
    """Outputs and gradients, of an encoder as it is initialised."""
    capabilities(monkeypatch, avx512_bf16=True)  # slow where it is emulated, and the same
    encoder = Encoder(EncoderConfig(64, 4, 256, 4, dropout=0.0))
    lengths = torch.arange(1, 33, 4) if padded else torch.full((8,), 32)
    tokens = lengths_to_tokens(lengths, 32)
    x = torch.randn(8, 32, 64)

    def results():
        encoder.zero_grad()
        y = encoder(x, lengths=lengths)[tokens]
        loss = y.float().sin().sum()
        loss.backward()
        return y.float(), torch.cat([p.grad.flatten() for p in encoder.parameters()])

    exact = results()
    with fast():
        got = results()
    assert not torch.equal(got[0], exact[0])
    for rounded, expected in zip(got, exact, strict=True):
        assert rounded.dtype == torch.float32
        assert (rounded - expected).norm() < 0.03 * expected.norm()


# --- random numbers ---


def draw(generator):
    return (
        random.random(),
        float(np.random.random()),
        float(torch.rand(())),
        float(torch.rand((), generator=generator)),
    )


def test_a_seed_brings_all_random_numbers_back():
    first, again, other = (draw(seed_everything(seed)) for seed in (5, 5, 6))
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_the_generator_has_the_seed_and_zero_is_the_default():
    assert seed_everything(5).initial_seed() == 5
    assert seed_everything().initial_seed() == 0
    assert seed_everything().device.type == "cpu"
