"""Named wrong answers to assignment 12: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``); the
others are the classic slips of students. They are changes of the model answers, so that a wrong
answer stays wrong for its one reason when a model answer is improved.
"""

from grading.answers import reference_answers
from grading.bugs import Bug, Right, edit
from grading.course import Course

BUGS: list[Bug] = []
RIGHT: list[Right] = []
ANSWERS = reference_answers(Course(), "12-text-classification")


def _change(task: str, name: str, says: str | None, *swaps: tuple[str, str], **more: str) -> None:
    """A wrong answer: the model answer with some of its text exchanged."""
    errata, note = more.get("errata", ""), more.get("note", "")
    BUGS.append(Bug(task, name, edit(ANSWERS[task], *swaps), says, errata, note))


def _right(task: str, name: str, *swaps: tuple[str, str]) -> None:
    RIGHT.append(Right(task, name, edit(ANSWERS[task], *swaps)))


# ---------------------------------------------------------------- by hand

for _name, _says, _old, _new, _errata in (
    ("mean with the pad", "the pad is counted", "[-3.0, 3.0]", "[-0.5, 4.0]", "E000-13"),
    ("sum over four", "divided by four", "[-3.0, 3.0]", "[-2.25, 2.25]", "E000-13"),
    ("maximum of zeroed", "a pad of zeros", '"maximum": [-1.0, 6.0]', '"maximum": [0.0, 6.0]', ""),
    ("maximum with the pad", "the pad is counted", "[-1.0, 6.0]", "[7.0, 7.0]", "E000-13"),
    ("zeroed left out", "the pad is left out", "[0.0, 6.0]", "[-1.0, 6.0]", ""),
    ("not divided", "not divided by their sum", "[0.125, 0.25, 0.625]", "[1.0, 2.0, 5.0]", ""),
    ("sign of the loss", "the sign is wrong", "1.3863", "-1.3863", ""),
    ("probability for loss", "this is the probability", "1.3863", "0.25", ""),
    ("gradient of p", "1 is not taken away", "[0.125, -0.75, 0.625]", "[0.125, 0.25, 0.625]", ""),
    ("sign of the gradient", "the sign is wrong", "[0.125, -0.75", "[-0.125, 0.75", ""),
    ("no floor", "the first softmax is forgotten", "0.7437", "0.0", "E000-27"),
    ("floor of two classes", "two classes are counted", "0.7437", "0.3133", "E000-27"),
    ("two digits", "rounded to two digits", "[0.125, 0.25, 0.625]", "[0.13, 0.25, 0.63]", ""),
    ("base 10", "to base 10", "1.3863", "0.6021", ""),
    ("prices exchanged", "the two prices exchanged", "0.375", "0.625", ""),
    ("one half", "equal prices only", "0.375", "0.5", ""),
    ("quotient", "the quotient of the prices", "0.375", "0.6", ""),
):
    _swaps = [(_old, _new)]
    if _name == "sign of the gradient":
        _swaps = [("[0.125, -0.75, 0.625]", "[-0.125, 0.75, -0.625]")]
    if _name == "maximum with the pad":
        _swaps = [('"maximum": [-1.0, 6.0]', '"maximum": [7.0, 7.0]')]
    _change("by_hand", _name, _says, *_swaps, errata=_errata)
_right("by_hand", "tensors", ('"mean": [-3.0, 3.0]', '"mean": torch.tensor([-3.0, 3.0])'))
_right("by_hand", "three digits and tuples", ("1.3863", "1.386"), ("[-1.0, 6.0]", "(-1, 6)"))

# ---------------------------------------------------------------- pool

_KEPT = "kept = x.masked_fill(~real, 0.0)"
_WIDE = "wide = kept if x.dtype == torch.float64 else kept.float()"
_MEAN = "mean = (wide.sum(dim=1) / real.sum(dim=1).clamp(min=1)).to(x.dtype)"
_MAX = "largest = x.masked_fill(~real, -torch.inf).amax(dim=1)"
_NONE = "largest = largest.masked_fill(~real.any(dim=1), 0.0)"
_PLACES = "places = torch.arange(x.size(1)).expand(tokens.shape).masked_fill(~tokens, -1)"
_LAST = "places.amax(dim=1).clamp(min=0)"


