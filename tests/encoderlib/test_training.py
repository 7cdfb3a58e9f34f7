"""encoderlib.training: the loop against one written by hand, schedules, averages, stopping."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from encoderlib import (
    EarlyStopping,
    EncoderConfig,
    TextClassifier,
    TrainingConfig,
    evaluate,
    fit,
    seed_everything,
)
from encoderlib.training import parameter_groups, warmup_cosine
from encoderlib.training.checkpoint import Checkpoints

QUIET = {"progress": False}


def batches(sizes=(5, 5, 2), width=4, classes=3):
    """Batches of random inputs and labels; the last one is small."""
    return [(torch.randn(n, width), torch.randint(classes, (n,))) for n in sizes]


def same_state(a, b):
    return all(torch.equal(x, b[name]) for name, x in a.items()) and set(a) == set(b)


class Recorder(list):
    """Batches that note a model's weights whenever a pass over them starts."""

    def __init__(self, items, model):
        super().__init__(items)
        self.model, self.states = model, []

    def __iter__(self):
        self.states.append(copy.deepcopy(self.model.state_dict()))
        return super().__iter__()


# --- evaluate ---


def test_evaluation_is_over_samples_and_not_over_batches():
    """Erratum E004-29: the last batch's loss, or a mean of means, for the data set's."""
    model, data = nn.Linear(4, 3), batches((64, 64, 1))
    inputs, labels = (torch.cat(parts) for parts in zip(*data, strict=True))
    logits = model(inputs)
    expected = {
        "loss": F.cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(-1) == labels).float().mean().item(),
    }
    assert evaluate(model, data) == pytest.approx(expected, rel=1e-5)
    assert evaluate(model, [(inputs, labels)]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_turns_dropout_off_and_puts_the_mode_back(training):
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)).train(training)
    data = batches()
    assert evaluate(model, data) == evaluate(model, data) == evaluate(model[1], data)
    assert model.training is training
    assert model[0].training is training


def test_evaluation_keeps_no_graph():
    seen = []
    model = nn.Linear(4, 3)
    model.register_forward_hook(lambda *args: seen.append(args[2].requires_grad))
    evaluate(model, batches())
    assert seen == [False] * 3
    assert all(p.grad is None for p in model.parameters())


def test_evaluation_of_nothing_is_an_error_and_puts_the_mode_back():
    model = nn.Linear(4, 3).train()
    with pytest.raises(ValueError, match="gave no batch"):
        evaluate(model, [])
    assert model.training


# --- the schedule ---


