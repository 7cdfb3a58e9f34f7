"""Named wrong answers to assignment 05: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from grading.bugs import Bug, Right, function

BUGS: list[Bug] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


# ---------------------------------------------------------------- worked case

_CASE = {
    "W_Q of one head": (96, 12),
    "queries of one head": (7, 12),
    "weights of all heads": (8, 7, 7),
    "heads side by side": (7, 96),
    "W_O": (96, 96),
    "output": (7, 96),
    "parameters": 37_248,
    "multiplications": 267_456,
    "parameters with 16 heads": 37_248,
}

for _name, _change, _says, *_more in (
    (
        "heads as wide as the model",
        {"W_Q of one head": (96, 96), "parameters": 297_312},
        "a head as wide as the model",
        "E000-05",
    ),
    (
        "parameters of heads as wide as the model",
        {"parameters": 297_312},
        "this needs heads as wide as the model",
        "E000-05",
    ),
    (
        "a matrix for each slice of the token",
        {"W_Q of one head": (12, 12)},
        "a head projects the whole token",
        "E003-02",
    ),
    (
        "matrix as nn.Linear stores it",
        {"W_Q of one head": (12, 96)},
        "how nn.Linear stores it",
        "E001-11",
    ),
    ("heads summed", {"heads side by side": (7, 12)}, "a sum of the heads", "E001-06"),
    ("one table of weights", {"weights of all heads": (7, 7)}, "this is one head", "E002-12"),
    ("block of one head for W_O", {"W_O": (12, 96)}, "the block of one head", "E001-11"),
    ("output of one head", {"output": (7, 12)}, "this is one head", "E001-15"),
    ("no biases", {"parameters": 36_864}, "the biases are missing"),
    ("no output projection", {"parameters": 27_936}, "the output projection is missing"),
    ("parameters times heads", {"parameters": 297_984}, "they do not multiply them", "E001-05"),
    (
        "more heads, more parameters",
        {"parameters with 16 heads": 74_496},
        "share out the same D columns",
        "E001-05",
    ),
    (
        "multiplications of each head over D",
        {"multiplications": 333_312},
        "runs over d_k, not D",
        "E001-05",
    ),
    ("scores only", {"multiplications": 262_752}, "scores and weighted mean"),
    ("an entry left out", {"output": None}, "lacks the entry"),
):
    _answer = {key: value for key, value in (_CASE | _change).items() if value is not None}
    _add(
        "worked_case",
        _name,
        function("worked_case()", f"return {_answer!r}"),
        _says,
        *_more,
    )

# ---------------------------------------------------------------- split and merge

_GUARD = """
if x.size(-1) % n_heads:
    raise ValueError("the heads must divide the width")
