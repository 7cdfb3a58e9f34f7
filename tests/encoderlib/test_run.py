"""encoderlib.training.run: a killed run goes on to the same weights, and joint batches are one."""

import copy
import dataclasses
import logging
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from encoderlib import TrainingConfig, evaluate, fit
from encoderlib.training.batches import LengthBucketSampler
from encoderlib.training.checkpoint import Checkpoints, load_checkpoint
from encoderlib.training.distributed import Ranks
from encoderlib.training.losses import cross_entropy_loss
from encoderlib.training.run import Run

SCRIPT = Path(__file__).with_name("training_script.py")
RUN = runpy.run_path(str(SCRIPT))
train, at_call, CONFIG = RUN["train"], RUN["at_call"], RUN["CONFIG"]
QUIET = {"progress": False}


class Stopped(Exception):
    """Stands for a kill, in one process."""


def stop():
    raise Stopped


def stop_at(number):
    return at_call(number, stop)


def assert_same_run(got, expected):
    (state, history, end), (state_0, history_0, end_0) = got, expected
    assert history == history_0
    assert end == end_0
    assert state.keys() == state_0.keys()
    for name, x in state.items():
        assert torch.equal(x, state_0[name]), name


@pytest.fixture
def exact(unchecked):
    """The signature checks pick what they look at by Python's random numbers: leave them out."""


