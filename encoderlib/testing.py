"""Checks that say what is wrong in terms of the idea, for exercises and tests (chapter 00).

A check raises AssertionError with three things: what was expected and what came, with the
meaning of each axis; the first place that differs; and, where the result is what a known
mistake gives, the name of the mistake.
"""

import dis
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "call_answer",
    "check_close",
    "check_dtype",
    "check_not_used",
    "check_shape",
    "check_tensor",
    "max_difference",
]


def max_difference(got: Tensor, expected: Tensor) -> float:
    """Largest absolute difference; inf if the shapes or the places of NaN and inf differ."""
    if got.shape != expected.shape:
        return float("inf")
    got, expected = got.detach().double(), expected.detach().double()
    same = (got == expected) | (got.isnan() & expected.isnan())  # equal infinities included
    difference = (got - expected).abs().masked_fill(same, 0.0)
    return float(difference.nan_to_num(nan=float("inf")).max()) if difference.numel() else 0.0


def call_answer(
    name: str,
    function: Callable,
    *arguments: object,
    hints: Mapping[str, str] | None = None,
    **options: object,
) -> object:
    """Call ``function`` and return what it returns; turn an exception into an explanation.

    Args:
        name: what the function is, for the message.
        function: the answer.
        arguments, options: what it is called with. The shapes of tensors stand in the message.
        hints: from a part of an exception's text to the idea behind it.

    Raises:
        AssertionError: the answer is not written yet, or it raised; the shapes of its inputs,
            the exception, and the first hint that fits. The exception is its cause.
    """
    try:
        return function(*arguments, **options)
    except NotImplementedError as error:
        raise AssertionError(
            f"{name} is not written yet: replace the line that raises NotImplementedError."
        ) from error
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        hint = next((f" {idea}" for part, idea in (hints or {}).items() if part in text), "")
        given = [*arguments, *options.values()]
        shapes = ", ".join(
            f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}"
            for x in given
            if isinstance(x, Tensor)
        )
        called = f" on tensors of shape {shapes}" if shapes else ""
        text = text.rstrip(".")
        raise AssertionError(f"{name} does not run{called}. It raises {text}.{hint}") from error


def check_not_used(name: str, function: Callable, forbidden: Mapping[str, str]) -> None:
    """``function`` and the helpers beside it must not use the names in ``forbidden``.

    It reads the names in the compiled code: a courtesy to an honest student, not a guard.
    An object without Python code, such as a built-in, is passed over.

    Args:
        name: what the function is, for the message.
        function: the answer.
        forbidden: from a name, such as ``"softmax"`` for ``torch.softmax`` and
            ``x.softmax()``, to what to do instead.

    Raises:
        AssertionError: the first forbidden name that is used, and what to do instead.
    """
    for used in _names(function, set()):
        if used in forbidden:
            raise AssertionError(f"{name} uses `{used}`. {forbidden[used]}")


