"""Plain data: the same on the other side, whatever its size and shape."""

import collections
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import re

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grading.border import Malformed, NotPlain, codec

codec.load_libraries()


def refuse(_encoder, value):
    raise NotPlain(type(value).__name__)


def trip(value):
    """There and back through bytes."""
    encoder = codec.Encoder(refuse)
    node = msgpack.unpackb(msgpack.packb(encoder.encode(value)))
    decoder = codec.Decoder(b"".join(encoder.tail))
    result = decoder.decode(node)
    decoder.finish()
    return result


def same(one, other):
    """Equal in type and value, NaN included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(a, c) and same(b, d)
            for (a, b), (c, d) in zip(one.items(), other.items(), strict=True)
        )
    return one == other


text = st.text(st.characters(exclude_categories=("Cs",)))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    text,
    st.binary(),
)
keys = st.one_of(st.booleans(), st.integers(), text, st.binary(), st.tuples(st.integers(), text))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=5),
        st.sets(keys, max_size=5),
        st.frozensets(keys, max_size=5),
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_plain_data_comes_back_as_it_was(value):
    assert same(trip(value), value)


Point = collections.namedtuple("Point", "x y")
OTHERS = [
    bytearray(b"abc"),
    range(3, 30, 7),
    range(2**70),
    slice(1, None, -1),
    Ellipsis,
    NotImplemented,
    decimal.Decimal("-1.50"),
    decimal.Decimal("Infinity"),
    fractions.Fraction(-7, 3),
    datetime.datetime(2026, 2, 28, 23, 59, 59, 7),
    datetime.datetime(2026, 2, 28, tzinfo=datetime.UTC),
    datetime.date(1999, 1, 1),
    datetime.time(3, 4),
    datetime.timedelta(-3, 5, 7),
    pathlib.Path("a/b"),
    re.compile(r"(a|b)+\d", re.IGNORECASE),
    collections.Counter("abracadabra"),
    collections.OrderedDict([("b", 1), ("a", [2])]),
    collections.deque([1, [2]], maxlen=5),
    [2**63, 2**64, -(2**63), -(2**63) - 1, 1.5, None],
    {1: [2, {3}], "a": (4, 5.0)},
    np.float32(1.5),
    np.float64(-0.0),
    np.int8(-3),
    np.bool_(True),
    np.complex64(1 + 2j),
    np.datetime64("2026-01-02"),
    np.timedelta64(5, "h"),
    np.str_("ab"),
    np.dtype("float32"),
    torch.float16,
    torch.bfloat16,
    torch.device("cpu"),
    torch.Size([2, 3]),
]


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
def test_other_values_come_back_as_they_were(value):
    got = trip(value)
    assert got == value
    if not isinstance(value, np.str_):  # it is a str: a subclass crosses as its base
        assert type(got) is type(value)


class MyInt(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class MyFloat(float):
    pass


class MyStr(str):
    def __str__(self):
        return "forged"


class MyList(list):
    def __iter__(self):
        return iter([42])


class MyDict(dict):
    def items(self):
        return [("forged", 1)]


class Colour(enum.IntEnum):
    RED = 3


class MyArray(np.ndarray):
    pass


class MyTensor(torch.Tensor):
    pass


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (MyInt(5), 5),
        (MyFloat(-0.0), -0.0),
        (MyStr("abc"), "abc"),
        (MyList([1, 2]), [1, 2]),
        (MyDict(a=1), {"a": 1}),
        (Colour.RED, 3),
        (True, True),
    ],
)
def test_a_subclass_crosses_as_its_plain_base(value, plain):
    got = trip(value)
    assert type(got) is type(plain)
    assert got == plain


def test_subclasses_of_arrays_cross_as_their_base():
    array = np.arange(6.0).view(MyArray)
    assert type(trip(array)) is np.ndarray
    tensor = torch.arange(6.0).as_subclass(MyTensor)
    assert type(trip(tensor)) is torch.Tensor
    assert torch.equal(trip(tensor), torch.arange(6.0))


def test_named_tuples_of_one_kind_have_one_class():
    one, other = trip(Point(1, [2])), trip(Point(3, 4))
    assert type(one) is type(other)
    assert (one.x, one.y, one._fields) == (1, [2], ("x", "y"))
    assert trip(torch.max(torch.tensor([[1.0, 3.0]]), 1)).indices.item() == 1


ARRAYS = [
    np.arange(35).reshape(5, 7),
    np.arange(35.0).reshape(5, 7).T,
    np.arange(35.0).reshape(5, 7)[::2, ::-3],
    np.zeros((0, 3)),
    np.array(3.5),
    np.array([True, False]),
    np.array(["ab", "cde", ""]),
    np.array([b"ab", b"c"]),
    np.array(["2026-01-01", "NaT"], "datetime64[ns]"),
    np.arange(3, dtype=">i4"),
    np.array([1 + 2j]),
    np.float16([1.5, np.nan]),
    np.arange(100_003, dtype=np.int16),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda one: f"{one.dtype}{one.shape}")
def test_arrays_come_back_as_they_were(array):
    got = trip(array)
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)
    assert got.flags.writeable
    assert not np.shares_memory(got, array)


def test_a_read_only_array_stays_read_only():
    array = np.arange(3)
    array.flags.writeable = False
    assert not trip(array).flags.writeable


DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64"


@pytest.mark.parametrize("name", DTYPES.split())
@pytest.mark.parametrize("shape", [(), (0,), (7,), (5, 3), (2, 3, 5)])
def test_tensors_come_back_as_they_were(name, shape):
    tensor = (torch.randn(shape) * 3).to(getattr(torch, name))
    got = trip(tensor)
    assert (got.dtype, got.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(got, tensor)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(5, 7).T,
        torch.randn(2, 3, 5).transpose(0, 2),
        torch.randn(7, 1).expand(7, 5),
        torch.randn(9)[::2],
        torch.randn(40, 40)[::9, ::9],
        torch.randn(3).expand(0, 3),
    ],
)
def test_a_layout_in_memory_is_kept_so_that_view_fails_where_it_should(tensor):
    got = trip(tensor)
    assert torch.equal(got, tensor)
    if tensor.numel() > 25:
        assert got.is_contiguous() == tensor.is_contiguous()
    if 0 in tensor.stride() and tensor.numel():
        assert got.stride() == tensor.stride()


def test_one_object_twice_stays_one_object():
    inner, tensor, array = [1, [2]], torch.ones(2), np.ones(3)
    got = trip([inner, inner, (tensor, tensor), {"a": array, "b": array}])
    assert got[0] is got[1]
    assert got[2][0] is got[2][1]
    assert got[3]["a"] is got[3]["b"]


def test_data_that_contains_itself_is_refused():
    loop = [1]
    loop.append(loop)
    with pytest.raises(NotPlain, match="contains itself"):
        trip(loop)
    knot = {"a": []}
    knot["a"].append(knot)
    with pytest.raises(NotPlain, match="contains itself"):
        trip(knot)


def test_limits_of_depth_and_digits():
    deep = []
    for _ in range(codec.MAX_DEPTH + 1):
        deep = [deep]
    with pytest.raises(NotPlain, match="deep"):
        trip(deep)
    with pytest.raises(NotPlain, match="too long"):
        trip(10**100_000)
    assert trip(10**4000) == 10**4000


def test_shared_tuples_that_expand_beyond_measure_are_refused():
    value = (1, 2)
    for _ in range(40):
        value = (value, value)
    with pytest.raises(Malformed, match="too many"):
        trip(value)


def test_a_bool_tensor_holds_nothing_but_true_and_false():
    decoder = codec.Decoder(b"\x02\x00\xff")
    tensor = decoder.decode([codec.TENSOR, "bool", [3], None, 0])
    assert tensor.view(torch.uint8).tolist() == [1, 0, 1]
    decoder = codec.Decoder(b"\x02\x00\xff")
    assert decoder.decode([codec.ARRAY, "|b1", [3], 1]).view(np.uint8).tolist() == [1, 0, 1]


def test_objects_and_object_arrays_are_no_plain_data():
    for value in (object(), np.array([object()]), np.ma.array([1]), torch.eye(2).to_sparse(), len):
        with pytest.raises(NotPlain):
            trip(value)
