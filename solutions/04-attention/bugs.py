"""Named wrong answers to assignment 04: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from textwrap import indent

from grading.bugs import Bug

BUGS: list[Bug] = []


def _bugs(task: str, signature: str, *wrong: tuple[str, ...]) -> None:
    """Add wrong bodies of one function: (name, body, says, errata, note)."""
    for name, body, says, *more in wrong:
        errata, note = (*more, "", "")[:2]
        source = f"def {signature}:\n{indent(body.strip(), '    ')}\n"
        BUGS.append(Bug(task, name, source, says, errata, note))


_bugs(
    "by_hand",
    "by_hand()",
    (
        "scores not divided by sqrt(d_k)",
        "return [0, 0.98, 1.554], [0.119, 0.318, 0.563], [4.09, 5.29]",
        "Divide them by sqrt(d_k)",
        "E004-14",
    ),
    (
        "scores multiplied by sqrt(d_k)",
        "return [0, 1.386, 2.198], [0.071, 0.286, 0.643], [4.28, 5.57]",
        "do not multiply",
    ),
    (
        "scores divided by d_k",
        "return [0, 0.49, 0.777], [0.208, 0.34, 0.452], [3.96, 4.75]",
        "not by d_k itself",
    ),
    (
        "exponentials not divided by their sum",
        "return [0, 0.693, 1.099], [1, 2, 3], [24, 30]",
        "Divide each by their sum",
    ),
    (
        "scores normalised without the exponential",
        "return [0, 0.693, 1.099], [0, 0.387, 0.613], [3.68, 6]",
        "take the exponential",
    ),
    (
        "plain mean of the values",
        "return [0, 0.693, 1.099], [0.167, 0.333, 0.5], [4, 4]",
        "plain mean of the values",
    ),
    (
        "only the weights",
        "return [0.167, 0.333, 0.5]",
        "three lists",
    ),
    (
        "plain sum of the values",
        "return [0, 0.693, 1.099], [0.167, 0.333, 0.5], [12, 12]",
        "plain sum of the values",
    ),
    (
        "weights that do not sum to 1",
        "return [0, 0.693, 1.099], [0.333, 0.667, 1.0], [8, 10]",
        "the weights of one query sum to 1",
    ),
    (
        "columns of the values exchanged",
        "return [0, 0.693, 1.099], [0.167, 0.333, 0.5], [5, 4]",
        "for each column of V",
    ),
)

_bugs(
    "softmax",
    "softmax(scores, dim=-1)",
    (
        "exp overflows",
        """
powers = torch.exp(scores)
return powers / powers.sum(dim=dim, keepdim=True)
""",
        "exp overflows to infinity",
        "E004-16",
    ),
    (
        "dim ignored, always the last axis",
        """
powers = torch.exp(scores - scores.amax(-1, keepdim=True))
return powers / powers.sum(-1, keepdim=True)
""",
        "runs over axis 2 whatever dim is",
    ),
    (
        "dim ignored, always the first axis",
        """
powers = torch.exp(scores - scores.amax(0, keepdim=True))
return powers / powers.sum(0, keepdim=True)
""",
        "runs over axis 0 whatever dim is",
    ),
    (
        "sum over the whole tensor",
        """
powers = torch.exp(scores - scores.max())
return powers / powers.sum()
""",
        "sum runs over all places",
    ),
    (
        "sum without keepdim",
        """
powers = torch.exp(scores - scores.amax(dim, keepdim=True))
return powers / powers.sum(dim)
""",
        "without keepdim",
    ),
    (
        "one maximum for the whole tensor",
        """
powers = torch.exp(scores - scores.max())
return powers / powers.sum(dim, keepdim=True)
""",
        "not from the whole tensor",
    ),
    (
        "shifted by the mean",
        """
powers = torch.exp(scores - scores.mean(dim, keepdim=True))
return powers / powers.sum(dim, keepdim=True)
""",
        "Shift by the largest score",
    ),
    (
        "shifted by the smallest score",
        """
