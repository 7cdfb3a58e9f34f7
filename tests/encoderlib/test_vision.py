"""encoderlib.vision: patches with places, a CLS token, and images that can be told apart."""

import pytest
import torch

from encoderlib import EncoderConfig, ImageClassifier, TrainingConfig, evaluate, fit
from encoderlib.training import parameter_groups

SMALL = EncoderConfig(d_model=26, n_heads=2, d_ff=17, n_layers=3, dropout=0.0)
every_pooling = pytest.mark.parametrize("pooling", ["mean", "cls", "max", "attention"])


def classifier(pooling="mean", config=SMALL, channels=1, stride=None):
    return ImageClassifier(8, 4, 5, config, channels, stride, pooling)


@every_pooling
@pytest.mark.parametrize(("channels", "stride", "patches"), [(1, None, 4), (3, 1, 25)])
def test_shapes_and_number_of_positions(pooling, channels, stride, patches):
    model = classifier(pooling, channels=channels, stride=stride)
    images = torch.randn(3, channels, 8, 8)
    tokens = patches + (pooling == "cls")
    assert model.embed(images).shape == (3, tokens, 26)
    assert model.positions.table.shape == (tokens, 26)
    assert model(images).shape == (3, 5)


@every_pooling
def test_the_model_is_the_composition_of_its_parts(pooling, randomise):
    model = randomise(classifier(pooling))
    images = torch.randn(3, 1, 8, 8)
    x = model.patches(images)
    if pooling == "cls":
        x = torch.cat([model.cls_token.reshape(1, 1, -1).expand(3, 1, 26), x], dim=1)
    x = x + model.positions.table
    torch.testing.assert_close(model.embed(images), x)
    y = model.encoder(x)
    if pooling == "attention":
        y = model.head.attention(y)
    else:
        y = {"cls": y[:, 0], "mean": y.mean(1), "max": y.amax(1)}[pooling]
    torch.testing.assert_close(model(images), model.head.linear(y))


@every_pooling
def test_different_images_get_different_logits(pooling, randomise):
    """Erratum E000-17: a norm over one grey channel erases the image."""
    model = randomise(classifier(pooling))
    a, b = torch.randn(2, 1, 1, 8, 8).unbind(0)
    assert (model(a) - model(b)).abs().max() > 1e-2


@every_pooling
def test_the_place_of_a_patch_matters(pooling, randomise):
    model = randomise(classifier(pooling))
    image = torch.randn(1, 1, 8, 8)
    assert (model(image) - model(image.roll(4, dims=3))).abs().max() > 1e-3
    with torch.no_grad():
        model.positions.table.zero_()
    torch.testing.assert_close(model(image), model(image.roll(4, dims=3)), rtol=1e-4, atol=1e-5)


@every_pooling
def test_images_of_a_batch_do_not_see_each_other(pooling, randomise):
    model = randomise(classifier(pooling))
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(model(images[[2, 0, 1]]), model(images)[[2, 0, 1]])


@every_pooling
def test_every_parameter_gets_a_gradient(pooling):
    model = classifier(pooling)
    model(torch.randn(3, 1, 8, 8)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_positions_start_wide_enough_for_a_small_model():
    table = ImageClassifier(16, 2, 5, EncoderConfig()).positions.table
    assert 0.45 < table.std() < 0.55
    narrow = ImageClassifier(16, 2, 5, EncoderConfig(), position_std=0.02).positions.table
    assert narrow.std() < 0.03


def test_attention_maps_are_probabilities_without_a_graph(randomise):
    model = randomise(classifier("cls", stride=2))
    images = torch.randn(3, 1, 8, 8)
    maps = model.attention_maps(images)
    assert [m.shape for m in maps] == [(3, 2, 10, 10)] * 3
    for weights in maps:
        assert not weights.requires_grad
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 10))
    expected = model.encoder.attention_maps(model.embed(images))
    torch.testing.assert_close(maps, expected)


def test_eval_is_deterministic_and_train_is_not():
    model = classifier(config=EncoderConfig(26, 2, 17, 1, dropout=0.3))
    assert model.dropout.p == model.head.dropout.p == 0.3
    images = torch.randn(3, 1, 8, 8)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_state_survives_a_round_trip(randomise, tmp_path):
    model = randomise(classifier("cls"))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    copy = classifier("cls")
    copy.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(copy(images), model(images))


def test_defaults_and_refusals():
    assert ImageClassifier(8, 4, 5).encoder.config == EncoderConfig()
    with pytest.raises(ValueError, match="do not tile"):
        ImageClassifier(9, 4, 5)
    with pytest.raises(ValueError, match="pooling='median' must be one of"):
        classifier("median")
    with pytest.raises(ValueError, match="expected images of"):
        classifier()(torch.zeros(2, 3, 8, 8))


@every_pooling
def test_it_learns_where_a_spot_is(pooling):
    """Behaviour: which quarter of a noisy image holds a bright spot, on new images."""

    def sample(size):
        images, quarter = 0.3 * torch.randn(size, 1, 8, 8), torch.randint(4, (size,))
        row = quarter // 2 * 4 + torch.randint(4, (size,))
        column = quarter % 2 * 4 + torch.randint(4, (size,))
        images[torch.arange(size), 0, row, column] += 3.0
        return images, quarter

    model = ImageClassifier(8, 4, 4, EncoderConfig(32, 2, 64, 1, dropout=0.0), pooling=pooling)
    train = [sample(64) for _ in range(80)]
    fit(model, train, config=TrainingConfig(epochs=2, lr=3e-3), progress=False)
    assert evaluate(model, [sample(500)])["accuracy"] > 0.95


def test_weight_decay_leaves_the_cls_token_alone():
    model = ImageClassifier(8, 4, 3, EncoderConfig(8, 2, 16, 1), pooling="cls")
    decayed, kept = parameter_groups(model, 0.5)
    assert any(parameter is model.cls_token for parameter in kept["params"])
    assert not any(parameter is model.cls_token for parameter in decayed["params"])
