"""Named wrong answers to assignment 08: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``); the
others are the classic slips of students. They are changes of the model answers, so that a wrong
answer stays wrong for its one reason when a model answer is improved.
"""

from grading.answers import reference_answers
from grading.bugs import Bug, Right
from grading.course import Course

BUGS: list[Bug] = []
ANSWERS = reference_answers(Course(), "08-encoder")


def _change(task: str, name: str, says: str, *swaps: tuple[str, str], **more: str) -> None:
    """A wrong answer: the model answer with some of its text exchanged."""
    source = ANSWERS[task]
    for old, new in swaps:
        if source.count(old) < 1:
            raise ValueError(f"{name}: {old!r} is not in the model answer of {task}")
        source = source.replace(old, new)
    BUGS.append(Bug(task, name, source, says, more.get("errata", ""), more.get("note", "")))


# ---------------------------------------------------------------- eight steps


def _steps(name: str, says: str, post: str, pre: str | None = None, errata: str = "") -> None:
    source = (
        "def eight_steps(norm_first):\n"
        f"    post = {post.split()!r}\n"
        f"    pre = {(pre or post).split()!r}\n"
        "    return pre if norm_first else post\n"
    )
    BUGS.append(Bug("eight_steps", name, source, says, errata))


_POST = "embedding positions attention add norm feed-forward add norm"
_PRE = "embedding positions norm attention add norm feed-forward add"
_steps(
    "no residual and no norm",
    "occurs 0 times",
    "embedding positions attention feed-forward",
    errata="E002-19",
)
_steps(
    "one norm and one residual, at the end",
    "occurs 1 times",
    "embedding positions attention feed-forward norm add",
    errata="E001-07",
)
_steps("no embedding", "ids become vectors", _POST.partition(" ")[2], errata="E001-08")
_steps("positions after attention", "The first two steps", _POST.replace("positions ", "", 1))
_steps("post-norm for both", "In pre-norm the norm stands in front", _POST)
_steps("pre-norm for both", "In post-norm the norm comes last", _PRE)
_steps("the other way round", "In post-norm the norm comes last", _PRE, _POST)
_steps(
    "norm before the sum",
    "In post-norm the norm comes last",
    "embedding positions attention norm add feed-forward norm add",
    _PRE,
)
_steps(
    "sum before the attention",
    "The sum comes after attention",
    "embedding positions add attention norm add feed-forward norm",
    _PRE,
)
_steps(
    "feed-forward first",
    "works on what attention has gathered",
    "embedding positions feed-forward add norm attention add norm",
    _PRE,
)
_steps("a name of one's own", "is none of the names", _POST.replace("add", "residual"))

# ---------------------------------------------------------------- pieces


def _pieces(name: str, says: str, *swaps: tuple[str, str], errata: str = "") -> None:
    _change("pieces", name, says, *swaps, errata=errata)


_NORM = """class LayerNorm(encoderlib.LayerNorm):
    def __init__(self, d_model, eps=1e-5):
        super().__init__(d_model, eps)
"""


def _norm(body: str) -> str:
    """A layer norm of one's own, which computes ``body`` from x, mean, variance and eps."""
    return f"""class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, correction=0)
        return {body}
"""


