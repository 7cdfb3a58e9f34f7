"""Visible checks of assignment 04: each says what is wrong in terms of the idea.

The expected values come from torch's own functions, which the tasks do not let you use.
A check that passes is not the whole story: the grader runs further tests of its own.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_shape,
)

__all__ = [
    "check_by_hand",
    "check_causal_mask",
    "check_combine_masks",
    "check_head_attention",
    "check_masked_attention",
    "check_mean_entropy",
    "check_padding_mask",
    "check_scaled_dot_product_attention",
    "check_softmax",
    "check_weight_dropout",
]

FOUR_AXES = "A mask has four axes, so that it cannot be mistaken for one over other axes."
BOOLEAN = "A mask of this course is boolean, True = may attend."


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. by hand


def check_by_hand(by_hand: Callable) -> None:
    """Three keys, two features: scores, weights and output of one query."""
    answer = call_answer("by_hand()", by_hand)
    _require(
        isinstance(answer, tuple | list) and len(answer) == 3,
        "by_hand() must return three lists: scores, weights, output.",
    )
    _require(
        not any(isinstance(part, int | float) for part in answer),
        "by_hand() must return three lists, not three numbers.",
    )
    parts = []
    for name, part, size in zip(("scores", "weights", "output"), answer, (3, 3, 2), strict=True):
        part = torch.as_tensor(part, dtype=torch.float64).flatten()
        meaning = "one number for each key" if size == 3 else "one number for each value feature"
        _require(
            part.numel() == size, f"{name} needs {size} numbers, {meaning}; it has {part.numel()}."
        )
        _require(bool(part.isfinite().all()), f"{name} holds a number that is not finite.")
        parts.append(part)
    scores, weights, output = parts

    query = torch.ones(1, 2, dtype=torch.float64)
    key = torch.tensor([[0.0, 0.0], [0.98, 0.0], [0.0, 1.554]], dtype=torch.float64)
    value = torch.tensor([[6.0, 0.0], [0.0, 6.0], [6.0, 6.0]], dtype=torch.float64)
    right = F.scaled_dot_product_attention(query, key, torch.eye(3, dtype=torch.float64))[0]

    def same(a: Tensor, b: Tensor) -> bool:
        return bool(((a - b).abs() < 0.011).all())

    products = key.sum(-1)  # the query is all ones
    _require(
        not same(scores, products),
        "scores holds the dot products as they are. Divide them by sqrt(d_k), here sqrt(2).",
    )
    _require(
        not same(scores, products * math.sqrt(2)),
        "scores is too large: divide the dot products by sqrt(2), do not multiply.",
    )
    _require(
        not same(scores, products / 2),
        "scores is too small: divide the dot products by sqrt(d_k), not by d_k itself.",
    )
    _require(
        same(scores, products / math.sqrt(2)),
        "scores is not yet right: the dot product of the query with each key, over sqrt(2).",
    )
    _require(
        not same(weights, scores.exp()),
        "weights holds exp(score). Divide each by their sum, so that the three sum to 1.",
    )
    _require(
        not same(weights, scores / scores.sum()),
        "weights is scores over their sum: take the exponential of each score first.",
    )
    _require(
        abs(float(weights.sum()) - 1) < 0.02,
        f"weights sums to {float(weights.sum()):.2f}; the weights of one query sum to 1.",
    )
    _require(
        same(weights, right),
        "weights sums to 1 but is not the softmax of the scores. Hint: exp(0.693) is close to 2.",
    )
    _require(
        not same(output, value.mean(0)),
        "output is the plain mean of the values: weight each row of V by its weight.",
    )
    _require(
        not same(output, value.sum(0)),
        "output is the plain sum of the values: weight each row of V by its weight.",
    )
    _require(
        bool(((output - right @ value).abs() < 0.06).all()),
        "output is not yet right: for each column of V, weight times entry, summed over the keys.",
    )
    _done("by_hand")


# ---------------------------------------------------------------- 2. softmax

NO_SOFTMAX = "Write the softmax yourself, with exp and sum."


def check_softmax(softmax: Callable) -> None:
    """Values, axes, extreme scores, dtypes, gradients."""
    shortcuts = dict.fromkeys(("softmax", "log_softmax", "softmin", "Softmax"), NO_SOFTMAX)
    check_not_used("softmax", softmax, shortcuts)
    ragged = {
        "must match the size": "Keep the summed axis: look at keepdim.",
        "return_types": "`max` with a dim returns values and places; `amax` returns the values.",
    }

    def call(scores: Tensor, **options: int) -> Tensor:
        return call_answer("softmax", softmax, scores, hints=ragged, **options)

    row = torch.tensor([0.0, math.log(2.0), math.log(3.0)])
    # square, and every row has its largest score at 0: a lost keepdim raises no error
    rows = torch.tensor([[-1.0, 0.0, -2.0], [0.0, -3.0, -2.5], [-0.5, -0.25, 0.0]])
    for name, scores in {"softmax of one row": row, "softmax of three rows": rows}.items():
        got = call(scores)
        check_shape(name, got, dict(zip("RC"[-scores.dim() :], scores.shape, strict=True)))
        right = torch.softmax(scores, -1)
        totals = scores.exp().sum(-1)
        wrong = {
            "there is no exponential, only a division by the sum": scores
            / scores.sum(-1, keepdim=True),
            "the exponentials are not divided by their sum": scores.exp(),
            "the exponentials are divided by the largest one, not by their sum": (
                right / right.amax(-1, keepdim=True)
            ),
            "each score is squashed alone, as a sigmoid does": scores.sigmoid(),
            "the result is the logarithm of the weights": torch.log_softmax(scores, -1),
            "the base is 2 instead of e": torch.softmax(scores * math.log(2), -1),
            "the sum runs over all places, not over one axis": (
                torch.softmax(scores.flatten(), 0).view_as(scores)
            ),
            "the sign of the scores is turned round": torch.softmax(-scores, -1),
            "the softmax runs over axis 0 whatever dim is": torch.softmax(scores, 0),
        }
        if scores.dim() == 2:
            wrong["a sum over the keys without keepdim is divided along the wrong axis"] = (
                right * totals[:, None] / totals
            )
        check_close(name, got, right, wrong)

    cube = _randn(0, 2, 4, 3)
    for dim in (0, 1, 2):
        got = call(cube, dim=dim)
        wrong = {
            f"the softmax runs over axis {other} whatever dim is": torch.softmax(cube, other)
            for other in (2, 1, 0)
        }
        wrong["the sum runs over all places, not over one axis"] = torch.softmax(
            cube.flatten(), 0
        ).view_as(cube)
        check_close(f"softmax(scores, dim={dim})", got, torch.softmax(cube, dim), wrong)

    _check_softmax_extremes(call)

    leaf = _randn(1, 3, 4)
    before = leaf.clone()
    call(leaf)
    _require(bool((leaf == before).all()), "softmax changes its input: build a new tensor instead.")
    leaf.requires_grad_()
    got = call(leaf)
    _require(got.requires_grad, "softmax loses the gradient: is there a detach, or no_grad?")
    weight = _randn(2, 3, 4)
    (gradient,) = torch.autograd.grad((got * weight).sum(), leaf)
    (expected,) = torch.autograd.grad((torch.softmax(leaf, -1) * weight).sum(), leaf)
    check_close("the gradient of softmax", gradient, expected)

    for dtype in (torch.bfloat16, torch.float16):
        scores = torch.tensor([[12.0, 3.0, 11.5], [-40.0, 0.5, 0.25]]).to(dtype)
        got = call(scores)
        check_dtype(
            "softmax", got, dtype, "The weights have the dtype of the scores they come from."
        )
        check_close(f"softmax in {dtype}", got, torch.softmax(scores, -1), tolerance=3e-2)
    _done("softmax")


def _check_softmax_extremes(call: Callable) -> None:
    large = torch.tensor([[1000.0, 998.0, 999.0]])
    expected = torch.softmax(large, -1)
    got = call(large)
    _require(
        bool(got.isfinite().all()),
        "softmax of scores near 1000 holds NaN: exp overflows to infinity, and inf/inf is NaN. "
        "Adding one number to a whole row leaves its softmax as it is: choose that number "
        "from the row itself.",
    )
    wrong = {
        "large scores are cut off by a clamp: the differences among them are lost": (
            torch.full_like(expected, 1 / 3)
        ),
        "NaN is replaced by zero: the weights are lost with it": torch.zeros_like(expected),
    }
    check_close("softmax of scores near 1000", got, expected, wrong)

    apart = torch.tensor([[0.0, 1.0, 2.0], [-1000.0, -1001.0, -1002.0]])
    got = call(apart)
    _require(
        bool(got.isfinite().all()) and bool((got[1].sum() - 1).abs() < 1e-4),
        "softmax of a row near -1000 below a row near 0 fails: 0/0. The shift must come from "
        "each row alone, not from the whole tensor, and it must leave one exponential at 1.",
    )
    check_close("softmax of rows far apart", got, torch.softmax(apart, -1))

    wide = torch.tensor([[4000.0, 0.0, 0.0, 0.0, 0.0]])
    got = call(wide)
    _require(
        bool(got.isfinite().all()),
        "softmax of one very large score holds NaN: after a shift by the mean or by the smallest "
        "score it is still large, and exp overflows. Shift by the largest score.",
    )
    check_close("softmax of one very large score", got, torch.softmax(wide, -1))


# ---------------------------------------------------------------- 3. attention

FUSED = {
    "scaled_dot_product_attention": "Write the formula yourself.",
    "MultiheadAttention": "Write the formula yourself.",
    "encoderlib": "The library holds the answer; write your own.",
}

# One query with d_k = 1 and value 1, so that the scores are the numbers in `key` themselves.
# They are logarithms of weights that sum to 1; the mask leaves 0.42 + 0.20.
PROBE = torch.tensor([0.42, 0.20, 0.25, 0.13]).log()
PROBE_MASK = torch.tensor([True, True, False, False])

ANY_AXES = "There may be any number of leading axes, none included: count axes from the end."
MASK_AS_IS = "Use the mask as it is: it broadcasts to the scores."
DTYPE = (
    "Two dtypes meet. A boolean mask times a Python number has dtype float32, whatever the scores "
    "have: `masked_fill` keeps the dtype of the scores."
)


def _attention_call(attend: Callable, name: str) -> Callable:
    hints = {
        "without overflow": "The fill value does not fit into float16: the smallest number of a "
        "dtype is torch.finfo(dtype).min.",
        "must match the size": "Scores are (..., T, S): the last two axes of the key are "
        "exchanged, and the mask broadcasts to the scores as it is.",
        "mat1 and mat2": "The key needs its last two axes exchanged.",
        "Expected size for first two dimensions": "Scores are Q K^T: (..., T, d_k) times "
        "(..., d_k, S).",
        "Dimension out of range": ANY_AXES,
        "expected scalar type": DTYPE,
        "same dtype": DTYPE,
        "too many indices": MASK_AS_IS,
    }

    def call(*arguments: Tensor) -> Tensor:
        return call_answer(name, attend, *arguments, hints=hints)

    return call


def _weights(call: Callable, scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """The weights of one query over given scores: d_k = 1, and the identity as values."""
    size = scores.numel()
    query = torch.ones(1, 1, 1, 1, dtype=scores.dtype)
    key = scores.reshape(1, 1, size, 1)
    value = torch.eye(size, dtype=scores.dtype)[None, None]
    arguments = (query, key, value) if mask is None else (query, key, value, mask[None, None, None])
    got = call(*arguments)
    if isinstance(got, Tensor) and got.dim() > 4:
        raise AssertionError(
            f"the output has {got.dim()} axes where the query has 4: something adds axes to the "
            f"mask. {MASK_AS_IS}"
        )
    check_shape("the output", got, {"B": 1, "H": 1, "T": 1, "d_v": size})
    return torch.flatten(got)


def _check_values(call: Callable, name: str) -> None:
    """No mask: shape, then self-attention, then any leading axes."""
    b, h, t, s, d, e = 2, 3, 4, 5, 8, 6
    q, k, v = _randn(0, b, h, t, d), _randn(1, b, h, s, d), _randn(2, b, h, s, e)

    x, y, z = _randn(3, 2, 3, 5, 4), _randn(4, 2, 3, 5, 4), _randn(5, 2, 3, 5, 4)
    got = call(x, y, z)
    _check_not_weights(name, got, (2, 3, 5, 5), (2, 3, 5, 4))
    check_shape(f"{name} of (2, 3, 5, 4) tensors", got, {"B": 2, "H": 3, "T": 5, "d_v": 4})

    def scaled(by: float) -> Tensor:
        return F.scaled_dot_product_attention(x, y, z, scale=by)

    weights = F.scaled_dot_product_attention(x, y, torch.eye(5).expand(2, 3, 5, 5))
    columns = F.scaled_dot_product_attention(y, x, torch.eye(5).expand(2, 3, 5, 5)).mT
    wrong = {
        "the scores are not divided by sqrt(d_k)": scaled(1.0),
        "the scores are divided by d_k, not by its square root": scaled(1 / 4),
        "the scores are multiplied by sqrt(d_k)": scaled(2.0),
        "the scale is the root of the number of keys, not of d_k": scaled(1 / math.sqrt(5)),
        "the scale is the root of the width of all heads together": scaled(1 / math.sqrt(12)),
        "the softmax runs over the queries (dim=-2), not over the keys": columns @ z,
        "query and key have changed places": F.scaled_dot_product_attention(y, x, z),
        "the weights average the keys, not the values": weights @ y,
        "there is no softmax between the scores and the values": x @ (y.mT @ z) / 2,
        "the weights are divided by sqrt(d_k) after the softmax": scaled(1.0) / 2,
    }
    check_close(f"{name} without a mask", got, scaled(0.5), wrong)

    got = call(q, k, v)
    check_shape(name, got, {"B": b, "H": h, "T": t, "d_v": e})
    wrong = {
        "the scale is the root of d_v, the width of a value; a score is a sum of d_k products": (
            F.scaled_dot_product_attention(q, k, v, scale=e**-0.5)
        ),
    }
    check_close(f"{name} with T, S, d_k, d_v all different", got, _sdpa(q, k, v), wrong)


def _check_not_weights(name: str, got: object, weights: tuple, expected: tuple) -> None:
    if isinstance(got, Tensor) and tuple(got.shape) == weights:
        raise AssertionError(
            f"{name} has the wrong shape: expected (B, H, T, d_v) = {expected}, got "
            f"(B, H, T, S) = {weights}. These are the weights: multiply them with the values."
        )


def _sdpa(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _check_leading_axes(attend: Callable, name: str) -> None:
    for lead in ((), (3,), (2, 2, 3)):
        q, k, v = _randn(6, *lead, 4, 8), _randn(7, *lead, 5, 8), _randn(8, *lead, 5, 6)
        label = f"{name} with {len(lead)} leading axes"
        got = call_answer(label, attend, q, k, v, hints={"": ANY_AXES})
        _require(
            tuple(got.shape) == (*lead, 4, 6),
            f"{label} has the wrong shape: expected (..., T, d_v) = {(*lead, 4, 6)}, got "
            f"{tuple(got.shape)}. {ANY_AXES}",
        )
        check_close(label, got, _sdpa(q, k, v))


def _check_mask_order(call: Callable, name: str) -> None:
    """The named ways to get a mask wrong, on the weights of one query over four keys."""
    got = _weights(call, PROBE, PROBE_MASK)
    everything = PROBE.exp()
    after = everything * PROBE_MASK
    expected = after / after.sum()
    zeroed = torch.softmax(PROBE * PROBE_MASK, -1)
    wrong = {
        "the mask is applied after the softmax: the weights sum to "
        f"{float(after.sum()):.2f} instead of 1": after,
        "the mask has no effect: all four keys are read": everything,
        "the mask is the wrong way round: True means may attend": (
            (everything * ~PROBE_MASK) / (everything * ~PROBE_MASK).sum()
        ),
        "hidden scores are set to 0: a score of 0 is not hidden, for exp(0) is 1": zeroed,
        "hidden scores are set to 0, and their weights as well: a score of 0 is not hidden, and "
        "exp(0) = 1 stays in the sum": zeroed * PROBE_MASK,
        "the mask is added to the scores: True adds 1 and hides nothing": (
            torch.softmax(PROBE + PROBE_MASK, -1)
        ),
    }
    row = f"the row of weights that {name} gives to two visible and two hidden keys"
    check_close(row, got, expected, wrong)

    loud = torch.tensor([1.0, 2.0, 200.0, 3.0])
    mask = torch.tensor([True, True, False, True])
    got = _weights(call, loud, mask)
    _require(
        bool(got.isfinite().all()) and abs(float(got.sum()) - 1) < 1e-4,
        f"{name} fails when a hidden key has a much larger score than the visible ones: the "
        "softmax has seen the hidden key before it was hidden. Hide first, then softmax; "
        "dividing by the row sum afterwards comes too late.",
    )
    expected = torch.zeros(4).masked_scatter(mask, torch.softmax(loud[mask], -1))
    check_close("the row of weights beside a loud hidden key", got, expected)

    quiet = torch.tensor([-3.0e12, -2.0e12, 0.0, 0.0])
    got = _weights(call, quiet, PROBE_MASK)
    _require(
        float(got[2:].abs().max()) == 0.0 and abs(float(got.sum()) - 1) < 1e-4,
        f"{name} gives the share of the visible keys away when their scores are very low: hidden "
        "scores are filled with a finite number that is not low enough for every score.",
    )
    check_close(f"{name} with very low visible scores", got, torch.tensor([0.0, 1.0, 0.0, 0.0]))


def _check_mask_shapes(call: Callable, name: str) -> None:
    b, h, t, s, d, e = 2, 3, 4, 5, 8, 6
    q, k, v = _randn(9, b, h, t, d), _randn(10, b, h, s, d), _randn(11, b, h, s, e)
    shapes = {
        "(B, 1, 1, S)": (b, 1, 1, s),
        "(1, 1, T, S)": (1, 1, t, s),
        "(T, S)": (t, s),
        "(B, H, T, S)": (b, h, t, s),
    }
    for label, shape in shapes.items():
        mask = _randn(12, *shape) > 0.3
        mask[..., 0] = True
        full = mask.expand(b, h, t, s)
        wrong = {
            "the mask of the first sequence is used for the whole batch": (
                lambda full=full: _sdpa(q, k, v, full[:1].expand_as(full))
            ),
            "the mask is the wrong way round: True means may attend": (
                lambda full=full: _sdpa(q, k, v, ~full)
            ),
            "the mask has no effect: all keys are read": lambda: _sdpa(q, k, v),
        }
        got = call(q, k, v, mask)
        check_close(f"{name} with a mask of shape {label}", got, _sdpa(q, k, v, mask), wrong)


def _check_masked_rows(call: Callable, name: str) -> None:
    q, k, v = _randn(13, 2, 1, 3, 4), _randn(14, 2, 1, 5, 4), _randn(15, 2, 1, 5, 4)
    mask = torch.ones(2, 1, 3, 5, dtype=torch.bool)
    mask[0, 0, 1] = False
    mask[1, 0, :, 3:] = False
    got = call(q, k, v, mask)
    row = got[0, 0, 1]
    _require(
        not bool(row.isnan().any()),
        f"{name} gives NaN for a query that may attend to nothing: the softmax of a row of -inf "
        "is 0/0. Such a query must get zeros.",
    )
    _require(
        not torch.allclose(row, v[0, 0].mean(0), atol=1e-5),
        f"{name} gives the plain mean of all values to a query that may attend to nothing: "
        "every key got the same fill value, so every key got the same weight. "
        "Such a query must get zeros.",
    )
    check_close(f"{name} with a query that may attend to nothing", got, _sdpa(q, k, v, mask))

    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    out = call(*leaves, mask)
    _require(out.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    weight = _randn(16, *out.shape)
    gradients = torch.autograd.grad((out * weight).sum(), leaves, allow_unused=True)
    expected = torch.autograd.grad((_sdpa(*leaves, mask) * weight).sum(), leaves)
    for part, gradient, right in zip(("query", "key", "value"), gradients, expected, strict=True):
        _require(
            gradient is not None,
            f"no gradient reaches the {part}: the weights are treated as constants. "
            "Is there a detach?",
        )
        _require(
            bool(gradient.isfinite().all()),
            f"the gradient with respect to the {part} holds NaN although the output does not: "
            "a NaN that is replaced after the softmax is still there on the way back. Fill "
            "hidden scores with a finite number, and set the empty rows to zero afterwards.",
        )
        check_close(f"the gradient with respect to the {part}", gradient, right)


def _check_precision(call: Callable, name: str) -> None:
    mask = torch.tensor([True, True, True, False, False])[None, None, None]
    for dtype, tolerance in ((torch.bfloat16, 8e-2), (torch.float16, 1.5e-2)):
        q, k, v = (_randn(seed, 2, 1, 5, 4).to(dtype) for seed in (17, 18, 19))
        got = call(q, k, v, mask)
        check_dtype(name, got, dtype, "The output has the dtype of the inputs.")
        expected = _sdpa(q.float(), k.float(), v.float(), mask).to(dtype)
        check_close(f"{name} in {dtype}", got, expected, tolerance=tolerance)


def _check_unchanged(call: Callable, name: str) -> None:
    q, k, v = (_randn(seed, 1, 2, 4, 4) for seed in (20, 21, 22))
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    given = {"query": q, "key": k, "value": v, "mask": mask}
    before = {part: x.clone() for part, x in given.items()}
    call(q, k, v, mask)
    for part, x in given.items():
        _require(
            bool((x == before[part]).all()),
            f"{name} changes its input `{part}`: build a new tensor instead of writing into it.",
        )


def _check_attention(attend: Callable, name: str, leading: bool) -> None:
    check_not_used(name, attend, FUSED)
    call = _attention_call(attend, name)
    if leading:
        _check_unchanged(call, name)
        _check_values(call, name)
        _check_leading_axes(attend, name)
    _check_mask_order(call, name)
    _check_mask_shapes(call, name)
    _check_masked_rows(call, name)
    _check_precision(call, name)


def check_scaled_dot_product_attention(attend: Callable) -> None:
    """Everything about one attention: values, axes, masks, empty rows, gradients, dtypes."""
    _check_attention(attend, "scaled_dot_product_attention", leading=True)
    _done("scaled_dot_product_attention")


# ---------------------------------------------------------------- 4. masks


def _check_mask_type(name: str, got: object, axes: dict[str, int]) -> None:
    _require(isinstance(got, Tensor), f"{name} must be a torch.Tensor, got {type(got).__name__}.")
    additive = got.is_floating_point() and bool((got <= 0).all())
    _require(
        not additive,
        f"{name} has dtype {got.dtype} and holds 0 and negative numbers: this is an additive "
        f"mask. {BOOLEAN}",
    )
    check_dtype(name, got, torch.bool, BOOLEAN)
    shape = tuple(axes.values())
    _require(
        tuple(got.shape) == shape,
        f"{name} has the wrong shape: expected ({', '.join(map(str.strip, axes))}) = {shape}, got "
        f"{tuple(got.shape)}. {FOUR_AXES}",
    )


def check_padding_mask(padding_mask: Callable) -> None:
    """Lengths 2, 4, 1 and 3 in a batch padded to 5."""
    check_not_used("padding_mask", padding_mask, {"encoderlib": FUSED["encoderlib"]})
    table = {2: "11000", 4: "11110", 1: "10000", 3: "11100"}
    rows = [[mark == "1" for mark in row] for row in table.values()]
    expected = torch.tensor(rows).view(4, 1, 1, 5)
    lengths = torch.tensor(list(table))
    hints = {
        "must match the size": "Give lengths an axis: (S,) beside (B, 1) compares every place with "
        "every length.",
    }
    got = call_answer("padding_mask", padding_mask, lengths, 5, hints=hints)
    if isinstance(got, Tensor) and tuple(got.shape) in ((1, 1, 4, 5), (1, 4, 1, 5)):
        place = tuple(got.shape).index(4)
        raise AssertionError(
            f"padding_mask has the wrong shape: expected (B, 1, 1, S) = (4, 1, 1, 5), got "
            f"{tuple(got.shape)}. The batch must be the first axis; here it is axis {place}, where "
            f"the mask is read as one over {'queries' if place == 2 else 'heads'}."
        )
    if isinstance(got, Tensor) and got.dim() == 4 and got.shape[-1] == 4:
        raise AssertionError(
            f"padding_mask has the wrong shape: expected (B, 1, 1, S) = (4, 1, 1, 5), got "
            f"{tuple(got.shape)}. The last axis has the longest length; it must have `size`."
        )
    if isinstance(got, Tensor) and tuple(got.shape) == (4, 1, 5, 1):
        raise AssertionError(
            "padding_mask has the wrong shape: expected (B, 1, 1, S) = (4, 1, 1, 5), got "
            "(4, 1, 5, 1). It hides queries; hide the keys, which lie on the last axis."
        )
    _check_mask_type("padding_mask", got, {"B": 4, "1": 1, "1 ": 1, "S": 5})
    wrong = {
        "the mask is the wrong way round: True means may attend, a real token": ~expected,
        "one padded place too many is visible: places count from 0": (
            torch.tensor([[m == "1" for m in f"1{row}"[:5]] for row in table.values()]).view(
                4, 1, 1, 5
            )
        ),
        "the last real token is hidden: places count from 0": (
            torch.tensor([[m == "1" for m in f"{row}0"[1:]] for row in table.values()]).view(
                4, 1, 1, 5
            )
        ),
        "the padding stands on the left: here it stands on the right": expected.flip(-1),
        "the lengths are not used: every place is visible": torch.ones_like(expected),
        "the first length is used for the whole batch": expected[:1].expand_as(expected),
        "the last length is used for the whole batch": expected[-1:].expand_as(expected),
        "the longest length is used for the whole batch": expected[1:2].expand_as(expected),
    }
    check_close("padding_mask(lengths=(2, 4, 1, 3), size=5)", got, expected, wrong)
    _done("padding_mask")


def check_causal_mask(causal_mask: Callable) -> None:
    """Size 4, against torch's own additive mask."""
    check_not_used("causal_mask", causal_mask, {"encoderlib": FUSED["encoderlib"]})
    expected = (torch.nn.Transformer.generate_square_subsequent_mask(4) == 0)[None, None]
    got = call_answer("causal_mask", causal_mask, 4)
    _check_mask_type("causal_mask", got, {"1": 1, "1 ": 1, "T": 4, "S": 4})
    itself = torch.eye(4, dtype=torch.bool)[None, None]
    shifted = torch.cat([expected[..., 1:, :], torch.ones(1, 1, 1, 4, dtype=torch.bool)], dim=-2)
    wrong = {
        "the axes are exchanged: each query sees the present and the future": expected.mT,
        "the mask is the wrong way round: True means may attend": ~expected,
        "no query sees itself: query t sees keys 0 to t, t included": expected & ~itself,
        "each query sees one key of the future": shifted,
        "every key is visible, the future included": torch.ones_like(expected),
        "each query sees only itself": itself,
        "the triangle starts at the wrong corner": expected.flip(-1),
        "each query sees only itself and its predecessor": expected & shifted.mT,
    }
    check_close("causal_mask(4)", got, expected, wrong)
    for size in (1, 7):
        got = call_answer("causal_mask", causal_mask, size)
        _check_mask_type("causal_mask", got, {"1": 1, "1 ": 1, "T": size, "S": size})
        right = (torch.nn.Transformer.generate_square_subsequent_mask(size) == 0)[None, None]
        check_close(f"causal_mask({size})", got, right)
    _done("causal_mask")


