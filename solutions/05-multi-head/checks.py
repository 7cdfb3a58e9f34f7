"""Visible checks of assignment 05: each says what is wrong in terms of the idea.

The expected values come from torch's own layer, which the tasks do not let you use, and from
loops over the heads. A check that passes is not the whole story: the grader runs further tests.
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
    "check_head_contributions",
    "check_head_overlap",
    "check_multi_head_attention",
    "check_projection",
    "check_split_merge",
    "check_worked_case",
]

LAYERS = {
    "MultiheadAttention": "Write the layer yourself.",
    "multi_head_attention_forward": "Write the layer yourself.",
    "encoderlib": "The library holds the answer; write your own.",
}


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. worked case

_T, _D, _H = 7, 96, 8

NAMED_SHAPES = {
    "W_Q of one head": {
        (96, 96): "this is the matrix of all heads together, or a head as wide as the model; one "
        "head has D / H columns",
        (12, 96): "this is how nn.Linear stores it; as in x W it is (inputs, outputs)",
        (12, 12): "a head projects the whole token, so the matrix has D rows",
    },
    "queries of one head": {
        (7, 96): "these are the queries of all heads together",
        (12, 7): "one row for each token",
    },
    "weights of all heads": {
        (7, 7): "this is one head; each head has a table of its own",
        (8, 12, 12): "weights belong to pairs of tokens, not of columns",
        (8, 7, 12): "these are the queries of all heads, not the weights",
        (56, 7): "keep the heads apart, on an axis of their own",
    },
    "heads side by side": {
        (7, 12): "this is what a sum of the heads has; side by side the widths add up",
        (56, 12): "the heads stand beside each other, not below each other",
        (8, 7, 12): "this is before the merge",
        (7, 768): "this needs heads as wide as the model; a head has D / H columns",
    },
    "W_O": {
        (12, 96): "this is the block of one head; the whole matrix has H d_k rows",
        (768, 96): "this needs heads as wide as the model; a head has D / H columns",
    },
    "output": {
        (7, 12): "this is one head; after W_O a token has width D again",
        (96,): "the output is one vector for each token",
    },
}


def check_worked_case(worked_case: Callable) -> None:
    """Six shapes and three counts."""
    case = call_answer("worked_case()", worked_case)
    layer = nn.MultiheadAttention(_D, _H, batch_first=True)
    count = sum(p.numel() for p in layer.parameters())
    width = layer.head_dim
    shapes = {
        "W_Q of one head": (_D, width),
        "queries of one head": (_T, width),
        "weights of all heads": (_H, _T, _T),
        "heads side by side": (_T, _H * width),
        "W_O": (_H * width, _D),
        "output": (_T, _D),
    }
    _require(isinstance(case, dict), "worked_case() must return the dictionary with nine entries.")
    missing = [name for name in NAMED_SHAPES if name not in case]
    _require(not missing, f"worked_case() lacks the entry {missing[0]!r}." if missing else "")
    for name, right in shapes.items():
        got = case[name]
        _require(
            isinstance(got, tuple | list | torch.Size),
            f"{name!r} must be a shape, a tuple of whole numbers; it is {type(got).__name__}.",
        )
        got = tuple(got)
        why = NAMED_SHAPES[name].get(got, "write down the formula and the shape of each factor")
        _require(got == right, f"{name!r} is not {got}: {why}.")

    wide = 3 * (_D * _H * _D + _H * _D) + _H * _D * _D + _D
    projections, inside = 4 * _T * _D**2, _T**2 * _D
    named = {
        "parameters": (
            count,
            {
                4 * _D**2: "the biases are missing, D for each of the four maps",
                3 * _D**2 + 3 * _D: "the output projection is missing",
                3 * _D**2: "the output projection and the biases are missing",
                wide: "this needs heads as wide as the model; a head has D / H columns",
                _H * count: "the heads share out the D columns, they do not multiply them",
                4 * (_D // _H) ** 2: "each head projects the whole token, with D rows",
                4 * (_D * _D // _H + _D // _H): "this is one head",
            },
        ),
        "multiplications": (
            projections + 2 * inside,
            {
                projections: "the products inside the heads are missing",
                projections + inside: "scores and weighted mean take T T d_k each, in each head",
                projections + 2 * _H * inside: "the product inside a head runs over d_k, not D",
                3 * _T * _D**2 + 2 * inside: "the output projection is missing",
                2 * inside: "the projections are missing",
                4 * _D**2 + 2 * inside: "each of the T tokens is projected",
            },
        ),
        "parameters with 16 heads": (
            count,
            {
                2 * count: "the heads share out the same D columns: do the count again",
                count // 2: "the heads get narrower, but there are more of them",
            },
        ),
    }
    for name, (right, wrong) in named.items():
        _require(name in case, f"worked_case() lacks the entry {name!r}.")
        got = case[name]
        _require(
            isinstance(got, int) and not isinstance(got, bool),
            f"{name!r} must be a whole number; it is {type(got).__name__}.",
        )
        why = wrong.get(got, "write the sum with its terms: which matrices, and how large")
        _require(got == right, f"{name!r} is not {got:,d}: {why}.")
    _done("worked_case")


# ---------------------------------------------------------------- 2. split and merge

KEPT = "The input must stay as it is: build a new tensor."
VIEW = {
    "view size is not compatible": "After a transpose the numbers do not lie in order: use reshape "
    "or flatten, and keep the transpose.",
    "is invalid for input of size": "The sizes of the new axes must multiply to the old ones.",
}


def _pieces(x: Tensor, n_heads: int) -> Tensor:
    """The definition: head h has columns h d_k to (h + 1) d_k - 1."""
    return torch.stack([*x.chunk(n_heads, dim=-1)], dim=1)


def check_split_merge(split_heads: Callable, merge_heads: Callable) -> None:
    """Each function on its own, then the way back."""
    for name, function in {"split_heads": split_heads, "merge_heads": merge_heads}.items():
        check_not_used(name, function, LAYERS)
    _check_split(split_heads)
    _check_merge(merge_heads)

    x = _randn(3, 2, 5, 12)
    check_close(
        "merge_heads(split_heads(x))",
        call_answer("merge_heads", merge_heads, call_answer("split_heads", split_heads, x, 3)),
        x,
    )
    _done("split_merge")


def _check_split(split_heads: Callable) -> None:
    b, t, h, d = 2, 3, 4, 2
    x = torch.arange(float(b * t * h * d)).view(b, t, h * d)
    before = x.clone()
    got = call_answer("split_heads", split_heads, x, h, hints=VIEW)
    check_tensor("split_heads", got)
    named = {
        (b, t, h, d): "The head axis is still behind the tokens: exchange axes 1 and 2.",
        (h, b, t, d): "The heads come after the batch: (B, H, T, d_k).",
        (b, h, d, t): "Tokens and columns have changed places.",
    }
    shape = tuple(got.shape)
    _require(
        shape == (b, h, t, d),
        f"split_heads has the wrong shape: expected (B, H, T, d_k) = {(b, h, t, d)}, got {shape}. "
        f"{named.get(shape, 'Only the last axis is cut, D into (H, d_k).')}",
    )
    right = _pieces(x, h)
    wrong = {
        "the tensor is viewed as (B, H, T, d_k) without a transpose: the heads share out the "
        "tokens, not the columns": x.reshape(b, h, t, d),
        "the columns are dealt out one by one: head h must get neighbouring columns": (
            x.view(b, t, d, h).permute(0, 3, 1, 2)
        ),
        "the heads are counted from the end": right.flip(1),
        "every head has the columns of head 0": right[:, :1].expand_as(right),
        "the tokens of a head stand in reverse order": right.flip(2),
    }
    check_close("split_heads", got, right, wrong)
    _require(bool((x == before).all()), f"split_heads changes its input. {KEPT}")

    error = _raises(split_heads)
    _require(
        error is not None,
        "split_heads must raise a ValueError for 3 heads on 8 columns: the heads must divide the "
        "width.",
    )
    _require(
        isinstance(error, ValueError),
        f"split_heads raises {type(error).__name__} for 3 heads on 8 columns. Make it a "
        "ValueError: an assert disappears under python -O, and torch's message names no heads.",
    )
    leaf = _randn(1, 2, 3, 8).requires_grad_()
    got = call_answer("split_heads", split_heads, leaf, 2)
    _require(got.requires_grad, "split_heads loses the gradient: is there a detach, or no_grad?")
    half = call_answer("split_heads", split_heads, x.half(), h)
    check_dtype("split_heads", half, torch.float16, "A split changes no number.")
    strided = _randn(2, 2, 8, 3).mT  # columns are not neighbours in memory
    check_close(
        "split_heads of a transposed tensor",
        call_answer("split_heads", split_heads, strided, 4, hints=VIEW),
        _pieces(strided, 4),
        {
            "the memory is read in its own order": lambda: strided.as_strided(
                (2, 4, 3, 2), (24, 2, 8, 1)
            )
        },
    )


def _raises(split_heads: Callable) -> Exception | None:
    try:
        split_heads(torch.zeros(2, 3, 8), 3)
    except Exception as error:
        return error
    return None


def _check_merge(merge_heads: Callable) -> None:
    b, h, t, d = 2, 4, 3, 2
    heads = torch.arange(float(b * h * t * d)).view(b, h, t, d)
    before = heads.clone()
    got = call_answer("merge_heads", merge_heads, heads, hints=VIEW)
    check_tensor("merge_heads", got)
    named = {
        (b, t, d): "This is a sum or a mean of the heads: put them side by side.",
        (b, h * t, d): "The heads stand below each other: put them side by side.",
        (b, h, t * d): "The tokens are joined: join the heads.",
        (b, t, h, d): "The last two axes are still apart: flatten them.",
    }
    shape = tuple(got.shape)
    _require(
        shape == (b, t, h * d),
        f"merge_heads has the wrong shape: expected (B, T, D) = {(b, t, h * d)}, got {shape}. "
        f"{named.get(shape, 'Heads and columns together make the width again.')}",
    )
    right = torch.cat(list(heads.unbind(1)), dim=-1)
    wrong = {
        "the heads are reshaped without the transpose: a token gets pieces of other tokens": (
            heads.reshape(b, t, h * d)
        ),
        "the columns of the heads are interleaved: the heads stand side by side, whole": (
            heads.permute(0, 2, 3, 1).reshape(b, t, h * d)
        ),
        "the heads are counted from the end": torch.cat(list(heads.flip(1).unbind(1)), dim=-1),
    }
    check_close("merge_heads", got, right, wrong)
    _require(bool((heads == before).all()), f"merge_heads changes its input. {KEPT}")
    strided = _randn(4, 2, 3, 4, 2).transpose(1, 2)
    check_close(
        "merge_heads of heads that do not lie in order in memory",
        call_answer("merge_heads", merge_heads, strided, hints=VIEW),
        torch.cat(list(strided.unbind(1)), dim=-1),
    )
    leaf = _randn(1, 2, 3, 4, 2).requires_grad_()
    got = call_answer("merge_heads", merge_heads, leaf)
    _require(got.requires_grad, "merge_heads loses the gradient: is there a detach, or no_grad?")
    half = call_answer("merge_heads", merge_heads, heads.half())
    check_dtype("merge_heads", half, torch.float16, "A merge changes no number.")


# ---------------------------------------------------------------- 3. multi-head attention

MASK_AXES = (
    "The mask needs four axes, (B, 1, 1, S): with fewer, its first axis meets the queries or the "
    "heads."
)
MHA_HINTS = {
    "must match the existing size": MASK_AXES,
    "must match the size": MASK_AXES,
    "mat1 and mat2": "A matrix is stored as (outputs, inputs): F.linear transposes it for you.",
    **VIEW,
}


def _layer(d: int, h: int, seed: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A layer of torch with biases that are not zero, and its weights by name."""
    layer = nn.MultiheadAttention(d, h, batch_first=True).eval()
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            scale = d**-0.5 if parameter.dim() == 2 else 1.0
            parameter.copy_(scale * _randn(seed + number, *parameter.shape))
    weights = {name.replace(".", "_"): p.detach().clone() for name, p in layer.named_parameters()}
    return layer, weights


