"""Visible checks of assignment 07: each says what is wrong in terms of the idea.

The expected values come from torch's own norms and layers, which the tasks do not let you use, and
from loops. A check that passes is not the whole story: the grader runs further tests.
"""

import copy
import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_tensor,
    max_difference,
)

__all__ = [
    "check_encoder_layer",
    "check_gradient_norms",
    "check_layer_norm",
    "check_rms_norm",
    "check_spread",
    "check_sublayer_connection",
    "check_worked_case",
]

NORMS = {
    "layer_norm": "Write the formula yourself.",
    "rms_norm": "Write the formula yourself.",
    "batch_norm": "It takes the statistics of a column over the batch.",
    "group_norm": "Write the formula yourself.",
    "native_layer_norm": "Write the formula yourself.",
    "native_batch_norm": "It takes the statistics of a column over the batch.",
    "encoderlib": "The library holds the answer; write your own.",
}
LIBRARY = {"encoderlib": "The library holds the answer; write your own."}
KEPT = "The input must stay as it is: build a new tensor."


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. worked case

_X = (1.0, 6.0, 6.0, 6.0, 6.0)


def _norm(x: Tensor, variance: Tensor | None = None) -> Tensor:
    variance = x.var(correction=0) if variance is None else variance
    return (x - x.mean()) / variance.sqrt()


