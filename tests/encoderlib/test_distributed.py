"""encoderlib.training.distributed: two ranks do what one process does on the joint batches."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from encoderlib import fit
from encoderlib.training.distributed import Ranks, join_ranks

SCRIPT = Path(__file__).with_name("training_script.py")
RUN = runpy.run_path(str(SCRIPT))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The answers of this process as rank 0, and of another one as rank 1."""
    folder = tmp_path_factory.mktemp("pair")
    names = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    other = subprocess.Popen(
        [sys.executable, SCRIPT, "together", folder], env={**os.environ, **names, "RANK": "1"}
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**names, "RANK": "0"}.items():
            patch.setenv(name, value)
        try:
            mine = RUN["together"](str(folder))
            assert other.wait(timeout=60) == 0
        finally:
            other.kill()
            other.wait()
            dist.destroy_process_group()
    return mine, torch.load(folder / "answers.pt")


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The same, alone, with the batches of both ranks in each step."""
    return RUN["together"](str(tmp_path_factory.mktemp("single")))


def assert_close(state, expected):
    assert state.keys() == expected.keys()
    for name, x in expected.items():
        torch.testing.assert_close(state[name], x, rtol=1e-6, atol=1e-6)


def test_the_ranks_know_each_other(pair, single):
    assert [answers["rank"] for answers in pair] == [(0, 2, "cpu"), (1, 2, "cpu")]
    assert single["rank"] == (0, 1, "cpu")


def test_what_one_rank_says_all_hear(pair, single):
    for answers in pair:
        assert answers["broadcast"] == {"a": 0}
        assert answers["gather"] == [10, 11]
        assert answers["sum"] == {"a": 3, "b": 5}
    assert (single["broadcast"], single["gather"], single["sum"]) == ({"a": 0}, [10], {"a": 1})


def test_all_ranks_start_from_the_weights_of_rank_0(pair, single):
    for answers in pair:
        assert_close(answers["weights"], single["weights"])


def test_the_gradients_are_those_of_one_process_on_the_joint_batch(pair, single):
    """With 5 samples here and 2 there; a mean of the two means would be wrong."""
    model = nn.ModuleDict({"both": nn.Linear(4, 3), "second": nn.Linear(4, 4)})
    model["nobody"] = nn.Linear(4, 2)
    model.load_state_dict(single["weights"])
    (x, labels, _), (x_1, labels_1, _) = RUN["joint_batches"]()
    logits = torch.cat([model["both"](x), model["both"](model["second"](x_1))])
    loss = nn.functional.cross_entropy(logits, torch.cat([labels, labels_1]))
    loss.backward()
    for answers in (*pair, single):
        assert answers["loss"] == pytest.approx(loss.item(), rel=1e-6)
        for name, p in model.named_parameters():
            if p.grad is None:
                assert answers["gradients"][name] is None, name
            else:
                torch.testing.assert_close(answers["gradients"][name], p.grad, rtol=0, atol=1e-6)
    assert [name for name, g in pair[0]["gradients"].items() if g is None] == [
        "nobody.weight",
        "nobody.bias",
    ]


def test_a_rank_without_a_batch_takes_part(pair):
    """Both have the gradient of rank 0's batch."""
    assert pair[0]["none"] == pair[1]["none"]
    assert torch.equal(pair[0]["none_gradient"], pair[1]["none_gradient"])
    assert pair[0]["none_gradient"].abs().max() > 0


@pytest.mark.parametrize("kind", ["loader", "list"])
def test_two_ranks_train_to_the_weights_of_one_process(kind, pair, single):
    expected, history_0, *_ = single[kind]
    assert len(history_0) == 3
    for state, history, *_ in (answers[kind] for answers in pair):
        assert_close(state, expected)
        assert all(torch.equal(x, pair[0][kind][0][name]) for name, x in state.items())
        for row, row_0 in zip(history, history_0, strict=True):
            assert row.keys() == row_0.keys()
            for name in row.keys() - {"seconds"}:
                assert row[name] == pytest.approx(row_0[name], rel=1e-5), name


