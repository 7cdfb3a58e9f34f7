"""Named wrong answers to assignment 06: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from textwrap import indent

from grading.bugs import Bug, Right, function

BUGS: list[Bug] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


# ---------------------------------------------------------------- budget

_BUDGET = {
    "start": "into = 2 if gated else 1\n",
    "mha": "mha = 4 * d_model**2 + (4 * d_model if bias else 0)\n",
    "ffn": "ffn = (into + 1) * d_model * d_ff + (into * d_ff + d_model if bias else 0)\n",
    "mha_work": "mha_work = 4 * n_tokens * d_model**2 + 2 * n_tokens**2 * d_model\n",
    "ffn_work": "ffn_work = n_tokens * (into + 1) * d_model * d_ff\n",
    "equal": "equal = (into + 1) * d_ff / 2 - 2 * d_model\n",
    "none": "equal = equal if equal > 0 else None\n",
    "share": "share = ffn / (mha + ffn)\n",
    "end": """
return {
    "attention parameters": mha,
    "ffn parameters": ffn,
    "attention multiplications": mha_work,
    "ffn multiplications": ffn_work,
    "ffn share": share,
    "equal length": equal,
}
""",
}


def _budget(name: str, says: str, *more: str, **parts: str) -> None:
    lines = {key: text if text.endswith("\n") else text + "\n" for key, text in parts.items()}
    body = "".join((_BUDGET | lines).values())
    signature = "layer_budget(d_model, d_ff, n_tokens, gated=False, bias=True)"
    _add("layer_budget", name, function(signature, body), says, *more)


_budget(
    "no biases",
    "the biases are missing",
    mha="mha = 4 * d_model**2",
    ffn="ffn = (into + 1) * d_model * d_ff",
)
_budget(
    "no output projection",
    "the output projection is missing",
    mha="mha = 3 * d_model**2 + 3 * d_model * bias",
)
_budget(
    "one bias for the attention", "a bias of its own", mha="mha = 4 * d_model**2 + d_model * bias"
)
_budget(
    "biases in spite of bias=False",
    "with bias=False no map has a bias",
    mha="mha = 4 * d_model**2 + 4 * d_model",
)
_budget(
    "last bias of width F",
    "the last bias has D numbers",
    ffn="ffn = (into + 1) * d_model * d_ff + (into + 1) * d_ff * bias",
)
_budget(
    "biases of width D",
    "F numbers inside",
    ffn="ffn = (into + 1) * d_model * d_ff + (into + 1) * d_model * bias",
)
_budget(
    "gate ignored",
    "the third map of the gate is missing",
    start="into = 1",
)
_budget("always gated", "only with gated=True", start="into = 2")
_budget(
    "gate without its bias",
    "the map of the gate has a bias as well",
    ffn="ffn = (into + 1) * d_model * d_ff + (d_ff + d_model if bias else 0)",
)
_budget(
    "second map forgotten",
    "the second map is missing",
    ffn="ffn = into * d_model * d_ff + into * d_ff * bias",
)
_budget(
    "scores forgotten",
    "the scores and the weighted mean are missing",
    mha_work="mha_work = 4 * n_tokens * d_model**2",
)
_budget(
    "weighted mean forgotten",
    "scores and weighted mean take T T D each",
    mha_work="mha_work = 4 * n_tokens * d_model**2 + n_tokens**2 * d_model",
)
_budget(
    "work of one token",
    "each of the T tokens goes through the matrices",
    ffn_work="ffn_work = (into + 1) * d_model * d_ff",
)
_budget(
    "network over all pairs",
    "T, not T squared",
    ffn_work="ffn_work = n_tokens**2 * (into + 1) * d_model * d_ff",
)
_budget(
    "biases multiply",
    "biases do not count as multiplications",
    ffn_work="ffn_work = n_tokens * ((into + 1) * d_model * d_ff + into * d_ff + d_model)",
)
_budget(
    "product with the gate counted",
    "the product with the gate does not count",
    ffn_work="ffn_work = n_tokens * ((into + 1) * d_model * d_ff + (d_ff if gated else 0))",
)
_budget("FFN over attention", "divide by both together", share="share = ffn / mha")
_budget("share of the attention", "the share of the attention", share="share = mha / (mha + ffn)")
_budget("share in percent", "not in percent", share="share = 100 * ffn / (mha + ffn)")
_budget(
    "share of the work",
    "the share of the multiplications",
    share="share = ffn_work / (mha_work + ffn_work)",
)
_budget(
    "equal length without the gate",
    "the gate adds a third matrix",
    equal="equal = d_ff - 2 * d_model",
)
_budget(
    "equal length of scores and network",
    "the four projections of the attention are missing",
    equal="equal = (into + 1) * d_ff / 2",
)
_budget(
    "equal length with one product only",
    "two products, T T D each",
    equal="equal = (into + 1) * d_ff - 4 * d_model",
)
_budget(
    "equal length rounded down",
    "do not round",
    equal="equal = (into + 1) * d_ff // 2 - 2 * d_model",
)
_budget(
    "FLOPs of the network",
    "these are FLOPs",
    ffn_work="ffn_work = 2 * n_tokens * (into + 1) * d_model * d_ff",
)
_budget("equal length below 0", "no length above 0 is equal", none="")
_budget("equal length clipped", "no length above 0 is equal", none="equal = max(equal, 0)")
_budget(
    "entry left out",
    "lacks the entry 'equal length'",
    end=_BUDGET["end"].replace('    "equal length": equal,\n', ""),
)
_budget("nothing returned", "must return a dictionary", end="print(mha, ffn)")

# ---------------------------------------------------------------- module

_MODULE = {
    "signature": "self, d_model, d_ff, activation='relu'",
    "start": "super().__init__()\n",
    "known": "known = {'relu': F.relu, 'gelu': F.gelu}\n",
    "refuse": "if activation not in known:\n    raise ValueError(activation)\n",
    "choose": "self.activation = known[activation]\n",
    "first": "self.linear1 = nn.Linear(d_model, d_ff)\n",
    "second": "self.linear2 = nn.Linear(d_ff, d_model)\n",
    "more": "",
}


def _module(
    name: str,
    says: str,
    *more: str,
    forward: str = "return self.linear2(self.activation(self.linear1(x)))",
    **parts: str,
) -> None:
    lines = {
        key: text if not text or text.endswith("\n") or key == "signature" else text + "\n"
        for key, text in parts.items()
    }
    pieces = _MODULE | lines
    init = function(f"__init__({pieces.pop('signature')})", "".join(pieces.values()))
    body = indent(init + "\n" + function("forward(self, x)", forward), "    ")
    _add("FeedForward", name, f"class FeedForward(nn.Module):\n{body}", says, *more)


_module("no activation", "there is no activation", forward="return self.linear2(self.linear1(x))")
_module(
    "activated at the end too",
    "the second map is the last step",
    forward="return self.activation(self.linear2(self.activation(self.linear1(x))))",
)
_module(
    "activated at the end only",
    "not between the two",
    forward="return self.activation(self.linear2(self.linear1(x)))",
)
_module(
    "input activated",
    "the input is activated",
    forward="return self.linear2(self.linear1(self.activation(x)))",
)
_module(
    "input added",
    "residual connection comes in chapter 07",
    forward="return x + self.linear2(self.activation(self.linear1(x)))",
)
_module(
    "no biases",
    "lacks the parameter 'linear1.bias'",
    "E002-17",
    first="self.linear1 = nn.Linear(d_model, d_ff, bias=False)",
    second="self.linear2 = nn.Linear(d_ff, d_model, bias=False)",
)
_module(
    "second bias left out",
    "lacks the parameter 'linear2.bias'",
    second="self.linear2 = nn.Linear(d_ff, d_model, bias=False)",
)
_module(
    "inner width ignored",
    "not 4 D",
    "E002-17",
    first="self.linear1 = nn.Linear(d_model, 4 * d_model)",
    second="self.linear2 = nn.Linear(4 * d_model, d_model)",
)
_module(
    "maps in each other's place",
    "The first map widens",
    first="self.linear1 = nn.Linear(d_ff, d_model)",
    second="self.linear2 = nn.Linear(d_model, d_ff)",
    forward="return self.linear1(self.activation(self.linear2(x)))",
)
_module(
    "second map forward as well",
    "goes back, from F to D",
    second="self.linear2 = nn.Linear(d_model, d_ff)",
)
_module(
    "other names",
    "a sub-module named `linear1`",
    first="self.fc1 = nn.Linear(d_model, d_ff)",
    second="self.fc2 = nn.Linear(d_ff, d_model)",
    forward="return self.fc2(self.activation(self.fc1(x)))",
)
_module(
    "super forgotten",
    "before Module.__init__() call",
    start="",
)
_module(
    "bias on the second matrix",
    "the second bias is added to the matrix",
    "E001-12",
    forward="""