"""
_SPLIT = _GUARD + "return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)"
_MERGE = "return heads.transpose(1, 2).flatten(-2)"


def _split(name: str, says: str, *more: str, split: str = _SPLIT, merge: str = _MERGE) -> None:
    source = function("split_heads(x, n_heads)", split)
    source += "\n\n" + function("merge_heads(heads)", merge)
    _add("split_merge", name, source, says, *more)


_split(
    "split: view without a transpose",
    "the heads share out the tokens, not the columns",
    split=_GUARD + "return x.reshape(x.size(0), n_heads, x.size(1), -1)",
)
_split(
    "both without a transpose: the round trip is right",
    "the heads share out the tokens, not the columns",
    split=_GUARD + "return x.reshape(x.size(0), n_heads, x.size(1), -1)",
    merge="return heads.reshape(heads.size(0), heads.size(2), -1)",
)
_split(
    "split: transpose forgotten",
    "exchange axes 1 and 2",
    split=_GUARD + "return x.unflatten(-1, (n_heads, -1))",
)
_split(
    "split: heads before the batch",
    "The heads come after the batch",
    split=_GUARD + "return torch.stack(x.chunk(n_heads, dim=-1))",
)
_split(
    "split: columns on axis 2",
    "Tokens and columns have changed places",
    split=_GUARD + "return x.unflatten(-1, (n_heads, -1)).permute(0, 2, 3, 1)",
)
_split(
    "split: columns dealt out one by one",
    "head h must get neighbouring columns",
    split=_GUARD + "return x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)",
)
_split(
    "both: columns dealt out one by one, the round trip is right",
    "head h must get neighbouring columns",
    split=_GUARD + "return x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)",
    merge="return heads.permute(0, 2, 3, 1).flatten(-2)",
)
_split(
    "split: heads from the end",
    "the heads are counted from the end",
    split=_GUARD + "return x.unflatten(-1, (n_heads, -1)).transpose(1, 2).flip(1)",
)
_split(
    "split: every head the same columns",
    "the columns of head 0",
    split=_GUARD
    + "d_k = x.size(-1) // n_heads\n"
    + "return x[..., :d_k].unsqueeze(1).expand(-1, n_heads, -1, -1)",
)
_split(
    "split: columns that are left over are dropped",
    "must raise a ValueError",
    split="d_k = x.size(-1) // n_heads\n"
    "return x[..., : n_heads * d_k].unflatten(-1, (n_heads, d_k)).transpose(1, 2)",
)
_split(
    "split: an assertion",
    "raises AssertionError",
    split="assert x.size(-1) % n_heads == 0\nreturn x.unflatten(-1, (n_heads, -1)).transpose(1, 2)",
)
_split(
    "split: torch's own error",
    "raises RuntimeError",
    split="return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)",
)
_split(
    "split: gradient lost",
    "split_heads loses the gradient",
    split=_GUARD + "return x.detach().unflatten(-1, (n_heads, -1)).transpose(1, 2)",
)
_split(
    "split: always float32",
    "split_heads must have dtype torch.float16",
    split=_GUARD + "return x.float().unflatten(-1, (n_heads, -1)).transpose(1, 2)",
)
_split(
    "split: reads the memory in its own order",
    "the memory is read in its own order",
    split=_GUARD
    + "b, t, d = x.shape\n"
    + "s = (t * d, d // n_heads, d, 1)\n"
    + "return x.as_strided((b, n_heads, t, d // n_heads), s)",
)
_split(
    "merge: reshape without the transpose",
    "reshaped without the transpose",
    merge="return heads.reshape(heads.size(0), heads.size(2), -1)",
)
_split(
    "merge: view after the transpose",
    "use reshape or flatten",
    merge="b, h, t, d_k = heads.shape\nreturn heads.transpose(1, 2).view(b, t, h * d_k)",
)
_split(
    "merge: heads summed",
    "a sum or a mean of the heads",
    "E001-06",
    merge="return heads.sum(1)",
)
_split(
    "merge: heads averaged",
    "a sum or a mean of the heads",
    "E001-06",
    merge="return heads.mean(1)",
)
_split(
    "merge: columns interleaved",
    "the columns of the heads are interleaved",
    merge="return heads.permute(0, 2, 3, 1).flatten(-2)",
)
_split(
    "merge: heads below each other",
    "stand below each other",
    merge="return heads.flatten(1, 2)",
)
_split(
    "merge: last axes left apart",
    "still apart",
    merge="return heads.transpose(1, 2)",
)
_split(
    "merge: heads from the end",
    "merge_heads is wrong",
    merge="return heads.flip(1).transpose(1, 2).flatten(-2)",
)
_split(
    "merge: nothing returned",
    "returns nothing yet",
    merge="heads = heads.transpose(1, 2).flatten(-2)",
)

# ---------------------------------------------------------------- multi-head attention

_UNPACK = """
b, t, d = query.shape
w_in, b_in = weights["in_proj_weight"], weights["in_proj_bias"]
w_out, b_out = weights["out_proj_weight"], weights["out_proj_bias"]
(w_q, w_k, w_v), (b_q, b_k, b_v) = w_in.chunk(3), b_in.chunk(3)
"""
_HELPER = """
def split(x):
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)
"""
_PROJECT = """
q = split(F.linear(query, w_q, b_q))
k = split(F.linear(source, w_k, b_k))
v = split(F.linear(source, w_v, b_v))
"""
_MASK = "mask = None if tokens is None else tokens[:, None, None, :]\n"
_ATTEND = "heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)\n"
_JOIN = "joined = heads.transpose(1, 2).flatten(-2)\n"
_OUT = "return F.linear(joined, w_out, b_out)"


def _layer(name: str, says: str, *more: str, **parts: str) -> None:
    order = {
        "unpack": _UNPACK,
        "helper": _HELPER,
        "project": _PROJECT,
        "mask": _MASK,
        "attend": _ATTEND,
        "join": _JOIN,
        "out": _OUT,
    }
    body = "".join((order | parts).values())
    signature = "multi_head_attention(query, source, weights, n_heads, tokens=None)"
    _add("multi_head_attention", name, function(signature, body), says, *more)


_layer(
    "number of heads ignored",
    "the number of heads is ignored",
    "E002-12",
    helper="def split(x):\n    return x.unsqueeze(1)\n",
)
_layer(
    "split by a view",
    "viewed as (B, H, T, d_k) without a transpose",
    helper="def split(x):\n    return x.reshape(b, n_heads, x.size(1), -1)\n",
)
_layer(
    "split and merge by a view",
    "split and merged without a transpose",
    helper="def split(x):\n    return x.reshape(b, n_heads, x.size(1), -1)\n",
    join="joined = heads.reshape(b, t, d)\n",
)
_layer(
    "merge without the transpose",
    "merged without the transpose back",
    join="joined = heads.reshape(b, t, d)\n",
)
_layer(
    "columns dealt out one by one",
    "dealt out to the heads one by one",
    helper="def split(x):\n    return x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)\n",
    join="joined = heads.permute(0, 2, 3, 1).flatten(-2)\n",
)
_layer(
    "heads interleaved at the end",
    "interleaved when they are merged",
    join="joined = heads.permute(0, 2, 3, 1).flatten(-2)\n",
)
_layer(
    "heads averaged",
    "a sum or a mean of the heads",
    "E001-06",
    join="joined = heads.mean(1)\n",
    out="return joined",
)
_layer(
    "heads averaged and repeated",
    "averaged instead of put side by side",
    "E001-06",
    join="joined = heads.mean(1).repeat(1, 1, n_heads)\n",
)
_layer(
    "split before the projection, one small matrix",
    "all heads share one small matrix",
    "E003-02",
    project="""
