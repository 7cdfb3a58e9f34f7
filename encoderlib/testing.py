"""Checks that say what is wrong in terms of the idea, for exercises and tests (chapter 00).

A check raises AssertionError with three things: what was expected and what came, with the
meaning of each axis; the first place that differs; and, where the result is what a known
mistake gives, the name of the mistake.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["check_close", "check_shape", "check_tensor", "max_difference"]


def max_difference(got: Tensor, expected: Tensor) -> float:
    """Largest absolute difference; inf if the shapes or the places of NaN and inf differ."""
    if got.shape != expected.shape:
        return float("inf")
    got, expected = got.detach().double(), expected.detach().double()
    same = (got == expected) | (got.isnan() & expected.isnan())  # equal infinities included
    difference = (got - expected).abs().masked_fill(same, 0.0)
    return float(difference.nan_to_num(nan=float("inf")).max()) if difference.numel() else 0.0


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


def check_shape(name: str, got: Tensor, expected: Mapping[str, int]) -> None:
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
    got: Tensor,
    expected: Tensor,
    misconceptions: Mapping[str, Tensor | Callable[[], Tensor]] | None = None,
    tolerance: float = 1e-5,
) -> None:
    """``got`` must equal ``expected`` up to ``tolerance`` (absolute, on top of 1e-5 relative).

    Args:
        name: what the tensor is, for the message.
        got, expected: tensors of one shape.
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
        distinct = max_difference(wrong, right) > 10 * tolerance
        same_shape = wrong.shape == left.shape
        if distinct and same_shape and max_difference(left, wrong) <= 10 * tolerance:
            named = f" This is what you get when {mistake}."
            break
    place = tuple((~close).nonzero()[0].tolist())
    finite = "" if bool(left.isfinite().all()) else f" {_non_finite(left)}"
    raise AssertionError(
        f"{name} is wrong at {int((~close).sum())} of {close.numel()} places; the first is "
        f"{list(place)}: expected {right[place].item():.6g}, got {left[place].item():.6g}."
        f"{finite}{named}"
    )


def _non_finite(x: Tensor) -> str:
    return f"It holds {int(x.isnan().sum())} NaN and {int(x.isinf().sum())} infinite values."