def check_combine_masks(combine_masks: Callable) -> None:
    """Two and three masks of different shapes, and None."""
    check_not_used("combine_masks", combine_masks, {"encoderlib": FUSED["encoderlib"]})
    hints = {
        "NoneType": "None means no restriction: skip it.",
        "must be tensors": "None means no restriction: skip it.",
        "must be Tensor, not None": "None means no restriction: skip it.",
        "ambiguous": "To skip None, compare with `is None`: a mask has no single truth value.",
        "equal size": "Masks have different shapes: let them broadcast instead of stacking them.",
        "doesn't match the broadcast shape": "An in-place operation cannot grow its first mask.",
    }

    def call(*masks: Tensor | None) -> object:
        return call_answer("combine_masks", combine_masks, *masks, hints=hints)

    a = torch.tensor([True, True, False, False]).view(1, 1, 1, 4)
    b = torch.tensor([True, False, True, False]).view(1, 1, 1, 4)
    before = a.clone()
    got = call(a, b)
    _require(
        bool((a == before).all()), "combine_masks changes its input: build a new tensor instead."
    )
    _check_mask_type("combine_masks of two masks", got, {"B": 1, "1": 1, "1 ": 1, "S": 4})
    expected = torch.logical_and(a, b)
    wrong = {
        "a key is visible if any mask allows it; every mask must allow it": torch.logical_or(a, b),
        "a key is visible if exactly one mask allows it": torch.logical_xor(a, b),
        "a key is visible if the masks agree": ~torch.logical_xor(a, b),
        "the result is the wrong way round: True means may attend": ~expected,
        "True is read as hidden": ~torch.logical_or(a, b),
        "only the first mask counts": a,
        "only the last mask counts": b,
        "nothing is ever visible: the AND starts from False": torch.zeros_like(a),
    }
    check_close("combine_masks of two masks", got, expected, wrong)

    tokens = torch.tensor([[True, True, False], [True, True, True]]).view(2, 1, 1, 3)
    causal = (torch.nn.Transformer.generate_square_subsequent_mask(3) == 0)[None, None]
    third = torch.tensor([False, True, True]).view(1, 1, 1, 3)
    got = call(tokens, causal)
    _check_mask_type("combine_masks", got, {"B": 2, "1": 1, "T": 3, "S": 3})
    check_close("a padding mask with a causal mask", got, tokens.logical_and(causal))
    got = call(tokens, causal, third)
    expected = tokens.logical_and(causal).logical_and(third)
    wrong = {"the third mask is ignored": tokens.logical_and(causal)}
    check_close("combine_masks of three masks", got, expected, wrong)

    check_close("combine_masks(None, mask)", call(None, a), a)
    check_close("combine_masks(mask, None)", call(a, None), a)
    for arguments in ((), (None,), (None, None)):
        got = call(*arguments)
        _require(
            got is None,
            "combine_masks without any mask must return None (no restriction), got "
            f"{type(got).__name__}.",
        )
    _done("combine_masks")


