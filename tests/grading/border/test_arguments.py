"""What a call does to its arguments, and which objects may be passed."""

import pytest

SOURCE = """
    import numpy as np
    import torch
    from torch import nn

    def zero(x):
        x.zero_()

    def through_data(x):
        x.data.fill_(7)

    def through_numpy(x):
        x.numpy()[...] = 5

    def append(items, value):
        items.append(value)
        return items

    def nested(config):
        config["layers"][0].append("x")
        config["new"] = config["layers"]

    def clear(*containers):
        for one in containers:
            one.clear()

    def sort(items):
        items.sort()

    def scale(array):
        array *= 2
        return array

    def add(s):
        s.add(3)

    def extend(b):
        b += b"!"

    def fail_after(items):
        items.append(1)
        raise ValueError("after the change")

    def same(x):
        return x

    def gradient(x):
        return x.grad

    def step(optimizer):
        optimizer.step()

    def parts(a, b):
        return {"b": b, "list": [a, b], "new": [1]}

    def draw(generator, n=3):
        return torch.rand(n, generator=generator)

    def draw_numpy(generator):
        return generator.random(3)

    def draw_python(generator):
        return generator.random()

    def apply(module, x):
        return module(x)

    def kind(x):
        return type(x).__name__

    class SGD:
        def __init__(self, parameters, lr):
            self.parameters = list(parameters)
            self.lr = lr

        def step(self):
            with torch.no_grad():
                for p in self.parameters:
                    p -= self.lr * p.grad

        def zero_grad(self):
            for p in self.parameters:
                p.grad = None

    def train(model, optimizer, x, y, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    def integrate(f, a, b, n=100):
        h = (b - a) / n
        return sum(f(a + (i + 0.5) * h) for i in range(n)) * h

    def use(thing):
        return thing.size, thing.area(2), len(thing), thing[1], list(thing)

    def pry(thing):
        found = []
        for name in ("_secret", "__class__", "__dict__", "__globals__", "__code__", "__closure__"):
            try:
                found.append(repr(getattr(thing, name)))
            except Exception as error:
                found.append(type(error).__name__)
        return found
"""
NAMES = (
    "zero through_data through_numpy append nested clear sort scale add extend fail_after same"
    " gradient step"
    " parts draw draw_numpy draw_python apply kind SGD train integrate use pry"
)


@pytest.fixture
def s(student):
    return student(SOURCE, NAMES)


def test_changes_of_arguments_come_back(s):
    s.run(
        """
        import collections
        import numpy as np
        import torch
        for change in (zero, through_data, through_numpy):
            x = torch.randn(3, 5)
            kept = x.clone()
            change(x)
            assert not torch.equal(x, kept), change
        items = [1, 2]
        assert append(items, 3) is items and items == [1, 2, 3]
        config = {"layers": [[1], [2]]}
        first = config["layers"]
        nested(config)
        assert config == {"layers": [[1, "x"], [2]], "new": [[1, "x"], [2]]}
        assert config["layers"] is first and config["new"] is first
        a, b, c, d = [1], {1: 2}, {3}, collections.deque([4])
        clear(a, b, c, d)
        assert (a, b, c, d) == ([], {}, set(), collections.deque())
        items = [3, 1, 2]
        sort(items)
        assert items == [1, 2, 3]
        array = np.arange(5)
        assert scale(array) is array and array.tolist() == [0, 2, 4, 6, 8]
        numbers = {1}
        add(numbers)
        assert numbers == {1, 3}
        data = bytearray(b"hi")
        extend(data)
        assert data == b"hi!"
        items = []
        try:
            fail_after(items)
        except ValueError:
            pass
        assert items == [1]
        """
    )


def test_what_is_not_changed_stays(s):
    s.run(
        """
        import torch
        for x in (torch.randn(3), torch.randn(3, 5).T, torch.ones(1).expand(4), torch.empty(0),
                  torch.randn(3).bfloat16(), torch.ones(3, requires_grad=True), [1, [2]], {"a": 1}):
            version = getattr(x, "_version", None)
            assert same(x) is x
            assert getattr(x, "_version", None) == version
        """
    )


def test_results_that_are_arguments_are_the_same_objects(s):
    s.run(
        """
        import torch
        a, b = torch.ones(2), [1]
        got = parts(a, b)
        assert got["b"] is b and got["list"][0] is a and got["list"][1] is b and got["new"] == [1]
        f = lambda: 1
        assert same(f) is f and same(torch.relu) is not None
        """
    )


def test_the_engine_hears_of_changed_arguments(student):
    heard = []
    s = student(SOURCE, NAMES, on_mutation=heard.append)
    s.run("import torch\nzero(torch.ones(2))\nsame([1])")
    assert heard == ["zero()"]


