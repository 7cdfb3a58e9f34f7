"""Visible checks of assignment 00: each says what is wrong in terms of the idea.

Expected values are computed by plain Python here, or follow from the inputs. A check that passes
is not the whole story: the grader runs further tests, on other sizes and values.
"""

import ast
import math
import traceback
from collections.abc import Callable
from types import ModuleType

import torch
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
    "check_describe",
    "check_fading",
    "check_neighbour_gap",
    "check_parity_gap",
    "check_session",
    "check_shares",
    "check_tracebacks",
]

LIBRARY = {"encoderlib": "The library holds such checks; write your own."}


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _own_work(name: str, function: Callable) -> None:
    """The answer must not use the library, however it was imported."""
    check_not_used(name, function, LIBRARY)
    for used in getattr(getattr(function, "__code__", None), "co_names", ()):
        helper = function.__globals__.get(used)
        _require(
            not (isinstance(helper, ModuleType) and helper.__name__.startswith("encoderlib")),
            f"{name} uses `encoderlib`. {LIBRARY['encoderlib']}",
        )


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. describe


def check_describe(describe: Callable) -> None:
    """Two tensors whose four facts are all different."""
    for x in (torch.zeros(2, 3, 4), torch.tensor([[1, 2, 3, 4, 5]])):
        got = call_answer("describe", describe, x)
        _require(
            isinstance(got, dict),
            f"describe must return a dictionary, got {type(got).__name__}"
            + (": is there a return statement?" if got is None else "."),
        )
        for key, meaning in {
            "shape": "the sizes of its axes",
            "axes": "how many axes it has",
            "numbers": "how many numbers it holds",
            "dtype": "its kind of number",
        }.items():
            _require(key in got, f'describe has no entry "{key}": {meaning}.')
        for key in got:
            _require(
                key in ("shape", "axes", "numbers", "dtype"),
                f"describe has an entry {key!r}, which is not asked for.",
            )
        shape = got["shape"]
        _require(
            isinstance(shape, tuple),
            f'"shape" is a {type(shape).__name__}; make it a tuple with `tuple(...)`.',
        )
        size = tuple(x.shape)
        _require(shape == size, f'"shape" is {shape} for a tensor of shape {size}.')
        if got["axes"] == x.numel() and got["numbers"] == x.dim():
            raise AssertionError('"axes" and "numbers" are exchanged: three rows are one axis.')
        _require(
            got["axes"] == x.dim(),
            f'"axes" is {got["axes"]!r} for a tensor of shape {size}: count the entries of the '
            "shape.",
        )
        _require(
            got["numbers"] == x.numel(),
            f'"numbers" is {got["numbers"]!r} for a tensor of shape {size}: '
            + (
                "this is the length of axis 0 only; multiply all sizes."
                if got["numbers"] == len(x)
                else "multiply all sizes."
            ),
        )
        dtype = got["dtype"]
        _require(
            not isinstance(dtype, type),
            '"dtype" is the class of the object, Tensor; the kind of its numbers is meant.',
        )
        _require(
            isinstance(dtype, torch.dtype),
            f'"dtype" is {dtype!r}, a {type(dtype).__name__}; return the dtype as torch gives it.',
        )
        _require(dtype == x.dtype, f'"dtype" is {dtype} for a tensor of dtype {x.dtype}.')
    _done("describe")


# ---------------------------------------------------------------- 2. session