powers = torch.exp(scores - scores.amin(dim, keepdim=True))
return powers / powers.sum(dim, keepdim=True)
""",
        "Shift by the largest score",
    ),
    (
        "no exponential",
        "return scores / scores.sum(dim, keepdim=True)",
        "no exponential",
    ),
    (
        "divided by the largest, not by the sum",
        "return torch.exp(scores - scores.amax(dim, keepdim=True))",
        "divided by the largest one",
    ),
    (
        "sigmoid",
        "return scores.sigmoid()",
        "as a sigmoid does",
    ),
    (
        "logarithm of the weights",
        "return scores - scores.logsumexp(dim, keepdim=True)",
        "logarithm of the weights",
    ),
    (
        "base 2",
        """
powers = 2 ** (scores - scores.amax(dim, keepdim=True))
return powers / powers.sum(dim, keepdim=True)
""",
        "base is 2",
    ),
    (
        "clamped instead of shifted",
        """
powers = torch.exp(scores.clamp(-80, 80))
return powers / powers.sum(dim, keepdim=True)
""",
        "cut off by a clamp",
    ),
    (
        "NaN replaced by zero",
        """
powers = torch.exp(scores)
return torch.nan_to_num(powers / powers.sum(dim, keepdim=True))
""",
        "NaN is replaced by zero",
        "E004-16",
    ),
    (
        "always float32",
        """
scores = scores.float()
powers = torch.exp(scores - scores.amax(dim, keepdim=True))
return powers / powers.sum(dim, keepdim=True)
""",
        "must have dtype torch.bfloat16",
    ),
    (
        "writes into its input",
        """
scores -= scores.amax(dim, keepdim=True)
powers = torch.exp(scores)
return powers / powers.sum(dim, keepdim=True)
""",
        "changes its input",
    ),
    (
        "gradient lost",
        """
scores = scores.detach()
powers = torch.exp(scores - scores.amax(dim, keepdim=True))
return powers / powers.sum(dim, keepdim=True)
""",
        "loses the gradient",
    ),
    (
        "max returns a pair",
        """
powers = torch.exp(scores - scores.max(dim, keepdim=True))
return powers / powers.sum(dim, keepdim=True)
""",
        "`amax` returns the values",
    ),
    (
        "nothing returned",
        """
powers = torch.exp(scores - scores.amax(dim, keepdim=True))
powers = powers / powers.sum(dim, keepdim=True)
""",
        "returns nothing yet",
    ),
)

_SCORES = "scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))\n"
_LOWEST = "torch.finfo(scores.dtype).min"
_FILL = f"if mask is not None:\n    scores = scores.masked_fill(~mask, {_LOWEST})\n"
_WEIGHTS = "weights = torch.softmax(scores, dim=-1)\n"
_EMPTY = "if mask is not None:\n    weights = weights.masked_fill(~mask, 0.0)\n"
_OUT = "return weights @ value"
_REST = _FILL + _WEIGHTS + _EMPTY + _OUT


def _fill(number: str) -> str:
    return f"if mask is not None:\n    scores = scores.masked_fill(~mask, {number})\n"


_bugs(
    "scaled_dot_product_attention",
    "scaled_dot_product_attention(query, key, value, mask=None)",
    (
        "no scale",
        "scores = query @ key.transpose(-2, -1)\n" + _REST,
        "not divided by sqrt(d_k)",
        "E004-14",
    ),
    (
        "divided by d_k",
        "scores = query @ key.transpose(-2, -1) / query.size(-1)\n" + _REST,
        "divided by d_k, not by its square root",
    ),
    (
        "multiplied by sqrt(d_k)",
        "scores = query @ key.transpose(-2, -1) * math.sqrt(query.size(-1))\n" + _REST,
        "multiplied by sqrt(d_k)",
    ),
    (
        "scale from the number of keys",
        "scores = query @ key.transpose(-2, -1) / math.sqrt(key.size(-2))\n" + _REST,
        "number of keys, not of d_k",
    ),
    (
        "scale from the width of the values",
        "scores = query @ key.transpose(-2, -1) / math.sqrt(value.size(-1))\n" + _REST,
        "root of d_v, the width of a value",
    ),
    (
        "scale from all heads together",
        """