def test_nan_is_no_change(student):
    """NaN is not equal to itself: a test that hides it in padding must not accuse the answer."""
    heard = []
    s = student(SOURCE, NAMES, on_mutation=heard.append)
    s.run(
        """
        import torch
        for dtype in (torch.float32, torch.bfloat16, torch.complex64):
            leaf = torch.tensor([1.0, float("nan"), -3.0], dtype=dtype, requires_grad=True)
            assert same(leaf) is leaf
        """
    )
    assert heard == []
    s.run("leaf = torch.full((3,), float('nan'), requires_grad=True)\nthrough_data(leaf)")
    s.run("assert leaf.tolist() == [7, 7, 7]")
    assert heard == ["through_data()"]


def test_gradients_that_are_left_over_are_there(s):
    """A training step that forgets to clear them must be wrong there, too."""
    s.run(
        """
        import torch
        leaf = torch.ones(3, requires_grad=True)
        leaf.grad = torch.full((3,), 5.0)
        assert gradient(leaf).tolist() == [5, 5, 5]
        leaf.grad = None
        assert gradient(leaf) is None
        model = torch.nn.Linear(2, 1)
        model(torch.ones(2)).sum().backward()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        start = model.weight.detach().clone()
        step(optimizer)
        assert torch.equal(model.weight, start - 1)
        """
    )


def test_generators_move_on_as_if_used_here(s):
    s.run(
        """
        import random
        import numpy as np
        import torch
        g, h = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
        for _ in range(3):
            assert torch.equal(draw(g), torch.rand(3, generator=h))
        assert torch.equal(torch.rand(2, generator=g), torch.rand(2, generator=h))
        for kind_of in (np.random.PCG64, np.random.MT19937):
            g, h = np.random.Generator(kind_of(5)), np.random.Generator(kind_of(5))
            for _ in range(3):
                assert draw_numpy(g).tolist() == h.random(3).tolist()
            assert g.random() == h.random()
        g, h = random.Random(7), random.Random(7)
        assert [draw_python(g) for _ in range(3)] + [g.random()] == [h.random() for _ in range(4)]
        """
    )


def test_library_objects_are_used_there(s):
    s.run(
        """
        import functools
        import torch
        from torch import nn
        x = torch.randn(5, 4)
        for module in (nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 2))):
            assert torch.allclose(apply(module, x), module(x))
            apply(module, x).sum().backward()
            assert all(p.grad is not None for p in module.parameters())
            with torch.no_grad():
                next(module.parameters()).add_(1)
            assert torch.allclose(apply(module, x), module(x))
        norm = nn.BatchNorm1d(4)
        apply(norm, x)
        assert norm.num_batches_tracked == 1 and not torch.equal(norm.running_mean, torch.zeros(4))
        norm.eval()
        assert torch.allclose(apply(norm, x), norm(x)) and norm.num_batches_tracked == 1
        assert kind(functools.partial(max, 1)) == "partial"
        """
    )


def test_a_training_loop_of_the_students_trains_the_examiners_model(s):
    s.run(
        """
        import torch
        from torch import nn
        x = torch.randn(20, 3)
        y = x @ torch.randn(3, 1)
        model = nn.Linear(3, 1)
        loss = train(model, torch.optim.SGD(model.parameters(), lr=0.1), x, y, 100)
        assert loss < 0.1 and ((model(x) - y) ** 2).mean() < 0.1
        """
    )


def test_an_optimizer_of_the_students_steps_on_the_examiners_tensors(s):
    s.run(
        """
        import torch
        from torch import nn
        w = torch.ones(3, requires_grad=True)
        optimizer = SGD([w], lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            assert w.grad is None
            (w ** 2).sum().backward()
            optimizer.step()
        assert torch.equal(w, torch.zeros(3)), w
        model = nn.Linear(2, 1)
        twin = nn.Linear(2, 1)
        twin.load_state_dict(model.state_dict())
        ours, theirs = torch.optim.SGD(twin.parameters(), lr=0.1), SGD(model.parameters(), 0.1)
        for _ in range(4):
            x = torch.randn(5, 2)
            for m, o in ((model, theirs), (twin, ours)):
                o.zero_grad()
                m(x).pow(2).mean().backward()
                o.step()
        assert torch.allclose(model.weight, twin.weight) and torch.allclose(model.bias, twin.bias)
        """
    )


def test_the_examiners_objects_answer_from_here(s):
    s.run(
        """
        import math

        class Square:
            size = 3
            _secret = "hidden"

            def area(self, k):
                return k * self.size ** 2

            def __len__(self):
                return 4

            def __getitem__(self, i):
                if i > 3:
                    raise IndexError
                return i * 10

        assert use(Square()) == (3, 18, 4, 10, [0, 10, 20, 30])
        for thing in (Square(), lambda: "hidden", Square):
            told = pry(thing)
            assert "hidden" not in str(told) and "Square" not in str(told), told
        assert abs(integrate(lambda x: x ** 2, 0, 3) - 9) < 0.01
        assert abs(integrate(math.sin, 0, math.pi) - 2) < 0.01
        """
    )
