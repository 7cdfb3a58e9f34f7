"""encoderlib.training.losses: the loss of a batch against torch's, and sums over batches."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from encoderlib import TrainingConfig, evaluate, fit
from encoderlib.training.losses import add_batch, cross_entropy_loss, means

IGNORED = torch.tensor([[0, 2, -100], [1, -100, -100]])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_a_classifier_is_that_of_torch(smoothing):
    model, inputs, labels = nn.Linear(5, 3), torch.randn(7, 5), torch.randint(3, (7,))
    loss, count, metrics = cross_entropy_loss(model, (inputs, labels), smoothing)
    logits = model(inputs)
    assert torch.equal(loss, F.cross_entropy(logits, labels, label_smoothing=smoothing))
    assert count == 7
    assert metrics == {"accuracy": (logits.argmax(-1) == labels).sum()}


@pytest.mark.parametrize("ignored", [-100, 0])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_labels_to_ignore_count_neither_in_the_loss_nor_in_the_accuracy(ignored, smoothing):
    """Padding filled with anything."""
    labels = torch.where(IGNORED == -100, ignored, IGNORED + 1)
    model, inputs = nn.Linear(5, 4), torch.randn(2, 3, 5)
    loss, count, metrics = cross_entropy_loss(model, (inputs, labels), smoothing, ignored)
    real = labels != ignored
    logits = model(inputs)[real]
    expected = F.cross_entropy(logits, labels[real], label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected)
    assert count == 3
    assert metrics["accuracy"] == (logits.argmax(-1) == labels[real]).sum()
    gradient = torch.autograd.grad(loss, model.weight)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, model.weight)[0])


def test_right_answers_at_ignored_labels_do_not_count():
    """Logits that always say class 0, which is the label to ignore."""
    logits = torch.tensor([9.0, 0.0, 0.0]).expand(2, 4, 3)
    labels = torch.tensor([[0, 0, 0, 1], [0, 0, 2, 1]])
    _, count, metrics = cross_entropy_loss(nn.Identity(), (logits, labels), ignore_index=0)
    assert (count, metrics["accuracy"]) == (3, 0)


def test_if_all_labels_are_ignored_the_loss_is_zero_and_so_are_its_gradients():
    model = nn.Linear(5, 4)
    inputs = torch.full((2, 3, 5), torch.inf)
    loss, count, metrics = cross_entropy_loss(model, (inputs, torch.full((2, 3), -100)))
    assert (loss.item(), count, metrics["accuracy"]) == (0.0, 0, 0)
    assert torch.equal(torch.autograd.grad(loss, model.bias)[0], torch.zeros(4))


class Two(nn.Module):
    """Takes two inputs, as an encoder-decoder."""

    def forward(self, source, target):
        return source[:, None] + target


@pytest.mark.parametrize("kind", ["tuple", "list", "dict"])
def test_several_inputs_go_to_the_model_in_order_or_by_name(kind):
    source, target = torch.randn(2, 4), torch.randn(2, 3, 4)
    names = {"target": target, "labels": IGNORED, "source": source}
    batch = {"tuple": (source, target, IGNORED), "list": [source, target, IGNORED], "dict": names}
    loss, *_ = cross_entropy_loss(Two(), batch[kind])
    expected = F.cross_entropy((source[:, None] + target).flatten(0, 1), IGNORED.flatten())
    torch.testing.assert_close(loss, expected)
    assert names.keys() == {"target", "labels", "source"}


def test_half_precision_is_summed_in_float32_and_float64_stays():
    logits, labels = torch.randn(9, 5).bfloat16(), torch.randint(5, (9,))
    loss, *_ = cross_entropy_loss(nn.Identity(), (logits, labels))
    assert torch.equal(loss, F.cross_entropy(logits.float(), labels))
    assert cross_entropy_loss(nn.Identity(), (logits.double(), labels))[0].dtype == torch.float64


def test_classes_that_are_not_on_the_last_axis_are_an_error():
    """That is how torch wants them; with T = C a transposed batch would train."""
    with pytest.raises(ValueError, match=r"logits \(2, 5, 3\) need labels \(2, 5\), got \(2, 3\)"):
        cross_entropy_loss(nn.Identity(), (torch.randn(2, 5, 3), torch.zeros(2, 3).long()))


def test_means_of_sums_over_batches():
    sums = {}
    add_batch(sums, 2.0, 3, {"accuracy": torch.tensor(1)})
    assert add_batch(sums, 4.0, 1, {"accuracy": 1, "other": 8.0}) is sums
    assert sums == {"loss": 10.0, "count": 4.0, "accuracy": 2.0, "other": 8.0}
    assert means(sums) == {"loss": 2.5, "accuracy": 0.5, "other": 2.0}
    assert means({"loss": 0.0, "count": 0.0}) == {"loss": 0.0}


# --- a loss of one's own in the loop ---


def squared(model, batch):
    """Regression: a mean over numbers, and a metric that is not called accuracy."""
    error = model(batch["x"]) - batch["y"]
    return error.square().mean(), error.numel(), {"absolute": error.abs().sum()}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_of_ones_own_trains_and_its_metrics_are_in_the_history(accumulate):
    weight = torch.randn(4, 2)
    data = [{"x": x, "y": x @ weight} for x in torch.randn(6, 8, 4)]
    model = nn.Linear(4, 2)
    config = TrainingConfig(epochs=60, lr=0.1, weight_decay=0.0, accumulate=accumulate)
    history = fit(model, data, data[:2], config, loss=squared, progress=False)
    assert history[-1]["val_loss"] < 1e-3 < 0.1 < history[0]["val_loss"]
    names = {"train_loss", "train_absolute", "val_loss", "val_absolute", "epoch", "lr", "seconds"}
    assert history[0].keys() == names
    error = torch.cat([model(batch["x"]) - batch["y"] for batch in data[:2]])
    scores = evaluate(model, data[:2], loss=squared)
    expected = {"loss": error.square().mean().item(), "absolute": error.abs().mean().item()}
    assert scores == pytest.approx(expected, rel=1e-5)


def test_a_loss_of_ones_own_does_not_meet_label_smoothing():
    with pytest.raises(ValueError, match="label_smoothing is for the default loss"):
        fit(nn.Linear(4, 2), [{}], config=TrainingConfig(label_smoothing=0.1), loss=squared)


def test_augmenting_a_dict_is_an_error():
    data = [{"x": torch.randn(3, 4), "y": torch.randn(3, 2)}]
    with pytest.raises(ValueError, match="augment changes the first of a tuple; got a dict"):
        fit(nn.Linear(4, 2), data, augment=lambda x: x, loss=squared, progress=False)
