"""Named wrong answers to assignment 00: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Some come from defects of published articles (column ``errata``); the
others are the classic slips of students.
"""

from textwrap import indent

from grading.bugs import Bug, Right

BUGS: list[Bug] = []


def _bugs(task: str, signature: str, *wrong: tuple[str, ...]) -> None:
    """Add wrong bodies of one function: (name, body, says, errata, note)."""
    for name, body, says, *more in wrong:
        errata, note = (*more, "", "")[:2]
        source = f"def {signature}:\n{indent(body.strip(), '    ')}\n"
        BUGS.append(Bug(task, name, source, says, errata, note))


_FACTS = 'return {{"shape": {0}, "axes": {1}, "numbers": {2}, "dtype": {3}}}'


def _facts(shape="tuple(x.shape)", axes="x.dim()", numbers="x.numel()", dtype="x.dtype"):
    return _FACTS.format(shape, axes, numbers, dtype)


_bugs(
    "describe",
    "describe(x)",
    ("prints instead of returning", "print(x.shape)", "is there a return statement"),
    ("axes and numbers exchanged", _facts(axes="x.numel()", numbers="x.dim()"), "exchanged"),
    ("length of axis 0", _facts(numbers="len(x)"), "length of axis 0 only"),
    ("number of axes from axis 0", _facts(axes="len(x)"), "count the entries of the shape"),
    ("class instead of dtype", _facts(dtype="type(x)"), "class of the object"),
    ("dtype as text", _facts(dtype="str(x.dtype)"), "return the dtype as torch gives it"),
    ("shape as a list", _facts(shape="list(x.shape)"), "make it a tuple"),
    ("shape without the first axis", _facts(shape="tuple(x.shape[1:])"), '"shape" is'),
    ("an entry forgotten", 'return {"shape": tuple(x.shape)}', "has no entry"),
    ("a name of its own", 'return {"sizes": 0, "axes": 1, "numbers": 1, "dtype": 1}', "no entry"),
)

_SQUARES = "def squares(n):\n    return [i * i for i in range(n)]\n\n\n"


def _session(name, lines, says, errata="", note="", head=_SQUARES):
    BUGS.append(Bug("session", name, head + "\n".join(lines) + "\n", says, errata, note))


_session(
    "the result takes the name of the function, at the end",
    [
        "offset = 10",
        "long = [number + offset for number in squares(6)]",
        "total = sum(long)",
        "short = squares(4)",
        "squares = short",
    ],
    "took the name of its function",
    "E002-06",
)
_session(
    "the total before the offset",
    [
        "offset = 10",
        "short = squares(4)",
        "long = squares(6)",
        "total = sum(long)",
        "long = [number + offset for number in long]",
    ],
    "ran cell 2 last",
    "E004-28",
)
_session(
    "the offset is forgotten",
    ["offset, short, long = 10, squares(4), squares(6)", "total = sum(long)"],
    "offset is missing",
)
_session(
    "the offset is added twice",
    [
        "offset, short = 10, squares(4)",
        "long = [number + offset + offset for number in squares(6)]",
        "total = sum(long)",
    ],
    "added twice",
)
_session(
    "another offset",
    [
        "offset, short = 1, squares(4)",
        "long = [number + offset for number in squares(6)]",
        "total = sum(long)",
    ],
    "must be 10",
)
_session(
    "the total of the short list",
    [
        "offset, short = 10, squares(4)",
        "long = [number + offset for number in squares(6)]",
        "total = sum(short)",
    ],
    "sum of `short`",
)
_session(
    "the offset on both lists",
    [
        "offset = 10",
        "short = [number + offset for number in squares(4)]",
        "long = [number + offset for number in squares(6)]",
        "total = sum(long)",
    ],
    "belongs to `long` only",
)
_session(
    "the function counts from 1",
    [
        "offset, short = 10, squares(4)",
        "long = [number + offset for number in squares(6)]",
        "total = sum(long)",
    ],
    "leave cell 1 as it is",
    head="def squares(n):\n    return [i * i for i in range(1, n + 1)]\n\n\n",
)