def check_session(
    squares: Callable, short: object, offset: object, long: object, total: object
) -> None:
    """The function, then what the cells should have left behind."""
    _require(
        callable(squares),
        f"`squares` is a {type(squares).__name__} at the end: a result took the name of its "
        "function. Give the result a name of its own.",
    )
    for n in (3, 5):
        got = call_answer("squares", squares, n)
        wanted = [i**2 for i in range(n)]
        _require(
            isinstance(got, list),
            f"squares({n}) must be a list, as in cell 1; got {type(got).__name__}.",
        )
        _require(
            got == wanted, f"squares({n}) must be {wanted}, got {got!r}: leave cell 1 as it is."
        )
    _require(offset == 10, f"`offset` must be 10, as in the deleted cell; it is {offset!r}.")
    for what, value in (("short", short), ("long", long)):
        _require(
            isinstance(value, list),
            f"`{what}` must be a list, as in the notebook; it is a {type(value).__name__}.",
        )
    first, plain = squares(4), squares(6)
    _require(
        short == first,
        f"`short` holds the squares of 0 to 3, {first}; it is {short!r}."
        + (" The offset belongs to `long` only." if short == [i + 10 for i in first] else ""),
    )
    moved = [number + offset for number in plain]
    hint = ""
    if long == plain:
        hint = " The offset is missing: cell 5 belongs to the notebook."
    elif long == [number + 2 * offset for number in plain]:
        hint = " The offset was added twice."
    _require(long == moved, f"`long` must be {moved}, got {long!r}.{hint}")
    hint = ""
    if total == sum(plain):
        hint = (
            " This is the sum before the offset was added. The colleague ran cell 2 last: it "
            "belongs behind cell 5."
        )
    elif total == sum(first):
        hint = " This is the sum of `short`."
    _require(total == sum(moved), f"`total` must be the sum of `long`; it is {total!r}.{hint}")
    _done("the repaired notebook")


# ---------------------------------------------------------------- 3. tracebacks

_HEAD = "import torch, torch.nn as nn, torch.nn.functional as F; "
PROGRAMS = {
    "A": """\
def window(n):
    return torch.ones(n) / n

def smooth(x):
    window = window(3)
    return x * window.sum()

smooth(torch.ones(4))
""",
    "B": """\
W_in = torch.ones(6, 24)
W_out = torch.ones(24, 6)
W_out = torch.ones(6, 2)

def widen(x):
    return F.relu(x @ W_in) @ W_out

def classify(x):
    return widen(x) @ W_out

classify(torch.ones(5, 6))
""",
    "C": """\
class Pool(nn.Module):
    def forward(self, x):
        return x.average(1)

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = Pool()

    def forward(self, x):
        return 2 * self.pool(x)

Model()(torch.ones(5, 6))
""",
}
REASONS = "abcdef"


def _stop(name: str) -> tuple[list[int], Exception]:
    """Run a program: the lines of its own frames, outermost first, and the error."""
    file = f"<program {name}>"
    try:
        exec(compile(PROGRAMS[name], file, "exec"), {"torch": torch, "nn": nn, "F": nn.functional})
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        return [frame.lineno for frame in frames if frame.filename == file], error
    raise RuntimeError(f"program {name} does not stop any more")


def _bound_twice(name: str) -> list[int]:
    """Lines of a program that give a value to a name which another such line has used."""
    lines: dict[str, list[int]] = {}
    for node in ast.parse(PROGRAMS[name]).body:
        if isinstance(node, ast.Assign):
            lines.setdefault(node.targets[0].id, []).append(node.lineno)
    return [line for found in lines.values() if len(found) > 1 for line in found]


def _check_line(name: str, line: int) -> None:
    frames, error = _stop(name)
    count = len(PROGRAMS[name].splitlines())
    _require(
        1 <= line <= count,
        f"program {name} has the lines 1 to {count}, and you say {line}."
        + (" The line of `module.py` is the library's: it is right." if line > 1000 else ""),
    )
    doubles = _bound_twice(name)
    wanted = doubles or frames[-1:]
    if line in wanted:
        return
    if doubles and line == frames[-1]:
        raise AssertionError(
            f"program {name}, line {line}: here Python noticed. The product is what its author "
            "meant; one of the tables is another one than the author thinks. Which line made it?"
        )
    if line in frames:
        raise AssertionError(
            f"program {name}, line {line}: this frame only passes the call on. Go down to the "
            "lowest frame that is yours."
        )
    text = str(error).split(" where ")[0]
    raise AssertionError(
        f"program {name}, line {line}: nothing in this line can cause `{text}`. Start at the last "
        "line of the traceback, and take the lowest frame that is yours; then ask where the "
        "objects in that line come from."
    )


