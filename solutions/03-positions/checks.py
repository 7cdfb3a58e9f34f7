"""Visible checks of assignment 03: each says what is wrong in terms of the idea.

The expected values come from encoderlib and torch, which the tasks do not let you use for them.
A check that passes is not the whole story: the grader runs further tests of its own.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

import encoderlib
from encoderlib import relative
from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_shape,
    check_tensor,
)

__all__ = [
    "check_add_positions",
    "check_order_gap",
    "check_relative_bias",
    "check_rotation",
    "check_sinusoids",
    "check_split_weight",
]

LIBRARY = {"encoderlib": "The library holds the answer; write your own."}


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. order gap


def check_order_gap(order_gap: Callable) -> None:
    """An equivariant model, one that ignores the shuffle, and known differences."""
    check_not_used("order_gap", order_gap, LIBRARY)
    cycle = torch.tensor([2, 0, 3, 1, 4])  # not its own inverse
    before = _randn(0, 5, 5, 5)  # B = T = D: a wrong axis raises no error
    after = before.index_select(1, cycle)
    after[1, 2, 3] -= 4.0
    after[0, 4, 1] += 0.5
    hints = {"shape": "`order` belongs to the axis of the positions, the second one."}

    def call(*arguments: Tensor) -> float:
        got = call_answer("order_gap", order_gap, *arguments, hints=hints)
        _require(
            got is not None and got is not Ellipsis,
            "order_gap returns nothing yet: is there a return statement?",
        )
        got = torch.as_tensor(got)
        _require(
            got.dtype != torch.bool,
            "order_gap returns True or False; return the size of the gap.",
        )
        _require(
            got.numel() == 1,
            f"order_gap returns {got.numel()} numbers; it is one: the largest over all entries.",
        )
        return got.item()

    def size_of(one: Tensor, other: Tensor) -> float:
        return F.l1_loss(one, other, reduction="none").amax().item()

    got = call(before, after, cycle)
    signed = (after - before.index_select(1, cycle)).flatten()
    undo = torch.empty_like(cycle).scatter_(0, cycle, torch.arange(5))
    wrong = {
        "before is not shuffled at all, or both tensors are": size_of(after, before),
        "before is shuffled back (by the inverse permutation), or after a second time": size_of(
            after, before.index_select(1, undo)
        ),
        "the sentences of the batch are shuffled, not the positions": size_of(
            after, before.index_select(0, cycle)
        ),
        "the columns are shuffled, not the positions": size_of(
            after, before.index_select(2, cycle)
        ),
        "the differences have a sign, and the largest negative one is lost": signed.max().item(),
        "the differences are averaged: one large error among many zeros is nearly lost": (
            signed.abs().mean().item()
        ),
        "the differences are summed up": signed.abs().sum().item(),
        "the differences are squared": signed.square().amax().item(),
    }
    wrong["the squares are averaged"] = signed.square().mean().item()
    wrong["the squares are summed up and the root is taken: that is a norm"] = signed.norm().item()
    wrong["the average over the tokens is compared: it is blind to the order"] = size_of(
        after.mean(1), before.mean(1)
    )
    wrong["the tokens are sorted: the order that you want to test is gone"] = size_of(
        after.sort(1).values, before.sort(1).values
    )
    for mistake, value in wrong.items():
        _require(
            abs(got - value) > 1e-5,
            f"order_gap is {got:.4g} where 4 is right. This is what you get when {mistake}.",
        )
    _require(abs(got - 4) < 1e-5, f"order_gap is {got:.6g} where the largest difference is 4.")
    for size in ((2, 5, 3), (1, 5, 7)):
        x = _randn(1, *size)
        got = call(x, x.index_select(1, cycle), cycle)
        _require(got == 0.0, f"order_gap is {got:.6g} for an equivariant model of shape {size}.")
    _done("order_gap")


# ---------------------------------------------------------------- 2. sinusoids


def _table(length: int, d_model: int, base: float, exponent: Callable, shift: float = 0) -> Tensor:
    """Sines in even columns and cosines in odd ones, at the frequency base^-exponent(column)."""
    columns = torch.arange(d_model)
    powers = torch.tensor([exponent(int(c)) for c in columns], dtype=torch.float64)
    times = torch.arange(length, dtype=torch.float64) + shift
    angles = torch.outer(times, base**-powers)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos()).float()


def _mistaken_tables(length: int, d: int, base: float) -> dict[str, Tensor]:
    right = encoderlib.sinusoids(length, d, base)
    one = _table(length, d, math.e, lambda c: math.log(d) / 2)
    wrong = {
        "all columns turn at one frequency, t / sqrt(D): each pair needs its own": one,
        "the values are cut to whole numbers: sines were assigned into an integer tensor": (
            right.trunc()
        ),
        "sine and cosine have changed places": torch.stack(
            [right[:, 1::2], right[:, 0::2]], -1
        ).flatten(1),
        "the sines fill the first half of the columns and the cosines the second: they alternate": (
            torch.cat([right[:, 0::2], right[:, 1::2]], 1)
        ),
        "the exponent is i / D: it is 2i / D for pair i": _table(
            length, d, base, lambda c: (c // 2) / d
        ),
        "each column has a frequency of its own: the cosine shares that of its sine": _table(
            length, d, base, lambda c: c / d
        ),
        "the exponent counts columns twice: 2i is the number of the even column": _table(
            length, d, base, lambda c: 2 * (c - c % 2) / d
        ),
        "the exponent is positive: the clocks go faster from pair to pair": _table(
            length, d, base, lambda c: -(c - c % 2) / d
        ),
        "positions count from 1": _table(length, d, base, lambda c: (c - c % 2) / d, 1),
        "column c counts as pair c: cosine and sine of a pair share one frequency": _table(
            length, d, base, lambda c: 2 * c / d
        ),
        "a turn is counted as 2 pi: the angle is t times theta, nothing more": _table(
            length, d, base, lambda c: (c - c % 2) / d - math.log(2 * math.pi) / math.log(base)
        ),
        "the exponent is i / (D/2 - 1), as some programs have it: here it is 2i / D": _table(
            length, d, base, lambda c: (c // 2) / (d / 2 - 1)
        ),
        "the table is multiplied by sqrt(D): that factor belongs to the words": right.mul(
            math.sqrt(d)
        ),
        "all columns are sines": right[:, 0::2].repeat_interleave(2, 1),
        "positions are divided by the length: the same place gets another row in each table": (
            _table(length, d, base, lambda c: (c - c % 2) / d + math.log(length) / math.log(base))
        ),
    }
    if base != 10000.0:
        wrong["base is ignored, and 10000 is used"] = encoderlib.sinusoids(length, d)
    return wrong


def check_sinusoids(sinusoids: Callable) -> None:
    """Shape, dtype, values, other bases, far positions."""
    check_not_used("sinusoids", sinusoids, LIBRARY)
    hints = {
        "result type Float can't be cast": "An integer tensor cannot hold sines: make it float.",
        "must match the size": "A table (T, D/2) of angles fills every second column: two slices.",
        "shape mismatch": "A table (T, D/2) of angles fills every second column: two slices.",
    }

    def call(*arguments: float) -> Tensor:
        return call_answer("sinusoids", sinusoids, *arguments, hints=hints)

    for length, d, *base in ((7, 6), (5, 8), (8, 8), (9, 4, 50.0)):
        name = f"sinusoids{(length, d, *base)}"
        got = call(length, d, *base)
        check_shape(name, got, {"T": length, "D": d})
        b = base[0] if base else 10000.0
        wrong = _mistaken_tables(length, d, b)
        if not got.is_floating_point():
            raise AssertionError(
                f"{name} has dtype {got.dtype}: it starts from whole numbers, as torch.arange "
                f"makes them, so every sine is cut to -1, 0 or 1. The shape is right all the same."
            )
        check_close(name, got, encoderlib.sinusoids(length, d, b), wrong)
        check_dtype(name, got, torch.float32, "Turn the finished table into float32.")
    far = 200001
    got, right = call(far, 6), encoderlib.sinusoids(far, 6)
    check_shape("a long table", got, {"T": far, "D": 6})
    error = (got - right).abs().amax().item()
    _require(
        error < 1e-4,
        f"sinusoids is wrong by up to {error:.1e} near position 200000, and right near 0. float32 "
        "holds about seven digits, and a large angle needs them before the point: make the angles "
        "in float64.",
    )
    _done("sinusoids")


# ---------------------------------------------------------------- 3. rotation


def _turn(k: int, d: int, base: float) -> Tensor:
    """What the library's rotary positions do to the basis vectors: its table counts from 0."""
    unit = torch.eye(d)[:, None, None]  # (D, 1, 1, D): D sentences of one token
    rows = encoderlib.RotaryPositions(d, base).rotate(unit, unit, start=abs(k))[0].view(d, d)
    return rows if k >= 0 else rows.T


