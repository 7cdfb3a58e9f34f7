"""Named wrong answers to assignment 03: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Several come from defects of published articles (column ``errata``);
the others are the classic slips of students.
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


_bugs(
    "order_gap",
    "order_gap(before, after, order)",
    ("not shuffled", "return (after - before).abs().max().item()", "not shuffled at all"),
    (
        "shuffled back",
        "return (after - before[:, order.argsort()]).abs().max().item()",
        "inverse permutation",
    ),
    (
        "sentences shuffled",
        "return (after - before[order]).abs().max().item()",
        "sentences of the batch are shuffled",
    ),
    (
        "columns shuffled",
        "return (after - before[..., order]).abs().max().item()",
        "columns are shuffled",
    ),
    (
        "after shuffled again",
        "return (after[:, order] - before).abs().max().item()",
        "or after a second time",
    ),
    (
        "both shuffled",
        "return (after[:, order] - before[:, order]).abs().max().item()",
        "or both tensors are",
    ),
    (
        "no absolute value",
        "return (after - before[:, order]).max().item()",
        "largest negative one is lost",
    ),
    (
        "mean instead of maximum",
        "return (after - before[:, order]).abs().mean().item()",
        "differences are averaged",
    ),
    (
        "sum instead of maximum",
        "return (after - before[:, order]).abs().sum().item()",
        "differences are summed",
    ),
    (
        "mean of squares",
        "return (after - before[:, order]).square().mean().item()",
        "squares are averaged",
    ),
    ("a norm", "return (after - before[:, order]).norm().item()", "that is a norm"),
    (
        "means over the tokens",
        "return (after.mean(1) - before.mean(1)).abs().max().item()",
        "blind to the order",
    ),
    (
        "sorted tokens",
        "return (after.sort(1).values - before.sort(1).values).abs().max().item()",
        "the tokens are sorted",
    ),
    (
        "True or False",
        "return torch.allclose(after, before[:, order])",
        "return the size of the gap",
    ),
    (
        "a number for each sentence",
        "return (after - before[:, order]).abs().amax((1, 2))",
        "it is one",
    ),
)

_T = "t = torch.arange(length, dtype=torch.float64)[:, None]\n"
_THETA = "theta = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)\n"
_FILL = """
table = torch.zeros(length, d_model)
table[:, 0::2] = torch.sin(t * theta)
table[:, 1::2] = torch.cos(t * theta)
return table
"""

_bugs(
    "sinusoids",
    "sinusoids(length, d_model, base=10000.0)",
    (
        "the article's table",
        """
table = torch.arange(length).unsqueeze(1).repeat(1, d_model)
table[:, ::2] = torch.sin(table[:, ::2] / math.sqrt(d_model))
table[:, 1::2] = torch.cos(table[:, 1::2] / math.sqrt(d_model))
return table
""",
        "it starts from whole numbers",
        "E002-04",
    ),
    (
        "the article's table, then float",
        """
table = torch.arange(length).unsqueeze(1).repeat(1, d_model)
table[:, ::2] = torch.sin(table[:, ::2] / math.sqrt(d_model))
table[:, 1::2] = torch.cos(table[:, 1::2] / math.sqrt(d_model))
return table.float()
""",
        "cut to whole numbers: sines were assigned",
        "E002-04",
    ),
    (
        "right frequencies in an integer table",
        _T
        + _THETA
        + """
table = torch.zeros(length, d_model, dtype=torch.int64)
table[:, 0::2] = torch.sin(t * theta).to(table.dtype)
table[:, 1::2] = torch.cos(t * theta).to(table.dtype)
return table
""",
        "it starts from whole numbers",
        "E002-04",
    ),
    (
        "one frequency",
        _T + "theta = 1 / math.sqrt(d_model)\n" + _FILL,
        "all columns turn at one frequency, t / sqrt(D)",
        "E002-05",
    ),
    (
        "column counted as pair",
        _T
        + """
