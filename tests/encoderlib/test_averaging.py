"""encoderlib.training.averaging: the state dicts; what the classes do is in test_training."""

import torch
from torch import nn

from encoderlib.training.averaging import EarlyStopping, WeightAverage


def test_an_average_goes_on_from_its_state_dict():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))
    average, copy = WeightAverage(model, 0.75), WeightAverage(model, 0.75)
    for step in range(4):
        with torch.no_grad():
            model[0].weight.normal_()
        model[1].num_batches_tracked.fill_(step)
        average.step(model)
        if step == 1:
            copy.load_state_dict(average.state_dict())
        elif step > 1:
            copy.step(model)
    for name, x in average.module.state_dict().items():
        assert torch.equal(x, copy.module.state_dict()[name]), name
    assert copy.module[1].num_batches_tracked == 3


def test_the_average_is_the_formula():
    model = nn.Linear(2, 2, bias=False)
    average, expected = WeightAverage(model, 0.75), None
    for _ in range(5):
        with torch.no_grad():
            model.weight.normal_()
        w = model.weight.detach().clone()
        expected = w if expected is None else 0.75 * expected + 0.25 * w
        average.step(model)
    torch.testing.assert_close(average.module.weight.detach(), expected)


def test_early_stopping_goes_on_from_its_state_dict():
    model = nn.Linear(2, 2)
    best = model.weight.detach().clone()
    stopping, copy = EarlyStopping(2), EarlyStopping(2)
    assert not stopping.step(1.0, 0, model)
    with torch.no_grad():
        model.weight.add_(1.0)
    assert not stopping.step(2.0, 1, model)
    copy.load_state_dict(stopping.state_dict())
    assert (copy.best, copy.best_epoch, copy.patience) == (1.0, 0, 2)
    assert copy.step(1.0, 2, model)
    copy.restore(model)
    assert torch.equal(model.weight, best)
