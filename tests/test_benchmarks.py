"""The benchmarks run, and their arithmetic is right; nothing here asserts a time."""

import dataclasses
import json
import math
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import decoding
import encoder
import gpu
import memory
import peers
import reasons
import report
import sections
import settings
import timing

sys.path.pop(0)  # their names are too plain to stay importable

CPU = torch.device("cpu")
EACH_PEER = pytest.mark.parametrize("name", peers.PEERS)


def row(seconds, **names):
    named = {"size": "small", "kind": "training", "precision": "fp32"} | names
    return named | {"seconds": seconds, "failed": {}}


def installed(name):
    package = {"HF": "transformers", "x-": "x_transformers"}.get(name[:2])
    if package:
        pytest.importorskip(package, reason=f"{name} is not installed")


@pytest.mark.parametrize(("batch", "length"), [(8, 128), (16, 128), (32, 32), (5, 7)])
def test_lengths_have_the_mean_that_was_asked_for_and_reach_the_end(batch, length):
    lengths = peers.lengths_of_fill(batch, length, 0.5)
    assert lengths.min() >= 1
    assert lengths.max() == length
    assert lengths.double().mean() / length == pytest.approx(0.5, abs=0.5 / length)
    assert torch.equal(lengths, peers.lengths_of_fill(batch, length, 0.5))


def test_runs_take_turns_and_who_fails_is_left_out():
    ran = []

    def broken():
        ran.append("c")
        if ran.count("c") == 4:
            raise MemoryError("no room\nfor this | line")

    runs = {"a": lambda: ran.append("a"), "b": lambda: ran.append("b"), "c": broken}
    seconds, failed = timing.interleave(runs, iter(range(99)).__next__, 60, least=2, most=3)
    assert ran == [*"abc", *"abc", *"bca", *"cab"]  # a clock of whole seconds: one warm-up
    assert seconds == {"a": [1, 1, 1], "b": [1, 1, 1]}
    assert failed == {"c": "MemoryError: no room"}
    assert "|" not in timing.reason(ValueError("a | b"))


def test_rounds_end_with_the_budget_but_not_before_the_least():
    seconds, _ = timing.interleave({"a": lambda: None}, time.perf_counter, 0.0, least=4, most=9)
    assert len(seconds["a"]) == 4