_pieces(
    "LayerNorm: variance over D - 1",
    "the variance is divided by D - 1",
    (
        _NORM,
        _norm("(x - mean) / (x.var(-1, keepdim=True) + self.eps).sqrt() * self.weight + self.bias"),
    ),
)
_pieces(
    "LayerNorm: eps outside of the root",
    "eps stands outside of the root",
    (_NORM, _norm("(x - mean) / (var.sqrt() + self.eps) * self.weight + self.bias")),
)
_pieces(
    "LayerNorm: eps ignored",
    "eps is ignored",
    ("super().__init__(d_model, eps)", "super().__init__(d_model)"),
)
_pieces(
    "LayerNorm: no gain and shift",
    "gain and shift are missing",
    (_NORM, _norm("(x - mean) / (var + self.eps).sqrt()")),
)
_FFN = """class FeedForward(encoderlib.FeedForward):
    def __init__(self, d_model, d_ff, activation="relu"):
        super().__init__(d_model, d_ff, activation)
"""
_OWN_FFN = """class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff, activation="relu"):
        super().__init__()
        self.activation = {"relu": F.relu, "gelu": F.gelu}[activation]
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x):
        inner = self.activation(self.linear1(x))
        return BODY
"""
_pieces(
    "FeedForward: bias added to the matrix",
    "the second bias is added to the matrix",
    (
        _FFN,
        _OWN_FFN.replace("BODY", "inner @ (self.linear2.weight.T + self.linear2.bias)"),
    ),
    errata="E001-12",
)
_pieces(
    "FeedForward: always ReLU",
    "the activation is always relu",
    ("super().__init__(d_model, d_ff, activation)", 'super().__init__(d_model, d_ff, "relu")'),
)
_pieces(
    "FeedForward: a residual of its own",
    "the input is added: the residual belongs to the connection",
    (_FFN, _OWN_FFN.replace("BODY", "x + self.linear2(inner)")),
)
_SUM = """        total = x + self.dropout(sublayer(self.norm(x) if self.first else x))
        return total if self.first else self.norm(total)
"""
_pieces(
    "SublayerConnection: norm before the sum",
    "the norm stands before the addition",
    (_SUM, "        return x + self.norm(self.dropout(sublayer(x)))\n"),
    errata="E001-07",
)
_pieces(
    "SublayerConnection: no residual",
    "there is no residual",
    ("total = x + self.dropout", "total = self.dropout"),
    errata="E002-19",
)
_pieces(
    "SublayerConnection: norm_first ignored",
    "norm_first is ignored",
    ("self.first = norm_first", "self.first = False"),
)
_pieces(
    "SublayerConnection: the residual is dropped, too",
    "dropout of a part that is zero",
    (
        "total = x + self.dropout(sublayer(self.norm(x) if self.first else x))",
        "total = self.dropout(x + sublayer(self.norm(x) if self.first else x))",
    ),
    errata="E002-15",
)
_pieces(
    "add_positions: no factor",
    "the factor √D is missing",
    ("math.sqrt(x.size(-1)) * x + rows", "x + rows"),
)
_pieces(
    "add_positions: start ignored",
    "the start is ignored",
    ("table[start : start + x.size(-2)]", "table[: x.size(-2)]"),
)
_pieces(
    "sinusoids: base ignored",
    "the base is ignored",
    ("encoderlib.sinusoids(length, d_model, base)", "encoderlib.sinusoids(length, d_model)"),
)
_pieces(
    "attention: mask ignored",
    "the mask is ignored",
    (
        "encoderlib.scaled_dot_product_attention(query, key, value, mask)",
        "encoderlib.scaled_dot_product_attention(query, key, value)",
    ),
)
_pieces(
    "padding_mask: True for padding",
    "True stands for padding",
    (
        "return encoderlib.padding_mask(encoderlib.lengths_to_tokens(lengths, size))",
        "return ~encoderlib.padding_mask(encoderlib.lengths_to_tokens(lengths, size))",
    ),
)
_pieces(
    "multi_head_attention: tokens ignored",
    "the padding is not hidden",
    ("scaled_dot_product_attention(*split, mask)", "scaled_dot_product_attention(*split)"),
    errata="E000-06",
)
_pieces(
    "multi_head_attention: heads without a transpose",
    "heads are cut out by a reshape alone",
    (
        "x.unflatten(-1, (n_heads, -1)).transpose(1, 2) for x in projected",
        "x.reshape(x.size(0), n_heads, x.size(1), -1) for x in projected",
    ),
)
_pieces(
    "SelfAttention: tokens not handed on",
    "the padding is not hidden",
    ("weights, self.n_heads, tokens)", "weights, self.n_heads)"),
    errata="E000-06",
)
_pieces(
    "SelfAttention: one head",
    "there is only one head",
    ("weights, self.n_heads, tokens)", "weights, 1, tokens)"),
)
_pieces(
    "SelfAttention: copies of the weights",
    "it loses the gradient",
    (".weight,\n", ".weight.detach(),\n"),
    (".bias,\n", ".bias.detach(),\n"),
)
_pieces(
    "SelfAttention: the linear maps are called, too",
    "out_proj is called on what is read",
    ("multi_head_attention(x, x, weights", "multi_head_attention(self.out_proj(x), x, weights"),
)
_pieces(
    "SelfAttention: the output projection twice",
    "the output projection is applied twice",
    (
        "return multi_head_attention(x, x, weights, self.n_heads, tokens)",
        "return self.out_proj(multi_head_attention(x, x, weights, self.n_heads, tokens))",
    ),
)
_pieces(
    "SelfAttention: weights copied in the constructor",
    "copies made in the constructor",
    (
        "        self.out_proj = nn.Linear(d_model, d_model)\n",
        "        self.out_proj = nn.Linear(d_model, d_model)\n"
        "        maps = {'in_proj': self.in_proj, 'out_proj': self.out_proj}\n"
        "        self.copies = {\n"
        "            f'{name}_{kind}': getattr(one, kind).detach().clone()\n"
        "            for name, one in maps.items()\n"
        "            for kind in ('weight', 'bias')\n"
        "        }\n",
    ),
    ("(x, x, weights,", "(x, x, self.copies,"),
)
_pieces(
    "SelfAttention: other names",
    "parameters of other names",
    ("self.in_proj", "self.input"),
)

