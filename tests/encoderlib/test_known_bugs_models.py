"""Known bugs of tutorials: layers, classifiers, training, labels, scores. See `known_bugs`."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import precision_recall_fscore_support
from torch import nn

from encoderlib import (
    Encoder,
    EncoderConfig,
    EncoderLayer,
    FeedForward,
    ImageClassifier,
    MultiHeadAttention,
    PatchEmbedding,
    TextClassifier,
    TokenEmbedding,
    evaluate,
    padding_mask,
)
from encoderlib.metrics import average_scores, class_scores
from encoderlib.seq2seq import shift_right
from encoderlib.text import TokenClassifier
from encoderlib.tokenization import align_labels
from tests.encoderlib import test_known_bugs, test_known_bugs_positions
from tests.encoderlib.known_bugs import NUMBERS, close, known_bug

SMALL = EncoderConfig(d_model=16, n_heads=2, d_ff=32, n_layers=2, dropout=0.0)


# Layers


class NoResidual(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attention = MultiHeadAttention(config.d_model, config.n_heads)
        self.feedforward = FeedForward(config.d_model, config.d_ff)

    def forward(self, x):
        return self.feedforward(self.attention(x))


@known_bug(
    "E002-19",
    Encoder,
    lambda config: nn.Sequential(*(NoResidual(config) for _ in range(config.n_layers))),
)
def test_tokens_stay_different_through_six_layers(make):
    x = torch.randn(1, 10, 32)
    y = make(EncoderConfig(d_model=32, n_heads=4, d_ff=128, n_layers=6, dropout=0.0))(x)[0]
    assert (y - y.mean(0)).norm() / y.norm() > 0.05


def our_layer(torchs, x):
    """`EncoderLayer` with the weights of torch's layer."""
    config = EncoderConfig(16, 2, 32, 1, dropout=0.0, activation="relu", norm_first=False)
    layer, state = EncoderLayer(config), torchs.state_dict()
    names = {"self_attn.in_proj_": "attention.in_proj.", "self_attn.": "attention."}
    names |= {"linear": "feedforward.linear", "norm": "norm"}
    for old, new in names.items():
        state = {new + k[len(old) :] if k.startswith(old) else k: v for k, v in state.items()}
    layer.load_state_dict(state)
    return layer(x)


def norm_before_residual(torchs, x):
    attended = torchs.self_attn(x, x, x, need_weights=False)[0]
    return x + torchs.norm1(torchs.linear2(torchs.linear1(attended).relu()))


def no_backend_add(torchs, x):
    return torch.backends.add(x, torchs(x))  # as `keras.backend.add`: there is no such function


def equals_torch(layer):
    torchs, x = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True), torch.randn(2, 5, 16)
    for parameter in torchs.parameters():
        nn.init.normal_(parameter, std=0.3)
    close(layer(torchs, x), torchs(x))


@known_bug("E001-07", our_layer, norm_before_residual)
def test_each_sublayer_is_added_to_its_input_and_then_normalised(layer):
    equals_torch(layer)


# The original calls a function that Keras does not have. encoderlib has no Keras; the nearest
# property is that its residual sum runs, and is a sum.
@known_bug("E000-09", our_layer, no_backend_add, AttributeError)
def test_the_residual_sum_is_a_sum(layer):
    equals_torch(layer)


def one_matrix_for_all(d_model, d_ff):
    out, hidden = torch.randn(d_model, d_model), torch.randn(d_model, d_ff)
    return lambda x: torch.relu(x @ out @ hidden) @ out


@known_bug("E002-18", FeedForward, one_matrix_for_all, RuntimeError)
def test_each_map_has_a_matrix_of_its_own(make):
    assert make(8, 32)(torch.randn(3, 8)).shape == (3, 8)


def our_feedforward(x, linear1, linear2):
    ours = FeedForward(8, 32, activation="relu")
    ours.linear1.load_state_dict(linear1.state_dict())
    ours.linear2.load_state_dict(linear2.state_dict())
    return ours(x)


@known_bug(
    "E001-12",
    our_feedforward,
    lambda x, linear1, linear2: linear1(x).relu() @ (linear2.weight.T + linear2.bias),
)
def test_the_bias_is_added_to_the_product_not_to_the_matrix(feedforward):
    x, linear1, linear2 = torch.randn(4, 8), nn.Linear(8, 32), nn.Linear(32, 8)
    nn.init.normal_(linear2.bias)  # with a bias of zeros the bug does not show
    close(feedforward(x, linear1, linear2), linear2(linear1(x).relu()))