angle = t * base ** (-2 * torch.arange(d_model, dtype=torch.float64) / d_model)
angle[:, 0::2] = angle[:, 0::2].sin()
angle[:, 1::2] = angle[:, 1::2].cos()
return angle.float()
""",
        "column c counts as pair c",
    ),
    ("angle in turns", _T + _THETA + "theta = 2 * math.pi * theta\n" + _FILL, "counted as 2 pi"),
    (
        "D/2 - 1 in the exponent",
        _T
        + "pairs = torch.arange(d_model // 2, dtype=torch.float64)\n"
        + "theta = base ** (-pairs / max(d_model / 2 - 1, 1))\n"
        + _FILL,
        "i / (D/2 - 1)",
    ),
    (
        "table times sqrt(D)",
        _T + _THETA + _FILL.replace("return table", "return table * math.sqrt(d_model)"),
        "belongs to the words",
    ),
    (
        "sine and cosine exchanged",
        _T + _THETA + _FILL.replace("0::2", "x").replace("1::2", "0::2").replace("x", "1::2"),
        "sine and cosine have changed places",
    ),
    (
        "sines first, then cosines",
        _T + _THETA + "return torch.cat([(t * theta).sin(), (t * theta).cos()], 1).float()",
        "they alternate",
    ),
    (
        "exponent i / D",
        _T + "theta = base ** (-torch.arange(d_model // 2).double() / d_model)\n" + _FILL,
        "the exponent is i / D",
    ),
    (
        "a frequency for each column",
        _T
        + """
theta = base ** (-torch.arange(d_model).double() / d_model)
even = torch.arange(d_model) % 2 == 0
return torch.where(even, (t * theta).sin(), (t * theta).cos()).float()
""",
        "each column has a frequency of its own",
    ),
    (
        "exponent 4i / D",
        _T + "theta = base ** (-2 * torch.arange(0, d_model, 2).double() / d_model)\n" + _FILL,
        "counts columns twice",
    ),
    (
        "positive exponent",
        _T + _THETA.replace("(-", "(") + _FILL,
        "the exponent is positive",
    ),
    (
        "positions from 1",
        _T.replace("arange(length", "arange(1, length + 1") + _THETA + _FILL,
        "count from 1",
    ),
    (
        "positions divided by the length",
        _T + "t = t / max(length, 1)\n" + _THETA + _FILL,
        "divided by the length",
    ),
    (
        "sines only",
        _T + _THETA + "return (t * theta).sin().repeat_interleave(2, 1).float()",
        "all columns are sines",
    ),
    (
        "base ignored",
        _T + _THETA.replace("base", "10000.0") + _FILL,
        "base is ignored",
    ),
    (
        "float64 result",
        _T
        + _THETA
        + _FILL.replace("zeros(length, d_model", "zeros(length, d_model, dtype=t.dtype"),
        "must have dtype torch.float32",
    ),
    (
        "angles in float32",
        (_T + _THETA).replace("torch.float64", "torch.float32") + _FILL,
        "make the angles in float64",
    ),
)

_STEP = "step = k * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)\n"
_BLOCK = """
sin, cos = step.sin().float(), step.cos().float()
e, o = torch.arange(0, d_model, 2), torch.arange(1, d_model, 2)
r = torch.zeros(d_model, d_model)
r[e, e], r[e, o], r[o, e], r[o, o] = {}
return r
"""
_RIGHT = _BLOCK.format("cos, sin, -sin, cos")

_bugs(
    "rotation",
    "rotation(k, d_model, base=10000.0)",
    ("turns back", _STEP + _BLOCK.format("cos, -sin, sin, cos"), "it turns back"),
    ("sign missing", _STEP + _BLOCK.format("cos, sin, sin, cos"), "no rotation"),
    ("mirror", _STEP + _BLOCK.format("cos, sin, sin, -cos"), "a mirror"),
    (
        "sine and cosine exchanged",
        _STEP + _BLOCK.format("sin, cos, -cos, sin"),
        "sine and cosine have changed places",
    ),
    (
        "one frequency",
        "step = torch.full((d_model // 2,), k / math.sqrt(d_model))\n" + _RIGHT,
        "all pairs turn at one frequency",
        "E002-05",
    ),
    (
        "exponent i / D",
        "step = k * base ** (-torch.arange(d_model // 2).double() / d_model)\n" + _RIGHT,
        "the exponent is i / D",
    ),
    (
        "pairs i and i + D/2",
        _STEP
        + "sin, cos = step.sin().float().diag(), step.cos().float().diag()\n"
        + "return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)], 0)",
        "here neighbours are pairs",
    ),
    ("base ignored", _STEP.replace("base", "10000.0") + _RIGHT, "base is ignored"),
    ("k ignored", "k = 1\n" + _STEP + _RIGHT, "every step counts as 1"),
    ("sign of k lost", "k = abs(k)\n" + _STEP + _RIGHT, "the sign of k is lost"),
    ("moves by k + 1", "k = k + 1\n" + _STEP + _RIGHT, "it moves by k + 1"),
    ("identity", "return torch.eye(d_model)", "nothing turns"),
    (
        "all like the first pair",
        "step = torch.full((d_model // 2,), float(k))\n" + _RIGHT,
        "each has its own theta",
    ),
    (
        "one pair",
        _STEP + "step[1:] = 0\n" + _RIGHT,
        "only the first pair turns",
    ),
    ("shift of the columns", "return torch.eye(d_model).roll(k, 0)", "the columns are shifted by"),
    (
        "blocks not joined",
        _STEP
        + "sin, cos = step.sin().float(), step.cos().float()\n"
        + "return torch.stack([cos, sin, -sin, cos], -1).view(-1, 2, 2)",
        "the blocks are not joined",
    ),
    (
        "no sines",
        _STEP + _BLOCK.format("cos, 0 * sin, 0 * sin, cos"),
        "the sines are missing",
    ),
    (
        "float64 result",
        _STEP + _RIGHT.replace("return r", "return r.double()"),
        "must have dtype torch.float32",
    ),
    (
        "fitted to a few rows",
        """