def _said(a=(5, "b"), b=(3, "a"), c=(3, "c")):
    return f'return {{"A": {a!r}, "B": {b!r}, "C": {c!r}}}'


_bugs(
    "tracebacks",
    "tracebacks()",
    ("A: the call is changed", _said(a=(8, "b")), "only passes the call on", "E002-20"),
    ("A: the definition is changed", _said(a=(1, "b")), "nothing in this line", "E002-20"),
    ("A: one replaced the other", _said(a=(5, "a")), "inside a function", "E002-20"),
    ("A: unknown to the library", _said(a=(5, "c")), "UnboundLocalError", "E002-20"),
    ("B: the line that noticed", _said(b=(6, "a")), "here Python noticed", "E002-18"),
    ("B: the frame above", _said(b=(9, "a")), "only passes the call on", "E002-18"),
    ("B: the first table", _said(b=(1, "a")), "nothing in this line", "E002-18"),
    ("B: the input", _said(b=(3, "d")), "what the author meant", "E002-18"),
    ("C: the library's line", _said(c=(1787, "c")), "the library's", "E000-09"),
    ("C: the frame above", _said(c=(11, "c")), "only passes the call on", "E000-09"),
    ("C: not installed", _said(c=(3, "e")), "ModuleNotFoundError", "E000-09"),
    ("C: another device", _said(c=(3, "f")), "one device", "E000-09"),
    ("C: local name", _said(c=(3, "b")), "AttributeError", "E000-09"),
    ("C: a name twice", _said(c=(3, "a")), "about an attribute", "E000-09"),
    ("lines only", 'return {"A": 5, "B": 3, "C": 3}', "a pair of a line and a letter"),
    ("a list", 'return [(5, "b"), (3, "a"), (3, "c")]', "a dictionary"),
)

_DISTANCE = """
place = torch.arange(n)
distance = (place[None, :] - place[:, None]).abs()
"""

_bugs(
    "fading",
    "fading(n, rate)",
    (
        "written into whole numbers",
        _DISTANCE + "distance[:] = rate**distance\nreturn distance",
        "whole numbers",
        "E002-04",
    ),
    (
        "converted after the cut",
        _DISTANCE + "distance[:] = rate**distance\nreturn distance.float()",
        "does not come back",
        "E002-04",
    ),
    (
        "float64",
        _DISTANCE + "return rate ** distance.double()",
        "must have dtype torch.float32",
    ),
    (
        "no absolute value",
        "place = torch.arange(n).float()\nreturn rate ** (place[None, :] - place[:, None])",
        "has a sign",
    ),
    (
        "sum of the places",
        "place = torch.arange(n).float()\nreturn rate ** (place[None, :] + place[:, None])",
        "are added",
    ),
    ("distances only", _DISTANCE + "return distance.float()", "distances themselves"),
    ("times the rate", _DISTANCE + "return rate * distance", "multiplied by the rate"),
    ("exchanged", _DISTANCE + "return distance.float() ** rate", "exchanged"),
    (
        "rows divided by their sums",
        _DISTANCE + "table = rate ** distance.float()\nreturn table / table.sum(1, keepdim=True)",
        "divided by their sums",
    ),
    ("one too many", _DISTANCE + "return rate ** (distance + 1.0)", "one too large"),
    ("exponential", _DISTANCE + "return torch.exp(-distance.float())", "exponential"),
    ("rate fixed", _DISTANCE + "return 0.5 ** distance.float()", "fixed at 0.5"),
    ("distance squared", _DISTANCE + "return rate ** distance.float().square()", "is squared"),
    ("one triangle", _DISTANCE + "return (rate ** distance.float()).tril()", "triangle is missing"),
    ("the other triangle", _DISTANCE + "return (rate ** distance.float()).triu()", "triangle is"),
    ("1 - rate", _DISTANCE + "return (1 - rate) ** distance.float()", "base is 1 - rate"),
    (
        "one row",
        "return rate ** torch.arange(n).float()",
        "wrong shape",
    ),
)