# ---------------------------------------------------------------- one layer


def _layer(name: str, says: str, *swaps: tuple[str, str], errata: str = "") -> None:
    _change("encoder_layer", name, says, *swaps, errata=errata)


_FIRST = "x = self.connection1(x, lambda z: self.attention(z, tokens))  # (B, T, D)\n"
_SECOND = "return self.connection2(x, self.feedforward)  # (B, T, D)"
_BOTH = _FIRST + "        " + _SECOND
_layer(
    "no mask",
    "the padding is not hidden",
    ("self.attention(z, tokens)", "self.attention(z)"),
    errata="E000-06",
)
_layer(
    "mask the wrong way round",
    "True is read as padding",
    (
        "lambda z: self.attention(z, tokens)",
        "lambda z: self.attention(z, tokens if tokens is None else ~tokens)",
    ),
)
_layer(
    "one connection for both halves",
    "uses one connection twice",
    (
        "self.connection2 = SublayerConnection(d_model, dropout, norm_first, eps)",
        "self.connection2 = self.connection1",
    ),
)
_layer(
    "the first connection called twice",
    "one connection is called for both halves",
    ("return self.connection2", "return self.connection1"),
)
_layer(
    "norm_first not handed on",
    "norm_first is not handed on",
    ("dropout, norm_first, eps)", "dropout, False, eps)"),
)
_layer(
    "eps not handed on",
    "eps is not handed on",
    ("dropout, norm_first, eps)", "dropout, norm_first)"),
)
_layer(
    "dropout not handed on",
    "drops nothing in training, or in one half only",
    ("(d_model, dropout, norm_first, eps)", "(d_model, 0.0, norm_first, eps)"),
)
_layer(
    "dropout in the first half only",
    "drops nothing in training, or in one half only",
    (
        "self.connection2 = SublayerConnection(d_model, dropout,",
        "self.connection2 = SublayerConnection(d_model, 0.0,",
    ),
)
_layer(
    "activation not handed on",
    "the activation is not handed on",
    ("FeedForward(d_model, d_ff, activation)", "FeedForward(d_model, d_ff)"),
)
_layer(
    "d_ff ignored",
    "has shape",
    ("FeedForward(d_model, d_ff, activation)", "FeedForward(d_model, 4 * d_model, activation)"),
)
_layer(
    "one head",
    "there is only one head",
    ("SelfAttention(d_model, n_heads)", "SelfAttention(d_model, 1)"),
)
_layer(
    "feed-forward first",
    "the feed-forward network comes first, each part in its own connection",
    (
        _BOTH,
        "x = self.connection2(x, self.feedforward)\n"
        "        return self.connection1(x, lambda z: self.attention(z, tokens))",
    ),
)
_layer(
    "halves exchanged with their connections",
    "the feed-forward network comes first",
    (
        _BOTH,
        "x = self.connection1(x, self.feedforward)\n"
        "        return self.connection2(x, lambda z: self.attention(z, tokens))",
    ),
)
_layer(
    "connections exchanged",
    "the two connections are exchanged",
    (
        _BOTH,
        "x = self.connection2(x, lambda z: self.attention(z, tokens))\n"
        "        return self.connection1(x, self.feedforward)",
    ),
)
_layer(
    "a second residual",
    "the residual is added twice",
    ("x = self.connection1(", "x = x + self.connection1("),
    ("return self.connection2(", "return x + self.connection2("),
)
_layer(
    "a residual too many, around the attention",
    "the residual of the attention is added once more",
    ("x = self.connection1(", "x = x + self.connection1("),
)
_layer(
    "a residual too many, around the feed-forward network",
    "the residual of the feed-forward network is added once more",
    ("return self.connection2(", "return x + self.connection2("),
)
_layer(
    "the lambda reads x",
    "the attention reads x, not what its connection hands it",
    ("lambda z: self.attention(z, tokens)", "lambda z: self.attention(x, tokens)"),
)
_layer(
    "one norm and one residual at the end",
    "there is one norm and one residual, at the end",
    (
        _BOTH,
        "return x + self.connection2.norm(self.feedforward(self.attention(x, tokens)))",
    ),
    errata="E001-07",
)
_layer(
    "no residuals",
    "there are no residuals",
    (
        _BOTH,
        "x = self.connection1.norm(self.attention(x, tokens))\n"
        "        return self.connection2.norm(self.feedforward(x))",
    ),
    errata="E002-19",
)
_layer(
    "a last norm in the layer",
    "the layer ends with one more norm",
    (_SECOND, "return self.connection2.norm(self.connection2(x, self.feedforward))"),
)
_layer(
    "names of one's own",
    "parameters of other names",
    ("self.connection1", "self.first"),
)