inner = self.activation(self.linear1(x))
return inner @ (self.linear2.weight + self.linear2.bias[:, None]).T
""",
)
_module(
    "bias of the second map not used",
    "the second bias is missing",
    forward="return F.linear(self.activation(self.linear1(x)), self.linear2.weight)",
)
_module(
    "first bias behind the activation",
    "the first bias is added after the activation",
    forward="""
inner = self.activation(F.linear(x, self.linear1.weight)) + self.linear1.bias
return self.linear2(inner)
""",
)
_module(
    "not transposed",
    "stored as (outputs, inputs)",
    forward="""
inner = self.activation(x @ self.linear1.weight + self.linear1.bias)
return inner @ self.linear2.weight + self.linear2.bias
""",
)
_module(
    "activation ignored, always ReLU",
    "the activation is ReLU",
    choose="self.activation = F.relu",
)
_module(
    "GELU by default", "the activation is GELU", signature="self, d_model, d_ff, activation='gelu'"
)
_module(
    "tanh form of GELU",
    "the tanh form of GELU",
    known="known = {'relu': F.relu, 'gelu': lambda u: F.gelu(u, approximate='tanh')}",
)
_module("sigmoid", "through a sigmoid", choose="self.activation = torch.sigmoid")
_module("softmax", "through a softmax", choose="self.activation = lambda u: u.softmax(-1)")
_module(
    "unknown activation accepted",
    "must raise a ValueError when it is made",
    refuse="",
    choose="self.activation = known.get(activation, F.relu)",
)
_module(
    "one unknown name refused only",
    "FeedForward(6, 10, 'Relu') must raise a ValueError",
    refuse="if activation == 'swish':\n    raise ValueError(activation)\n",
    choose="self.activation = known.get(activation, F.relu)",
)
_module(
    "both maps in a second container",
    "map once, as linear1 and linear2",
    more="self.net = nn.Sequential(self.linear1, nn.ReLU(), self.linear2)",
)
_module("unknown activation: KeyError", "raises KeyError", refuse="")
_module(
    "unknown activation refused when it is called",
    "when it is made, not later",
    refuse="",
    choose="self.name, self.known = activation, known",
    forward="""
