"""encoderlib.cache: what is stored comes back, in place, and nothing is allocated again."""

import pytest
import torch

from encoderlib import KVCache

B, G, LENGTH, WIDTH = 3, 2, 11, 5


def step(length, batch=B, heads=G, width=WIDTH):
    return torch.randn(batch, heads, length, width), torch.randn(batch, heads, length, width)


def full(*lengths):
    """A cache that got steps of these lengths, and everything that it got."""
    cache, steps = KVCache(B, G, LENGTH, WIDTH), [step(length) for length in lengths]
    for k, v in steps:
        cache.append(k, v)
    return cache, *(torch.cat(parts, dim=2) for parts in zip(*steps, strict=True))


def test_a_new_cache_is_empty():
    cache = KVCache(B, G, LENGTH, WIDTH)
    assert cache.size == 0
    for buffer in (cache.k, cache.v):
        assert buffer.shape == (B, G, LENGTH, WIDTH)
        assert buffer.dtype == torch.float32
        assert not buffer.any()
    assert all(part.shape == (B, G, 0, WIDTH) for part in cache.filled())


def test_buffers_have_the_dtype_and_device_that_are_asked_for():
    cache = KVCache(B, G, LENGTH, WIDTH, torch.bfloat16, "meta")
    for buffer in (cache.k, cache.v):
        assert buffer.dtype == torch.bfloat16
        assert buffer.device.type == "meta"


def test_appending_gives_back_all_that_is_stored():
    cache = KVCache(B, G, LENGTH, WIDTH)
    keys, values, size = [], [], 0
    for length in (3, 1, 0, 2, 5):  # 11: full to the last position
        k, v = step(length)
        keys.append(k)
        values.append(v)
        size += length
        got = cache.append(k, v)
        assert cache.size == size
        for parts in (got, cache.filled()):
            assert torch.equal(parts[0], torch.cat(keys, dim=2))
            assert torch.equal(parts[1], torch.cat(values, dim=2))


def test_no_step_allocates_a_buffer_again():
    cache = KVCache(B, G, LENGTH, WIDTH)
    pointers = cache.k.data_ptr(), cache.v.data_ptr()
    for length in (4, 1, 1, 5):
        k, v = cache.append(*step(length))
        assert (k.data_ptr(), v.data_ptr()) == pointers  # views, not copies
    cache.reorder(torch.tensor([2, 2, 0]))
    assert (cache.k.data_ptr(), cache.v.data_ptr()) == pointers


def test_positions_that_are_not_filled_stay_zero():
    cache, k, v = full(4, 3)
    assert torch.equal(cache.k[:, :, :7], k)
    assert torch.equal(cache.v[:, :, :7], v)
    assert not cache.k[:, :, 7:].any()
    assert not cache.v[:, :, 7:].any()


@pytest.mark.parametrize("index", [[2, 0, 1], [1, 1, 1], [0, 1, 2], [2, 2, 0]], ids=str)
def test_reordering_gives_each_row_what_another_held(index):
    cache, k, v = full(4, 3)
    cache.reorder(torch.tensor(index))
    assert torch.equal(cache.filled()[0], k[index])
    assert torch.equal(cache.filled()[1], v[index])
    assert cache.size == 7
    more = step(2)
    got = cache.append(*more)
    assert torch.equal(got[0], torch.cat([k[index], more[0]], dim=2))
    assert torch.equal(got[1], torch.cat([v[index], more[1]], dim=2))


def test_more_than_fits_is_refused_with_the_numbers():
    cache, k, _ = full(4, 5)
    message = "holds 11 positions, 9 are taken and 3 more came; make it with a larger length"
    with pytest.raises(ValueError, match=message):
        cache.append(*step(3))
    assert cache.size == 9
    assert torch.equal(cache.filled()[0], k)
    cache.append(*step(2))
    with pytest.raises(ValueError, match="holds 11 positions, 11 are taken and 1 more"):
        cache.append(*step(1))


@pytest.mark.parametrize("wrong", [{"batch": 1}, {"heads": 1}, {"width": 1}, {"width": 7}], ids=str)
def test_keys_of_another_shape_are_refused(wrong, unchecked):
    """An axis of size 1 would be broadcast over the buffer, without an error."""
    cache = KVCache(B, G, LENGTH, WIDTH)
    right, other = step(2), step(2, **wrong)
    shape = str(tuple(other[0].shape)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"keys {shape} .* cache for \(3, 2, T, 5\)"):
        cache.append(*other)
    with pytest.raises(ValueError, match=rf"values {shape} do not fit"):
        cache.append(right[0], other[1])
    assert cache.size == 0


def test_as_many_values_as_keys(unchecked):
    with pytest.raises(ValueError, match="do not fit a cache"):
        KVCache(B, G, LENGTH, WIDTH).append(step(2)[0], step(1)[1])