# ---------------------------------------------------------------- the stack


def _stack(name: str, says: str, *swaps: tuple[str, str], errata: str = "") -> None:
    _change("encoder", name, says, *swaps, errata=errata)


_MADE = """nn.ModuleList(
            EncoderLayer(d_model, n_heads, d_ff, activation, dropout, norm_first, eps)
            for _ in range(n_layers)
        )"""
_ONE = "EncoderLayer(d_model, n_heads, d_ff, activation, dropout, norm_first, eps)"
_LOOP = """for layer in self.layers:
            x = layer(x, tokens)
"""
_LAST = "self.norm = LayerNorm(d_model, eps) if norm_first else nn.Identity()"
_stack(
    "one layer, n times",
    "the layers share their weights",
    (_MADE, f"nn.ModuleList([{_ONE}] * n_layers)"),
)
_stack("a plain list", "the optimiser and", (_MADE, f"[{_ONE} for _ in range(n_layers)]"))
_stack(
    "one layer only",
    "layers instead of n_layers",
    ("range(n_layers)", "range(1)"),
    errata="E002-26",
)
_stack(
    "one layer too few", "layers instead of n_layers", ("range(n_layers)", "range(n_layers - 1)")
)
_stack(
    "mask ignored",
    "no layer gets the mask",
    ("x = layer(x, tokens)", "x = layer(x)"),
    errata="E001-18",
)
_stack(
    "mask to the first layer only",
    "only the first layer gets the mask",
    ("x = layer(x, tokens)", "x, tokens = layer(x, tokens), None"),
    errata="E001-18",
)
_stack(
    "mask to the last layer only",
    "only the last layer gets the mask",
    ("x = layer(x, tokens)", "x = layer(x, tokens if layer is self.layers[-1] else None)"),
    errata="E001-18",
)
_stack(
    "mask the wrong way round",
    "True is read as padding",
    ("padding_mask(lengths, x.size(1))[:, 0, 0]", "~padding_mask(lengths, x.size(1))[:, 0, 0]"),
)
_stack(
    "no last norm in pre-norm",
    "a pre-norm stack ends with a LayerNorm",
    (_LAST, "self.norm = nn.Identity()"),
)
_stack(
    "a last norm in post-norm",
    "a post-norm stack has no last norm",
    (_LAST, "self.norm = LayerNorm(d_model, eps)"),
)
_stack("last norm not applied", "the last norm is not applied", ("return self.norm(x)", "return x"))
_stack(
    "last norm after every layer",
    "the last norm is applied after every layer",
    ("x = layer(x, tokens)", "x = self.norm(layer(x, tokens))"),
    ("return self.norm(x)", "return x"),
)
_stack(
    "last norm after every layer and at the end",
    "after every layer, and once more at the end",
    ("x = layer(x, tokens)", "x = self.norm(layer(x, tokens))"),
)
_stack(
    "returned from the loop",
    "returned from inside of the loop",
    ("        return self.norm(x)", "            return self.norm(x)"),
)
_stack(
    "a residual around each layer",
    "the input of each layer is added again",
    ("x = layer(x, tokens)", "x = x + layer(x, tokens)"),
)
_stack(
    "a mask of four axes",
    "padding_mask gives (B, 1, 1, T)",
    ("[:, 0, 0]", ""),
)
_stack(
    "last norm with its own eps",
    "the last norm has another eps",
    ("LayerNorm(d_model, eps)", "LayerNorm(d_model)"),
)
_stack(
    "norm_first not handed on",
    "norm_first is not handed on",
    ("dropout, norm_first, eps)", "dropout, False, eps)"),
)
_stack(
    "activation not handed on",
    "the activation is not handed on",
    ("d_ff, activation, dropout", 'd_ff, "relu", dropout'),
)
_stack(
    "eps of the layers not handed on",
    "eps is not handed on",
    ("dropout, norm_first, eps)", "dropout, norm_first)"),
)
_stack(
    "dropout not handed on",
    "has no dropout",
    ("activation, dropout, norm_first, eps)", "activation, 0.0, norm_first, eps)"),
)
_stack(
    "layers from last to first",
    "the layers run from last to first",
    ("for layer in self.layers:", "for layer in reversed(self.layers):"),
)
_stack(
    "last layer left out",
    "the last layer is left out",
    ("for layer in self.layers:", "for layer in self.layers[:-1]:"),
)
_stack(
    "every layer reads the input",
    "every layer reads the input of the stack",
    (_LOOP, "start = x\n        for layer in self.layers:\n            x = layer(start, tokens)\n"),
)
_stack(
    "a residual around the stack",
    "there is a residual around the whole stack",
    (_LOOP, "start = x\n        " + _LOOP + "        x = start + x\n"),
)