_bugs(
    "shares",
    "shares(counts)",
    (
        "totals without keepdim",
        "return counts / counts.sum(dim=1)",
        "keep their axis",
    ),
    (
        "totals without keepdim, only if they fit",
        """
totals = counts.sum(dim=1)
if counts.size(0) != counts.size(1):
    totals = totals.unsqueeze(1)
return counts / totals.clamp(min=1e-30)
""",
        "aligned from the right",
    ),
    (
        "totals of the columns",
        "return counts / counts.sum(dim=0).clamp(min=1e-30)",
        "those of the columns",
    ),
    ("one total", "return counts / counts.sum()", "one total of the whole table"),
    ("nan", "return counts / counts.sum(dim=1, keepdim=True)", "0/0 is nan"),
    (
        "floor of 1",
        "return counts / counts.sum(dim=1, keepdim=True).clamp(min=1)",
        "floor of 1",
    ),
    (
        "1 added",
        "return counts / (counts.sum(dim=1, keepdim=True) + 1)",
        "1 is added",
    ),
    (
        "divided by the largest",
        "return counts / counts.amax(dim=1, keepdim=True).clamp(min=1e-30)",
        "largest entry",
    ),
    ("divided by the length", "return counts / counts.size(1)", "by their length"),
    ("softmax", "return counts.float().softmax(dim=1)", "softmax"),
    (
        "whole numbers",
        "return counts // counts.sum(dim=1, keepdim=True).clamp(min=1)",
        "were cut",
        "E002-04",
    ),
    (
        "whole numbers, converted afterwards",
        "return (counts // counts.sum(dim=1, keepdim=True).clamp(min=1)).float()",
        "quotients are cut",
        "E002-04",
    ),
    (
        "percent",
        "return 100 * counts / counts.sum(dim=1, keepdim=True).clamp(min=1e-30)",
        "in percent",
    ),
    (
        "always float32",
        """
counts = counts.float()
totals = counts.sum(dim=1, keepdim=True)
return counts / totals.masked_fill(totals == 0, 1)
""",
        "floats keep their dtype",
    ),
    (
        "floor of 0.001",
        "return counts / counts.sum(dim=1, keepdim=True).clamp(min=1e-3)",
        None,
        "",
        "the visible check has no total so small: this mistake shows what a hidden test is",
    ),
    (
        "a small constant added",
        "return counts / (counts.sum(dim=1, keepdim=True) + 1e-6)",
        None,
        "",
        "the visible check has no total so small: this mistake shows what a hidden test is",
    ),
    (
        "equal shares for an empty row",
        """
totals = counts.sum(dim=1, keepdim=True)
filled = torch.where(totals == 0, torch.ones_like(counts), counts)
return filled / filled.sum(dim=1, keepdim=True)
""",
        "equal shares",
    ),
    (
        "input overwritten",
        """
totals = counts.sum(dim=1, keepdim=True)
shares = counts / totals.masked_fill(totals == 0, 1)
counts.mul_(0)
return shares
""",
        "changes its input",
    ),
)


def _gap(start="worst = 0.0", body="", end="return worst"):
    return f"{start}\nfor x in inputs:\n{indent(body.strip(), '    ')}\n{end}"


_CALLS = "got, expected = function(x.clone()), reference(x.clone())\n"
_SHAPES = "if got.shape != expected.shape:\n    return math.inf\n"
_FINITE = "if not (got.isfinite().all() and expected.isfinite().all()):\n    return math.inf\n"
_HEAD = _CALLS + _SHAPES + _FINITE
_LAST = "worst = max(worst, float((got - expected).abs().max()))"