def _run(
    x: Tensor,
    y: Tensor,
    weights: dict[str, Tensor],
    h: int,
    mask: Tensor | None = None,
    **change: object,
) -> Tensor:
    """The layer with one thing changed; what the named mistakes compute."""
    order = change.get("order", (0, 1, 2))
    matrices, biases = weights["in_proj_weight"].chunk(3), weights["in_proj_bias"].chunk(3)
    sources = change.get("sources", (x, y, y))
    split, merge = change.get("split", _pieces), change.get("merge", _side_by_side)
    flip = change.get("flip", False)
    q, k, v = (
        split(
            F.linear(
                z,
                matrices[i].T if flip else matrices[i],
                None if change.get("no_in_bias") else biases[i],
            ),
            h,
        )
        for z, i in zip(sources, order, strict=True)
    )
    scale = change.get("scale", q.size(-1) ** -0.5)
    heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    flip_out = change.get("flip_out", flip)
    out = weights["out_proj_weight"].T if flip_out else weights["out_proj_weight"]
    bias = None if change.get("no_out_bias") else weights["out_proj_bias"]
    return F.linear(merge(heads), out, bias)


def _side_by_side(heads: Tensor) -> Tensor:
    return torch.cat(list(heads.unbind(1)), dim=-1)


def _expected(layer: nn.Module, x: Tensor, y: Tensor, tokens: Tensor | None = None) -> Tensor:
    hidden = None if tokens is None else ~tokens
    with torch.no_grad():
        return layer(x, y, y, key_padding_mask=hidden, need_weights=False)[0]


