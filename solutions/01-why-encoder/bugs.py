"""Named wrong answers to assignment 01: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Some come from defects of published articles (column ``errata``);
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


# ---------------------------------------------------------------- rounds and products


def _count(
    rnn: str = "length, 2 * length * width**2",
    attention: str = "1, 3 * length * width**2 + 2 * length**2 * width",
    reach: str = "gap * (k - 1) // 2",
    enough: str = "covered < length - 1",
    grow: str = "gap *= 2",
    when: str = 'kind == "dilated"',
    start: str = "0, 0, 1",
    result: str = "layers, layers * k * length * width**2",
) -> str:
    return f"""
if kind == "rnn":
    return {rnn}
if kind == "attention":
    return {attention}
layers, covered, gap = {start}
while {enough}:
    covered += {reach}
    layers += 1
    if {when}:
        {grow}
return {result}
"""


_bugs(
    "count",
    "count(kind, length, width, k=3)",
    (
        "steps between words, not words",
        _count(rnn="length - 1, 2 * length * width**2"),
        "the first one included",
    ),
    ("an RNN in one round", _count(rnn="1, 2 * length * width**2"), "waits for the one before"),
    ("one matrix in the RNN", _count(rnn="length, length * width**2"), "there are two matrices"),
    ("one word of the RNN", _count(rnn="length, 2 * width**2"), "there are T of them"),
    (
        "attention waits for every word",
        _count(attention="length, 3 * length * width**2 + 2 * length**2 * width"),
        "in the same round",
        "E002-27",
    ),
    (
        "attention without the pairs",
        _count(attention="1, 3 * length * width**2"),
        "the pairs are missing",
        "E002-27",
    ),
    (
        "attention without the matrices",
        _count(attention="1, 2 * length**2 * width"),
        "the three matrices are missing",
    ),
    (
        "the pairs counted once",
        _count(attention="1, 3 * length * width**2 + length**2 * width"),
        "the pairs count twice",
    ),
    (
        "pairs cost one product each",
        _count(attention="1, 3 * length * width**2 + 2 * length**2"),
        "takes D products",
    ),
    ("a layer reaches k", _count(reach="gap * k"), "not k"),
    ("a layer reaches k - 1", _count(reach="gap * (k - 1)"), "half of the window"),
    ("covers T instead of T - 1", _count(enough="covered < length"), "is T - 1"),
    ("one layer only", _count(enough="layers < 1"), "one round is one layer"),
    (
        "one layer too few",
        _count(result="layers - 1, (layers - 1) * k * length * width**2"),
        "round up, not down",
    ),
    ("no gap ever", _count(when="False"), "the gap doubles from layer to layer"),
    (
        "a dilated reach without k",
        _count(reach='gap if kind == "dilated" else (k - 1) // 2'),
        "not by its gap alone",
    ),
    ("a gap that is tripled", _count(grow="gap *= 3"), "not tripled"),
    ("attention in two rounds", _count(attention="2, 3 * length * width**2"), "is one round here"),
    (
        "a logarithm without k",
        """
import math
if kind == "rnn":
    return length, 2 * length * width**2
if kind == "attention":
    return 1, 3 * length * width**2 + 2 * length**2 * width