def _pool(name: str, says: str, *swaps: tuple[str, str], errata: str = "", note: str = "") -> None:
    _change("pool", name, says, *swaps, errata=errata, note=note)


_pool(
    "tokens not used",
    "`tokens` is not used",
    ("real = tokens[..., None]", "tokens = torch.ones_like(tokens)\n    real = tokens[..., None]"),
    errata="E000-13",
)
_pool(
    "mask the wrong way round",
    "the mask is the wrong way round",
    ("real = tokens[..., None]", "tokens = ~tokens\n    real = tokens[..., None]"),
)
_pool(
    "mean over T",
    "set to zero and then counted",
    ("real.sum(dim=1).clamp(min=1)", "x.size(1)"),
    errata="E000-13",
)
_pool(
    "padding counted above the line",
    "counted above the line",
    (_WIDE, "wide = x if x.dtype == torch.float64 else x.float()"),
)
_pool(
    "one count for the batch",
    "for the whole batch",
    ("real.sum(dim=1).clamp(min=1)", "(real.sum() / len(x))"),
)
_pool("sum", "the sum is not divided", (" / real.sum(dim=1).clamp(min=1)", ""))
_pool(
    "maximum of zeroed",
    "set to zero and then counted",
    (_MAX, "largest = kept.amax(dim=1)"),
)
_pool("maximum of all", "`tokens` is not used", (_MAX, "largest = x.amax(dim=1)"))
_pool(
    "a small number that is not small enough",
    "pool with 'max'",
    ("-torch.inf", "-2.0"),
)
_pool("a number that is low, not low enough", "not low enough", ("-torch.inf", "-1e4"))
_pool(
    "last by the number of tokens, out of zeroed vectors",
    "padding may stand in front",
    (_LAST, "(tokens.sum(dim=1) - 1).clamp(min=0)"),
)
_pool("absolute maximum", "largest absolute", (_MAX, "largest = kept.abs().amax(dim=1)"))
_pool(
    "last place",
    "padding or not",
    (_LAST, "torch.full((x.size(0),), x.size(1) - 1)"),
    ("last = kept[", "last = x["),
)
_pool(
    "last by the number of tokens",
    "padding may stand in front",
    (_LAST, "(tokens.sum(dim=1) - 1).clamp(min=0)"),
    ("last = kept[", "last = x["),
)
_pool(
    "one too far",
    "pool with 'last'",
    (_LAST, "(places.amax(dim=1) + 1).clamp(max=x.size(1) - 1)"),
)
_pool(
    "first real token",
    "the first real token",
    (".masked_fill(~tokens, -1)", ".masked_fill(~tokens, x.size(1))"),
    (_LAST, "places.amin(dim=1).clamp(max=x.size(1) - 1)"),
)
_pool(
    "first place",
    "this is the first real token",
    ("last = kept[", "last = x[:, 0]\n    [0] or kept["),
)
_pool(
    "product with the mask",
    "comes through",
    (_KEPT, "kept = x * real"),
)
_pool(
    "0/0",
    "a text without a real token must get zeros",
    (".clamp(min=1)).to", ").to"),
)
_pool(
    "1 more in the count",
    "one too large",
    ("real.sum(dim=1).clamp(min=1)", "(real.sum(dim=1) + 1)"),
)
_pool(
    "minus infinity for an empty text",
    "a text without a real token must get zeros",
    (_NONE, "largest = largest.clone()"),
)
_pool(
    "another vector for an empty text",
    "a text without a real token must get zeros",
    ("last = kept[", "last = x["),
)
_pool("sum in float16", "does not fit", (_WIDE, "wide = kept"))
_pool("float32 comes out", "must have dtype", (".to(x.dtype)", ""))
_pool(
    "float64 in float32",
    "loses digits of float64",
    (_WIDE, "wide = kept.float()"),
)
_pool(
    "order of the halves",
    "the maximum comes first",
    ('in how.split("+")', 'in how.split("+")[::-1]'),
)
_pool("axis of size 1", "Take away the axis of size 1", ("dim=-1)", "dim=-1)[:, None]"))
_pool(
    "halves added",
    "has the wrong shape",
    (
        'return torch.cat([found[part] for part in how.split("+")], dim=-1)',
        'return sum(found[part] for part in how.split("+"))',
    ),
)
_pool(
    "no error",
    "must raise a ValueError",
    ("raise ValueError(", "print("),
    (
        "found = {",
        'how = how if how in ("mean", "max", "last", "mean+max") else "mean"\n    found = {',
    ),
)
_pool(
    "assert",
    "it must be a ValueError",
    ("raise ValueError(", "raise AssertionError("),
)
_pool("input modified", "changes its input x", (_KEPT, "kept = x.masked_fill_(~real, 0.0)"))
_pool(
    "detached",
    "loses the gradient",
    ("found[part] for part", "found[part].detach() for part"),
)
RIGHT.append(
    Right(
        "pool",
        "one text after the other",
        """def pool(x, tokens, how):
    if how not in ("mean", "max", "last", "mean+max"):
        raise ValueError(how)
    rows = []
    for text, real in zip(x, tokens):
        own = text[real]
        parts = []
        for part in how.split("+"):
            if len(own) == 0:
                parts.append(x.new_zeros(x.size(2)))
            elif part == "mean":
                wide = own.double().mean(0)
                parts.append(wide.to(x.dtype))
            elif part == "max":
                parts.append(own.max(0).values)
            else:
                parts.append(own[-1])
        rows.append(torch.cat(parts))
    return torch.stack(rows)
""",
    )
)
RIGHT.append(
    Right(
        "pool",
        "where, flip and argmax",
        """def pool(x, tokens, how):
    mask = tokens.unsqueeze(2)
    if how == "mean+max":
        return torch.hstack([pool(x, tokens, "mean"), pool(x, tokens, "max")])
    if how == "mean":
        total = torch.where(mask, x, torch.zeros_like(x)).double().sum(1)
        return (total / torch.maximum(mask.sum(1), torch.tensor(1))).type(x.dtype)
    if how == "max":
        low = torch.where(mask, x, torch.full_like(x, float("-inf"))).max(dim=1)[0]
        return torch.where(tokens.any(1, keepdim=True), low, torch.zeros_like(low))
    if how == "last":
        place = x.size(1) - 1 - tokens.flip(1).int().argmax(1)
        index = place[:, None, None].expand(-1, 1, x.size(2))
        row = torch.where(mask, x, torch.zeros_like(x)).gather(1, index).squeeze(1)
        return row
    raise ValueError("unknown")
""",
    )
)
_right("pool", "a very small number", ("-torch.inf", "torch.finfo(x.dtype).min"))