def _check_reason(name: str, letter: str) -> None:
    _, error = _stop(name)
    wrong = {
        "d": "The input is what the author meant; the program stops at something inside it.",
        "e": "A package that is not installed stops at its import, with ModuleNotFoundError.",
        "f": "Everything here lies on one device; the message would name two.",
    }
    _require(letter not in wrong, f"program {name}, reason {letter}: {wrong.get(letter)}")
    shared, local = bool(_bound_twice(name)), isinstance(error, UnboundLocalError)
    unknown = isinstance(error, AttributeError)
    _require(
        letter != "a" or shared,
        f"program {name}, reason a: no name is given a second value on the same level before the "
        "error. "
        + (
            "Look at where the name is assigned: inside a function, not beside it."
            if local
            else "The message is about an attribute."
        ),
    )
    _require(
        letter != "b" or local,
        f"program {name}, reason b: Python says UnboundLocalError for that, and here it says "
        f"{type(error).__name__}.",
    )
    _require(
        letter != "c" or unknown,
        f"program {name}, reason c: Python says AttributeError for that, and here it says "
        f"{type(error).__name__}.",
    )


def check_tracebacks(tracebacks: Callable) -> None:
    """Runs each program, and compares its frames with the lines named."""
    got = call_answer("tracebacks", tracebacks)
    _require(
        isinstance(got, dict) and set(got) == set("ABC"),
        'tracebacks must return a dictionary with the keys "A", "B" and "C".',
    )
    for name, said in got.items():
        _require(
            isinstance(said, tuple | list)
            and len(said) == 2
            and isinstance(said[0], int)
            and isinstance(said[1], str)
            and said[1] in list(REASONS),
            f'program {name}: a pair of a line and a letter is wanted, such as (1, "f"); got '
            f"{said!r}.",
        )
    for name, (line, letter) in sorted(got.items()):
        _check_line(name, line)
        _check_reason(name, letter)
    _done("the three tracebacks")


# ---------------------------------------------------------------- 4. fading


def check_fading(fading: Callable) -> None:
    """Four places by plain Python, with what known mistakes give."""
    _own_work("fading", fading)
    for n, rate in ((4, 0.5), (5, 0.8)):
        got = call_answer("fading", fading, n, rate)
        check_tensor("fading", got)
        check_shape(f"fading({n}, {rate})", got, {"n": n, "n (again)": n})
        if not got.is_floating_point():
            raise AssertionError(
                f"fading({n}, {rate}) has dtype {got.dtype}: whole numbers, so every weight "
                "between 0 and 1 was cut to 0. A tensor keeps the dtype that it was made with; "
                "make it of floats."
            )
        check_dtype("fading", got, torch.float32, "Count in float32 from the start.")
        distance = torch.tensor([[float(abs(t - s)) for s in range(n)] for t in range(n)])
        step = torch.tensor([[float(s - t) for s in range(n)] for t in range(n)])
        later = torch.tensor([[float(t + s) for s in range(n)] for t in range(n)])
        expected = rate**distance
        wrong = {
            "the powers are written into a tensor of whole numbers and converted afterwards: what "
            "was cut does not come back": torch.eye(n),
            "the distance has a sign: take |t - s|": rate**step,
            "the distance has the wrong sign: take |t - s|": rate**-step,
            "the places are added; their distance is a difference": rate**later,
            "the distances themselves are returned; they are the exponents": distance,
            "the distance is multiplied by the rate; it is an exponent": rate * distance,
            "base and exponent are exchanged": distance**rate,
            "the rows are divided by their sums; that is not asked for": expected
            / expected.sum(1, keepdim=True),
            "the exponent is one too large: the diagonal must be 1": rate * expected,
            "the exponential is taken whatever the rate is": (-distance).exp(),
            "the weight falls linearly; it is a power": (1 - (1 - rate) * distance).clamp(min=0),
            "the rate is fixed at 0.5": 0.5**distance,
            "the distance is squared": rate ** (distance**2),
            "the upper triangle is missing: a place listens to both sides": expected.tril(),
            "the lower triangle is missing: a place listens to both sides": expected.triu(),
            "the base is 1 - rate": (1 - rate) ** distance,
        }
        check_close(f"fading({n}, {rate})", got, expected, wrong)
    _done("fading")