# ---------------------------------------------------------------- debugging


def check_masked_attention(masked_attention: Callable) -> None:
    """The mask part of the attention check."""
    _check_attention(masked_attention, "masked_attention", leading=False)
    _done("masked_attention")


def check_head_attention(head_attention: Callable) -> None:
    """The scale, for several widths and numbers of heads."""
    check_not_used("head_attention", head_attention, FUSED)
    call = _attention_call(head_attention, "head_attention")
    # no two of the wrong scales below coincide, for any of these sizes
    for heads, width in ((3, 16), (2, 25), (5, 9)):
        q, k, v = (_randn(seed, 2, heads, 6, width) for seed in (23, 24, 25))

        def scaled(by: float, q: Tensor = q, k: Tensor = k, v: Tensor = v) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, scale=by)

        wrong = {
            "the scale is the root of the width of all heads together (d_model); each head "
            "has only d_k columns": scaled((heads * width) ** -0.5),
            "the scores are not divided at all": scaled(1.0),
            "the scores are divided by d_k, not by its square root": scaled(1 / width),
            "the scores are divided by d_model, not by the square root of d_k": scaled(
                1 / (heads * width)
            ),
            "the scale is a fixed number, right for d_k = 16 only": scaled(0.25),
            "the scale is the root of the number of tokens": scaled(6**-0.5),
            "the scale is the root of the number of heads": scaled(heads**-0.5),
            "the scale is the root of d_k / H; d_k is already the width of one head": scaled(
                (heads / width) ** 0.5
            ),
            "the scores are multiplied by sqrt(d_k)": scaled(width**0.5),
            "the softmax runs before the division": scaled(1.0) * width**-0.5,
            "the softmax runs over the queries, not over the keys": (
                F.scaled_dot_product_attention(k, q, torch.eye(6).expand(2, heads, 6, 6)).mT @ v
            ),
            "query and key have changed places": F.scaled_dot_product_attention(k, q, v),
        }
        got = call(q, k, v)
        check_shape("head_attention", got, {"B": 2, "H": heads, "T": 6, "d_k": width})
        check_close(f"head_attention with H={heads}, d_k={width}", got, scaled(width**-0.5), wrong)
    _done("head_attention")