def test_the_ratio_is_of_neighbours_not_of_medians():
    low, middle, high = timing.ratio([1.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    assert (low, middle, high) == (1.5, 2.0, 2.5)
    assert timing.ratio([1.0, 2.0, 30.0], [10.0, 1.0, 10.0])[1] == 2.0  # of medians: 0.2
    assert timing.quartiles([3.0]) == (3.0, 3.0, 3.0)


def test_a_bar_is_met_up_to_its_limit():
    def met(middle, **options):
        return report.Verdict("bar", "case", (0.0, middle, 9.0), 2.0, **options).met

    assert met(2.0)
    assert not met(2.01)
    assert met(2.0, at_least=True)
    assert not met(1.99, at_least=True)
    assert not met(5.0, at_least=True, broken=True)
    cells = report.Verdict("bar", "case", (1.0, 3.0, 9.0), 2.0).cells()
    assert cells == ["bar", "case", "3.00 (1.00-9.00)", "at most 2", "**missed**"]


SECONDS = {"encoderlib": [1.0], "torch.nn": [4.0], "HF sdpa": [2.0], "x-transformers": [5.0]}


@pytest.mark.parametrize(
    ("section", "names", "expected"),
    [
        ("full", {}, [(0.5, 1.05)]),
        ("bf16", {}, [(0.25, 0.7), (0.5, 0.7), (0.2, 0.7)]),
        ("bf16", {"kind": "forward"}, []),
        ("padding", {}, [(0.5, 0.65)]),
        ("padding", {"kind": "forward"}, [(0.25, 0.75)]),
        ("padding", {"kind": "forward", "precision": "bf16"}, []),
    ],
)
def test_each_section_is_held_against_its_bar(section, names, expected):
    found = list(report.verdicts(section, [row(SECONDS, **names)]))
    assert [(v.measured[1], v.limit) for v in found] == expected


def test_the_fast_settings_are_held_against_the_best_setting_of_all():
    seconds = {"encoderlib": [3.0], "torch.nn, fp32": [10.0], "HF eager, bf16": [4.0]}
    found = list(report.verdicts("fast", [row(seconds)]))
    assert [(v.measured[1], v.limit) for v in found] == [(0.3, 0.32), (0.75, 0.85)]


def test_memory_is_held_against_its_bars_from_2048_to_8192():
    sizes = {512: (7, 7), 2048: (10, 100), 4096: (1, 1), 8192: (20, 200)}
    rows = [
        {"length": n, "bytes": {"encoderlib": ours, "torch.nn": theirs}, "seconds": {}}
        for n, (ours, theirs) in sizes.items()
    ]
    power, share = report.verdicts("memory", rows)
    assert (power.measured[1], power.limit, power.case) == (0.5, 1.1, "T=2048 to 8192")
    assert (share.measured[1], share.limit) == (0.1, 0.1)
    assert next(iter(report.verdicts("memory", rows[:2]))).case == "T=512 to 2048"


def test_decoding_is_held_against_its_bars_and_the_same_tokens():
    seconds = {decoding.OURS: [1.0], decoding.WITHOUT: [5.0], decoding.TORCH: [11.0]}
    rows = [row(seconds, steps=32, same=True), row(seconds, steps=128, same=False)]
    found = list(report.verdicts("decoding", rows))
    assert [(v.measured[1], v.limit, v.met) for v in found] == [(5, 4, True), (11, 12, False)]
    assert "tokens differ" in found[1].cells()[-1]


def test_memory_is_the_highest_sum_above_what_was_there():
    assert memory.peak([5, -5, 3, 4, -7, 6]) == 7
    assert memory.growth((2, 3.0), (8, 48.0)) == pytest.approx(2.0)
    taken = memory.extra_memory(lambda: torch.empty(1000, 1000).add(1).sum(), CPU)
    assert taken == pytest.approx(8_000_000, rel=0.01)  # two of 4 MB at once
    assert math.isclose(memory.extra_memory(lambda: torch.empty(10, 10), CPU), 400, abs_tol=64)


@EACH_PEER
def test_every_peer_does_the_same_work(name):
    installed(name)
    worst, parameters = peers.difference(name)
    assert worst < 1e-5
    assert parameters > 99_000


def test_other_weights_are_noticed(monkeypatch):
    monkeypatch.setattr(peers, "copy_rows", lambda source, targets: None)
    monkeypatch.setattr(sections, "PEERS", {"annotated": peers.Annotated})
    with pytest.raises(ValueError, match=r"annotated differs .* not the same work"):
        list(sections.work(settings.QUICK))


def test_all_ways_to_decode_write_the_same_tokens():
    model = decoding.our_model(d_model=32, heads=4, layers=2, vocabulary=23)
    source = torch.randint(3, 23, (3, 7))
    first, *others = [run() for run in decoding.decoders(model, source, 5).values()]
    assert first.shape == (3, 5)
    assert all(torch.equal(first, other) for other in others)


@pytest.fixture
def small(monkeypatch):
    """The whole program in miniature."""
    sizes = {"tiny": settings.Size(3, 7, 16, 2, 1), "small": settings.Size(3, 11, 16, 2, 1)}
    monkeypatch.setattr(sections, "SIZES", sizes)
    monkeypatch.setattr(encoder, "SIZES", sizes)
    changes = {"lengths": (64, 128), "steps": (3,), "budget": 0.0, "least": 2, "most": 2}
    monkeypatch.setattr(encoder, "QUICK", dataclasses.replace(settings.QUICK, **changes))
    monkeypatch.setattr(
        decoding, "our_model", lambda **_: original(d_model=16, heads=2, layers=1, vocabulary=1000)
    )


original = decoding.our_model


def test_encoder_measures_keeps_and_writes(small, tmp_path, capsys, monkeypatch):
    installed("HF")
    installed("x-")
    written = tmp_path / "docs" / "page.md"
    options = ["--quick", "--keep", str(tmp_path), "--write", str(written)]
    encoder.main(options)
    text = capsys.readouterr().out
    assert written.read_text(encoding="utf-8") == text
    for _, title, _ in encoder.SECTIONS.values():
        assert f"## {title}" in text
    bars = text.split("## The bars")[1].split("## ")[0]
    assert len([line for line in bars.splitlines() if line.startswith("| ")]) > 15
    assert "torch.nn: RuntimeError: expected scalar type" in text  # its bf16 forward, padded

    def nothing(settings):
        raise AssertionError("measured again")
        yield

    kept = {name: (nothing, *rest) for name, (_, *rest) in encoder.SECTIONS.items()}
    monkeypatch.setattr(encoder, "SECTIONS", kept)
    encoder.main(options[:3])
    assert capsys.readouterr().out == text
    with pytest.raises(AssertionError, match="measured again"):
        encoder.main([*options[:3], "--fresh", "--only", "full"])
    path = tmp_path / "encoder-quick.json"
    other = json.loads(path.read_text()) | {"conditions": {"machine": "another"}}
    path.write_text(json.dumps(other))
    with pytest.raises(AssertionError, match="measured again"):
        encoder.main([*options[:3], "--only", "full"])


@pytest.mark.parametrize("program", [encoder, gpu])
def test_help_lists_the_sections(program, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in program.SECTIONS)


def test_threads_must_be_positive(capsys):
    with pytest.raises(SystemExit):
        encoder.main(["--threads", "0"])
    assert "must be at least 1" in capsys.readouterr().err


def test_gpu_program_runs_through_on_a_cpu(tmp_path, capsys):
    installed("HF")
    installed("x-")
    path = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--quick", "--json", str(path)])
    found = json.loads(path.read_text())["sections"]
    assert list(found) == list(gpu.SECTIONS)
    assert all(section["rows"] and section["stopped"] is None for section in found.values())
    text = capsys.readouterr().out
    for name in ("flash", "cuDNN", "varlen_attn", "encoderlib, compiled"):
        assert f"- {name}: skipped: needs a CUDA device" in text


def test_a_section_out_of_time_or_broken_keeps_its_rows(monkeypatch):
    def slow(settings):
        yield row({})
        time.sleep(30)

    def broken(settings):
        yield row({})
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(gpu, "SECTIONS", {"slow": (slow, "S"), "broken": (broken, "B")})
    settings = gpu.settings_for(CPU, quick=True, limit=0.2)
    stopped = gpu.run_section(settings, "slow")
    assert (len(stopped["rows"]), stopped["stopped"]) == (1, "stopped after 0.2 s")
    ended = gpu.run_section(settings, "broken")
    assert (len(ended["rows"]), ended["stopped"]) == (1, "RuntimeError: no such kernel")
    assert "Ended early: RuntimeError" in gpu.page(settings, {"broken": ended})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_program_says_what_to_do_without_a_gpu(capsys):
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--device cpu --quick" in capsys.readouterr().err


def test_each_missed_bar_is_explained_once_and_others_not():
    known = next(iter(reasons.WHY))
    lines = reasons.reasons([known, "unheard of", known])
    assert [line for line in lines if line.startswith("- ")] == [
        f"- *{known}*: {reasons.WHY[known]}"
    ]
    assert reasons.reasons(["unheard of"]) == reasons.reasons([]) == []


def test_the_explained_bars_are_bars_of_the_report():
    source = Path(report.__file__).read_text(encoding="utf-8")
    assert all(f'"{bar}"' in source for bar in reasons.WHY)