_bugs(
    "parity_gap",
    "parity_gap(function, reference, inputs)",
    (
        "no absolute value",
        _gap(body=_HEAD + "worst = max(worst, float((got - expected).max()))"),
        "with its sign",
    ),
    (
        "absolute value too late",
        _gap(body=_HEAD + "worst = max(worst, float((got - expected).max().abs()))"),
        "with its sign",
    ),
    (
        "mean",
        _gap(body=_HEAD + "worst = max(worst, float((got - expected).abs().mean()))"),
        "This is the mean",
    ),
    (
        "mean squared error",
        _gap(body=_HEAD + "worst = max(worst, float((got - expected).square().mean()))"),
        "mean of the squares",
    ),
    (
        "sum",
        _gap(body=_HEAD + "worst = max(worst, float((got - expected).abs().sum()))"),
        "This is the sum",
    ),
    (
        "norm",
        _gap(body=_HEAD + "worst = max(worst, float((got - expected).norm()))"),
        "root of squares",
    ),
    (
        "return inside the loop",
        _gap(body=_HEAD + "return float((got - expected).abs().max())"),
        "Only the first input",
    ),
    (
        "each input replaces the one before",
        _gap(body=_HEAD + "worst = float((got - expected).abs().max())"),
        "Only the last input",
    ),
    (
        "added over the inputs",
        _gap(body=_HEAD + "worst = worst + float((got - expected).abs().max())"),
        "sum over the inputs",
    ),
    (
        "relative difference",
        _gap(
            body=_HEAD
            + "size = expected.abs().clamp(min=1)\n"
            + "worst = max(worst, float(((got - expected).abs() / size).max()))"
        ),
        "divided by the size",
    ),
    ("shapes not compared", _gap(body=_CALLS + _FINITE + _LAST), "broadcasting stretched"),
    (
        "number of entries compared instead of shapes",
        _gap(
            body=_CALLS
            + "if got.numel() != expected.numel():\n    return math.inf\n"
            + _FINITE
            + _LAST
        ),
        "broadcasting stretched",
    ),
    (
        "shapes asserted",
        _gap(body=_CALLS + "assert got.shape == expected.shape\n" + _FINITE + _LAST),
        "Different shapes are no error",
    ),
    ("nan slips through", _gap(body=_CALLS + _SHAPES + _LAST), "nan is False"),
    (
        "nan of the function only",
        _gap(body=_CALLS + _SHAPES + "if not got.isfinite().all():\n    return math.inf\n" + _LAST),
        "the reference returned",
    ),
    (
        "nan only, not infinity",
        _gap(
            body=_CALLS
            + _SHAPES
            + "if got.isnan().any() or expected.isnan().any():\n    return math.inf\n"
            + "worst = max(worst, float((got - expected).abs().nan_to_num(0.0).max()))"
        ),
        "not finite",
    ),
    (
        "nan counted as 0",
        _gap(
            body=_CALLS
            + _SHAPES
            + "worst = max(worst, float((got - expected).abs().nan_to_num(0.0).max()))"
        ),
        "the gap is 0",
    ),
    (
        "no copies",
        _gap(body=_HEAD.replace("x.clone()", "x") + _LAST),
        "give each call a copy",
    ),
    (
        "one copy for both",
        _gap(
            body=_HEAD.replace(_CALLS, "y = x.clone()\ngot, expected = function(y), reference(y)\n")
            + _LAST
        ),
        "a copy of its own",
    ),
    (
        "reference on the function's result",
        _gap(body=_HEAD.replace("reference(x.clone())", "reference(function(x.clone()))") + _LAST),
        "expected",
        "",
    ),
    (
        "called twice",
        _gap(
            body=_HEAD + "worst = max(worst, float((function(x.clone()) - expected).abs().max()))"
        ),
        "calls the function 4 times",
    ),
    (
        "True or False",
        _gap(body=_HEAD + _LAST, end="return worst < 1e-5"),
        "the gap itself is wanted",
    ),
    (
        "maximum of an empty list",
        "gaps = []\nfor x in inputs:\n"
        + indent(_HEAD + "gaps.append(float((got - expected).abs().max()))", "    ")
        + "\nreturn max(gaps)",
        "no inputs at all",
    ),
    (
        "one number for each input",
        "gaps = [0.0]\nfor x in inputs:\n"
        + indent(_HEAD + "gaps.append(float((got - expected).abs().max()))", "    ")
        + "\nreturn gaps",
        "one number",
    ),
    (
        "starts at infinity, takes the smallest",
        _gap(
            start="worst = math.inf if inputs else 0.0",
            body=_HEAD + "worst = min(worst, float((got - expected).abs().max()))",
        ),
        "smallest of the four",
    ),
)

_TWO = "changed = x.clone()\nchanged[which] = 2 * changed[which] + 1\n"
_DIFFERENCE = "difference = (function(changed) - function(x.clone())).abs()\n"

