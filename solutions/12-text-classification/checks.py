"""Visible checks of assignment 12: each says what is wrong in terms of the idea.

The expected values come from loops over single texts, from torch's own losses and layers, and from
generated data. A check that passes is not the whole story: the grader runs further tests.
"""

import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoderlib import sinusoids
from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_tensor,
    max_difference,
)

__all__ = [
    "check_by_hand",
    "check_classifier",
    "check_pool",
    "check_threshold",
    "check_training",
    "check_weighted_loss",
    "last_word",
]

KEPT = "The input must stay as it is: build a new tensor."


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. by hand


def _numbers(name: str, value: object, size: int) -> list[float]:
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]
    good = isinstance(value, (list, tuple)) and all(isinstance(v, (int, float)) for v in value)
    _require(good, f"{name!r} must be made of numbers, got {value!r}.")
    what = "a number" if size == 1 else f"a list of {size} numbers"
    _require(len(value) == size, f"{name!r} must be {what}, got {len(value)}.")
    return [float(v) for v in value]


def check_by_hand(by_hand: Callable) -> None:
    """Nine results, each with the usual slips."""
    case = call_answer("by_hand", by_hand)
    _require(
        isinstance(case, dict), f"by_hand must return a dictionary, got {type(case).__name__}."
    )
    pad, *own = torch.tensor([[7.0, 7.0], [-1.0, 6.0], [-5.0, 0.0], [-3.0, 3.0]])
    real = torch.stack(own)
    every = torch.stack([pad, *own])
    p = torch.tensor([1.0, 2.0, 5.0]) / 8
    right = torch.tensor([0.0, 1.0, 0.0])
    e = math.e
    parts: dict[str, tuple[object, dict[str, object]]] = {
        "mean": (
            real.mean(0),
            {
                "the pad is counted": every.mean(0),
                "the sum is divided by four, the pad included": real.sum(0) / 4,
                "it is the sum; divide by the number of real tokens": real.sum(0),
            },
        ),
        "maximum": (
            real.amax(0),
            {
                "the pad is counted": every.amax(0),
                "a pad of zeros is counted: it wins where all real numbers are below zero": (
                    real.amax(0).clamp(min=0)
                ),
                "one token is taken: each column has a maximum of its own": real[
                    real.sum(1).argmax()
                ],
            },
        ),
        "mean with the pad": (
            every.mean(0),
            {"the pad is left out": real.mean(0), "the pad counts as zeros": real.sum(0) / 4},
        ),
        "maximum of zeroed": (
            real.amax(0).clamp(min=0),
            {"the pad is left out": real.amax(0), "the pad is not zeroed": every.amax(0)},
        ),
        "probabilities": (
            p,
            {
                "they are not divided by their sum, 1 + 2 + 5": 8 * p,
                "they are rounded to two digits": torch.tensor([0.13, 0.25, 0.63]),
                "they are cut to two digits": torch.tensor([0.12, 0.25, 0.62]),
            },
        ),
        "loss": (
            -p[1].log(),
            {
                "the sign is wrong: the logarithm of a probability is negative": p[1].log(),
                "this is the probability, not minus its logarithm": p[1],
                "another class is taken to be right": -p[2].log(),
                "the classes are counted from 1": -p[0].log(),
                "the logarithm is to base 2": -p[1].log2(),
                "the logarithm is to base 10": -p[1].log10(),
            },
        ),
        "gradient": (
            p - right,
            {
                "the sign is wrong: reported minus right": right - p,
                "1 is not taken away from the right class": p,
                "this is the derivative of one probability": p[1] * (right - p),
            },
        ),
        "floor": (
            math.log(e + 3) - 1,
            {
                "the first softmax is forgotten: without it the loss could be 0": 0.0,
                "the logit of the right class, 1, is not taken away": math.log(e + 3),
                "two classes are counted, not four": math.log(e + 1) - 1,
                "four wrong classes are counted: one of the four is right": math.log(e + 4) - 1,
                "this is the loss of a guess": math.log(4),
            },
        ),
        "threshold": (
            3 / 8,
            {
                "this is the threshold with the two prices exchanged": 5 / 8,
                "this is the quotient of the prices: which p makes both decisions cost the same?": 3
                / 5,
                "one half is right for equal prices only": 0.5,
            },
        ),
    }
    for name, (want, slips) in parts.items():
        _require(name in case, f"{name!r} is missing in the dictionary.")
        want = torch.as_tensor(want, dtype=torch.float32).flatten()
        got = torch.tensor(_numbers(name, case[name], want.numel()))
        wrong = {k: torch.as_tensor(v, dtype=torch.float32).flatten() for k, v in slips.items()}
        tolerance = 2e-4 if name == "probabilities" else 2e-3  # these are exact in three digits
        check_close(repr(name), got, want, wrong, tolerance=tolerance)
    _done("by_hand")