def _names(function: Any, seen: set) -> Iterator[str]:
    """Names of globals and attributes in a function's code and in the helpers of its module."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, types.CodeType) or code in seen:
        return
    seen.add(code)
    codes = [code]
    while codes:
        code = codes.pop()
        for used in code.co_names:
            if not _is_own(function, used) or used in _attributes(code):
                yield from used.split(".")
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for used in code.co_names:
            helper = function.__globals__.get(used)
            if _is_own(function, used):
                yield from _names(helper, seen)
            elif str(getattr(helper, "__module__", "")).startswith("encoderlib"):
                yield "encoderlib"


def _is_own(function: Any, used: str) -> bool:
    """Is the global a thing of the same module? A helper, or the function itself, has any name."""
    return getattr(function.__globals__.get(used), "__module__", None) == function.__module__


def _attributes(code: types.CodeType) -> set[str]:
    """Names that the code reads elsewhere than among the globals, as in ``x.softmax()``."""
    steps = [step for step in dis.get_instructions(code) if step.opcode in dis.hasname]
    return {step.argval for step in steps if step.opname not in ("LOAD_GLOBAL", "LOAD_NAME")}


def check_tensor(name: str, got: object) -> None:
    """``got`` must be a tensor.

    Raises:
        AssertionError: says what it is instead, with a remedy for the usual cases.
    """
    if isinstance(got, Tensor):
        return
    hint = ""
    if got is None or got is Ellipsis:
        hint = ": the function returns nothing yet; is there a return statement?"
    elif isinstance(got, tuple):
        hint = f": it returns a tuple of {len(got)}; return the tensor alone"
    raise AssertionError(f"{name} must be a torch.Tensor, got {type(got).__name__}{hint}")


def check_dtype(name: str, got: object, expected: torch.dtype, why: str = "") -> None:
    """``got`` must have exactly the dtype ``expected``.

    Raises:
        AssertionError: both dtypes, and ``why`` the expected one is meant.
    """
    check_tensor(name, got)
    if got.dtype != expected:
        reason = f" {why}" if why else ""
        raise AssertionError(f"{name} must have dtype {expected}, got {got.dtype}.{reason}")


def check_shape(name: str, got: object, expected: Mapping[str, int]) -> None:
    """``got`` must have the shape given as named axes, such as ``{"B": 2, "T": 5}``.

    Raises:
        AssertionError: both shapes, with the meaning of the axes.
    """
    check_tensor(name, got)
    shape = tuple(expected.values())
    if tuple(got.shape) == shape:
        return
    meaning = ", ".join(expected)
    hint = ""
    if sorted(got.shape) == sorted(shape):
        hint = " The sizes are right but the axes are in another order: look for a transpose."
    elif got.dim() != len(shape):
        hint = f" It has {got.dim()} axes instead of {len(shape)}."
    raise AssertionError(
        f"{name} has the wrong shape: expected ({meaning}) = {shape}, got {tuple(got.shape)}.{hint}"
    )


def check_close(
    name: str,
    got: object,
    expected: Tensor,
    misconceptions: Mapping[str, Tensor | Callable[[], Tensor]] | None = None,
    tolerance: float = 1e-5,
) -> None:
    """``got`` must equal ``expected`` up to ``tolerance`` (absolute, on top of 1e-5 relative).

    Args:
        name: what the tensor is, for the message.
        got: the answer; anything but a tensor of the shape of ``expected`` is refused.
        expected: what it must be.
        misconceptions: from the name of a known mistake to what that mistake computes, or a
            function that computes it. A mistake that equals ``expected`` is passed over.
        tolerance: absolute.

    Raises:
        AssertionError: the first place that differs, how many differ, and the mistake's name
            if the values are those of a known one.
    """
    check_tensor(name, got)
    if got.shape != expected.shape:
        raise AssertionError(
            f"{name} has the wrong shape: expected {tuple(expected.shape)}, got {tuple(got.shape)}."
        )
    if got.is_floating_point() != expected.is_floating_point() or (got.dtype == torch.bool) != (
        expected.dtype == torch.bool
    ):
        raise AssertionError(f"{name} must have dtype {expected.dtype}, got {got.dtype}.")
    left, right = got.detach().double().cpu(), expected.detach().double().cpu()
    close = torch.isclose(left, right, rtol=1e-5, atol=tolerance, equal_nan=True)
    if bool(close.all()):
        return
    named = ""
    for mistake, wrong in (misconceptions or {}).items():
        wrong = (wrong() if callable(wrong) else wrong).detach().double().cpu()
        if wrong.shape != left.shape or max_difference(wrong, right) <= 10 * tolerance:
            continue
        if bool(torch.isclose(left, wrong, rtol=1e-5, atol=10 * tolerance, equal_nan=True).all()):
            named = f" This is what you get when {mistake}."
            break
    place = tuple((~close).nonzero()[0].tolist())
    finite = "" if bool(left.isfinite().all()) else f" {_non_finite(left)}"
    show = _show_bool if got.dtype == torch.bool else _show_number
    where = (
        f"{name} is wrong at {int((~close).sum())} of {close.numel()} places; the first is "
        f"{list(place)}"
        if place
        else f"{name} is wrong"
    )
    raise AssertionError(
        f"{where}: expected {show(right[place])}, got {show(left[place])}.{finite}{named}"
    )


def _show_bool(x: Tensor) -> str:
    return str(bool(x))


def _show_number(x: Tensor) -> str:
    return f"{x.item():.6g}"


def _non_finite(x: Tensor) -> str:
    return f"It holds {int(x.isnan().sum())} NaN and {int(x.isinf().sum())} infinite values."