# ---------------------------------------------------------------- loss with prices

_EACH = "each = logits.logsumexp(dim=-1) - logits[rows, labels]"
_SHARE = "share = weights.to(logits.dtype)[labels]"
_TOTAL = "share = share / total.masked_fill(total == 0, 1.0)"
_SLOPE = "gradient = logits.softmax(dim=-1)"
_MINUS = "gradient[rows, labels] -= 1.0"


def _prices(name: str, says: str, *swaps: tuple[str, str], errata: str = "") -> None:
    _change("weighted_loss", name, says, *swaps, errata=errata)


_prices(
    "divided by B",
    "divide by the sum of the weights",
    (_TOTAL, "share = share / len(logits)"),
)
_prices("not divided", "the sum is not divided", (_TOTAL, "pass"))
_prices(
    "weights of the classes",
    "not of the texts",
    ("total = share.sum()", "total = weights.to(logits.dtype).sum()"),
)
_prices(
    "weights not used",
    "the weights are not used",
    (_SHARE, "share = torch.ones_like(logits[:, 0])"),
)
_prices(
    "softmax twice",
    "the softmax is taken twice",
    ("rows = torch", "logits = logits.softmax(dim=-1)\n    rows = torch"),
    errata="E000-27",
)
_prices("sign of the loss", "the sign is wrong", (_EACH, _EACH.replace("= ", "= -(") + ")"))
_prices(
    "right logit not taken away",
    "the right logit is not taken away",
    (_EACH, "each = logits.logsumexp(dim=-1)"),
)
_prices(
    "gradient without the one",
    "1 is not taken away",
    (_MINUS, "pass"),
)
_prices(
    "sign of the gradient",
    "reported minus right",
    ("share[:, None] * gradient", "-share[:, None] * gradient"),
)
_prices(
    "weights of the columns in the gradient",
    "not that of the right one",
    ("share[:, None] * gradient", "weights * gradient / weights[labels].sum().clamp(min=1e-30)"),
)
_prices(
    "gradient without weights",
    "the weights are not used",
    ("share[:, None] * gradient", "gradient / len(logits)"),
)
_prices(
    "gradient divided by B",
    "it is divided by B",
    ("share[:, None] * gradient", "weights[labels][:, None] * gradient / len(logits)"),
)
_prices(
    "gradient not divided",
    "it is not divided",
    ("share[:, None] * gradient", "weights[labels][:, None] * gradient"),
)
_prices(
    "softmax over the texts",
    "the softmax runs over the texts",
    (_SLOPE, "gradient = logits.softmax(dim=0)"),
)
_prices(
    "logarithm of the softmax",
    "are not finite",
    (_EACH, "each = -logits.softmax(dim=-1)[rows, labels].log()"),
)
_prices(
    "logarithm cut off",
    "cut off before the logarithm",
    (_EACH, "each = -logits.softmax(dim=-1)[rows, labels].clamp(min=1e-9).log()"),
)
_prices(
    "exponentials",
    "are not finite",
    (_EACH, "each = logits.exp().sum(dim=-1).log() - logits[rows, labels]"),
)
_prices("0/0", "it is 0/0", (_TOTAL, "share = share / total"))
_prices("a small number in the sum", "small weights", (_TOTAL, "share = share / (total + 1e-8)"))
_prices(
    "one loss for each text",
    "without axes",
    ("(share * each).sum(),", "share * each,"),
)
_prices(
    "only the loss",
    "two things",
    ("return (share * each).sum(), share[:, None] * gradient", "return (share * each).sum()"),
)
_prices(
    "float32 comes out",
    "must have dtype",
    ("rows = torch", "logits = logits.float()\n    rows = torch"),
)
_prices(
    "logits modified",
    "changes its input logits",
    (
        "gradient = logits.softmax(dim=-1)",
        "logits -= logits.amax(dim=-1, keepdim=True)\n    gradient = logits.softmax(dim=-1)",
    ),
)
RIGHT.append(
    Right(
        "weighted_loss",
        "a loop over the texts",
        """def weighted_loss(logits, labels, weights):
    loss, gradient, total = logits.new_zeros(()), torch.zeros_like(logits), 0.0
    for i, y in enumerate(labels.tolist()):
        z = logits[i] - logits[i].max()
        w = float(weights[y])
        loss = loss + w * (z.exp().sum().log() - z[y])
        p = z.exp() / z.exp().sum()
        p[y] = p[y] - 1
        gradient[i] = w * p
        total += w
    if total == 0:
        return logits.new_zeros(()), torch.zeros_like(logits)
    return loss / total, gradient / total
""",
    )
)
_right(
    "weighted_loss",
    "log_softmax, gather and one_hot",
    (_EACH, "each = -torch.log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]"),
    (_MINUS, "gradient = gradient - torch.nn.functional.one_hot(labels, logits.size(1))"),
)

