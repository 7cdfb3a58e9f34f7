"""Refusing forbidden names while an answer runs."""

import importlib
import operator
import sys
import types

import pytest
import torch
import torch.nn.functional as F

from grading.blocker import Blocker, ForbiddenName

X = torch.tensor([[1.0, 2.0, 3.0]])
RULES = (
    "torch.softmax",
    "torch.nn.MultiheadAttention",
    "a_forbidden_library",
    "torch.nn.functional.scaled_dot_product_attention",
)


@pytest.fixture
def blocker():
    made = Blocker(RULES)
    yield made
    made.close()


@pytest.fixture
def library(monkeypatch, tmp_path):
    """A library on disk that the policy forbids."""
    (tmp_path / "a_forbidden_library").mkdir()
    (tmp_path / "a_forbidden_library/__init__.py").write_text("")
    (tmp_path / "a_forbidden_library/part.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("a_forbidden_library")]:
        del sys.modules[name]


ROUTES = {
    "torch": lambda: torch.softmax(X, -1),
    "functional": lambda: F.softmax(X, -1),
    "method": lambda: X.softmax(-1),
    "unbound method": lambda: torch.Tensor.softmax(X, -1),
    "special": lambda: torch.special.softmax(X, -1),
    "layer": lambda: torch.nn.Softmax(-1)(X),
    "getattr": lambda: getattr(torch, "soft" + "max")(X, -1),
    "methodcaller": lambda: operator.methodcaller("softmax", -1)(X),
    "dictionary": lambda: vars(torch)["softmax"](X, -1),
    "_VF": lambda: torch._VF.softmax(X, -1),
    "a function that needs it": lambda: F.gumbel_softmax(X),
    "exec": lambda: exec("torch.softmax(X, -1)", {"torch": torch, "X": X}),
    "subclass": lambda: torch.nn.Parameter(X).softmax(-1),
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_refused_inside_and_allowed_outside(blocker, route):
    call = ROUTES[route]
    call()
    with (
        blocker.active(["torch.softmax"]),
        pytest.raises(ForbiddenName, match=r"torch\.softmax is not allowed in this task"),
    ):
        call()
    call()
    assert blocker.refused == ["torch.softmax"]


def test_reference_that_was_kept_is_refused(blocker):
    kept, layer = torch.softmax, torch.nn.Softmax(-1)
    with blocker.active(["torch.softmax"]):
        with pytest.raises(ForbiddenName):
            kept(X, -1)
        with pytest.raises(ForbiddenName):
            layer(X)


def test_other_functions_and_other_tasks_are_untouched(blocker):
    with blocker.active(["torch.nn.MultiheadAttention", "a_forbidden_library"]):
        assert torch.softmax(X, -1).sum() == 1
        torch.nn.Linear(3, 3)(X).exp()
    assert blocker.refused == []


def test_values_are_the_same_as_without(blocker):
    expected = X.exp() / X.exp().sum()
    assert torch.allclose(torch.softmax(X, dim=-1), expected)
    assert torch.allclose(X.softmax(-1), expected)
    assert torch.softmax.__name__ == "softmax"
    assert not hasattr(torch.softmax, "__wrapped__")


def test_class_is_refused_however_it_is_reached(blocker):
    from torch.nn.modules.activation import MultiheadAttention as Kept

    made = torch.nn.MultiheadAttention(4, 2)
    sample = torch.zeros(1, 3, 4)
    with blocker.active(["torch.nn.MultiheadAttention"]):
        for call in (
            lambda: torch.nn.MultiheadAttention(4, 2),
            lambda: Kept(4, 2),
            lambda: type("Mine", (Kept,), {})(4, 2),
            lambda: torch.nn.TransformerEncoderLayer(4, 2),
            lambda: made(sample, sample, sample),
            lambda: made.forward(sample, sample, sample),
        ):
            with pytest.raises(ForbiddenName, match="MultiheadAttention"):
                call()
        assert isinstance(made, torch.nn.MultiheadAttention)
    made(sample, sample, sample)


def test_blocks_nest_and_end_with_errors(blocker):
    with blocker.active(["torch.softmax"]):
        with blocker.active(["a_forbidden_library"]), pytest.raises(ForbiddenName):
            torch.softmax(X, -1)
        with pytest.raises(ForbiddenName):
            torch.softmax(X, -1)
    with pytest.raises(ZeroDivisionError), blocker.active(["torch.softmax"]):
        _ = 1 / 0
    torch.softmax(X, -1)


def test_close_puts_everything_back():
    before = torch.softmax, torch.nn.MultiheadAttention.__init__, list(sys.meta_path)
    own = "softmax" in vars(torch.Tensor)
    Blocker(RULES).close()
    assert before == (torch.softmax, torch.nn.MultiheadAttention.__init__, sys.meta_path)
    assert ("softmax" in vars(torch.Tensor)) == own


@pytest.mark.parametrize(
    "load",
    [
        lambda: importlib.import_module("a_forbidden_library"),
        lambda: importlib.import_module("a_forbidden_library.part"),
        lambda: __import__("a_forbidden_library"),
        lambda: exec("from a_forbidden_library import part"),
        lambda: exec("import a_forbidden_library.part as p"),
    ],
)
@pytest.mark.parametrize("loaded_before", [False, True])
def test_import_is_refused(blocker, library, load, loaded_before):
    if loaded_before:
        importlib.import_module("a_forbidden_library.part")
    with blocker.active(["a_forbidden_library"]):
        with pytest.raises(ForbiddenName, match="a_forbidden_library is not allowed"):
            load()
        assert not [name for name in sys.modules if name.startswith("a_forbidden_library")]
    load()
    with blocker.active(["a_forbidden_library"]), pytest.raises(ForbiddenName):
        load()


def test_library_of_a_similar_name_may_be_imported(blocker, monkeypatch):
    other = types.ModuleType("a_forbidden_library_of_mine")
    monkeypatch.setitem(sys.modules, other.__name__, other)
    with blocker.active(["a_forbidden_library"]):
        assert importlib.import_module(other.__name__) is other
        importlib.import_module("colorsys")


def test_sealed_modules_are_gone(blocker, library):
    importlib.import_module("a_forbidden_library.part")
    blocker.seal_modules()
    assert not [name for name in sys.modules if name.startswith("a_forbidden_library")]


def test_function_of_a_library_that_is_loaded_later(monkeypatch, tmp_path):
    (tmp_path / "a_later_library.py").write_text("def tool():\n    return 1")
    monkeypatch.syspath_prepend(tmp_path)
    blocker = Blocker(["a_later_library.tool"])
    try:
        with blocker.active(["a_later_library.tool"]):
            pass
        later = importlib.import_module("a_later_library")
        with blocker.active(["a_later_library.tool"]), pytest.raises(ForbiddenName):
            later.tool()
        assert later.tool() == 1
    finally:
        blocker.close()
        del sys.modules["a_later_library"]


def test_operator_is_refused_whoever_calls_it():
    kept = torch.softmax, torch.ops.aten._softmax, torch._C._VariableFunctions.softmax
    blocker = Blocker(["aten::_softmax"])
    try:
        with blocker.active(["aten::_softmax"]):
            for call in (
                lambda: kept[0](X, -1),
                lambda: kept[1](X, -1, False),
                lambda: kept[2](X, -1),
                lambda: torch.ops.aten.softmax.int(X, -1),
                lambda: torch.compiler.disable(X.softmax)(-1),
            ):
                with pytest.raises(ForbiddenName, match="aten::_softmax"):
                    call()
            leaf = X.clone().requires_grad_()
            (leaf.exp() / leaf.exp().sum(-1, keepdim=True)).square().sum().backward()
            assert leaf.grad.isfinite().all()
        kept[1](X, -1, False)
    finally:
        blocker.close()


def test_operator_with_a_star():
    blocker = Blocker(["aten::_scaled_dot_product_*"])
    try:
        q = torch.zeros(1, 1, 2, 4)
        with blocker.active(["aten::_scaled_dot_product_*"]):
            with pytest.raises(ForbiddenName):
                F.scaled_dot_product_attention(q, q, q)
            torch.softmax(q @ q.mT, -1)
    finally:
        blocker.close()


def test_operators_are_only_those_that_the_policy_names(blocker):
    """A library function may need the operator of a forbidden function inside, as losses do."""
    with blocker.active(["torch.softmax"]):
        torch.ops.aten._softmax(X, -1, False)


def test_what_was_tried_is_bounded(blocker):
    with blocker.active(["torch.softmax"]):
        for _ in range(1000):
            with pytest.raises(ForbiddenName):
                torch.softmax(X, -1)
    assert blocker.refused == ["torch.softmax"]


def test_unknown_names_do_no_harm():
    blocker = Blocker(["not_there.at_all", "torch.not_there", "sum", "", "..", "math.pi"])
    try:
        with blocker.active(["not_there.at_all", "torch.not_there", "sum", "", "..", "math.pi"]):
            assert sum([1, 2]) == 3
            importlib.import_module("wave")
    finally:
        blocker.close()
        sys.modules.pop("wave", None)


def test_the_guard_of_operators_cannot_be_switched_off():
    names = ("torch.cat", "aten::cat")
    blocker = Blocker(names)
    parts = [torch.ones(1), torch.ones(1)]
    try:
        with blocker.active(names):
            assert "1." in repr(torch.ones(2))  # torch itself switches modes off to print
            for off in (
                torch._C._DisableTorchDispatch,
                torch.utils._python_dispatch._disable_current_modes,
                torch.utils._python_dispatch._pop_mode,
                torch._C._ExcludeDispatchKeyGuard,
            ):
                with pytest.raises(ForbiddenName, match="not allowed"):
                    off()
            with pytest.raises(ForbiddenName):
                torch._C._VariableFunctions.concat(parts)
        assert torch._C._VariableFunctions.concat(parts).tolist() == [1, 1]
        with torch._C._DisableTorchDispatch():
            assert torch.cat(parts).tolist() == [1, 1]
    finally:
        blocker.close()