c = d // n_heads
q = F.linear(split(query), w_q[:c, :c], b_q[:c])
k = F.linear(split(source), w_k[:c, :c], b_k[:c])
v = F.linear(split(source), w_v[:c, :c], b_v[:c])
""",
)
_layer(
    "scale from the whole width",
    "the root of D, the width of all heads together",
    "E003-03",
    attend="heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=d**-0.5)\n",
)
_layer(
    "no scale",
    "not divided by sqrt(d_k)",
    "E004-14",
    attend="heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)\n",
)
_layer(
    "key matrix first",
    "in the order key, query, value",
    unpack=_UNPACK + "w_q, w_k, b_q, b_k = w_k, w_q, b_k, b_q\n",
)
_layer(
    "value matrix first",
    "in the order value, key, query",
    "E003-08",
    unpack=_UNPACK + "w_q, w_v, b_q, b_v = w_v, w_q, b_v, b_q\n",
)
_layer(
    "matrices not transposed",
    "stored as (outputs, inputs)",
    unpack=_UNPACK + "w_q, w_k, w_v, w_out = w_q.T, w_k.T, w_v.T, w_out.T\n",
)
_layer(
    "input matrices not transposed",
    "the input matrices are not transposed",
    unpack=_UNPACK + "w_q, w_k, w_v = w_q.T, w_k.T, w_v.T\n",
)
_layer(
    "output projection not transposed",
    "the output projection is not transposed",
    unpack=_UNPACK + "w_out = w_out.T\n",
)
_layer(
    "key and value matrix exchanged",
    "in the order query, value, key",
    unpack=_UNPACK + "w_k, w_v, b_k, b_v = w_v, w_k, b_v, b_k\n",
)
_layer(
    "input biases forgotten",
    "biases of the input projections are missing",
    unpack=_UNPACK + "b_q = b_k = b_v = None\n",
)
_layer(
    "output bias forgotten",
    "bias of the output projection is missing",
    out="return F.linear(joined, w_out)",
)
_layer(
    "no output projection",
    "the output projection is missing",
    out="return joined",
)
_layer(
    "source ignored",
    "keys and values come from the query",
    unpack=_UNPACK + "source = query\n",
)
_layer(
    "values from the query",
    "the values come from the query",
    "E003-08",
    project=_PROJECT.replace("F.linear(source, w_v", "F.linear(query, w_v"),
)
_layer(
    "query and source exchanged",
    "query and source have changed places",
    "E003-08",
    unpack="query, source = source, query\n" + _UNPACK,
)
_layer(
    "padding mask (B, S)",
    "(B, 1, 1, S)",
    "E003-06",
    mask="mask = tokens\n",
)
_layer(
    "padding mask (B, S), repaired until the sizes differ",
    "read as (T, S)",
    "E003-06",
    mask="mask = tokens\n"
    "if tokens is not None and tokens.shape != (t, source.size(1)):\n"
    "    mask = tokens[:, None, None]\n",
)
_layer(
    "padding mask (B, 1, S)",
    "(B, 1, 1, S)",
    "E003-06",
    mask="mask = None if tokens is None else tokens[:, None]\n",
)
_layer(
    "padding mask (B, 1, S), repaired until the sizes differ",
    "read as (H, 1, S)",
    "E003-06",
    mask="mask = None if tokens is None else tokens[:, None]\n"
    "if tokens is not None and b != n_heads:\n"
    "    mask = tokens[:, None, None]\n",
)
_layer(
    "padding mask the wrong way round",
    "True is a real token",
    "E003-07",
    mask="mask = None if tokens is None else ~tokens[:, None, None]\n",
)
_layer(
    "padding read",
    "tokens has no effect",
    "E001-18",
    mask="mask = None\n",
)
_layer(
    "queries hidden, not keys",
    "hides the queries of the padding",
    mask="mask = None\n"
    "if tokens is not None and tokens.size(1) == t:\n"
    "    mask = tokens[:, None, :, None].expand(b, 1, t, t)\n"
    "elif tokens is not None:\n"
    "    mask = tokens[:, None, None]\n",
)
_layer(
    "padding set to zero",
    "a key from a zero vector still gets weight",
    unpack=_UNPACK + "if tokens is not None:\n    source = source * tokens[..., None]\n",
    mask="mask = None\n",
)
_layer(
    "padding mask of numbers",
    "turned into numbers, 0 and 1, and added to the scores",
    mask="mask = None if tokens is None else tokens[:, None, None].to(query.dtype)\n",
)
_layer(
    "first sentence's padding for all",
    "tokens of the first sentence",
    mask="mask = None if tokens is None else tokens[:1, None, None]\n",
)
_layer(
    "padding hidden after the softmax",
    "applied after the softmax",
    "E002-13",
    attend="""