# ---------------------------------------------------------------- 5. shares


def check_shares(shares: Callable) -> None:
    """Sizes that differ, sizes that coincide, a row of zeros, small totals."""
    _own_work("shares", shares)
    hints = {
        "must match the size": "The totals of shape (B,) are aligned with the axis of the tokens: "
        "keep their axis, (B, 1).",
        "can't be cast": "Whole numbers cannot be divided in place; build a new tensor.",
        "in-place": "Build a new tensor instead of writing into the given one.",
    }
    cases = {
        "whole numbers, B = 2, T = 3": torch.tensor([[1, 1, 2], [6, 1, 1]]),
        "whole numbers, B = T = 3": torch.tensor([[1, 1, 2], [2, 0, 0], [0, 3, 3]]),
        "floats with small totals": torch.tensor([[0.1, 0.3], [0.05, 0.05], [0.2, 0.1]]),
        "a row of zeros": torch.tensor([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]]),
    }
    for case, counts in cases.items():
        kept = counts.clone()
        got = call_answer("shares", shares, counts, hints=hints)
        _require(
            bool((counts == kept).all()),
            "shares changes its input: build a new tensor instead of writing into it.",
        )
        check_tensor("shares", got)
        check_shape("shares", got, {"B": counts.size(0), "T": counts.size(1)})
        _require(
            got.is_floating_point(),
            f"shares of {case} has dtype {got.dtype}: shares are fractions, and were cut.",
        )
        plain = [[float(n) for n in row] for row in counts.tolist()]
        expected = torch.tensor([[n / (sum(row) or 1.0) for n in row] for row in plain])
        if bool(got.isnan().any()) and not bool(expected.isnan().any()):
            raise AssertionError(
                f"shares of {case} holds nan: a row of zeros has the total 0, and 0/0 is nan. "
                "It must stay a row of zeros."
            )
        x = counts.float()
        columns, size = x.sum(0), counts.size(1)

        square = x / x.sum(1) if x.size(0) == size else torch.zeros(())
        wrong = {
            "row b is divided by the totals of all rows, one for each column: (B,) is aligned from "
            "the right, with the tokens": square,
            "the totals are those of the columns; each row has its own": x / columns,
            "everything is divided by one total of the whole table": x / x.sum(),
            "the rows are divided by their largest entry": x / x.amax(1, keepdim=True),
            "the rows are divided by their length, T": x / size,
            "the totals have a floor of 1: a total of 0.4 is raised, too": x
            / x.sum(1, keepdim=True).clamp(min=1),
            "1 is added to every total": x / (x.sum(1, keepdim=True) + 1),
            "a softmax is taken; only divide": x.softmax(1),
            "a row of zeros becomes a row of equal shares": torch.where(
                x.sum(1, keepdim=True) == 0, 1 / size, expected
            ),
            "nothing is divided": x,
            "the quotients are cut to whole numbers": expected.floor(),
            "the shares are in percent; a row must sum to 1": 100 * expected,
        }
        check_close(f"shares of {case}", got.float(), expected, wrong)
        if not bool((expected.sum(1) == 0).any()):
            continue
        _require(not bool(got[1].any()), "shares: a row of zeros must stay a row of zeros.")
    got = call_answer("shares", shares, torch.tensor([[1.0, 3.0]], dtype=torch.float64))
    check_tensor("shares", got)
    _require(
        got.dtype == torch.float64,
        f"shares of float64 counts has dtype {got.dtype}: floats keep their dtype. A conversion "
        "such as `.float()` throws digits away; only whole numbers need one, and a division "
        "makes floats by itself.",
    )
    _done("shares")