@pytest.fixture(scope="module")
def whole():
    """The run that nothing disturbs: 8 batches, 4 steps an epoch; stops early."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield train()
    jaxtyping.config.update("jaxtyping_disable", False)


# --- exact resume ---


def test_checkpoints_change_nothing(exact, whole, tmp_path):
    assert_same_run(train(tmp_path), whole)


def test_a_run_killed_in_mid_epoch_goes_on_to_the_same_weights(exact, whole, tmp_path):
    """Call 15 is in the third step of the second epoch: an epoch has 8 + 2 calls, 4 steps."""
    killed = subprocess.run([sys.executable, SCRIPT, "kill", tmp_path, "15"], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    newest = load_checkpoint(Checkpoints(tmp_path).files()[-1])
    assert (newest["epoch"], newest["step"], newest["batch"]) == (1, 6, 4)
    assert_same_run(train(tmp_path), whole)


@pytest.mark.parametrize("number", [1, 2, 6, 8, 9, 10, 11, 14, 17, 20, 25, 33, 39, 40])
def test_a_run_stopped_anywhere_goes_on_to_the_same_weights(number, exact, whole, tmp_path):
    """In training, in validation, before the first checkpoint; and stopped a second time."""
    with pytest.raises(Stopped):
        train(tmp_path, stop_at(number))
    with pytest.raises(Stopped):
        train(tmp_path, stop_at(1))
    assert_same_run(train(tmp_path), whole)


def test_early_stopping_is_part_of_the_runs_above(whole):
    history = whole[1]
    losses = [row["val_loss"] for row in history]
    assert len(history) == losses.index(min(losses)) + 1 + 2 < 6


def test_a_finished_run_is_not_trained_again(exact, whole, tmp_path):
    train(tmp_path)
    calls = []
    state, history, _ = train(tmp_path, lambda: calls.append(1))
    assert_same_run((state, history, 0), (*whole[:2], 0))
    assert calls == []


def test_workers_that_draw_random_numbers_find_them_again(exact, tmp_path):
    whole = train(workers=1)
    with pytest.raises(Stopped):
        train(tmp_path, stop_at(15), workers=1)
    assert_same_run(train(tmp_path, workers=1), whole)


class Counted(Dataset):
    """Notes which samples are loaded."""

    def __init__(self):
        self.loaded = []

    def __len__(self):
        return 12

    def __getitem__(self, index):
        self.loaded.append(index)
        return torch.full((4,), float(index)), index % 3


def test_what_was_done_is_not_loaded_again(tmp_path):
    """6 batches an epoch; stopped in the fourth, after a checkpoint at the third."""
    data, start = Counted(), nn.Linear(4, 3)

    def run(before):
        fit(
            copy.deepcopy(start),
            DataLoader(data, 2, shuffle=True, generator=torch.Generator().manual_seed(1)),
            config=TrainingConfig(epochs=1),
            augment=lambda x: before() or x,
            checkpoint=tmp_path,
            every=3,
            progress=False,
        )

    with pytest.raises(Stopped):
        run(stop_at(4))
    seen = data.loaded[:]
    data.loaded.clear()
    run(stop_at(0))
    assert len(seen) == 8
    assert data.loaded[:2] == seen[6:]
    assert sorted(seen[:6] + data.loaded) == list(range(12))


def test_a_run_on_length_buckets_goes_on_in_the_right_epoch(tmp_path):
    """A sampler that was just made knows nothing of the epochs before."""
    data = TensorDataset(torch.randn(12, 4), torch.arange(12) % 3)
    start = nn.Linear(4, 3)

    def run(before=lambda: None, folder=None):
        model = copy.deepcopy(start)
        sampler = LengthBucketSampler(range(12), batch_size=2, buckets=2)
        config = TrainingConfig(epochs=3, lr=0.1)
        loader = DataLoader(data, batch_sampler=sampler)
        options = {"checkpoint": folder, "progress": False}
        fit(model, loader, config=config, augment=lambda x: before() or x, **options)
        return model.weight

    with pytest.raises(Stopped):
        run(stop_at(9), tmp_path)
    assert torch.equal(run(folder=tmp_path), run())


def test_ctrl_c_leaves_a_checkpoint_at_the_end_of_the_step(exact, whole, tmp_path):
    def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, at_call(3, interrupt), every=None)  # in the second step
    assert signal.getsignal(signal.SIGINT) is handler
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002.pt"]
    assert_same_run(train(tmp_path), whole)


def test_ctrl_c_without_checkpoints_stops_at_once():
    calls = []

    def interrupt(x):
        calls.append(x)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("went on")

    with pytest.raises(KeyboardInterrupt):
        fit(nn.Linear(4, 3), batches(), augment=interrupt, progress=False)
    assert len(calls) == 1


def test_the_best_epoch_is_kept_too(tmp_path):
    *_, history, _ = train(tmp_path)
    losses = [row["val_loss"] for row in history]
    best = load_checkpoint(tmp_path / "best.pt")
    assert best["epoch"] == losses.index(min(losses)) + 1
    assert best["stopping"]["best"] == min(losses)
    assert len(Checkpoints(tmp_path).files()) == 2


def test_a_damaged_checkpoint_is_passed_over(exact, whole, tmp_path):
    with pytest.raises(Stopped):
        train(tmp_path, stop_at(18))
    older, newest = Checkpoints(tmp_path).files()
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=newest.name):
        got = train(tmp_path)
    assert older.exists() is False  # two newer ones came since
    assert_same_run(got, whole)


OTHER = [
    ({"lr": 0.5}, "lr was 0.02, is 0.5"),
    ({"epochs": 7}, "epochs was 6, is 7"),
    ({"ema": None}, "ema was 0.8, is None"),
    ({"schedule": "noam", "warmup": 0.5}, "warmup was 0.1, is 0.5; schedule was cosine, is noam"),
]


@pytest.mark.parametrize(("changes", "message"), OTHER)
def test_a_checkpoint_of_other_choices_is_refused_with_the_choice(changes, message, tmp_path):
    with pytest.raises(Stopped):
        train(tmp_path, stop_at(11))
    config = dataclasses.replace(CONFIG, **changes)
    with pytest.raises(ValueError, match=f"step-00000004.pt is of another run: {message}; go on"):
        train(tmp_path, config=config)


def test_a_checkpoint_of_another_model_or_data_set_is_refused(tmp_path):
    options = {"config": TrainingConfig(epochs=1), "checkpoint": tmp_path, "progress": False}
    fit(nn.Linear(4, 3), batches(), **options)
    with pytest.raises(ValueError, match=r"shape of weight was \[3, 4\], is \[5, 4\]"):
        fit(nn.Linear(4, 5), batches(), **options)
    with pytest.raises(ValueError, match="batches was 3, is 2"):
        fit(nn.Linear(4, 3), batches()[:2], **options)
    with pytest.raises(ValueError, match="shape of bias was nothing"):
        fit(nn.Linear(4, 3), batches(), **options | {"checkpoint": without_bias(tmp_path)})


def without_bias(folder):
    options = {"config": TrainingConfig(epochs=1), "progress": False}
    fit(nn.Linear(4, 3, bias=False), batches(), checkpoint=folder / "other", **options)
    return Checkpoints(folder / "other", keep=3)


def test_going_on_is_logged(tmp_path, caplog):
    options = {"config": TrainingConfig(epochs=1), "checkpoint": tmp_path, "progress": False}
    with caplog.at_level(logging.INFO, "encoderlib"):
        fit(nn.Linear(4, 3), batches(), **options)
        assert caplog.messages == []
        fit(nn.Linear(4, 3), batches(), **options)
    assert caplog.messages == [f"going on from {tmp_path / 'step-00000003.pt'}"]


# --- joint batches ---


def batches(sizes=(5, 5, 2), width=4, classes=3):
    return [(torch.randn(n, width), torch.randint(classes, (n,))) for n in sizes]


def joined(data, number):
    """Each ``number`` batches as one; the last one may be of fewer."""
    groups = [data[i : i + number] for i in range(0, len(data), number)]
    return [tuple(torch.cat(parts) for parts in zip(*group, strict=True)) for group in groups]


@pytest.mark.parametrize("accumulate", [2, 3, 5, 9])
def test_accumulated_batches_are_one_large_batch(accumulate):
    """Of different sizes, with a short last group, and with more than there are."""
    data = batches((5, 2, 7, 1, 3, 4, 6))
    config = TrainingConfig(epochs=3, lr=0.05, ema=0.5, clip_norm=0.1, label_smoothing=0.1)
    model, expected = nn.Linear(4, 3), nn.Linear(4, 3)
    model.load_state_dict(expected.state_dict())
    rows = fit(expected, joined(data, accumulate), config=config, progress=False)
    config = dataclasses.replace(config, accumulate=accumulate)
    got = fit(model, data, config=config, progress=False)
    torch.testing.assert_close(model.weight, expected.weight, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.bias, expected.bias, rtol=1e-5, atol=1e-6)
    for row, row_0 in zip(got, rows, strict=True):
        for name in row.keys() - {"seconds"}:
            assert row[name] == pytest.approx(row_0[name], rel=1e-5), name


def test_accumulated_gradients_are_weighed_by_labels_and_not_by_samples():
    """Tokens: 1 of 6 labels counts in one batch, all of 4 in the other, none in a third."""
    labels = [torch.full((2, 3), -100), torch.tensor([[0, 1], [2, 0]]), torch.full((1, 5), -100)]
    labels[0][1, 1] = 2
    data = [(torch.randn(*y.shape, 4), y) for y in labels]
    model = nn.Linear(4, 3)
    run = Run(model, data, TrainingConfig(clip_norm=None), Ranks())
    logits = torch.cat([model(x).flatten(0, 1) for x, _ in data])
    expected = F.cross_entropy(logits, torch.cat([y.flatten() for y in labels]))
    gradient = torch.autograd.grad(expected, model.weight)[0]
    assert run.update(data, cross_entropy_loss) == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(model.weight.grad, gradient, rtol=0, atol=1e-6)
    assert run.sums["count"] == 5
    assert run.samples == 5


def test_a_batch_without_a_label_that_counts_leaves_no_nan():
    data = [(torch.randn(2, 3, 4), torch.full((2, 3), -100))]
    model = nn.Linear(4, 3)
    (row,) = fit(model, data, config=TrainingConfig(epochs=1), progress=False)
    assert row["train_loss"] == 0
    assert model.weight.isfinite().all()


def test_more_ranks_than_batches_is_an_error():
    with pytest.raises(ValueError, match="1 batches for 2 processes"):
        Run(nn.Linear(4, 3), batches((5,)), TrainingConfig(), Ranks(0, 2))


# --- precision ---


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("fast", torch.bfloat16)]
)
def test_fast_precision_is_for_forward_and_validation_and_not_for_weights(
    precision, dtype, monkeypatch
):
    monkeypatch.setattr("encoderlib.runtime.has_fast_bfloat16", lambda device: True)
    seen, model, data = [], nn.Linear(4, 3), batches()
    model.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    config = TrainingConfig(epochs=1, lr=0.05, precision=precision)
    (row,) = fit(model, data, data, config, progress=False)
    assert seen == [dtype] * 6
    assert model.weight.dtype == torch.float32
    assert model.weight.grad.dtype == torch.float32
    assert 0 < row["val_loss"] < 3


# --- what a rank above 0 does, without the others ---


def test_other_ranks_draw_other_random_numbers():
    torch.manual_seed(5)
    Run(nn.Linear(4, 3), batches(), TrainingConfig(), Ranks())
    assert torch.initial_seed() == 5
    Run(nn.Linear(4, 3), batches(), TrainingConfig(), Ranks(2, 1))
    assert torch.initial_seed() == 7


def test_a_batch_that_is_not_there_changes_nothing():
    model, data = nn.Linear(4, 3), batches((5, 2))
    config = TrainingConfig(clip_norm=None)
    joint = Run(copy.deepcopy(model), data, config, Ranks())
    run = Run(model, data, config, Ranks())
    expected = joint.update(data, cross_entropy_loss)
    assert run.update([data[0], None, data[1]], cross_entropy_loss) == expected
    assert torch.equal(model.weight.grad, joint.model.weight.grad)
    assert (run.batch, run.sums) == (3, joint.sums)
    assert evaluate(model, [None, *data, None]) == evaluate(model, data)


def test_other_ranks_write_no_checkpoint(tmp_path):
    Run(nn.Linear(4, 3), batches(), TrainingConfig(), Ranks(1, 1)).save(Checkpoints(tmp_path))
    assert list(tmp_path.iterdir()) == []
