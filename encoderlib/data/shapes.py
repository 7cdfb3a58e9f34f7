"""Small pictures of coloured shapes, with boxes and masks that are exact (chapters 14 and 18)."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from encoderlib.data.seeds import as_generator

__all__ = ["COLOURS", "SHAPES", "ShapesTask", "shapes_task"]

SHAPES = ("circle", "square", "triangle")
COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan")
RGB = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1))
SMALLEST = 3  # half the width of the smallest shape, in pixels


class ShapesTask(NamedTuple):
    """Pictures and the truth about them; K is the largest number of shapes in one.

    Shapes of a picture are in no order; the places after the last one hold -1, 0 or False.

    Args:
        images: ``(B, 3, H, W)``, float32, 0 to 1, on a dark ground.
        counts: ``(B,)``, int64, shapes in each picture, 1 to K.
        labels: ``(B, K)``, int64, an index into `SHAPES`, -1 for none.
        colours: ``(B, K)``, int64, an index into `COLOURS`, -1 for none.
        boxes: ``(B, K, 4)``, float32, ``(x0, y0, x1, y1)`` in pixels, x to the right and y down
            from the top left corner; the shape's pixels are ``x0 <= x < x1``, ``y0 <= y < y1``,
            so that ``x1 - x0`` is the width.
        masks: ``(B, K, H, W)``, bool, the pixels of each shape.
    """

    images: Float[Tensor, "B 3 H W"]
    counts: Int[Tensor, " B"]
    labels: Int[Tensor, "B K"]
    colours: Int[Tensor, "B K"]
    boxes: Float[Tensor, "B K 4"]
    masks: Bool[Tensor, "B K H W"]


def shapes_task(
    n: int,
    size: int = 32,
    max_shapes: int = 3,
    noise: float = 0.05,
    seed: int | torch.Generator = 0,
) -> ShapesTask:
    """Pictures of 1 to ``max_shapes`` circles, squares and triangles, none over another.

    Number, kind, colour, size and place are drawn apart from each other, so colour says nothing
    about kind. With centre c and half width r (whole pixels), a pixel at (dx, dy) from c is in a
    circle if ``dx^2 + dy^2 <= r^2``, in a square if ``max(|dx|, |dy|) <= r``, in a triangle that
    stands on its base if ``|dy| <= r`` and ``2 |dx| <= dy + r``. Each of them fills its box
    ``(cx - r, cy - r, cx + r + 1, cy + r + 1)`` to all four edges. Shapes keep apart because each
    has a cell of an even grid to itself; which cells are used is drawn too.

    Args:
        n: number of pictures.
        size: H and W.
        max_shapes: K.
        noise: standard deviation of what is added to each pixel; the sum is cut to 0..1.
        seed: a whole number, or a CPU generator.

    Raises:
        ValueError: if a number is less than 1, ``noise`` is negative, or ``size`` is too small
            for that many shapes.

    COCO stores ``(x, y, width, height)``; torchvision's ``masks_to_boxes`` gives the last pixel
    *in* the mask as x1, one less than here.
    """
    grid = math.ceil(math.sqrt(max_shapes)) if max_shapes > 0 else 1  # cells a side
    cell = size // grid
    if n < 1 or max_shapes < 1 or noise < 0:
        raise ValueError(
            f"n={n} and max_shapes={max_shapes} must be at least 1, noise={noise} at least 0"
        )
    if cell < 2 * SMALLEST + 1:
        raise ValueError(
            f"size={size} is too small for max_shapes={max_shapes}; it must be at least "
            f"{grid * (2 * SMALLEST + 1)}"
        )
    generator = as_generator(seed)

    def draw(high: int | Tensor) -> Tensor:
        """Whole numbers 0 to high - 1, each as likely as the others."""
        return (torch.rand(n, max_shapes, generator=generator, dtype=torch.float64) * high).long()

    counts = 1 + torch.randint(max_shapes, (n,), generator=generator)  # (B,)
    labels, colours = draw(len(SHAPES)), draw(len(COLOURS))  # (B, K)
    radius = SMALLEST + draw((cell - 1) // 2 - SMALLEST + 1)  # (B, K)
    cells = torch.rand(n, grid**2, generator=generator).argsort(dim=1)[:, :max_shapes]  # (B, K)
    room = cell - 2 * radius  # places for a centre in its cell, along one axis
    cx = cells % grid * cell + radius + draw(room)  # (B, K)
    cy = cells // grid * cell + radius + draw(room)

    present = torch.arange(max_shapes) < counts[:, None]  # (B, K)
    masks = _inside(labels, cx, cy, radius, size) & present[:, :, None, None]  # (B, K, H, W)
    boxes = torch.stack([cx - radius, cy - radius, cx + radius + 1, cy + radius + 1], dim=-1)
    colour = torch.tensor(RGB, dtype=torch.float32)[colours]  # (B, K, 3)
    images = torch.einsum("bkc,bkhw->bchw", colour, masks.float())  # (B, 3, H, W): none overlap
    images += noise * torch.randn(images.shape, generator=generator)
    return ShapesTask(
        images=images.clamp(0, 1),
        counts=counts,
        labels=labels.where(present, -1),
        colours=colours.where(present, -1),
        boxes=boxes.float() * present[:, :, None],  # (B, K, 4)
        masks=masks,
    )


def _inside(labels: Tensor, cx: Tensor, cy: Tensor, radius: Tensor, size: int) -> Tensor:
    """Which pixels belong to each shape: ``(B, K)`` of everything to ``(B, K, H, W)``."""
    pixel = torch.arange(size)
    dx = (pixel - cx[:, :, None])[:, :, None, :]  # (B, K, 1, W)
    dy = (pixel - cy[:, :, None])[:, :, :, None]  # (B, K, H, 1)
    radius, labels = radius[:, :, None, None], labels[:, :, None, None]  # (B, K, 1, 1)
    circle = dx**2 + dy**2 <= radius**2  # (B, K, H, W)
    square = (dx.abs() <= radius) & (dy.abs() <= radius)
    triangle = (dy.abs() <= radius) & (2 * dx.abs() <= dy + radius)
    return torch.where(labels == 0, circle, torch.where(labels == 1, square, triangle))
