"""Named wrong answers to assignment 04: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
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


RIGHT = [
    Right(
        "by_hand",
        "rounded to two decimals",
        """def by_hand():
    return [0, 0.69, 1.1], [0.17, 0.33, 0.5], [4, 5]
""",
    ),
    Right(
        "by_hand",
        "computed with loops",
        """def by_hand():
    q, keys, values = (1, 1), [(0, 0), (0.98, 0), (0, 1.554)], [(6, 0), (0, 6), (6, 6)]
    scores = [sum(a * b for a, b in zip(q, k)) / math.sqrt(2) for k in keys]
    powers = [math.exp(s) for s in scores]
    weights = [p / sum(powers) for p in powers]
    output = [sum(w * v[i] for w, v in zip(weights, values)) for i in range(2)]
    return [scores, weights, output]
""",
    ),
    Right(
        "softmax",
        "the logarithm of the sum first",
        """def softmax(scores, dim=-1):
    return (scores - scores.logsumexp(dim, keepdim=True)).exp()
""",
    ),
    Right(
        "softmax",
        "in float64 inside, the shift a constant",
        """def softmax(scores, dim=-1):
    wide = scores.double()
    with torch.no_grad():
        top, _ = wide.max(dim, keepdim=True)
    powers = (wide - top).exp()
    total = powers.sum(dim, keepdim=True)
    return powers.div(total).to(scores.dtype)
""",
    ),
    Right(
        "softmax",
        "row by row",
        """def of_row(row):
    powers = [torch.exp(score - max(row)) for score in row]
    return torch.stack(powers) / sum(powers)


def softmax(scores, dim=-1):
    last = scores.movedim(dim, -1)
    rows = [of_row(row) for row in last.reshape(-1, last.size(-1))]
    return torch.stack(rows).view(last.shape).movedim(-1, dim)
""",
    ),
    Right(
        "softmax",
        "powers of two of a copy, in place",
        """def softmax(scores, dim=-1):
    highest = scores.detach().amax(dim, True)
    moved = scores.clone().sub_(highest).mul_(1 / math.log(2))
    powers = torch.exp2(moved)
    return powers * powers.sum(dim, True).reciprocal()
""",
    ),
    Right(
        "scaled_dot_product_attention",
        "einsum, with the softmax of the task before",
        """def scaled_dot_product_attention(query, key, value, mask=None):
    scores = torch.einsum("...td,...sd->...ts", query / query.size(-1) ** 0.5, key)
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    weights = softmax(scores, dim=-1)
    if mask is not None:
        weights = weights * mask.to(weights.dtype)
    return torch.einsum("...ts,...sv->...tv", weights, value)
""",
    ),
    Right(
        "scaled_dot_product_attention",
        "minus infinity, and nan filled afterwards",
        """def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query.matmul(key.transpose(-1, -2)).div(query.shape[-1] ** 0.5)
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    weights = scores.masked_fill(mask.logical_not(), -math.inf).softmax(-1)
    return weights.masked_fill(weights.isnan(), 0) @ value
""",
    ),
    Right(
        "scaled_dot_product_attention",
        "float64 inside, the division by the row sums last",
        """def scaled_dot_product_attention(query, key, value, mask=None):
    dtype = value.dtype
    query, key, value = query.double(), key.double(), value.double()
    scores = math.pow(query.size(-1), -0.5) * (query @ key.mT)
    allowed = torch.ones((), dtype=torch.bool) if mask is None else mask
    scores = torch.where(allowed, scores, torch.finfo(torch.float64).min)
    powers = torch.exp(scores - scores.amax(-1, keepdim=True)) * allowed
    total = powers.sum(-1, keepdim=True)
    return (powers @ value / total.masked_fill(total == 0, 1)).to(dtype)
""",
    ),
    Right(
        "scaled_dot_product_attention",
        "a loop over the queries, empty rows left out of the softmax",
        """import torch.nn.functional as F


def scaled_dot_product_attention(query, key, value, mask=None):
    root = math.sqrt(key.shape[-1])
    rows = []
    for t in range(query.shape[-2]):
        row = (query[..., t : t + 1, :] * key).sum(-1) / root  # (..., S)
        if mask is None:
            weights = F.softmax(row, dim=-1)
        else:
            whole = mask.expand(*row.shape[:-1], query.shape[-2], row.shape[-1])[..., t, :]
            some = whole.any(-1, keepdim=True)
            row = row.masked_fill(~whole & some, float("-inf"))
            weights = F.softmax(row, dim=-1).masked_fill(~some, 0.0)
        rows.append((weights.unsqueeze(-1) * value).sum(-2))
    return torch.stack(rows, dim=-2)