d_model = query.size(-1) * (query.size(1) if query.dim() == 4 else 1)
scores = query @ key.transpose(-2, -1) / math.sqrt(d_model)
"""
        + _REST,
        "width of all heads together",
        "E003-03",
    ),
    (
        "scale after the softmax",
        "scores = query @ key.transpose(-2, -1)\n"
        + _FILL
        + _WEIGHTS
        + _EMPTY
        + "return weights @ value / math.sqrt(query.size(-1))",
        "divided by sqrt(d_k) after the softmax",
    ),
    (
        "softmax over the queries",
        _SCORES + _FILL + "weights = torch.softmax(scores, dim=-2)\n" + _EMPTY + _OUT,
        "runs over the queries",
    ),
    (
        "query and key exchanged",
        "scores = key @ query.transpose(-2, -1) / math.sqrt(query.size(-1))\n" + _REST,
        "query and key have changed places",
        "E003-08",
    ),
    (
        "keys averaged instead of values",
        _SCORES + _FILL + _WEIGHTS + _EMPTY + "return weights @ key",
        "average the keys, not the values",
    ),
    (
        "no softmax",
        _SCORES + _FILL + "weights = scores\n" + _EMPTY + _OUT,
        "no softmax between",
    ),
    (
        "weights returned",
        _SCORES + _FILL + _WEIGHTS + _EMPTY + "return weights",
        "These are the weights",
        "E004-15",
    ),
    (
        "a pair returned",
        _SCORES + _FILL + _WEIGHTS + _EMPTY + "return weights @ value, weights",
        "returns a tuple of 2",
    ),
    (
        "mask after the softmax",
        _SCORES + _WEIGHTS + "if mask is not None:\n    weights = weights * mask\n" + _OUT,
        "applied after the softmax: the weights sum to 0.62",
        "E002-13",
    ),
    (
        "mask after the softmax, rows divided by their sum",
        _SCORES
        + _WEIGHTS
        + """
if mask is not None:
    weights = weights * mask
    weights = weights / weights.sum(-1, keepdim=True)
"""
        + _OUT,
        "seen the hidden key before it was hidden",
        "E002-13",
    ),
    (
        "mask ignored",
        _SCORES + _WEIGHTS + _OUT,
        "the mask has no effect",
        "E001-18",
    ),
    (
        "mask the wrong way round",
        _SCORES
        + f"if mask is not None:\n    scores = scores.masked_fill(mask, {_LOWEST})\n"
        + _WEIGHTS
        + "if mask is not None:\n    weights = weights.masked_fill(mask, 0.0)\n"
        + _OUT,
        "wrong way round",
        "E003-07",
    ),
    (
        "hidden scores set to 0",
        _SCORES + "if mask is not None:\n    scores = scores * mask\n" + _WEIGHTS + _OUT,
        "a score of 0 is not hidden, for exp(0) is 1",
    ),
    (
        "hidden scores and hidden weights set to 0",
        _SCORES + "if mask is not None:\n    scores = scores * mask\n" + _WEIGHTS + _EMPTY + _OUT,
        "exp(0) = 1 stays in the sum",
    ),
    (
        "mask times the lowest number added",
        _SCORES
        + f"if mask is not None:\n    scores = scores + (~mask) * {_LOWEST}\n"
        + _WEIGHTS
        + _EMPTY
        + _OUT,
        "has dtype float32",
    ),
    (
        "boolean mask added to the scores",
        _SCORES + "if mask is not None:\n    scores = scores + mask\n" + _WEIGHTS + _OUT,
        "True adds 1 and hides nothing",
        "E002-14",
    ),
    (
        "hidden scores filled with -1e4",
        _SCORES + _fill("-1e4") + _WEIGHTS + _OUT,
        "a finite number that is not low enough",
    ),
    (
        "hidden scores filled with -1e9, and lowered to fit float16",
        _SCORES
        + "number = max(-1e9, torch.finfo(scores.dtype).min)\n"
        + _fill("number")
        + _WEIGHTS
        + _OUT,
        "a finite number that is not low enough",
    ),
    (
        "hidden scores filled with -1e20",
        _SCORES + _fill("-1e20") + _WEIGHTS + _EMPTY + _OUT,
        "does not fit into float16",
        "E003-04",
    ),
    (
        "an empty row reads everything evenly",
        _SCORES + _FILL + _WEIGHTS + _OUT,
        "plain mean of all values",
        "E003-05",
    ),
    (
        "an empty row is NaN",
        _SCORES + _fill("-math.inf") + _WEIGHTS + _OUT,
        "NaN for a query that may attend to nothing",
        "E003-05",
    ),
    (
        "-inf added, NaN of an empty row replaced after the softmax",
        _SCORES
        + """
