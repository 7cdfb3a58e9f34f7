"""Classes of the student's, their objects, and what may be compared."""

import contextlib

import pytest

CLASSES = '''
    import dataclasses, enum, collections, contextlib

    class Vector:
        """A vector."""
        dims = 2

        def __init__(self, *items):
            self.items = list(items)

        def __add__(self, other):
            if isinstance(other, Vector):
                return Vector(*(a + b for a, b in zip(self.items, other.items)))
            return Vector(*(a + other for a in self.items))

        __radd__ = __add__

        def __sub__(self, other):
            return Vector(*(a - other for a in self.items))

        def __mul__(self, k):
            return Vector(*(a * k for a in self.items))

        def __matmul__(self, other):
            return sum(a * b for a, b in zip(self.items, other.items))

        def __eq__(self, other):
            return isinstance(other, Vector) and self.items == other.items

        def __lt__(self, other):
            return self.items < other.items

        def __hash__(self):
            return hash(tuple(self.items))

        def __len__(self):
            return len(self.items)

        def __getitem__(self, i):
            return self.items[i]

        def __setitem__(self, i, value):
            self.items[i] = value

        def __contains__(self, x):
            return x in self.items

        def __abs__(self):
            return sum(a * a for a in self.items) ** 0.5

        def __float__(self):
            return float(abs(self))

        def __iadd__(self, other):
            self.items = [a + other for a in self.items]
            return self

        def __call__(self, k, sign=1):
            return [sign * k * a for a in self.items]

        def __enter__(self):
            self.items.append("in")
            return self

        def __exit__(self, kind, error, trace):
            self.items.append("out")
            return kind is not None

        def __repr__(self):
            return f"Vector{tuple(self.items)}"

        @property
        def first(self):
            return self.items[0]

        @classmethod
        def zeros(cls, n):
            return cls(*[0] * n)

        @staticmethod
        def double(x):
            return 2 * x

        def scale(self, k):
            self.items = [k * a for a in self.items]
            return self

    class Vector3(Vector):
        def cross(self):
            return "cross"

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    @dataclasses.dataclass
    class Config:
        width: int
        depth: int = 3

    Point = collections.namedtuple("Point", "x y")

    class Stack(list):
        def top(self):
            return self[-1]

    class Empty:
        pass

    class Slots:
        __slots__ = ("a",)

    def make(kind):
        return {"vector": Vector(1, 2), "config": Config(5), "point": Point(1, 2)}[kind]

    def same(x):
        return x

    @contextlib.contextmanager
    def manager(value):
        yield value
'''
NAMES = "Vector Vector3 Colour Config Point Stack Empty Slots make same manager"


@pytest.fixture
def classes(student):
    return student(CLASSES, NAMES)


def test_objects_behave_as_their_class_says(classes):
    classes.run(
        """
        v = Vector(3, 4)
        assert isinstance(v, Vector) and type(v) is Vector and not isinstance(v, Colour)
        assert v.items == [3, 4] and v.first == 3 and v.dims == Vector.dims == 2
        assert len(v) == 2 and v[0] == 3 and v[-1] == 4 and list(v) == [3, 4] and 4 in v
        assert 9 not in v and abs(v) == 5 and float(v) == 5.0 and v(2) == [6, 8] == v(-2, sign=-1)
        assert v + 1 == Vector(4, 5) and 1 + v == Vector(4, 5) and v + v == v * 2
        assert v @ v == 25 and v < Vector(3, 5) and v != Vector(0, 0)
        assert not (v != Vector(3, 4)) and not (v == Vector(3, 5))
        assert repr(v) == str(v) == f"{v}" == "Vector(3, 4)"
        assert {v: 1}[Vector(3, 4)] == 1 and hash(v) == hash(Vector(3, 4))
        v[0] = 7
        assert v.items == [7, 4]
        v.items = [1, 2]
        assert v[1] == 2 and v.scale(3) is v and v.items == [3, 6]
        w = v
        w += 1
        assert w is v and v.items == [4, 7]
        assert Vector.zeros(3).items == [0, 0, 0] and Vector.double(4) == 8
        assert Vector.scale(v, 2).items == [8, 14] and Vector.__name__ == "Vector"
        assert Vector.__doc__ == "A vector." and bool(v) and not Vector()
        assert not hasattr(v, "missing") and hasattr(v, "scale") and callable(v)
        assert v.__dict__ == {"items": [8, 14]} == vars(v)
        """
    )


def test_inheritance_and_other_kinds_of_class(classes):
    classes.run(
        """
        import copy
        u = Vector3(1, 2)
        assert issubclass(Vector3, Vector) and isinstance(u, Vector) and u.cross() == "cross"
        assert not issubclass(Vector, Vector3) and issubclass(Vector, object)
        assert Colour.RED is Colour.RED and Colour.RED == Colour.RED and Colour.RED != Colour.BLUE
        assert Colour.RED.name == "RED" and Colour["BLUE"].value == 2 and Colour(1) is Colour.RED
        assert [c.name for c in Colour] == ["RED", "BLUE"] and isinstance(Colour.RED, Colour)
        c = Config(5)
        assert c.depth == 3 and c == Config(5, 3) and c != Config(6) and isinstance(c, Config)
        p = make("point")
        assert p == (1, 2) and p.x == 1 and isinstance(p, Point) and not isinstance((1, 2), Point)
        assert same(Stack([1, 2])) == [1, 2]
        e = Empty()
        e.anything = 5
        assert e.anything == 5 and same(e) is e and bool(e)
        del e.anything
        assert not hasattr(e, "anything")
        s = Slots()
        s.a = 3
        assert s.a == 3
        d = copy.deepcopy(Vector([1], [2]))
        assert d.items == [[1], [2]]
        first = copy.copy(d)
        assert first is not d and first.items == d.items
        with manager(5) as value:
            assert value == 5
        """
    )


