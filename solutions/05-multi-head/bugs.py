"""Named wrong answers to assignment 05: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from textwrap import indent

from grading.bugs import Bug

BUGS: list[Bug] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


def _function(signature: str, body: str) -> str:
    return f"def {signature}:\n{indent(body.strip(), '    ')}\n"


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
        _function("worked_case()", f"return {_answer!r}"),
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
    source = _function("split_heads(x, n_heads)", split)
    source += "\n\n" + _function("merge_heads(heads)", merge)
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
    _add("multi_head_attention", name, _function(signature, body), says, *more)


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
    _add("head_contributions", name, _function(signature, body), says, *more)


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
    source = _function("make_projection(d_model, n_heads)", make)
    source += "\n\n" + _function("project_heads(linear, x, n_heads)", use)
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
    _add("head_overlap", name, _function("head_overlap(weights)", body), says, *more)


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