def check_multi_head_attention(multi_head_attention: Callable) -> None:
    """Self-attention, another source, padding with sizes that differ and that agree, dtypes."""
    name = "multi_head_attention"
    check_not_used(name, multi_head_attention, LAYERS)

    def call(x: Tensor, y: Tensor, weights: dict, h: int, tokens: Tensor | None = None) -> Tensor:
        arguments = (x, y, weights, h) if tokens is None else (x, y, weights, h, tokens)
        return call_answer(name, multi_head_attention, *arguments, hints=MHA_HINTS)

    layer, weights = _layer(12, 3, 70)
    x, y = _randn(80, 2, 4, 12), _randn(81, 2, 4, 12)
    kept = {k: w.clone() for k, w in weights.items()} | {"query": x.clone(), "source": y.clone()}
    call(x, y, weights, 3)
    for part, now in {**weights, "query": x, "source": y}.items():
        _require(bool((now == kept[part]).all()), f"{name} changes its input `{part}`. {KEPT}")

    _check_unmasked(call, name)
    _check_source(call, name)
    _check_padding(call, name, b=2, t=4, h=3)
    _check_padding(call, name, b=4, t=4, h=4)  # a mask on the wrong axis raises no error

    for dtype, tolerance in ((torch.bfloat16, 0.15), (torch.float16, 0.02)):
        low = {part: w.to(dtype) for part, w in weights.items()}
        got = call(x.to(dtype), y.to(dtype), low, 3)
        check_dtype(name, got, dtype, "The output has the dtype of the inputs.")
        check_close(
            f"{name} in {dtype}", got, _expected(layer, x, y).to(dtype), tolerance=tolerance
        )
    free = {part: w.clone().requires_grad_() for part, w in weights.items()}
    leaves = [x.clone().requires_grad_(), y.clone().requires_grad_()]
    out = call(*leaves, free, 3)
    _require(out.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    parts = {"query": leaves[0], "source": leaves[1], **free}
    grads = torch.autograd.grad(out.square().sum(), list(parts.values()), allow_unused=True)
    for part, gradient in zip(parts, grads, strict=True):
        _require(gradient is not None, f"no gradient reaches {part}: is there a detach?")
    _done(name)


def _check_unmasked(call: Callable, name: str) -> None:
    b, t, h, d_k = 2, 5, 3, 4
    d = h * d_k
    layer, weights = _layer(d, h, 10)
    x = _randn(20, b, t, d)
    got = call(x, x, weights, h)
    if isinstance(got, Tensor) and tuple(got.shape) == (b, t, d_k):
        raise AssertionError(
            f"{name} has the wrong shape: expected (B, T, D) = {(b, t, d)}, got {(b, t, d_k)}. "
            "This is a sum or a mean of the heads: put them side by side."
        )
    check_shape(name, got, {"B": b, "T": t, "D": d})
    right = _expected(layer, x, x)
    small = weights["in_proj_weight"].view(3, d, d)[:, :d_k, :d_k]

    def tied() -> Tensor:
        biases = weights["in_proj_bias"].view(3, d)[:, :d_k]
        q, k, v = (F.linear(_pieces(x, h), small[i], biases[i]) for i in range(3))
        heads = _side_by_side(F.scaled_dot_product_attention(q, k, v))
        return F.linear(heads, weights["out_proj_weight"], weights["out_proj_bias"])

    def run(**change: object) -> Tensor:
        return _run(x, x, weights, h, **change)

    def dealt(z: Tensor, n: int) -> Tensor:
        return z.unflatten(-1, (-1, n)).permute(0, 3, 1, 2)

    wrong = {
        "the number of heads is ignored: this is one head of width D": (
            lambda: _run(x, x, weights, 1)
        ),
        "the queries, keys and values are viewed as (B, H, T, d_k) without a transpose": (
            lambda: run(split=lambda z, n: z.reshape(b, n, t, -1))
        ),
        "the heads are split and merged without a transpose": lambda: run(
            split=lambda z, n: z.reshape(b, n, t, -1), merge=lambda z: z.reshape(b, t, d)
        ),
        "the heads are merged without the transpose back: a token gets pieces of others": (
            lambda: run(merge=lambda z: z.reshape(b, t, d))
        ),
        "the columns are dealt out to the heads one by one, not in blocks": (
            lambda: run(split=dealt, merge=lambda z: z.permute(0, 2, 3, 1).flatten(-2))
        ),
        "the heads are interleaved when they are merged": (
            lambda: run(merge=lambda z: z.permute(0, 2, 3, 1).flatten(-2))
        ),
        "all heads share one small matrix: the tokens are split before they are projected": tied,
        "the scale is the root of D, the width of all heads together": lambda: run(scale=d**-0.5),
        "the scores are not divided by sqrt(d_k)": lambda: run(scale=1.0),
        "the three input matrices are taken in the order key, query, value": (
            lambda: run(order=(1, 0, 2))
        ),
        "the three input matrices are taken in the order value, key, query": (
            lambda: run(order=(2, 1, 0))
        ),
        "the matrices are not transposed: they are stored as (outputs, inputs)": (
            lambda: run(flip=True)
        ),
        "the input matrices are not transposed: they are stored as (outputs, inputs)": (
            lambda: run(flip=True, flip_out=False)
        ),
        "the output projection is not transposed: it is stored as (outputs, inputs)": (
            lambda: run(flip_out=True)
        ),
        "the three input matrices are taken in the order query, value, key": (
            lambda: run(order=(0, 2, 1))
        ),
        "the biases of the input projections are missing": lambda: run(no_in_bias=True),
        "the bias of the output projection is missing": lambda: run(no_out_bias=True),
        "the output projection is missing": (
            lambda: _run(
                x,
                x,
                {**weights, "out_proj_weight": torch.eye(d), "out_proj_bias": torch.zeros(d)},
                h,
            )
        ),
        "the heads are averaged instead of put side by side": (
            lambda: run(merge=lambda z: z.mean(1).repeat(1, 1, h))
        ),
    }
    check_close(f"{name} without padding", got, right, wrong)


def _check_source(call: Callable, name: str) -> None:
    h, d = 3, 12
    layer, weights = _layer(d, h, 30)
    x, y = _randn(40, 2, 5, d), _randn(41, 2, 5, d)
    wrong = {
        "the source is ignored: keys and values come from the query": (
            lambda: _run(x, x, weights, h)
        ),
        "the values come from the query: they come from the source": (
            lambda: _run(x, y, weights, h, sources=(x, y, x))
        ),
        "query and source have changed places": lambda: _run(y, x, weights, h),
    }
    got = call(x, y, weights, h)
    check_close(f"{name} with another source", got, _expected(layer, x, y), wrong)
    y = _randn(42, 2, 7, d)
    got = call(x, y, weights, h)
    check_shape(f"{name} with S = 7 and T = 5", got, {"B": 2, "T": 5, "D": d})
    check_close(f"{name} with S = 7 and T = 5", got, _expected(layer, x, y))


def _check_padding(call: Callable, name: str, b: int, t: int, h: int, d_k: int = 2) -> None:
    d = h * d_k
    layer, weights = _layer(d, h, 50)
    x = _randn(60, b, t, d)
    lengths = torch.tensor([2, t, 3, 1])[:b]
    tokens = torch.arange(t) < lengths[:, None]
    right = _expected(layer, x, x, tokens)

    def run(mask: Tensor, x: Tensor = x, w: dict = weights, h: int = h) -> Tensor:
        return _run(x, x, w, h, mask)

    wrong = {
        "the padding is read: tokens has no effect": lambda: _run(x, x, weights, h),
        "tokens is the wrong way round: True is a real token": (
            lambda: run(~tokens[:, None, None]).nan_to_num()
        ),
        "the mask hides the queries of the padding, not its keys": (
            lambda: run(tokens[:, None, :, None].expand(b, 1, t, t))
        ),
        "the tokens of the first sentence are used for all": (
            lambda: run(tokens[:1, None, None].expand(b, 1, 1, t))
        ),
        "the mask is applied after the softmax": lambda: _late(x, weights, h, tokens),
        "the padded tokens are set to zero: a key from a zero vector still gets weight": (
            lambda: _run(x, x * tokens[..., None], weights, h)
        ),
        "the mask is turned into numbers, 0 and 1, and added to the scores: pass the booleans": (
            lambda: run(tokens[:, None, None].to(x.dtype))
        ),
    }
    if b == t == h:
        wrong |= {
            "the (B, S) mask is read as (T, S): sentence b of the mask meets query b": (
                lambda: run(tokens)
            ),
            "the (B, 1, S) mask is read as (H, 1, S): sentence b of the mask meets head b": (
                lambda: run(tokens[:, None])
            ),
        }
    got = call(x, x, weights, h, tokens)
    sizes = "B = T = H = 4" if b == t else "B = 2, T = 4, H = 3"
    check_close(f"{name} with padding, {sizes}", got, right, wrong)


def _late(x: Tensor, weights: dict[str, Tensor], h: int, tokens: Tensor) -> Tensor:
    """The padding taken out of the weights, but not out of their sum."""
    real = torch.ones_like(tokens)
    eye = torch.eye(x.size(1))
    q, k, v = (
        _pieces(F.linear(x, w, b), h)
        for w, b in zip(
            weights["in_proj_weight"].chunk(3), weights["in_proj_bias"].chunk(3), strict=True
        )
    )
    eye = eye.expand(*q.shape[:2], *eye.shape)
    shares = F.scaled_dot_product_attention(q, k, eye, attn_mask=real[:, None, None])
    heads = (shares * tokens[:, None, None]) @ v
    return F.linear(_side_by_side(heads), weights["out_proj_weight"], weights["out_proj_bias"])


# ---------------------------------------------------------------- 4. contributions


def check_head_contributions(head_contributions: Callable) -> None:
    """Each head's term, with D equal to H d_k and with D larger."""
    name = "head_contributions"
    no_einsum = {"einsum": "Write it with transposes and matrix products."}
    check_not_used(name, head_contributions, LAYERS | no_einsum)
    inputs = _check_terms(head_contributions, 2, 3, 4, 4, 2, 6)
    _check_terms(head_contributions, 2, 3, 4, 5, 2, 7)
    leaves = [z.clone().requires_grad_() for z in inputs]
    got = call_answer(name, head_contributions, *leaves)
    _require(got.requires_grad, f"{name} loses the gradient: is there a detach, or no_grad?")
    grads = torch.autograd.grad(got.square().sum(), leaves, allow_unused=True)
    for part, gradient in zip(("weights", "values", "out_weight"), grads, strict=True):
        _require(gradient is not None, f"no gradient reaches {part}: is there a detach?")
    low = call_answer(name, head_contributions, *(z.bfloat16() for z in inputs))
    check_dtype(name, low, torch.bfloat16, "The terms have the dtype of the inputs.")
    _done(name)


def _check_terms(
    head_contributions: Callable, b: int, h: int, t: int, s: int, d_k: int, d: int
) -> tuple[Tensor, Tensor, Tensor]:
    """One set of sizes; returns the inputs."""
    name = "head_contributions"
    hints = {
        "must match the size": "Bring the heads to axis 1 of the values, and give each head a "
        "(d_k, D) block of the matrix.",
        "Expected size for first two dimensions": "Two things can be wrong: the heads of the "
        "values stand on axis 2, or a block of the matrix is not (d_k, D).",
        **VIEW,
    }
    w = torch.softmax(2 * _randn(1, b, h, t, s), dim=-1)
    v, out = _randn(2, b, s, h, d_k), _randn(3, d, h * d_k)
    kept = w.clone(), v.clone(), out.clone()
    got = call_answer(name, head_contributions, w, v, out, hints=hints)
    check_tensor(name, got)
    named = {
        (b, t, d): "The heads are already summed: return one term for each head.",
        (b, h, t, d_k): "These are the heads themselves: each goes through its block of the "
        "output projection.",
        (b, h, t, h * d_k): "A term has the width of the output, D.",
        (b, t, h, d): "The heads stand on axis 1 of the result.",
    }
    shape = tuple(got.shape)
    _require(
        shape == (b, h, t, d),
        f"{name} has the wrong shape: expected (B, H, T, D) = {(b, h, t, d)}, got {shape}. "
        f"{named.get(shape, 'Write the shape beside each line.')}",
    )
    heads = [w[:, i] @ v[:, :, i] for i in range(h)]
    blocks = out.chunk(h, dim=1)  # columns of the stored matrix belong to heads

    def terms(blocks: list, heads: list = heads) -> Tensor:
        pairs = zip(heads, blocks, strict=True)
        return torch.stack([F.linear(x, block) for x, block in pairs], dim=1)

    right = terms(blocks)
    viewed = v.reshape(b, h, s, d_k)
    wrong = {
        "every head goes through the block of head 0": lambda: terms([blocks[0]] * h),
        "the blocks are taken in reverse order": lambda: terms(blocks[::-1]),
        "the columns of the matrix are dealt out to the heads one by one": (
            lambda: terms([out[:, i::h] for i in range(h)])
        ),
        "the values are viewed as (B, H, S, d_k) without a transpose": (
            lambda: terms(blocks, [w[:, i] @ viewed[:, i] for i in range(h)])
        ),
        "the terms are divided by the number of heads: the output is their sum": (
            lambda: right / h
        ),
        "the weights go through another softmax: they are ready to use": (
            lambda: terms(blocks, [w[:, i].softmax(-1) @ v[:, :, i] for i in range(h)])
        ),
        "all terms are the whole output": (lambda: right.sum(1, keepdim=True).expand_as(right)),
        "the output is shared out evenly: the terms of the heads differ": (
            lambda: right.mean(1, keepdim=True).expand_as(right)
        ),
    }
    if d == h * d_k:
        rows = [part.T for part in out.chunk(h, dim=0)]
        wrong["the matrix is cut into blocks of rows: it is stored as (outputs, inputs)"] = terms(
            rows
        )
    if t == s:
        wrong["the weights are transposed: a row belongs to a query"] = lambda: terms(
            blocks, [w[:, i].mT @ v[:, :, i] for i in range(h)]
        )
    check_close(f"{name} with D = {d}, H d_k = {h * d_k}", got, right, wrong)
    given = {"weights": w, "values": v, "out_weight": out}
    for (part, now), before in zip(given.items(), kept, strict=True):
        _require(bool((now == before).all()), f"{name} changes its input `{part}`. {KEPT}")
    return kept


# ---------------------------------------------------------------- 5. debug


def check_projection(make_projection: Callable, project_heads: Callable) -> None:
    """The size of the map, what each head sees, and where the heads stand."""
    for name, function in {
        "make_projection": make_projection,
        "project_heads": project_heads,
    }.items():
        check_not_used(name, function, LAYERS)
    b, t, h, d_k = 2, 5, 3, 4
    d = h * d_k
    linear = call_answer("make_projection", make_projection, d, h)
    _require(
        isinstance(linear, nn.Linear),
        f"make_projection must return one nn.Linear, got {type(linear).__name__}.",
    )
    shape = tuple(linear.weight.shape)
    named = {
        (d_k, d_k): "One small matrix serves all heads, and each sees only its own slice of the "
        "token.",
        (d_k, d): "It sees the whole token, but there is only one: all heads would be equal.",
        (d, d_k): "A head has outputs of its own, but sees only a slice of the token.",
        (h * d, d): "A head as wide as the model: D columns in all are enough.",
    }
    _require(
        shape == (d, d),
        f"the weight of make_projection({d}, {h}) has shape {shape} instead of {(d, d)}. "
        f"{named.get(shape, 'Each of the H heads needs D x d_k weights of its own.')}",
    )
    _require(linear.bias is None, "make_projection must return a map without a bias.")

    x = _randn(1, b, t, d)
    hints = {
        "mat1 and mat2": "The map takes whole tokens of width D: project first, then split.",
        **VIEW,
    }
    got = call_answer("project_heads", project_heads, linear, x, h, hints=hints)
    if isinstance(got, Tensor) and tuple(got.shape) == (b, t, h, d_k):
        raise AssertionError(
            f"project_heads has the wrong shape: expected (B, H, T, d_k) = {(b, h, t, d_k)}, got "
            f"{tuple(got.shape)}. Exchange axes 1 and 2."
        )
    check_shape("project_heads", got, {"B": b, "H": h, "T": t, "d_k": d_k})
    weight = linear.weight.detach()
    flat = x @ weight.T
    right = _pieces(flat, h)
    small = weight[:d_k, :d_k]
    wrong = {
        "the token is split before it is projected, with one small block for all heads": (
            _pieces(x, h) @ small.T
        ),
        "the projected tokens are viewed as (B, H, T, d_k) without a transpose": (
            flat.reshape(b, h, t, d_k)
        ),
        "the outputs are dealt out to the heads one by one, not in blocks": (
            flat.unflatten(-1, (d_k, h)).permute(0, 3, 1, 2)
        ),
        "each head has its own rows, but sees only its own slice of the token": torch.stack(
            [
                x[..., i * d_k : (i + 1) * d_k]
                @ weight[i * d_k : (i + 1) * d_k, i * d_k : (i + 1) * d_k].T
                for i in range(h)
            ],
            dim=1,
        ),
        "all heads use the rows of head 0": right[:, :1].expand_as(right),
        "the token is projected twice": _pieces(flat @ weight.T, h),
        "the weight is not transposed": _pieces(x @ weight, h),
    }
    check_close("project_heads", got, right, wrong)
    _require(
        got.requires_grad, "project_heads loses the gradient of the weight: is there a detach?"
    )
    _done("projection")


# ---------------------------------------------------------------- 6. overlap


def check_head_overlap(head_overlap: Callable) -> None:
    """Two rows by hand, then random rows."""

    def call(weights: Tensor) -> Tensor:
        return call_answer("head_overlap", head_overlap, weights)

    b, h, t, s = 2, 3, 4, 5
    a = torch.softmax(3 * _randn(1, b, h, t, s), dim=-1)
    got = call(a)
    check_tensor("head_overlap", got)
    named = {
        (b, h, h): "Take the mean over the batch as well.",
        (b, h, h, t): "Take the mean over batch and queries.",
        (): "It is a table: one number for each pair of heads.",
        (t, t): "It compares heads, not queries.",
        (s, s): "It compares heads, not keys.",
    }
    shape = tuple(got.shape)
    _require(
        shape == (h, h),
        f"head_overlap has the wrong shape: expected (H, H) = {(h, h)}, got {shape}. "
        f"{named.get(shape, 'One number for each pair of heads.')}",
    )
    common = torch.minimum(a[:, :, None], a[:, None])
    right = common.sum(-1).mean(dim=(0, -1))
    wrong = {
        "it is the mean over the keys: sum over them": right / s,
        "it is the sum over batch and queries: take the mean": right * b * t,
        "the larger of the two weights is taken, not the smaller": 2 - right,
        "the weights are multiplied: take the smaller of the two": (
            (a[:, :, None] * a[:, None]).sum(-1).mean(dim=(0, -1))
        ),
        "this is the cosine of the two rows": (
            F.cosine_similarity(a[:, :, None], a[:, None], dim=-1).mean(dim=(0, -1))
        ),
        "this is the distance, 1 minus the overlap": 1 - right,
        "only the first sentence counts": common[0].sum(-1).mean(-1),
        "only the first query counts": common[..., 0, :].sum(-1).mean(0),
        "the means of the rows are compared, not the rows": torch.minimum(
            a.mean((0, 2))[:, None], a.mean((0, 2))[None]
        ).sum(-1),
        "the diagonal is set to zero: a head overlaps with itself": right - torch.eye(h),
    }
    check_close("head_overlap", got, right, wrong)
    rows = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]).view(1, 2, 1, 3)
    half = math.fsum([0.0, 0.5, 0.0])
    check_close(
        "head_overlap of (0.5, 0.5, 0) and (0, 0.5, 0.5)",
        call(rows),
        torch.tensor([[1.0, half], [half, 1.0]]),
    )
    _done("head_overlap")