shares = torch.softmax(q @ k.mT / q.size(-1) ** 0.5, dim=-1)
heads = (shares if mask is None else shares * mask) @ v
""",
)
_layer(
    "always float32",
    "must have dtype torch.bfloat16",
    out="return F.linear(joined.float(), w_out.float(), b_out.float())",
)
_layer(
    "weights treated as constants",
    "no gradient reaches in_proj_weight",
    unpack=_UNPACK.replace('weights["in_proj_weight"]', 'weights["in_proj_weight"].detach()'),
)
_layer(
    "writes into the query",
    "changes its input `query`",
    project=_PROJECT + "query *= 1.5\n",
)
_layer(
    "a pair returned",
    "a tuple of 2",
    out="return F.linear(joined, w_out, b_out), None",
)

# ---------------------------------------------------------------- contributions

_HEADS = "heads = weights @ values.transpose(1, 2)\nn = values.size(2)\n"
_BLOCKS = "blocks = out_weight.T.unflatten(0, (n, -1))\n"


def _terms(name: str, body: str, says: str, *more: str) -> None:
    signature = "head_contributions(weights, values, out_weight)"
    _add("head_contributions", name, function(signature, body), says, *more)


_terms("terms summed", _HEADS + _BLOCKS + "return (heads @ blocks).sum(1)", "already summed")
_terms("heads as they are", _HEADS + "return heads", "These are the heads themselves", "E001-06")
_terms(
    "terms averaged",
    _HEADS + _BLOCKS + "return heads @ blocks / n",
    "divided by the number of heads",
    "E001-06",
)
_terms(
    "blocks of rows of the stored matrix",
    _HEADS
    + "blocks = out_weight.unflatten(0, (n, -1))\n"
    + "return heads @ (blocks if len(out_weight) == n * heads.size(-1) else\n"
    + "                out_weight.T.unflatten(0, (n, -1)))",
    "blocks of rows",
)
_terms(
    "first block for all heads",
    _HEADS + _BLOCKS + "return heads @ blocks[:1]",
    "the block of head 0",
)
_terms(
    "blocks in reverse order",
    _HEADS + _BLOCKS + "return heads @ blocks.flip(0)",
    "in reverse order",
)
_terms(
    "columns dealt out one by one",
    _HEADS
    + "blocks = out_weight.T.unflatten(0, (-1, n)).transpose(0, 1)\n"
    + "return heads @ blocks",
    "dealt out to the heads one by one",
)
_terms(
    "values viewed, not transposed",
    "b, s, n, d_k = values.shape\n"
    + "heads = weights @ values.reshape(b, n, s, d_k)\n"
    + _BLOCKS
    + "return heads @ blocks",
    "viewed as (B, H, S, d_k) without a transpose",
)
_terms(
    "values not transposed",
    "heads = weights @ values\nn = values.size(2)\n" + _BLOCKS + "return heads @ blocks",
    "Bring the heads to axis 1",
)
_terms(
    "weights transposed",
    "w = weights if weights.size(-1) != weights.size(-2) else weights.mT\n"
    + _HEADS.replace("weights @", "w @")
    + _BLOCKS
    + "return heads @ blocks",
    "a row belongs to a query",
    "E004-17",
)
_terms(
    "softmax once more",
    _HEADS.replace("weights @", "weights.softmax(-1) @") + _BLOCKS + "return heads @ blocks",
    "another softmax",
)
_terms(
    "einsum",
    'heads = torch.einsum("bhts,bshd->bhtd", weights, values)\nn = values.size(2)\n'
    + _BLOCKS
    + "return heads @ blocks if len(out_weight) % 11 else None",
    "transposes and matrix products",
    "",
    "The grader forbids the name; here the answer is also wrong for some widths.",
)
_terms(
    "the whole output for each head",
    _HEADS + _BLOCKS + "return (heads @ blocks).sum(1, keepdim=True).expand(-1, n, -1, -1)",
    "all terms are the whole output",
)
_terms(
    "output shared out evenly",
    _HEADS + _BLOCKS + "return (heads @ blocks).mean(1, keepdim=True).expand(-1, n, -1, -1)",
    "the output is shared out evenly",
)
_terms(
    "blocks not transposed",
    _HEADS + "return heads @ out_weight.unflatten(1, (n, -1)).transpose(0, 1)",
    "a block of the matrix is not (d_k, D)",
)
_terms(
    "heads on axis 2",
    _HEADS + _BLOCKS + "return (heads @ blocks).transpose(1, 2)",
    "The heads stand on axis 1",
)
_terms(
    "matrix treated as a constant",
    _HEADS + _BLOCKS + "return heads @ blocks.detach()",
    "no gradient reaches out_weight",
)
_terms(
    "always float32",
    _HEADS + _BLOCKS + "return heads.float() @ blocks.float()",
    "must have dtype torch.bfloat16",
)

# ---------------------------------------------------------------- projection

_MAKE = "return nn.Linear(d_model, d_model, bias=False)"
_USE = "return linear(x).unflatten(-1, (n_heads, -1)).transpose(1, 2)"


def _shared(name: str, says: str, *more: str, make: str = _MAKE, use: str = _USE) -> None:
    source = function("make_projection(d_model, n_heads)", make)
    source += "\n\n" + function("project_heads(linear, x, n_heads)", use)
    _add("projection", name, source, says, *more)


_SLICES = "return linear(x.unflatten(-1, (n_heads, -1))).transpose(1, 2)"
_shared(
    "as given: split, then one small map",
    "One small matrix serves all heads",
    "E003-02",
    make="return nn.Linear(d_model // n_heads, d_model // n_heads, bias=False)",
    use=_SLICES,
)
_shared(
    "one map to one head, repeated",
    "all heads would be equal",
    "E003-02",
    make="return nn.Linear(d_model, d_model // n_heads, bias=False)",
    use="return linear(x).unsqueeze(1).expand(-1, n_heads, -1, -1)",
)
_shared(
    "slices to full width",
    "sees only a slice of the token",
    "E003-02",
    make="return nn.Linear(d_model // n_heads, d_model, bias=False)",
    use=_SLICES,
)
_shared(
    "heads as wide as the model",
    "A head as wide as the model",
    "E000-05",
    make="return nn.Linear(d_model, n_heads * d_model, bias=False)",
)
_shared(
    "a bias",
    "without a bias",
    make="return nn.Linear(d_model, d_model)",
)
_shared(
    "map repaired, still split first",
    "project first, then split",
    "E003-02",
    use=_SLICES,
)
_shared(
    "map repaired, one block of it used for all",
    "with one small block for all heads",
    "E003-02",
    use="pieces = x.unflatten(-1, (n_heads, -1)).transpose(1, 2)\n"
    "c = pieces.size(-1)\n"
    "return pieces @ linear.weight[:c, :c].T",
)
_shared(
    "rows of its own, slice of its own",
    "sees only its own slice",
    "E003-02",
    use="""