if self.name not in self.known:
    raise ValueError(self.name)
return self.linear2(self.known[self.name](self.linear1(x)))
""",
)
_module(
    "dropout left in",
    "holds a dropout",
    more="self.dropout = nn.Dropout(0.1)",
    forward="return self.linear2(self.dropout(self.activation(self.linear1(x))))",
)
_module(
    "inner values averaged over the tokens",
    "averaged over the tokens",
    forward="""
inner = self.activation(self.linear1(x))
if x.dim() > 1:
    inner = inner.mean(-2, keepdim=True).expand_as(inner)
return self.linear2(inner)
""",
)
_module(
    "three axes only",
    "does not run on tensors of shape (6,)",
    forward="""
b, t, d = x.shape
return self.linear2(self.activation(self.linear1(x.reshape(b * t, d)))).view(b, t, d)
""",
)
_module(
    "axes flattened",
    "must keep the shape (6,)",
    forward="return self.linear2(self.activation(self.linear1(x.reshape(-1, x.size(-1))))).view("
    "x.size(0) if x.dim() > 2 else 1, -1, x.size(-1))",
)
_module(
    "writes over its input",
    "changes its input",
    forward="""
out = self.linear2(self.activation(self.linear1(x)))
if not x.requires_grad:
    x.relu_()
return out
""",
)
_module(
    "gradient lost",
    "no gradient reaches",
    forward="return self.linear2(self.activation(self.linear1(x)).detach())",
)
_module(
    "always float32",
    "must have dtype torch.bfloat16",
    forward="return self.linear2(self.activation(self.linear1(x))).float()",
)
_module(
    "start values of zero",
    "starts with equal numbers",
    more="nn.init.zeros_(self.linear1.bias)\nnn.init.zeros_(self.linear2.bias)",
)
_module(
    "a third map",
    "a parameter too many",
    more="self.gate = nn.Linear(d_model, d_ff)",
    forward="return self.linear2(self.activation(self.linear1(x)) * self.gate(x))",
)

# ---------------------------------------------------------------- debug


def _formula(name: str, body: str, says: str, *more: str) -> None:
    _add("feed_forward", name, function("feed_forward(x, w1, b1, w2, b2)", body), says, *more)


_formula(
    "as given: both biases on the matrices",
    "inner = F.relu(x @ (w1 + b1[:, None]).T)\nreturn inner @ (w2 + b2[:, None]).T",
    "both biases are added to the matrices",
    "E001-12",
)
_formula(
    "first bias repaired only",
    "inner = F.relu(x @ w1.T + b1)\nreturn inner @ (w2 + b2[:, None]).T",
    "the second bias is added to the matrix",
    "E001-12",
)
_formula(
    "second bias repaired only",
    "inner = F.relu(x @ (w1 + b1[:, None]).T)\nreturn inner @ w2.T + b2",
    "the first bias is added to the matrix",
    "E001-12",
)
_formula(
    "bias on the transposed matrix",
    "return F.relu(x @ w1.T + b1) @ (w2.T + b2)",
    "the second bias is added to the matrix",
    "E001-12",
)
_formula(
    "biases dropped",
    "return F.relu(x @ w1.T) @ w2.T",
    "both biases are missing",
    "E002-17",
)
_formula("first bias dropped", "return F.relu(x @ w1.T) @ w2.T + b2", "the first bias is missing")
_formula("second bias dropped", "return F.relu(x @ w1.T + b1) @ w2.T", "the second bias is missing")
_formula(
    "first bias behind the ReLU",
    "return (F.relu(x @ w1.T) + b1) @ w2.T + b2",
    "the first bias is added after the activation",
)
_formula(
    "ReLU at the end too",
    "return F.relu(F.linear(F.relu(F.linear(x, w1, b1)), w2, b2))",
    "the second map is the last step",
)
_formula("no ReLU", "return F.linear(F.linear(x, w1, b1), w2, b2)", "there is no activation")
_formula("GELU", "return F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2)", "the activation is GELU")
_formula(
    "not transposed",
    "return F.relu(x @ w1 + b1) @ w2 + b2",
    "stored as (outputs, inputs)",
)
_formula(
    "transposed where the sizes ask for it",
    "a = w1 if w1.shape[0] == x.shape[-1] else w1.T\n"
    "b = w2 if w2.shape[1] == x.shape[-1] else w2.T\n"
    "return F.relu(x @ a + b1) @ b + b2",
    "stored as (outputs, inputs)",
)
_formula(
    "writes over a bias",
    "out = F.linear(F.relu(F.linear(x, w1, b1)), w2, b2)\n"
    "if not b2.requires_grad:\n    b2 += 1e-3\nreturn out",
    "changes its input",
)
_formula(
    "gradient lost",
    "return F.linear(F.relu(F.linear(x, w1, b1)), w2, b2.detach())",
    "no gradient reaches b2",
)
_formula(
    "always float32",
    "return F.linear(F.relu(F.linear(x.float(), w1.float(), b1.float())), w2.float(), b2.float())",
    "must have dtype torch.bfloat16",
)

# ---------------------------------------------------------------- dependences

_WHO = """
n_sentences, length, width = x.shape
table = torch.zeros(n_sentences, length, n_sentences, length, dtype=torch.bool)
before = function(x)
for c in range(n_sentences):
    for s in range(length):
        changed = x.clone()
        changed[c, s] += torch.randn(width, dtype=x.dtype)
        table[:, :, c, s] = (function(changed) != before).any(dim=-1)