def test_a_student_class_cannot_be_derived_from(classes):
    with pytest.raises(TypeError, match="cannot be derived"):
        classes.run("class Mine(Vector):\n    pass")


def test_a_failed_assertion_cannot_be_swallowed_by_a_context_manager(classes):
    with pytest.raises(AssertionError, match="right"):
        classes.run("with Vector():\n    assert False, 'right'")
    with pytest.raises(TypeError, match="plain data is compared"):
        classes.run("with Vector():\n    Vector() == 5")
    with pytest.raises(RuntimeError):
        classes.run("import torch\nwith Vector():\n    torch.ones(2) + torch.ones(3)")
    classes.run("with Vector():\n    raise ValueError('may be swallowed')")
    classes.run("with Vector():\n    1 / 0")


CHEATS = """
    from torch import nn

    class AlwaysEqual:
        __hash__ = None
        def yes(self, *_):
            return True
        __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = yes
        __bool__ = yes
        def zero(self, *_):
            return 0.0
        __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = zero
        __rtruediv__ = __abs__ = __float__ = __round__ = zero
        def number(self, *_):
            return 0
        __int__ = __index__ = __len__ = number

    class Value(AlwaysEqual):
        def itself(self, *_):
            return self
        __sub__ = __rsub__ = __truediv__ = __rtruediv__ = itself

    class Module(AlwaysEqual, nn.Module):
        __hash__ = nn.Module.__hash__

    def answer():
        return AlwaysEqual()

    def known():
        return Value()

    def module():
        return Module()
"""


@pytest.mark.parametrize(
    "test",
    [
        "assert {0} == 5",
        "assert 5 == {0}",
        "assert {0} != 5",
        "assert {0} >= 5",
        "assert 5 < {0}",
        "assert {0} == [1, 2]",
        "assert [1, 2] == {0}",
        "assert [5] == [{0}]",
        "assert 5 in [{0}]",
        "assert {0} in [5]",
        "assert {0} in (1, 2)",
        "assert 5 in {0}",
        "assert {0} == None",
        "assert abs({0} - 5) < 1e-6",
        "assert abs(5 - {0}) < 1e-6",
        "assert {0} - 5 == 0",
        "assert abs({0} / 5) < 1",
        "assert {0} + 1 == 6",
        "assert {0}.x == 5",
        "import math; assert math.isclose({0}, 5)",
        "import numpy as np; assert np.allclose({0}, np.ones(3))",
        "import numpy as np; assert (np.ones(3) == {0}).all()",
        "import numpy as np; assert ({0} == np.ones(3)).all()",
        "import numpy as np; np.testing.assert_allclose({0}, np.ones(3))",
        "import numpy as np; np.testing.assert_array_equal({0}, np.ones(3))",
        "import numpy as np; assert np.array_equal({0}, np.ones(3))",
        "import torch; assert torch.allclose({0}, torch.ones(3))",
        "import torch; assert torch.equal({0}, torch.ones(3))",
        "import torch; assert ({0} == torch.ones(3)).all()",
        "import torch; assert (torch.ones(3) == {0}).all()",
        "import torch; torch.testing.assert_close({0}, torch.ones(3))",
        "import unittest; unittest.TestCase().assertEqual({0}, 5)",
        "import unittest; unittest.TestCase().assertAlmostEqual({0}, 5)",
        "assert isinstance({0}, int)",
        "assert type({0}) is float",
        "assert {0} is True",
    ],
)
@pytest.mark.parametrize("call", ["answer()", "known()", "module()"])
def test_an_object_that_equals_everything_has_nobody_to_fool(student, test, call):
    s = student(CHEATS, "answer known module Value")
    with pytest.raises((TypeError, AssertionError, AttributeError, ValueError, RuntimeError)):
        s.run(test.format(call))
    assert s.border.broken is None


def test_the_message_says_what_stands_in_the_place_of_data(student):
    s = student(CHEATS, "answer")
    with pytest.raises(TypeError, match=r"answer\(\) gave an object .* class AlwaysEqual"):
        s.run("answer() == 5")


def test_an_object_that_the_student_chose_has_no_truth_unless_its_class_is_asked_for(student):
    s = student(CHEATS, "answer known Value")
    with pytest.raises(TypeError, match="plain data"):
        s.run("assert answer()")
    s.run("assert known()")


def test_no_expected_value_or_name_of_a_test_reaches_the_student(student, monkeypatch):
    from grading.border import Channel

    sent = []
    plain_send = Channel.send

    def send(self, message, tail=(), timeout=None):
        sent.append(repr(message) + repr([bytes(part) for part in tail]))
        return plain_send(self, message, tail, timeout)

    s = student(CHEATS + "\n    def f(x):\n        return x", "answer known Value f")
    monkeypatch.setattr(Channel, "send", send)
    for test in (
        "secret_name = 918273645\nassert f(1) == secret_name",
        "assert answer() == 918273645",
        "assert [918273645] == [answer()]",
        "assert 918273645 in answer()",
        "assert known() - 918273645",
        "assert abs(known() - 918273645) < 1",
        "assert known() < 918273645",
        "def secret_name(x):\n    'secret_name'\n    return x == 918273645\nf(secret_name)\n1 / 0",
        "import numpy as np\nnp.testing.assert_allclose(answer(), np.full(2, 918273645))",
        "with known():\n    assert False, '918273645'",
    ):
        with contextlib.suppress(AssertionError, TypeError, ZeroDivisionError):
            s.run(test)
            raise RuntimeError("the test passed")
    everything = "".join(sent)
    assert len(sent) >= 10
    for secret in ("918273645", "secret_name", "<cell test>", "assert"):
        assert secret not in everything
