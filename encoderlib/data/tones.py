"""Sounds of one or more pure tones in noise (chapter 18)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from encoderlib.data.seeds import as_generator

__all__ = ["TonesTask", "tone_frequencies", "tones_task"]


class TonesTask(NamedTuple):
    """Sounds and the notes in them.

    Args:
        signals: ``(B, T)``, float32, samples.
        labels: ``(B, K)``, int64, the notes, 0 to n_notes - 1, rising.
        frequencies: ``(B, K)``, float32, their frequencies in hertz.
    """

    signals: Float[Tensor, "B T"]
    labels: Int[Tensor, "B K"]
    frequencies: Float[Tensor, "B K"]


def tone_frequencies(n_notes: int = 12, lowest: float = 440.0) -> Float[Tensor, " C"]:
    """The frequencies of ``n_notes`` semitones from ``lowest`` up: ``lowest * 2^(c / 12)``."""
    return lowest * 2.0 ** (torch.arange(n_notes) / 12)


def tones_task(
    n: int,
    length: int = 2048,
    rate: int = 8000,
    n_tones: int = 1,
    n_notes: int = 12,
    lowest: float = 440.0,
    noise: float = 0.5,
    seed: int | torch.Generator = 0,
) -> TonesTask:
    """Sums of ``n_tones`` sinusoids and white noise: which notes are they?

    ``signal[t] = sum_k a_k sin(2 pi f_k t / rate + p_k) + noise * e_t`` with ``a_k`` uniform on
    0.5..1, phases ``p_k`` uniform, ``e_t`` normal, and ``f_k`` different notes of
    `tone_frequencies`. Loudness and phase say nothing about the note. Two notes can be told
    apart in the spectrum where they are more than ``rate / length`` hertz apart.

    Args:
        n: number of sounds.
        length: T, samples in each.
        rate: samples a second.
        n_tones: K, notes in each sound; with 1, ``labels[:, 0]`` is an ordinary class.
        n_notes: how many different notes there are.
        lowest: the lowest note's frequency in hertz.
        noise: standard deviation of the noise.
        seed: a whole number, or a CPU generator.

    Raises:
        ValueError: if a number is less than 1, there are more tones than notes, ``noise`` is
            negative, or the highest note is not below half of ``rate`` (Nyquist): it would
            sound like a lower one.
    """
    if min(n, length, n_tones) < 1 or n_tones > n_notes or noise < 0:
        raise ValueError(
            f"n={n}, length={length} and n_tones={n_tones} must be at least 1, n_tones at most "
            f"n_notes={n_notes}, noise={noise} at least 0"
        )
    notes = tone_frequencies(n_notes, lowest)  # (C,)
    if not 0 < lowest <= float(notes[-1]) < rate / 2:
        raise ValueError(
            f"the notes lie at {lowest:g} to {float(notes[-1]):.0f} Hz; they must be above 0 and "
            f"below half of rate={rate}: take a higher rate, fewer notes or a lower lowest"
        )
    generator = as_generator(seed)
    labels = torch.rand(n, n_notes, generator=generator).argsort(dim=1)[:, :n_tones]  # (B, K)
    labels = labels.sort(dim=1).values
    frequencies = notes[labels]  # (B, K)
    amplitudes = 0.5 + 0.5 * torch.rand(n, n_tones, 1, generator=generator)  # (B, K, 1)
    phases = torch.rand(n, n_tones, 1, generator=generator)  # (B, K, 1), in turns
    # In float64: 2 pi f t grows to thousands, and float32 would bend the tone.
    seconds = torch.arange(length, dtype=torch.float64) / rate  # (T,)
    turns = frequencies[:, :, None].double() * seconds + phases  # (B, K, T)
    signals = (amplitudes * torch.sin(2 * torch.pi * turns)).sum(dim=1).float()  # (B, T)
    signals += noise * torch.randn(n, length, generator=generator)
    return TonesTask(signals, labels, frequencies)