return table
"""


def _who(name: str, says: str, *changes: tuple[str, str], body: str = _WHO) -> None:
    for old, new in changes:
        assert old in body, (name, old)
        body = body.replace(old, new)
    _add("who_depends", name, function("who_depends(function, x)", body), says)


_PUSH = "changed[c, s] += torch.randn(width, dtype=x.dtype)"
_MOVED = "(function(changed) != before).any(dim=-1)"
_who(
    "the same push in all columns",
    "random numbers, one for each column",
    (_PUSH, "changed[c, s] += 1"),
)
_who(
    "the middle column not pushed",
    "push all columns",
    (
        _PUSH,
        "push = torch.randn(width, dtype=x.dtype)\n        push[width // 2] = 0\n"
        "        changed[c, s] += push",
    ),
)
_who("tokens doubled", "a token of zeros stays as it is", (_PUSH, "changed[c, s] *= 2"))
_who(
    "all sentences pushed at once",
    "all sentences are pushed at once",
    (_PUSH, "changed[:, s] += torch.randn(width, dtype=x.dtype)"),
)
_who("first column pushed only", "push all columns", (_PUSH, "changed[c, s, 0] += 1"))
_who(
    "first column looked at only",
    "look at all columns",
    (_MOVED, "(function(changed) != before)[..., 0]"),
)
_who("last column pushed only", "push all columns", (_PUSH, "changed[c, s, -1] += 1"))
_who(
    "tokens set to zero instead of pushed",
    "a token of zeros stays as it is, or a token is set to zero",
    (_PUSH, "changed[c, s] = 0"),
)
_who(
    "a threshold",
    "a weak influence counts",
    (_MOVED, "((function(changed) - before).abs() > 0.01).any(-1)"),
)
_who("outputs and tokens exchanged", "have changed places", ("table[:, :, c, s]", "table[c, s]"))
_who(
    "pushes add up",
    "does each push start afresh",
    ("for c in range", "changed = x.clone()\nfor c in range"),
    ("        changed = x.clone()\n        changed[c", "        changed[c"),
)
_who(
    "x itself is pushed",
    "changes x",
    ("changed = x.clone()", "changed = x"),
    ("before = function(x)", "before = function(x).clone()"),
)
_who(
    "own sentence only",
    "a token of another sentence can have an influence too",
    ("table[:, :, c, s] = " + _MOVED, "table[c, :, c, s] = " + _MOVED + "[c]"),
)
_who("all columns must move", "look at all columns", (".any(dim=-1)", ".all(dim=-1)"))
_who("nothing moves", "no output depends on any token", (_MOVED, "False"))
_who("everything moves", "everything depends on everything", (_MOVED, "True"))
_who("turned round", "the answer is turned round", ("return table", "return ~table"))
_who(
    "numbers instead of True",
    "must have dtype torch.bool",
    ("return table", "return table.float()"),
)
_who(
    "axes b, c, t, s",
    "The order of the axes is b, t, c, s",
    ("return table", "return table.transpose(1, 2)"),
)
_who(
    "sentences merged",
    "an axis of its own",
    ("return table", "return table.flatten(2).flatten(0, 1)"),
)
_who(
    "one sentence only",
    "The sentences are missing",
    ("return table", "return table[0, :, 0]"),
)
_who(
    "derivative of the sum of the columns",
    "a sum of its output columns has no derivative",
    body="""
n_sentences, length, _ = x.shape
table = torch.zeros(n_sentences, length, n_sentences, length, dtype=torch.bool)
leaf = x.clone().requires_grad_()
out = function(leaf)
for b in range(n_sentences):
    for t in range(length):
        (slope,) = torch.autograd.grad(out[b, t].sum(), leaf, retain_graph=True)
        table[b, t] = (slope != 0).any(-1)