# ---------------------------------------------------------------- classifier

_TOKENS = "x = self.encoder(x, src_key_padding_mask=~tokens)"
_FILL = "s = x.masked_fill(~tokens[..., None], -torch.inf).amax(dim=1)"
_PLUS = " + self.positions[places]"
_HEAD = "return self.head(s)"


def _repair(name: str, says: str, *swaps: tuple[str, str], errata: str = "") -> None:
    _change("classifier", name, says, *swaps, errata=errata)


_SCALE = ("tokens = ids != 0", "x_scale = self.positions.size(1) ** 0.5\n        tokens = ids != 0")
_NO_PLACE = (_PLUS, "")
_NO_MASK = (_TOKENS, "x = self.encoder(x)")
_ZEROS = (_FILL, "s = (x * tokens[..., None]).amax(dim=1)")
_SOFT = (_HEAD, "return self.head(s).softmax(dim=-1)")
_repair("no positions", "the positions are not added", _NO_PLACE, errata="E000-11")
_repair("no mask in the encoder", "the encoder gets no mask", _NO_MASK, errata="E000-13")
_repair("maximum of zeroed", "padding is set to zero", _ZEROS)
_repair("softmax", "return logits", _SOFT, errata="E000-27")
_repair("as given", "the positions are not added", _NO_PLACE, _NO_MASK, _ZEROS, _SOFT)
_repair("positions and maximum left", "padding is set to zero", _NO_PLACE, _ZEROS, errata="E000-11")
_repair("mask and softmax left", "return logits", _NO_MASK, _SOFT)
_repair(
    "mask the wrong way round",
    "torch's True means *ignore*",
    (_TOKENS, "x = self.encoder(x, src_key_padding_mask=tokens)"),
)
_repair(
    "maximum of all",
    "the maximum counts the padding",
    (_FILL, "s = x.amax(dim=1)"),
    errata="E000-13",
)
_repair(
    "mean",
    "the tokens are averaged",
    (_FILL, "s = (x * tokens[..., None]).sum(dim=1) / tokens.sum(dim=1, keepdim=True)"),
)
_repair("first token", "only the first token", (_FILL, "s = x[:, 0]"))
_repair(
    "no pooling",
    "pool the tokens",
    (_HEAD, "return self.head(x)"),
    errata="E000-12",
)
_repair(
    "maximum over the columns",
    "does not run",
    (_FILL, "s = x.masked_fill(~tokens[..., None], -torch.inf).amax(dim=2)"),
)
_repair(
    "positions of the batch",
    "does not run",
    ("self.positions[places]", "self.positions[: ids.size(0)]"),
)
_repair(
    "positions after the encoder",
    "Classifier is wrong",
    _NO_PLACE,
    (_TOKENS, _TOKENS + " + self.positions[places]"),
)
_repair(
    "positions counted from one",
    "counted from one",
    ("self.positions[places]", "self.positions[places + 1]"),
)
_repair(
    "places that count the padding in front",
    "the places count the padding",
    ("self.positions[places]", "self.positions[: ids.size(1)]"),
)
_repair("all rows of positions", "take those of the texts", (_PLUS, " + self.positions"))
_repair("embedding scaled", "the root of D", (_PLUS, " * x_scale" + _PLUS), _SCALE)
_repair(
    "sinusoids",
    "sinusoids are added",
    (_PLUS, " + encoderlib.sinusoids(ids.size(1), self.positions.size(1))"),
)
_repair(
    "softmax over the batch",
    "Classifier is wrong",
    (_HEAD, "return self.head(s).softmax(dim=0)"),
)
_repair(
    "logarithm of the softmax",
    "a logarithm of the softmax",
    (_HEAD, "return self.head(s).log_softmax(dim=-1)"),
)
_repair(
    "weights detached",
    "no gradient reaches",
    (_HEAD, "return self.head(s.detach())"),
)
_repair(
    "one text after the other, without padding in front",
    "padding in front",
    (
        _FILL,
        "s = torch.stack([v[:n].amax(dim=0) for v, n in zip(x, tokens.sum(dim=1).tolist())])",
    ),
)
_right(
    "classifier",
    "additive mask",
    (
        _TOKENS,
        "hide = torch.zeros(ids.shape).masked_fill(~tokens, -torch.inf)\n"
        "        x = self.encoder(x, src_key_padding_mask=hide)",
    ),
)
_right(
    "classifier",
    "places from the first real token, padding never in between",
    (
        "places = (tokens.cumsum(dim=1) - 1).clamp(min=0)",
        "start = tokens.int().argmax(dim=1, keepdim=True)\n"
        "        places = (torch.arange(ids.size(1)) - start).clamp(0, len(self.positions) - 1)",
    ),
)
_right("classifier", "places of -1 at the padding", (".clamp(min=0)", ""))
_right(
    "classifier",
    "a loop over the texts",
    (_FILL, "s = torch.stack([v[m].max(dim=0).values for v, m in zip(x, tokens)])"),
)
_right(
    "classifier",
    "where, and F.linear",
    (_FILL, "s = torch.where(tokens.unsqueeze(-1), x, torch.tensor(-1e9)).max(1)[0]"),
    (_HEAD, "return s @ self.head.weight.T + self.head.bias"),
)

