"""Handwritten digits, split by writer, and the shift that augments them (chapter 14).

Source: Alpaydin, Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository; the copy that comes with scikit-learn (its extra is ``[book]``).
"""

import dataclasses
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["WRITER_STARTS", "Digits", "LabelledImages", "load_digits", "random_shift"]

FILLS = ("zero", "edge")

# Where each of the 14 forms starts in the file. The labels show it: 0 1 2 .. 9 0 1 2 ..
WRITER_STARTS = (0, 130, 256, 386, 516, 646, 776, 915, 1029, 1157, 1287, 1415, 1545, 1667)


class LabelledImages(NamedTuple):
    """Images and what they show; ``TensorDataset(*part)`` makes a data set of them.

    Args:
        images: ``(B, 1, 8, 8)``, float32.
        labels: ``(B,)``, int64, the digit 0 to 9.
    """

    images: Float[Tensor, "B 1 8 8"]
    labels: Int[Tensor, " B"]


@dataclasses.dataclass(frozen=True)
class Digits:
    """A training part and a test part, from different forms.

    Args:
        train: what may be learned from.
        test: what the model is judged on.
    """

    train: LabelledImages
    test: LabelledImages


def load_digits(development: bool = False, standardize: bool = False) -> Digits:
    """The 1,797 digits of scikit-learn, split by form: the test forms are all new.

    The file holds 14 filled-in forms, one after the other (`WRITER_STARTS`): each starts the
    same row of labels anew. The last three, 21 % of the images, are the test part. A cut at
    exactly 80 % would leave 23 images of a test writer to train on, and a random split has
    every writer on both sides: kinder numbers, but not for people you have not met.
    (scikit-learn counts 13 people for the 14 forms, so one hand may occur twice.)

    Args:
        development: True to choose a model, a size, a number of epochs. It splits the
            *training* writers: nine forms to train, two to judge by, no test image anywhere.
        standardize: False for pixels from 0 (paper) to 1 (ink); True to subtract the mean of
            all training pixels and divide by their standard deviation. Paper is then no
            longer 0: use ``fill="edge"`` in `random_shift`.

    Raises:
        ImportError: if scikit-learn is not there.
    """
    try:
        from sklearn.datasets import load_digits as read
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn: pip install scikit-learn, or install "
            "encoderlib with its extra [book]"
        ) from error
    bunch = read()
    images = torch.from_numpy(bunch.images).float()[:, None] / 16.0  # (1797, 1, 8, 8), 0 to 1
    labels = torch.from_numpy(bunch.target).long()  # (1797,)
    start, stop = (
        (WRITER_STARTS[9], WRITER_STARTS[11]) if development else (WRITER_STARTS[11], None)
    )
    if standardize:
        images = (images - images[:start].mean()) / images[:start].std()
    return Digits(
        train=LabelledImages(images[:start], labels[:start]),
        test=LabelledImages(images[start:stop], labels[start:stop]),
    )


def random_shift(
    images: Float[Tensor, "B C H W"],
    max_shift: int,
    generator: torch.Generator | None = None,
    fill: str = "zero",
) -> Float[Tensor, "B C H W"]:
    """Move each image by its own whole number of pixels, at most ``max_shift`` up, down, aside.

    ``out[b, c, y, x] = images[b, c, y - dy[b], x - dx[b]]`` with dy, dx uniform on
    ``-max_shift .. max_shift``. What leaves the frame is lost.

    Args:
        images: ``(B, C, H, W)``.
        max_shift: largest shift; 0 gives the images back.
        generator: where the shifts come from; None is torch's global CPU generator. A CPU
            generator gives the same shifts whatever device the images are on.
        fill: what comes in at the border: ``"zero"``, or ``"edge"`` for the border's own pixels.

    Raises:
        ValueError: if ``max_shift`` is not in 0..min(H, W) - 1, or for another ``fill``.

    Like ``torchvision.transforms.RandomAffine(0, translate=...)``, but a shift for each image.
    """
    batch, _, height, width = images.shape
    if not 0 <= max_shift < min(height, width):
        raise ValueError(
            f"max_shift={max_shift} must be at least 0 and smaller than the image, "
            f"{height} x {width}"
        )
    if fill not in FILLS:
        raise ValueError(f"fill={fill!r} must be one of {FILLS}")
    device = "cpu" if generator is None else generator.device
    shifts = torch.randint(
        -max_shift, max_shift + 1, (2, batch, 1), generator=generator, device=device
    ).to(images.device)  # (2, B, 1): dy and dx
    rows = torch.arange(height, device=images.device) - shifts[0]  # (B, H): where each row is from
    columns = torch.arange(width, device=images.device) - shifts[1]  # (B, W)
    index = torch.arange(batch, device=images.device)[:, None, None]  # (B, 1, 1)
    moved = images[
        index, :, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]  # (B, H, W, C): indexed axes first
    moved = moved.movedim(-1, 1)  # (B, C, H, W)
    if fill == "edge":
        return moved.contiguous()
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None, :
    ]  # (B, H, W)
    return moved.masked_fill(~inside[:, None], 0.0).contiguous()
