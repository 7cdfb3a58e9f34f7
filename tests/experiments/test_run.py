"""The runner: resumes after a kill, repeats nothing, says what is missing or stale."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from encoderlib import TrainingConfig
from experiments import artefact, run
from experiments.fingerprint import ROOT

sys.path.insert(0, str(Path(__file__).parent))

import standins
import tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    standins.write_all(folder)
    return folder


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODERLIB_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def start(folder, pause):
    """The runner as a process of its own."""
    command = [sys.executable, Path(tiny.__file__), folder, str(pause)]
    return subprocess.Popen(command, cwd=ROOT, env=run.os.environ | {"PYTHONPATH": str(ROOT)})


def seeds(folder):
    content = json.loads((folder / "book/experiments/tiny.json").read_text(encoding="utf-8"))
    return [{k: v for k, v in row.items() if "seconds" not in k} for row in content["seeds"]]


def weights(folder):
    found = sorted(folder.glob("work/tiny/*/seed-*/checkpoints/best.pt"))
    return [torch.load(path, weights_only=True)["average"]["module"] for path in found]


def test_a_killed_run_ends_with_the_same_weights(tmp_path):
    assert start(tmp_path / "whole", 0.0).wait() == 0

    broken = tmp_path / "broken"
    process = start(broken, 0.2)
    deadline = time.monotonic() + 300
    while not list(broken.glob("work/tiny/*/seed-0/checkpoints/step-0000001?.pt")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (broken / "book/experiments/tiny.json").exists()
    assert not list(broken.glob("work/tiny/*/seed-0/result.json"))

    assert start(broken, 0.0).wait() == 0
    assert seeds(broken) == seeds(tmp_path / "whole")
    ours, theirs = weights(broken), weights(tmp_path / "whole")
    assert len(ours) == len(theirs) == 2
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Run the tiny experiment in this process, in a folder of its own."""
    monkeypatch.setattr(tiny, "__name__", "experiments.snips")

    def go(chosen=None):
        options = {"work": tmp_path / "work", "root": tmp_path, "progress": False}
        return run.run("tiny", chosen, module=tiny, **options)

    return go


def test_what_is_finished_is_not_repeated_and_the_test_part_is_read_once(runs, monkeypatch, capsys):
    looked = []
    original = tiny.test
    monkeypatch.setattr(tiny, "test", lambda *a: looked.append(1) or original(*a))
    assert not runs([0])
    assert "seeds [1] are missing" in capsys.readouterr().out
    assert len(looked) == 1
    assert runs()
    assert len(looked) == 2
    assert runs()
    assert "nothing to do" in capsys.readouterr().out
    assert len(looked) == 2


def test_the_artefact_holds_what_the_pages_show(runs, tmp_path):
    runs()
    content = artefact.read("tiny", tmp_path)
    assert content["command"] == "python -m experiments tiny"
    assert content["config"]["training"]["epochs"] == 4
    assert [row["seed"] for row in content["seeds"]] == [0, 1]
    values = [row["test"]["accuracy"] for row in content["seeds"]]
    assert content["summary"]["test"]["accuracy"]["mean"] == pytest.approx(sum(values) / 2)
    assert content["summary"]["test"]["accuracy"]["max"] == max(values)
    assert len(content["curve"]) == 8
    assert all(row["cpu_seconds"] > 0 for row in content["seeds"])
    text = json.dumps(content)
    assert str(tmp_path) not in text
    assert run.os.uname().nodename not in text


def test_a_long_curve_is_thinned_and_keeps_its_end():
    rows = [{"seed": s, "history": [{"epoch": e} for e in range(1001)]} for s in range(3)]
    points = run.curve(rows)
    assert len(points) <= run.CURVE + 6
    assert [p for p in points if p["seed"] == 2][-1] == {"seed": 2, "epoch": 1000}


@pytest.mark.parametrize("name", artefact.EXPERIMENTS)
def test_missing_data_say_where_they_were_looked_for(name, no_data, capsys, monkeypatch):
    monkeypatch.setattr(artefact, "path", lambda name, root=None: no_data / f"{name}.json")
    assert run.main([name, "--quiet"]) == 1
    said = capsys.readouterr().err
    assert str(no_data / "nothing") in said
    assert str(no_data / "cache") in said
    assert "--download" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", artefact.EXPERIMENTS)
