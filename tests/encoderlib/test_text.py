"""encoderlib.text: logits that padding does not change, and a task only order can solve."""

import pytest
import torch
import torch.nn.functional as F

from encoderlib import EncoderConfig, TextClassifier, TrainingConfig, evaluate, fit
from encoderlib.positions import SinusoidalPositions
from encoderlib.text import TokenClassifier

SMALL = EncoderConfig(d_model=26, n_heads=2, d_ff=17, n_layers=3, dropout=0.0)
every_pooling = pytest.mark.parametrize("pooling", ["mean", "cls", "max", "attention"])
RELATIVE = ["rotary", "alibi", "t5", "shaw"]


def sentences(batch=3, length=7):
    return torch.randint(1, 11, (batch, length))


@every_pooling
@pytest.mark.parametrize("norm_first", [True, False])
def test_appended_padding_does_not_change_the_logits(pooling, norm_first, randomise):
    """Erratum E000-13: padding enters attention and the mean."""
    config = EncoderConfig(26, 2, 17, 3, dropout=0.0, norm_first=norm_first)
    model = randomise(TextClassifier(11, 5, config, pooling=pooling))
    ids = sentences()
    expected = model(ids)
    assert expected.shape == (3, 5)
    for extra in (1, 6, 600):  # 600 is past the first table of positions
        got = model(F.pad(ids, (0, extra)))
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_a_sentence_alone_and_in_a_padded_batch_has_the_same_logits(randomise):
    model = randomise(TextClassifier(11, 5, SMALL))
    short, long = sentences(1, 4), sentences(1, 9)
    batch = torch.cat([F.pad(short, (0, 5)), long])
    expected = torch.cat([model(short), model(long)])
    torch.testing.assert_close(model(batch), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(batch.flip(0)), expected.flip(0), rtol=1e-4, atol=1e-5)


def test_another_padding_id(randomise):
    model = TextClassifier(11, 5, SMALL, padding_id=4)
    vectors = model.embedding(torch.arange(11)[None])[0]
    assert (vectors == 0).all(dim=1).nonzero().tolist() == [[4]]
    randomise(model)
    ids = torch.tensor([[1, 2, 3], [0, 5, 6]])
    padded = F.pad(ids, (0, 2), value=4)
    torch.testing.assert_close(model(padded), model(ids), rtol=1e-4, atol=1e-5)
    assert (model(F.pad(ids, (0, 2), value=0)) - model(ids)).abs().max() > 1e-3


def test_the_order_of_the_words_matters(randomise):
    """Erratum E000-11: a classifier without positions."""
    model = randomise(TextClassifier(11, 5, SMALL))
    ids = torch.tensor([[1, 2, 3, 4]])
    assert (model(ids) - model(ids.flip(1))).abs().max() > 1e-3


def test_a_sentence_of_padding_alone_is_finite_with_finite_gradients(randomise):
    model = randomise(TextClassifier(11, 5, SMALL))
    ids = torch.cat([torch.zeros(1, 7, dtype=torch.long), sentences(1)])
    logits = model(ids)
    torch.testing.assert_close(logits[0], model.head.linear.bias)
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    for parameter in model.parameters():
        assert parameter.grad.isfinite().all()


@every_pooling
def test_the_model_is_the_composition_of_its_parts(pooling, randomise):
    model, ids = randomise(TextClassifier(11, 5, SMALL, pooling=pooling)), sentences()
    x = model.positions(model.embedding(ids))
    y = model.encoder(x)
    if pooling == "attention":
        y = model.head.attention(y)
    else:
        y = {"cls": y[:, 0], "mean": y.mean(1), "max": y.amax(1)}[pooling]
    torch.testing.assert_close(model(ids), model.head.linear(y))


def test_dropout_reaches_embedding_encoder_and_head():
    config = EncoderConfig(26, 2, 17, 1, dropout=0.25, attention_dropout=0.5)
    model = TextClassifier(11, 5, config)
    assert model.dropout.p == model.head.dropout.p == 0.25
    assert model.encoder.config is config
    ids = sentences()
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))
    model.encoder.eval()
    model.head.eval()
    model.dropout.train()  # on the embeddings alone
    assert not torch.equal(model(ids), model(ids))


def test_the_default_configuration_is_the_encoders():
    assert TextClassifier(11, 5).encoder.config == EncoderConfig()


def test_state_survives_a_round_trip_without_the_sinusoids(randomise, tmp_path):
    model = randomise(TextClassifier(11, 5, SMALL))
    model(sentences(1, 600))  # the table has grown
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    assert not [name for name in model.state_dict() if "positions" in name]
    copy = TextClassifier(11, 5, SMALL)
    copy.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    ids = sentences()
    assert torch.equal(copy(ids), model(ids))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_model_follows_its_dtype(dtype, randomise):
    model = randomise(TextClassifier(11, 5, SMALL))
    ids = F.pad(sentences(), (0, 2))
    expected = model(ids)
    got = model.to(dtype)(ids)
    assert got.dtype == dtype
    assert (got.float() - expected).norm() / expected.norm() < 0.1