if mask is not None:
    bias = torch.zeros(mask.shape, dtype=scores.dtype)
    scores = scores + bias.masked_fill(~mask, -math.inf)
"""
        + _WEIGHTS
        + "weights = weights.nan_to_num(0.0)\n"
        + _OUT,
        "holds NaN although the output does not",
        "E003-05",
    ),
    (
        "four axes taken for granted",
        'scores = torch.einsum("bhtd,bhsd->bhts", query, key) / math.sqrt(query.size(-1))\n'
        + _REST,
        "any number of leading axes",
    ),
    (
        "axes 1 and 2 of the key exchanged",
        "scores = query @ key.transpose(1, 2) / math.sqrt(query.size(-1))\n" + _REST,
        "last two axes",
    ),
    (
        "mask of the first sequence for all",
        _SCORES + "if mask is not None and mask.dim() == 4:\n    mask = mask[:1]\n" + _REST,
        "mask of the first sequence is used for the whole batch",
    ),
    (
        "mask taken for (B, S)",
        _SCORES + "if mask is not None:\n    mask = mask[:, None, None, :]\n" + _REST,
        "Use the mask as it is",
        "E003-06",
    ),
    (
        "weights treated as constants",
        _SCORES + _FILL + _WEIGHTS + _EMPTY + "return weights.detach() @ value",
        "weights are treated as constants",
    ),
    (
        "always float32",
        "query, key, value = query.float(), key.float(), value.float()\n" + _SCORES + _REST,
        "must have dtype torch.bfloat16",
    ),
    (
        "writes into the query",
        "query /= math.sqrt(query.size(-1))\nscores = query @ key.transpose(-2, -1)\n" + _REST,
        "changes its input `query`",
    ),
)

_bugs(
    "padding_mask",
    "padding_mask(lengths, size)",
    (
        "True means padding",
        "return (torch.arange(size) >= lengths[:, None])[:, None, None, :]",
        "wrong way round",
        "E003-07",
    ),
    (
        "one padded place visible",
        "return (torch.arange(size) <= lengths[:, None])[:, None, None, :]",
        "one padded place too many",
    ),
    (
        "last real token hidden",
        "return (torch.arange(1, size + 1) < lengths[:, None])[:, None, None, :]",
        "last real token is hidden",
    ),
    (
        "two axes, (B, S)",
        "return torch.arange(size) < lengths[:, None]",
        "cannot be mistaken for one over other axes",
        "E003-06",
    ),
    (
        "three axes, (B, 1, S)",
        "return (torch.arange(size) < lengths[:, None])[:, None, :]",
        "cannot be mistaken for one over other axes",
        "E003-06",
    ),
    (
        "hides queries, not keys",
        "return (torch.arange(size) < lengths[:, None])[:, None, :, None]",
        "It hides queries",
    ),
    (
        "batch on the axis of the queries, (1, 1, B, S)",
        "return (torch.arange(size) < lengths[:, None])[None, None]",
        "The batch must be the first axis",
        "E003-06",
    ),
    (
        "batch on the axis of the heads, (1, B, 1, S)",
        "return (torch.arange(size) < lengths[:, None])[None, :, None]",
        "The batch must be the first axis",
        "E003-06",
    ),
    (
        "lengths without an axis",
        "return (torch.arange(size) < lengths)[:, None, None, :]",
        "Give lengths an axis",
    ),
    (
        "numbers 1 and 0",
        "return (torch.arange(size) < lengths[:, None])[:, None, None, :].float()",
        "must have dtype torch.bool",
        "E002-14",
    ),
    (
        "additive mask, 0 and -inf",
        """