@known_bug(
    "E004-18",
    lambda table, ids: our_embedding(table)(ids[None])[0],
    lambda table, ids: table.T[:, : len(ids)] @ ids.float(),
)
def test_an_embedding_has_a_row_for_each_word_not_for_each_place(embed):
    table, ids = torch.randn(100, 8), torch.tensor([7, 3, 7])
    out = embed(table, ids)
    assert out.shape == (3, 8)
    close(out, F.one_hot(ids, 100).float() @ table)


def our_embedding(table):
    embedding = TokenEmbedding(*table.shape, padding_id=None, scale=False)
    embedding.table.load_state_dict({"weight": table})
    return embedding


# Classifiers of texts


class Classifier(TextClassifier):
    """The library's parts put together with one of them left out."""

    def __init__(self, missing):
        super().__init__(30, 3, SMALL)
        self.missing = missing

    def forward(self, ids):
        tokens = ids != self.padding_id
        x = self.embedding(ids)
        if self.missing != "positions":
            x = self.positions(x)
        x = self.encoder(x, None if self.missing == "mask" else padding_mask(tokens))
        if self.missing == "pooling":
            return self.head.linear(x)
        return self.head(x, None if self.missing == "mask" else tokens)


def text_classifier():
    return TextClassifier(30, 3, SMALL)


def test_the_bugs_of_the_classifier_are_what_is_left_out():
    """With nothing left out the class above is the library's: its bugs are no other ones."""
    ids, theirs, ours = torch.tensor([[5, 6, 7, 0]]), Classifier(None), text_classifier()
    ours.load_state_dict(theirs.state_dict())
    close(theirs(ids), ours(ids))


@known_bug("E000-11", text_classifier, lambda: Classifier("positions"))
def test_a_classifier_knows_the_order_of_the_words(make):
    model, ids = make().eval(), torch.tensor([[1, 2, 3, 4]])
    assert (model(ids) - model(ids.flip(1))).abs().max() > 1e-4


@known_bug("E000-12", text_classifier, lambda: Classifier("pooling"), (RuntimeError, ValueError))
def test_a_classifier_gives_one_row_of_scores_for_each_text(make):
    ids, labels = torch.randint(1, 30, (4, 6)), torch.tensor([0, 1, 2, 0])
    assert F.cross_entropy(make()(ids), labels).isfinite()


@known_bug("E000-13", text_classifier, lambda: Classifier("mask"))
def test_padding_does_not_change_the_class(make):
    model, ids = make().eval(), torch.tensor([[1, 2, 3, 4]])
    close(model(F.pad(ids, (0, 5))), model(ids))


class Tagger(TokenClassifier):
    def forward(self, ids):
        return self.head(self.encoder(self.positions(self.embedding(ids))))  # no mask


@known_bug("E001-18", TokenClassifier, Tagger)
def test_padding_does_not_leak_when_no_mask_is_given(make):
    model, ids = make(20, 5, SMALL).eval(), torch.tensor([[5, 6, 7]])
    close(model(F.pad(ids, (0, 4)))[:, :3], model(ids))


# Images


class PixelNorm(nn.Module):
    """LayerNorm over the one channel of a grey pixel: all that is left is its bias."""

    def __init__(self, size):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(1), nn.Linear(1, 10)

    def forward(self, images):
        return self.linear(self.norm(images.flatten(1)[..., None])).mean(1)


@known_bug("E000-17", lambda size: ImageClassifier(size, 4, 10, SMALL), PixelNorm)
def test_two_images_get_different_scores(make):
    model = make(8).eval()
    first, second = torch.randn(2, 1, 1, 8, 8).unbind(0)
    assert (model(first) - model(second)).abs().max() > 1e-4


@known_bug(
    "E000-18",
    lambda images: PatchEmbedding(224, 16, 3, 8)(images),
    lambda images: images.flatten(2).transpose(1, 2),  # each pixel a token: 50,176 of them
)
def test_a_photo_is_at_most_256_tokens(tokens):
    assert tokens(torch.randn(1, 3, 224, 224)).shape[1] <= 256


# Training and labels


@known_bug("E004-12", shift_right, lambda targets, start_id: targets)
def test_the_decoder_reads_what_stands_before_the_target(inputs):
    targets = torch.tensor([[5, 6, 7, 2]])
    assert inputs(targets, 1).tolist() == [[1, 5, 6, 7]]
    assert targets.tolist() == [[5, 6, 7, 2]]