theta = base ** (-torch.arange(0, d_model, 2).double() / d_model)
t = torch.arange(d_model // 2 + 1).double()[:, None]
here = torch.stack([(t * theta).sin(), (t * theta).cos()], -1).flatten(1)
there = torch.stack([((t + k) * theta).sin(), ((t + k) * theta).cos()], -1).flatten(1)
return (torch.linalg.pinv(here) @ there).T.float()
""",
        "rotation(3, 6) is wrong",
        "",
        "A least-squares fit to few positions; the message shows the first place that differs.",
    ),
)

_bugs(
    "split_weight",
    "split_weight(weight, d_model)",
    (
        "position part first",
        "return weight[d_model:], weight[:d_model]",
        "in the wrong order",
    ),
    (
        "token rows from the end",
        "return weight[-d_model:], weight[:-d_model]",
        "counted from the end of W",
    ),
    (
        "new parameters",
        """
parts = weight[:d_model], weight[d_model:]
return tuple(torch.nn.Parameter(part.detach().clone()) for part in parts)
""",
        "loses the gradient",
    ),
    (
        "columns instead of rows",
        "return weight[:, :d_model], weight[:, d_model:]",
        "cuts the columns of W",
    ),
    (
        "cut in the middle",
        "half = weight.size(0) // 2\nreturn weight[:half], weight[half:]",
        "cuts W in the middle",
    ),
    (
        "parts transposed",
        "return weight[:d_model].T, weight[d_model:].T",
        "transposes the parts",
    ),
    (
        "gradient lost",
        "return weight[:d_model].detach(), weight[d_model:].detach()",
        "loses the gradient",
    ),
    (
        "one row too many",
        "return weight[: d_model + 1], weight[d_model + 1 :]",
        "wrong shape",
    ),
    ("whole weight twice", "return weight, weight", "wrong shape"),
)

_ROWS = "rows = table[start : start + x.size(-2)].to(x.dtype)\n"
_GUARD = "if start + x.size(-2) > table.size(0):\n    raise ValueError('too long')\n"
_SUM = "return math.sqrt(x.size(-1)) * x + rows"

_bugs(
    "add_positions",
    "add_positions(x, table, start=0)",
    (
        "as given: axis 1, slice ends at the length",
        "length = x.size(1)\nreturn math.sqrt(x.size(-1)) * x + table[start:length]",
        "Which axis of x holds the positions",
        "E002-21",
    ),
    (
        "axis 1",
        "stop = start + x.size(1)\nif stop > len(table):\n    raise ValueError\n"
        "return math.sqrt(x.size(-1)) * x + table[start:stop].to(x.dtype)",
        "Which axis of x holds the positions",
        "E002-21",
    ),
    (
        "axis 0",
        "stop = start + x.size(0)\nif stop > len(table):\n    raise ValueError\n"
        "return math.sqrt(x.size(-1)) * x + table[start:stop].to(x.dtype)",
        "Which axis of x holds the positions",
        "E002-21",
    ),
    (
        "slice ends at the length",
        _GUARD + "rows = table[start : x.size(-2)].to(x.dtype)\n" + _SUM,
        "Where must the slice end",
    ),
    (
        "start ignored",
        _GUARD + "rows = table[: x.size(-2)].to(x.dtype)\n" + _SUM,
        "start is ignored",
    ),
    ("no factor", _GUARD + _ROWS + "return x + rows", "not multiplied by sqrt(D)", "E000-02"),
    ("factor D", _GUARD + _ROWS + "return x.size(-1) * x + rows", "the factor is D"),
    (
        "factor on the sum",
        _GUARD + _ROWS + "return math.sqrt(x.size(-1)) * (x + rows)",
        "multiplies the sum",
    ),
    (
        "factor from the number of rows",
        _GUARD + _ROWS + "return math.sqrt(table.size(0)) * x + rows",
        "root of the number of rows",
    ),
    (
        "factor from the number of tokens",
        _GUARD + _ROWS + "return math.sqrt(x.size(-2)) * x + rows",
        "root of the number of tokens",
    ),
    (
        "a row for each sentence",
        """
if start + x.size(-2) > table.size(0):
    raise ValueError
if x.dim() > 2:
    rows = table[start : start + x.size(0)].view(x.size(0), *[1] * (x.dim() - 2), -1)
else:
    rows = table[start : start + x.size(-2)]
return math.sqrt(x.size(-1)) * x + rows.to(x.dtype)
""",
        "each sentence gets a row",
        "E002-21",
    ),
    ("no error beyond the end", _ROWS + _SUM, "without an error", "E001-03"),
    (
        "clipped at the end",
        "at = (start + torch.arange(x.size(-2))).clamp_max(len(table) - 1)\n"
        "rows = table[at].to(x.dtype)\n" + _SUM,
        "without an error",
        "E001-03",
    ),
    (
        "begins again at the end",
        "rows = table[(start + torch.arange(x.size(-2))) % len(table)].to(x.dtype)\n" + _SUM,
        "without an error",
        "E001-03",
    ),
    (
        "IndexError",
        "rows = table[start + torch.arange(x.size(-2))].to(x.dtype)\n" + _SUM,
        "ValueError is asked for",
    ),
    (
        "last row refused",
        _GUARD.replace(">", ">=") + _ROWS + _SUM,
        "how many rows does the call need",
    ),
    (
        "length checked without start",
        _GUARD.replace("start + ", "") + _ROWS + _SUM,
        "without an error",
    ),
    (
        "dtype of the table",
        _GUARD + _ROWS.replace(".to(x.dtype)", "") + _SUM,
        "must have dtype torch.bfloat16",
    ),
    (
        "table as a constant",
        _GUARD + _ROWS.replace("table[", "table.detach()[") + _SUM,
        "no gradient reaches the table",
    ),
    (
        "written into x",
        _GUARD + _ROWS + "x *= math.sqrt(x.size(-1))\nx += rows\nreturn x",
        "changes its input x",
    ),
)

_DISTANCE = """
K = table.size(1) // 2
distance = torch.arange(source)[None, :] - torch.arange(target)[:, None]
"""

_bugs(
    "relative_bias",
    "relative_bias(table, target, source)",
    (
        "differences of adjacent positions",
        """
K = table.size(1) // 2
return table[:, torch.arange(source).diff().clamp(-K, K) + K]
""",
        "all s - t, a matrix (T, S)",
        "E002-03",
    ),
    (
        "indexes the heads",
        _DISTANCE + "return table[distance.clamp(-K, K) + K]",
        "first one counts heads",
    ),
    (
        "clipped and not moved",
        _DISTANCE + "return table[:, distance.clamp(0, 2 * K)]",
        "negative distances become 0",
    ),
    (
        "K taken for the number of columns",
        _DISTANCE + "K = table.size(1)\nreturn table[:, distance.clamp(-K, K) + K]",
        "what 2K + 1 columns say",
    ),
    (
        "neighbours only",
        _DISTANCE + "return table[:, distance.sign().clamp(-K, K) + K]",
        "every pair counts as neighbours",
        "E002-03",
    ),
    (
        "t - s",
        _DISTANCE + "return table[:, (-distance).clamp(-K, K) + K]",
        "the sign is turned round",
    ),
    (
        "distance without sign",
        _DISTANCE + "return table[:, distance.abs().clamp(max=K) + K]",
        "left and right look alike",
    ),
    (
        "K not added",
        _DISTANCE + "return table[:, distance.clamp(-K, K)]",
        "a negative index counts from the end",
    ),
    (
        "not clipped",
        _DISTANCE + "return table[:, distance + K]",
        "clip it to -K .. K",
    ),
    (
        "wraps round",
        _DISTANCE + "return table[:, (distance + K) % table.size(1)]",
        "wrap round",
    ),
    (
        "clipped at 0",
        _DISTANCE + "return table[:, distance.clamp(0, K) + K]",
        "clipped to 0 .. K only",
    ),
    (
        "clipped at K - 1",
        _DISTANCE + "return table[:, distance.clamp(1 - K, max(K - 1, 1 - K)) + K]",
        "clipped one too early",
    ),
    (
        "far distances get 0",
        _DISTANCE
        + "return table[:, distance.clamp(-K, K) + K].masked_fill(distance.abs() > K, 0.0)",
        "distances beyond K get 0",
    ),
    (
        "t not subtracted",
        """
K = table.size(1) // 2
row = table[:, torch.arange(source).clamp(-K, K) + K]
return row[:, None, :].expand(-1, target, -1)
""",
        "t is not subtracted",
    ),
    (
        "queries and keys exchanged",
        _DISTANCE + "return table[:, distance.clamp(-K, K) + K].transpose(1, 2)",
        "the sign is turned round",
        "",
        "Where T = S the transposed matrix has the opposite signs, and that comes first.",
    ),
    (
        "heads last",
        _DISTANCE + "return table.T[distance.clamp(-K, K) + K]",
        "the heads come first",
    ),
    (
        "square, from the number of queries",
        "source = target\n" + _DISTANCE + "return table[:, distance.clamp(-K, K) + K]",
        "it is square",
    ),
    (
        "queries are the last of the keys",
        _DISTANCE + "distance = distance - (source - target)\n"
        "return table[:, distance.clamp(-K, K) + K]",
        "here both count from 0",
    ),
    (
        "first head for all",
        _DISTANCE + "return table[:1, distance.clamp(-K, K) + K].expand(len(table), -1, -1)",
        "heads share the numbers",
    ),
    (
        "always float32",
        _DISTANCE + "return table.float()[:, distance.clamp(-K, K) + K]",
        "must have dtype torch.bfloat16",
    ),
    (
        "table as a constant",
        _DISTANCE + "return table.detach()[:, distance.clamp(-K, K) + K]",
        "loses the gradient",
    ),
)


RIGHT = [
    Right(
        "order_gap",
        "after shuffled back",
        """def order_gap(before, after, order):
    undo = order.argsort()
    return torch.dist(after[:, undo], before, p=math.inf)
""",
    ),
    Right(
        "order_gap",
        "a loop over the tokens",
        """def order_gap(before, after, order):
    worst = 0.0
    for t, source in enumerate(order.tolist()):
        worst = max(worst, (after[:, t] - before[:, source]).abs().max().item())
    return worst
""",
    ),
    Right(
        "order_gap",
        "gather in float64",
        """@torch.no_grad()
def order_gap(before, after, order):
    where = order.view(1, -1, 1).expand_as(before)
    gap = torch.gather(before.double(), 1, where).sub_(after.double())
    return torch.maximum(gap.max(), -gap.min())
""",
    ),
    Right(
        "order_gap",
        "numpy",
        """import numpy as np


def order_gap(before, after, order):
    shuffled = np.take(before.numpy(), order.numpy(), axis=1)
    return np.abs(after.numpy() - shuffled).max()
""",
    ),
    Right(
        "sinusoids",
        "outer product, stacked and flattened",
        """def sinusoids(length, d_model, base=10000.0):
    theta = torch.exp(-math.log(base) * 2 * torch.arange(d_model // 2).double() / d_model)
    angles = torch.outer(torch.arange(length).double(), theta)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).reshape(length, d_model).float()
""",
    ),
    Right(
        "sinusoids",
        "a loop over the columns, the cosine as a moved sine",
        """def sinusoids(length, d_model, base=10000.0):
    position = torch.linspace(0, length - 1, length, dtype=torch.double)
    columns = []
    for c in range(d_model):
        theta = 1 / pow(base, (c // 2) * 2 / d_model)
        columns.append(torch.sin(position * theta + (c % 2) * math.pi / 2))
    return torch.stack(columns, dim=1).to(torch.float32)
""",
    ),
    Right(
        "sinusoids",
        "complex numbers",
        """def sinusoids(length, d_model, base=10000.0):
    t = torch.arange(length, dtype=torch.float64)
    theta = torch.pow(base, -torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angles = torch.einsum("t,i->ti", t, theta)
    turned = torch.polar(torch.ones_like(angles), angles)  # cos + i sin
    return torch.view_as_real(turned).flip(-1).flatten(1).float()
""",
    ),
    Right(
        "sinusoids",
        "numpy",
        """import numpy as np


def sinusoids(length, d_model, base=10000.0):
    angles = np.arange(length)[:, None] / base ** (np.arange(d_model) // 2 * 2 / d_model)
    table = np.where(np.arange(d_model) % 2 == 0, np.sin(angles), np.cos(angles))
    return torch.tensor(table, dtype=torch.float32)
""",
    ),
    Right(
        "rotation",
        "block_diag over a loop",
        """def rotation(k, d_model, base=10000.0):
    blocks = []
    for i in range(d_model // 2):
        turn = k * base ** (-2 * i / d_model)
        c, s = math.cos(turn), math.sin(turn)
        blocks.append(torch.tensor([[c, s], [-s, c]]))
    return torch.block_diag(*blocks)
""",
    ),
    Right(
        "rotation",
        "the exponential of a matrix",
        """def rotation(k, d_model, base=10000.0):
    theta = torch.zeros(d_model // 2, dtype=torch.float64)
    for i in range(d_model // 2):
        theta[i] = base ** (-2 * i / d_model)
    quarter = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    return torch.matrix_exp(k * torch.kron(torch.diag(theta), quarter)).float()
""",
    ),
    Right(
        "rotation",
        "slices with a step, diag",
        """def rotation(k, d_model, base=10000.0):
    i = torch.arange(0, d_model, 2).double()
    turn = k / base ** (i / d_model)
    matrix = torch.empty((d_model, d_model)).fill_(0)
    matrix[0::2, 0::2] = torch.diag(turn.cos())
    matrix[1::2, 1::2] = torch.diag(turn.cos())
    matrix[0::2, 1::2] = torch.diag(turn.sin())
    matrix[1::2, 0::2] = -matrix[0::2, 1::2]
    return matrix
""",
    ),
    Right(
        "rotation",
        "numpy, entry by entry",
        """import numpy as np


def rotation(k, d_model, base=10000.0):
    matrix = np.zeros((d_model, d_model))
    for row in range(d_model):
        turn = k * base ** (-(row - row % 2) / d_model)
        matrix[row, row] = np.cos(turn)
        matrix[row, row ^ 1] = np.sin(turn) if row % 2 == 0 else -np.sin(turn)
    return torch.from_numpy(matrix).to(torch.float32)
""",
    ),
    Right(
        "split_weight",
        "torch.split",
        """def split_weight(weight, d_model):
    return weight.split([d_model, weight.size(0) - d_model], dim=0)
""",
    ),
    Right(
        "split_weight",
        "products with rows of the identity",
        """def split_weight(weight, d_model):
    rows = torch.eye(len(weight), dtype=weight.dtype)
    return rows[:d_model] @ weight, rows[d_model:] @ weight
""",
    ),
    Right(
        "split_weight",
        "single rows, stacked",
        """def split_weight(weight, d_model):
    rows = list(weight.unbind())
    return tuple(torch.stack(part) for part in (rows[:d_model], rows[d_model:]))
""",
    ),
    Right(
        "add_positions",
        "an embedding, and a ValueError of its own",
        """class TooLong(ValueError):
    pass


def add_positions(x, table, start=0):
    *_, length, width = x.shape
    if start + length > len(table):
        raise TooLong(f"{length} tokens from {start}, and {len(table)} rows")
    rows = torch.nn.functional.embedding(torch.arange(start, start + length), table)
    return torch.add(rows.to(x), x, alpha=width**0.5)
""",
    ),
    Right(
        "add_positions",
        "token by token",
        """def add_positions(x, table, start=0):
    tokens = x.unbind(-2)
    rows = table.unbind(0)
    moved = []
    for t, token in enumerate(tokens):
        try:
            row = rows[start + t]
        except IndexError as error:
            raise ValueError("no row for a token") from error
        moved.append(token.mul(math.sqrt(token.size(-1))) + row.to(token.dtype))
    return torch.stack(moved, dim=-2)
""",
    ),
    Right(
        "add_positions",
        "narrow, in float64 inside",
        """def add_positions(x, table, start=0):
    length = x.shape[-2]
    if table.shape[0] - start < length:
        raise ValueError
    rows = table.narrow(0, start, length).double()
    return (x.double() * math.sqrt(x.shape[-1]) + rows).to(x.dtype)
""",
    ),
    Right(
        "add_positions",
        "in place on a copy of its own",
        """def add_positions(x, table, start=0):
    rows = table[start:][: x.shape[-2]]
    if len(rows) != x.shape[-2]:
        raise ValueError("the table ends too early")
    result = x.clone()
    result *= math.sqrt(x.shape[-1])
    result += rows
    return result
""",
    ),
    Right(
        "relative_bias",
        "three loops",
        """def relative_bias(table, target, source):
    K = table.shape[1] // 2
    heads = []
    for numbers in table:
        rows = []
        for t in range(target):
            rows.append(torch.stack([numbers[max(-K, min(K, s - t)) + K] for s in range(source)]))
        heads.append(torch.stack(rows))
    return torch.stack(heads)
""",
    ),
    Right(
        "relative_bias",
        "a product with one-hot vectors",
        """def relative_bias(table, target, source):
    columns = table.size(1)
    t, s = torch.meshgrid(torch.arange(target), torch.arange(source), indexing="ij")
    column = torch.clip(s - t + columns // 2, 0, columns - 1)
    one_hot = torch.nn.functional.one_hot(column, columns).to(table.dtype)
    return torch.einsum("hk,tsk->hts", table, one_hot)
""",
    ),
    Right(
        "relative_bias",
        "windows of a padded row",
        """def relative_bias(table, target, source):
    K = (table.size(1) - 1) // 2
    reach = max(target, source, K + 1)
    left = table[:, :1].expand(-1, reach - K)
    right = table[:, -1:].expand(-1, reach - K)
    padded = torch.cat([left, table, right], dim=1)  # the distances -reach .. reach
    rows = [padded[:, reach - t : reach - t + source] for t in range(target)]
    return torch.stack(rows, dim=1)
""",
    ),
    Right(
        "relative_bias",
        "index_select over flat pairs",
        """def relative_bias(table, target, source):
    K = table.size(1) // 2
    gaps = [max(0, min(2 * K, s - t + K)) for t in range(target) for s in range(source)]
    flat = table.index_select(1, torch.tensor(gaps, dtype=torch.int32))
    return flat.unflatten(1, (target, source))
""",
    ),
]