layers = math.ceil((length - 1) / (k // 2))
if kind == "dilated":
    layers = math.ceil(math.log2(length))
return layers, layers * k * length * width**2
""",
        "does not know k",
    ),
    (
        "every convolution is dilated",
        _count(when="True"),
        "the gap doubles in the dilated kind only",
    ),
    (
        "the first gap is 2",
        _count(start='0, 0, 2 if kind == "dilated" else 1'),
        "the first gap is 1",
    ),
    ("one layer counted", _count(result="layers, k * length * width**2"), "count all layers"),
    (
        "the width of the window left out",
        _count(result="layers, layers * length * width**2"),
        "reads k neighbours",
    ),
    (
        "a matrix costs D",
        _count(result="layers, layers * k * length * width"),
        "takes D times D products",
    ),
    ("a float", _count(rnn="length, 2.0 * length * width**2"), "whole numbers of Python"),
    ("only the rounds", "return length", "must return two numbers"),
)

# ---------------------------------------------------------------- families

_RIGHT = {
    "BERT": "encoder-only",
    "GPT-2": "decoder-only",
    "T5": "encoder-decoder",
    "ViT": "encoder-only",
    "Llama": "decoder-only",
    "Transformer 2017": "encoder-decoder",
    "Whisper": "encoder-decoder",
    "sentence search": "encoder-only",
}


def _families(**changes: str) -> str:
    return f"return {dict(_RIGHT, **changes)!r}"


_bugs(
    "families",
    "families()",
    (
        "GPT has an encoder at its core",
        _families(**{"GPT-2": "encoder-only"}),
        "each position sees the past only",
        "E001-02",
    ),
    (
        "GPT is an encoder-decoder",
        _families(**{"GPT-2": "encoder-decoder"}),
        "each position sees the past only",
        "E001-02",
    ),
    (
        "every encoder needs a decoder",
        _families(BERT="encoder-decoder", ViT="encoder-decoder"),
        "does not write word by word",
        "E000-01",
    ),
    ("a class head is a decoder", _families(ViT="encoder-decoder"), "is a head", "E000-01"),
    (
        "the original is an encoder",
        _families(**{"Transformer 2017": "encoder-only"}),
        "is read as a whole",
    ),
    ("T5 is a decoder", _families(T5="decoder-only"), "two parts"),
    (
        "a chat model reads and writes",
        _families(Llama="encoder-decoder"),
        "a part of the text that it continues",
    ),
    ("speech needs no encoder", _families(Whisper="decoder-only"), "something else is written"),
    (
        "search needs a decoder",
        _families(**{"sentence search": "decoder-only"}),
        "nothing is written",
    ),
    ("another spelling", _families(BERT="encoder"), "none of the three families"),
    ("seven models", "return {n: 'encoder-only' for n in ('BERT', 'ViT')}", "lacks"),
)

# ---------------------------------------------------------------- LSTM


def _lstm(
    start: str = "zeros = x.new_zeros(x.size(0), width)\n"
    "h, c = (zeros, zeros) if state is None else state",
    bias: str = 'weights["bias_ih"] + weights["bias_hh"]',
    words: str = "x.unbind(1)",
    blocks: str = "i, f, g, o",
    cell: str = "c = f.sigmoid() * c + i.sigmoid() * g.tanh()",
    show: str = "h = o.sigmoid() * c.tanh()",
    product: str = 'word @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT',
    after: str = "outputs.append(h)",
    result: str = "torch.stack(outputs, dim=1), (h, c)",
) -> str:
    return (
        'width = weights["weight_hh"].size(-1)\n'
        + start
        + "\noutputs = []\n"
        + f"for word in {words}:\n"
        + indent(
            f"{blocks} = ({product} + {bias}).chunk(4, dim=-1)\n{cell}\n{show}\n{after}", "    "
        )
        + f"\nreturn {result}\n"
    )


_SIGMOID = "(1 / (1 + torch.exp(-{})))"

_bugs(
    "lstm",
    "lstm(x, weights, state=None)",
    ("gates in the order i, g, f, o", _lstm(blocks="i, g, f, o"), "read as i, g, f, o"),
    ("gates in the order i, f, o, g", _lstm(blocks="i, f, o, g"), "read as i, f, o, g"),
    ("gates in the order f, i, g, o", _lstm(blocks="f, i, g, o"), "read as f, i, g, o"),
    (
        "content through a sigmoid",
        _lstm(cell="c = f.sigmoid() * c + i.sigmoid() * g.sigmoid()"),
        "g goes through a sigmoid",
    ),
    (
        "content not bent",
        _lstm(cell="c = f.sigmoid() * c + i.sigmoid() * g"),
        "g goes through no tanh",
    ),
    (
        "gates through tanh",
        _lstm(cell="c = f.tanh() * c + i.tanh() * g.tanh()"),
        "three of them need a sigmoid",
    ),
    ("cell shown without tanh", _lstm(show="h = o.sigmoid() * c"), "shown without tanh"),
    ("no output gate", _lstm(show="h = c.tanh()"), "output gate is left out"),
    (
        "tanh stored in the cell",
        _lstm(
            cell="c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).tanh()", show="h = o.sigmoid() * c"
        ),
        "before it is handed on",
    ),
    ("no forget gate", _lstm(cell="c = c + i.sigmoid() * g.tanh()"), "kept in full"),
    ("no input gate", _lstm(cell="c = f.sigmoid() * c + g.tanh()"), "input gate is left out"),
    (
        "coupled gates",
        _lstm(cell="c = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()"),
        "taken as 1 - f",
    ),
    (
        "forget gate the wrong way round",
        _lstm(cell="c = (1 - f.sigmoid()) * c + i.sigmoid() * g.tanh()"),
        "applied as 1 - f",
    ),
    ("old cell forgotten", _lstm(cell="c = i.sigmoid() * g.tanh()"), "the old cell is forgotten"),
    (
        "output gate on the old cell",
        _lstm(
            cell="old, c = c, f.sigmoid() * c + i.sigmoid() * g.tanh()",
            show="h = o.sigmoid() * old.tanh()",
        ),
        "sees the old cell",
    ),
    ("one bias only", _lstm(bias='weights["bias_ih"]'), "bias_hh is left out"),
    (
        "state does not reach the gates",
        _lstm(product='word @ weights["weight_ih"].mT'),
        "weight_hh is left out",
    ),
    (
        "h starts anew with each word",
        _lstm(
            start="zeros = x.new_zeros(x.size(0), width)\n"
            "h0, c0 = (zeros, zeros) if state is None else state",
            product='word @ weights["weight_ih"].mT + h0 @ weights["weight_hh"].mT',
            cell="c = f.sigmoid() * c0 + i.sigmoid() * g.tanh()",
        ),
        "starts anew with each word",
    ),
    (
        "words from the right",
        _lstm(words="x.flip(1).unbind(1)", result="torch.stack(outputs[::-1], dim=1), (h, c)"),
        "read from the right",
    ),
    (
        "given state ignored",
        _lstm(start="h = c = x.new_zeros(x.size(0), width)"),
        "the old cell is forgotten",
    ),
    (
        "given state exchanged",
        _lstm(
            start="zeros = x.new_zeros(x.size(0), width)\n"
            "c, h = (zeros, zeros) if state is None else state"
        ),
        "h and c of the given state are exchanged",
    ),
    (
        "only the given cell is used",
        _lstm(start="h = x.new_zeros(x.size(0), width)\nc = h if state is None else state[1]"),
        "only c of the given state is used",
    ),
    (
        "last state as (c, h)",
        _lstm(result="torch.stack(outputs, dim=1), (c, h)"),
        "c after one word",
    ),
    (
        "cell returned twice",
        _lstm(result="torch.stack(outputs, dim=1), (c, c)"),
        "h is the same as c",
    ),
    ("only the outputs", _lstm(result="torch.stack(outputs, dim=1)"), "returns one tensor"),
    ("words first in the result", _lstm(result="torch.stack(outputs), (h, c)"), "(T, B, D)"),
    (
        "loop over the batch",
        _lstm(
            start="h = c = x.new_zeros(x.size(1), width)\nif state is not None:\n    h, c = state",
            words="x",
        ),
        "(T, B, D)",
    ),
    (
        "blocks not transposed",
        _lstm(
            product='word @ weights["weight_ih"].mT + torch.cat('
            '[h @ b for b in weights["weight_hh"].chunk(4)], -1)'
        ),
        "without the transpose",
    ),
    (
        "matrix not transposed",
        _lstm(product='word @ weights["weight_ih"] + h @ weights["weight_hh"]'),
        "multiply by the transpose",
    ),
    (
        "writes into the given cell",
        _lstm(
            cell="c *= f.sigmoid()\nc += i.sigmoid() * g.tanh()",
            start="h, c = (x.new_zeros(x.size(0), width), x.new_zeros(x.size(0), width)) "
            "if state is None else state",
        ),
        "changes its input",
    ),
    (
        "detached state",
        _lstm(after="outputs.append(h)\nh, c = h.detach(), c.detach()"),
        "detached between the words",
    ),
    ("gradient lost", "with torch.no_grad():\n" + indent(_lstm(), "    "), "loses the gradient"),
    (
        "sigmoid by hand, overflow in the gradient",
        _lstm(
            cell=f"c = {_SIGMOID.format('f')} * c + {_SIGMOID.format('i')} * g.tanh()",
            show=f"h = {_SIGMOID.format('o')} * c.tanh()",
        ),
        "an exponential overflows",
    ),
    (
        "float32 zeros",
        _lstm(
            start="zeros = torch.zeros(x.size(0), width)\n"
            "h, c = (zeros, zeros) if state is None else state"
        ),
        "must have the dtype of x",
    ),
    (
        "always float32",
        "x = x.float()\nweights = {n: w.float() for n, w in weights.items()}\n" + _lstm(),
        "must have dtype torch.bfloat16",
    ),
    ("nothing returned", _lstm(result="None"), "returns nothing yet"),
)

# ---------------------------------------------------------------- both ways


def _both(
    start: str = "h = words.new_zeros(words.size(0), U.size(0))",
    step: str = "h = torch.tanh(words[:, t] @ W.mT + h @ U.mT + b)",
    right: str = "right = walk(x.flip(1), *from_right).flip(1)",
    result: str = "torch.cat([left, right], dim=-1)",
    left: str = "left = walk(x, *from_left)",
) -> str:
    return f"""
def walk(words, W, U, b):
    {start}
    states = []
    for t in range(words.size(1)):
        {step}
        states.append(h)
    return torch.stack(states, dim=1)

{left}
{right}
return {result}
"""


_FORGETS = "h = torch.tanh(words[:, t] @ W.mT + words.new_zeros(len(words), len(U)) @ U.mT + b)"

_bugs(
    "both_ways",
    "both_ways(x, from_left, from_right)",
    (
        "both faults",
        _both(step=_FORGETS, right="right = walk(x.flip(1), *from_right)"),
        "h gets no new value",
    ),
    ("no memory", _both(step=_FORGETS), "h gets no new value"),
    (
        "states in the order of the walk",
        _both(right="right = walk(x.flip(1), *from_right)"),
        "in the order in which they were made",
    ),
    (
        "both from the left",
        _both(right="right = walk(x, *from_right)"),
        "reads from the left as well",
    ),
    (
        "columns turned round",
        _both(right="right = walk(x.flip(1), *from_right).flip(1).flip(-1)"),
        "the features are turned round",
    ),
    (
        "features flipped instead of words",
        _both(right="right = walk(x.flip(1), *from_right).flip(-1)"),
        "the right half of the columns",
    ),
    (
        "halves exchanged",
        _both(result="torch.cat([right, left], dim=-1)"),
        "the two halves are exchanged",
    ),
    (
        "weights of the other walk",
        _both(right="right = walk(x.flip(1), *from_left).flip(1)"),
        "uses the weights of the other one",
    ),
    ("one below the other", _both(result="torch.cat([left, right], dim=1)"), "wrong shape"),
    ("added", _both(result="left + right"), "wrong shape"),
    ("a pair", _both(result="(left, right)"), "side by side"),
    (
        "not transposed",
        _both(step="h = torch.tanh(words[:, t] @ W + h @ U + b)"),
        "multiply by the transpose",
    ),
    (
        "U not transposed",
        _both(step="h = torch.tanh(words[:, t] @ W.mT + h @ U + b)"),
        "the left half of the columns",
    ),
    (
        "no bias",
        _both(step="h = torch.tanh(words[:, t] @ W.mT + h @ U.mT)"),
        "the left half of the columns",
    ),
    (
        "no tanh",
        _both(step="h = words[:, t] @ W.mT + h @ U.mT + b"),
        "the left half of the columns",
    ),
    (
        "the right walk starts where the left one ends",
        _both(
            right="right = walk(torch.cat([x, x.flip(1)], 1), *from_right)[:, x.size(1):].flip(1)"
        ),
        "the right half of the columns",
    ),
    (
        "gradient cut",
        _both(step="h = torch.tanh(words[:, t] @ W.mT + h.detach() @ U.mT + b)"),
        "the gradient of both_ways",
    ),
    (
        "float32 start",
        _both(start="h = torch.zeros(words.size(0), U.size(0))"),
        "both_ways does not run",
    ),
)

# ---------------------------------------------------------------- influence


def _influence(
    seed: str = "y[t, j]",
    gather: str = "table[t] += g.square().sum(-1)",
    columns: str = "range(y.size(1))",
    result: str = "table.sqrt()",
    words: str = "x.detach().clone().requires_grad_()",
    table: str = "torch.zeros(len(x), len(x), dtype=x.dtype)",
) -> str:
    return f"""
words = {words}
y = layer(words)
table = {table}
for t in range(len(x)):
    for j in {columns}:
        (g,) = torch.autograd.grad({seed}, words, retain_graph=True)
        {gather}
return {result}
"""


_ONCE = "range(1)"
_bugs(
    "influence",
    "influence(layer, x)",
    (
        "the outputs summed first",
        _influence(seed="y[t].sum()", columns=_ONCE),
        "entries of different sign cancel",
    ),
    ("only the first column", _influence(columns=_ONCE), "only the first column"),
    ("only the last column", _influence(seed="y[t, -1]", columns=_ONCE), "only the last column"),
    (
        "all outputs at once",
        _influence(seed="y.sum()", columns=_ONCE),
        "the influence on the whole sentence",
    ),
    (
        "rows and columns exchanged",
        _influence(result="table.sqrt().T"),
        "rows and columns are exchanged",
    ),
    ("no root", _influence(result="table"), "the root is missing"),
    (
        "absolute values",
        _influence(gather="table[t] += g.abs().sum(-1)", result="table"),
        "absolute entries are summed",
    ),
    (
        "norms added",
        _influence(gather="table[t] += g.norm(dim=-1)", result="table"),
        "norms of single outputs are added",
    ),
    (
        "mean of norms",
        _influence(gather="table[t] += g.norm(dim=-1) / y.size(1)", result="table"),
        "norms of single outputs are averaged",
    ),
    (
        "mean over the outputs",
        _influence(seed="y[t].mean()", columns=_ONCE),
        "the mean over the outputs",
    ),
    (
        "root of the mean",
        "d = torch.autograd.functional.jacobian(layer, x.detach())\n"
        "return d.square().mean(dim=(1, 3)).sqrt()",
        "the mean is taken",
    ),
    (
        "largest singular value",
        "d = torch.autograd.functional.jacobian(layer, x.detach())\n"
        "return torch.linalg.matrix_norm(d.transpose(1, 2), 2)",
        "largest singular value",
    ),
    (
        "largest entry",
        "d = torch.autograd.functional.jacobian(layer, x.detach())\n"
        "return d.abs().amax(dim=(1, 3))",
        "largest entry",
    ),
    (
        "all derivatives",
        "return torch.autograd.functional.jacobian(layer, x.detach())",
        "the size of the matrix of each pair",
    ),
    (
        "rows that sum to one",
        _influence(result="table.sqrt() / table.sqrt().sum(1, keepdim=True)"),
        "divided by its sum",
    ),
    (
        "rows divided by the largest",
        _influence(result="table.sqrt() / table.sqrt().amax(1, keepdim=True)"),
        "divided by its largest entry",
    ),
    ("probed at zero", _influence(words="torch.zeros_like(x).requires_grad_()"), "probed at zero"),
    ("probed at ones", _influence(words="torch.ones_like(x).requires_grad_()"), "probed at ones"),
    (
        "always float32",
        _influence(table="torch.zeros(len(x), len(x))"),
        "must have dtype torch.float64",
    ),
    (
        "a nudge instead of a gradient",
        """
x = x.detach()
table = torch.zeros(len(x), len(x), dtype=x.dtype)
for s in range(len(x)):
    for j in range(x.size(1)):
        nudged = x.clone()
        nudged[s, j] += 1e-3
        table[:, s] += ((layer(nudged) - layer(x)) / 1e-3).square().sum(-1)
return table.sqrt().detach()
""",
        "influence of y = ",
    ),
    ("a small number under the root", _influence(result="(table + 1e-12).sqrt()"), "influence of"),
    (
        "asks x itself for gradients and changes it",
        """
x.mul_(1.0).add_(1e-2)
"""
        + _influence(),
        "changes its input",
    ),
    ("graph not kept", _influence().replace(", retain_graph=True", ""), "influence does not run"),
    (
        "only the last output, repeated",
        _influence(seed="y[-1, j]"),
        "only the last output is probed",
    ),
    (
        "summed inside the square",
        _influence(gather="table[t] += g.sum(-1).square()"),
        "summed before they are squared",
    ),
    (
        "the graph of the derivative is kept",
        "d = torch.autograd.functional.jacobian(layer, x.detach(), create_graph=True)\n"
        "return d.square().sum(dim=(1, 3)).sqrt()",
        "a gradient hangs on the table",
    ),
    (
        "a gradient hangs on it",
        _influence(result="table.sqrt().requires_grad_()"),
        "a gradient hangs on the table",
    ),
)

# ---------------------------------------------------------------- accuracy by distance


def _distance(
    distance: str = "length - 1 - places",
    right: str = "predicted == labels",
    which: str = "distance.unique().tolist()",
    share: str = "right[distance == d].double().mean().item()",
) -> str:
    return f"distance = {distance}\nright = {right}\nreturn {{d: {share} for d in {which}}}"


_bugs(
    "accuracy_by_distance",
    "accuracy_by_distance(predicted, labels, places, length)",
    ("places instead of distances", _distance(distance="places"), "these are the places"),
    (
        "counted from the end of the sentence",
        _distance(distance="length - places"),
        "its neighbour has distance 1",
    ),
    (
        "the neighbour has distance 0",
        _distance(distance="length - 2 - places"),
        "has distance 1, not 0",
    ),
    ("the sign turned round", _distance(distance="places - length + 1"), "sign is turned round"),
    (
        "errors instead of right answers",
        _distance(right="predicted != labels"),
        "the wrong answers",
    ),
    ("counts", _distance(share="float(right[distance == d].sum())"), "these are counts"),
    (
        "divided by all questions",
        _distance(share="float(right[distance == d].sum()) / len(labels)"),
        "divided by all questions",
    ),
    (
        "divided by all right answers",
        _distance(share="float(right[distance == d].sum()) / float(right.sum())"),
        "divided by all right answers",
    ),
    (
        "shares of the questions",
        _distance(share="(distance == d).double().mean().item()"),
        "shares of the questions",
    ),
    ("overall accuracy", _distance(share="right.double().mean().item()"), "same overall accuracy"),
    (
        "percent",
        _distance(share="100 * right[distance == d].double().mean().item()"),
        "these are percent",
    ),
    (
        "every distance",
        _distance(
            which="range(1, length)",
            share="right[distance == d].double().mean().nan_to_num().item()",
        ),
        "must be left out",
    ),
    (
        "not sorted",
        _distance(which="list(dict.fromkeys(reversed(distance.tolist())))"),
        "not sorted",
    ),
    ("tensors as keys", _distance(which="distance.unique()"), "never the same key"),
    ("tensors as values", _distance(share="right[distance == d].double().mean()"), "call item()"),
    (
        "a list",
        "distance = length - 1 - places\nright = predicted == labels\n"
        "return [right[distance == d].double().mean().item() for d in distance.unique().tolist()]",
        "must return a dictionary",
    ),
)

# ---------------------------------------------------------------- right, and unlike the model


def _right(name: str, body: str) -> Right:
    source = f"def influence(layer, x):\n{indent(body.strip(), '    ')}\n"
    return Right("influence", name, source)


_JACOBIAN = """
derivative = torch.autograd.functional.jacobian(layer, x.detach(), {options})
return derivative{end}.square().sum(dim=(1, 3)).sqrt()
"""
_LOOPS = """
x = x.detach().clone().requires_grad_()
y = layer(x)
result = torch.zeros(len(x), len(x), dtype=x.dtype)
for t in range(y.shape[0]):
    for j in range(y.shape[1]):
        {gradient}
        result[t] += gradient.square().sum(-1)
return result.sqrt().detach()
"""

RIGHT = [
    _right("vectorised jacobian", _JACOBIAN.format(options="vectorize=True", end="")),
    _right(
        "jacobian by the forward mode",
        _JACOBIAN.format(options="vectorize=True, strategy='forward-mode'", end=".detach()"),
    ),
    _right(
        "graph kept, then detached", _JACOBIAN.format(options="create_graph=True", end=".detach()")
    ),
    _right(
        "gradients in a batch",
        """
x = x.detach().clone().requires_grad_()
y = layer(x)
ones = torch.eye(y.numel(), dtype=y.dtype).view(-1, *y.shape)
(rows,) = torch.autograd.grad(y, x, ones, is_grads_batched=True)
return rows.view(*y.shape, *x.shape).square().sum(dim=(1, 3)).sqrt()
""",
    ),
    _right(
        "loops over grad",
        _LOOPS.format(gradient="(gradient,) = torch.autograd.grad(y[t, j], x, retain_graph=True)"),
    ),
    _right(
        "loops over backward",
        _LOOPS.format(
            gradient="x.grad = None; y[t, j].backward(retain_graph=True); gradient = x.grad"
        ),
    ),
    _right(
        "one column a jvp",
        """
x = x.detach()
squares = 0
for s in range(x.shape[0]):
    column = 0
    for i in range(x.shape[1]):
        v = torch.zeros_like(x)
        v[s, i] = 1
        column = column + torch.autograd.functional.jvp(layer, x, v)[1].square().sum(-1)
    squares = squares + torch.nn.functional.one_hot(torch.tensor(s), len(x)) * column[:, None]
return squares.sqrt()
""",
    ),
    _right(
        "one row a vjp",
        """
x = x.detach()
shape = layer(x).shape
result = torch.zeros(len(x), len(x), dtype=x.dtype)
for t in range(shape[0]):
    for j in range(shape[1]):
        v = torch.zeros(shape, dtype=x.dtype)
        v[t, j] = 1
        result[t] += torch.autograd.functional.vjp(layer, x, v)[1].square().sum(-1)
return result.sqrt()
""",
    ),
]
