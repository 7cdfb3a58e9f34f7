"""encoderlib.data.digits: the split keeps writers apart, a shift moves and does nothing else."""

import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

from encoderlib.data import WRITER_STARTS, Digits, LabelledImages, load_digits, random_shift

sklearn_datasets = pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_split_is_in_the_order_of_the_file_and_loses_nothing(digits):
    bunch = sklearn_datasets.load_digits()
    images = torch.cat([digits.train.images, digits.test.images])
    labels = torch.cat([digits.train.labels, digits.test.labels])
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    np.testing.assert_array_equal(images[:, 0].numpy() * 16, bunch.images)
    np.testing.assert_array_equal(labels.numpy(), bunch.target)


def test_sizes_and_scale(digits):
    assert len(digits.train.labels) == 1415
    assert len(digits.test.labels) == 382
    assert digits.train.images.min() == 0
    assert digits.train.images.max() == 1
    assert set(digits.test.labels.tolist()) == set(range(10))


def test_the_cuts_lie_between_two_forms():
    """Each form opens with 0..9 and then 0..6 again; nowhere else do 17 labels run like that."""
    labels = "".join(map(str, sklearn_datasets.load_digits().target))
    opening = "01234567890123456"
    found = [i for i in range(len(labels)) if labels.startswith(opening, i)]
    assert [i for i in found if i - 10 not in found] == list(WRITER_STARTS)
    for development in (False, True):
        split = load_digits(development)
        end = len(split.train.labels)
        assert end in WRITER_STARTS
        assert end + len(split.test.labels) in (*WRITER_STARTS, 1797)


def test_development_never_holds_a_test_image(digits):
    development = load_digits(development=True)
    assert len(development.train.labels) == 1157
    assert len(development.test.labels) == 258
    rejoined = torch.cat([development.train.images, development.test.images])
    assert torch.equal(rejoined, digits.train.images)


@pytest.mark.parametrize("development", [False, True])
def test_standardize_uses_the_training_pixels_only(development):
    plain, standard = load_digits(development), load_digits(development, standardize=True)
    assert standard.train.images.mean().abs() < 1e-5
    assert abs(standard.train.images.std() - 1) < 1e-5
    mean, std = plain.train.images.mean(), plain.train.images.std()
    torch.testing.assert_close(standard.test.images, (plain.test.images - mean) / std)


def test_missing_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"\[book\]"):
        load_digits()


def test_parts_cannot_be_swapped_by_accident(digits):
    with pytest.raises(AttributeError):
        digits.train = digits.test
    assert isinstance(digits.train, LabelledImages)


def distinct_images(batch=5, channels=2, height=7, width=11):
    """Every pixel has a value of its own, and none is 0."""
    count = batch * channels * height * width
    return torch.arange(1.0, count + 1).reshape(batch, channels, height, width)


@pytest.mark.parametrize(("fill", "mode"), [("zero", "constant"), ("edge", "nearest")])
def test_shift_agrees_with_scipy(fill, mode):
    images = distinct_images(batch=13)
    shifted = random_shift(images, 3, torch.Generator().manual_seed(0), fill=fill)
    drawn = torch.randint(-3, 4, (2, 13, 1), generator=torch.Generator().manual_seed(0))
    assert len(set(drawn[:, :, 0].T.flatten().tolist())) > 3  # the images do not move together
    for b, (dy, dx) in enumerate(drawn[:, :, 0].T.tolist()):
        expected = ndimage.shift(images[b].numpy(), (0, dy, dx), order=0, mode=mode)
        np.testing.assert_array_equal(shifted[b].numpy(), expected)


def test_each_shift_is_about_equally_likely():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1
    moved = random_shift(image.expand(9000, -1, -1, -1), 1, torch.Generator().manual_seed(3))
    counts = moved.sum(dim=(0, 1))  # (5, 5)
    assert counts.sum() == 9000
    assert ((counts[1:4, 1:4] - 1000).abs() < 150).all()  # 5 standard deviations


def test_shift_of_zero_gives_the_images_back():
    images = distinct_images()
    assert torch.equal(random_shift(images, 0), images)


def test_shift_leaves_its_input_and_the_global_generator_alone():
    images = distinct_images()
    before, state = images.clone(), torch.get_rng_state()
    random_shift(images, 2, torch.Generator().manual_seed(1))
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_same_generator_same_shifts_in_any_dtype():
    images = distinct_images()
    first = random_shift(images, 2, torch.Generator().manual_seed(1))
    half = random_shift(images.bfloat16(), 2, torch.Generator().manual_seed(1))
    assert half.dtype == torch.bfloat16
    assert torch.equal(first.bfloat16(), half)


@pytest.mark.parametrize("max_shift", [-1, 7, 8])
def test_shift_larger_than_the_image_is_refused(max_shift):
    with pytest.raises(ValueError, match="max_shift"):
        random_shift(distinct_images(), max_shift)


def test_unknown_fill_is_refused():
    with pytest.raises(ValueError, match="fill"):
        random_shift(distinct_images(), 1, fill="mirror")