def check_mean_entropy(mean_entropy: Callable) -> None:
    """Equal weights, one-hot weights, and random rows."""
    equal = torch.full((2, 3, 8), 1 / 8)
    rows = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])

    def entropy(weights: Tensor) -> Tensor:
        return torch.distributions.Categorical(probs=weights).entropy()

    def call(weights: Tensor) -> Tensor:
        got = call_answer("mean_entropy", mean_entropy, weights)
        _require(got is not None, "mean_entropy returns nothing yet; is there a return statement?")
        got = torch.as_tensor(got, dtype=torch.float32).detach()
        _require(
            weights.shape[:-1] != got.shape,
            f"mean_entropy has shape {tuple(got.shape)}: one value for each row. It must be one "
            "number: take the mean over all rows.",
        )
        _require(
            weights.shape != got.shape,
            f"mean_entropy has shape {tuple(got.shape)}: one value for each weight. Sum over the "
            "keys, then take the mean over all rows.",
        )
        check_shape("mean_entropy", got, {})
        return got

    for name, weights in {"8 equal weights": equal, "rows of 4 weights": rows}.items():
        if name == "rows of 4 weights":
            _require(
                math.isfinite(float(call(torch.eye(3)))),
                "mean_entropy of one-hot rows is NaN: 0 times log 0 must count as 0. A floor under "
                "the weights must be a number that the dtype can hold: 1e-50 is 0 in float32.",
            )
        got = call(weights)
        mean, size = entropy(weights).mean(), weights.size(-1)
        wrong = {
            "the sign is missing: entropy is -sum(w log w)": -mean,
            "the logarithm has base 2: use the natural one": mean / math.log(2),
            "the mean runs over all places; sum over the keys first": mean / size,
            "the rows are summed; take their mean": entropy(weights).sum(),
            "the entropy is divided by its largest value, log S": mean / math.log(size),
            "this is the Jacobian's trace, 1 - sum(w * w), not the entropy": (
                1 - weights.square().sum(-1)
            ).mean(),
        }
        check_close(f"mean_entropy of {name}", got, mean, wrong)
    _done("mean_entropy")