""",
    ),
    Right(
        "padding_mask",
        "a loop over the lengths",
        """def padding_mask(lengths, size):
    mask = torch.zeros(len(lengths), 1, 1, size, dtype=torch.bool)
    for b, length in enumerate(lengths):
        mask[b, ..., :length] = True
    return mask
""",
    ),
    Right(
        "padding_mask",
        "rows of a triangle",
        """def padding_mask(lengths, size):
    table = torch.ones(size + 1, size).tril(-1).bool()
    return table[lengths.long()][:, None, None]
""",
    ),
    Right(
        "padding_mask",
        "lists",
        """def padding_mask(lengths, size):
    return torch.tensor([[[[s < n for s in range(size)]]] for n in lengths.tolist()])
""",
    ),
    Right(
        "padding_mask",
        "a running count",
        """def padding_mask(lengths, size):
    count = torch.ones(lengths.size(0), size, dtype=torch.int64).cumsum(dim=1)
    return torch.ge(lengths.unsqueeze(1), count).unsqueeze(1).unsqueeze(1)
""",
    ),
    Right(
        "causal_mask",
        "the upper triangle turned round",
        """def causal_mask(size):
    future = torch.triu(torch.ones(size, size), diagonal=1)
    return (future == 0).view(1, 1, size, size)
""",
    ),
    Right(
        "causal_mask",
        "two loops",
        """def causal_mask(size):
    mask = torch.full((1, 1, size, size), False)
    for t in range(size):
        for s in range(t + 1):
            mask[0, 0, t, s] = True
    return mask
""",
    ),
    Right(
        "causal_mask",
        "a lambda over the identity",
        """causal_mask = lambda size: torch.eye(size).cumsum(0).bool()[None, None]
""",
    ),
    Right(
        "combine_masks",
        "reduce",
        """from functools import reduce


def combine_masks(*masks):
    given = [mask for mask in masks if mask is not None]
    return reduce(torch.logical_and, given) if given else None
""",
    ),
    Right(
        "combine_masks",
        "broadcast, stacked, all",
        """def combine_masks(*masks):
    masks = tuple(filter(lambda mask: mask is not None, masks))
    if len(masks) == 0:
        return None
    return torch.stack(torch.broadcast_tensors(*masks)).all(dim=0)
""",
    ),
    Right(
        "combine_masks",
        "hidden anywhere, by recursion",
        """def combine_masks(*masks):
    if not masks:
        return None
    first, rest = masks[0], combine_masks(*masks[1:])
    if first is None or rest is None:
        return rest if first is None else first
    return ~(~first | ~rest)
""",
    ),
    Right(
        "masked_attention",
        "minus infinity, and the empty rows afterwards",
        """def masked_attention(query, key, value, mask):
    logits = query @ key.mT / math.sqrt(query.size(-1))
    a = torch.softmax(logits.masked_fill(~mask, float("-inf")), dim=-1)
    a = torch.where(mask.any(-1, keepdim=True), a, torch.zeros_like(a))
    return a @ value
""",
    ),
    Right(
        "masked_attention",
        "the fewest changes",
        """def masked_attention(query, key, value, mask):
    logits = query @ key.mT / math.sqrt(query.size(-1))  # (..., T, S)
    logits = logits.masked_fill(mask == 0, torch.finfo(logits.dtype).min)
    a = torch.softmax(logits, dim=-1)
    a = a * mask
    return a @ value
""",
    ),
    Right(
        "masked_attention",
        "in place on its own scores, einsum, float32 inside",
        """def masked_attention(query, key, value, mask):
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = torch.einsum("...td, ...sd -> ...ts", query.to(wide), key.to(wide))
    scores.mul_(query.shape[-1] ** -0.5).masked_fill_(~mask, torch.finfo(wide).min)
    weights = scores.softmax(dim=-1).masked_fill(~mask, 0)
    return torch.einsum("...ts, ...sd -> ...td", weights, value.to(wide)).type_as(query)
""",
    ),
    Right(
        "head_attention",
        "head by head",
        """def head_attention(query, key, value):
    outputs = []
    for h in range(query.size(1)):
        q, k, v = query[:, h], key[:, h], value[:, h]
        weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)) / math.sqrt(q.size(2)), dim=2)
        outputs.append(torch.bmm(weights, v))
    return torch.stack(outputs, dim=1)