# ---------------------------------------------------------------- BERT


def _bert(name: str, says: str, *swaps: tuple[str, str]) -> None:
    _change("bert", name, says, *swaps)


_bert(
    "factor √D",
    "the tokens are multiplied by √D",
    ("words[ids] +", "words.size(1) ** 0.5 * words[ids] +"),
)
_bert(
    "no segment",
    "the segment vector is missing",
    ("    x = x + (kinds[0] if segments is None else kinds[segments])\n", ""),
)
_bert(
    "segment 1",
    "segment 1 is added",
    ("(kinds[0] if segments", "(kinds[1] if segments"),
)
_bert(
    "segments ignored", "every token is of segment 0", ("else kinds[segments])", "else kinds[0])")
)
_bert(
    "segments exchanged",
    "0 and 1 of the segments are exchanged",
    ("kinds[segments]", "kinds[1 - segments]"),
)
_bert("eps of torch", "eps is 1e-5, the default of torch", ("gain, shift, 1e-12)", "gain, shift)"))
_bert(
    "ids as positions",
    "Positions are the places",
    ("places[: ids.size(1)]", "places[ids]"),
)
_bert(
    "a prefix not expected in the embeddings",
    "Here every name begins with bert.",
    (
        '    state = {name.removeprefix("bert."): tensor for name, tensor in state.items()}\n'
        "    words =",
        "    words =",
    ),
)
_bert(
    "a prefix not expected in the layers",
    "Here every name begins with bert.",
    (
        '    state = {name.removeprefix("bert."): tensor for name, tensor in state.items()}\n'
        "    ours =",
        "    ours =",
    ),
)
_bert(
    "tensors taken out of the file",
    "is taken out of it",
    (
        "    ours = {}\n",
        "    ours = {}\n    given.pop(next(name for name in given if 'pooler' in name))\n",
    ),
    ("def from_bert(state, n_layers):", "def from_bert(given, n_layers):\n    state = given"),
)
_bert(
    "no norm",
    "the norm is missing",
    ("return F.layer_norm(x, gain.shape, gain, shift, 1e-12)", "return x"),
)
_bert(
    "no gain",
    "gain and shift of the norm are left out",
    ("gain, shift, 1e-12)", "None, None, 1e-12)"),
)
_bert("no positions", "the positions are missing", (" + places[: ids.size(1)]", ""))
_bert(
    "positions from 1",
    "positions count from 1",
    ("places[: ids.size(1)]", "places[1 : ids.size(1) + 1]"),
)
_bert(
    "sinusoids",
    "the positions are sinusoids",
    ("places[: ids.size(1)]", "sinusoids(ids.size(1), words.size(1))"),
)
_bert(
    "key, query, value",
    "the order is key, query, value",
    ('("query", "key", "value")', '("key", "query", "value")'),
)
_bert(
    "query, value, key",
    "the order is query, value, key",
    ('("query", "key", "value")', '("query", "value", "key")'),
)
_bert(
    "norms exchanged",
    "it is encoder.layer.0.output.LayerNorm.weight of the file",
    ('"connection1.norm": "attention.output.LayerNorm"', '"connection1.norm": "output.LayerNorm"'),
    ('"connection2.norm": "output.LayerNorm"', '"connection2.norm": "attention.output.LayerNorm"'),
)
_bert(
    "maps of the feed-forward network exchanged",
    "Both files hold matrices as (outputs, inputs)",
    ('"feedforward.linear1": "intermediate.dense"', '"feedforward.linear1": "output.dense"'),
    ('"feedforward.linear2": "output.dense"', '"feedforward.linear2": "intermediate.dense"'),
)
_bert(
    "the wrong output matrix",
    "has shape",
    ('"attention.out_proj": "attention.output.dense"', '"attention.out_proj": "output.dense"'),
)
_bert(
    "transposed",
    "the matrices are transposed",
    ("= torch.cat(rows)", "= torch.cat([row.T if row.dim() == 2 else row for row in rows])"),
)
_bert(
    "query, key and value side by side", "has shape", ("= torch.cat(rows)", "= torch.cat(rows, -1)")
)
_bert(
    "always layer 0",
    "it comes from layer 0",
    ('f"encoder.layer.{i}.attention.self', 'f"encoder.layer.0.attention.self'),
)
_bert(
    "biases left out",
    "from_bert lacks",
    ('for kind in ("weight", "bias"):', 'for kind in ("weight",):'),
)
_bert("one layer", "from_bert lacks", ("for i in range(n_layers):", "for i in range(1):"))
_bert(
    "the file's own names, too",
    "which your Encoder does not have",
    ("ours = {}", "ours = dict(state)"),
)
_bert(
    "the file is changed",
    "of the given state is changed",
    ("    ours = {}\n", '    ours = {}\n    state["pooler.dense.bias"] += 1.0\n'),
)