hidden = torch.arange(size) >= lengths[:, None]
return torch.zeros(hidden.shape).masked_fill(hidden, -math.inf)[:, None, None, :]
""",
        "additive",
        "E002-14",
    ),
    (
        "padding on the left",
        "return (torch.arange(size).flip(0) < lengths[:, None])[:, None, None, :]",
        "stands on the left",
    ),
    (
        "size ignored",
        "return (torch.arange(int(lengths.max())) < lengths[:, None])[:, None, None, :]",
        "it must have `size`",
    ),
    (
        "lengths ignored",
        "return torch.ones(len(lengths), 1, 1, size, dtype=torch.bool)",
        "the lengths are not used",
        "E001-18",
    ),
    (
        "longest length for all",
        "return (torch.arange(size) < lengths.max()).expand(len(lengths), 1, 1, size)",
        "the longest length is used",
    ),
    (
        "first length for all",
        "return (torch.arange(size) < lengths[0]).expand(len(lengths), 1, 1, size)",
        "the first length is used",
    ),
    (
        "queries hidden as well, (B, 1, S, S)",
        """
real = torch.arange(size) < lengths[:, None]
return real[:, None, :, None] & real[:, None, None, :]
""",
        "the wrong shape",
    ),
)

_bugs(
    "causal_mask",
    "causal_mask(size)",
    (
        "upper triangle",
        "return torch.ones(size, size, dtype=torch.bool).triu()[None, None]",
        "axes are exchanged",
    ),
    (
        "True means hidden",
        "return torch.ones(size, size, dtype=torch.bool).triu(1)[None, None]",
        "wrong way round",
        "E003-07",
    ),
    (
        "no query sees itself",
        "return torch.ones(size, size, dtype=torch.bool).tril(-1)[None, None]",
        "no query sees itself",
    ),
    (
        "one key of the future",
        "return torch.ones(size, size, dtype=torch.bool).tril(1)[None, None]",
        "one key of the future",
    ),
    (
        "no mask at all",
        "return torch.ones(1, 1, size, size, dtype=torch.bool)",
        "the future included",
    ),
    (
        "only the query itself",
        "return torch.eye(size, dtype=torch.bool)[None, None]",
        "each query sees only itself.",
    ),
    (
        "only itself and its predecessor",
        """
square = torch.ones(size, size, dtype=torch.bool)
return (square.tril() & square.triu(-1))[None, None]
""",
        "itself and its predecessor",
    ),
    (
        "wrong corner",
        "return torch.ones(size, size, dtype=torch.bool).tril().flip(-1)[None, None]",
        "starts at the wrong corner",
    ),
    (
        "two axes, (T, S)",
        "return torch.ones(size, size, dtype=torch.bool).tril()",
        "expected (1, 1, T, S)",
        "E003-06",
    ),
    (
        "three axes, (1, T, S)",
        "return torch.ones(1, size, size, dtype=torch.bool).tril()",
        "cannot be mistaken for one over other axes",
    ),
    (
        "numbers 1 and 0",
        "return torch.ones(size, size).tril()[None, None]",
        "must have dtype torch.bool",
        "E002-14",
    ),
    (
        "additive mask, 0 and -inf",
        "return torch.full((size, size), -math.inf).triu(1)[None, None]",
        "additive",
        "E002-14",
    ),
)

_LOOP = """
result = None
for mask in masks:
    if mask is None:
        continue
    result = mask if result is None else {}