# ---------------------------------------------------------------- 6. parity_gap


def _number(name: str, got: object) -> float:
    _require(got is not None, f"{name} returns nothing; is there a return statement?")
    _require(
        not isinstance(got, bool),
        f"{name} returns {got}: the gap itself is wanted, not whether it is small.",
    )
    _require(
        isinstance(got, float | int | Tensor) and (not isinstance(got, Tensor) or got.dim() == 0),
        f"{name} must return one number, got "
        + (
            f"a tensor of shape {tuple(got.shape)}: take the largest entry."
            if isinstance(got, Tensor)
            else f"{type(got).__name__}."
        ),
    )
    _require(
        not isinstance(got, Tensor) or got.dtype != torch.bool,
        f"{name} returns {bool(got)}: the gap itself is wanted, not whether it is small.",
    )
    got = float(got)
    return got


def _expect(name: str, got: float, wanted: float, idea: str, wrong: dict[str, float]) -> None:
    if math.isclose(got, wanted, abs_tol=1e-5) or got == wanted:
        return
    named = next(
        (f" {what}." for what, value in wrong.items() if math.isclose(got, value, abs_tol=1e-5)), ""
    )
    raise AssertionError(f"{name}: {idea}: expected {wanted:g}, got {got:g}.{named}")


def _same(x: Tensor) -> Tensor:
    return 1.0 * x


def check_parity_gap(parity_gap: Callable) -> None:
    """Differences that are known, then shapes, nan, and functions that overwrite."""
    name = "parity_gap"
    _own_work(name, parity_gap)
    hints = {
        "must match the size": "Compare the shapes before you subtract.",
        "AssertionError": "Different shapes are no error here: the result is math.inf.",
        "numel() == 0": "There may be nothing to take a maximum of.",
        "empty": "There may be no inputs at all: the gap is then 0.0.",
        "referenced before": "There may be no inputs at all: the gap is then 0.0.",
        "not associated": "There may be no inputs at all: the gap is then 0.0.",
        "leaf Variable": "Give each call a copy: `x.clone()`.",
    }

    def gap(function: Callable, reference: Callable, inputs: list[Tensor]) -> float:
        return _number(
            name, call_answer(name, parity_gap, function, reference, inputs, hints=hints)
        )

    four = torch.zeros(2, 2)
    change = torch.tensor([[1.0, -3.0], [0.5, 0.0]])
    _expect(name, gap(_same, _same, [four]), 0.0, "the same function twice has no gap", {})
    _expect(
        name,
        gap(lambda x: x + 0.1, _same, [torch.full((1,), 1000.0, dtype=torch.float64)]),
        0.1,
        "1000.1 against 1000",
        {
            "The difference is divided by the size of the numbers; do not divide": 0.1 / 1000,
            "This is the mean of the squares": 0.01,
        },
    )
    for left, right in ((lambda x: x + change, _same), (_same, lambda x: x + change)):
        _expect(
            name,
            gap(left, right, [four]),
            3.0,
            "the results differ by 1, -3, 0.5 and 0",
            {
                "This is the largest difference with its sign: a difference of -3 is as bad as "
                "one of 3": 1.0,
                "This is the largest difference with its sign, to the other side": 0.5,
                "This is the mean: one bad place of many would hide in it": 4.5 / 4,
                "This is the mean of the squares": (1 + 9 + 0.25) / 4,
                "This is the sum": 4.5,
                "This is the sum of differences with their signs, which cancel": 1.5,
                "This is the smallest difference": -3.0,
                "This is the length of the difference, a root of squares": math.sqrt(10.25),
                "This is the largest square": 9.0,
            },
        )
    inputs = [torch.full((n,), value) for n, value in enumerate((2.0, 5.0, 1.0, 3.0), start=1)]
    _expect(
        name,
        gap(lambda x: 3 * x, _same, inputs),
        10.0,
        "four inputs have the gaps 4, 10, 2 and 6",
        {
            "Only the first input counts": 4.0,
            "Only the last input counts": 6.0,
            "This is the sum over the inputs": 22.0,
            "This is the mean over the inputs": 5.5,
            "This is the smallest of the four": 2.0,
        },
    )
    _expect(name, gap(_same, _same, []), 0.0, "there are no inputs", {})
    _check_gap_of_shapes(name, gap)
    _check_gap_of_nan(name, gap)
    _check_gap_copies(name, gap)
    _done(name)