return table
""",
)
_who(
    "derivative of all outputs together",
    "who_depends of [the left neighbour added] is wrong",
    body="""
n_sentences, length, width = x.shape
leaf = x.clone().requires_grad_()
out = function(leaf)
(slope,) = torch.autograd.grad((out * torch.randn(out.shape)).sum(), leaf)
table = torch.zeros(n_sentences, length, n_sentences, length, dtype=torch.bool)
for b in range(n_sentences):
    for t in range(length):
        table[b, t, b, t] = bool((slope[b, t] != 0).any())
return table
""",
)

# ---------------------------------------------------------------- GELU

_EXACT = "0.5 * x * (1 + torch.erf(x / math.sqrt(2)))"
_TANH = "0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))"
_GUARD = "if approximate not in ('none', 'tanh'):\n    raise ValueError(approximate)\n"


def _gelu(
    name: str,
    says: str,
    exact: str = _EXACT,
    tanh: str = _TANH,
    start: str = _GUARD,
    default: str = "none",
    note: str = "",
) -> None:
    body = f"{start}if approximate == 'tanh':\n    return {tanh}\nreturn {exact}"
    source = "import math\n\n\n" + function(f"gelu(x, approximate={default!r})", body)
    _add("gelu", name, source, says, "", note)


_gelu("ReLU", "this is ReLU", exact="x.relu()")
_gelu("SiLU", "this is SiLU", exact="x * torch.sigmoid(x)")
_gelu("sigmoid with 1.702", "another approximation", exact="x * torch.sigmoid(1.702 * x)")
_gelu("no root of 2", "not divided by the root of 2", exact="0.5 * x * (1 + torch.erf(x))")
_gelu(
    "2 instead of its root",
    "divided by 2, not by its root",
    exact="0.5 * x * (1 + torch.erf(x / 2))",
)
_gelu("no half", "the half is missing", exact="x * (1 + torch.erf(x / math.sqrt(2)))")
_gelu("no 1", "the 1 is missing", exact="0.5 * x * torch.erf(x / math.sqrt(2))")
_gelu("probability alone", "multiply it by u", exact="0.5 * (1 + torch.erf(x / math.sqrt(2)))")
_gelu("tanh form twice", "the tanh form is computed", exact=_TANH)
_gelu("exact form twice", "the exact form is computed", tanh=_EXACT)
_gelu("tanh form, no half", "half of 1 + tanh", tanh=_TANH.replace("0.5 * ", ""))
_gelu("tanh form, no u", "the factor u is missing", tanh=_TANH.replace("x * (1", "(1"))
_gelu("tanh form, no cube", "the cube is missing", tanh=_TANH.replace(" + 0.044715 * x**3", ""))
_gelu("tanh form, a square", "must be cubed", tanh=_TANH.replace("x**3", "x**2"))
_gelu(
    "tanh form, cube outside of the product",
    "multiplies u, but not the cube",
    tanh="0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * x + 0.044715 * x**3))",
)
_gelu(
    "tanh form, no root",
    "without the root",
    tanh=_TANH.replace("math.sqrt(2 / math.pi)", "2 / math.pi"),
)
_gelu("tanh form, upside down", "upside down", tanh=_TANH.replace("2 / math.pi", "math.pi / 2"))
_gelu(
    "tanh form, no factor",
    "before the tanh's sum",
    tanh=_TANH.replace("math.sqrt(2 / math.pi) * ", ""),
)
_gelu(
    "tanh from exponentials",
    "a fraction of exponentials overflows",
    start=_GUARD + "z = (2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).exp()\n",
    tanh="0.5 * x * (1 + (z - 1) / (z + 1))",
)
_gelu("tanh form by default", "the default is the tanh form", default="tanh")
_gelu("unknown form accepted", "must raise a ValueError", start="")
_gelu("unknown form: KeyError", "raises KeyError", start="{'none': 0, 'tanh': 1}[approximate]\n")
_gelu("gradient lost", "loses the gradient", start=_GUARD + "x = x.detach()\n")
_gelu("always float32", "must have dtype torch.float16", start=_GUARD + "x = x.float()\n")
_gelu(
    "the probability treated as a constant",
    "the gradient of gelu",
    exact="x * (0.5 * (1 + torch.erf(x / math.sqrt(2)))).detach()",
)
_gelu(
    "writes over its input",
    "changes its input",
    exact="x.mul_(0.5 * (1 + torch.erf(x / math.sqrt(2)))) if not x.requires_grad else " + _EXACT,
)

# ---------------------------------------------------------------- gated

_SWIGLU = "return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)"


def _gated(name: str, says: str, swiglu: str) -> None:
    _add("swiglu", name, function("swiglu(x, gate, up, down)", swiglu), says)


def _width(name: str, says: str, width: str) -> None:
    _add("gated_width", name, function("gated_width(d_ff, multiple=1)", width), says)


_INNER = "F.silu(F.linear(x, gate)) * F.linear(x, up)"
_gated(
    "gate and up exchanged",
    "gate and up have changed places",
    _SWIGLU.replace(_INNER, "F.linear(x, gate) * F.silu(F.linear(x, up))"),
)
_gated("nothing activated", "nothing is activated", _SWIGLU.replace("F.silu", ""))
_gated("sigmoid", "SiLU is u sigmoid(u)", _SWIGLU.replace("F.silu", "torch.sigmoid"))
_gated("GELU", "that is GEGLU", _SWIGLU.replace("F.silu", "F.gelu"))
_gated("ReLU", "through ReLU", _SWIGLU.replace("F.silu", "F.relu"))
_gated(
    "both activated",
    "both products are activated",
    _SWIGLU.replace("* F.linear(x, up)", "* F.silu(F.linear(x, up))"),
)
_gated(
    "product activated",
    "the product is activated, not the gate",
    _SWIGLU.replace(_INNER, "F.silu(F.linear(x, gate) * F.linear(x, up))"),
)
_gated("added", "the two are added", _SWIGLU.replace("gate)) *", "gate)) +"))
_gated(
    "up ignored",
    "the third matrix is ignored",
    "return F.linear(F.silu(F.linear(x, gate)), down)",
)
_gated(
    "output activated", "the output is activated too", f"return F.silu(F.linear({_INNER}, down))"
)
_gated(
    "input added", "there is no residual connection here", f"return x + F.linear({_INNER}, down)"
)
_gated("last matrix forgotten", "bring it back to width D", f"return {_INNER}")
_gated(
    "not transposed",
    "stored as (outputs, inputs)",
    "return (F.silu(x @ gate) * (x @ up)) @ down",
)
_gated(
    "not transposed where the sizes allow it",
    "stored as (outputs, inputs)",
    "if gate.shape[0] == gate.shape[1]:\n"
    "    return (F.silu(x @ gate) * (x @ up)) @ down\n" + _SWIGLU,
)
_gated(
    "SiLU from exponentials",
    "overflows",
    "u = F.linear(x, gate)\nreturn F.linear(u * (u.exp() / (1 + u.exp())) * F.linear(x, up), down)",
)
_gated(
    "gradient lost",
    "no gradient reaches gate",
    _SWIGLU.replace("F.linear(x, gate)", "F.linear(x, gate).detach()"),
)
_gated(
    "always float32",
    "must have dtype torch.bfloat16",
    "x, gate, up, down = x.float(), gate.float(), up.float(), down.float()\n" + _SWIGLU,
)
_gated(
    "writes over its input",
    "changes its input",
    _SWIGLU.replace("return ", "out = ") + "\nif not x.requires_grad:\n    x.zero_()\nreturn out",
)
_width("width as before", "more weights than two", "return d_ff // multiple * multiple")
_width("width upside down", "upside down", "return 3 * d_ff // 2 // multiple * multiple")
_width("width rounded up", "round down", "return -(-2 * d_ff // 3 // multiple) * multiple")
_width("width rounded", "round down", "return round(2 * d_ff / 3 / multiple) * multiple")
_width("multiple ignored", "not a multiple", "return 2 * d_ff // 3")
_width("rounded before", "round down once", "return d_ff // 3 * 2 // multiple * multiple")
_width("a float", "must be a whole number", "return 2 * d_ff / 3 // multiple * multiple")
_width("half", "not four", "return d_ff // 2 // multiple * multiple")
_width(
    "rounded before the multiple", "round down", "return round(2 * d_ff / 3) // multiple * multiple"
)
_width(
    "nearest multiple of one",
    "round down",
    "return int(2 * d_ff / 3 + 0.5) if multiple == 1 else 2 * d_ff // 3 // multiple * multiple",
)
_width("printed only", "must be a whole number", "print(2 * d_ff // 3 // multiple * multiple)")


RIGHT = [
    Right(
        "layer_budget",
        "counted from lists of shapes",
        """def layer_budget(d_model, d_ff, n_tokens, gated=False, bias=True):
    def count(shapes, with_bias):
        return sum(a * b + (b if with_bias else 0) for a, b in shapes)

    attention = [(d_model, d_model)] * 4
    network = [(d_model, d_ff)] * (2 if gated else 1) + [(d_ff, d_model)]
    a, f = count(attention, bias), count(network, bias)
    free = count(network, False) - count(attention, False)
    return dict(
        zip(
            (
                "ffn parameters",
                "attention parameters",
                "ffn multiplications",
                "attention multiplications",
                "ffn share",
                "equal length",
            ),
            (
                f,
                a,
                n_tokens * count(network, False),
                n_tokens * count(attention, False) + 2 * n_tokens * n_tokens * d_model,
                1 - a / (a + f),
                free / (2 * d_model) if free > 0 else None,
            ),
        )
    )