return result
"""

_bugs(
    "combine_masks",
    "combine_masks(*masks)",
    (
        "any mask is enough",
        _LOOP.format("result | mask"),
        "if any mask allows it",
    ),
    (
        "masks added",
        _LOOP.format("result + mask"),
        "if any mask allows it",
    ),
    (
        "exactly one mask",
        _LOOP.format("result ^ mask"),
        "exactly one mask",
    ),
    (
        "masks agree",
        _LOOP.format("result == mask"),
        "if the masks agree",
    ),
    (
        "True read as hidden",
        _LOOP.format("~(result | mask)"),
        "True is read as hidden",
        "E003-07",
    ),
    (
        "result the wrong way round",
        _LOOP.format("~(result & mask)"),
        "result is the wrong way round",
        "E003-07",
    ),
    (
        "product of numbers",
        _LOOP.format("result.float() * mask.float()"),
        "must have dtype torch.bool",
        "E002-14",
    ),
    (
        "only the last mask",
        _LOOP.format("mask"),
        "only the last mask counts",
    ),
    (
        "only the first mask",
        _LOOP.format("result"),
        "only the first mask counts",
    ),
    (
        "the third mask ignored",
        "masks = masks[:2]\n" + _LOOP.format("result & mask"),
        "the third mask is ignored",
    ),
    (
        "starts from False",
        """
result = torch.tensor(False)
for mask in masks:
    if mask is not None:
        result = result & mask
return result
""",
        "nothing is ever visible",
    ),
    (
        "None not skipped",
        """
result = masks[0] if masks else None
for mask in masks[1:]:
    result = result & mask
return result
""",
        "None means no restriction",
    ),
    (
        "written into the first mask",
        """
result = None
for mask in masks:
    if mask is None:
        continue
    if result is None:
        result = mask
    else:
        result &= mask
return result
""",
        "changes its input",
    ),
    (
        "masks stacked",
        """
given = [mask for mask in masks if mask is not None]
return torch.stack(given).all(0) if given else None
""",
        "let them broadcast instead of stacking",
    ),
    (
        "truth value of a mask",
        """
result = None
for mask in masks:
    if mask:
        result = mask if result is None else result & mask
return result
""",
        "compare with `is None`",
    ),
    (
        "no mask gives True",
        """
result = torch.tensor(True)
for mask in masks:
    if mask is not None:
        result = result & mask