def _check_gap_of_shapes(name: str, gap: Callable) -> None:
    column = torch.full((3, 1), 2.0)
    for function, what in (
        (lambda x: x.squeeze(1), "(3,) against (3, 1)"),
        (lambda x: x[:1], "(1, 1) against (3, 1)"),
        (lambda x: x[:2], "(2, 1) against (3, 1)"),
    ):
        for pair in ((function, _same), (_same, function)):
            got = gap(*pair, [column])
            _require(
                got == math.inf,
                f"{name}: results of shape {what} have the gap {got:g}: "
                + ("" if math.isnan(got) else "broadcasting stretched one of them. ")
                + "Different shapes must give math.inf; compare them before you subtract.",
            )


def _check_gap_of_nan(name: str, gap: Callable) -> None:
    for bad in (math.nan, math.inf):

        def spoiled(x: Tensor, bad: float = bad) -> Tensor:
            y = 1.0 * x
            y[0] = bad
            return y

        for pair, side in (
            ((spoiled, _same), "the function"),
            ((_same, spoiled), "the reference"),
            ((spoiled, spoiled), "both"),
        ):
            for inputs in ([torch.ones(3)], [torch.ones(3), torch.ones(2)]):
                got = gap(*pair, inputs)
                _require(
                    got == math.inf,
                    f"{name}: {side} returned {bad} at one place, and the gap is {got:g}. "
                    + (
                        "Every comparison with nan is False, so it slips through: "
                        if math.isnan(bad)
                        else ""
                    )
                    + ("a" if math.isnan(bad) else "A")
                    + " result that is not finite must give math.inf. Ask with `isfinite`.",
                )


def _check_gap_copies(name: str, gap: Callable) -> None:
    given = [torch.tensor([1.0, 2.0])]
    for pair in ((torch.neg_, torch.neg), (torch.neg, torch.neg_), (torch.neg_, torch.neg_)):
        got = gap(*pair, given)  # neg_ overwrites what it is given
        _require(
            given[0].tolist() == [1.0, 2.0],
            f"{name} lets a function overwrite the inputs: give each call a copy, `x.clone()`.",
        )
        _require(
            got == 0.0,
            f"{name}: a function that overwrites its input changed what the other one was given: "
            "give each call a copy of its own, `x.clone()`.",
        )
    calls: list[int] = []

    def counted(x: Tensor) -> Tensor:
        calls.append(1)
        return 1.0 * x

    gap(counted, _same, [torch.ones(2), torch.ones(3)])
    _require(
        len(calls) == 2,
        f"{name} calls the function {len(calls)} times for 2 inputs: call it once for each, and "
        "keep the result.",
    )


# ---------------------------------------------------------------- 7. neighbour_gap