# ---------------------------------------------------------------- 2. pool

HOWS = ("mean", "max", "last", "mean+max")


def _pooled(x: Tensor, tokens: Tensor, how: str) -> Tensor:
    """One text after the other, its real tokens alone."""
    pooled, exact = [], x.detach().double()
    for text, real in zip(exact, tokens, strict=True):
        own = text[real]
        none = text.new_zeros(text.size(-1))
        ways = {"mean": lambda v: v.mean(0), "max": lambda v: v.amax(0), "last": lambda v: v[-1]}
        found = [ways[one](own) if len(own) else none for one in how.split("+")]
        pooled.append(torch.cat(found))
    return torch.stack(pooled).to(x.dtype)


def _pool_slips(x: Tensor, tokens: Tensor, how: str) -> dict[str, Tensor]:
    """What known mistakes compute; the padding of x is finite."""
    t = x.size(1)
    every = torch.ones_like(tokens)
    zeroed = x.masked_fill(~tokens[..., None], 0.0)
    filled = {
        "the padding is counted: `tokens` is not used": lambda h: _pooled(x, every, h),
        "the mask is the wrong way round: True = real token": lambda h: _pooled(x, ~tokens, h),
        "the padding is set to zero and then counted": lambda h: _pooled(zeroed, every, h),
    }
    slips = {name: make(how) for name, make in filled.items() if how != "last"}
    mean, largest = _pooled(x, tokens, "mean"), _pooled(x, tokens, "max")
    lengths = tokens.sum(1)
    rows = torch.arange(len(x))
    if how == "mean":
        count = lengths.clamp(min=1)[:, None]
        slips["the padding is counted above the line"] = x.sum(1) / count
        slips["the number of tokens is one too large"] = zeroed.sum(1) / (count + 1)
        slips["the sum is not divided"] = zeroed.sum(1)
        slips["one number of tokens is used for the whole batch"] = (
            zeroed.sum(1) / tokens.sum() * len(x)
        )
        slips["the mean runs over the texts of the batch"] = x.mean(0)[: len(x)].expand_as(mean)
    if how == "max":
        slips["the largest absolute number is taken"] = _pooled(x.abs(), tokens, "max")
        slips["it is the smallest number"] = -_pooled(-x, tokens, "max")
    if how == "last":
        slips["this is the first real token"] = _pooled(x.flip(1), tokens.flip(1), "last")
        slips["this is the first place, real or not"] = x[:, 0]
        slips["this is the last place, padding or not"] = x[:, -1]
        counted = (rows, (lengths - 1).clamp(min=0))
        slips["the place is computed from the number of tokens: padding may stand in front"] = x[
            counted
        ]
        slips["it is the number of tokens that gives the place: padding may stand in front"] = (
            zeroed[counted]
        )
        slips["the place is one too far"] = x[rows, lengths.clamp(max=t - 1)]
    if how == "mean+max":
        slips["the maximum comes first, the mean behind it"] = torch.cat([largest, mean], -1)
        slips["a part is there twice"] = torch.cat([mean, mean], -1)
        slips["the maximum is there twice"] = torch.cat([largest, largest], -1)
        zero_max = torch.cat([mean, _pooled(zeroed, every, "max")], -1)
        slips["in the maximum the padding is set to zero and then counted"] = zero_max
    return slips


