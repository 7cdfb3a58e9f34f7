"""Token and patch embeddings: from integers or pixels to ``(B, T, D)`` (chapters 02 and 14)."""

import math

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

__all__ = ["PatchEmbedding", "TokenEmbedding", "patchify", "unpatchify"]


class TokenEmbedding(nn.Module):
    r"""A learned vector for each token: ``E[ids] * sqrt(D)``.

    Args:
        vocab_size: number of tokens V.
        d_model: width D.
        padding_id: the id whose vector stays zero and gets no gradient; None for none.
        scale: multiply by ``sqrt(d_model)`` (Vaswani et al. 2017, section 3.4), so that the
            embedding is not drowned by sinusoidal positions of norm ``sqrt(D/2)``. BERT does not.

    The table starts as N(0, 1/D): scaled vectors have entries of variance 1.
    """

    def __init__(
        self, vocab_size: int, d_model: int, padding_id: int | None = 0, scale: bool = True
    ):
        super().__init__()
        self.table = nn.Embedding(vocab_size, d_model, padding_idx=padding_id)
        self.scale = math.sqrt(d_model) if scale else 1.0
        nn.init.normal_(self.table.weight, std=d_model**-0.5)
        if padding_id is not None:
            nn.init.zeros_(self.table.weight.data[padding_id])

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Look up each id; an id outside 0..V-1 raises IndexError."""
        return self.table(ids) * self.scale  # (B, T) -> (B, T, D)


def patchify(
    images: Float[Tensor, "B C H W"], patch_size: int, stride: int | None = None
) -> Float[Tensor, "B N PPC"]:
    """Cut images into P x P patches, row by row: ``(B, C, H, W)`` to ``(B, N, C*P*P)``.

    A patch is flattened channel first, then row, then column, which is the order of a
    convolution's weight: a patch embedding is a convolution with ``kernel_size = patch_size``.

    Args:
        images: ``(B, C, H, W)``.
        patch_size: P.
        stride: step between patches; by default P (no overlap).

    Raises:
        ValueError: if the patches do not cover the image exactly, which would silently
            cut off its right and lower border.
    """
    stride = patch_size if stride is None else stride
    height, width = images.shape[-2:]
    if any(size < patch_size or (size - patch_size) % stride for size in (height, width)):
        raise ValueError(
            f"patches of {patch_size} with stride {stride} do not tile an image of "
            f"{height} x {width}; resize or pad the image, or change patch_size or stride"
        )
    return F.unfold(images, patch_size, stride=stride).transpose(1, 2)  # (B, N, C*P*P)


def unpatchify(
    patches: Float[Tensor, "B N PPC"], patch_size: int, height: int, width: int
) -> Float[Tensor, "B C H W"]:
    """Put patches that do not overlap back together: the inverse of `patchify`."""
    return F.fold(patches.transpose(1, 2), (height, width), patch_size, stride=patch_size)


class PatchEmbedding(nn.Module):
    r"""One vector for each patch of an image: ``x_p E + b``.

    Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", equation 1; chapter 14.

    Args:
        image_size: height and width of the (square) images.
        patch_size: P.
        channels: C, 1 for grey and 3 for colour.
        d_model: width D.
        stride: step between patches; smaller than P for overlapping patches.

    Raises:
        ValueError: if the patches do not tile the image.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        channels: int,
        d_model: int,
        stride: int | None = None,
    ):
        super().__init__()
        self.patch_size = patch_size
        self.stride = patch_size if stride is None else stride
        if image_size < patch_size or (image_size - patch_size) % self.stride:
            raise ValueError(
                f"patches of {patch_size} with stride {self.stride} do not tile an image of "
                f"{image_size}; choose sizes with (image_size - patch_size) % stride == 0"
            )
        self.image_shape = (channels, image_size, image_size)
        self.grid = (image_size - patch_size) // self.stride + 1  # patches in a row
        self.n_patches = self.grid**2
        self.projection = nn.Linear(channels * patch_size**2, d_model)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        """Cut and project; N = `n_patches`, in row-major order.

        Raises:
            ValueError: if the images are not of the declared size.
        """
        if images.shape[1:] != self.image_shape:
            raise ValueError(
                f"expected images of (channels, height, width) = {self.image_shape}, "
                f"got {tuple(images.shape[1:])}"
            )
        return self.projection(patchify(images, self.patch_size, self.stride))  # (B, N, D)
