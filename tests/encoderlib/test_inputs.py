"""encoderlib.inputs: sums of tables against NumPy loops, and dependencies by autograd.

`test_pretrained` compares both with the embeddings of `transformers`.
"""

import numpy as np
import pytest
import torch

from encoderlib.inputs import ImageEmbedding, TextEmbedding


def text_by_loops(embedding, ids, segments):
    tables = {name: p.detach().double().numpy() for name, p in embedding.named_parameters()}
    out = np.empty((*ids.shape, embedding.arguments()["d_model"]))
    for b in range(ids.shape[0]):
        for t in range(ids.shape[1]):
            x = tables["tokens.table.weight"][ids[b, t]] + tables["positions.table"][t]
            if "segments.weight" in tables:
                x = x + tables["segments.weight"][segments[b, t]]
            if "norm.weight" in tables:
                x = (x - x.mean()) / np.sqrt(x.var() + embedding.norm.eps)
                x = x * tables["norm.weight"] + tables["norm.bias"]
            out[b, t] = x
    return torch.from_numpy(out).float()


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("n_segments", [0, 2, 3])
def test_text_is_token_plus_position_plus_segment_then_norm(n_segments, norm, randomise):
    embedding = randomise(TextEmbedding(13, 6, 11, n_segments, norm=norm, eps=0.1))
    ids = torch.randint(13, (3, 7))
    segments = torch.randint(max(1, n_segments), (3, 7))
    got = embedding(ids, segments) if n_segments else embedding(ids)
    assert got.shape == (3, 7, 6)
    torch.testing.assert_close(got, text_by_loops(embedding, ids, segments))


def test_without_segments_all_tokens_are_of_segment_zero(randomise):
    embedding = randomise(TextEmbedding(13, 6, 11, n_segments=2))
    ids = torch.randint(13, (3, 7))
    assert torch.equal(embedding(ids), embedding(ids, torch.zeros_like(ids)))
    assert not torch.allclose(embedding(ids), embedding(ids, torch.ones_like(ids)))


def test_defaults_are_those_of_bert_without_segments():
    embedding = TextEmbedding(13, 6, 11)
    assert embedding.segments is None
    assert embedding.norm.eps == 1e-12
    assert embedding.dropout.p == 0.0
    assert (embedding.tokens.table.weight[0] == 0).all()
    assert (embedding.tokens.table.weight[1:] != 0).all()
    assert embedding.tokens.scale == 1.0


def test_padding_gets_no_gradient_and_none_is_no_padding(randomise):
    ids = torch.arange(7)[None]
    embedding = randomise(TextEmbedding(7, 6, 7, padding_id=4))
    embedding(ids)[..., 0].sum().backward()
    rows = embedding.tokens.table.weight.grad.abs().sum(dim=1)
    assert rows[4] == 0
    assert (rows[[0, 1, 2, 3, 5, 6]] > 0).all()
    embedding = randomise(TextEmbedding(7, 6, 7, padding_id=None))
    embedding(ids)[..., 0].sum().backward()
    assert (embedding.tokens.table.weight.grad.abs().sum(dim=1) > 0).all()


def test_tables_start_small_as_in_bert():
    embedding = TextEmbedding(7, 500, 50, n_segments=2)
    assert abs(embedding.segments.weight.std() - 0.02) < 0.002
    assert abs(embedding.positions.table.std() - 0.02) < 0.001
    image = ImageEmbedding(8, 4, 1, 500, n_prefix=2)
    assert abs(image.prefix.std() - 0.02) < 0.002
    assert abs(image.positions.table.std() - 0.02) < 0.001


@pytest.mark.parametrize("make", [TextEmbedding, ImageEmbedding])
def test_dropout_is_last_and_in_training_only(make, randomise):
    text = make is TextEmbedding
    sizes = (13, 60, 11) if text else (8, 4, 1, 60)
    embedding = randomise(make(*sizes, dropout=0.5))
    x = torch.randint(13, (3, 7)) if text else torch.randn(3, 1, 8, 8)
    plain = embedding.eval()(x)
    assert (plain != 0).all()
    dropped = embedding.train()(x)
    kept = dropped != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(dropped[kept], 2 * plain[kept])