# ---------------------------------------------------------------- the configuration


def _config(name: str, says: str, *swaps: tuple[str, str], errata: str = "") -> None:
    _change("config", name, says, *swaps, errata=errata)


_config(
    "heads not checked",
    "5 heads do not divide the width 12",
    ("if self.d_model % self.n_heads:", "if False:"),
)
_config(
    "the width must divide the heads",
    "refuses what is possible",
    ("if self.d_model % self.n_heads:", "if self.n_heads % self.d_model:"),
)
_config(
    "True is a count",
    "which Python takes for 1",
    ("type(value) is not int", "not isinstance(value, int)"),
)
_config(
    "a float is a count",
    "a float where a count is meant",
    ("type(value) is not int", "type(value) not in (int, float)"),
)
_config(
    "0 is a count",
    "accepts d_model=0",
    ("value < 1", "value < 0"),
    ("% self.n_heads:", "% max(self.n_heads, 1):"),
)
_config(
    "a rate of 1",
    "which drops everything",
    ("not 0 <= self.dropout < 1", "not 0 <= self.dropout <= 1"),
)
_config("a negative rate", "a negative rate", ("not 0 <= self.dropout < 1", "not self.dropout < 1"))
_config(
    "a rate of NaN",
    "every comparison with it is False",
    ("not 0 <= self.dropout < 1", "self.dropout < 0 or self.dropout >= 1"),
)
_config(
    "a rate of 0 refused",
    "refuses what is possible",
    ("not 0 <= self.dropout", "not 0 < self.dropout"),
)
_config(
    "activation not checked",
    "an activation that does not exist",
    ('self.activation not in ("relu", "gelu")', "not self.activation"),
)
_config(
    "norm_first not checked",
    "a text where True or False is meant",
    ("type(self.norm_first) is not bool", "self.norm_first is None"),
)
_config(
    "1 is True",
    "1 where True or False is meant",
    ("type(self.norm_first) is not bool", "self.norm_first not in (True, False)"),
)
_config("a TypeError", "Make it a ValueError", ("raise ValueError", "raise TypeError"))
_config(
    "a message without the value",
    "must hold the name of the field and its value",
    (
        'f"n_heads={self.n_heads} must divide d_model={self.d_model}"',
        '"n_heads must divide d_model"',
    ),
)
_config(
    "count: no biases",
    "the biases are missing",
    ("d * d + d", "d * d"),
    ("d * f + f + f * d + d", "2 * d * f"),
)
_config(
    "count: biases of the feed-forward network",
    "the biases of the feed-forward network are missing",
    ("d * f + f + f * d + d", "2 * d * f"),
)
_config("count: one norm", "each layer has two norms", ("norms = 2 * 2 * d", "norms = 2 * d"))
_config(
    "count: no norms", "the norms of the layers are missing", ("norms = 2 * 2 * d", "norms = 0")
)
_config("count: no last norm", "the last norm of a pre-norm stack is missing", (" + last", ""))
_config(
    "count: always a last norm",
    "a post-norm stack has no last norm",
    ("2 * d if self.norm_first else 0", "2 * d"),
)
_config("count: one layer", "this is one layer", ("self.n_layers * (", "("))
_config(
    "count: heads multiply",
    "the heads share out the same matrices",
    ("attention = 4 * (d * d + d)", "attention = self.n_heads * 4 * (d * d + d)"),
)
_config(
    "count: no output projection",
    "the output projection is missing",
    ("4 * (d * d + d)", "3 * (d * d + d)"),
)

