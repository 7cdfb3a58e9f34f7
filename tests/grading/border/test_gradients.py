"""Gradients through a student's function equal those of the same code here."""

import textwrap

import pytest
import torch

SOURCE = """
    import math
    import torch

    weights = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)

    def softmax(x, dim=-1):
        powers = torch.exp(x - x.amax(dim, keepdim=True))
        return powers / powers.sum(dim, keepdim=True)

    def attention(query, key, value, mask=None):
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        return softmax(scores) @ value

    def layer_norm(x, gain, shift, eps=1e-5):
        mean = x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, unbiased=False)
        return (x - mean) / torch.sqrt(variance + eps) * gain + shift

    def many(x, y):
        return {"a": x * y, "b": [x.detach(), (x + 1).sum(), x.argmax()], "n": 3, "y": y, "v": x.T}

    def weighted(x):
        return (x * weights).sum()

    def free():
        return (weights ** 2).sum()

    def unused(x, y):
        return 2 * x

    def half(x):
        return x[..., : x.size(-1) // 2]

    def in_place(x):
        x.mul_(3)
        return x

    def modes():
        y = torch.ones(2) * weights.sum()
        return (torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
                torch.get_default_dtype(), torch.is_autocast_enabled("cpu"), y.requires_grad)

    def own_grad(x):
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            (z ** 3).sum().backward()
        return z.grad

    def own_leaf(x):
        return (x.detach().requires_grad_() ** 2).sum()

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            raise ValueError("backward is wrong")

    def twice(x):
        return Twice.apply(x)

    def broken(x):
        return Broken.apply(x)

    class Cell:
        def __init__(self):
            self.state = 0

        def step(self, x):
            self.state = torch.tanh(self.state + x)
            return self.state

    def minimise(f, start, steps=200, lr=0.1):
        x = torch.tensor(float(start), requires_grad=True)
        for _ in range(steps):
            f(x).backward()
            with torch.no_grad():
                x -= lr * x.grad
            x.grad = None
        return x.item()

    def chain(f, x):
        return f(torch.sin(x)) * x

    def apply_all(functions, x):
        for f in functions:
            x = f(x)
        return x

    def identity(x):
        return x
"""
NAMES = (
    "weights softmax attention layer_norm many weighted free unused half in_place modes own_grad"
    " own_leaf"
    " twice broken Cell identity minimise chain apply_all"
)


@pytest.fixture
def s(student):
    return student(SOURCE, NAMES)


@pytest.fixture
def here():
    """The same code in this process."""
    namespace = {}
    exec(textwrap.dedent(SOURCE), namespace)
    return namespace