def test_text_that_does_not_fit_its_tables_is_refused():
    embedding = TextEmbedding(13, 6, 5, n_segments=2)
    assert embedding(torch.ones(1, 5, dtype=torch.long)).shape == (1, 5, 6)
    with pytest.raises(ValueError, match="sequence of 6 positions, but the table has 5"):
        embedding(torch.ones(1, 6, dtype=torch.long))
    with pytest.raises(IndexError):
        embedding(torch.tensor([[13]]))
    with pytest.raises(IndexError):
        embedding(torch.tensor([[1]]), torch.tensor([[2]]))
    with pytest.raises(ValueError, match="no segment table; leave them out or build it with n_seg"):
        TextEmbedding(13, 6, 5)(torch.tensor([[1]]), torch.tensor([[0]]))
    with pytest.raises(ValueError, match="n_segments=-1 must be at least 0"):
        TextEmbedding(13, 6, 5, n_segments=-1)


@pytest.mark.parametrize("n_prefix", [0, 1, 2])
def test_an_image_is_prefix_then_patches_plus_positions(n_prefix, randomise):
    embedding = randomise(ImageEmbedding(15, 5, 2, 7, n_prefix))
    images = torch.randn(3, 2, 15, 15)
    got = embedding(images)
    assert got.shape == (3, n_prefix + 9, 7)
    positions = embedding.positions.table
    for b in range(3):
        torch.testing.assert_close(got[b, :n_prefix], embedding.prefix + positions[:n_prefix])
        patches = embedding.patches(images[b : b + 1])[0]
        torch.testing.assert_close(got[b, n_prefix:], patches + positions[n_prefix:])


def test_an_image_has_one_prefix_token_unless_said_otherwise():
    embedding = ImageEmbedding(8, 4, 3, 7)
    assert embedding.prefix.shape == (1, 7)
    assert embedding.dropout.p == 0.0


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected images .* = \(1, 8, 8\), got \(1, 12, 12\)"):
        ImageEmbedding(8, 4, 1, 5)(torch.zeros(2, 1, 12, 12))
    with pytest.raises(ValueError, match="do not tile an image of 9"):
        ImageEmbedding(9, 4, 1, 5)
    with pytest.raises(ValueError, match="n_prefix=-1 must be at least 0"):
        ImageEmbedding(8, 4, 1, 5, n_prefix=-1)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (
            TextEmbedding,
            {
                "vocab_size": 13,
                "d_model": 6,
                "max_length": 11,
                "n_segments": 3,
                "padding_id": 5,
                "norm": False,
                "eps": 0.25,
                "dropout": 0.5,
            },
        ),
        (
            ImageEmbedding,
            {
                "image_size": 15,
                "patch_size": 5,
                "channels": 2,
                "d_model": 7,
                "n_prefix": 2,
                "dropout": 0.5,
            },
        ),
    ],
)
def test_arguments_rebuild_the_embedding(make, arguments, randomise):
    embedding = randomise(make(**arguments))
    assert embedding.arguments() == arguments
    embedding.arguments().clear()  # a copy: whoever changes it changes nothing here
    twin = make(**embedding.arguments())
    twin.load_state_dict(embedding.state_dict())
    for one, other in zip(twin.parameters(), embedding.parameters(), strict=True):
        assert torch.equal(one, other)


def test_inputs_follow_their_dtype():
    text = TextEmbedding(7, 6, 5, n_segments=2).to(torch.bfloat16)
    assert text(torch.tensor([[1]]), torch.tensor([[1]])).dtype == torch.bfloat16
    image = ImageEmbedding(8, 4, 1, 5).to(torch.bfloat16)
    assert image(torch.zeros(1, 1, 8, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16