# ---------------------------------------------------------------- debug


def _run(name: str, says: str, *swaps: tuple[str, str]) -> None:
    _change("run_stack", name, says, *swaps, errata="E001-18")


_END = "return x.masked_fill(~tokens[..., None], 0.0)"
_EACH = "x = layer(x, tokens)"
_run(
    "mask to the first layer only",
    "gets no tokens",
    (_EACH, "x = layer(x, tokens) if layer is layers[0] else layer(x)"),
)
_run("no mask", "gets no tokens", (_EACH, "x = layer(x)"))
_run(
    "zeros between the layers instead of a mask",
    "gets no tokens",
    (_EACH, "x = layer(x).masked_fill(~tokens[..., None], 0.0)"),
)
_run(
    "mask to the last layer only",
    "gets no tokens",
    (_EACH, "x = layer(x, tokens) if layer is layers[-1] else layer(x)"),
)
_run("the other way round", "True stands for padding", (_EACH, "x = layer(x, ~tokens)"))
_run("one place too many", "one place too many", ("< lengths[:, None]", "<= lengths[:, None]"))
_run("four axes", "the task says boolean, (B, T)", (_EACH, "x = layer(x, tokens[:, None, None])"))
_run("numbers for a mask", "the task says boolean, (B, T)", (_EACH, "x = layer(x, tokens.float())"))
_run("padding left in the result", "is not set to zero", (_END, "return x"))
_run("real tokens set to zero", "the real tokens are set to zero", (_END, _END.replace("~", "")))
_run("a product with zero", "zero times NaN is NaN", (_END, "return x * tokens[..., None]"))
_run(
    "the input is changed",
    "run_stack changes its input",
    (_END, "x[~tokens] = 0.0\n    return x"),
)
_run("last layer left out", "of 3 layers 2 were called", ("in layers:", "in layers[:-1]:"))
_run("from last to first", "the layers run from last to first", ("in layers:", "in layers[::-1]:"))
_run(
    "every layer reads the input",
    "every layer reads the input of the stack",
    ("    for layer", "    start = x\n    for layer"),
    (_EACH, "x = layer(start, tokens)"),
)
_run(
    "cut to the longest sentence",
    "run_stack has the wrong shape",
    (_END, _END + "[:, : int(lengths.max()) - 1]"),
)