def check_rotation(rotation: Callable) -> None:
    """Shape, what it does to the table, other bases, negative steps, no step."""
    check_not_used("rotation", rotation, LIBRARY)
    hints = {
        "must be float": "`block_diag` and matrix products want one dtype: float.",
        "must match the size": "Pair i fills rows and columns 2i and 2i + 1: slices with step 2.",
    }

    def call(*arguments: float) -> Tensor:
        return call_answer("rotation", rotation, *arguments, hints=hints)

    for k, d, *base in ((3, 6), (2, 8), (1, 4), (5, 6, 40.0), (-2, 6), (0, 6), (700, 4)):
        name = f"rotation{(k, d, *base)}"
        got = call(k, d, *base)
        check_tensor(name, got)
        _require(
            tuple(got.shape) != (d // 2, 2, 2),
            f"{name} has the shape (D/2, 2, 2) = {tuple(got.shape)}: the blocks are not joined "
            "yet. They belong on the diagonal of one matrix (D, D); all else is 0.",
        )
        check_shape(name, got, {"D rows": d, "D columns": d})
        b = base[0] if base else 10000.0
        right = _turn(k, d, b)
        halves = torch.cat([torch.arange(0, d, 2), torch.arange(1, d, 2)])
        rate = torch.tensor(1 / math.sqrt(d))
        cos, sin = (k * rate).cos(), (k * rate).sin()
        one = torch.block_diag(*[torch.stack([cos, sin, -sin, cos]).view(2, 2)] * (d // 2))
        swap = torch.arange(d).bitwise_xor(1)  # the other column of each pair
        signs = torch.tensor([1.0, -1.0]).repeat(d // 2)[:, None]
        first = right[:2, :2]  # the block of theta = 1
        lonely = torch.block_diag(first, torch.eye(d - 2))
        columns = torch.eye(d).roll(k, 0)
        upper = right.triu() + right.triu(1).T
        wrong = {
            "the sign of k is lost": _turn(abs(k), d, b),
            "it turns back: R_k is transposed, and moves by -k": right.T,
            "the sign of one sine is missing: the block is symmetric, which is no rotation": upper,
            "all pairs turn at one frequency": one,
            "all pairs turn like the first one: each has its own theta": torch.block_diag(
                *[first] * (d // 2)
            ),
            "only the first pair turns": lonely,
            "the columns are shifted by k: a step from p to p + k turns each pair": columns,
            "the columns are shifted back by k: a step from p to p + k turns each pair": columns.T,
            "the pairs are column i and column i + D/2: here neighbours are pairs": (
                right[halves][:, halves]
            ),
            "sine and cosine have changed places in the block": right[:, swap] * signs,
            "the exponent is i / D: it is 2i / D for pair i": _turn(k, d, math.sqrt(b)),
            "every step counts as 1, whatever k is": _turn(1, d, b),
            "it moves by k + 1": _turn(k + 1, d, b),
            "the sines are missing, so nothing turns, it only shrinks": torch.diag(right.diag()),
            "nothing turns: this is the identity": torch.eye(d),
            "one cosine has the wrong sign: the block is a mirror, not a rotation": (
                upper - 2 * torch.diag(right.diag() * (signs[:, 0] < 0))
            ),
            "the sines of both rows have the wrong sign, or none": right.abs(),
        }
        if base:
            wrong["base is ignored, and 10000 is used"] = _turn(k, d, 10000.0)
        check_close(name, got, right, wrong, tolerance=3e-5)
        check_dtype(name, got, torch.float32, "Turn the finished matrix into float32.")
        table = encoderlib.sinusoids(40, d, b)
        if k > 0 and k < 40:
            check_close(
                "R_k times the rows", table[:-k] @ got.detach().T, table[k:], tolerance=1e-4
            )
    _done("rotation")


# ---------------------------------------------------------------- 4. split


def check_split_weight(split_weight: Callable) -> None:
    """The two parts, for D smaller and larger than P, with D_out equal to either."""
    check_not_used("split_weight", split_weight, LIBRARY)
    for d, p, out in ((5, 3, 7), (3, 5, 8), (4, 4, 8), (6, 2, 4)):
        weight = _randn(4, d + p, out).requires_grad_()
        got = call_answer("split_weight", split_weight, weight, d)
        _require(
            isinstance(got, tuple | list) and len(got) == 2,
            "split_weight must return two tensors, (W_x, W_p).",
        )
        ideas = {"W_x": ("D", d), "W_p": ("P", p)}
        sizes = [tuple(part.shape) if isinstance(part, Tensor) else None for part in got]
        if d != p:
            _require(
                sizes != [(p, out), (d, out)],
                "split_weight: the parts come from the wrong end, or in the wrong order. In "
                "[x ; p] the token stands first, and meets the first D rows of W.",
            )
        columns = None not in sizes and all(size[:1] == (d + p,) for size in sizes)
        columns = columns and sum(size[-1] for size in sizes) == out
        _require(
            not columns,
            "split_weight cuts the columns of W. A column belongs to one output; the numbers of x "
            "and p meet the rows.",
        )
        half = (d + p) // 2
        _require(
            d == p or sizes != [(half, out), (half, out)],
            "split_weight cuts W in the middle: the parts have D and P rows.",
        )
        upright = [(out, d), (out, p)]
        _require(
            sizes != upright,
            "split_weight transposes the parts: in x W_x the rows of W_x meet x. (nn.Linear keeps "
            "its weight the other way round; here it is W itself.)",
        )
        pieces = dict(zip(ideas, torch.split(weight, [d, p]), strict=True))
        for name, part, (letter, size) in zip(ideas, got, ideas.values(), strict=True):
            check_shape(name, part, {letter: size, "D_out": out})
            other = pieces["W_p" if name == "W_x" else "W_x"]
            wrong = {"W_x and W_p have changed places": other} if d == p else {}
            wrong["the rows are taken in reverse order"] = pieces[name].flip(0)
            wrong["the rows are counted from the end of W: the token stands first"] = (
                weight[-d:] if name == "W_x" else weight[:-d]
            )
            wrong["every second row is taken"] = weight[::2] if name == "W_x" else weight[1::2]
            check_close(name, part, pieces[name], wrong)
            reached = part.requires_grad and torch.autograd.grad(
                part.sum(), weight, allow_unused=True, retain_graph=True
            ) != (None,)
            _require(
                reached,
                f"{name} loses the gradient: is there a detach, .data, or a new parameter?",
            )
    _done("split_weight")


# ---------------------------------------------------------------- 5. add

BEYOND = "A slice beyond the end of a table is shorter, and no error says so"


def check_add_positions(add_positions: Callable) -> None:
    """Axes, start, the factor, dtype, the end of the table."""
    check_not_used("add_positions", add_positions, LIBRARY)
    axis = "Which axis of x holds the positions? Count from the right: there may be no batch."
    hints = {
        "must match the size": f"The rows of the table do not fit the tokens. {axis}",
        "out of range": axis,
        "can't be cast": "Build a new tensor instead of writing into x.",
        "ValueError": "The table has a row for every token here: how many rows does the call need?",
    }

    stop = {
        "must match the size": "The rows of the table do not fit the tokens. Where must the slice "
        "end when it begins at `start` and has T rows? And is T the second axis from the right?"
    }

    def call(x: Tensor, table: Tensor, start: int = 0) -> Tensor:
        ideas = {**hints, **stop} if start else hints
        arguments = (x, table, start) if start else (x, table)
        return call_answer("add_positions", add_positions, *arguments, hints=ideas)

    table = _randn(5, 16, 6)
    for size, start in (
        ((2, 5, 6), 0),
        ((5, 6), 0),
        ((6, 6), 3),
        ((3, 4, 6), 4),
        ((2, 3, 5, 6), 2),
    ):
        x = _randn(6, *size)
        kept, kept_table = x.clone(), table.clone()
        got = call(x, table, start)
        name = f"add_positions of {size} from {start}"
        check_tensor(name, got)
        _require(
            got.shape == x.shape,
            f"{name} has the wrong shape: expected that of x, {size}, got {tuple(got.shape)}. "
            f"One row was spread over all tokens, or one token over all rows. {axis}",
        )
        _require(torch.equal(x, kept), "add_positions changes its input x: build a new tensor.")
        _require(torch.equal(table, kept_table), "add_positions changes the table.")
        length, root = size[-2], math.sqrt(6)
        rows = table.narrow(0, start, length)
        first, wide = table.narrow(0, 0, length), x.mul(root)
        wrong = {
            "the words are not multiplied by sqrt(D)": torch.add(x, rows),
            "the factor is D, not its square root": torch.add(x.mul(6), rows),
            "the words are divided by sqrt(D)": torch.add(x.div(root), rows),
            "the factor multiplies the sum: the rows are as loud again": torch.add(x, rows).mul(
                root
            ),
            "the factor multiplies the rows, not the words": torch.add(x, rows.mul(root)),
            "the factor is the root of the number of rows": torch.add(x.mul(4), rows),
            "the factor is the root of the number of tokens": torch.add(
                x.mul(math.sqrt(length)), rows
            ),
            "the rows are subtracted": wide - rows,
            "start is ignored": torch.add(wide, first),
            "all tokens get the row `start`": torch.add(wide, table[start]),
            "rows count from 1": torch.add(wide, table.narrow(0, start + 1, length)),
            "the rows are taken in reverse order": torch.add(wide, rows.flip(0)),
        }
        if len(size) > 2 and start == 0:
            turns = table[: size[0]].view(size[0], *[1] * (len(size) - 2), 6)
            wrong["each sentence gets a row, not each position"] = torch.add(wide, turns)
        check_close(name, got, torch.add(wide, rows), wrong)
    got = call(torch.zeros(1, 1, 6), table)
    check_close("one token, no start", got, table[None, :1])

    last = call(torch.zeros(2, 6, 6), table, 10)  # up to row 15
    check_close("the end of the table", last, table[10:].expand(2, -1, -1))
    for length, start in ((3, 15), (17, 0), (4, 13), (2, 40)):
        try:
            got = add_positions(torch.zeros(2, length, 6), table, start)
        except Exception as error:
            if isinstance(error, ValueError):
                continue
            raise AssertionError(
                f"{length} tokens from position {start} and a table of 16 rows raise "
                f"{type(error).__name__}; ValueError is asked for. {BEYOND}, so the size must be "
                "compared before."
            ) from error
        shape = tuple(got.shape) if isinstance(got, Tensor) else got
        raise AssertionError(
            f"{length} tokens from position {start} and a table of 16 rows give a result of shape "
            f"{shape}, without an error. {BEYOND}: here the tokens got rows that are not theirs."
        )
    for dtype in (torch.bfloat16, torch.float16):
        got = call(_randn(7, 2, 3, 6).to(dtype), table, 1)
        check_dtype("add_positions", got, dtype, "The rows must take the dtype of x.")
    leaf, rows = _randn(8, 2, 3, 6).requires_grad_(), table.clone().requires_grad_()
    got = call(leaf, rows, 1)
    grads = torch.autograd.grad(got.sum(), (leaf, rows), allow_unused=True)
    for name, gradient in zip(("x", "the table"), grads, strict=True):
        _require(
            gradient is not None,
            f"no gradient reaches {name}: is there a detach? A learned table needs it.",
        )
    _done("add_positions")


# ---------------------------------------------------------------- 6. relative bias


def _toeplitz(table: Tensor, target: int, source: int) -> Tensor:
    """The numbers of the distances 1 - T .. S - 1, each row moved by one: the library's way."""
    side = table.size(1) // 2
    far = max(target, source)
    spread = F.pad(table.float(), (far, far), mode="replicate").to(table.dtype)  # -K-far .. K+far
    first = side + far - (target - 1)
    return relative.toeplitz(spread[:, first : first + target + source - 1], target)


def check_relative_bias(relative_bias: Callable) -> None:
    """Shape, both directions, clipping, T and S different, shift, dtype, gradient."""
    check_not_used("relative_bias", relative_bias, LIBRARY)
    hints = {
        "with size 2": "The distances index the second axis of the table; the first one counts "
        "heads.",
        "with size 19": "No distance is beyond K here: K = 9 and T = S = 4. Is K what 2K + 1 "
        "columns say?",
        "out of bounds": "A distance beyond K has no column: clip it to -K .. K.",
        "index out of range": "A distance beyond K has no column: clip it to -K .. K.",
        "must match the size": "The matrix of distances is (T, S): queries down, keys across.",
        "tensors used as indices": "An index must hold whole numbers (int64).",
        "'float' object": "K is a whole number: use // instead of /.",
    }

    def call(table: Tensor, target: int, source: int) -> Tensor:
        return call_answer("relative_bias", relative_bias, table, target, source, hints=hints)

    for h, k, t, s in ((2, 9, 4, 4), (2, 3, 4, 4), (2, 2, 6, 6), (3, 2, 5, 7), (3, 2, 7, 4)):
        table = _randn(9, h, 2 * k + 1)
        name = f"relative_bias, H = {h}, K = {k}, T = {t}, S = {s}"
        got = call(table, t, s)
        check_tensor(name, got)
        shape = tuple(got.shape)
        _require(
            shape != (t, s, h),
            f"{name} has shape (T, S, H) = {shape}: the heads come first, (H, T, S).",
        )
        _require(
            t == s or shape != (h, s, t),
            f"{name} has shape (H, S, T) = {shape}: queries and keys have changed places.",
        )
        _require(
            t == s or shape not in ((h, t, t), (h, s, s)),
            f"{name} has shape {shape}: it is square, although there are {t} queries and {s} keys.",
        )
        _require(
            len(shape) > 1 and shape[-2:] != (h, s - 1),
            f"{name} has shape {shape}: a number for each token or each neighbour is not enough. "
            "Relative positions belong to pairs: all s - t, a matrix (T, S).",
        )
        check_shape(name, got, {"H": h, "T": t, "S": s})
        right = _toeplitz(table, t, s)
        gaps = relative.toeplitz(torch.arange(1 - t, s), t)  # (T, S)
        wrong = {
            "the sign is turned round, t - s: left and right have changed places": _toeplitz(
                table.flip(1), t, s
            ),
            "the distance has no sign: left and right look alike": table[
                :, gaps.abs().clamp_max(k) + k
            ],
            "K is not added: a negative index counts from the end": table[:, gaps.clamp(-k, k)],
            "distances beyond K wrap round instead of sharing the last number": table[
                :, (gaps + k) % (2 * k + 1)
            ],
            "distances are clipped to 0 .. K only": table[:, gaps.clamp(0, k) + k],
            "distances are clipped one too early, at K - 1": table[:, gaps.clamp(1 - k, k - 1) + k],
            "distances beyond K get 0": right.masked_fill(gaps.abs() > k, 0.0),
            "every pair counts as neighbours: differences of adjacent positions": table[
                :, gaps.sign().clamp(-k, k) + k
            ],
            "every row is that of query 0: t is not subtracted": right[:, :1].expand_as(right),
            "the queries are taken for the last of the keys; here both count from 0": table[
                :, (gaps - (s - t)).clamp(-k, k) + k
            ],
            "the heads share the numbers of the first one": right[:1].expand_as(right),
            "K is not added, and negative distances become 0": table[:, gaps.clamp(0, 2 * k)],
        }
        check_close(name, got, right, wrong)
    low = call(_randn(9, 2, 5).bfloat16(), 3, 4)
    check_dtype("relative_bias", low, torch.bfloat16, "The bias has the dtype of the table.")
    leaf = _randn(9, 2, 5).requires_grad_()
    _require(
        call(leaf, 3, 4).requires_grad,
        "relative_bias loses the gradient: is there a detach, or a new tensor of numbers?",
    )
    _done("relative_bias")
