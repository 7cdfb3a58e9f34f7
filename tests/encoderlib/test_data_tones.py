"""encoderlib.data.tones: the peaks of the spectrum are the notes that the labels name."""

import numpy as np
import pytest
import torch

from encoderlib.data import tone_frequencies, tones_task


def test_frequencies_are_semitones():
    notes = tone_frequencies(13, 220.0)
    assert notes.dtype == torch.float32
    np.testing.assert_allclose(notes[0], 220.0)
    np.testing.assert_allclose(notes[12], 440.0, rtol=1e-6)  # an octave
    np.testing.assert_allclose(notes[1:] / notes[:-1], [2 ** (1 / 12)] * 12, rtol=1e-6)
    assert tone_frequencies()[0] == 440


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_peak_of_the_spectrum_is_the_label(noise):
    task = tones_task(101, noise=noise, seed=1)
    assert task.signals.shape == (101, 2048)
    assert task.signals.dtype == torch.float32
    assert task.labels.dtype == torch.int64
    spectrum = np.abs(np.fft.rfft(task.signals.numpy()))
    peaks = np.fft.rfftfreq(2048, 1 / 8000)[spectrum.argmax(axis=1)]
    nearest = np.abs(peaks[:, None] - tone_frequencies().numpy()).argmin(axis=1)
    np.testing.assert_array_equal(nearest, task.labels[:, 0].numpy())
    assert np.abs(peaks - task.frequencies[:, 0].numpy()).max() <= 8000 / 2048


def test_several_tones_are_all_there_and_nothing_else():
    """Least squares on the sines and cosines of the named notes leaves no remainder."""
    task = tones_task(31, 1000, 4000, n_tones=3, n_notes=7, lowest=300.0, noise=0.0, seed=2)
    seconds = np.arange(1000) / 4000
    for signal, labels, frequencies in zip(*(part.numpy() for part in task), strict=True):
        assert (np.diff(labels) > 0).all()
        np.testing.assert_allclose(frequencies, 300 * 2 ** (labels / 12), rtol=1e-6)
        phase = 2 * np.pi * frequencies.astype(float) * seconds[:, None]
        basis = np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
        parts, *_ = np.linalg.lstsq(basis, signal.astype(float), rcond=None)
        assert np.abs(basis @ parts - signal).max() < 1e-5
        amplitudes = np.hypot(parts[:3], parts[3:])
        assert (amplitudes > 0.5 - 1e-5).all()
        assert (amplitudes < 1 + 1e-5).all()


def test_amplitudes_and_phases_are_uniform():
    task = tones_task(4000, 800, n_notes=1, lowest=100.0, noise=0.0, seed=3)
    phase = 2 * np.pi * 100 * np.arange(800) / 8000  # ten whole turns
    sine = task.signals.numpy() @ np.sin(phase) / 400
    cosine = task.signals.numpy() @ np.cos(phase) / 400
    amplitude, turns = np.hypot(sine, cosine), np.arctan2(cosine, sine) / (2 * np.pi) % 1
    for values, low, high in ((amplitude, 0.5, 1.0), (turns, 0.0, 1.0)):
        counts, _ = np.histogram(values, 8, (low, high))
        assert counts.sum() >= 3999
        assert np.abs(counts - 500).max() < 5 * 500**0.5


def test_the_noise_is_white_and_as_large_as_asked():
    clean, noisy = (tones_task(50, noise=noise, seed=4) for noise in (0.0, 0.3))
    assert torch.equal(clean.labels, noisy.labels)
    noise = (noisy.signals - clean.signals).numpy()
    assert abs(noise.std() - 0.3) < 0.005
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean(axis=0)[1:-1].reshape(11, 93).mean(axis=1)
    np.testing.assert_allclose(power, 2048 * 0.09, rtol=0.1)


def test_notes_are_drawn_alike():
    task = tones_task(5000, length=1, n_tones=2, n_notes=5, seed=5)
    counts = task.labels.flatten().bincount()
    assert len(counts) == 5
    assert (counts - 2000).abs().max() < 5 * 2000**0.5
    everything = tones_task(3, length=2, n_tones=5, n_notes=5)
    assert everything.labels.tolist() == [[0, 1, 2, 3, 4]] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0, length=2048 and n_tones=1 must be at least 1"),
        ({"n": 1, "length": 0}, "length=0"),
        ({"n": 1, "n_tones": 0}, "n_tones=0 must be at least 1"),
        ({"n": 1, "n_tones": 4, "n_notes": 3}, "n_tones at most n_notes=3"),
        ({"n": 1, "noise": -1.0}, "noise=-1.0 at least 0"),
        ({"n": 1, "rate": 1600}, "440 to 831 Hz; they must be above 0 and below half of rate=1600"),
        ({"n": 1, "n_notes": 1, "rate": 880}, "below half of rate=880"),
        ({"n": 1, "lowest": 0.0}, "the notes lie at 0 to 0 Hz"),
    ],
)
def test_impossible_sounds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tones_task(**arguments)


def test_the_seed_decides():
    first, again, other = (tones_task(9, 64, seed=seed) for seed in (6, 6, 7))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.signals, other.signals)
    assert not torch.equal(first.labels, other.labels)
    generator = torch.Generator().manual_seed(6)
    assert torch.equal(tones_task(9, 64, seed=generator).signals, first.signals)