_bugs(
    "neighbour_gap",
    "neighbour_gap(function, x, which)",
    (
        "the changed sentence counts",
        _TWO + _DIFFERENCE + "return float(difference.max())",
        "leave it out",
    ),
    (
        "only the changed sentence",
        _TWO + _DIFFERENCE + "return float(difference[which].max())",
        "leave it out",
    ),
    (
        "sentence 0 left out, whatever which is",
        _TWO + _DIFFERENCE + "difference[0] = 0.0\nreturn float(difference.max())",
        "leave it out",
    ),
    (
        "the batch is changed",
        "before = function(x.clone())\nx[which] = 2 * x[which] + 1\n"
        "difference = (function(x.clone()) - before).abs()\n"
        "difference[which] = 0.0\nreturn float(difference.max())",
        "changes the batch",
    ),
    (
        "a second name is no copy",
        "changed = x\nchanged[which] = 2 * changed[which] + 1\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "changes the batch",
    ),
    (
        "all sentences change",
        "changed = 2 * x + 1\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "other sentences were changed",
    ),
    (
        "all others change",
        "changed = 2 * x + 1\nchanged[which] = x[which]\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "other sentences were changed",
    ),
    (
        "the index on axis 1",
        "changed = x.clone()\nchanged[:, which] = 2 * changed[:, which] + 1\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "axis 1",
    ),
    (
        "set to zero",
        "changed = x.clone()\nchanged[which] = 0.0\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "is set to 0",
    ),
    (
        "mean over the others",
        _TWO
        + _DIFFERENCE
        + "keep = [i for i in range(len(x)) if i != which]\n"
        + "return float(difference[keep].mean()) if keep else 0.0",
        "mean over the others",
    ),
    (
        "only the sentences behind",
        _TWO
        + _DIFFERENCE
        + "rest = difference[which + 1 :]\nreturn float(rest.max()) if len(rest) else 0.0",
        "before `which`",
    ),
    (
        "without the rest",
        "alone = function(x[which : which + 1].clone())\n"
        "difference = (function(x.clone())[which : which + 1] - alone).abs()\n"
        "return float(difference.max())",
        "none is taken away",
    ),
    (
        "no absolute value",
        _TWO
        + "difference = function(changed) - function(x.clone())\n"
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "with its sign",
    ),
    (
        "mean",
        _TWO + _DIFFERENCE + "difference[which] = 0.0\nreturn float(difference.mean())",
        "This is the mean",
    ),
    (
        "sum",
        _TWO + _DIFFERENCE + "difference[which] = 0.0\nreturn float(difference.sum())",
        "This is the sum",
    ),
    (
        "doubled only",
        "changed = x.clone()\nchanged[which] = 2 * changed[which]\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "is doubled only",
    ),
    (
        "1 added only",
        "changed = x.clone()\nchanged[which] = changed[which] + 1\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "1 is added only",
    ),
    (
        "nothing changes",
        "changed = x.clone()\n2 * changed[which] + 1\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "Nothing was changed",
    ),
    (
        "another sentence changes",
        "changed = x.clone()\nchanged[which - 1] = 2 * changed[which - 1] + 1\n"
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "must be 0",
    ),
    (
        "the last sentence is never looked at",
        _TWO
        + _DIFFERENCE
        + "difference[which] = 0.0\nreturn float(difference[:-1].max()) if len(x) > 1 else 0.0",
        "last sentence is not looked at",
    ),
    (
        "no neighbours, no maximum",
        _TWO
        + _DIFFERENCE
        + "rest = torch.cat([difference[:which], difference[which + 1 :]])\n"
        + "return float(rest.max())",
        "no other sentence",
    ),
    (
        "no copy for the first call",
        _TWO
        + "difference = (function(changed) - function(x)).abs()\n"
        + "difference[which] = 0.0\nreturn float(difference.max())",
        "lets the function overwrite the batch",
    ),
    (
        "the change is applied to the results",
        "changed = function(x.clone())\nchanged[which] = 2 * changed[which] + 1\n"
        "difference = (changed - function(x.clone())).abs()\n"
        "difference[which] = 0.0\nreturn float(difference.max())",
        "Nothing was changed",
    ),
    (
        "True or False",
        _TWO + _DIFFERENCE + "difference[which] = 0.0\nreturn bool(difference.max() < 1e-5)",
        "the gap itself is wanted",
    ),
    (
        "one number for each sentence",
        _TWO + _DIFFERENCE + "difference[which] = 0.0\nreturn difference.flatten(1).amax(1)",
        "take the largest entry",
    ),
)