# ---------------------------------------------------------------- threshold

_LOOP = "for threshold in scores.unique().flip(0):"
_STOPPED = "stopped = scores >= threshold"
_ALARM = "now = alarm * int((stopped & (labels == 0)).sum())"
_MISS = "now += miss * int((~stopped & (labels == 1)).sum())"
_START = 'best, cost = float("inf"), miss * int((labels == 1).sum())'
_SMALLER = "if now < cost:"


def _stop(name: str, says: str, *swaps: tuple[str, str]) -> None:
    _change("cheapest_threshold", name, says, *swaps)


_stop(
    "prices exchanged",
    "prices are exchanged",
    (_START, _START.replace("miss", "alarm")),
    (_ALARM, _ALARM.replace("alarm", "miss")),
    (_MISS, _MISS.replace("miss", "alarm")),
)
_stop(
    "smallest of the cheapest", "the smallest of the equally cheap", ("now < cost", "now <= cost")
)
_stop(
    "mistakes without prices",
    "whatever they cost",
    (_START, _START.replace("miss * ", "")),
    (_ALARM, _ALARM.replace("alarm * ", "")),
    (_MISS, _MISS.replace("miss * ", "")),
)
_stop(
    "labels exchanged",
    "labels are exchanged",
    (_START, "labels = 1 - labels\n    " + _START),
)
_stop("above only", "is stopped", (">= threshold", "> threshold"))
_stop("below is stopped", "expected the threshold", (">= threshold", "<= threshold"))
_stop(
    "infinity left out",
    "expected the threshold",
    (_START, 'best, cost = float("inf"), float("inf")'),
)
_stop("zero to begin with", "expected the threshold", ('float("inf"),', "0.0,"))
_stop(
    "alarms forgotten",
    "expected the threshold",
    (_ALARM, "now = 0"),
)
_stop("misses forgotten", "expected the threshold", (_MISS, "pass"))
_stop(
    "a grid from 0 to 1",
    "expected the threshold",
    (_LOOP, "for threshold in torch.linspace(1, 0, 21):"),
)
_stop(
    "formula for probabilities",
    "expected the threshold",
    (_LOOP, "for threshold in [torch.tensor(alarm / (alarm + miss))]:"),
)
_stop(
    "mean cost",
    "the cost is a total",
    ("return best, cost", "return best, cost / len(scores)"),
)
_stop("threshold only", "two numbers", ("return best, cost", "return best"))
_stop("order of the results", "expected the threshold", ("return best, cost", "return cost, best"))
_stop(
    "whole prices",
    "expected the threshold",
    (_START, _START.replace("miss *", "int(miss) *")),
    (_ALARM, _ALARM.replace("alarm *", "int(alarm) *")),
    (_MISS, _MISS.replace("miss *", "int(miss) *")),
)
_stop(
    "equal scores one by one",
    "expected the threshold",
    (
        _LOOP,
        "order = scores.argsort(descending=True, stable=True)\n"
        "    for k, threshold in enumerate(scores[order]):",
    ),
    (
        _STOPPED,
        "stopped = torch.zeros(len(scores), dtype=torch.bool)\n"
        "        stopped[order[: k + 1]] = True",
    ),
)
_stop(
    "scores sorted in place",
    "changes the scores",
    ("return best, cost", "scores.copy_(scores.sort().values)\n    return best, cost"),
)
RIGHT.append(
    Right(
        "cheapest_threshold",
        "one line for each candidate",
        """def cheapest_threshold(scores, labels, alarm, miss):
    candidates = torch.cat([scores, torch.tensor([float("inf")], dtype=scores.dtype)])
    stopped = scores[None] >= candidates[:, None]
    costs = alarm * (stopped & (labels == 0)).sum(1) + miss * (~stopped & (labels == 1)).sum(1)
    cheap = costs == costs.min()
    return candidates[cheap].max(), costs.min()
""",
    )
)
RIGHT.append(
    Right(
        "cheapest_threshold",
        "plain Python",
        """def cheapest_threshold(scores, labels, alarm, miss):
    pairs = list(zip(scores.tolist(), labels.tolist()))
    best = None
    for t in sorted({s for s, _ in pairs} | {float("inf")}, reverse=True):
        cost = 0
        for s, y in pairs:
            if s >= t and not y:
                cost += alarm
            if s < t and y:
                cost += miss
        if best is None or cost < best[1]:
            best = [t, cost]
    return best
""",
    )
)