def test_it_learns_which_of_two_words_comes_first():
    """Behaviour, not loss: new sentences, where no bag of words does better than chance."""

    def sample(size):
        ids = torch.randint(3, 11, (size, 8))
        places = torch.rand(size, 8).argsort(1)[:, :2]
        ids.scatter_(1, places, torch.tensor([1, 2]).expand(size, 2))
        return ids, (places[:, 0] < places[:, 1]).long()

    model = TextClassifier(11, 2, EncoderConfig(32, 2, 64, 1, dropout=0.0))
    train = [sample(64) for _ in range(100)]
    fit(model, train, config=TrainingConfig(epochs=2, lr=3e-3), progress=False)
    assert evaluate(model, [sample(500)])["accuracy"] > 0.95


@pytest.mark.parametrize("kind", RELATIVE)
def test_with_relative_positions_nothing_is_added_and_padding_still_changes_nothing(
    kind, randomise
):
    config = EncoderConfig(28, 2, 17, 2, dropout=0.0, positions=kind)
    for model in (TextClassifier(11, 5, config), TokenClassifier(11, 5, config)):
        randomise(model)
        ids = sentences()
        assert torch.equal(model.positions(model.embedding(ids)), model.embedding(ids))
        expected = model(ids)
        got = model(F.pad(ids, (0, 6)))[:, : expected.size(1)]
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
        swapped = ids[:, [1, 0, 2, 3, 4, 5, 6]]
        assert (model(swapped).sum() - expected.sum()).abs() > 1e-4  # it sees the order


# --- TokenClassifier -------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [True, False])
def test_tokens_logits_do_not_change_when_padding_is_appended(norm_first, randomise):
    config = EncoderConfig(26, 2, 17, 3, dropout=0.0, norm_first=norm_first)
    model = randomise(TokenClassifier(11, 5, config))
    ids = sentences()
    expected = model(ids)
    assert expected.shape == (3, 7, 5)
    for extra in (1, 6, 600):
        got = model(F.pad(ids, (0, extra)))
        assert got.shape == (3, 7 + extra, 5)
        torch.testing.assert_close(got[:, :7], expected, rtol=1e-4, atol=1e-5)
        assert got.isfinite().all()


def test_another_padding_id_for_tokens(randomise):
    model = TokenClassifier(11, 5, SMALL, padding_id=4)
    assert (model.embedding.table.weight == 0).all(dim=1).nonzero().tolist() == [[4]]
    randomise(model)
    ids = torch.tensor([[1, 2, 3], [0, 5, 6]])
    padded = model(F.pad(ids, (0, 2), value=4))[:, :3]
    torch.testing.assert_close(padded, model(ids), rtol=1e-4, atol=1e-5)
    assert (model(F.pad(ids, (0, 2), value=0))[:, :3] - model(ids)).abs().max() > 1e-3


def test_the_token_classifier_is_the_composition_of_its_parts(randomise):
    model, ids = randomise(TokenClassifier(11, 5, SMALL)), sentences()
    x = model.positions(model.embedding(ids))
    assert isinstance(model.positions, SinusoidalPositions)
    torch.testing.assert_close(model(ids), model.head(model.encoder(x)))
    assert TokenClassifier(11, 5).encoder.config == EncoderConfig()


def test_dropout_reaches_the_encoders_input_and_the_logits_of_tokens():
    model = TokenClassifier(11, 5, EncoderConfig(26, 2, 17, 1, dropout=0.25))
    assert model.dropout.p == 0.25
    seen = []
    model.dropout.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    ids = sentences()
    assert not torch.equal(model(ids), model(ids))
    assert seen == 4 * [(3, 7, 26)]
    model.eval()
    assert torch.equal(model(ids), model(ids))


def test_ignored_labels_leave_padding_out_of_the_loss(randomise):
    """Erratum E004-33: padding labelled as a class inflates loss and accuracy."""
    model, ids = randomise(TokenClassifier(11, 5, SMALL)), sentences()
    labels = torch.randint(5, (3, 7))
    expected = F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())
    logits, padded = model(F.pad(ids, (0, 4))), F.pad(labels, (0, 4), value=-100)
    torch.testing.assert_close(F.cross_entropy(logits.flatten(0, 1), padded.flatten()), expected)


def test_a_token_classifier_learns_what_stands_before_each_token():
    """Behaviour: the label of a token is whether its left neighbour is above 6."""
    torch.manual_seed(1)
    model = TokenClassifier(11, 2, EncoderConfig(32, 2, 64, 1, dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def sample(size):
        ids = torch.randint(1, 11, (size, 8))
        return ids, F.pad(ids[:, :-1] > 6, (1, 0)).long()

    for _ in range(200):
        ids, labels = sample(64)
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    ids, labels = sample(500)
    assert (model.eval()(ids).argmax(-1) == labels).float().mean() > 0.95


def test_the_token_classifiers_state_survives_a_round_trip(randomise):
    model, copy = randomise(TokenClassifier(11, 5, SMALL)), TokenClassifier(11, 5, SMALL)
    copy.load_state_dict(model.state_dict())
    ids = sentences()
    assert torch.equal(copy(ids), model(ids))