""",
    ),
    Right(
        "head_attention",
        "the scale shared between query and key",
        """def head_attention(query, key, value):
    *_, width = query.shape
    fourth = width**-0.25
    scores = torch.einsum("bhtd,bhsd->bhts", fourth * query, fourth * key)
    return torch.einsum("bhts,bhsd->bhtd", scores.softmax(-1), value)
""",
    ),
    Right(
        "head_attention",
        "softmax by hand",
        """def head_attention(query, key, value):
    scores = query @ key.mT
    scores = scores / torch.tensor(float(query.size(3))).sqrt()
    powers = (scores - scores.max(dim=3, keepdim=True).values).exp()
    return powers @ value / powers.sum(3, keepdim=True)
""",
    ),
    Right(
        "weight_dropout",
        "drawn by bernoulli",
        """def weight_dropout(weights, p, training):
    if training:
        keep = torch.full_like(weights, 1 - p).bernoulli()
        return weights * (keep / (1 - p))
    return weights.clone()
""",
    ),
    Right(
        "weight_dropout",
        "masked_fill",
        """def weight_dropout(weights, p, training):
    rate = p if training else 0.0
    drop = torch.rand(weights.shape) < rate
    return weights.masked_fill(drop, 0.0).div(1 - rate)
""",
    ),
    Right(
        "weight_dropout",
        "random numbers of Python",
        """import random


def weight_dropout(weights, p, training):
    if not training:
        return weights
    drawn = [0.0 if random.random() < p else 1 / (1 - p) for _ in range(weights.numel())]
    return weights * torch.tensor(drawn, dtype=weights.dtype).view(weights.shape)
""",
    ),
    Right(
        "weight_dropout",
        "where, a distribution",
        """def weight_dropout(weights, p, training):
    if not training or p == 0:
        return weights
    kept = torch.distributions.Bernoulli(1.0 - p).sample(weights.shape)
    return torch.where(kept == 1, weights / (1 - p), torch.zeros_like(weights))
""",
    ),
    Right(
        "mean_entropy",
        "entr",
        """def mean_entropy(weights):
    return float(torch.special.entr(weights).sum(-1).mean())
""",
    ),
    Right(
        "mean_entropy",
        "loops of Python",
        """def mean_entropy(weights):
    rows = weights.reshape(-1, weights.shape[-1]).tolist()
    return sum(-w * math.log(w) for row in rows for w in row if w > 0) / len(rows)
""",
    ),
    Right(
        "mean_entropy",
        "xlogy, the rows counted",
        """def mean_entropy(weights):
    rows = weights[..., 0].numel()
    return torch.xlogy(weights, weights).sum().neg() / rows
""",
    ),
    Right(
        "mean_entropy",
        "the logarithm of 1 in the place of 0",
        """def mean_entropy(weights):
    log = torch.log(weights.masked_fill(weights == 0, 1))
    return torch.einsum("...s,...s->...", weights, -log).mean()
""",
    ),
    Right(
        "causal_mask",
        "kept for the next call",
        """import functools


@functools.cache
def causal_mask(size):
    return torch.ones(1, 1, size, size, dtype=torch.bool).tril()
""",
    ),
    Right(
        "softmax",
        "16 bits by a call of itself in float32",
        """def softmax(scores, dim=-1):
    if scores.dtype in (torch.float16, torch.bfloat16):
        return softmax(scores.float(), dim).to(scores.dtype)
    powers = (scores - scores.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)
""",
    ),
    Right(
        "scaled_dot_product_attention",
        "16 bits by a call of itself in float32",
        """def scaled_dot_product_attention(query, key, value, mask=None):
    if query.dtype in (torch.float16, torch.bfloat16):
        wide = query.float(), key.float(), value.float()
        return scaled_dot_product_attention(*wide, mask=mask).to(query.dtype)
    scores = query @ key.mT / query.size(-1) ** 0.5
    if mask is None:
        return scores.softmax(-1) @ value
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return (weights * mask) @ value
""",
    ),
    Right(
        "weight_dropout",
        "a helper that is called dropout",
        """def dropout(x, p):
    return x * (torch.rand_like(x, dtype=torch.float32) >= p) / (1 - p)


def weight_dropout(weights, p, training):
    return dropout(weights, p) if training else weights
""",
    ),
]