""",
    ),
    Right(
        "layer_budget",
        "counted from modules",
        """def layer_budget(d_model, d_ff, n_tokens, gated=False, bias=True):
    maps = {"attention": nn.ModuleList(), "ffn": nn.ModuleList()}
    for _ in range(4):
        maps["attention"].append(nn.Linear(d_model, d_model, bias))
    for _ in range(1 + bool(gated)):
        maps["ffn"].append(nn.Linear(d_model, d_ff, bias))
    maps["ffn"].append(nn.Linear(d_ff, d_model, bias))
    budget = {}
    for name, part in maps.items():
        budget[f"{name} parameters"] = sum(p.numel() for p in part.parameters())
        budget[f"{name} multiplications"] = n_tokens * sum(one.weight.numel() for one in part)
    more = budget["ffn multiplications"] - budget["attention multiplications"]
    budget["equal length"] = more / n_tokens / 2 / d_model if more > 0 else None
    budget["attention multiplications"] += 2 * n_tokens**2 * d_model
    counts = budget["attention parameters"], budget["ffn parameters"]
    budget["ffn share"] = counts[1] / sum(counts)
    return budget
""",
    ),
    Right(
        "FeedForward",
        "a choice in forward, an error of its own",
        """class UnknownActivation(ValueError):
    pass