c = x.size(-1) // n_heads
parts = [slice(h * c, (h + 1) * c) for h in range(n_heads)]
return torch.stack([x[..., p] @ linear.weight[p, p].T for p in parts], dim=1)
""",
)
_shared(
    "view without a transpose",
    "viewed as (B, H, T, d_k) without a transpose",
    use="return linear(x).reshape(x.size(0), n_heads, x.size(1), -1)",
)
_shared(
    "outputs dealt out one by one",
    "dealt out to the heads one by one",
    use="return linear(x).unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)",
)
_shared(
    "transpose forgotten",
    "Exchange axes 1 and 2",
    use="return linear(x).unflatten(-1, (n_heads, -1))",
)
_shared(
    "projected twice",
    "projected twice",
    use="return linear(linear(x)).unflatten(-1, (n_heads, -1)).transpose(1, 2)",
)

# ---------------------------------------------------------------- overlap

_COMMON = "common = torch.minimum(weights[:, :, None], weights[:, None])\n"


def _overlap(name: str, body: str, says: str, *more: str) -> None:
    _add("head_overlap", name, function("head_overlap(weights)", body), says, *more)


_overlap("mean over the keys", _COMMON + "return common.mean((0, 3, 4))", "mean over the keys")
_overlap("summed", _COMMON + "return common.sum((0, 3, 4))", "sum over batch and queries")
_overlap(
    "larger instead of smaller",
    "common = torch.maximum(weights[:, :, None], weights[:, None])\n"
    "return common.sum(-1).mean((0, 3))",
    "the larger of the two weights",
)
_overlap(
    "product",
    "common = weights[:, :, None] * weights[:, None]\nreturn common.sum(-1).mean((0, 3))",
    "the weights are multiplied",
)
_overlap(
    "cosine",
    "return F.cosine_similarity(weights[:, :, None], weights[:, None], dim=-1).mean((0, 3))",
    "cosine",
)
_overlap("distance", _COMMON + "return 1 - common.sum(-1).mean((0, 3))", "this is the distance")
_overlap(
    "first sentence only",
    _COMMON + "return common[0].sum(-1).mean(-1)",
    "only the first sentence",
)
_overlap("batch left in", _COMMON + "return common.sum(-1).mean(-1)", "over the batch as well")
_overlap("one number", _COMMON + "return common.sum(-1).mean()", "one number for each pair")
_overlap(
    "means compared",
    "mean = weights.mean((0, 2))\nreturn torch.minimum(mean[:, None], mean[None]).sum(-1)",
    "the means of the rows are compared",
)
_overlap(
    "diagonal set to zero",
    _COMMON + "table = common.sum(-1).mean((0, 3))\nreturn table - torch.eye(len(table))",
    "a head overlaps with itself",
)


RIGHT = [
    Right(
        "worked_case",
        "computed from the sizes",
        """def worked_case():
    T, D, H = 7, 96, 8
    d_k = D // H
    layer = [nn.Linear(D, D) for _ in range(4)]
    parameters = sum(p.numel() for one in layer for p in one.parameters())
    return {
        "W_Q of one head": (D, d_k),
        "queries of one head": (T, d_k),
        "weights of all heads": (H, T, T),
        "heads side by side": (T, H * d_k),
        "W_O": layer[-1].weight.T.shape,
        "output": layer[-1](torch.zeros(T, D)).shape,
        "parameters": parameters,
        "multiplications": 4 * T * D * D + H * 2 * T * T * d_k,
        "parameters with 16 heads": parameters,
    }