# ---------------------------------------------------------------- the last word

_MODEL = 'model = encoderlib.TextClassifier(10, 2, config, pooling="max")'
_EVAL = "return model.eval()"


def _learn(name: str, says: str | None, *swaps: tuple[str, str], **more: str) -> None:
    _change("train_classifier", name, says, *swaps, **more)


_FEW = ("range(150)", "range(60)")
_learn(
    "no positions",
    "a text and its twin look alike",
    (_MODEL, _MODEL + "\n    model.positions = nn.Identity()"),
    _FEW,
    errata="E000-11",
)
_learn(
    "a bag of words",
    "a text and its twin look alike",
    (
        _MODEL,
        "model = nn.Sequential(nn.EmbeddingBag(10, 32, padding_idx=0), nn.Linear(32, 2))",
    ),
)
_learn("not trained", "of the new texts are right", ("range(150)", "range(1)"))
_learn(
    "no zero_grad",
    "of the new texts are right",
    ("        optimiser.zero_grad()\n", ""),
    ("range(150)", "range(100)"),
)
_learn("labels exchanged", "Are the labels exchanged", ("labels[rows])", "1 - labels[rows])"))
_learn(
    "padding not masked",
    "twenty pads",
    (_MODEL, "model = encoderlib.TextClassifier(11, 2, config, padding_id=10)"),
    errata="E000-13",
)
_learn(
    "dropout left on",
    "dropout is on",
    ("dropout=0.0", "dropout=0.1"),
    (_EVAL, "return model"),
)
_learn(
    "a table of ten places",
    "are there positions for all places",
    (
        _EVAL,
        "model.eval()\n    places = torch.zeros(10, 1)\n"
        "    return lambda ids: model(ids) + places[torch.arange(ids.size(1))].sum()",
    ),
)
_learn(
    "a rule without training",
    None,
    (
        _EVAL,
        "def rule(ids):\n"
        "        places = torch.arange(1, ids.size(1) + 1) * ((ids == 1) | (ids == 2))\n"
        "        last = ids.gather(1, places.argmax(1, keepdim=True))[:, 0]\n"
        "        return torch.stack([last == 1, last == 2], 1).float()\n"
        "    return rule",
    ),
    _FEW,
    note="only labels that are exchanged show it; the task says that the grader does this",
)
_learn("nothing returned", "must return the model", (_EVAL, "model.eval()"))
_learn(
    "classes instead of logits",
    "must return logits",
    (_EVAL, "model.eval()\n    return lambda ids: model(ids).argmax(-1)"),
    _FEW,
)
_learn(
    "no pooling",
    "does not run",
    (
        _MODEL,
        "model = encoderlib.TokenClassifier(10, 2, config)",
    ),
    errata="E000-12",
)
_learn(
    "statistics of the batch",
    "a text alone has other logits",
    (
        _EVAL,
        "model.eval()\n    return lambda ids: model(ids) - 0.1 * model(ids).mean(0)",
    ),
)
RIGHT.append(
    Right(
        "train_classifier",
        "torch's encoder, maximum, sinusoids, Adam",
        """class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.stack = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(32, 2)

    def forward(self, ids):
        pad = ids == 0
        x = self.table(ids) + encoderlib.sinusoids(ids.size(1), 32)
        x = self.stack(x, src_key_padding_mask=pad)
        return self.head(x.masked_fill(pad[..., None], -1e9).amax(1))


def train_classifier(ids, labels):
    torch.manual_seed(3)
    model = Reader()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for epoch in range(6):
        for rows in torch.randperm(len(ids)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(ids[rows]), labels[rows]).backward()
            optimiser.step()
    return model.eval()
""",
    )
)
RIGHT.append(
    Right(
        "train_classifier",
        "the library's fit",
        """def train_classifier(ids, labels):
    torch.manual_seed(1)
    data = torch.utils.data.TensorDataset(ids, labels)
    loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
    config = encoderlib.EncoderConfig(32, 4, 64, 1, dropout=0.0)
    model = encoderlib.TextClassifier(10, 2, config, pooling="max")
    how = encoderlib.TrainingConfig(epochs=5, lr=4e-3)
    encoderlib.fit(model, loader, config=how, progress=False)
    return model
""",
    )
)