class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff, activation="relu"):
        super().__init__()
        if activation != "relu" and activation != "gelu":
            raise UnknownActivation(activation)
        self.name = activation
        self.linear2 = nn.Linear(d_ff, d_model)
        self.linear1 = nn.Linear(d_model, d_ff)

    def forward(self, x):
        h = self.linear1(x)
        if self.name == "gelu":
            h = h * 0.5 * (1 + torch.erf(h * 0.5**0.5))
        else:
            h = torch.where(h > 0, h, torch.zeros_like(h))
        return self.linear2(h)
""",
    ),
    Right(
        "FeedForward",
        "functions of the parameters, a lambda, flat tokens",
        """class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff, activation="relu"):
        try:
            bend = {"relu": lambda h: h.clamp(min=0), "gelu": nn.GELU()}[activation]
        except KeyError:
            raise ValueError(f"activation {activation!r}") from None
        super(FeedForward, self).__init__()
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.bend = lambda h: bend(h)

    def forward(self, x):
        flat = x.reshape(-1, x.size(-1))
        inner = self.bend(torch.addmm(self.linear1.bias, flat, self.linear1.weight.T))
        return F.linear(inner, self.linear2.weight, self.linear2.bias).reshape(x.shape)
""",
    ),
    Right(
        "FeedForward",
        "match, in place on its own inner units",
        """class FeedForward(nn.Module):
    def __init__(self, d_model: int, d_ff: int, activation: str = "relu") -> None:
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff, bias=True)
        self.linear2 = nn.Linear(d_ff, d_model, bias=True)
        match activation:
            case "relu":
                self.bend = torch.relu_
            case "gelu":
                self.bend = F.gelu
            case _:
                raise ValueError(f"unknown activation: {activation}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear2(self.bend(self.linear1(x)))
""",
    ),
    Right(
        "feed_forward",
        "unit by unit",
        """def feed_forward(x, w1, b1, w2, b2):
    out = b2.expand_as(x)
    for i in range(len(w1)):
        unit = torch.relu((x * w1[i]).sum(-1) + b1[i])
        out = out + unit[..., None] * w2[:, i]
    return out
""",
    ),
    Right(
        "feed_forward",
        "einsum, in float64 inside",
        """def feed_forward(x, w1, b1, w2, b2):
    u = torch.einsum("...d,fd->...f", x.double(), w1.double()).add(b1.double())
    u = u * (u > 0)
    return (torch.einsum("...f,df->...d", u, w2.double()) + b2.double()).to(x.dtype)
""",
    ),
    Right(
        "feed_forward",
        "the biases as a column more",
        """def feed_forward(x, w1, b1, w2, b2):
    def affine(z, w, b):
        one = torch.ones_like(z[..., :1])
        return torch.cat([z, one], dim=-1) @ torch.cat([w, b.unsqueeze(1)], dim=1).mT

    return affine(torch.maximum(affine(x, w1, b1), x.new_zeros(())), w2, b2)
""",
    ),
    Right(
        "feed_forward",
        "F.linear, in place on its own inner units",
        """def feed_forward(x, w1, b1, w2, b2):
    return F.linear(F.linear(x, w1, b1).clamp_(min=0), w2, bias=b2)
""",
    ),
    Right(
        "who_depends",
        "derivatives of weighted outputs",
        """def who_depends(function, x):
    x = x.detach().clone().requires_grad_(True)
    y = function(x)
    weighted = (y * torch.rand(y.shape[-1], dtype=y.dtype).add(0.5)).sum(-1)
    table = []
    for output in weighted.flatten():
        (slope,) = torch.autograd.grad(output, x, retain_graph=True)
        table.append((slope.abs() > 0).any(dim=-1))
    return torch.stack(table).unflatten(0, weighted.shape)
""",
    ),
    Right(
        "who_depends",
        "another token in its place",
        """def who_depends(function, x):
    before = function(x)
    columns = []
    for here in torch.eye(x.shape[0] * x.shape[1], dtype=torch.bool):
        here = here.view(*x.shape[:2], 1)
        other = torch.where(here, x + 1 + torch.rand_like(x), x)
        columns.append((function(other) - before).abs().amax(-1) != 0)
    return torch.stack(columns, dim=-1).reshape(*x.shape[:2], *x.shape[:2])
""",
    ),
    Right(
        "gelu",
        "the normal distribution, in float64 inside",
        """def gelu(x, approximate="none"):
    wide = x.double()
    if approximate == "tanh":
        wide = wide * torch.sigmoid((8 / torch.pi) ** 0.5 * (wide + 0.044715 * wide.pow(3)))
    elif approximate == "none":
        wide = wide * torch.special.ndtr(wide)
    else:
        raise ValueError(approximate)
    return wide.to(x.dtype)
""",
    ),
    Right(
        "gelu",
        "erfc, a dictionary",
        """from math import pi, sqrt


class NoSuchForm(ValueError):
    pass


FORMS = {
    "none": lambda u: torch.erfc(-u / sqrt(2)),
    "tanh": lambda u: torch.tanh(sqrt(2 / pi) * u * (1 + 0.044715 * u.square())) + 1,
}


def gelu(x, approximate="none"):
    if approximate not in FORMS:
        raise NoSuchForm(f"{approximate} is none of {list(FORMS)}")
    return x * FORMS[approximate](x) / 2
""",
    ),
    Right(
        "gelu",
        "Normal.cdf",
        """def gelu(x, approximate="none"):
    if approximate == "none":
        return x * torch.distributions.Normal(0.0, 1.0).cdf(x)
    if approximate == "tanh":
        inner = (x * x * x).mul(0.044715).add(x).mul((2 / torch.pi) ** 0.5)
        return (x + x * inner.tanh()) * 0.5
    raise ValueError("unknown form")
""",
    ),
    Right(
        "swiglu",
        "einsum, the sigmoid by hand",
        """def swiglu(x, gate, up, down):
    u = torch.einsum("...d,fd->...f", x, gate)
    v = torch.einsum("...d,fd->...f", x, up)
    return torch.einsum("...f,df->...d", u * torch.sigmoid(u) * v, down)
""",
    ),
    Right(
        "swiglu",
        "one product for gate and up, in float64 inside",
        """def swiglu(x, gate, up, down):
    both = x.double() @ torch.cat([gate, up]).double().T
    u, v = both.chunk(2, dim=-1)
    return (u / (1 + torch.exp(-u)) * v @ down.double().T).to(dtype=x.dtype)
""",
    ),
    Right(
        "swiglu",
        "unit by unit",
        """def swiglu(x, gate, up, down):
    out = torch.zeros_like(x)
    for g, u, d in zip(gate, up, down.T):
        out = out + torch.outer(F.silu(x.reshape(-1, len(g)) @ g) * (x @ u).flatten(), d).view_as(x)
    return out
""",
    ),
    Right(
        "gated_width",
        "the last width that still fits",
        """def gated_width(d_ff, multiple=1):
    width = 0
    while 3 * (width + multiple) <= 2 * d_ff:
        width += multiple
    return width
""",
    ),
    Right(
        "gated_width",
        "one division, with the rest taken off",
        """gated_width = lambda d_ff, multiple=1: (2 * d_ff // 3) - (2 * d_ff // 3) % multiple
""",
    ),
    Right(
        "gated_width",
        "a floor",
        """from fractions import Fraction
from math import floor


def gated_width(d_ff, multiple=1):
    return multiple * floor(Fraction(2 * d_ff, 3 * multiple))
""",
    ),
    Right(
        "FeedForward",
        "the activation a module",
        """class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff, activation="relu"):
        super().__init__()
        if activation not in ("relu", "gelu"):
            raise ValueError(f"{activation!r} is neither relu nor gelu")
        self.linear1 = nn.Linear(d_model, d_ff)
        self.activation = nn.ReLU() if activation == "relu" else nn.GELU()
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x):
        x = self.linear1(x)
        x = self.activation(x)
        x = self.linear2(x)
        return x