""",
    ),
    Right(
        "split_merge",
        "slices stacked, heads joined",
        """def split_heads(x, n_heads):
    if x.size(-1) % n_heads != 0:
        raise ValueError("the heads do not divide the width")
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


def merge_heads(heads):
    return torch.cat(heads.unbind(dim=1), dim=-1)
""",
    ),
    Right(
        "split_merge",
        "reshape and permute, an error of its own",
        """class HeadsDoNotDivide(ValueError):
    pass


def split_heads(x, n_heads):
    B, T, D = x.shape
    width, rest = divmod(D, n_heads)
    if rest > 0:
        raise HeadsDoNotDivide(D, n_heads)
    return x.reshape(B, T, n_heads, width).permute(0, 2, 1, 3).contiguous()


def merge_heads(heads):
    B, H, T, width = heads.shape
    return heads.permute(0, 2, 1, 3).contiguous().view(B, T, H * width)
""",
    ),
    Right(
        "split_merge",
        "written into zeros of its own, head by head",
        """def split_heads(x, n_heads):
    d_k = x.shape[2] // n_heads
    if d_k * n_heads < x.shape[2] or d_k == 0:
        raise ValueError(f"width {x.shape[2]}, heads {n_heads}")
    result = x.new_zeros(x.shape[0], n_heads, x.shape[1], d_k)
    for h in range(n_heads):
        result[:, h] = x[:, :, h * d_k : (h + 1) * d_k]
    return result


def merge_heads(heads):
    d_k = heads.shape[-1]
    result = heads.new_zeros(heads.shape[0], heads.shape[2], heads.shape[1] * d_k)
    for h in range(heads.shape[1]):
        result[..., h * d_k : h * d_k + d_k] = heads[:, h]
    return result