def test_every_experiment_runs_on_files_in_the_official_format(name, data, monkeypatch, capsys):
    monkeypatch.setenv("ENCODERLIB_DATA", str(data))
    before = set(ROOT.glob("book/experiments/*.json"))
    assert run.main([name, "--smoke", "--quiet"]) == 0
    assert capsys.readouterr().out == f"{name}: runs\n"
    assert set(ROOT.glob("book/experiments/*.json")) == before


def test_ag_news_makes_do_without_the_file_of_the_sample(tmp_path, monkeypatch):
    standins.write_ag_news(tmp_path / "ag_news_csv")
    (tmp_path / "ag_news_csv/train_20k.csv").rename(tmp_path / "ag_news_csv/train.csv")
    monkeypatch.setenv("ENCODERLIB_DATA", str(tmp_path))
    data = artefact.of("ag-news").read(verify=False)
    assert data.train.labels.bincount().tolist() == [10, 10, 10, 10]
    for text, label in zip(data.train.texts, data.train.labels.tolist(), strict=True):
        assert set(text.split()) <= set(standins.WORDS[label].split())


def test_an_attempt_is_noted_and_does_not_read_the_test_part(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ENCODERLIB_DATA", str(data))
    module = artefact.of("ag-news")
    load = module.load
    monkeypatch.setattr(module, "load", lambda config, verify=True: load(config, verify=False))
    monkeypatch.setattr(module, "CONFIG", module.SMOKE)
    monkeypatch.setattr(module, "test", lambda *a: pytest.fail("the test part was read"))
    monkeypatch.setattr(run, "WORK", tmp_path / "work")
    monkeypatch.setattr(artefact, "path", lambda name, root=None: tmp_path / f"{name}.json")
    for rate in ("1e-3", "2e-3", "1e-3"):
        assert run.main(["ag-news", "--validate", "--quiet", "--set", f"training.lr={rate}"]) == 0
    log = json.loads((tmp_path / "ag-news-search.json").read_text(encoding="utf-8"))
    assert [entry["config"]["training"]["lr"] for entry in log] == [2e-3, 1e-3]
    assert all("accuracy" in entry["validation"] for entry in log)
    assert "test" not in log[0]


def test_a_configuration_is_changed_field_by_field():
    config = run.changed(tiny.CONFIG, {"width": 3, "training.lr": 0.5})
    assert config == tiny.Config(width=3, training=TrainingConfig(epochs=4, lr=0.5, ema=0.9))
    with pytest.raises(ValueError, match="no field 'size'; there are width, training"):
        run.changed(tiny.CONFIG, {"size": 3})


def test_check_turns_red(tmp_path, monkeypatch, capsys):
    """Not there, fresh, other code, other configuration, seed missing."""
    module = artefact.of("snips")
    now = artefact.fingerprint(module.__name__, module.CONFIG, (*artefact.SCORES, *artefact.FLOOR))
    good = {
        "config": artefact.plain(module.CONFIG),
        "fingerprint": now,
        "seeds": [{"seed": seed} for seed in module.SEEDS],
    }
    monkeypatch.setattr(artefact, "path", lambda name, root=None: tmp_path / f"{name}.json")
    assert run.main(["snips", "--check"]) == 1
    assert "is not there" in capsys.readouterr().out
    for content, status, word in (
        (good, 0, "up to date"),
        (good | {"fingerprint": "0" * 64}, 1, "code"),
        (good | {"config": good["config"] | {"batch_size": 1}}, 1, "configuration"),
        (good | {"seeds": good["seeds"][:1]}, 1, "missing"),
    ):
        artefact.write(tmp_path / "snips.json", content)
        assert run.main(["snips", "--check"]) == status
        assert word in capsys.readouterr().out


def test_the_committed_artefacts_are_up_to_date():
    """What the experiment pages show was computed with this code: run what is stale again."""
    assert artefact.check() == []


def test_help_and_mistakes(capsys):
    with pytest.raises(SystemExit, match="0"):
        run.main(["--help"])
    assert "--validate" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        run.main(["cifar"])
    assert "choose from ag-news" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run.main(["snips", "--set", "batch_size=1"])
    assert "--validate" in capsys.readouterr().err