# ---------------------------------------------------------------- unusual, and right

RIGHT: list[Right] = []


def _right(task: str, name: str, *swaps: tuple[str, str]) -> None:
    source = ANSWERS[task]
    for old, new in swaps:
        if source.count(old) < 1:
            raise ValueError(f"{name}: {old!r} is not in the model answer of {task}")
        source = source.replace(old, new)
    RIGHT.append(Right(task, name, source))


_right("run_stack", "tokens by name", (_EACH, "x = layer(x, tokens=tokens)"))
_right("run_stack", "both by name", (_EACH, "x = layer(x=x, tokens=tokens)"))
_right(
    "encoder",
    "deep copies of one layer",
    (
        _MADE,
        "nn.ModuleList([copy.deepcopy(one) for _ in range(n_layers)])",
    ),
    (
        "        self.layers =",
        f"        import copy\n\n        one = {_ONE}\n        self.layers =",
    ),
)
_right("encoder", "tokens by name", ("x = layer(x, tokens)", "x = layer(x, tokens=tokens)"))
_right(
    "encoder",
    "a mask without padding_mask",
    ("padding_mask(lengths, x.size(1))[:, 0, 0]", "torch.arange(x.size(1)) < lengths[:, None]"),
)
_right(
    "encoder_layer",
    "a function instead of a lambda",
    (
        _BOTH,
        "def attend(z):\n            return self.attention(z, tokens=tokens)\n\n"
        "        return self.connection2(self.connection1(x, attend), self.feedforward)",
    ),
)
_right(
    "bert",
    "a segment for every token",
    (
        "x = x + (kinds[0] if segments is None else kinds[segments])",
        "x = x + kinds[torch.zeros_like(ids) if segments is None else segments]",
    ),
)
