"""encoderlib.training.checkpoint: whole or refused, and random numbers that go on."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

from encoderlib import TrainingConfig
from encoderlib.training.checkpoint import (
    Checkpoints,
    Interrupt,
    differences,
    fingerprint,
    load_checkpoint,
    random_state,
    set_random_state,
    write_atomically,
)

STATE = {"a": torch.arange(300.0), "b": [1, 2.5, None, "text"], "c": {"d": (True, 3)}}


def same(state):
    return torch.equal(state["a"], STATE["a"]) and (state["b"], state["c"]) == (
        STATE["b"],
        STATE["c"],
    )


# --- files ---


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))
    with pytest.raises(RuntimeError), open(path, "rb") as before:  # noqa: PT012

        def fail(file):
            file.write(b"ne")
            file.flush()
            assert path.read_bytes() == b"old"
            raise RuntimeError

        write_atomically(path, fail)
    assert before.closed
    assert path.read_bytes() == b"old"
    write_atomically(str(path), lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_what_is_written_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    events = []
    replace, fsync = os.replace, os.fsync
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append("name"), replace(*paths)))
    monkeypatch.setattr(os, "fsync", lambda file: (events.append("disk"), fsync(file)))
    write_atomically(tmp_path / "file", lambda file: file.write(b"text"))
    assert events == ["disk", "name", "disk"]


def test_where_folders_cannot_be_opened_the_file_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "file", lambda file: file.write(b"text"))
    assert (tmp_path / "file").read_bytes() == b"text"


def test_a_process_killed_while_it_writes_leaves_the_older_checkpoint(tmp_path):
    """The kill comes when half of the second file is on the disk."""
    code = f"""