CASES = [
    ("softmax", [(7,)], {}),
    ("softmax", [(5, 3)], {"dim": 0}),
    ("softmax", [(2, 3, 5, 7)], {"dim": 1}),
    ("attention", [(2, 3, 5, 7), (2, 3, 11, 7), (2, 3, 11, 13)], {}),
    ("attention", [(1, 2), (1, 2), (1, 3)], {}),
    ("layer_norm", [(2, 5, 7), (7,), (7,)], {}),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leaf", [True, False])
@pytest.mark.parametrize(("name", "shapes", "options"), CASES)
def test_gradients_equal_those_of_the_same_code_here(s, here, name, shapes, options, leaf, dtype):
    start = [torch.randn(shape, dtype=dtype) for shape in shapes]
    results = []
    for function in (s.namespace[name], here[name]):
        inputs = [one.clone().requires_grad_() for one in start]
        given = inputs if leaf else [one * 2 for one in inputs]
        output = function(*given, **options)
        cotangent = torch.linspace(-1, 1, output.numel(), dtype=dtype).view(output.shape)
        results.append((output, torch.autograd.grad((output * cotangent).sum(), inputs)))
    torch.testing.assert_close(results[0][0], results[1][0])
    for one, other in zip(results[0][1], results[1][1], strict=True):
        assert torch.equal(one, other)


def test_gradcheck_passes_through_the_border(s):
    for name, shapes in (("softmax", [(3, 2)]), ("attention", [(2, 3), (3, 3), (3, 2)])):
        inputs = [torch.randn(one, dtype=torch.float64, requires_grad=True) for one in shapes]
        assert torch.autograd.gradcheck(s.namespace[name], inputs)


def test_containers_views_and_outputs_without_gradients(s):
    s.run(
        """
        import torch
        x, y = torch.randn(3, 5, requires_grad=True), torch.randn(3, 5, requires_grad=True)
        got = many(x, y)
        assert got["n"] == 3 and got["y"] is y and got["b"][2] == x.argmax()
        assert not got["b"][0].requires_grad and not got["b"][2].requires_grad
        (got["a"].sum() + got["b"][1] + (got["v"] * 2).sum()).backward()
        assert torch.equal(x.grad, y.detach() + 3) and torch.equal(y.grad, x.detach())
        z = torch.randn(4, requires_grad=True)
        half(z).sum().backward()
        assert z.grad.tolist() == [1, 1, 0, 0]
        """
    )


def test_backward_twice_needs_retain_graph_as_in_torch(s):
    s.run(
        """
        import torch
        x = torch.randn(5, requires_grad=True)
        y = softmax(x)
        y[0].backward(retain_graph=True)
        first = x.grad.clone()
        x.grad = None
        y[0].backward()
        assert torch.equal(first, x.grad)
        try:
            y[0].backward()
        except RuntimeError as error:
            assert "second time" in str(error)
        else:
            raise AssertionError("the graph is still there")
        """
    )


def test_second_derivatives_are_refused_with_a_clear_error(s):
    with pytest.raises(RuntimeError, match="second derivatives"):
        s.run(
            """
            import torch
            x = torch.randn(3, requires_grad=True)
            (g,) = torch.autograd.grad(softmax(x)[0], x, create_graph=True)
            g.sum().backward()
            """
        )


def test_an_input_that_is_not_used_has_no_gradient(s):
    s.run(
        """
        import torch
        x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        unused(x, y).sum().backward()
        assert x.grad.tolist() == [2, 2] and y.grad is None
        got = torch.autograd.grad(unused(x, y).sum(), [x, y], allow_unused=True)
        assert got[1] is None
        try:
            torch.autograd.grad(unused(x, y).sum(), [x, y])
        except RuntimeError as error:
            assert "not have been used" in str(error)
        else:
            raise AssertionError("no error")
        """
    )


def test_the_students_own_tensors_get_their_gradients(s):
    s.run(
        """
        import torch
        x = torch.ones(3, requires_grad=True)
        weighted(x).backward()
        assert weights.grad.tolist() == [1, 1, 1] and x.grad.tolist() == [1, 2, 3]
        weights.grad = None
        free().backward()
        assert weights.grad.tolist() == [2, 4, 6]
        with torch.no_grad():
            weights.mul_(10)
        assert weighted(torch.ones(3)).item() == 60
        """
    )


def test_a_graph_that_ends_in_tensors_that_only_the_student_knows(s):
    s.run(
        """
        import torch
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = own_leaf(x)
        assert y.item() == 14 and y.requires_grad and y.grad_fn is not None
        y.backward()
        assert x.grad is None
        assert own_leaf(x).detach().item() == 14
        """
    )


def test_the_settings_of_torch_hold_there(s):
    s.run(
        """
        import torch
        assert modes() == (True, False, torch.float32, False, True)
        with torch.no_grad():
            assert modes()[0] is False and modes()[4] is False
            assert not softmax(torch.ones(2, requires_grad=True)).requires_grad
        with torch.inference_mode():
            assert modes()[1] is True
            assert softmax(torch.ones(2)).is_inference()
        with torch.autocast("cpu", torch.bfloat16):
            assert modes()[3] is True
            a = torch.randn(2, 3)
            assert attention(a, a, a).dtype == torch.bfloat16
        torch.set_default_dtype(torch.float64)
        try:
            assert modes()[2] is torch.float64
        finally:
            torch.set_default_dtype(torch.float32)
        assert modes() == (True, False, torch.float32, False, True)
        assert own_grad(torch.tensor([2.0])).item() == 12
        """
    )


def test_custom_functions_and_errors_in_backward(s):
    s.run(
        """
        import torch
        x = torch.ones(3, requires_grad=True)
        twice(x).sum().backward()
        assert x.grad.tolist() == [2, 2, 2]
        try:
            broken(x).sum().backward()
        except ValueError as error:
            assert "backward is wrong" in str(error) and error.student_traceback
        else:
            raise AssertionError("no error")
        """
    )


def test_a_graph_that_runs_through_several_calls(s, here):
    inputs = [torch.randn(3) for _ in range(4)]
    found = []
    for kind in (s.namespace["Cell"], here["Cell"]):
        cell = kind()
        leaves = [one.clone().requires_grad_() for one in inputs]
        for leaf in leaves:
            out = cell.step(leaf * 2)
        found.append(torch.autograd.grad(out.sum(), leaves))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_an_in_place_change_of_an_argument_is_differentiated(s):
    s.run(
        """
        import torch
        x = torch.ones(2, requires_grad=True)
        y = x * 1
        z = in_place(y)
        assert z is y and y.tolist() == [3, 3]
        y.sum().backward()
        assert x.grad.tolist() == [3, 3]
        try:
            in_place(torch.ones(2, requires_grad=True))
        except RuntimeError as error:
            assert "leaf" in str(error)
        else:
            raise AssertionError("no error")
        """
    )


def test_graphs_are_let_go(s):
    s.run(
        """
        import torch, gc
        x = torch.ones(3, requires_grad=True)
        for _ in range(200):
            softmax(x)
        y = identity(x)
        """
    )
    assert len(s.border.news.tickets) <= 1


def test_calls_in_a_row_agree_after_changes_of_a_leaf(s):
    s.run(
        """
        import torch
        x = torch.zeros(3, requires_grad=True)
        for step in range(5):
            with torch.no_grad():
                x.add_(torch.tensor([1.0, 0.0, 0.0]))
            assert torch.allclose(softmax(x), torch.softmax(x, -1))
        x.data = torch.tensor([1.0, 2.0])
        assert torch.allclose(softmax(x), torch.softmax(x, -1))
        """
    )


def test_gradients_go_through_functions_of_the_examiners(s, here):
    w = torch.tensor(2.0, requires_grad=True)
    assert s.namespace["minimise"](lambda x: (x - 3) ** 2, 0) == pytest.approx(3, abs=1e-4)
    found = []
    for names in (s.namespace, here):
        x = torch.tensor([0.3, -0.7], requires_grad=True)
        first = names["chain"](lambda z: w * z**2, 2 * x).sum()
        softmax = names["softmax"]
        steps = [torch.tanh, lambda z: w * z, softmax, lambda z, soft=softmax: soft(z * w)]
        out = first + (names["apply_all"](steps, x) * torch.tensor([1.0, 2.0])).sum()
        found.append(torch.autograd.grad(out, [x, w]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