def check_neighbour_gap(neighbour_gap: Callable) -> None:
    """Functions that keep sentences apart, and functions that do not."""
    name = "neighbour_gap"
    _own_work(name, neighbour_gap)
    hints = {
        "numel() == 0": "Nothing is left to take a maximum of. With B = 1 there is no other "
        "sentence, and the gap is 0.0; else look before and behind sentence `which`.",
        "must match the size": "The function is called twice on all B sentences; one is changed, "
        "none is taken away. Some functions take batches of one size only.",
        "empty": "With B = 1 there is no other sentence: the gap is then 0.0.",
        "out of bounds": "Sentences are counted from 0, and the function wants all B of them: one "
        "is changed, none is taken away.",
    }

    def gap(function: Callable, x: Tensor, which: int) -> float:
        return _number(name, call_answer(name, neighbour_gap, function, x, which, hints=hints))

    x = torch.tensor([[1.0, 2.0], [3.0, 5.0], [1.0, -9.0]])
    before = x.clone()
    moves = [3 * float((row + 1).abs().max()) for row in x]  # of each row, under 3 * (2 x + 1)
    for which in range(3):
        got = gap(lambda z: 3 * z, x, which)
        _require(
            bool((x == before).all()), f"{name} changes the batch: work on a copy, `x.clone()`."
        )
        others = max(move for row, move in enumerate(moves) if row != which)
        if got == moves[which]:
            named = f"sentence {which} itself should move, so leave it out."
        elif got == others:
            named = f"other sentences were changed; only sentence {which} may be, `changed[which]`."
        elif got == 12.0:  # column 0 of rows 1 and 2
            named = "the index is on axis 1; the sentences lie on axis 0."
        else:
            named = f"change sentence {which} only, and leave it out of the difference."
        _require(
            got == 0.0,
            f"{name} of a function that keeps sentences apart must be 0, got {got:g}: {named}",
        )

    x = torch.tensor([[1.0, 2.0], [3.0, 5.0], [-4.0, 1.0]])
    for sign in (1.0, -1.0):
        # The square of what sentence 1 says first arrives at sentences 0 and 2.
        told = sign * torch.tensor([[1.0, -2.0], [0.0, 0.0], [-3.0, 1.0]])

        def leaks(z: Tensor, told: Tensor = told) -> Tensor:
            return z + z[1, 0] ** 2 * told

        _expect(
            name,
            gap(leaks, x, 1),
            120.0,
            "sentence 1 is (3, 5), and the others move by 40, 80, 120 and 40, up or down",
            {
                "This is the largest difference with its sign": 40.0,
                "This is the mean: one neighbour of many would hide in it": 280 / 6,
                "This is the mean over the others: one of many would hide in it": 280 / 4,
                "This is the sum": 280.0,
                "The last sentence is not looked at": 80.0,
                "Nothing was changed, or the results of sentence `which` only are looked at": 0.0,
                "Sentence `which` is doubled only: 2 x + 1 is wanted": 81.0,
                "1 is added only: 2 x + 1 is wanted": 21.0,
                "Sentence `which` is set to 0: 2 x + 1 is wanted": 27.0,
            },
        )
    _expect(
        name,
        gap(leaks, x, 0),
        0.0,
        "sentence 0 changes, and nobody reads it",
        {
            "This is what a change of sentence 1, or of all sentences, does": 120.0,
        },
    )
    _expect(name, gap(leaks, x, 2), 0.0, "sentence 2 changes, and nobody reads it", {})
    deep = _randn(1, 4, 3, 2)
    step = float((deep[3] + 1).abs().max()) / 4
    got = gap(lambda z: z - z.mean(dim=0), deep, 3)
    _expect(
        name,
        got,
        step,
        "the mean of a batch (4, 3, 2) is removed, and its last sentence changes",
        {"Sentences before `which` are not looked at, or the last one is not changed": 0.0},
    )

    overwritten = gap(torch.neg_, deep, 3)  # neg_ overwrites what it is given
    _require(
        bool((deep == _randn(1, 4, 3, 2)).all()),
        f"{name} lets the function overwrite the batch: give each call a copy, `x.clone()`.",
    )
    _expect(name, overwritten, 0.0, "each call needs a copy of its own: no neighbour moves", {})
    _expect(name, gap(lambda z: z - z.sum(), x[:1], 0), 0.0, "B = 1 has no neighbours", {})
    _expect(
        name,
        gap(lambda z: z.sum(1) + z[2, 1], x, 2),
        2.0,
        "results of shape (B,): sentence 2 moves the others by 2",
        {},
    )
    _done(name)
