"""encoderlib.data.shapes: boxes and masks are exact, and what is seen is what is said."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from encoderlib.data import COLOURS, SHAPES, shapes_task

cases = pytest.mark.parametrize(("size", "max_shapes"), [(32, 3), (29, 4), (7, 1), (41, 7)])


@cases
def test_boxes_are_those_of_the_masks(size, max_shapes):
    task = shapes_task(97, size, max_shapes, seed=1)
    for b in range(97):
        for k in range(max_shapes):
            mask = task.masks[b, k].numpy()
            x0, y0, x1, y1 = (int(edge) for edge in task.boxes[b, k])
            if k >= task.counts[b]:
                assert not mask.any()
                assert (x0, y0, x1, y1) == (0, 0, 0, 0)
                assert task.labels[b, k] == task.colours[b, k] == -1
                continue
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            assert (x0, x1) == (columns[0], columns[-1] + 1)
            assert (y0, y1) == (rows[0], rows[-1] + 1)
            assert x1 - x0 == y1 - y0 >= 7
            assert 0 <= task.labels[b, k] < len(SHAPES)
            assert 0 <= task.colours[b, k] < len(COLOURS)


def drawn_by_hand(label: int, cx: int, cy: int, radius: int, size: int) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    for y in range(size):
        for x in range(size):
            dx, dy = x - cx, y - cy
            mask[y, x] = (
                dx * dx + dy * dy <= radius * radius
                if SHAPES[label] == "circle"
                else max(abs(dx), abs(dy)) <= radius
                if SHAPES[label] == "square"
                else -radius <= dy <= radius and abs(dx) <= (dy + radius) / 2
            )
    return mask


def test_masks_are_the_shapes_that_the_labels_name():
    task = shapes_task(23, 31, 4, seed=2)
    seen = set()
    for b in range(23):
        for k in range(task.counts[b]):
            x0, y0, x1, y1 = (int(edge) for edge in task.boxes[b, k])
            label = int(task.labels[b, k])
            radius = (x1 - x0 - 1) // 2
            expected = drawn_by_hand(label, (x0 + x1 - 1) // 2, (y0 + y1 - 1) // 2, radius, 31)
            np.testing.assert_array_equal(task.masks[b, k].numpy(), expected)
            seen.add(label)
    assert seen == {0, 1, 2}


def test_a_triangle_stands_on_its_base_and_points_up():
    task = shapes_task(60, 32, 1, seed=0)
    for b in range(60):
        widths = task.masks[b, 0].sum(1)
        widths = widths[widths > 0]
        if task.labels[b, 0] == SHAPES.index("triangle"):
            assert widths[0] == 1
            assert widths[-1] == len(widths)
            assert (widths.diff() >= 0).all()


@cases
def test_no_two_shapes_share_a_pixel(size, max_shapes):
    task = shapes_task(50, size, max_shapes)
    assert task.masks.sum(dim=1).max() == 1
    for b in range(50):  # each shape is one piece, and the counts are those of the pieces or more
        for k in range(task.counts[b]):
            assert ndimage.label(task.masks[b, k].numpy(), np.ones((3, 3)))[1] == 1


def test_without_noise_each_pixel_has_its_shapes_colour():
    names = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
    names |= {"yellow": (1, 1, 0), "magenta": (1, 0, 1), "cyan": (0, 1, 1)}
    task = shapes_task(40, noise=0.0, seed=3)
    assert task.images.dtype == torch.float32
    assert task.images.shape == (40, 3, 32, 32)
    for b in range(40):
        expected = torch.zeros(3, 32, 32)
        for k in range(task.counts[b]):
            colour = torch.tensor(names[COLOURS[task.colours[b, k]]], dtype=torch.float32)
            expected += colour[:, None, None] * task.masks[b, k]
        assert torch.equal(task.images[b], expected)


def test_noise_is_as_large_as_asked_and_stays_in_the_range():
    clean, noisy = (shapes_task(50, noise=noise, seed=4) for noise in (0.0, 0.1))
    assert torch.equal(clean.masks, noisy.masks)
    assert noisy.images.min() == 0
    assert noisy.images.max() == 1
    change = (noisy.images - clean.images)[(clean.images == 0) & (noisy.images > 0)]
    assert abs(change.square().mean().sqrt() - 0.1) < 0.002  # half a normal distribution


def test_number_kind_colour_and_size_are_drawn_alike_and_apart():
    task = shapes_task(6000, 32, 3, seed=5)
    present = task.labels >= 0
    assert torch.equal(present.sum(1), task.counts)
    widths = (task.boxes[..., 2] - task.boxes[..., 0])[present]
    colours, labels = task.colours[present], task.labels[present]
    for drawn, kinds in (
        (task.counts - 1, 3),
        (labels, 3),
        (colours, 6),
        ((widths.long() - 7) // 2, 5),
        (labels + 3 * colours, 18),
    ):
        counts = drawn.bincount()
        expected = len(drawn) / kinds
        assert len(counts) == kinds
        assert (counts - expected).abs().max() < 5 * expected**0.5
    assert set(widths.tolist()) == {7, 9, 11, 13, 15}


def test_shapes_reach_every_edge_of_the_picture():
    boxes = shapes_task(3000, 32, 2, seed=6).boxes
    assert boxes[..., 2].max() == boxes[..., 3].max() == 32
    covered = shapes_task(3000, 32, 2, seed=6).masks.any(dim=(0, 1))
    assert covered[0].any()
    assert covered[:, 0].any()
    assert covered.float().mean() > 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0 and max_shapes=3 must be at least 1"),
        ({"n": 1, "max_shapes": 0}, "max_shapes=0 must be at least 1"),
        ({"n": 1, "noise": -0.1}, "noise=-0.1 at least 0"),
        ({"n": 1, "size": 13}, "size=13 is too small for max_shapes=3; it must be at least 14"),
        ({"n": 1, "size": 20, "max_shapes": 5}, "it must be at least 21"),
        ({"n": 1, "size": 6, "max_shapes": 1}, "it must be at least 7"),
    ],
)
def test_impossible_pictures_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        shapes_task(**arguments)


def test_the_smallest_picture_that_fits_is_drawn():
    assert shapes_task(5, 14, 3).counts.max() <= 3
    assert torch.equal(shapes_task(5, 7, 1).boxes[:, 0], torch.tensor([[0.0, 0, 7, 7]] * 5))


def test_the_seed_decides():
    first, again, other = (shapes_task(20, seed=seed) for seed in (8, 8, 9))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.masks, other.masks)
    generator = torch.Generator().manual_seed(8)
    assert torch.equal(shapes_task(20, seed=generator).images, first.images)