return result
""",
        "must return None",
    ),
)

_bugs(
    "masked_attention",
    "masked_attention(query, key, value, mask)",
    (
        "as given: mask after the softmax",
        _SCORES + _WEIGHTS + "weights = weights * mask\n" + _OUT,
        "applied after the softmax: the weights sum to 0.62",
        "E002-13",
    ),
    (
        "rows divided by their sum",
        _SCORES
        + _WEIGHTS
        + "weights = weights * mask\n"
        + "weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-9)\n"
        + _OUT,
        "seen the hidden key before it was hidden",
        "E002-13",
    ),
    (
        "values masked instead of weights",
        _SCORES
        + _WEIGHTS
        + "hidden = ~mask.expand(scores.shape).any(-2)\n"
        + "return weights @ value.masked_fill(hidden[..., None], 0.0)",
        "applied after the softmax: the weights sum to 0.62",
        "E002-13",
    ),
    (
        "scores multiplied by the mask",
        _SCORES + "scores = scores * mask\n" + _WEIGHTS + _OUT,
        "a score of 0 is not hidden, for exp(0) is 1",
    ),
    (
        "scores and weights multiplied by the mask",
        _SCORES + "scores = scores * mask\n" + _WEIGHTS + "weights = weights * mask\n" + _OUT,
        "exp(0) = 1 stays in the sum",
    ),
    (
        "mask times the lowest number added",
        _SCORES
        + f"scores = scores + (~mask) * {_LOWEST}\n"
        + _WEIGHTS
        + "weights = weights * mask\n"
        + _OUT,
        "has dtype float32",
    ),
    (
        "mask the wrong way round",
        _SCORES + f"scores = scores.masked_fill(mask, {_LOWEST})\n" + _WEIGHTS + _OUT,
        "wrong way round",
        "E003-07",
    ),
    (
        "filled with -1e4",
        _SCORES + "scores = scores.masked_fill(~mask, -1e4)\n" + _WEIGHTS + _EMPTY + _OUT,
        "a finite number that is not low enough",
    ),
    (
        "filled with -1e20",
        _SCORES + "scores = scores.masked_fill(~mask, -1e20)\n" + _WEIGHTS + _EMPTY + _OUT,
        "does not fit into float16",
        "E003-04",
    ),
    (
        "empty row is NaN",
        _SCORES + "scores = scores.masked_fill(~mask, -math.inf)\n" + _WEIGHTS + _OUT,
        "NaN for a query that may attend to nothing",
        "E003-05",
    ),
    (
        "empty row reads everything",
        _SCORES + f"scores = scores.masked_fill(~mask, {_LOWEST})\n" + _WEIGHTS + _OUT,
        "plain mean of all values",
        "E003-05",
    ),
    (
        "-inf added, NaN replaced after the softmax",
        _SCORES
        + "bias = torch.zeros(mask.shape, dtype=scores.dtype).masked_fill(~mask, -math.inf)\n"
        + "weights = torch.softmax(scores + bias, dim=-1).masked_fill(~mask, 0.0)\n"
        + _OUT,
        "holds NaN although the output does not",
        "E003-05",
    ),
)

_SHARE = "return torch.softmax(scores, dim=-1) @ value"

_bugs(
    "head_attention",
    "head_attention(query, key, value)",
    (
        "as given: sqrt of d_model",
        "scores = query @ key.mT / math.sqrt(query.size(1) * query.size(-1))\n" + _SHARE,
        "width of all heads together",
        "E003-03",
    ),
    (
        "no scale",
        "scores = query @ key.mT\n" + _SHARE,
        "not divided at all",
        "E004-14",
    ),
    (
        "divided by d_k",
        "scores = query @ key.mT / query.size(-1)\n" + _SHARE,
        "divided by d_k, not by its square root",
    ),
    (
        "fixed number, right for the example only",
        "scores = query @ key.mT / 4.0\n" + _SHARE,
        "right for d_k = 16 only",
    ),
    (
        "root of the number of tokens",
        "scores = query @ key.mT / math.sqrt(query.size(-2))\n" + _SHARE,
        "number of tokens",
    ),
    (
        "root of the number of heads",
        "scores = query @ key.mT / math.sqrt(query.size(1))\n" + _SHARE,
        "number of heads",
    ),
    (
        "root of d_k over the number of heads",
        "scores = query @ key.mT / math.sqrt(query.size(-1) / query.size(1))\n" + _SHARE,
        "d_k is already the width of one head",
    ),
    (
        "softmax before the division",
        "weights = torch.softmax(query @ key.mT, dim=-1) / math.sqrt(query.size(-1))\n"
        "return weights @ value",
        "softmax runs before the division",
    ),
    (
        "divided by d_model",
        "scores = query @ key.mT / (query.size(1) * query.size(-1))\n" + _SHARE,
        "divided by d_model, not by the square root",
        "E003-03",
    ),
    (
        "multiplied by sqrt(d_k)",
        "scores = query @ key.mT * math.sqrt(query.size(-1))\n" + _SHARE,
        "scores are multiplied by sqrt(d_k)",
    ),
    (
        "softmax over the queries",
        "scores = query @ key.mT / math.sqrt(query.size(-1))\n"
        "return torch.softmax(scores, dim=-2) @ value",
        "runs over the queries",
    ),
    (
        "query and key exchanged",
        "scores = key @ query.mT / math.sqrt(query.size(-1))\n" + _SHARE,
        "query and key have changed places",
        "E003-08",
    ),
)

_KEPT = "kept = torch.rand(weights.shape) >= p\n"
_OFF = "if not training:\n    return weights\n"

_bugs(
    "weight_dropout",
    "weight_dropout(weights, p, training)",
    (
        "as given: always on, and too small",
        _KEPT + "return weights * kept",
        "outside training there is no dropout",
        "E002-15",
    ),
    (
        "always on",
        _KEPT + "return weights * kept / (1 - p)",
        "outside training there is no dropout",
        "E002-15",
    ),
    (
        "what stays is not made larger",
        _OFF + _KEPT + "return weights * kept",
        "on average a row sums to 1 - p",
    ),
    (
        "made smaller outside training",
        "if not training:\n    return weights * (1 - p)\n" + _KEPT + "return weights * kept",
        "made smaller outside training",
    ),
    (
        "scaled outside training as well",
        "kept = torch.rand(weights.shape) >= p if training else 1.0\n"
        "return weights * kept / (1 - p)",
        "scaled outside training as well",
    ),
    (
        "modes exchanged",
        "if training:\n    return weights\n" + _KEPT + "return weights * kept / (1 - p)",
        "outside training there is no dropout",
    ),
    (
        "never on",
        "return weights",
        "sets no weight to 0",
    ),
    (
        "p is the share that stays",
        _OFF + "kept = torch.rand(weights.shape) < p\nreturn weights * kept / p",
        "p is the share that is dropped",
    ),
    (
        "divided by p",
        _OFF + _KEPT + "return weights * kept / p",
        "divided by p",
    ),
    (
        "multiplied by 1 - p",
        _OFF + _KEPT + "return weights * kept * (1 - p)",
        "multiplied by 1 - p",
    ),
    (
        "multiplied by 1 + p",
        _OFF + _KEPT + "return weights * kept * (1 + p)",
        "multiplied by 1 + p",
    ),
    (
        "rows divided by their sum",
        _OFF + _KEPT + "weights = weights * kept\nreturn weights / weights.sum(-1, keepdim=True)",
        "divided by its own sum",
    ),
    (
        "whole keys dropped",
        _OFF + "kept = torch.rand(weights.shape[-1:]) >= p\n" + "return weights * kept / (1 - p)",
        "whole columns are dropped",
    ),
    (
        "whole queries dropped",
        _OFF
        + "kept = torch.rand((*weights.shape[:-1], 1)) >= p\n"
        + "return weights * kept / (1 - p)",
        "whole rows are dropped",
    ),
    (
        "a fixed seed",
        _OFF
        + "draw = torch.rand(weights.shape, generator=torch.Generator().manual_seed(0))\n"
        + "return weights * (draw >= p) / (1 - p)",
        "two calls drop the same weights",
    ),
    (
        "normal numbers instead of even ones",
        _OFF + "kept = torch.randn(weights.shape) >= p\nreturn weights * kept / (1 - p)",
        "drops a share of",
    ),
    (
        "always float32",
        _OFF + _KEPT + "return weights.float() * kept / (1 - p)",
        "must have dtype torch.bfloat16",
    ),
    (
        "writes into its input",
        _OFF + _KEPT + "weights *= kept / (1 - p)\nreturn weights",
        "changes its input",
    ),
    (
        "gradient lost",
        _OFF + _KEPT + "return weights.detach() * kept / (1 - p)",
        "loses the gradient",
    ),
)

_bugs(
    "mean_entropy",
    "mean_entropy(weights)",
    (
        "0 log 0 is NaN",
        "return -(weights * weights.log()).sum(-1).mean()",
        "0 times log 0 must count as 0",
    ),
    (
        "a floor that float32 cannot hold",
        "return -(weights * weights.clamp_min(1e-50).log()).sum(-1).mean()",
        "1e-50 is 0 in float32",
    ),
    (
        "base 2",
        "return torch.special.entr(weights).sum(-1).mean() / math.log(2)",
        "the logarithm has base 2",
    ),
    (
        "mean over all places",
        "return torch.special.entr(weights).mean()",
        "sum over the keys first",
    ),
    (
        "no sign",
        "return -torch.special.entr(weights).sum(-1).mean()",
        "the sign is missing",
    ),
    (
        "rows summed",
        "return torch.special.entr(weights).sum()",
        "take their mean",
    ),
    (
        "one value for each row",
        "return torch.special.entr(weights).sum(-1)",
        "take the mean over all rows",
    ),
    (
        "one value for each weight",
        "return torch.special.entr(weights)",
        "one value for each weight",
    ),
    (
        "divided by its largest value",
        "return torch.special.entr(weights).sum(-1).mean() / math.log(weights.size(-1))",
        "divided by its largest value",
    ),
    (
        "trace of the Jacobian instead",
        "return (1 - weights.square().sum(-1)).mean()",
        "this is the Jacobian's trace",
    ),
)