RIGHT = [
    Right(
        "describe",
        "other methods of torch, an ordered dictionary",
        """from collections import OrderedDict


def describe(x):
    facts = OrderedDict(dtype=x.dtype)
    facts["numbers"] = x.nelement()
    facts["axes"] = len(x.size())
    facts["shape"] = x.size()
    return facts
""",
    ),
    Right(
        "describe",
        "counted by loops",
        """def describe(x):
    shape = tuple(int(size) for size in x.shape)
    numbers = 1
    for size in shape:
        numbers *= size
    return dict(shape=shape, axes=len(shape), numbers=numbers, dtype=x.dtype)
""",
    ),
    Right(
        "describe",
        "a lambda",
        """describe = lambda x: {
    "shape": (*x.shape,), "axes": x.ndim, "numbers": math.prod(x.shape), "dtype": x.dtype
}
""",
    ),
    Right(
        "session",
        "a loop, an addition in place, a sum by hand",
        """def squares(n):
    result = []
    for i in range(n):
        result.append(i**2)
    return result


offset = 10
short = squares(4)
long = squares(6)
for place in range(len(long)):
    long[place] += offset
total = 0
for number in long:
    total += number
""",
    ),
    Right(
        "session",
        "a lambda, and lists from map",
        """squares = lambda n: list(map(lambda i: i * i, range(n)))
short, offset = squares(n=4), 10
long = list(map(offset.__add__, squares(6)))
total = sum(long, start=0)
""",
    ),
    Right(
        "session",
        "names of its own besides, and the definitions last",
        """def squares(n: int) -> list[int]:
    return [i * i for i in range(n)]


def moved(numbers, by):
    return [number + by for number in numbers]


offset = 10
plain = squares(6)
long = moved(plain, offset)
total = sum(plain) + len(plain) * offset
short = plain[:4]
""",
    ),
    Right(
        "tracebacks",
        "the other of the two tables",
        """def tracebacks():
    answer = {}
    answer["C"] = 3, "c"
    answer["B"] = 2, "a"
    answer["A"] = 5, "b"
    return answer
""",
    ),
    Right(
        "fading",
        "two loops and lists",
        """def fading(n, rate):
    rows = []
    for t in range(n):
        rows.append([rate ** abs(t - s) for s in range(n)])
    return torch.tensor(rows, dtype=torch.float32)
""",
    ),
    Right(
        "fading",
        "written into zeros, entry by entry",
        """def fading(n, rate):
    table = torch.zeros(n, n)
    for t in range(n):
        for s in range(t, n):
            table[t, s] = table[s, t] = rate ** (s - t)
    return table
""",
    ),
    Right(
        "fading",
        "an exponential in float64",
        """def fading(n, rate):
    place = torch.arange(n).double()
    gaps = torch.cdist(place[:, None], place[:, None], p=1)
    return torch.exp(math.log(rate) * gaps).to(torch.float32)
""",
    ),
    Right(
        "fading",
        "powers by a running product, then looked up",
        """def fading(n, rate):
    powers = torch.full((n,), rate)
    powers[0] = 1
    powers = powers.cumprod(0)
    place = torch.arange(n)
    return powers[(place.unsqueeze(0) - place.unsqueeze(1)).abs()]
""",
    ),
    Right(
        "fading",
        "numpy",
        """import numpy as np


def fading(n, rate):
    place = np.arange(n)
    return torch.from_numpy(np.float32(rate ** np.abs(np.subtract.outer(place, place) * 1.0)))
""",
    ),
    Right(
        "shares",
        "nan replaced afterwards",
        """def shares(counts):
    return (counts / counts.sum(1, keepdim=True)).nan_to_num(nan=0.0)
""",
    ),
    Right(
        "shares",
        "row by row, in place on a copy, whole numbers in float64",
        """def shares(counts):
    result = counts.clone() if counts.is_floating_point() else counts.double()
    for row in result:
        total = row.sum()
        if total > 0:
            row /= total
    return result
""",
    ),
    Right(
        "shares",
        "only the rows that have a total",
        """def shares(counts):
    floats = counts if counts.is_floating_point() else counts.float()
    result = torch.zeros_like(floats)
    some = floats.sum(-1) != 0
    result[some] = floats[some] / floats[some].sum(-1)[:, None]
    return result
""",
    ),
    Right(
        "shares",
        "where, einsum, division the other way round",
        """def shares(counts):
    dtype = counts.dtype if counts.is_floating_point() else torch.float32
    wide = counts.double()
    totals = torch.einsum("bt->b", wide)
    factor = torch.where(totals > 0, totals, torch.ones_like(totals)).reciprocal()
    return torch.einsum("bt,b->bt", wide, factor).to(dtype)
""",
    ),
    Right(
        "parity_gap",
        "a helper, a generator, max with a default",
        """def gap_of(got, expected):
    if got.shape != expected.shape:
        return math.inf
    both = torch.stack([got, expected])
    if not torch.isfinite(both).all():
        return math.inf
    return torch.dist(got, expected, p=math.inf).item()


def parity_gap(function, reference, inputs):
    return max((gap_of(function(x.clone()), reference(x.clone())) for x in inputs), default=0.0)
""",
    ),
    Right(
        "parity_gap",
        "first all calls, on deep copies, then the questions",
        """import copy


@torch.no_grad()
def parity_gap(function, reference, inputs):
    left = [function(x) for x in copy.deepcopy(inputs)]
    right = [reference(x) for x in copy.deepcopy(inputs)]
    if any(a.shape != b.shape for a, b in zip(left, right, strict=True)):
        return math.inf
    gaps = [0.0]
    for a, b in zip(left, right, strict=True):
        gap = (a.double() - b.double()).abs().flatten().tolist()
        gaps += gap if all(map(math.isfinite, gap)) else [math.inf]
    return float(max(gaps))
""",
    ),
    Right(
        "parity_gap",
        "the worst as a tensor until the end",
        """def parity_gap(function, reference, inputs):
    worst = torch.tensor(0.0, dtype=torch.float64)
    for number in range(len(inputs)):
        got = function(torch.clone(inputs[number]))
        expected = reference(torch.clone(inputs[number]))
        if list(got.size()) == list(expected.size()):
            gap = torch.linalg.vector_norm((got - expected).double(), ord=math.inf)
            worst = torch.maximum(worst, gap)  # nan stays nan
        else:
            worst = torch.full_like(worst, math.inf)
    return worst.nan_to_num(nan=math.inf, posinf=math.inf).item()
""",
    ),
    Right(
        "neighbour_gap",
        "joined from before and behind",
        """def neighbour_gap(function, x, which):
    if len(x) == 1:
        return 0.0
    one = x[which : which + 1]
    changed = torch.cat([x[:which], 2 * one + 1, x[which + 1 :]])
    y, z = function(x.clone()), function(changed)
    gap = y - z
    return torch.cat([gap[:which], gap[which + 1 :]]).abs().max().item()
""",
    ),
    Right(
        "neighbour_gap",
        "rows chosen by True and False",
        """def neighbour_gap(function, x, which):
    others = torch.arange(x.size(0)) != which
    shape = (-1, *[1] * (x.dim() - 1))
    changed = torch.where(others.view(shape), x, 2 * x + 1)
    gap = torch.abs(function(changed) - function(x.clone()))[others]
    return gap.max().item() if gap.numel() else 0.0
""",
    ),
    Right(
        "neighbour_gap",
        "a loop over the other sentences",
        """def neighbour_gap(function, x, which):
    changed = x.detach().clone()
    changed[which].mul_(2).add_(1)
    before = function(x.detach().clone())
    after = function(changed)
    worst = 0.0
    for b in range(x.shape[0]):
        if b == which:
            continue
        worst = max(worst, (after[b] - before[b]).abs().amax().item())
    return worst
""",
    ),
]