DROPOUT = dict.fromkeys(
    ("dropout", "dropout1d", "dropout2d", "alpha_dropout", "Dropout"),
    "Draw the zeros yourself, with torch.rand.",
)


def check_weight_dropout(weight_dropout: Callable) -> None:
    """Outside training nothing changes; in training zeros, their share, scale and pattern."""
    check_not_used("weight_dropout", weight_dropout, DROPOUT)

    def call(weights: Tensor, p: float, training: bool) -> Tensor:
        got = call_answer("weight_dropout", weight_dropout, weights, p, training)
        check_shape("weight_dropout", got, {"T": weights.size(0), "S": weights.size(1)})
        return got

    p = 0.25
    weights = torch.softmax(_randn(30, 200, 150), -1)
    before = weights.clone()
    got = call(weights, p, False)
    _require(
        not bool((got == 0).any()),
        "weight_dropout still sets weights to 0 with training=False: outside training there is no "
        "dropout. A model that is being used must give the same answer twice.",
    )
    wrong = {
        "weights are made smaller outside training; with the division by 1 - p in training "
        "they stay as they are": before * (1 - p),
        "the weights are scaled outside training as well; there nothing was dropped": (
            before / (1 - p)
        ),
    }
    check_close("weight_dropout with training=False", got, before, wrong)

    got, again = call(weights, p, True), call(weights, p, True)
    _require(
        bool((weights == before).all()),
        "weight_dropout changes its input: build a new tensor instead.",
    )
    zero = got == 0
    share = float(zero.float().mean())
    _require(share > 0, "weight_dropout sets no weight to 0 with training=True.")
    _require(
        bool((zero.sum(0) < 200).all()) and bool((zero.sum(0) > 0).all()),
        "whole columns are dropped: the same keys for every query. Draw for each weight.",
    )
    _require(
        bool((zero.sum(1) < 150).all()) and bool((zero.sum(1) > 0).all()),
        "whole rows are dropped: a query then reads nothing. Draw for each weight.",
    )
    _require(
        abs(share - (1 - p)) > 0.02,
        f"weight_dropout(p={p}) drops a share of {share:.2f}: p is the share that is dropped, not "
        "the share that stays.",
    )
    _require(
        abs(share - p) < 0.02, f"weight_dropout(p={p}) drops a share of {share:.2f} of the weights."
    )
    _require(
        not torch.equal(zero, again == 0),
        "two calls drop the same weights: draw again at each call, without a fixed seed.",
    )
    sums = got.sum(-1)
    _require(
        not torch.allclose(sums, torch.ones(200), atol=1e-4),
        "each row is divided by its own sum. Dropout keeps the mean over many draws, not the sum "
        "of a row: divide by 1 - p.",
    )
    stays = weights.masked_fill(zero, 0.0)
    wrong = {
        "what stays is not made larger: on average a row sums to 1 - p": stays,
        "what stays is multiplied by 1 - p; divide by it": stays * (1 - p),
        "what stays is divided by p, the share that was dropped": stays / p,
        "what stays is multiplied by 1 + p, which is not 1 / (1 - p)": stays * (1 + p),
    }
    check_close("weight_dropout with training=True", got, stays / (1 - p), wrong)

    for dtype in (torch.bfloat16, torch.float16):
        for training in (True, False):
            got = call(weights.to(dtype), p, training)
            check_dtype("weight_dropout", got, dtype, "It has the dtype of the weights.")
    leaf = weights.clone().requires_grad_()
    got = call(leaf, p, True)
    _require(got.requires_grad, "weight_dropout loses the gradient: is there a detach, or no_grad?")
    check_close("weight_dropout with p=0", call(weights, 0.0, True), weights)
    _done("weight_dropout")