def check_worked_case(worked_case: Callable) -> None:
    """Two numbers and six lists."""
    case = call_answer("worked_case()", worked_case)
    x = torch.tensor(_X, dtype=torch.float64)
    z, unbiased = _norm(x), _norm(x, x.var())
    rms = x / x.square().mean().sqrt()
    one = torch.zeros(1, dtype=torch.float64)
    biased_says = "the sum of the squares is divided by D - 1: layer norm divides by D"
    no_root = "the difference is divided by the variance: divide by its root"
    no_mean = "the mean is not subtracted: that is an RMS norm"
    turned = 2 * z.flip(0)  # f(norm(x))
    post = _norm(x + 2 * x.flip(0))
    plain = "f is left out, or has lost its effect: it doubles x and reverses the order"
    kept_order = "f reverses the order of the entries as well"
    stretched = "stretching and moving a token changes nothing: z(a x + c) = z(x)"
    named = {
        "mean": (x.mean(), {"this is the sum: divide by D": x.sum()}),
        "variance": (
            x.var(correction=0),
            {
                biased_says: x.var(),
                "this is the root of the variance": x.std(correction=0),
                "this is the sum of the squares: divide by D": 5 * x.var(correction=0),
                "this is the mean of the squares: subtract the mean first": x.square().mean(),
            },
        ),
        "norm": (
            z,
            {
                biased_says: unbiased,
                no_root: (x - x.mean()) / 4,
                no_mean: rms,
                "the sign is wrong: x minus the mean": -z,
                "the token is not divided by anything yet": x - x.mean(),
            },
        ),
        "norm of 10 x + 3": (
            z,
            {stretched: 10 * z, f"{stretched}.": 10 * z + 3, biased_says: unbiased},
        ),
        "post-norm": (
            post,
            {
                plain: z,
                "the norm comes after the addition, not before": x + z.flip(0),
                "this is pre-norm": x + turned,
                "this is x + f(x) before the norm": x + 2 * x.flip(0),
                "the addition is missing": z.flip(0),
                "f doubles the entries as well": _norm(x + x.flip(0)),
                biased_says: _norm(x + 2 * x.flip(0), (x + 2 * x.flip(0)).var()),
            },
        ),
        "pre-norm": (
            x + turned,
            {
                plain: x + z,
                kept_order: x + 2 * z,
                "the norm comes before f, which doubles what it gets": x + z.flip(0),
                "the addition takes norm(x) instead of x: the direct path has no norm": z + turned,
                "the addition is missing": turned,
                "this is post-norm": post,
                "the norm is applied to the sum as well": _norm(x + turned),
            },
        ),
        "norm before the addition": (
            x + z.flip(0),
            {
                plain: x + z,
                "this is pre-norm: here the norm comes after f": x + turned,
                "this is post-norm: here the addition comes last": post,
                "the addition is missing": z.flip(0),
            },
        ),
        "width 1": (
            one,
            {
                "a single entry is its own mean, so the difference is 0": one + 1,
                "a single entry is its own mean.": one + 7,
            },
        ),
    }
    _require(isinstance(case, dict), "worked_case() must return the dictionary with eight keys.")
    for name, (right, wrong) in named.items():
        _require(name in case, f"worked_case() lacks the entry {name!r}.")
        try:
            got = torch.as_tensor(case[name], dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise AssertionError(f"{name!r} must hold numbers; it is {case[name]!r}.") from error
        form = "one number" if right.dim() == 0 else f"a list of length {len(right)}"
        _require(got.shape == right.shape, f"{name!r} must be {form}; it is {case[name]!r}.")
        if torch.allclose(got, right, atol=2e-3):
            continue
        why = "write the formula down and put the numbers in"
        for reason, value in wrong.items():
            if torch.allclose(got, value, atol=2e-3):
                why = reason
                break
        raise AssertionError(f"{name!r} is not {case[name]!r}: {why.rstrip('.')}.")
    _done("worked_case")


# ---------------------------------------------------------------- 2. and 3. norms

NORM_HINTS = {
    "must match the size": "Keep the last axis of the statistics with keepdim=True.",
    "has no attribute 'weight'": "The gain must be called `weight`.",
    "has no attribute 'bias'": "The shift must be called `bias`.",
    "cannot assign": "Call super().__init__() first, and make parameters with nn.Parameter.",
}


def _build(name: str, kind: type, d: int, *arguments: object, **options: object) -> nn.Module:
    module = call_answer(f"{name}({d})", kind, d, *arguments, hints=NORM_HINTS, **options)
    _require(
        isinstance(module, nn.Module), f"{name}({d}) is no nn.Module: derive it from nn.Module."
    )
    return module


def _check_parameters(name: str, module: nn.Module, expected: Mapping[str, float], d: int) -> None:
    given = dict(module.named_parameters())
    for part, start in expected.items():
        _require(
            part in given,
            f"{name} has no parameter {part!r}, it has {sorted(given)}. Make it with "
            "nn.Parameter, or no optimizer will ever see it.",
        )
        shape = tuple(given[part].shape)
        _require(
            shape == (d,),
            f"`{part}` of {name} has shape {shape} instead of (D,) = ({d},): one entry for each "
            "column.",
        )
        _require(
            bool((given[part] == start).all()),
            f"`{part}` of {name} must start as {'ones' if start else 'zeros'}.",
        )
    more = sorted(set(given) - set(expected))
    _require(not more, f"{name} has a parameter too many, {more[0] if more else ''!r}.")


def _fill(module: nn.Module, seed: int) -> None:
    """Gains and shifts that are not 1 and 0, so that no term can hide."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.copy_(1.5 + _randn(seed + number, *parameter.shape))


def _layer_norm(x: Tensor, g: Tensor, b: Tensor, eps: float, **change: object) -> Tensor:
    """Layer norm with one thing changed; what the named mistakes compute."""
    axes = change.get("axes", -1)
    mean = x.mean(dim=axes, keepdim=True)
    centred = x if change.get("no_mean") else x - mean
    variance = (x - mean).square().mean(dim=axes, keepdim=True)
    if change.get("no_mean"):
        variance = x.square().mean(dim=axes, keepdim=True)
    if change.get("unbiased"):
        variance = x.var(dim=axes, keepdim=True)
    if change.get("one_pass"):
        variance = x.square().mean(dim=axes, keepdim=True) - mean.square()
        variance = variance.clamp(min=change.get("at_least", -math.inf))
    root = variance.sqrt() + eps if change.get("outside") else torch.sqrt(variance + eps)
    if change.get("no_root"):
        root = variance + eps
    z = centred / root
    if change.get("early"):
        return (z + b) * g
    return z * g + b


def check_layer_norm(kind: type) -> None:
    """Parameters, ordinary tokens, quiet and far tokens, dtypes, width, gradient."""
    name = "LayerNorm"
    for part in ("__init__", "forward"):
        check_not_used(name, getattr(kind, part, None), NORMS)
    d = 7
    norm = _build(name, kind, d)
    _check_parameters(name, norm, {"weight": 1.0, "bias": 0.0}, d)
    _fill(norm, 5)
    g, b = norm.weight.detach(), norm.bias.detach()

    def call(x: Tensor, made: nn.Module = norm, **options: object) -> Tensor:
        return call_answer(f"{name}.forward", made, x, hints=NORM_HINTS, **options)

    def mistakes(x: Tensor, eps: float = 1e-5) -> dict[str, Callable[[], Tensor]]:
        wrong = {
            "the sum of the squares is divided by D - 1: layer norm divides by D": {
                "unbiased": True
            },
            "eps is added to the root: it belongs inside, to the variance": {"outside": True},
            "the token is divided by its variance: divide by the root": {"no_root": True},
            "the mean is not subtracted: that is an RMS norm": {"no_mean": True},
            "the shift is added before the gain is multiplied": {"early": True},
            "the variance is the mean of the squares minus the square of the mean, which loses "
            "its digits when the mean is large": {"one_pass": True},
            "the variance is the mean of the squares minus the square of the mean, at least 0: it "
            "loses its digits when the mean is large": {"one_pass": True, "at_least": 0.0},
        }
        if x.dim() == 3:
            wrong |= {
                "the statistics are taken over the tokens of a sentence: each token has its own": {
                    "axes": 1
                },
                "the statistics are taken over the batch: that is a batch norm": {"axes": 0},
                "the statistics are taken over all columns of all tokens at once": {"axes": (1, 2)},
                "the statistics are taken over batch and tokens: that is a batch norm": {
                    "axes": (0, 1)
                },
                "the statistics are taken over the whole tensor": {"axes": (0, 1, 2)},
            }
        named = {
            reason: (lambda change=change: _layer_norm(x, g, b, eps, **change))
            for reason, change in wrong.items()
        }
        ones, zeros = torch.ones_like(g), torch.zeros_like(b)
        return named | {
            "the gain is not applied": lambda: _layer_norm(x, ones, b, eps),
            "the shift is not added": lambda: _layer_norm(x, g, zeros, eps),
            "neither gain nor shift is applied": lambda: _layer_norm(x, ones, zeros, eps),
            "gain and shift have changed places": lambda: _layer_norm(x, b, g, eps),
            "the argument eps is ignored: it is 1e-5 here": lambda: _layer_norm(x, g, b, 1e-5),
            "eps is 1e-6 here: its default is 1e-5": lambda: _layer_norm(x, g, b, 1e-6),
            "eps is not used": lambda: _layer_norm(x, g, b, 1e-30),
        }

    def agree(what: str, x: Tensor, made: nn.Module = norm, eps: float = 1e-5) -> Tensor:
        before = x.clone()
        got = call(x, made)
        check_tensor(f"{name} of {what}", got)
        _require(
            got.shape == x.shape,
            f"{name} of {what} has the wrong shape: expected {tuple(x.shape)}, got "
            f"{tuple(got.shape)}.",
        )
        right = F.layer_norm(x, (d,), g, b, eps)
        check_close(f"{name} of {what}", got, right, mistakes(x, eps), tolerance=1e-4)
        _require(bool((x == before).all()), f"{name} changes its input. {KEPT}")
        return got

    agree("ordinary tokens", 2 + 3 * _randn(1, 2, 5, d))
    agree("one token, a tensor of one axis", _randn(2, d))
    agree("quiet tokens (entries of about 0.001)", 1e-3 * _randn(3, 2, 5, d))
    agree("equal entries", torch.full((2, 3, d), 2.0))
    wide = _build(name, kind, d, 0.5)
    with torch.no_grad():
        wide.weight.copy_(g)
        wide.bias.copy_(b)
    agree("tokens with eps = 0.5", _randn(4, 2, 5, d), wide, 0.5)

    far = 1e4 + _randn(5, 2, 5, d)
    right = F.layer_norm(far.double(), (d,), g.double(), b.double())
    got = call(far)
    if max_difference(got, right) > 0.05:
        check_close(
            f"{name} of tokens far from zero (entries of about 10,000)",
            got,
            right.float(),
            mistakes(far),
            tolerance=0.01,
        )
    _check_low_precision(name, norm, lambda x, w: F.layer_norm(x, (d,), *w))
    _check_double(name, kind, d, lambda x, w: F.layer_norm(x, (d,), *w))
    _check_width(name, norm, d)
    _check_gradient(name, norm, lambda x: F.layer_norm(x, (d,), norm.weight, norm.bias))
    _done("layer_norm")


def _check_low_precision(name: str, norm: nn.Module, oracle: Callable) -> None:
    """Loud tokens in float16: the squares do not fit."""
    d = norm.weight.numel()
    half = copy.deepcopy(norm).half()
    x = (600 * _randn(6, 2, 5, d)).half()
    got = call_answer(f"{name}.forward", half, x)
    check_dtype(
        f"{name} of float16",
        got,
        torch.float16,
        "Compute in float32, and convert the result back to the dtype of x.",
    )
    weights = [p.detach().float() for p in half.parameters()]
    right = oracle(x.float(), weights)
    _require(
        bool(got.isfinite().all()) and max_difference(got.float(), right) < 0.05,
        f"{name} of float16 tokens with entries of about 600 is wrong by "
        f"{max_difference(got.float(), right):.2g}: 600 squared does not fit into float16. "
        "Compute the statistics in float32.",
    )
    brain = copy.deepcopy(norm).bfloat16()
    x = (500 + 5 * _randn(6, 2, 5, d)).bfloat16()
    right = oracle(x.float(), [p.detach().float() for p in brain.parameters()])
    gap = max_difference(call_answer(f"{name}.forward", brain, x).float(), right)
    _require(
        gap < 0.05,
        f"{name} of bfloat16 tokens with entries around 500 is wrong by {gap:.2g}: bfloat16 has "
        "about three digits, too few for a mean. Compute the statistics in float32.",
    )
    mixed = call_answer(f"{name}.forward", norm, _randn(7, 2, d).bfloat16())
    check_dtype(
        f"{name} of bfloat16 tokens with a float32 gain",
        mixed,
        torch.bfloat16,
        "The result has the dtype of x.",
    )


def _check_double(name: str, kind: type, d: int, oracle: Callable) -> None:
    made = _build(name, kind, d).double()
    _fill(made, 15)
    x = 1 + _randn(8, 2, 5, d).double()
    got = call_answer(f"{name}.forward", made, x)
    check_dtype(f"{name} of float64", got, torch.float64, "The result has the dtype of x.")
    weights = [p.detach() for p in made.parameters()]
    gap = max_difference(got, oracle(x, weights))
    _require(
        gap < 1e-9,
        f"{name} of float64 tokens is right to {gap:.0e} only: float64 is converted to float32 on "
        "the way. Leave it as it is.",
    )


def _check_width(name: str, norm: nn.Module, d: int) -> None:
    for width in (1, d - 1):
        try:
            norm(torch.ones(2, 3, width))
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{name}({d}) raises {type(error).__name__} for tokens of width {width}: make it "
                "a ValueError."
            ) from error
        raise AssertionError(
            f"{name}({d}) must raise a ValueError for tokens of width {width}. Width 1 would be "
            f"broadcast against the gain: one number in, {d} out."
        )


def _check_gradient(name: str, norm: nn.Module, oracle: Callable) -> None:
    d = norm.weight.numel()
    x, cotangent = _randn(9, 2, 5, d).requires_grad_(), _randn(10, 2, 5, d)
    got = call_answer(f"{name}.forward", norm, x)
    _require(got.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    leaves = {"x": x, **dict(norm.named_parameters())}
    grads = torch.autograd.grad((got * cotangent).sum(), list(leaves.values()), allow_unused=True)
    right = torch.autograd.grad((oracle(x) * cotangent).sum(), list(leaves.values()))
    for (part, _), a, b in zip(leaves.items(), grads, right, strict=True):
        _require(a is not None, f"no gradient of {name} reaches `{part}`.")
        _require(
            max_difference(a, b) < 1e-3,
            f"{name} has the right values and the wrong gradient of `{part}`: mean and variance "
            "depend on x, too. Is one of them detached?",
        )


def check_rms_norm(kind: type) -> None:
    """The same checks as for the layer norm."""
    name = "RMSNorm"
    for part in ("__init__", "forward"):
        check_not_used(name, getattr(kind, part, None), NORMS)
    d = 7
    norm = _build(name, kind, d)
    _check_parameters(name, norm, {"weight": 1.0}, d)
    _fill(norm, 25)
    g = norm.weight.detach()

    def mistakes(x: Tensor, eps: float) -> dict[str, Tensor]:
        mean_square = x.square().mean(-1, keepdim=True)
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.square().mean(-1, keepdim=True)
        wrong = {
            "the mean is subtracted: that is a layer norm without its shift": (
                centred / torch.sqrt(variance + eps)
            ),
            "the token is divided by its standard deviation: the mean belongs to the mean square": (
                x / torch.sqrt(variance + eps)
            ),
            "the token is divided by its mean square: take the root": x / (mean_square + eps),
            "the token is divided by its length: take the mean of the squares, not the sum": (
                x / torch.sqrt(x.square().sum(-1, keepdim=True) + eps)
            ),
            "eps is added to the root: it belongs inside": x / (mean_square.sqrt() + eps),
            "the argument eps is ignored: it is 1e-5 here": x / torch.sqrt(mean_square + 1e-5),
            "eps is not used": x / torch.sqrt(mean_square + 1e-30),
            "the token is divided by the mean of the absolute values": (
                x / (x.abs().mean(-1, keepdim=True) + eps)
            ),
        }
        if x.dim() == 3:
            wrong["the mean is taken over the tokens: each token has its own"] = x / torch.sqrt(
                x.square().mean(1, keepdim=True) + eps
            )
            wrong["the mean is taken over the whole tensor: each token has its own"] = (
                x / torch.sqrt(x.square().mean() + eps)
            )
        named = {reason: value * g for reason, value in wrong.items()}
        return named | {"the gain is not applied": x / torch.sqrt(mean_square + eps)}

    def agree(what: str, x: Tensor, made: nn.Module = norm, eps: float = 1e-5) -> None:
        before = x.clone()
        got = call_answer(f"{name}.forward", made, x, hints=NORM_HINTS)
        check_close(
            f"{name} of {what}",
            got,
            F.rms_norm(x, (d,), g, eps),
            mistakes(x, eps),
            tolerance=1e-4,
        )
        _require(bool((x == before).all()), f"{name} changes its input. {KEPT}")

    agree("ordinary tokens", 2 + 3 * _randn(1, 2, 5, d))
    agree("one token", _randn(2, d))
    agree("quiet tokens (entries of about 0.001)", 1e-3 * _randn(3, 2, 5, d))
    wide = _build(name, kind, d, 0.5)
    with torch.no_grad():
        wide.weight.copy_(g)
    agree("tokens with eps = 0.5", _randn(4, 2, 5, d), wide, 0.5)
    _check_low_precision(name, norm, lambda x, w: F.rms_norm(x, (d,), w[0], 1e-5))
    _check_double(name, kind, d, lambda x, w: F.rms_norm(x, (d,), w[0], 1e-5))
    _check_width(name, norm, d)
    _check_gradient(name, norm, lambda x: F.rms_norm(x, (d,), norm.weight, 1e-5))
    _done("rms_norm")


# ---------------------------------------------------------------- 4. the connection


def check_sublayer_connection(kind: type) -> None:
    """Parts, both orders, calls, dropout, shapes, gradients."""
    name = "SublayerConnection"
    for part in ("__init__", "forward"):
        check_not_used(name, getattr(kind, part, None), LIBRARY)
    d = 6
    for first in (False, True):
        made = _build(name, kind, d, 0.0, first)
        given = {n: tuple(p.shape) for n, p in made.named_parameters()}
        _require(
            given == {"norm.weight": (d,), "norm.bias": (d,)},
            f"{name} must have one sub-module `norm` with a gain and a shift, and no other "
            f"parameters; it has {given}.",
        )
        _check_order(name, made, first)
    _check_eps(name, kind, d)
    _check_dropout(name, kind)
    _check_addition(name, kind, d)
    _done("sublayer_connection")


def _check_order(name: str, made: nn.Module, first: bool) -> None:
    d, order = 6, "pre-norm" if first else "post-norm"
    _fill(made, 31)
    linear = nn.Linear(d, d)
    _fill(linear, 41)
    x = 1 + 2 * _randn(3, 2, 5, d)
    before, seen = x.clone(), []

    def norm(z: Tensor) -> Tensor:
        return F.layer_norm(z, (d,), made.norm.weight, made.norm.bias)

    def f(z: Tensor) -> Tensor:
        seen.append(z.detach().clone())
        return linear(z)

    got = call_answer(f"{name}.forward", made, x, f)
    check_tensor(f"{name} ({order})", got)
    _require(bool((x == before).all()), f"{name} changes its input x. {KEPT}")
    _require(
        len(seen) == 1,
        f"{name} ({order}) calls the sub-layer {len(seen)} times instead of once: with dropout "
        "inside, two calls give two results.",
    )
    orders = {
        "post": norm(x + linear(x)),
        "pre": x + linear(norm(x)),
    }
    right = orders["pre" if first else "post"]
    n = norm(x)
    wrong = {
        "the order is post-norm, although norm_first is True": orders["post"],
        "the order is pre-norm, although norm_first is False": orders["pre"],
        "the norm stands between the sub-layer and the addition, as in article 001": (
            x + norm(linear(x))
        ),
        "the addition takes norm(x) instead of x: the direct path of pre-norm has no norm": (
            n + linear(n)
        ),
        "the addition is missing": norm(linear(x)) if not first else linear(n),
        "the addition is missing, and so is the norm": linear(x),
        "the norm is missing": x + linear(x),
        "the norm is applied before and after": norm(x + linear(n)),
        "x is normalised before the addition, and the sub-layer sees x": n + linear(x),
        "x is added twice": 2 * x + linear(n) if first else norm(2 * x + linear(x)),
        "the output of the sub-layer is subtracted": (
            x - linear(n) if first else norm(x - linear(x))
        ),
    }
    right_key = "pre" if first else "post"
    wrong = {why: value for why, value in wrong.items() if value is not orders[right_key]}
    check_close(f"{name} ({order})", got, right, wrong, tolerance=1e-4)
    leaf = _randn(4, 2, 5, d).requires_grad_()
    out = call_answer(f"{name}.forward", made, leaf, linear)
    want = leaf + linear(norm(leaf)) if first else norm(leaf + linear(leaf))
    cotangent = _randn(5, 2, 5, d)
    _require(out.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    parts = {"x": leaf, "the sub-layer": linear.weight, "the norm": made.norm.weight}
    grads = torch.autograd.grad((out * cotangent).sum(), list(parts.values()), allow_unused=True)
    rights = torch.autograd.grad((want * cotangent).sum(), list(parts.values()))
    for part, a, b in zip(parts, grads, rights, strict=True):
        _require(
            a is not None and max_difference(a, b) < 1e-3,
            f"{name} ({order}) has the right values and the wrong gradient of {part}: is "
            "something detached?",
        )


def _check_eps(name: str, kind: type, d: int) -> None:
    made = _build(name, kind, d, 0.0, False, 0.5)
    x = _randn(6, 2, 5, d)
    got = call_answer(f"{name}.forward", made, x, torch.zeros_like)
    check_close(
        f"{name} with eps = 0.5 and a silent sub-layer",
        got,
        F.layer_norm(x, (d,), eps=0.5),
        {"eps is not handed on to the norm": F.layer_norm(x, (d,))},
        tolerance=1e-4,
    )


def _check_dropout(name: str, kind: type) -> None:
    d, p = 50, 0.25
    x = _randn(7, 4, 30, d)
    pre, post = _build(name, kind, d, p, True), _build(name, kind, d, p, False)
    normed = F.layer_norm(x, (d,))
    for made, want in ((pre, x), (post, normed)):
        got = call_answer(f"{name}.forward", made.train(), x, torch.zeros_like)
        _require(
            max_difference(got, want) < 1e-3,
            f"in training, with a silent sub-layer, dropout must change nothing. Here it erases "
            f"{float((got == 0).float().mean()):.0%} of the numbers: it acts on the direct path, "
            "after the addition, or on the result."
            if bool((got == 0).any())
            else f"in training, with a silent sub-layer, {name} must return x or norm(x): "
            "dropout acts on something else than the output of the sub-layer.",
        )
    update = call_answer(f"{name}.forward", pre, x, torch.ones_like) - x
    erased = float((update.abs() < 1e-3).float().mean())
    _require(
        erased > 0,
        f"{name} has no dropout in training: no entry of the sub-layer's output is erased. Does "
        "it act before the sub-layer, or not at all?",
    )
    _require(
        abs(erased - p) < 0.05,
        f"{name} erases {erased:.0%} of the sub-layer's output instead of {p:.0%}.",
    )
    left = update[update.abs() >= 1e-3]
    _require(
        max_difference(left, torch.full_like(left, 1 / (1 - p))) < 1e-3,
        f"what dropout leaves must be divided by 1 - p, {1 / (1 - p):.3f} for a sub-layer that "
        f"returns ones; it is {float(left.mean()):.3f}.",
    )
    loud = call_answer(f"{name}.forward", post, torch.zeros(4, 30, d), torch.ones_like)
    _require(
        float(loud.detach().std()) > 0.1,
        f"{name} has no dropout in training in post-norm.",
    )
    for made, want in ((pre, x + torch.tanh(normed)), (post, F.layer_norm(x + x.tanh(), (d,)))):
        got = call_answer(f"{name}.forward", made.eval(), x, torch.tanh)
        _require(
            max_difference(got, want) < 1e-3,
            f"after eval() dropout must be off; {name} is still random, or scaled. Use a module "
            "nn.Dropout, which knows the mode.",
        )
        made.train()


def _check_addition(name: str, kind: type, d: int) -> None:
    shapes = {
        "the mean over the tokens, (B, 1, D)": lambda z: z.mean(1, keepdim=True),
        "one column, (B, T, 1)": lambda z: z[..., :1],
        "the first sentence, (T, D)": lambda z: z[0],
        "an axis too many, (1, B, T, D)": lambda z: z[None],
    }
    for what, f in shapes.items():
        for first in (False, True):
            made = _build(name, kind, d, 0.0, first)
            try:
                made(_randn(8, 2, 5, d), f)
            except ValueError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"{name} raises {type(error).__name__} for a sub-layer that returns {what}: "
                    "make it a ValueError."
                ) from error
            raise AssertionError(
                f"{name} must raise a ValueError for a sub-layer that returns {what}: the "
                "addition broadcasts it without a word."
            )


# ---------------------------------------------------------------- 5. debug


def check_encoder_layer(encoder_layer: Callable) -> None:
    """Parity with torch, then the path of attention."""
    check_not_used("encoder_layer", encoder_layer, LIBRARY)
    d = 6
    layer = nn.TransformerEncoderLayer(d, 2, 11, 0.0, batch_first=True)
    _fill(layer, 51)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.div_(2)

    def attend(z: Tensor) -> Tensor:
        return layer.self_attn(z, z, z, need_weights=False)[0]

    def feed(z: Tensor) -> Tensor:
        return layer.linear2(layer.linear1(z).relu())

    n1, n2 = layer.norm1, layer.norm2
    x = _randn(1, 2, 5, d)
    before = x.clone()

    def drop(z: Tensor) -> Tensor:
        return z * torch.tensor([0.0, 1.5, 1.5, 0.0, 1.5, 1.5])  # not one factor: a norm removes it

    def at(z: Tensor) -> Tensor:
        return drop(attend(z))

    def ff(z: Tensor) -> Tensor:
        return drop(feed(z))

    with torch.no_grad():
        got = call_answer("encoder_layer", encoder_layer, x, attend, feed, n1, n2, drop)
        _require(bool((x == before).all()), f"encoder_layer changes its input x. {KEPT}")
        h, bare = n1(x + at(x)), n1(x + attend(x))
        right = n2(h + ff(h))
        orders = {}
        for a, f in ((at, ff), (attend, feed)):  # with dropout in its place, and without dropout
            g, end = n1(x + a(x)), (drop if a is attend else torch.clone)
            q = x + a(n1(x))
            found = {
                "the layer is as in article 001: one norm, one addition, and attention has no "
                "path of its own": end(x + n1(f(a(x)))),
                "the layer is as in article 001, with the norm after the addition": (
                    end(n1(x + f(a(x))))
                ),
                "the layer is as in article 001, with norm2": end(x + n2(f(a(x)))),
                "there is one addition around both sub-layers: each needs its own": (
                    end(x + n2(f(n1(a(x)))))
                ),
                "the second step adds to the input of the layer, not to what the first step "
                "returned": n2(x + f(g)),
                "norm1 is used twice: each sub-layer has a norm of its own": n1(g + f(g)),
                "the order is pre-norm: this task asks for post-norm": q + f(n2(q)),
                "the addition around attention is missing": (
                    (lambda k, f=f: n2(k + f(k)))(n1(a(x)))
                ),
                "the addition around the feed-forward network is missing": n2(f(g)),
                "both additions are missing": n2(f(n1(a(x)))),
                "the second norm is missing": g + f(g),
                "the first norm is missing": n2(x + a(x) + f(x + a(x))),
                "the feed-forward network reads x instead of what the first step returned": (
                    n2(g + f(x))
                ),
                "the norms stand between sub-layer and addition": (
                    (lambda k, f=f: k + n2(f(k)))(x + n1(a(x)))
                ),
            }
            for why, value in found.items():
                orders[why if a is at else f"{why}. Dropout has another place, too"] = value
        wrong = orders | {
            "the norms have changed places": (lambda g: n1(g + ff(g)))(n2(x + at(x))),
            "the two sub-layers have changed places": (lambda g: n2(g + at(g)))(n1(x + ff(x))),
            "both sub-layers read x, side by side": n2(n1(x + at(x) + ff(x))),
            "`drop` is not used": n2(bare + feed(bare)),
            "dropout acts after the addition, on the direct path": (
                (lambda g: n2(drop(g + feed(g))))(n1(drop(x + attend(x))))
            ),
            "dropout acts after attention only": n2(h + feed(h)),
            "dropout acts after the feed-forward network only": n2(bare + ff(bare)),
            "dropout acts on the result of each norm": (
                (lambda g: drop(n2(g + feed(g))))(drop(bare))
            ),
            "dropout acts on the result of the layer": drop(n2(bare + feed(bare))),
            "the dropout acts before the sub-layer, not after it": (
                (lambda g: n2(g + feed(drop(g))))(n1(x + attend(drop(x))))
            ),
        }
    check_close("encoder_layer", got, right, wrong, tolerance=1e-4)
    with torch.no_grad():
        got = call_answer("encoder_layer", encoder_layer, x, attend, feed, n1, n2, torch.clone)
        check_close("encoder_layer without dropout", got, layer(x), tolerance=1e-4)
    calls: list[str] = []

    def counted(part: str, function: Callable) -> Callable:
        def call(z: Tensor) -> Tensor:
            calls.append(part)
            return function(z)

        return call

    parts = {"attend": attend, "feed": feed, "norm1": n1, "norm2": n2, "drop": torch.clone}
    leaf = _randn(2, 2, 5, d).requires_grad_()
    spied = [counted(*pair) for pair in parts.items()]
    out = call_answer("encoder_layer", encoder_layer, leaf, *spied)
    for part in parts:
        often, words = (2, "twice") if part == "drop" else (1, "once")
        _require(
            calls.count(part) == often,
            f"encoder_layer calls `{part}` {calls.count(part)} times instead of {words}: with "
            "dropout inside, another call gives another result.",
        )
    _require(out.requires_grad, "encoder_layer loses the gradient: is there a detach?")
    cotangent = _randn(3, 2, 5, d)
    (a,) = torch.autograd.grad((out * cotangent).sum(), leaf)
    (b,) = torch.autograd.grad((layer(leaf) * cotangent).sum(), leaf)
    _require(
        max_difference(a, b) < 1e-3,
        "encoder_layer has the right values and the wrong gradient of x: is something detached?",
    )
    _done("encoder_layer")


# ---------------------------------------------------------------- 6. spread


def _spread(x: Tensor, tokens: Tensor) -> Tensor:
    """One sentence after the other, the real tokens alone."""
    values = []
    for sentence, real in zip(x, tokens, strict=True):
        rows = sentence[real]
        apart = float((rows - rows.mean(0)).square().sum()) if len(rows) else 0.0
        total = float(rows.square().sum())
        values.append(math.sqrt(apart / total) if total else 0.0)
    return torch.tensor(values)


def check_spread(spread: Callable) -> None:
    """No padding, padding of any content, sentences of zeros."""

    def call(x: Tensor, tokens: Tensor) -> Tensor:
        return call_answer("spread", spread, x, tokens)

    b, t, d = 3, 5, 4
    x = 0.7 + _randn(1, b, t, d)
    every = torch.ones(b, t, dtype=torch.bool)
    before = x.clone()
    got = call(x, every)
    check_tensor("spread", got)
    named = {
        (): "It is one number for each sentence, not for the batch.",
        (b, t): "It is one number for each sentence, not for each token.",
        (b, d): "Sum over the columns as well.",
        (b, 1): "Take away the axis of size 1.",
        (b, 1, 1): "Take away the axes of size 1.",
    }
    shape = tuple(got.shape)
    _require(
        shape == (b,),
        f"spread has the wrong shape: expected (B,) = {(b,)}, got {shape}. "
        f"{named.get(shape, 'One number for each sentence.')}",
    )
    right = _spread(x, every)
    mean = x.mean(1, keepdim=True)
    total = x.square().sum((1, 2))
    apart = (x - mean).square().sum((1, 2))
    whole = (x - x.mean((0, 1), keepdim=True)).square().sum((1, 2))
    column = (x - x.mean(2, keepdim=True)).square().sum((1, 2))
    wrong = {
        "the root is missing": right.square(),
        "the mask is the wrong way round: True = real token": torch.zeros(b),
        "the lengths are not squared": ((x - mean).norm(dim=-1).sum(1) / x.norm(dim=-1).sum(1)),
        "this is the share of the mean, the rest": (1 - right.square()).sqrt(),
        "the mean is taken over the columns of a token, not over the tokens": (
            (column / total).sqrt()
        ),
        "one mean is taken for the whole batch: each sentence has its own": (
            (whole / total).sqrt()
        ),
        "the sum is not divided by the length of the tokens": apart.sqrt(),
        "the differences are divided by the length of the mean": (
            (apart / (t * mean.square().sum((1, 2)))).sqrt()
        ),
        "the token quotients are averaged: sum first, then divide": (
            ((x - mean).norm(dim=-1) / x.norm(dim=-1)).mean(1)
        ),
        "all sentences have the value of the batch": (apart.sum() / total.sum()).sqrt().expand(b),
    }
    check_close("spread without padding", got, right, wrong)
    _require(bool((x == before).all()), f"spread changes its input x. {KEPT}")

    tokens = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True, False, True, True, False]])
    zeros = x.masked_fill(~tokens[..., None], 0.0)
    for what, value in (("zeros", 0.0), ("ones", 1.0), ("infinity", math.inf), ("NaN", math.nan)):
        padded = x.masked_fill(~tokens[..., None], value)
        before = padded.clone()
        got = call(padded, tokens)
        kept = zeros.sum(1, keepdim=True) / tokens.sum(1)[:, None, None]
        visible = padded.nan_to_num(0.0, 0.0, 0.0)
        wrong = {
            "the padding is counted: the argument `tokens` is not used": _spread(visible, every)
            if math.isfinite(value)
            else right,
            "the mean divides by T, padding included": (
                (zeros - zeros.mean(1, keepdim=True)).masked_fill(~tokens[..., None], 0.0)
            ).norm(dim=(1, 2))
            / zeros.norm(dim=(1, 2)),
            "the padding is counted among the differences: hide it again after the mean is "
            "subtracted": (zeros - kept).norm(dim=(1, 2)) / zeros.norm(dim=(1, 2)),
            "the mask is the wrong way round: True = real token": _spread(visible, ~tokens),
            "the padding is set to zero and then counted": _spread(zeros, every),
            "the padding is counted in the total length": (
                (zeros - kept).masked_fill(~tokens[..., None], 0.0).norm(dim=(1, 2))
                / visible.norm(dim=(1, 2))
            ),
        }
        note = f"spread with padding of {what}"
        if isinstance(got, Tensor) and got.shape == (b,) and bool(got.isnan().any()):
            _require(
                False,
                f"{note} is NaN: a number that is not finite stays when it is multiplied by 0. "
                "Replace the padding, for instance with masked_fill.",
            )
        check_close(note, got, _spread(x, tokens), wrong)
        same = (padded == before) | (padded.isnan() & before.isnan())
        _require(bool(same.all()), f"spread changes its input x. {KEPT}")
    quiet = 1e-3 * x
    check_close(
        "spread of quiet tokens (entries of about 0.001)",
        call(quiet, every),
        right,
        {
            f"a small number is added to the denominator, {small:g}: replace it where it is zero": (
                (1e-6 * apart / (1e-6 * total + small)).sqrt()
            )
            for small in (1e-5, 1e-6, 1e-8)
        },
    )
    silent = x.clone()
    silent[0] = 0.0
    none = every.clone()
    none[1] = False
    got = call(silent, none)
    _require(
        bool(got.isfinite().all()),
        "spread of a sentence of zeros, or without any token, is 0/0: it must be 0.",
    )
    check_close("spread of a sentence of zeros, and of none", got, _spread(silent, none))
    _done("spread")


# ---------------------------------------------------------------- 7. gradients


def _target(stack: list[nn.Module], x: Tensor) -> Tensor:
    with torch.no_grad():
        for one in stack:
            x = one(x)
    return _randn(2, *x.shape)


def _probe(stack: list[nn.Module], x: Tensor, change: str = "") -> Tensor:
    """The gradient norms with one thing changed, by backward on copies."""
    twins = copy.deepcopy(stack)
    outs = [x]
    for one in twins:
        one.zero_grad()
        out = one(outs[-1])
        if out.requires_grad:
            out.retain_grad()
        outs.append(out)
    last = outs[-1]
    apart = last - _target(twins, x)
    losses = {
        "sum": apart.square().sum(),
        "plain": apart.mean(),
        "output": last.square().mean(),
        "absolute": apart.abs().mean(),
    }
    loss = losses.get(change, apart.square().mean())
    loss.backward()
    result = []
    for one, out in zip(twins, outs[1:], strict=True):
        grads = [p.grad for p in one.parameters() if p.grad is not None]
        if change == "stream":
            result.append(out.grad.norm())
        elif not grads:
            result.append(torch.zeros(()))
        elif change == "weights":
            named = one.named_parameters()
            squares = [p.grad.square().sum() for n, p in named if not n.endswith("bias")]
            result.append(sum(squares, torch.zeros(())).sqrt())
        elif change == "rms":
            result.append(torch.cat([g.flatten() for g in grads]).square().mean().sqrt())
        elif change == "first":
            result.append(grads[0].norm())
        elif change == "last":
            result.append(grads[-1].norm())
        elif change == "added":
            result.append(sum(g.norm() for g in grads))
        elif change == "mean":
            result.append(torch.cat([g.flatten() for g in grads]).abs().mean())
        elif change == "square":
            result.append(sum(g.square().sum() for g in grads))
        else:
            result.append(sum(g.square().sum() for g in grads).sqrt())
    return torch.stack([r.detach() for r in result])


def check_gradient_norms(gradient_norms: Callable) -> None:
    """Values, traces, blocks without parameters."""
    state = torch.get_rng_state()
    torch.manual_seed(3)
    blocks = [nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.LayerNorm(5)) for _ in range(4)]
    mixed = [nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3)]
    torch.set_rng_state(state)
    with torch.no_grad():
        for number, block in enumerate(blocks):
            block[0].weight.mul_(1 + number)
    x = _randn(1, 6, 5)

    def call(some: list, given: Tensor = x) -> Tensor:
        hints = {
            "second time": "The graph is freed by the first gradient: retain_graph=True.",
            "not have been used": "allow_unused=True gives None for a parameter without influence.",
            "'NoneType' object": "The gradient of a parameter without influence is None: leave it "
            "out of the sum.",
            "non-empty": "A block without parameters gets 0.",
            "expected a non-empty": "A block without parameters gets 0.",
        }
        return call_answer(
            "gradient_norms", gradient_norms, some, given, _target(some, given), hints=hints
        )

    def traces(some: list) -> bool:
        return any(p.grad is not None for block in some for p in block.parameters())

    got = call(blocks)
    check_tensor("gradient_norms", got)
    _require(
        tuple(got.shape) == (len(blocks),),
        f"gradient_norms has the wrong shape: expected (N,) = ({len(blocks)},), one number for "
        f"each block, got {tuple(got.shape)}.",
    )
    right = _probe(blocks, x)
    wrong = {
        "this is the gradient of the output of each block, not of its parameters": (
            _probe(blocks, x, "stream")
        ),
        "only the first parameter of each block counts": _probe(blocks, x, "first"),
        "only the last parameter of each block counts": _probe(blocks, x, "last"),
        "the lengths of the parameters' gradients are added: add the squares, then take the root": (
            _probe(blocks, x, "added")
        ),
        "this is the mean of the absolute values, not the length": _probe(blocks, x, "mean"),
        "only the weights count: a block has biases, too": _probe(blocks, x, "weights"),
        "this is the root mean square, not the length: sum the squares": _probe(blocks, x, "rms"),
        "the root is missing": _probe(blocks, x, "square"),
        "the target is not used": _probe(blocks, x, "output"),
        "the loss is the mean of the absolute values: square them": _probe(blocks, x, "absolute"),
        "the loss is the sum of the squares: take the mean": _probe(blocks, x, "sum"),
        "the loss is the mean of the differences: square it first": _probe(blocks, x, "plain"),
        "the blocks are counted from the end": right.flip(0),
        "each is divided by the last": right / right[-1],
        "all are the length of the whole gradient": right.norm().expand_as(right),
    }
    check_close("gradient_norms", got, right, wrong, tolerance=1e-6)
    _require(
        not traces(blocks),
        "gradient_norms leaves gradients behind in the parameters: torch.autograd.grad returns "
        "them instead.",
    )
    _require(
        max_difference(call(blocks), right) < 1e-5,
        "gradient_norms returns something else at the second call: gradients add up in `grad`.",
    )
    check_close(
        "gradient_norms with a block that has no parameters",
        call(mixed),
        _probe(mixed, x),
        tolerance=1e-6,
    )
    spare = nn.Linear(5, 5)
    spare.unused = nn.Parameter(torch.ones(3))
    check_close(
        "gradient_norms with a parameter that the loss does not depend on",
        call([spare]),
        _probe([spare], x),
        tolerance=1e-6,
    )
    spare(x).sum().backward()
    before = [None if p.grad is None else p.grad.clone() for p in spare.parameters()]
    got = call([spare])
    for parameter, grad in zip(spare.parameters(), before, strict=True):
        same = (parameter.grad is None) == (grad is None)
        _require(
            same and (grad is None or torch.equal(parameter.grad, grad)),
            "gradient_norms changes the `grad` that a parameter had before: leave it as it is.",
        )
    check_close(
        "gradient_norms of a module with old gradients",
        got,
        _probe([spare], x),
        tolerance=1e-6,
    )
    _done("gradient_norms")