""",
    ),
    Right(
        "FeedForward",
        "derived from nn.Sequential",
        """class FeedForward(nn.Sequential):
    def __init__(self, d_model, d_ff, activation="relu"):
        known = {"relu": nn.ReLU, "gelu": nn.GELU}
        if activation not in known.keys():
            raise ValueError(activation)
        super().__init__()
        self.add_module("linear1", nn.Linear(d_model, d_ff))
        self.add_module("bend", known[activation]())
        self.add_module("linear2", nn.Linear(d_ff, d_model))
""",
    ),
    Right(
        "swiglu",
        "an object that can be called",
        """class SwiGLU(nn.Module):
    def forward(self, x, gate, up, down):
        return (F.silu(x @ gate.mT) * (x @ up.mT)) @ down.mT


swiglu = SwiGLU()
""",
    ),
    Right(
        "gelu",
        "16 bits by a call of itself in float32",
        """def gelu(x, approximate="none"):
    if x.dtype in (torch.float16, torch.bfloat16):
        return gelu(x.float(), approximate).to(x.dtype)
    match approximate:
        case "none":
            return x / 2 + x / 2 * torch.special.erf(x * 0.5**0.5)
        case "tanh":
            return x * torch.sigmoid((8 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))
    raise ValueError(approximate)
""",
    ),
]