import os, signal, torch
from encoderlib.training import checkpoint
state = {{"a": torch.arange(300.0)}}
folder = checkpoint.Checkpoints({str(tmp_path)!r})
folder.save(state, 1)
def save(state, file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = save
folder.save(state, 2)
"""
    killed = subprocess.run([sys.executable, "-c", code], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    folder = Checkpoints(tmp_path)
    assert [path.name for path in folder.files()] == ["step-00000001.pt"]
    assert sorted(os.listdir(tmp_path)) == ["step-00000001.pt", "step-00000002.pt.tmp"]
    assert torch.equal(folder.load()[1]["a"], STATE["a"])
    folder.save(STATE, 3)
    assert sorted(os.listdir(tmp_path)) == ["step-00000001.pt", "step-00000003.pt"]


# --- damaged files ---


def test_plain_data_comes_back(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(STATE, path)
    assert same(load_checkpoint(path))
    assert same(load_checkpoint(str(path)))


def test_every_single_damaged_byte_is_seen_or_does_no_harm(tmp_path):
    """torch.load alone takes a file with a changed weight."""
    path = tmp_path / "x.pt"
    torch.save(STATE, path)
    whole = path.read_bytes()
    place = whole.index(STATE["a"].numpy().tobytes())
    refused = []
    for i in range(0, len(whole), 11):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        try:
            assert same(load_checkpoint(path)), i
        except ValueError as error:
            refused.append(i)
            message = str(error)
            assert message.startswith(f"{path} is no whole checkpoint")
    assert set(range(0, len(whole), 11)) & set(range(place, place + 1200)) <= set(refused)
    assert len(refused) < len(range(0, len(whole), 11))  # padding does no harm


@pytest.mark.parametrize("length", [0, 1, 100, -1, -300])
def test_a_file_that_is_cut_short_is_refused(length, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"x\.pt is no whole checkpoint \(.*\); delete it"):
        load_checkpoint(path)


class Evil:
    def __reduce__(self):
        return os.system, ("echo evil",)


def test_code_in_a_file_is_not_run(tmp_path, capfd):
    path = tmp_path / "x.pt"
    torch.save({"a": Evil()}, path)
    with pytest.raises(ValueError, match="is no whole checkpoint \\(UnpicklingError"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="is no whole checkpoint \\(BadZipFile"):
        load_checkpoint(path)
    assert "evil" not in capfd.readouterr().out


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "x.pt")


# --- the folder ---


def test_the_newest_and_the_best_are_kept(tmp_path):
    folder = Checkpoints(tmp_path / "new" / "folder", keep=3)
    assert folder.load() is None
    paths = [folder.save({"step": step}, step, best=step == 8) for step in (4, 8, 12, 100, 1000)]
    assert folder.files() == paths[2:]
    assert folder.load() == (paths[-1], {"step": 1000})
    assert load_checkpoint(folder.folder / "best.pt") == {"step": 8}
    assert len(os.listdir(folder.folder)) == 4
    folder.save({"step": 2000}, 2000, best=True)
    assert load_checkpoint(folder.folder / "best.pt") == {"step": 2000}


def test_two_are_kept_unless_told_otherwise(tmp_path):
    folder = Checkpoints(str(tmp_path))
    for step in range(4):
        folder.save({}, step)
    assert len(folder.files()) == 2
    only = Checkpoints(tmp_path, keep=1)
    only.save({}, 9)
    assert [path.name for path in only.files()] == ["step-00000009.pt"]


def test_keeping_none_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="keep=0 must be at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_damaged_files_are_passed_over_with_a_warning_each(tmp_path):
    folder = Checkpoints(tmp_path, keep=3)
    paths = [folder.save({"step": step}, step) for step in (1, 2, 3)]
    for path in paths[1:]:
        path.write_bytes(b"not a checkpoint")
    with pytest.warns(UserWarning, match="no whole checkpoint.*trying the one before") as record:
        assert folder.load() == (paths[0], {"step": 1})
    assert [paths[2].name in str(record[0].message), paths[1].name in str(record[1].message)] == [
        True,
        True,
    ]


def test_if_all_are_damaged_the_run_does_not_start_anew(tmp_path):
    folder = Checkpoints(tmp_path)
    for step in (1, 2):
        folder.save({}, step).write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is no"),
        pytest.raises(ValueError, match=r"step-00000002\.pt is no"),
    ):
        folder.load()


# --- what must be the same ---


def test_a_fingerprint_holds_choices_shapes_and_more():
    model = nn.Linear(2, 3)
    print_ = fingerprint(TrainingConfig(lr=0.5), model, batches=7)
    assert print_["lr"] == 0.5
    assert print_["patience"] is None
    assert print_["batches"] == 7
    assert print_["shape of weight"] == [3, 2]
    assert len(print_) == len(vars(TrainingConfig())) + 1 + 2
    assert differences(print_, dict(print_)) == []


def test_differences_name_each_field():
    saved, now = {"a": 1, "b": 2, "c": [3]}, {"a": 1, "b": 4, "d": None}
    assert differences(saved, now) == [
        "b was 2, is 4",
        "c was [3], is nothing",
        "d was nothing, is None",
    ]


# --- random numbers ---


def draw(*generators):
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()]
    return numbers + [torch.rand((), generator=g).item() for g in (None, *generators)]


def test_random_numbers_go_on_where_they_were(tmp_path, unchecked):
    """After an odd number of normal draws, of which Python and NumPy keep one for later."""
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    draw(*generators)
    torch.save(random_state("cpu", generators), tmp_path / "x.pt")
    expected = [draw(*generators) for _ in range(3)]
    assert draw(*generators) not in expected
    set_random_state(load_checkpoint(tmp_path / "x.pt"), "cpu", generators)
    assert [draw(*generators) for _ in range(3)] == expected


def test_another_number_of_generators_is_an_error():
    with pytest.raises(ValueError, match="1 generators were saved, got 2; give the same ones"):
        set_random_state(random_state("cpu", [torch.Generator()]), "cpu", [torch.Generator()] * 2)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_the_random_numbers_of_the_device_are_held_too(kind, monkeypatch):
    """The device's two functions are replaced: no such device is needed."""
    module, told = getattr(torch, kind), []
    monkeypatch.setattr(module, "get_rng_state", lambda: torch.tensor([7]))
    monkeypatch.setattr(module, "set_rng_state", told.append)
    state = random_state(kind)
    set_random_state(state, kind)
    assert [x.tolist() for x in told] == [[7]]
    set_random_state(state, "cpu")
    set_random_state(random_state("cpu"), kind)  # a run that moves to another device
    assert len(told) == 1


# --- Ctrl-C ---


def test_ctrl_c_waits_for_the_end_of_the_block():
    steps, handler = [], signal.getsignal(signal.SIGINT)

    def block():
        with Interrupt() as interrupt:
            assert not interrupt.asked
            os.kill(os.getpid(), signal.SIGINT)
            steps.append(interrupt.asked)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert steps == [True]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_second_ctrl_c_does_not_wait():
    steps = []

    def block():
        with Interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append(1)
            os.kill(os.getpid(), signal.SIGINT)
            steps.append(2)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert steps == [1]


def test_another_error_is_not_hidden_by_ctrl_c():
    def block():
        with Interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()


def test_in_another_thread_or_if_not_active_nothing_is_changed():
    handler, seen = signal.getsignal(signal.SIGINT), []

    def block(active):
        with Interrupt(active):
            seen.append(signal.getsignal(signal.SIGINT) is handler)

    thread = threading.Thread(target=block, args=(True,))
    thread.start()
    thread.join()
    block(False)
    assert seen == [True, True]
