"""Visible checks of assignment 06: each says what is wrong in terms of the idea.

The expected values come from torch's own maps and activations, and from functions whose
dependences are known by construction. A check that passes is not the whole story: the grader runs
further tests.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_shape,
    check_tensor,
)

__all__ = [
    "check_feed_forward",
    "check_gated_width",
    "check_gelu",
    "check_layer_budget",
    "check_module",
    "check_swiglu",
    "check_who_depends",
]

LIBRARY = {
    "TransformerEncoderLayer": "Write the network yourself.",
    "encoderlib": "The library holds the answer; write your own.",
}
KEPT = "The input must stay as it is: build a new tensor."
AXES = {
    "mat1 and mat2": "The matrices are stored as (outputs, inputs): transpose, or use F.linear.",
    "size mismatch": "The matrices are stored as (outputs, inputs): transpose, or use F.linear.",
    "must match the size": "A bias has one number for each output of its map.",
}


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. budget


def _counts(d: int, f: int, t: int, gated: bool, bias: bool) -> dict[str, int]:
    """Counted from shapes; the two products of the attention on top."""
    inside, outside = 2 if gated else 1, 1
    shapes = {"attention": 4 * [(d, d)], "ffn": inside * [(f, d)] + outside * [(d, f)]}
    counts = {}
    for name, matrices in shapes.items():
        weights = sum(outputs * inputs for outputs, inputs in matrices)
        biases = sum(outputs for outputs, _ in matrices) if bias else 0
        counts[f"{name} parameters"] = weights + biases
        counts[f"{name} multiplications"] = t * weights
    counts["attention multiplications"] += 2 * d * t**2
    return counts


def _slips(d: int, f: int, t: int, gated: bool, bias: bool) -> dict[str, dict[float, str]]:
    """Wrong numbers and the slip behind each."""
    m = 3 if gated else 2
    into = m - 1
    right = _counts(d, f, t, gated, bias)
    slips = {
        "attention parameters": {
            3 * d * d + 3 * d * bias: "the output projection is missing",
            right["attention parameters"] - 4 * d: "the biases are missing",
            4 * d * d + d * bias: "each of the four maps has a bias of its own",
            4 * d * d + 4 * d: "with bias=False no map has a bias",
        },
        "ffn parameters": {
            m * d * f: "the biases are missing, one number for each output of a map",
            m * d * f + 2 * f: "the last bias has D numbers, not F",
            m * d * f + 2 * d: "a bias has one number for each output: F numbers inside",
            m * d * f + f + d: "the map of the gate has a bias as well"
            if gated and bias
            else "with bias=False no map has a bias",
            2 * d * f + (f + d) * bias: "the third map of the gate is missing",
            3 * d * f + (2 * f + d) * bias: "there is a third map only with gated=True",
            m * d * f + into * f + d: "with bias=False no map has a bias",
            d * f + f * bias: "the second map is missing",
        },
        "attention multiplications": {
            4 * t * d * d: "the scores and the weighted mean are missing, T T D each",
            4 * t * d * d + d * t * t: "scores and weighted mean take T T D each",
            4 * d * d + 2 * d * t * t: "each of the T tokens is projected",
            3 * t * d * d + 2 * d * t * t: "the output projection is missing",
            2 * d * t * t: "the four projections are missing",
            t * (4 * d * d + 4 * d) + 2 * d * t * t: "biases do not count as multiplications",
            2
            * right["attention multiplications"]: "these are FLOPs; count the multiplications only",
        },
        "ffn multiplications": {
            m * d * f: "each of the T tokens goes through the matrices",
            2 * t * d * f: "the third map of the gate is missing",
            3 * t * d * f: "there is a third map only with gated=True",
            t * d * f: "both matrices count",
            m * t * t * d * f: "each token goes through the matrices once: T, not T squared",
            2 * m * t * d * f: "these are FLOPs; count the multiplications only",
            t * (m * d * f + into * f + d): "biases do not count as multiplications",
            m * t * d * f + t * f: "the product with the gate does not count",
        },
    }
    return {
        name: {n: why for n, why in table.items() if n != right[name]}
        for name, table in slips.items()
    }


def check_layer_budget(layer_budget: Callable) -> None:
    """The four counts, the share and the length, with and without gate and biases."""
    name = "layer_budget"
    check_not_used(name, layer_budget, LIBRARY)
    for sizes in ((6, 26, 5, False, True), (6, 26, 5, True, True), (6, 26, 5, True, False)):
        _check_budget(layer_budget, *sizes)
    _check_budget(layer_budget, 6, 27, 5, True, True)
    _check_budget(layer_budget, 6, 10, 5, False, False)
    _check_budget(layer_budget, 6, 12, 5, False, True)
    _done(name)


def _check_budget(layer_budget: Callable, d: int, f: int, t: int, gated: bool, bias: bool) -> None:
    name = "layer_budget"
    given = f"D = {d}, F = {f}, T = {t}, gated={gated}, bias={bias}"
    got = call_answer(name, layer_budget, d, f, t, gated=gated, bias=bias)
    _require(isinstance(got, dict), f"{name} must return a dictionary with six entries.")
    right, slips = _counts(d, f, t, gated, bias), _slips(d, f, t, gated, bias)
    for key in (*right, "ffn share", "equal length"):
        _require(key in got, f"{name} lacks the entry {key!r}.")
    for key, number in right.items():
        value = got[key]
        _require(
            isinstance(value, int | float) and not isinstance(value, bool),
            f"{key!r} must be an int or a float; it is {type(value).__name__}.",
        )
        why = slips[key].get(value, "write the sum with its terms: which matrices, and how large")
        _require(value == number, f"With {given}, {key!r} is not {value:,}: {why}.")
    ffn = right["ffn parameters"]
    share = ffn / (ffn + right["attention parameters"])
    wrong = {
        ffn / right["attention parameters"]: "this is FFN over attention; divide by both together",
        1 - share: "this is the share of the attention",
        100 * share: "a share is between 0 and 1, not in percent",
        right["ffn multiplications"]
        / (right["ffn multiplications"] + right["attention multiplications"]): (
            "this is the share of the multiplications"
        ),
    }
    _require(isinstance(got["ffn share"], int | float), "'ffn share' must be an int or a float.")
    why = next((w for n, w in wrong.items() if abs(got["ffn share"] - n) < 1e-9), "")
    _require(
        abs(got["ffn share"] - share) < 1e-9,
        f"With {given}, 'ffn share' is not {got['ffn share']:.4g}"
        f"{': ' + why if why else ': it is FFN parameters over those of both'}.",
    )
    m = 3 if gated else 2
    equal, value = m * f / 2 - 2 * d, got["equal length"]
    if equal <= 0:
        _require(
            value is None,
            f"With {given}, 'equal length' must be None, not {value}: attention multiplies more at "
            "every length, so no length above 0 is equal.",
        )
        return
    named = {
        f - 2 * d: "the gate adds a third matrix to the network",
        m * f / 2: "the four projections of the attention are missing",
        m * f - 4 * d: "scores and weighted mean are two products, T T D each",
        math.floor(equal): "it need not be a whole number, so do not round",
        math.ceil(equal): "it need not be a whole number, so do not round",
        m * f / 2 - 4 * d: "after dividing by 2 D, 2 D is left of the projections",
    }
    _require(
        isinstance(value, int | float) and not isinstance(value, bool),
        f"With {given}, 'equal length' must be an int or a float; it is {type(value).__name__}.",
    )
    named.pop(equal, None)
    why = named.get(value, "set both counts equal, divide by T, and solve for T")
    _require(abs(value - equal) < 1e-6, f"With {given}, 'equal length' is not {value}: {why}.")


# ---------------------------------------------------------------- 2. module


def _state(d: int, f: int, seed: int) -> dict[str, Tensor]:
    """Weights and biases, none of them zero."""
    return {
        "linear1.weight": _randn(seed, f, d) / d**0.5,
        "linear1.bias": _randn(seed + 1, f),
        "linear2.weight": _randn(seed + 2, d, f) / f**0.5,
        "linear2.bias": _randn(seed + 3, d),
    }


def _network(
    x: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    activation: Callable[[Tensor], Tensor] = torch.relu,
) -> Tensor:
    return F.linear(activation(F.linear(x, w1, b1)), w2, b2)


def _mistakes(
    x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, act: Callable[[Tensor], Tensor]
) -> dict[str, Callable[[], Tensor]]:
    """What the named slips of a feed-forward network compute."""
    none1, none2 = torch.zeros_like(b1), torch.zeros_like(b2)
    table = {
        "there is no activation: two maps after each other are one": lambda: _network(
            x, w1, b1, w2, b2, lambda u: u
        ),
        "the output is activated too: the second map is the last step": lambda: act(
            _network(x, w1, b1, w2, b2, act)
        ),
        "the activation comes after the second map, not between the two": lambda: act(
            _network(x, w1, b1, w2, b2, lambda u: u)
        ),
        "the input is activated, not the inner values": lambda: _network(
            act(x), w1, b1, w2, b2, lambda u: u
        ),
        "both biases are missing": lambda: _network(x, w1, none1, w2, none2, act),
        "the first bias is missing": lambda: _network(x, w1, none1, w2, b2, act),
        "the second bias is missing": lambda: _network(x, w1, b1, w2, none2, act),
        "the biases are subtracted": lambda: _network(x, w1, -b1, w2, -b2, act),
        "the first bias is added after the activation": lambda: F.linear(
            act(F.linear(x, w1)) + b1, w2, b2
        ),
        "the second bias is added to the matrix: it is added once to each output": lambda: _network(
            x, w1, b1, w2 + b2[:, None], none2, act
        ),
        "the first bias is added to the matrix: it is added once to each inner value": (
            lambda: _network(x, w1 + b1[:, None], none1, w2, b2, act)
        ),
        "both biases are added to the matrices: each belongs to the product": lambda: _network(
            x, w1 + b1[:, None], none1, w2 + b2[:, None], none2, act
        ),
        "the input is added to the output: the residual connection comes in chapter 07": (
            lambda: x + _network(x, w1, b1, w2, b2, act)
        ),
        "the inner values go through a sigmoid": lambda: _network(x, w1, b1, w2, b2, torch.sigmoid),
        "the inner values go through tanh": lambda: _network(x, w1, b1, w2, b2, torch.tanh),
        "the inner values go through a softmax: each is bent by itself": lambda: _network(
            x, w1, b1, w2, b2, lambda u: u.softmax(-1)
        ),
        "the activation is ReLU": lambda: _network(x, w1, b1, w2, b2, torch.relu),
        "the activation is GELU": lambda: _network(x, w1, b1, w2, b2, F.gelu),
        "the activation is the tanh form of GELU, not the exact one": lambda: _network(
            x, w1, b1, w2, b2, lambda u: F.gelu(u, approximate="tanh")
        ),
        "the inner values are averaged over the tokens: each token goes by itself": (
            lambda: _network(
                x, w1, b1, w2, b2, lambda u: act(u).mean(-2, keepdim=True).expand_as(u)
            )
        ),
    }
    if w1.shape[0] == w1.shape[1]:
        table["the matrices are not transposed: they are stored as (outputs, inputs)"] = lambda: (
            _network(x, w1.T, b1, w2.T, b2, act)
        )
        table["the two maps have changed places"] = lambda: _network(x, w2, b2, w1, b1, act)
    return table


def check_module(FeedForward: Callable) -> None:
    """Names and shapes, values with copied weights, the errors, and what must not change."""
    name = "FeedForward"
    for method in ("__init__", "forward"):
        check_not_used(name, getattr(FeedForward, method, None), LIBRARY)
    d, f = 6, 10
    module = call_answer(f"{name}(6, 10)", FeedForward, d, f)
    _require(isinstance(module, nn.Module), f"{name} must be an nn.Module.")
    for part in ("linear1", "linear2"):
        _require(
            isinstance(getattr(module, part, None), nn.Module),
            f"{name} must have a sub-module named `{part}`; chapter 08 loads weights by that name.",
        )
    _check_parameters(module, d, f)
    for activation, function in {"relu": torch.relu, "gelu": F.gelu}.items():
        module = call_answer(f"{name}(6, 10, {activation!r})", FeedForward, d, f, activation)
        state = _state(d, f, 10)
        module.load_state_dict(state)
        _check_values(module, state, activation, function)
    square = call_answer(f"{name}(6, 6)", FeedForward, d, d, activation="relu")
    state = _state(d, d, 40)
    square.load_state_dict(state)
    x = _randn(5, 2, 6, d)
    wrong = _mistakes(x, *state.values(), torch.relu)
    got = call_answer(f"{name}(6, 6)(x)", square, x)
    check_close(f"{name}(6, 6)(x)", got, _network(x, *state.values()), wrong)

    module = call_answer(f"{name}(6, 10)", FeedForward, d, f)
    state = _state(d, f, 60)
    module.load_state_dict(state)
    x = _randn(6, 3, d)
    wrong = _mistakes(x, *state.values(), torch.relu)
    got = call_answer(f"{name} without an activation named", module, x)
    check_close(f"{name} with its default activation", got, _network(x, *state.values()), wrong)
    _check_refusal(FeedForward)
    _done(name)


def _check_parameters(module: nn.Module, d: int, f: int) -> None:
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    wanted = {name: tuple(p.shape) for name, p in _state(d, f, 0).items()}
    for name, shape in wanted.items():
        _require(
            name in shapes,
            f"FeedForward lacks the parameter {name!r}. Both maps are nn.Linear with a bias.",
        )
        hint = "nn.Linear(inputs, outputs) stores (outputs, inputs)."
        if name == "linear2.weight" and shapes[name] == wanted["linear1.weight"]:
            hint = "The second map goes back, from F to D."
        elif name == "linear1.weight" and shapes[name] == wanted["linear2.weight"]:
            hint = "The first map widens, from D to F."
        elif shapes[name] == (4 * d, d):
            hint = "Take the inner width that is given, not 4 D."
        _require(
            shapes[name] == shape,
            f"FeedForward({d}, {f}): {name} has shape {shapes[name]}, expected {shape}. {hint}",
        )
    again = sorted(set(module.state_dict()) - set(shapes))
    _require(
        not again,
        f"FeedForward holds {again[0] if again else ''!r} besides its four parameters. Keep each "
        "map once, as linear1 and linear2: chapter 08 loads weights by these names.",
    )
    drops = [m for m in module.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    _require(not drops, "FeedForward holds a dropout: this module has none.")
    extra = sorted(set(shapes) - set(wanted))
    _require(
        not extra, f"FeedForward has a parameter too many: {extra[0] if extra else ''}. Two maps."
    )
    for name, parameter in module.named_parameters():
        _require(
            float(parameter.detach().std()) > 0,
            f"{name} starts with equal numbers: leave torch's start values as they are.",
        )


def _check_values(
    module: nn.Module, state: dict[str, Tensor], activation: str, function: Callable
) -> None:
    name = f"FeedForward with {activation}"
    weights = list(state.values())
    x = _randn(20, 2, 5, 6)
    kept = x.clone()
    right, wrong = _network(kept, *weights, function), _mistakes(kept, *weights, function)
    for mode in ("train", "eval"):
        getattr(module, mode)()
        got = call_answer(f"{name}, {mode}()", module, x, hints=AXES)
        check_shape(f"{name}, {mode}()", got, {"B": 2, "T": 5, "D": 6})
        _require(bool((x == kept).all()), f"{name} changes its input. {KEPT}")
        check_close(f"{name}, {mode}()", got, right, wrong)
    with torch.no_grad():
        got = call_answer(f"{name}, no gradients", module, x)
        _require(bool((x == kept).all()), f"{name} changes its input. {KEPT}")
        check_close(f"{name}, no gradients", got, right)
    for size in ((6,), (4, 6), (2, 3, 4, 6)):
        x = _randn(21, *size)
        got = call_answer(f"{name} on {size}", module, x, hints=AXES)
        _require(
            isinstance(got, Tensor) and got.shape == x.shape,
            f"{name} must keep the shape {size}: any number of axes may stand before D.",
        )
        check_close(f"{name} on {size}", got, _network(x, *weights, function))
    leaf = _randn(22, 3, 6).requires_grad_()
    got = call_answer(name, module, leaf)
    _require(got.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    gradients = torch.autograd.grad(
        got.square().sum(), [leaf, *module.parameters()], allow_unused=True
    )
    for part, gradient in zip(("x", *state), gradients, strict=True):
        _require(gradient is not None, f"{name}: no gradient reaches {part}.")
    low = module.to(torch.bfloat16)
    got = call_answer(name, low, _randn(23, 2, 6).bfloat16())
    check_dtype(name, got, torch.bfloat16, "The result has the dtype of the tokens.")


def _check_refusal(FeedForward: Callable) -> None:
    for unknown in ("swish", "Relu", None):
        call = f"FeedForward(6, 10, {unknown!r})"
        try:
            FeedForward(6, 10, unknown)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{call} raises {type(error).__name__}; make it a ValueError that says which names "
                "are known."
            ) from error
        raise AssertionError(
            f"{call} must raise a ValueError when it is made, not later and not never: a misspelt "
            "name would train with another activation."
        )


# ---------------------------------------------------------------- 3. debug


def check_feed_forward(feed_forward: Callable) -> None:
    """Biases that are not zero, sizes that differ and sizes that agree."""
    name = "feed_forward"
    check_not_used(name, feed_forward, LIBRARY)
    for d, f in ((6, 10), (6, 6)):
        weights = list(_state(d, f, 70).values())
        x = _randn(80, 2, 5, d)
        kept = [z.clone() for z in (x, *weights)]
        got = call_answer(name, feed_forward, x, *weights, hints=AXES)
        check_shape(name, got, {"B": 2, "T": 5, "D": d})
        for part, now, before in zip(
            ("x", "w1", "b1", "w2", "b2"), (x, *weights), kept, strict=True
        ):
            _require(bool((now == before).all()), f"{name} changes its input `{part}`. {KEPT}")
        wrong = _mistakes(x, *weights, torch.relu)
        check_close(f"{name} with D = {d}, F = {f}", got, _network(x, *weights), wrong)
    leaves = [z.clone().requires_grad_() for z in (_randn(81, 3, 6), *weights)]
    got = call_answer(name, feed_forward, *leaves)
    _require(got.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    gradients = torch.autograd.grad(got.square().sum(), leaves, allow_unused=True)
    for part, gradient in zip(("x", "w1", "b1", "w2", "b2"), gradients, strict=True):
        _require(gradient is not None, f"{name}: no gradient reaches {part}. Is there a detach?")
    low = call_answer(name, feed_forward, *(z.detach().bfloat16() for z in leaves))
    check_dtype(name, low, torch.bfloat16, "The result has the dtype of the inputs.")
    _done(name)


# ---------------------------------------------------------------- 4. dependences


def _shifted(x: Tensor) -> Tensor:
    """Each token gets its left neighbour; the first gets zeros."""
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _only(x: Tensor, column: int) -> Tensor:
    return x * F.one_hot(torch.tensor(column), x.size(-1)).to(x.dtype)


def check_who_depends(who_depends: Callable) -> None:
    """Functions whose dependences are known by construction."""
    name = "who_depends"
    check_not_used(name, who_depends, LIBRARY)
    b, t, d = 2, 3, 4
    same, sentence = torch.eye(t).bool(), torch.eye(b).bool()[:, None, :, None]
    left = same | torch.diag(torch.ones(t - 1), -1).bool()
    every = torch.ones(t, t).bool()

    def within(table: Tensor) -> Tensor:
        return (sentence & table[None, :, None, :]).clone()

    batch = (same[None, :, None, :] & torch.ones(b, t, b, t).bool()).clone()
    few = "the output has one column, made of the first of x: push all columns of a token"
    cases = (
        ("each token by itself", lambda x: x.tanh(), within(same), ""),
        ("each token by itself, to one column", lambda x: x.tanh()[..., :1], within(same), few),
        ("the left neighbour added", lambda x: x + _shifted(x), within(left), ""),
        ("the mean of the sentence", lambda x: x + x.mean(1, keepdim=True), within(every), ""),
        (
            "the mean over the batch",
            lambda x: x - x.mean(0, keepdim=True),
            batch,
            "a token of another sentence can have an influence too: push it as well",
        ),
        (
            "a thousandth of the left neighbour added",
            lambda x: x + _shifted(x) / 1024,
            within(left),
            "a weak influence counts: compare without a threshold, or with a tiny one",
        ),
        *(
            (
                f"column {column} of the left neighbour added",
                lambda x, column=column: x + _only(_shifted(x), column),
                within(left),
                "push all columns of a token, and look at all columns of the output",
            )
            for column in (3, 0, 1, 2)
        ),
        (
            "the left neighbour, less the mean of its columns, added",
            lambda x: x + _centred(_shifted(x)),
            within(left),
            "this function does not notice the same push in all columns, and a sum of its output "
            "columns has no derivative: use random numbers, one for each column",
        ),
    )
    for what, function, right, idea in cases:
        x = torch.randint(-8, 9, (b, t, d), generator=torch.Generator().manual_seed(90)) / 8
        x[0, 0] = x[1, 1] = 0.0
        kept = x.clone()
        got = call_answer(name, who_depends, function, x)
        check_tensor(name, got)
        shape = tuple(got.shape)
        axes = {
            (t, t): "The sentences are missing: a token of one may depend on another sentence.",
            (b, t, t): "The sentence that is pushed needs an axis as well.",
            (b, b, t, t): "The order of the axes is b, t, c, s.",
            (b * t, b * t): "Give each of b, t, c, s an axis of its own.",
        }
        _require(
            shape == (b, t, b, t),
            f"{name} has the wrong shape: expected (B, T, B, T) = {(b, t, b, t)}, got {shape}. "
            f"{axes.get(shape, 'One entry for each pair of an output and a token.')}",
        )
        check_dtype(name, got, torch.bool, "An output depends on a token, or it does not.")
        _require(
            bool((x == kept).all()), f"{name} changes x. {KEPT} Push a copy of it, a fresh one."
        )
        wrong = {
            "outputs and tokens have changed places: the first two axes are the output": (
                right.permute(2, 3, 0, 1)
            ),
            "no output depends on any token": torch.zeros_like(right),
            "a token of zeros stays as it is, or a token is set to zero: add random numbers": (
                right & (x != 0).any(-1)
            ),
            "all sentences are pushed at once: push one token of one sentence": (
                right.any(2, keepdim=True).expand_as(right)
            ),
            "everything depends on everything": torch.ones_like(right),
            "every token depends on itself alone": within(same),
            "the answer is turned round: True means that it depends": ~right,
        }
        try:
            check_close(f"{name} of [{what}]", got, right, wrong)
        except AssertionError as error:
            more = f" Here {idea}." if idea else ""
            if bool((got & ~right).any()) and "This is what" not in str(error):
                more = (
                    " An output is said to move that cannot: is one token of one sentence pushed "
                    "at a time, does each push start afresh from x, and are all sentences "
                    "handed over?"
                )
            raise AssertionError(f"{error}{more}") from None
    _done(name)


# ---------------------------------------------------------------- 5. GELU

ROOT_2 = 2**0.5
ROOT_2_PI = (2 / torch.pi) ** 0.5


def check_gelu(gelu: Callable) -> None:
    """Both forms near 0 and far away, the dtypes, the gradient, the errors."""
    name = "gelu"
    check_not_used(
        name,
        gelu,
        {**LIBRARY, "gelu": "Write it with torch.erf and torch.tanh.", "GELU": "Write it out."},
    )
    x = torch.cat([torch.linspace(-4, 4, 33), torch.tensor([-9.0, 9.0])])

    def tanh_form(inner: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.tanh(inner))

    cube = 0.044715 * x**3
    wrong = {
        "exact": lambda: F.gelu(x),
        "tanh": lambda: F.gelu(x, approximate="tanh"),
        "this is ReLU": lambda: x.relu(),
        "this is SiLU, u sigmoid(u)": lambda: F.silu(x),
        "Φ is replaced by sigmoid(1.702 u), another approximation": lambda: (
            x * torch.sigmoid(1.702 * x)
        ),
        "u is not divided by the root of 2 inside erf": lambda: 0.5 * x * (1 + torch.erf(x)),
        "u is divided by 2, not by its root, inside erf": lambda: 0.5 * x * (1 + torch.erf(x / 2)),
        "the half is missing: Φ is half of 1 + erf": lambda: x * (1 + torch.erf(x / ROOT_2)),
        "the half is missing: it is half of 1 + tanh": lambda: (
            2 * tanh_form(ROOT_2_PI * (x + cube))
        ),
        "the 1 is missing: erf alone is between -1 and 1": lambda: 0.5 * x * torch.erf(x / ROOT_2),
        "Φ alone is returned: multiply it by u": lambda: 0.5 * (1 + torch.erf(x / ROOT_2)),
        "the factor u is missing: u times half of 1 + tanh": lambda: (
            0.5 * (1 + torch.tanh(ROOT_2_PI * (x + cube)))
        ),
        "the cube is missing": lambda: tanh_form(ROOT_2_PI * x),
        "u is squared where it must be cubed": lambda: tanh_form(ROOT_2_PI * (x + 0.044715 * x**2)),
        "the root of 2/π multiplies u, but not the cube": lambda: tanh_form(ROOT_2_PI * x + cube),
        "the factor is 2/π, without the root": lambda: tanh_form(2 / torch.pi * (x + cube)),
        "the factor is the root of π/2, upside down": lambda: tanh_form((x + cube) / ROOT_2_PI),
        "the factor before the tanh's sum is missing": lambda: tanh_form(x + cube),
    }
    exact, tanh = wrong.pop("exact"), wrong.pop("tanh")
    both = "the {} form is computed: the forms have changed places, or one serves both"
    forms = (("none", exact, "tanh", tanh), ("tanh", tanh, "exact", exact))
    for form, right, other, others in forms:
        kept = x.clone()
        got = call_answer(f"{name}(x, {form!r})", gelu, x, form)
        check_tensor(name, got)
        _require(bool((x == kept).all()), f"{name} changes its input. {KEPT}")
        named = {**wrong, both.format(other): others}
        check_close(f"{name}(x, {form!r})", got, right(), named, tolerance=2e-6)
        big = torch.tensor([-1e30, -200.0, 0.0, 200.0, 1e30])
        got = call_answer(f"{name}(large x, {form!r})", gelu, big, form)
        _require(
            bool(got.isfinite().all()),
            f"{name}(large x, {form!r}) gives NaN or infinity: a fraction of exponentials "
            "overflows, torch.erf and torch.tanh do not.",
        )
        check_close(f"{name}(large x, {form!r})", got, big.clamp(min=0.0))
        low = call_answer(f"{name}(x, {form!r})", gelu, x.half(), form)
        check_dtype(f"{name}(x, {form!r})", low, torch.float16, "It has the dtype of its input.")
        leaf = _randn(100, 3, 4).requires_grad_()
        got = call_answer(f"{name}(x, {form!r})", gelu, leaf, form)
        check_shape(f"{name}(x, {form!r})", got, {"rows": 3, "columns": 4})
        _require(got.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
        (gradient,) = torch.autograd.grad(got.sum(), leaf)
        (expected,) = torch.autograd.grad(F.gelu(leaf, approximate=form).sum(), leaf)
        check_close(f"the gradient of {name}(x, {form!r})", gradient, expected)
    got = call_answer(f"{name}(x)", gelu, x)
    check_close(f"{name}(x)", got, exact(), {"the default is the tanh form": tanh}, 2e-6)
    try:
        gelu(x, "erf")
    except ValueError:
        _done(name)
        return
    except Exception as error:
        raise AssertionError(
            f"{name}(x, 'erf') raises {type(error).__name__}; make it a ValueError."
        ) from error
    raise AssertionError(f"{name}(x, 'erf') must raise a ValueError: no such form is known.")


# ---------------------------------------------------------------- 6. gated


def check_swiglu(swiglu: Callable) -> None:
    """Values with sizes that differ and agree, and what stays."""
    name = "swiglu"
    check_not_used(name, swiglu, LIBRARY)
    for d, f in ((6, 10), (6, 6)):
        gate, up, down = _randn(110, f, d), _randn(111, f, d), _randn(112, d, f)
        x = _randn(113, 2, 5, d)
        kept = [z.clone() for z in (x, gate, up, down)]
        got = call_answer(name, swiglu, x, gate, up, down, hints=AXES)
        check_tensor(name, got)
        named = {(2, 5, f): "This is before the last matrix: bring it back to width D."}
        shape = tuple(got.shape)
        _require(
            shape == (2, 5, d),
            f"{name} has the wrong shape: expected (B, T, D) = {(2, 5, d)}, got {shape}. "
            f"{named.get(shape, 'The result has the shape of x.')}",
        )
        for part, now, before in zip(
            ("x", "gate", "up", "down"), (x, gate, up, down), kept, strict=True
        ):
            _require(bool((now == before).all()), f"{name} changes its input `{part}`. {KEPT}")
        wrong = _gate_mistakes(x, gate, up, down)
        right = _units(x, gate, up, down)
        check_close(f"{name} with D = {d}, F = {f}", got, right, wrong)
    leaves = [z.clone().requires_grad_() for z in (x, gate, up, down)]
    got = call_answer(name, swiglu, *leaves)
    _require(got.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    gradients = torch.autograd.grad(got.square().sum(), leaves, allow_unused=True)
    for part, gradient in zip(("x", "gate", "up", "down"), gradients, strict=True):
        _require(gradient is not None, f"{name}: no gradient reaches {part}. Is there a detach?")
    low = call_answer(name, swiglu, *(z.detach().bfloat16() for z in leaves))
    check_dtype(name, low, torch.bfloat16, "The result has the dtype of the inputs.")
    one = call_answer(f"{name} of one token", swiglu, x[0, 0], gate, up, down, hints=AXES)
    check_close(f"{name} of one token, shape (D,)", one, right[0, 0])
    large = call_answer(f"{name} of large tokens", swiglu, 100 * x, gate, up, down)
    _require(
        bool(large.isfinite().all()),
        f"{name} of large tokens gives NaN or infinity: e^u / (1 + e^u) overflows.",
    )
    _done(name)


def _units(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """The definition, unit by unit."""
    units = zip(gate, up, down.T, strict=True)
    return sum((F.silu(x @ key) * (x @ factor))[..., None] * value for key, factor, value in units)


def _gate_mistakes(
    x: Tensor, gate: Tensor, up: Tensor, down: Tensor
) -> dict[str, Callable[[], Tensor]]:
    g, u = F.linear(x, gate), F.linear(x, up)
    inner = {
        "gate and up have changed places: gate is the one that is activated": F.silu(u) * g,
        "nothing is activated": g * u,
        "the gate goes through a sigmoid alone: SiLU is u sigmoid(u)": torch.sigmoid(g) * u,
        "the gate goes through GELU: that is GEGLU": F.gelu(g) * u,
        "the gate goes through ReLU": F.relu(g) * u,
        "both products are activated: only the gate is": F.silu(g) * F.silu(u),
        "the product is activated, not the gate": F.silu(g * u),
        "the two are added: they are multiplied": F.silu(g) + u,
        "the third matrix is ignored: there is no product with up": F.silu(g),
        "gate and up are stacked and cut in the wrong order": F.silu(u) * g,
    }
    table = {
        mistake: (lambda value=value: F.linear(value, down)) for mistake, value in inner.items()
    }
    table["the output is activated too"] = lambda: F.silu(F.linear(F.silu(g) * u, down))
    table["the input is added to the output: there is no residual connection here"] = lambda: (
        x + F.linear(F.silu(g) * u, down)
    )
    if gate.shape[0] == gate.shape[1]:
        table["the matrices are not transposed: they are stored as (outputs, inputs)"] = lambda: (
            (F.silu(x @ gate) * (x @ up)) @ down
        )
        table["the last matrix is missing"] = lambda: F.silu(g) * u
    return table


def check_gated_width(gated_width: Callable) -> None:
    """Whole numbers, with and without a multiple."""
    name = "gated_width"
    check_not_used(name, gated_width, LIBRARY)
    for d_ff, multiple in (
        (12, 1),
        (11, 1),
        (4, 1),
        (100, 3),
        (2048, 1),
        (3072, 64),
        (100, 7),
        (4096, 256),
    ):
        got = call_answer(f"{name}({d_ff}, {multiple})", gated_width, d_ff, multiple)
        _require(
            isinstance(got, int) and not isinstance(got, bool),
            f"{name}({d_ff}, {multiple}) must be a whole number; it is {type(got).__name__}.",
        )
        right = max(w for w in range(0, d_ff + 1, multiple) if 3 * w <= 2 * d_ff)
        exact = 2 * d_ff / 3
        named = {
            d_ff: "three matrices of this width have more weights than two",
            d_ff * 3 // 2: "the factor is upside down: three matrices share what two had",
            d_ff // 2: "there are three matrices, not four",
            d_ff // 3: "each of the three matrices gets a third of 2 d_ff",
            round(exact): "at most as many weights: round down",
            -(-int(exact) // multiple) * multiple: "at most as many weights: round down",
            round(exact / multiple) * multiple: "at most as many weights: round down",
            (int(exact) // multiple + 1) * multiple: "at most as many weights: round down",
            d_ff // multiple * multiple * 2 // 3: "round down after taking two thirds, not before",
            d_ff // 3 * 2: "take two thirds first and round down once",
            2 * d_ff // 3: "it is not a multiple of the number that is given",
        }
        why = named.get(got, "write the inequality 3 D F' <= 2 D F and solve for F'")
        _require(got == right, f"{name}({d_ff}, {multiple}) is not {got}: {why}.")
    got = call_answer(f"{name}(12)", gated_width, 12)
    _require(got == 8, f"{name}(12) is not {got}: the default multiple is 1.")
    _done(name)