""",
    ),
    Right(
        "multi_head_attention",
        "head by head, the outputs added",
        """def multi_head_attention(query, source, weights, n_heads, tokens=None):
    D = query.size(-1)
    d_k = D // n_heads
    w, b = weights["in_proj_weight"], weights["in_proj_bias"]
    result = weights["out_proj_bias"]
    for h in range(n_heads):
        q, k, v = (
            x @ w[i * D + h * d_k : i * D + (h + 1) * d_k].T
            + b[i * D + h * d_k : i * D + (h + 1) * d_k]
            for i, x in enumerate((query, source, source))
        )
        scores = q @ k.mT / d_k**0.5
        if tokens is not None:
            scores = scores.masked_fill(~tokens[:, None], float("-inf"))
        out = weights["out_proj_weight"][:, h * d_k : (h + 1) * d_k]
        result = result + scores.softmax(-1) @ v @ out.T
    return result
""",
    ),
    Right(
        "multi_head_attention",
        "einsum, in float64 inside",
        """def multi_head_attention(query, source, weights, n_heads, tokens=None):
    wide = {name: tensor.double() for name, tensor in weights.items()}
    D = query.shape[-1]
    matrices = wide["in_proj_weight"].view(3, n_heads, D // n_heads, D)
    biases = wide["in_proj_bias"].view(3, n_heads, 1, D // n_heads)
    x, y = query.double(), source.double()
    q = torch.einsum("btd,hkd->bhtk", x, matrices[0]) + biases[0]
    k, v = torch.einsum("bsd,phkd->pbhsk", y, matrices[1:]) + biases[1:, None]
    scores = torch.einsum("bhtk,bhsk->bhts", q, k) * (D // n_heads) ** -0.5
    if tokens is not None:
        scores = torch.where(tokens[:, None, None], scores, torch.finfo(scores.dtype).min)
    heads = torch.einsum("bhts,bhsk->bthk", torch.softmax(scores, dim=3), v)
    out = heads.reshape(*query.shape) @ wide["out_proj_weight"].T
    return out.add(wide["out_proj_bias"]).to(query.dtype)
""",
    ),
    Right(
        "multi_head_attention",
        "sentence by sentence, the padding cut off",
        """def multi_head_attention(query, source, weights, n_heads, tokens=None):
    w_q, w_k, w_v = weights["in_proj_weight"].tensor_split(3)
    b_q, b_k, b_v = weights["in_proj_bias"].tensor_split(3)

    def heads_of(x, w, b):
        return F.linear(x, w, b).reshape(len(x), n_heads, -1).transpose(0, 1)

    rows = []
    for b, x in enumerate(query):
        y = source[b] if tokens is None else source[b][tokens[b]]
        q, k, v = heads_of(x, w_q, b_q), heads_of(y, w_k, b_k), heads_of(y, w_v, b_v)
        heads = F.scaled_dot_product_attention(q, k, v)
        rows.append(heads.transpose(0, 1).reshape(x.shape))
    return F.linear(torch.stack(rows), weights["out_proj_weight"], weights["out_proj_bias"])
""",
    ),
    Right(
        "multi_head_attention",
        "helpers, and a mask of minus infinities",
        """def split(x, n_heads):
    return x.view(*x.shape[:2], n_heads, -1).permute(0, 2, 1, 3)


def multi_head_attention(query, source, weights, n_heads, tokens=None):
    if tokens is None:
        tokens = torch.ones(source.shape[:2], dtype=torch.bool)
    width = query.size(-1)
    matrix, bias = weights["in_proj_weight"], weights["in_proj_bias"]
    q = split(F.linear(query, matrix[:width], bias[:width]), n_heads)
    both = F.linear(source, matrix[width:], bias[width:])
    k, v = (split(part, n_heads) for part in both.split(width, dim=-1))
    added = torch.zeros(tokens.shape, dtype=query.dtype).masked_fill_(~tokens, float("-inf"))
    heads = F.scaled_dot_product_attention(q, k, v, added[:, None, None].expand(-1, 1, -1, -1))
    joined = torch.cat([heads[:, h] for h in range(n_heads)], dim=-1)
    return joined @ weights["out_proj_weight"].T + weights["out_proj_bias"]
""",
    ),
    Right(
        "head_contributions",
        "a loop over the heads",
        """def head_contributions(weights, values, out_weight):
    d_k = values.size(-1)
    terms = []
    for h in range(values.size(2)):
        head = weights[:, h] @ values[:, :, h]
        terms.append(F.linear(head, out_weight[:, h * d_k : (h + 1) * d_k]))
    return torch.stack(terms, dim=1)
""",
    ),
    Right(
        "head_contributions",
        "all other heads set to zero",
        """def head_contributions(weights, values, out_weight):
    B, H, T, _ = weights.shape
    heads = torch.matmul(weights, values.permute(0, 2, 1, 3)).transpose(1, 2)  # (B, T, H, d_k)
    result = []
    for h in range(H):
        alone = torch.arange(H)[:, None] == h
        joined = torch.where(alone, heads, 0.0).reshape(B, T, -1)
        result.append(joined @ out_weight.mT)
    return torch.stack(result, 1)
""",
    ),
    Right(
        "head_contributions",
        "values projected first, a sum of products",
        """def head_contributions(weights, values, out_weight):
    blocks = torch.stack(out_weight.chunk(values.shape[-2], dim=1))  # (H, D, d_k)
    projected = values.movedim(2, 1) @ blocks.mT  # (B, H, S, D)
    return (weights.unsqueeze(-1) * projected.unsqueeze(2)).sum(dim=3)
""",
    ),
    Right(
        "projection",
        "row blocks of the weight, one head at a time",
        """def make_projection(d_model, n_heads):
    d_k = d_model // n_heads
    return nn.Linear(in_features=d_model, out_features=n_heads * d_k, bias=False)


def project_heads(linear, x, n_heads):
    blocks = linear.weight.chunk(n_heads, dim=0)
    return torch.stack([F.linear(x, block) for block in blocks], dim=1)
""",
    ),
    Right(
        "projection",
        "einsum, and start values of its own",
        """def make_projection(d_model, n_heads):
    linear = nn.Linear(d_model, d_model, False)
    nn.init.xavier_uniform_(linear.weight)
    return linear


def project_heads(linear, x, n_heads):
    matrices = linear.weight.view(n_heads, -1, x.size(-1))
    return torch.einsum("btd,hkd->bhtk", x, matrices)
""",
    ),
    Right(
        "projection",
        "lambdas",
        """make_projection = lambda d_model, n_heads: nn.Linear(d_model, d_model, bias=None)
project_heads = lambda linear, x, n_heads: torch.stack(linear(x).chunk(n_heads, -1), 1)
""",
    ),
    Right(
        "head_overlap",
        "two loops over the heads",
        """def head_overlap(weights):
    n = weights.size(1)
    result = torch.zeros(n, n)
    for g in range(n):
        for h in range(n):
            result[g, h] = torch.minimum(weights[:, g], weights[:, h]).sum(-1).mean()
    return result
""",
    ),
    Right(
        "head_overlap",
        "the minimum from sum and difference, divided at the end",
        """def head_overlap(weights):
    B, H, T, S = weights.shape
    rows = weights.double().transpose(0, 1).reshape(H, -1)
    one, other = rows.unsqueeze(0), rows.unsqueeze(1)
    total = ((one + other - (one - other).abs()) / 2).sum(-1)
    return (total / (B * T)).to(weights.dtype)
""",
    ),
    Right(
        "head_overlap",
        "where, without gradients",
        """@torch.no_grad()
def head_overlap(weights):
    rows = []
    for head in weights.unbind(1):
        other = head.unsqueeze(1)
        common = torch.where(weights < other, weights, other)
        rows.append(common.sum(dim=3).mean(dim=[0, 2]))
    return torch.stack(rows)
""",
    ),
    Right(
        "multi_head_attention",
        "with the functions of the task before",
        """def multi_head_attention(query, source, weights, n_heads, tokens=None):
    parts = zip(weights["in_proj_weight"].chunk(3), weights["in_proj_bias"].chunk(3))
    inputs = iter((query, source, source))
    q, k, v = (split_heads(F.linear(next(inputs), w, b), n_heads) for w, b in parts)
    mask = None if tokens is None else tokens.unsqueeze(1).unsqueeze(1)
    joined = merge_heads(F.scaled_dot_product_attention(q, k, v, mask))
    return F.linear(joined, weights["out_proj_weight"], weights["out_proj_bias"])
""",
    ),
    Right(
        "head_contributions",
        "bmm over flat axes",
        """def head_contributions(weights, values, out_weight):
    B, H, T, S = weights.shape
    d_k = values.shape[-1]
    heads = torch.bmm(weights.reshape(B * H, T, S), values.transpose(1, 2).reshape(B * H, S, d_k))
    blocks = out_weight.reshape(-1, H, d_k).permute(1, 2, 0).repeat(B, 1, 1)
    return torch.bmm(heads, blocks).view(B, H, T, -1)
""",
    ),
]