@pytest.mark.parametrize("kind", ["loader", "list"])
def test_no_sample_is_lost_and_none_comes_twice(kind, pair, single):
    """Of 7 training batches rank 0 has 4 and rank 1 has 3, of 3 validation batches 2 and 1."""
    expected = single[kind][2]
    assert len(expected) == 3 * (7 + 3)
    calls = [answers[kind][2] for answers in pair]
    assert [len(part) for part in calls] == [3 * (4 + 2), 3 * (3 + 1)]
    for epoch in range(3):
        mine, other = (
            part[epoch * len(part) // 3 : (epoch + 1) * len(part) // 3] for part in calls
        )
        joint = [*mine[:4], *other[:3]]
        assert sorted(index for batch in joint for index in batch) == list(range(31))
        assert mine[4:] + other[3:] == [[0, 1, 2, 3], [8, 9, 10, 11], [4, 5, 6, 7]]
        in_order = [None] * 7
        in_order[::2], in_order[1::2] = mine[:4], other[:3]
        assert in_order == expected[epoch * 10 : epoch * 10 + 7]


@pytest.mark.parametrize("kind", ["loader", "list"])
def test_only_rank_0_logs_and_writes(kind, pair, single):
    assert pair[0][kind][3] == single[kind][3] == {"step": 12, "epoch": 3, "close": 1}
    assert pair[1][kind][3] == {"step": 0, "epoch": 0, "close": 0}
    assert pair[0][kind][4] == single[kind][4]


def test_an_interrupt_of_one_rank_leaves_a_checkpoint_and_stops_all(pair, single):
    """At the third step; with one process too, where an epoch has 6 and not 3 steps."""
    for answers in (*pair, single):
        assert answers["interrupted"] == ["step-00000003.pt"]


def test_the_ranks_go_on_to_the_same_weights_with_their_own_dropout(pair, single):
    for answers in (*pair, single):
        (state, end), (expected, end_0) = answers["stopped"], answers["whole"]
        assert end == end_0
        assert all(torch.equal(x, expected[name]) for name, x in state.items())
    (state, end), (state_1, end_1) = (answers["whole"] for answers in pair)
    assert all(torch.equal(x, state_1[name]) for name, x in state.items())
    assert end != end_1


# --- torchrun ---


def torchrun(*arguments, timeout):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.run(
        [*command, SCRIPT, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=timeout,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_same_script_runs_under_torchrun(tmp_path):
    result = torchrun("twice", tmp_path, timeout=120)
    assert result.returncode == 0, result.stderr
    # Two fits, and one bar for each, not two. The end of a bar may be drawn twice, its start not.
    assert result.stderr.count("training:   0%") == 2
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    data = [batch[:2] for batch in RUN["joint_batches"]()]
    joint = [tuple(torch.cat(parts) for parts in zip(*data, strict=True))]
    fit(model, joint, config=RUN["encoderlib"].TrainingConfig(epochs=2, lr=0.1), progress=False)
    for rank in range(2):
        state, epochs = torch.load(tmp_path / f"rank{rank}.pt")
        assert epochs == 2
        assert_close(state, model.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "message"), [("raises", "rank 1 has a problem"), ("hangs", "imed out")]
)
def test_a_rank_that_fails_does_not_leave_the_others_waiting(how, message):
    result = torchrun("broken", how, timeout=120)
    assert result.returncode != 0
    assert message in result.stderr


# --- alone ---


def test_one_rank_alone_gets_back_what_it_gives():
    ranks, model = Ranks(), nn.Linear(2, 2)
    assert (ranks.rank, ranks.size, ranks.device) == (0, 1, torch.device("cpu"))
    thing = object()
    assert ranks.broadcast(thing) is thing
    assert ranks.gather(thing) == [thing]
    assert ranks.sum({"a": 1.5}) == {"a": 1.5}
    ranks.sum_gradients(model)
    ranks.copy_weights(model)
    assert model.weight.grad is None


def test_without_torchrun_nothing_is_connected(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert join_ranks("cpu").size == 1
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_ranks().size == 1
    assert not dist.is_initialized()


def test_a_group_that_is_there_is_used_and_left_open():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        ranks = join_ranks()
        assert (ranks.rank, ranks.size) == (0, 1)
        assert dist.is_initialized()
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize(
    ("device", "local", "chosen"),
    [
        ("cuda", "1", "cuda:1"),
        ("cuda:0", "1", "cuda:0"),
        ("cuda", None, "cuda"),
        ("cpu", "1", "cpu"),
    ],
)
def test_each_rank_has_its_own_cuda_device(device, local, chosen, monkeypatch):
    """The effects are replaced: no CUDA device is needed for the choice."""
    set_to, started = [], []
    monkeypatch.setattr(torch.cuda, "set_device", set_to.append)
    monkeypatch.setattr(dist, "init_process_group", lambda *args, **kw: started.append((args, kw)))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if local is not None:
        monkeypatch.setenv("LOCAL_RANK", local)
    monkeypatch.setattr(dist, "is_initialized", lambda: len(started) > 0)
    monkeypatch.setattr(dist, "get_rank", lambda: 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    ranks = join_ranks(device, timeout=7)
    assert (ranks.rank, ranks.size, ranks.device) == (1, 2, torch.device(chosen))
    assert set_to == ([torch.device(chosen)] if chosen == "cuda:1" else [])
    ((backend,), options) = started[0]
    assert backend == ("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl")
    assert options["timeout"].total_seconds() == 7