def last_batch(model, batches):
    for inputs, labels in batches:
        loss = F.cross_entropy(model(inputs), labels)
    return {"loss": loss.item()}


@known_bug("E004-29", evaluate, last_batch)
def test_the_loss_is_the_mean_over_all_samples(measure):
    logits, labels = torch.randn(65, 3), torch.randint(3, (65,))
    batches = list(zip(logits.split(32), labels.split(32), strict=True))  # 32, 32 and 1
    expected = F.cross_entropy(logits, labels).item()
    assert measure(nn.Identity(), batches)["loss"] == pytest.approx(expected, rel=1e-5)


# [CLS], words 0, 1 and 2, a second piece of word 2, word 3, [SEP], [PAD]
WORDS = [-1, 0, 1, 2, 2, 3, -1, -1]


def copied(word_labels, words):
    """Labels from the first place on, filled up with 0, which is a label."""
    return torch.tensor([(labels + [0] * words.size(1))[: words.size(1)] for labels in word_labels])


@known_bug("E004-31", align_labels, copied)
def test_a_label_stands_at_the_first_piece_of_its_word(align):
    labels = align([[1, 5, 2, 4]], torch.tensor([WORDS]))
    assert labels.tolist() == [[-100, 1, 5, 2, -100, 4, -100, -100]]


@known_bug(
    "E004-32",
    align_labels,
    lambda word_labels, words: torch.tensor(  # filled up, but not cut off
        [labels + [0] * (words.size(1) - len(labels)) for labels in word_labels]
    ),
    ValueError,
)
def test_labels_of_words_that_were_cut_off_are_dropped(align):
    words = torch.tensor([list(range(16)), [0, 1] + [-1] * 14])
    labels = align([list(range(30)), [1, 2]], words)
    assert labels.tolist() == [list(range(16)), [1, 2] + [-100] * 14]


@known_bug("E004-33", align_labels, copied)
def test_padding_has_no_share_in_the_loss(align):
    words, logits = torch.tensor([[0, 1, -1, -1, -1, -1]]), torch.randn(1, 6, 3)
    loss = F.cross_entropy(logits.flatten(0, 1), align([[1, 2]], words).flatten())
    close(loss, F.cross_entropy(logits[0, :2], torch.tensor([1, 2])))


# The caller chooses the number of classes, so this bug is not the library's to have. The
# nearest property: a tagger scores as many classes as it is asked for, and one that is asked
# for too few is found out by the loss, not silently wrong.
LABELS = {"O": 0, "B": 1, "I": 2}


@known_bug(
    "E004-26",
    lambda: TokenClassifier(20, len(LABELS), SMALL),
    lambda: TokenClassifier(20, 2, SMALL),
    IndexError,
)
def test_every_label_has_a_score(make):
    logits = make()(torch.tensor([[1, 2, 3]]))
    assert F.cross_entropy(logits.flatten(0, 1), torch.tensor([*LABELS.values()])).isfinite()


def first_row(confusion):
    """The "average" is the row of one class."""
    return tuple(column[0].item() for column in class_scores(confusion)[:3])


@known_bug("E004-40", lambda confusion: tuple(average_scores(confusion, "weighted")), first_row)
def test_averages_are_computed_from_the_rows(average):
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])[torch.randint(7, (500,))]  # uneven supports
    predictions = torch.randint(3, (500,))
    confusion = torch.zeros(3, 3, dtype=torch.int64)
    for label, prediction in zip(labels.tolist(), predictions.tolist(), strict=True):
        confusion[label, prediction] += 1
    expected = precision_recall_fscore_support(labels, predictions, average="weighted")[:3]
    assert average(confusion) == pytest.approx(expected)


ALL = """
    E000-05 E000-08 E000-09 E000-11 E000-12 E000-13 E000-17 E000-18
    E001-06 E001-07 E001-12 E001-18
    E002-03 E002-04 E002-05 E002-06 E002-12 E002-12v E002-13 E002-14 E002-15 E002-18 E002-19
    E002-20 E002-21
    E003-02 E003-03 E003-04 E003-05 E003-06 E003-07 E003-08
    E004-12 E004-12b E004-14 E004-15 E004-16 E004-17 E004-18 E004-26 E004-29 E004-31 E004-32
    E004-33 E004-40
"""


def test_each_of_the_45_known_bugs_has_its_test():
    assert test_known_bugs.known_bug is test_known_bugs_positions.known_bug is known_bug
    assert sorted(NUMBERS) == ALL.split()
    assert len(NUMBERS) == 45