def test_the_rate_rises_in_a_line_then_falls_on_a_half_cosine():
    factors = [warmup_cosine(step, 20, 0.25) for step in range(21)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    expected = [0.5 * (1 + math.cos(math.pi * k / 15)) for k in range(16)]
    assert factors[5:] == pytest.approx(expected)
    assert factors[20] == pytest.approx(0.0)
    assert warmup_cosine(25, 20, 0.25) == pytest.approx(0.0)  # stays there


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert [warmup_cosine(step, 2, 0.0) for step in range(3)] == pytest.approx([1.0, 0.5, 0.0])


def test_a_short_run_warms_up_for_at_least_one_step():
    assert warmup_cosine(0, 3, 0.1) == 1.0
    assert warmup_cosine(0, 1, 0.99) == warmup_cosine(1, 1, 0.99) == 1.0


# --- weight decay ---


def test_only_matrices_are_decayed():
    model = TextClassifier(11, 3, EncoderConfig(8, 2, 16, 2))
    decayed, free = parameter_groups(model, 0.3)
    assert decayed["weight_decay"] == 0.3
    assert free["weight_decay"] == 0.0
    names = {id(p): name for name, p in model.named_parameters()}
    in_group = [{names[id(p)] for p in group["params"]} for group in (decayed, free)]
    assert in_group[0] | in_group[1] == set(names.values())
    assert not in_group[0] & in_group[1]
    vectors = {name for name in names.values() if name.endswith("bias") or ".norm" in name}
    assert in_group[1] == vectors


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    model[0].requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    decayed, free = parameter_groups(model, 0.1)
    assert [len(decayed["params"]), len(free["params"])] == [1, 1]
    fit(model, batches(), **QUIET)
    assert torch.equal(model[0].weight, before["0.weight"])
    assert not torch.equal(model[1].weight, before["1.weight"])


# --- fit against a loop by hand ---

RUNS = {
    "plain": TrainingConfig(epochs=3, lr=0.1, warmup=0.3, clip_norm=None, weight_decay=0.0),
    "clipped": TrainingConfig(epochs=3, lr=0.1, clip_norm=0.02, weight_decay=0.0),
    "decayed": TrainingConfig(epochs=3, lr=0.1, weight_decay=0.5),
    "smoothed": TrainingConfig(epochs=3, lr=0.1, label_smoothing=0.2),
    "averaged": TrainingConfig(epochs=3, lr=0.1, ema=0.8),
}


def fit_by_hand(weight, bias, data, config):
    """A linear classifier trained with every formula written out, in float64."""
    parameters = [weight.double(), bias.double()]
    decays = [config.weight_decay, 0.0]
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    average, losses, hits = None, [], []
    total = config.epochs * len(data)
    warmup = math.ceil(config.warmup * total)
    step = 0
    for _ in range(config.epochs):
        loss_sum = hit = count = 0
        for inputs, labels in data:
            x, n, classes = inputs.double(), len(labels), len(bias)
            logits = x @ parameters[0].T + parameters[1]
            target = F.one_hot(labels, classes).double() * (1 - config.label_smoothing)
            target += config.label_smoothing / classes
            log_p = logits - logits.exp().sum(1, keepdim=True).log()
            loss_sum += -(target * log_p).sum().item()
            hit += (logits.argmax(1) == labels).sum().item()
            count += n
            error = (log_p.exp() - target) / n
            gradients = [error.T @ x, error.sum(0)]
            if config.clip_norm is not None:
                norm = math.sqrt(sum(g.square().sum().item() for g in gradients))
                gradients = [g * min(1.0, config.clip_norm / (norm + 1e-6)) for g in gradients]
            if step < warmup:
                lr = config.lr * (step + 1) / warmup
            else:
                done = (step - warmup) / (total - warmup)
                lr = config.lr * 0.5 * (1 + math.cos(math.pi * done))
            step += 1
            for p, g, m, v, decay in zip(parameters, gradients, first, second, decays, strict=True):
                p *= 1 - lr * decay
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                p -= lr * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
            if average is None:
                average = [p.clone() for p in parameters]
            elif config.ema is not None:
                average = [
                    config.ema * a + (1 - config.ema) * p
                    for a, p in zip(average, parameters, strict=True)
                ]
        losses.append(loss_sum / count)
        hits.append(hit / count)
    return (parameters if config.ema is None else average), losses, hits


@pytest.mark.parametrize("name", RUNS)
def test_training_equals_a_loop_by_hand(name):
    config, model, data = RUNS[name], nn.Linear(4, 3), batches()
    (weight, bias), losses, hits = fit_by_hand(
        model.weight.detach().clone(), model.bias.detach().clone(), data, config
    )
    history = fit(model, data, config=config, **QUIET)
    torch.testing.assert_close(model.weight.double(), weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.bias.double(), bias, rtol=1e-4, atol=1e-5)
    assert [row["train_loss"] for row in history] == pytest.approx(losses, rel=1e-4)
    assert [row["train_accuracy"] for row in history] == pytest.approx(hits)
    assert [row["epoch"] for row in history] == [0, 1, 2]
    rates = [config.lr * warmup_cosine(3 * (epoch + 1), 9, config.warmup) for epoch in range(3)]
    assert [row["lr"] for row in history] == pytest.approx(rates)
    assert all(row["seconds"] > 0 for row in history)
    assert not model.training


def test_the_average_copies_whole_numbers_and_averages_the_rest():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    fit(model, batches(), config=TrainingConfig(epochs=2, ema=0.9), **QUIET)
    assert model[1].num_batches_tracked == 6
    assert 0 < model[1].running_mean.abs().max() < 1


def test_the_average_takes_a_positions_table_that_grows():
    """The AveragedModel of torch stops here: the model's table is longer than its copy's."""
    model = TextClassifier(11, 3, EncoderConfig(8, 2, 16, 1))
    data = [(torch.randint(1, 11, (2, length)), torch.tensor([0, 1])) for length in (5, 600)]
    history = fit(model, data, data, TrainingConfig(epochs=2, ema=0.5), **QUIET)
    assert math.isfinite(history[-1]["val_loss"])


def test_it_is_the_average_that_is_validated():
    data, config = batches(), TrainingConfig(epochs=1, lr=0.1, ema=0.9)
    alone, validated = nn.Linear(4, 3), nn.Linear(4, 3)
    validated.load_state_dict(alone.state_dict())
    fit(alone, data, config=config, **QUIET)  # ends with the average
    (row,) = fit(validated, data, data, config, **QUIET)
    assert row["val_loss"] == evaluate(alone, data)["loss"]
    assert same_state(validated.state_dict(), alone.state_dict())


# --- early stopping ---


def test_early_stopping_counts_epochs_without_a_better_loss():
    model, stopping = nn.Linear(1, 1), EarlyStopping(2)
    losses = [3.0, 2.0, 2.0, math.nan, 1.0]
    stops = [stopping.step(loss, epoch, model) for epoch, loss in enumerate(losses[:4])]
    assert stops == [False, False, False, True]  # equal and NaN are not better
    assert (stopping.best, stopping.best_epoch) == (2.0, 1)
    assert stopping.step(1.0, 4, model) is False


def test_early_stopping_keeps_a_copy_of_the_best_weights():
    model, stopping = nn.Linear(2, 2), EarlyStopping(None)
    best = copy.deepcopy(model.state_dict())
    assert not stopping.step(1.0, 0, model)
    with torch.no_grad():
        model.weight.add_(1.0)
    assert not stopping.step(5.0, 99, model)  # no patience given: never stops
    stopping.restore(model)
    assert same_state(model.state_dict(), best)


def test_restoring_before_any_finite_loss_changes_nothing():
    model, stopping = nn.Linear(2, 2), EarlyStopping(1)
    before = copy.deepcopy(model.state_dict())
    assert stopping.step(math.nan, 0, model)
    stopping.restore(model)
    assert same_state(model.state_dict(), before)


@pytest.mark.parametrize("ema", [None, 0.5])
def test_the_best_epochs_weights_come_back(ema):
    """Validation labels that contradict the training labels: it gets worse and worse."""
    inputs = torch.randn(40, 4)
    labels = (inputs[:, 0] > 0).long()
    train, validation = [(inputs, labels)], [(inputs, 1 - labels)]
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    config = TrainingConfig(epochs=20, lr=0.1, patience=3, ema=ema)
    history = fit(model, train, validation, config, **QUIET)
    losses = [row["val_loss"] for row in history]
    best = losses.index(min(losses))
    assert len(history) == best + 1 + 3
    assert evaluate(model, validation)["loss"] == pytest.approx(min(losses), rel=1e-6)
    assert history[best]["val_accuracy"] == evaluate(model, validation)["accuracy"]


def test_validation_sees_the_trained_model_after_each_epoch():
    model, train, data = nn.Linear(4, 3), batches(), batches()
    validation = Recorder(data, model)
    history = fit(model, train, validation, TrainingConfig(epochs=4, lr=0.1), **QUIET)
    assert len(history) == len(validation.states) == 4
    losses = [row["val_loss"] for row in history]
    assert same_state(model.state_dict(), validation.states[losses.index(min(losses))])
    copied = nn.Linear(4, 3)
    for row, state in zip(history, validation.states, strict=True):
        copied.load_state_dict(state)
        scores = evaluate(copied, data)
        assert (row["val_loss"], row["val_accuracy"]) == (scores["loss"], scores["accuracy"])


# --- the rest of fit ---


def test_two_runs_of_one_seed_are_the_same_and_of_two_seeds_are_not():
    def run(seed):
        generator = seed_everything(seed)
        data = TensorDataset(torch.randint(1, 11, (24, 6)), torch.randint(3, (24,)))
        model = TextClassifier(11, 3, EncoderConfig(8, 2, 16, 1, dropout=0.2))
        train = DataLoader(data, batch_size=8, shuffle=True, generator=generator)
        history = fit(model, train, config=TrainingConfig(epochs=2), **QUIET)
        for row in history:
            del row["seconds"]
        return history, model.state_dict()

    (history, state), (again, state_again), (other, _) = run(3), run(3), run(4)
    assert history == again
    assert same_state(state, state_again)
    assert history != other


def test_training_turns_dropout_on_again_after_each_validation():
    modes = []

    class Spy(nn.Linear):
        def forward(self, x):
            modes.append(self.training)
            return super().forward(x)

    model = Spy(4, 3).eval()
    fit(model, batches((5,)), batches((5,)), TrainingConfig(epochs=3), **QUIET)
    assert modes == [True, False] * 3


def test_augmentation_is_for_training_inputs_only():
    inputs, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    seen, model = [], nn.Linear(4, 3)
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    data = [(inputs, labels)]
    fit(model, data, data, TrainingConfig(epochs=2), augment=lambda x: x + 100, **QUIET)
    for got, expected in zip(seen, [inputs + 100, inputs] * 2, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_step(bad):
    data = batches((5, 5))
    data[1][0][0, 0] = bad
    model = nn.Linear(4, 3)
    with pytest.raises(FloatingPointError, match=r"loss is nan at step 1; lower lr=0\.001"):
        fit(model, data, **QUIET)
    assert all(p.isfinite().all() for p in model.parameters())


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ValueError, match="nothing to train on"):
        fit(nn.Linear(4, 3), [], **QUIET)


def test_patience_without_validation_is_an_error():
    with pytest.raises(ValueError, match="patience needs validation"):
        fit(nn.Linear(4, 3), batches(), config=TrainingConfig(patience=2), **QUIET)


@pytest.mark.parametrize(("every", "folder"), [(3, None), (0, "folder"), (-1, "folder")])
def test_checkpoints_every_so_many_steps_need_a_folder_and_a_number(every, folder, tmp_path):
    folder = None if folder is None else tmp_path / folder
    with pytest.raises(ValueError, match=f"every={every} must be at least 1 and needs a check"):
        fit(nn.Linear(4, 3), batches(), checkpoint=folder, every=every, **QUIET)


def test_the_checkpoints_asked_for_are_written(tmp_path):
    model, data = nn.Linear(4, 3), batches()
    folder = Checkpoints(tmp_path / "folder", keep=99)
    fit(model, data, config=TrainingConfig(epochs=3), checkpoint=folder, every=2, **QUIET)
    steps = [int(path.stem[5:]) for path in folder.files()]
    assert steps == [2, 3, 4, 6, 8, 9]  # each second step, and the ends of the epochs
    only = Checkpoints(tmp_path / "only", keep=99)
    fit(model, data, config=TrainingConfig(epochs=3), checkpoint=only, **QUIET)
    assert [int(path.stem[5:]) for path in only.files()] == [3, 6, 9]


def test_the_bar_shows_loss_rate_and_speed(capsys):
    fit(nn.Linear(4, 3), batches(), config=TrainingConfig(epochs=2, lr=0.25, warmup=0.0))
    shown = capsys.readouterr().err
    assert "6/6" in shown
    for text in ("loss=", "lr=", "samples_per_second="):
        assert text in shown


@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_bar_can_be_turned_off(progress, capsys):
    fit(nn.Linear(4, 3), batches(), config=TrainingConfig(epochs=1), progress=progress)
    assert ("training" in capsys.readouterr().err) is progress


OUT_OF_RANGE = [
    ("epochs", 0),
    ("lr", 0.0),
    ("lr", math.nan),
    ("weight_decay", -0.1),
    ("warmup", -0.1),
    ("warmup", 1.0),
    ("clip_norm", 0.0),
    ("label_smoothing", -0.1),
    ("label_smoothing", 1.0),
    ("ema", 0.0),
    ("ema", 1.0),
    ("patience", 0),
]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_choice_out_of_range_is_named_with_its_value(name, value):
    with pytest.raises(ValueError, match=f"out of range: {name}={value!r}; see TrainingConfig"):
        TrainingConfig(**{name: value})


def test_all_choices_out_of_range_are_named_together():
    with pytest.raises(ValueError, match=r"epochs=-1, lr=-1\.0"):
        TrainingConfig(epochs=-1, lr=-1.0)


def test_choices_at_the_limits_are_taken():
    TrainingConfig(epochs=1, weight_decay=0.0, warmup=0.0, label_smoothing=0.0, patience=1)
    TrainingConfig(clip_norm=None, ema=None, patience=None)


@pytest.mark.parametrize("run", [fit, evaluate])
def test_every_batch_is_moved_to_the_device(run):
    moves = []

    class Spied(torch.Tensor):
        def to(self, device):
            moves.append(device)
            return self.as_subclass(torch.Tensor)

    data = [tuple(part.as_subclass(Spied) for part in batch) for batch in batches((5, 5))]
    device = torch.device("cpu")
    options = {"config": TrainingConfig(epochs=1), **QUIET} if run is fit else {}
    run(nn.Linear(4, 3), data, device=device, **options)
    assert moves == [device] * 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_and_evaluation_on_cuda():
    model = nn.Linear(4, 3)
    history = fit(model, batches(), batches(), TrainingConfig(ema=0.5), device="cuda", **QUIET)
    assert model.weight.device.type == "cuda"
    assert history[-1]["train_loss"] < history[0]["train_loss"]