def check_pool(pool: Callable) -> None:
    """Four poolings, padding anywhere and of any content, dtypes, texts without a token."""
    check_not_used(
        "pool",
        pool,
        {
            "encoderlib": "The library holds the answer; write your own.",
            "embedding_bag": "Write the formula yourself.",
        },
    )

    def call(x: Tensor, tokens: Tensor, how: str) -> Tensor:
        hints = {
            "size of tensor a": "tokens is (B, T): an axis at its end lets it meet (B, T, D).",
            "out of bounds": "Is the place of the last token below T, also without padding?",
        }
        return call_answer(f"pool with {how!r}", pool, x, tokens, how, hints=hints)

    b, t, d = 4, 5, 3
    x = _randn(1, b, t, d) - 2.0  # most columns below zero
    rows = {
        "padding at the end": [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
        "padding at the start": [
            [0, 0, 1, 1, 1],
            [0, 0, 0, 0, 1],
            [0, 1, 1, 1, 1],
            [1, 1, 1, 1, 1],
        ],
        "padding in between": [[1, 0, 1, 1, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 1]],
    }
    for how in HOWS:
        name = f"pool with {how!r}"
        for where, numbers in rows.items():
            tokens = torch.tensor(numbers).bool()
            before, mask = x.clone(), tokens.clone()
            got = call(x, tokens, how)
            check_tensor(name, got)
            want = _pooled(x, tokens, how)
            width = "(B, 2 D)" if how == "mean+max" else "(B, D)"
            said = ""
            if got.shape == x.shape:
                said = " It still has an axis of tokens."
            elif tuple(got.shape) == (b, 1, want.size(1)):
                said = " Take away the axis of size 1."
            _require(
                got.shape == want.shape,
                f"{name} has the wrong shape: expected {width} = {tuple(want.shape)}, got "
                f"{tuple(got.shape)}.{said}",
            )
            check_close(f"{name}, {where}", got, want, _pool_slips(x, tokens, how))
            _require(bool((x == before).all()), f"{name} changes its input x. {KEPT}")
            _require(torch.equal(tokens, mask), f"{name} changes its input tokens. {KEPT}")
    tokens = torch.tensor(rows["padding at the end"]).bool()
    for how in HOWS:
        name = f"pool with {how!r}"
        for value in (50.0, math.inf, -math.inf, math.nan):
            rubbish = x.masked_fill(~tokens[..., None], value)
            got = call(rubbish, tokens, how)
            _require(
                bool(got.isfinite().all()),
                f"{name}: {value} from the padding comes through. A product with 0 does not remove "
                "what is not finite: replace it, for instance with masked_fill.",
            )
            check_close(f"{name}, padding of {value}", got, _pooled(x, tokens, how))
        empty = tokens.clone()
        empty[1] = False
        for value in (0.0, -3.0):
            got = call(x.masked_fill(~empty[..., None], value), empty, how)
            finite = bool(got.isfinite().all()) and not bool(got[1].any())
            _require(finite, f"{name}: a text without a real token must get zeros, got {got[1]}.")
            check_close(f"{name} beside a text without tokens", got, _pooled(x, empty, how))
        for dtype, close in ((torch.float64, 1e-9), (torch.bfloat16, 2e-2), (torch.float16, 3e-3)):
            got = call(x.to(dtype), tokens, how)
            check_dtype(name, got, dtype, "The result has the dtype of x.")
            want = _pooled(x.to(dtype), tokens, how)
            check_close(f"{name} in {dtype}", got.double(), want.double(), tolerance=close * 3)
        low = x - 1e6
        check_close(
            f"{name}, entries of about minus a million",
            call(low, tokens, how),
            _pooled(low, tokens, how),
            {}
            if "max" not in how
            else {
                "the padding is filled with a number that is not low enough": _pooled(
                    low.masked_fill(~tokens[..., None], -1e4), torch.ones_like(tokens), how
                )
            },
            tolerance=1.0,
        )
        leaf = x.masked_fill(~tokens[..., None], math.nan).requires_grad_()
        out = call(leaf, tokens, how)
        _require(out.requires_grad, f"{name} loses the gradient: is there a detach?")
        (slope,) = torch.autograd.grad(out.sum(), leaf)
        _require(
            not bool(slope[~tokens].any()),
            f"{name}: the padding gets a gradient, or NaN: replace it before anything else.",
        )
        _require(bool(slope[tokens].any()), f"{name}: no gradient reaches the real tokens.")
    wide = x.double() + 1e6
    _require(
        bool(((call(wide, tokens, "mean") - _pooled(wide, tokens, "mean")).abs() < 1e-7).all()),
        "pool with 'mean' loses digits of float64: convert 16-bit numbers only.",
    )
    long = (40 + _randn(2, 1, 3000, 2)).half()
    got = call(long, torch.ones(1, 3000, dtype=torch.bool), "mean")
    _require(
        bool(got.isfinite().all()),
        "pool with 'mean' of 3,000 tokens in float16 is infinite: their sum does not fit into "
        "float16. Sum in float32, divide, and convert back.",
    )
    check_close("the mean of 3,000 tokens", got.float(), torch.full((1, 2), 40.0), tolerance=0.2)
    for how in ("Mean", "cls", None):
        try:
            pool(x, tokens, how)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(
                f"pool with how={how!r} raises {type(error).__name__}; it must be a ValueError."
            ) from error
        raise AssertionError(f"pool with how={how!r} must raise a ValueError.")
    _done("pool")


# ---------------------------------------------------------------- 3. weighted loss


def _loss(logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    z = logits.detach().double().requires_grad_()
    if not bool(weights[labels].any()):
        return torch.zeros((), dtype=logits.dtype), torch.zeros_like(logits)
    loss = F.cross_entropy(z, labels, weights.double())
    (slope,) = torch.autograd.grad(loss, z)
    return loss.detach().to(logits.dtype), slope.to(logits.dtype)


def check_weighted_loss(weighted_loss: Callable) -> None:
    """Values, the gradient, large logits, weights of zero."""
    own = "Write the formula yourself."
    check_not_used(
        "weighted_loss",
        weighted_loss,
        {
            "cross_entropy": own,
            "nll_loss": own,
            "CrossEntropyLoss": own,
            "NLLLoss": own,
            "autograd": "Work the gradient out yourself.",
            "backward": "Work the gradient out yourself.",
            "encoderlib": own,
        },
    )

    def call(z: Tensor, y: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        found = call_answer("weighted_loss", weighted_loss, z, y, v)
        pair = isinstance(found, (tuple, list)) and len(found) == 2
        _require(pair, "weighted_loss must return two things: the loss and its gradient.")
        check_tensor("the loss", found[0])
        check_tensor("the gradient", found[1])
        _require(
            found[0].dim() == 0,
            f"the loss must be a tensor without axes, got shape {tuple(found[0].shape)}: one "
            "number for the batch.",
        )
        _require(
            found[1].shape == z.shape,
            f"the gradient must have the shape of the logits, {tuple(z.shape)}, got "
            f"{tuple(found[1].shape)}.",
        )
        return found[0], found[1]

    b, c = 5, 3
    z = _randn(3, b, c)
    y = torch.tensor([0, 2, 2, 1, 2])
    v = torch.tensor([1.0, 5.0, 0.5])
    kept = z.clone(), y.clone(), v.clone()
    loss, slope = call(z, y, v)
    want, right = _loss(z, y, v)
    each = F.cross_entropy(z, y, reduction="none")
    hot = F.one_hot(y, c).float()
    p = z.softmax(-1)
    w = v[y][:, None]
    check_close(
        "the loss",
        loss,
        want,
        {
            "the sum is divided by B: divide by the sum of the weights": (v[y] * each).mean(),
            "the sum is not divided": (v[y] * each).sum(),
            "the weights are not used": each.mean(),
            "the sum is divided by the weights of the classes, not of the texts": (
                (v[y] * each).sum() / v.sum()
            ),
            "the sign is wrong": -want,
            "the softmax is taken twice": _loss(p, y, v)[0],
            "the right logit is not taken away": (v[y] * z.logsumexp(-1)).sum() / v[y].sum(),
        },
    )
    check_close(
        "the gradient",
        slope,
        right,
        {
            "it is divided by B: divide by the sum of the weights": w * (p - hot) / b,
            "it is not divided": w * (p - hot),
            "the weights are not used": (p - hot) / b,
            "the sign is wrong: reported minus right": -right,
            "1 is not taken away from the right class": w * p / w.sum(),
            "each class has its own weight, not that of the right one": v * (p - hot) / w.sum(),
            "the weights are in the divisor only": (p - hot) / w.sum(),
            "the softmax runs over the texts": w * (z.softmax(0) - hot) / w.sum(),
        },
    )
    given = {"logits": z, "labels": y, "weights": v}
    for what, copied in zip(given, kept, strict=True):
        _require(
            torch.equal(given[what], copied), f"weighted_loss changes its input {what}. {KEPT}"
        )
    for scale in (1e2, 1e4):
        large = scale * z
        loss, slope = call(large, y, v)
        want, right = _loss(large, y, v)
        _require(
            bool(loss.isfinite()) and bool(slope.isfinite().all()),
            f"with logits of about {scale:g} the results are not finite: a softmax becomes 0 and "
            "its logarithm infinite, or an exponential overflows. Use logsumexp.",
        )
        _require(
            abs(float(loss / want) - 1) < 1e-3,
            f"the loss of logits of about {scale:g} is wrong: expected {float(want):.1f}, got "
            f"{float(loss):.1f}. Are small probabilities cut off before the logarithm?",
        )
        check_close("the gradient of large logits", slope, right)
    loss, slope = call(z, y, torch.zeros(c))
    zero = not bool(loss) and not bool(slope.any())
    _require(zero, "without any weight above 0 it is 0/0: loss and gradient must be zero.")
    none = torch.tensor([1.0, 0.0, 3.0])
    loss, slope = call(z, y, none)
    want, right = _loss(z, y, none)
    check_close("the loss with a class of weight 0", loss, want)
    check_close("the gradient with a class of weight 0", slope, right)
    tiny = 1e-6 * v
    loss, slope = call(z, y, tiny)
    want, right = _loss(z, y, tiny)
    _require(
        abs(float(loss / want) - 1) < 1e-4,
        "the loss is wrong with small weights: is a small number added to their sum? Replace the "
        "sum where it is 0.",
    )
    loss, slope = call(z.double(), y, v)
    check_dtype("the loss", loss, torch.float64, "It has the dtype of the logits.")
    check_dtype("the gradient", slope, torch.float64, "It has the dtype of the logits.")
    check_close("the loss in float64", loss, _loss(z.double(), y, v)[0], tolerance=1e-7)
    _done("weighted_loss")


# ---------------------------------------------------------------- 4. classifier


class _Reference(nn.Module):
    """The classifier with some of its faults, as named by ``faults``."""

    def __init__(self, model: nn.Module, faults: tuple[str, ...] = ()):
        super().__init__()
        self.model, self.faults = model, faults

    def forward(self, ids: Tensor) -> Tensor:
        m, tokens = self.model, ids != 0
        x = m.embedding(ids)
        places = (tokens.cumsum(1) - 1).clamp(min=0)  # among the real tokens
        if "scaled" in self.faults:
            x = x * x.size(-1) ** 0.5
        if "absolute" in self.faults:
            x = x + m.positions[: ids.size(1)]
        elif "one" in self.faults:
            x = x + m.positions[places + 1]
        elif "sinusoids" in self.faults:
            x = x + sinusoids(ids.size(1), x.size(-1))
        elif "positions" not in self.faults:
            x = x + m.positions[places]
        mask = ~tokens
        if "mask" in self.faults:
            mask = None
        if "polarity" in self.faults:
            mask = tokens
        x = m.encoder(x, src_key_padding_mask=mask)
        real = tokens[..., None]
        if "zeros" in self.faults:
            s = (x * real).amax(1)
        elif "padding" in self.faults:
            s = x.amax(1)
        elif "mean" in self.faults:
            s = x.masked_fill(~real, 0.0).sum(1) / real.sum(1)
        elif "first" in self.faults:
            s = x[:, 0]
        else:
            s = x.masked_fill(~real, -torch.inf).amax(1)
        z = m.head(s)
        if "log" in self.faults:
            return z.log_softmax(-1)
        return z.softmax(-1) if "softmax" in self.faults else z


def check_classifier(classifier: type) -> None:
    """Against the same parts put together, padding invariance, order, gradients."""
    state = torch.get_rng_state()
    torch.manual_seed(4)
    model = call_answer("Classifier", classifier, 17, 6, 3, 10, 4)
    _require(isinstance(model, nn.Module), "Classifier must be a module.")
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters()}
    twin_names = ("positions", "head.weight", "head.bias")
    _require(
        all(n in shapes for n in twin_names)
        and any(n.startswith("encoder.layers.1") for n in shapes),
        "Classifier must keep its constructor: embedding, positions, encoder, head.",
    )
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn(p.shape) * (p.shape[-1] ** -0.5 if p.dim() == 2 else 0.5))
            if name.split(".")[0] in ("embedding", "positions"):
                p.mul_(p.shape[-1] ** 0.5)
            if name.endswith("norm2.bias"):
                p.sub_(2.0)
    torch.set_rng_state(state)
    model.train()
    ids = torch.tensor([[5, 9, 2, 7, 3], [4, 4, 8, 0, 0], [6, 0, 0, 0, 0]])
    before = ids.clone()
    with torch.no_grad():
        hints = {
            "size of tensor": "positions has a row for each of 64 places: take those of the texts."
        }
        got = call_answer("Classifier", model, ids, hints=hints)
        check_tensor("Classifier", got)
        _require(
            tuple(got.shape) == (3, 4),
            f"Classifier returns shape {tuple(got.shape)} instead of (B, C) = (3, 4). "
            + ("One answer a text: pool the tokens." if got.dim() == 3 else ""),
        )
        want = _Reference(model)(ids)
        faults = {
            "positions": "the positions are not added: another order gives the same answer",
            "polarity": "the encoder's mask is the wrong way round: torch's True means *ignore*",
            "mask": "the encoder gets no mask, so that real tokens read padding",
            "zeros": "padding is set to zero before the maximum: zero wins where all real numbers "
            "are below it",
            "padding": "the maximum counts the padding",
            "mean": "the tokens are averaged; this classifier takes the maximum",
            "first": "only the first token is used; this classifier takes the maximum",
            "softmax": "a softmax comes out: return logits, the loss takes the softmax itself",
        }
        wrong = {
            said: lambda name=name: _Reference(model, (name,))(ids)
            for name, said in {
                "log": "a logarithm of the softmax comes out: return logits",
                "scaled": "the embedding is multiplied with the root of D: here it is not",
                "sinusoids": "sinusoids are added: the rows of `positions` are learned",
                "one": "the places are counted from one",
            }.items()
        }
        names = list(faults)
        single = [(n,) for n in names]
        double = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        triple = [
            ("positions", a, b)
            for a in ("polarity", "mask")
            for b in ("zeros", "padding", "softmax")
        ]
        for group in (*single, *double, *triple, ("positions", "mask", "zeros", "softmax")):
            said = "; and ".join(faults[n] for n in group)
            wrong[said] = lambda group=group: _Reference(model, group)(ids)
        _require(
            bool(got.isfinite().all()),
            "Classifier returns NaN or infinity: is a text left without any token to attend to? "
            "Torch's True means *ignore*.",
        )
        check_close("Classifier", got, want, wrong, tolerance=1e-4)
        _require(torch.equal(ids, before), f"Classifier changes the ids. {KEPT}")
        longer = call_answer("Classifier", model, F.pad(ids, (0, 9)))
        _require(max_difference(longer, got) < 1e-4, "Nine pads more move the logits.")
        alone = torch.cat([model(one) for one in ids.split(1)])
        _require(
            max_difference(alone, got) < 1e-4, "A text alone has other logits than in a batch."
        )
        front = F.pad(ids, (2, 0))
        check_close(
            "Classifier, padding in front",
            call_answer("Classifier, padding in front,", model, front),
            want,
            {
                "the places count the padding in front: count the real tokens": (
                    _Reference(model, ("absolute",))(front)
                )
            },
            tolerance=1e-4,
        )
    F.cross_entropy(model(ids), torch.tensor([0, 3, 1])).backward()
    for name, p in model.named_parameters():
        _require(p.grad is not None, f"no gradient reaches {name}: is it used?")
    _done("Classifier")


# ---------------------------------------------------------------- 5. threshold


def _cost(scores: Tensor, labels: Tensor, threshold: float, alarm: float, miss: float) -> float:
    honest = scores[labels == 0].tolist()
    spam = scores[labels == 1].tolist()
    return alarm * sum(v >= threshold for v in honest) + miss * sum(v < threshold for v in spam)


def _cheapest(
    scores: Tensor, labels: Tensor, alarm: float, miss: float, last: bool = False
) -> tuple[float, float]:
    found = [
        (_cost(scores, labels, t, alarm, miss), t) for t in [*scores.unique().tolist(), math.inf]
    ]
    cost = min(c for c, _ in found)
    ties = [t for c, t in found if c == cost]
    return (min(ties) if last else max(ties)), cost


def check_threshold(cheapest_threshold: Callable) -> None:
    """Small sets that can be checked by eye, ties, equal scores, one class only."""

    def call(what: str, scores: list, labels: list, alarm: float, miss: float) -> None:
        s, y = torch.tensor(scores), torch.tensor(labels)
        kept = s.clone(), y.clone()
        want, least = _cheapest(s, y, alarm, miss)
        found = call_answer("cheapest_threshold", cheapest_threshold, s, y, alarm, miss)
        pair = isinstance(found, (tuple, list)) and len(found) == 2
        _require(pair, "cheapest_threshold must return two numbers: the threshold and its cost.")
        try:
            threshold, cost = float(found[0]), float(found[1])
        except (TypeError, ValueError) as error:
            raise AssertionError("cheapest_threshold must return two numbers.") from error
        _require(torch.equal(s, kept[0]), f"cheapest_threshold changes the scores. {KEPT}")
        _require(torch.equal(y, kept[1]), f"cheapest_threshold changes the labels. {KEPT}")
        case = f"{what}: scores {scores}, labels {labels}, alarm {alarm}, miss {miss}"
        slips = {
            "this is what you get when the prices are exchanged": _cheapest(s, y, miss, alarm),
            "this is the smallest of the equally cheap thresholds": _cheapest(
                s, y, alarm, miss, True
            ),
            "this counts mistakes, whatever they cost": _cheapest(s, y, 1, 1),
            "this is what you get when the labels are exchanged": _cheapest(s, 1 - y, alarm, miss),
        }
        near = threshold == want or abs(threshold - want) < 1e-6
        if not near or abs(cost - least) > 1e-3:
            said = next(
                (
                    f" {name[0].upper()}{name[1:]}."
                    for name, (t, c) in slips.items()
                    if (t, c) != (want, least)
                    and abs(c - cost) < 1e-3
                    and (t == threshold or abs(t - threshold) < 1e-6)
                ),
                "",
            )
            if not said and threshold not in (*s.tolist(), math.inf):
                said = " The threshold is none of the scores, nor infinity."
            elif not said and near and abs(cost * len(s) - least) < 1e-3:
                said = " The threshold is right; the cost is a total, not a mean over the messages."
            elif not said and abs(_cost(s, y, threshold, alarm, miss) - cost) > 1e-3:
                said = (
                    f" With this threshold the cost is {_cost(s, y, threshold, alarm, miss):g}: a "
                    "score that equals the threshold is stopped, and the cost is a total."
                )
            raise AssertionError(
                f"{case}: expected the threshold {want:g} with cost {least:g}, got {threshold:g} "
                f"with {cost:g}.{said}"
            )

    call("all in order", [0.9, 0.8, 0.3, 0.1], [1, 1, 0, 0], 1, 1)
    call("a false alarm is dear", [0.9, 0.8, 0.5, 0.4, 0.3], [1, 0, 1, 1, 0], 5, 2)
    call("a miss is dear", [0.9, 0.8, 0.5, 0.4, 0.3], [1, 0, 1, 0, 1], 1, 5)
    call("unsorted", [0.3, 0.9, 0.4, 0.8, 0.5], [0, 1, 0, 0, 1], 2, 3)
    call("two equally cheap", [0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], 1, 1)
    call("stop nothing", [0.9, 0.8, 0.3, 0.1], [0, 0, 1, 1], 5, 1)
    call("no spam at all", [0.9, 0.8], [0, 0], 1, 1)
    call("stop all", [0.9, 0.8, 0.3], [0, 0, 1], 1, 9)
    call("equal scores", [0.5, 0.5, 0.5, 0.2], [1, 0, 1, 0], 1, 1)
    call("equal scores, sorted the other way", [0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], 2, 3)
    call("scores that are no probabilities", [-4.0, 3.0, -1.5, 12.0], [0, 1, 1, 1], 1, 1)
    call("prices with fractions", [0.7, 0.6, 0.2], [0, 1, 1], 0.5, 0.75)
    _done("cheapest_threshold")


# ---------------------------------------------------------------- 6. training


def last_word(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Texts with two words of praise (1), two of blame (2), and fillers; the last one decides.

    Args:
        n: number of texts, even: each comes with its twin.
        seed: of the random numbers.

    Returns:
        Ids (n, 10), padded with 0, and labels (n,): 0 if the last of the four praises, 1 if it
        blames.
    """
    generator, half = torch.Generator().manual_seed(seed), n // 2
    lengths = torch.randint(6, 11, (half,), generator=generator)
    fillers = torch.randint(3, 10, (half, 10), generator=generator)
    real = torch.arange(10) < lengths[:, None]
    places = torch.rand(half, 10, generator=generator).where(real, -1.0).topk(4).indices
    kinds = torch.tensor([1, 1, 2, 2]).expand(half, 4)
    last = places.amax(1, keepdim=True)
    both = [fillers.scatter(1, places, part) for part in (kinds, 3 - kinds)]
    labels = torch.cat([one.gather(1, last)[:, 0] - 1 for one in both])
    ids = torch.cat([one * real for one in both])
    order = torch.randperm(n, generator=generator)
    return ids[order], labels[order]


def check_training(train_classifier: Callable) -> None:
    """Accuracy on new texts, padding, batch, mode."""
    import torch._dynamo  # the first optimiser does it anyway; the grader does it once for all

    start = time.perf_counter()
    model = call_answer("train_classifier", train_classifier, *last_word(2000, seed=1))
    took = time.perf_counter() - start
    _require(callable(model), "train_classifier must return the model; is a `return` missing?")
    new, labels = last_word(1000, seed=2)
    with torch.no_grad():
        got = call_answer("the model", model, new)
        check_tensor("the model's answer", got)
        _require(
            tuple(got.shape) == (1000, 2),
            f"the model must return logits (B, 2) = (1000, 2), got {tuple(got.shape)}.",
        )
        again = model(new)
        _require(
            max_difference(got, again) < 1e-4,
            "the model gives other logits at the second call: dropout is on. Call eval().",
        )
        share = (got.argmax(-1) == labels).float().mean().item()
        said = ""
        if share == 0.5:
            said = (
                " Exactly one half: a text and its twin look alike. Does the model know the order?"
            )
        elif share < 0.05:
            said = " Are the labels exchanged?"
        elif share < 0.6:
            said = " About one half: it guesses. Watch the loss; are there enough steps?"
        elif share < 0.95:
            said = " It has learnt a part: does the loss still fall when the training ends?"
        _require(
            share > 0.95, f"{share:.3f} of the new texts are right, more than 0.95 needed.{said}"
        )
        alone = torch.cat([call_answer("the model", model, one) for one in new[:20].split(1)])
        _require(
            max_difference(alone, got[:20]) < 1e-3,
            "a text alone has other logits than in a batch: does something run over the batch?",
        )
        hints = {
            "out of": "With pads a text is longer than those of the training: are there positions "
            "for all places?"
        }
        longer = call_answer("the model", model, F.pad(new[:50], (0, 20)), hints=hints)
        _require(
            max_difference(longer, got[:50]) < 1e-3,
            "twenty pads behind a text move its logits: mask them, in attention and pooling.",
        )
    print(f"{share:.3f} of new texts are right, after {took:.0f} s of training.")
    _done("train_classifier")
