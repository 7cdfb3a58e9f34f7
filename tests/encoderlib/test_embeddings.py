"""encoderlib.embeddings: look-up against one-hot products, patches against a convolution."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from encoderlib import PatchEmbedding, TokenEmbedding, patchify, unpatchify


@pytest.mark.parametrize("scale", [True, False])
def test_look_up_is_a_product_with_one_hot_rows(scale):
    """Erratum E004-18: ids multiplied as if they were numbers."""
    embedding = TokenEmbedding(13, 6, scale=scale)
    ids = torch.randint(13, (3, 7))
    one_hot = nn.functional.one_hot(ids, 13).float()
    expected = one_hot @ embedding.table.weight * (math.sqrt(6) if scale else 1.0)
    assert embedding(ids).shape == (3, 7, 6)
    torch.testing.assert_close(embedding(ids), expected)


def test_scaled_vectors_have_variance_one_and_scaling_is_the_default():
    """Erratum E000-02: without the scale, positions of norm sqrt(D / 2) drown the words."""
    vectors = TokenEmbedding(500, 64, padding_id=None)(torch.arange(500)[None])
    assert abs(vectors.std() - 1.0) < 0.02
    assert abs(vectors.norm(dim=-1).mean() / 8.0 - 1) < 0.02
    plain = TokenEmbedding(500, 64, padding_id=None, scale=False)(torch.arange(500)[None])
    assert abs(plain.std() - 1 / 8) < 0.003


@pytest.mark.parametrize("padding_id", [0, 4])
def test_padding_is_zero_and_gets_no_gradient(padding_id):
    embedding = TokenEmbedding(7, 6, padding_id)
    ids = torch.arange(7)[None]
    vectors = embedding(ids)
    assert (vectors[0, padding_id] == 0).all()
    vectors.sum().backward()
    others = [i for i in range(7) if i != padding_id]
    assert (vectors[0, others] != 0).all()
    assert (embedding.table.weight.grad[padding_id] == 0).all()
    assert (embedding.table.weight.grad[others] != 0).all()


def test_padding_is_id_zero_unless_said_otherwise():
    assert (TokenEmbedding(7, 6)(torch.tensor([[0]])) == 0).all()
    assert (TokenEmbedding(7, 6, padding_id=None)(torch.tensor([[0]])) != 0).all()


@pytest.mark.parametrize("wrong", [7, -1])
def test_an_id_outside_the_vocabulary_is_refused(wrong):
    with pytest.raises(IndexError):
        TokenEmbedding(7, 6)(torch.tensor([[1, wrong]]))


def patches_by_loops(images, size, stride):
    batch, channels, height, width = images.shape
    rows, columns = range(0, height - size + 1, stride), range(0, width - size + 1, stride)
    return np.stack(
        [
            np.stack(
                [
                    np.concatenate(
                        [images[b, c, i : i + size, j : j + size].ravel() for c in range(channels)]
                    )
                    for i in rows
                    for j in columns
                ]
            )
            for b in range(batch)
        ]
    )


# (B, C, H, W, P, stride)
CUTS = [(3, 2, 15, 10, 5, None), (2, 1, 4, 4, 2, 2), (2, 3, 7, 11, 3, 2), (4, 4, 4, 4, 4, 1)]


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_patches_go_row_by_row_channel_first(cut):
    *shape, size, stride = cut
    images = torch.randn(shape)
    expected = patches_by_loops(images.numpy(), size, stride or size)
    np.testing.assert_array_equal(patchify(images, size, stride), expected)


@pytest.mark.parametrize("shape", [(3, 2, 15, 10), (2, 1, 5, 5), (5, 5, 10, 20)], ids=str)
def test_unpatchify_undoes_patchify(shape):
    images = torch.randn(shape)
    assert torch.equal(unpatchify(patchify(images, 5), 5, *shape[2:]), images)


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [((1, 1, 8, 9), 4, None), ((1, 1, 9, 8), 4, None), ((1, 1, 3, 3), 4, 1), ((1, 1, 8, 8), 4, 3)],
)
def test_patches_that_would_cut_off_a_border_are_refused(shape, size, stride):
    with pytest.raises(ValueError, match="do not tile an image"):
        patchify(torch.zeros(shape), size, stride)


# (image, P, C, D, stride): stride None is no overlap.
EMBEDDINGS = [(15, 5, 2, 7, None), (8, 4, 1, 5, 1), (11, 3, 3, 13, 2), (4, 2, 4, 4, 2)]


@pytest.mark.parametrize("sizes", EMBEDDINGS, ids=str)
def test_a_patch_embedding_is_a_convolution(sizes, randomise):
    image, size, channels, d_model, stride = sizes
    embedding = randomise(PatchEmbedding(image, size, channels, d_model, stride))
    convolution = nn.Conv2d(channels, d_model, size, stride or size)
    with torch.no_grad():
        convolution.weight.copy_(embedding.projection.weight.view_as(convolution.weight))
        convolution.bias.copy_(embedding.projection.bias)
    images = torch.randn(3, channels, image, image)
    expected = convolution(images).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embedding(images), expected)
    assert embedding.n_patches == expected.size(1) == embedding.grid**2


def test_there_are_few_tokens_and_not_one_for_each_pixel():
    """Erratum E000-18: pixels as tokens make attention impossible on real images."""
    assert PatchEmbedding(224, 16, 3, 8).n_patches == 196


def test_a_patch_vector_depends_on_its_own_pixels_only(randomise):
    embedding = randomise(PatchEmbedding(8, 4, 1, 3))
    images = torch.randn(1, 1, 8, 8, requires_grad=True)
    embedding(images)[0, 1].sum().backward()  # the upper right patch
    seen = images.grad[0, 0] != 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, 4:] = True
    assert torch.equal(seen, expected)


def test_different_images_get_different_vectors(randomise):
    """Erratum E000-17: a norm over the single grey channel erases the image."""
    embedding = randomise(PatchEmbedding(8, 4, 1, 16))
    assert (embedding(torch.randn(1, 1, 8, 8)) - embedding(torch.randn(1, 1, 8, 8))).std() > 0.1


@pytest.mark.parametrize(("image", "size", "stride"), [(9, 4, None), (3, 4, 1), (8, 4, 3)])
def test_sizes_that_do_not_tile_are_refused(image, size, stride):
    with pytest.raises(ValueError, match=r"do not tile an image of \d; choose sizes"):
        PatchEmbedding(image, size, 1, 5, stride)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 1, 8, 4), (2, 1, 12, 12)])
def test_images_of_another_size_are_refused(shape):
    with pytest.raises(ValueError, match=r"= \(1, 8, 8\), got"):
        PatchEmbedding(8, 4, 1, 5)(torch.zeros(shape))


def test_embeddings_follow_their_dtype():
    assert TokenEmbedding(7, 6).to(torch.bfloat16)(torch.tensor([[1]])).dtype == torch.bfloat16
    images = torch.zeros(1, 1, 8, 8, dtype=torch.bfloat16)
    assert PatchEmbedding(8, 4, 1, 5).to(torch.bfloat16)(images).dtype == torch.bfloat16
