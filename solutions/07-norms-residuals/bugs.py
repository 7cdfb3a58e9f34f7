"""Named wrong answers to assignment 07: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from grading.bugs import Bug, Right, edit, function

BUGS: list[Bug] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


# ---------------------------------------------------------------- worked case

_CASE = {
    "mean": 5.0,
    "variance": 4.0,
    "norm": [-2.0, 0.5, 0.5, 0.5, 0.5],
    "norm of 10 x + 3": [-2.0, 0.5, 0.5, 0.5, 0.5],
    "post-norm": [-0.5, 0.75, 0.75, 0.75, -1.75],
    "pre-norm": [2.0, 7.0, 7.0, 7.0, 2.0],
    "norm before the addition": [1.5, 6.5, 6.5, 6.5, 4.0],
    "width 1": [0.0],
}

for _name, _change, _says, *_more in (
    ("sum for mean", {"mean": 25.0}, "this is the sum"),
    ("unbiased variance", {"variance": 5.0}, "divided by D - 1"),
    ("root for variance", {"variance": 2.0}, "the root of the variance"),
    ("sum of squares", {"variance": 20.0}, "the sum of the squares"),
    ("mean of squares", {"variance": 29.0}, "subtract the mean first"),
    ("divided by the variance", {"norm": [-1.0, 0.25, 0.25, 0.25, 0.25]}, "divide by its root"),
    ("only centred", {"norm": [-4.0, 1.0, 1.0, 1.0, 1.0]}, "not divided by anything"),
    ("RMS norm", {"norm": [0.1857, 1.1142, 1.1142, 1.1142, 1.1142]}, "that is an RMS norm"),
    (
        "stretched",
        {"norm of 10 x + 3": [-20.0, 5.0, 5.0, 5.0, 5.0]},
        "changes nothing",
    ),
    (
        "post-norm with the norm before the addition",
        {"post-norm": [1.5, 6.5, 6.5, 6.5, 4.0]},
        "the norm comes after the addition",
        "E001-07",
    ),
    ("pre-norm for post-norm", {"post-norm": [2.0, 7.0, 7.0, 7.0, 2.0]}, "this is pre-norm"),
    ("post-norm without f", {"post-norm": [-2.0, 0.5, 0.5, 0.5, 0.5]}, "f is left out"),
    (
        "post-norm without the addition",
        {"post-norm": [0.5, 0.5, 0.5, 0.5, -2.0]},
        "the addition is missing",
        "E002-19",
    ),
    ("pre-norm, order kept", {"pre-norm": [-3.0, 7.0, 7.0, 7.0, 7.0]}, "reverses the order"),
    (
        "001 for pre-norm",
        {"pre-norm": [1.5, 6.5, 6.5, 6.5, 4.0]},
        "the norm comes before f",
        "E001-07",
    ),
    (
        "001 without f",
        {"norm before the addition": [-1.0, 6.5, 6.5, 6.5, 6.5]},
        "f is left out",
    ),
    (
        "pre-norm adds the normed token",
        {"pre-norm": [-1.0, 1.5, 1.5, 1.5, -3.5]},
        "the direct path has no norm",
    ),
    ("pre-norm without f", {"pre-norm": [-1.0, 6.5, 6.5, 6.5, 6.5]}, "f is left out"),
    (
        "001 as pre-norm",
        {"norm before the addition": [2.0, 7.0, 7.0, 7.0, 2.0]},
        "this is pre-norm",
        "E001-07",
    ),
    ("width 1 is one", {"width 1": [1.0]}, "its own mean", "E000-17"),
    ("an entry left out", {"width 1": None}, "lacks the entry"),
):
    _answer = {key: value for key, value in (_CASE | _change).items() if value is not None}
    _add("worked_case", _name, function("worked_case()", f"return {_answer!r}"), _says, *_more)

# ---------------------------------------------------------------- layer norm

_LAYER = """
class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        if x.size(-1) != self.weight.numel():
            raise ValueError("wrong width")
        wide = x if x.dtype == torch.float64 else x.float()
        mean = wide.mean(dim=-1, keepdim=True)
        centred = wide - mean
        variance = centred.square().mean(dim=-1, keepdim=True)
        y = centred / torch.sqrt(variance + self.eps) * self.weight + self.bias
        return y.to(x.dtype)
""".lstrip()
_VARIANCE = "variance = centred.square().mean(dim=-1, keepdim=True)"
_RESULT = "y = centred / torch.sqrt(variance + self.eps) * self.weight + self.bias"


def _layer(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("layer_norm", name, edit(_LAYER, *changes), says, errata, note)


_layer(
    "divided by D - 1",
    "divided by D - 1",
    (_VARIANCE, "variance = wide.var(dim=-1, keepdim=True)"),
)
_layer(
    "eps outside the root",
    "it belongs inside",
    ("torch.sqrt(variance + self.eps)", "(torch.sqrt(variance) + self.eps)"),
)
_layer(
    "no root", "divide by the root", ("torch.sqrt(variance + self.eps)", "(variance + self.eps)")
)
_layer("eps 1e-6", "its default is 1e-5", ("eps=1e-5", "eps=1e-6"), errata="E000-04")
_layer("eps 1e-12", "eps is not used", ("eps=1e-5", "eps=1e-12"))
_layer("eps ignored", "the argument eps is ignored", ("self.eps = eps", "self.eps = 1e-5"))
_layer(
    "RMS norm with a shift",
    "that is an RMS norm",
    ("centred = wide - mean", "centred = wide"),
)
_layer(
    "statistics over the tokens",
    "taken over the tokens of a sentence",
    ("mean = wide.mean(dim=-1", "mean = wide.mean(dim=-2"),
    (_VARIANCE, "variance = centred.square().mean(dim=-2, keepdim=True)"),
)
_layer(
    "batch norm",
    "that is a batch norm",
    ("mean = wide.mean(dim=-1", "mean = wide.mean(dim=tuple(range(x.dim() - 1))"),
    (_VARIANCE, "variance = centred.square().mean(dim=tuple(range(x.dim() - 1)), keepdim=True)"),
)
_layer(
    "statistics over a sentence",
    "over all columns of all tokens",
    ("mean = wide.mean(dim=-1", "mean = wide.mean(dim=(-2, -1)"),
    (_VARIANCE, "variance = centred.square().mean(dim=(-2, -1), keepdim=True)"),
)
_layer(
    "statistics over everything",
    "over the whole tensor",
    ("mean = wide.mean(dim=-1, keepdim=True)", "mean = wide.mean()"),
    (_VARIANCE, "variance = centred.square().mean()"),
)
_layer("no gain", "the gain is not applied", (" * self.weight", ""))
_layer("no shift", "the shift is not added", (" + self.bias", ""))
_layer("no gain, no shift", "neither gain nor shift", (" * self.weight + self.bias", ""))
_layer(
    "gain and shift exchanged",
    "changed places",
    (" * self.weight + self.bias", " * self.bias + self.weight"),
    (
        "self.weight = nn.Parameter(torch.ones(d_model))",
        "self.weight = nn.Parameter(torch.ones(d_model) * 1)",
    ),
)
_layer(
    "shift before the gain",
    "before the gain is multiplied",
    (_RESULT, "y = (centred / torch.sqrt(variance + self.eps) + self.bias) * self.weight"),
)
_layer(
    "variance in one pass",
    "loses its digits",
    (
        _VARIANCE,
        "variance = (wide.square().mean(dim=-1, keepdim=True) - mean.square()).clamp(min=0)",
    ),
)
_layer(
    "statistics in float16",
    "does not fit into float16",
    ("wide = x if x.dtype == torch.float64 else x.float()", "wide = x"),
)
_layer(
    "statistics in bfloat16",
    "is wrong by",
    (
        "wide = x if x.dtype == torch.float64 else x.float()",
        "wide = x.float() if x.dtype == torch.float16 else x",
    ),
)
_layer(
    "result in float32",
    "must have dtype torch.float16",
    ("return y.to(x.dtype)", "return y"),
)
_layer(
    "float64 through float32",
    "is converted to float32",
    ("wide = x if x.dtype == torch.float64 else x.float()", "wide = x.float()"),
)
_layer(
    "width not checked",
    "must raise a ValueError",
    ('raise ValueError("wrong width")', "pass"),
    errata="E000-17",
)
_layer(
    "width by assert",
    "raises AssertionError",
    ('raise ValueError("wrong width")', "assert False"),
)
_layer(
    "mean and variance detached",
    "the wrong gradient",
    ("mean = wide.mean(dim=-1, keepdim=True)", "mean = wide.mean(dim=-1, keepdim=True).detach()"),
    (_VARIANCE, "variance = centred.square().mean(dim=-1, keepdim=True).detach()"),
)
_layer(
    "variance detached",
    "the wrong gradient",
    (_VARIANCE, "variance = centred.square().mean(dim=-1, keepdim=True).detach()"),
)
_layer(
    "no gradient at all",
    "loses the gradient",
    ("return y.to(x.dtype)", "return y.to(x.dtype).detach()"),
)
_layer(
    "gain is no parameter",
    "has no parameter 'weight'",
    ("self.weight = nn.Parameter(torch.ones(d_model))", "self.weight = torch.ones(d_model)"),
)
_layer("gain starts at zero", "must start as ones", ("torch.ones(d_model)", "torch.zeros(d_model)"))
_layer(
    "one gain for all columns",
    "one entry for each column",
    ("nn.Parameter(torch.ones(d_model))", "nn.Parameter(torch.ones(1))"),
    ("self.weight.numel()", "self.bias.numel()"),
)
_layer(
    "input modified",
    "changes its input",
    ("centred = wide - mean", "centred = wide.sub_(mean) if not x.requires_grad else wide - mean"),
)

# ---------------------------------------------------------------- RMS norm

_RMS = """
class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        if x.size(-1) != self.weight.numel():
            raise ValueError("wrong width")
        wide = x if x.dtype == torch.float64 else x.float()
        mean_square = wide.square().mean(dim=-1, keepdim=True)
        y = wide / torch.sqrt(mean_square + self.eps) * self.weight
        return y.to(x.dtype)
""".lstrip()
_WIDE = "wide = x if x.dtype == torch.float64 else x.float()"


def _rms(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("rms_norm", name, edit(_RMS, *changes), says, errata, note)


_rms(
    "mean subtracted",
    "that is a layer norm",
    (_WIDE, f"{_WIDE}\n        wide = wide - wide.mean(dim=-1, keepdim=True)"),
)
_rms(
    "divided by the standard deviation",
    "the mean belongs to the mean square",
    (
        "mean_square = wide.square().mean(dim=-1, keepdim=True)",
        "mean_square = wide.var(dim=-1, correction=0, keepdim=True)",
    ),
)
_rms("no root", "take the root", ("torch.sqrt(mean_square + self.eps)", "(mean_square + self.eps)"))
_rms(
    "sum for mean",
    "divided by its length",
    ("wide.square().mean(", "wide.square().sum("),
)
_rms(
    "eps outside the root",
    "it belongs inside",
    ("torch.sqrt(mean_square + self.eps)", "(torch.sqrt(mean_square) + self.eps)"),
)
_rms("eps 1e-12", "eps is not used", ("eps=1e-5", "eps=1e-12"))
_rms("eps ignored", "the argument eps is ignored", ("self.eps = eps", "self.eps = 1e-5"))
_rms(
    "mean of absolute values",
    "the mean of the absolute values",
    (
        "y = wide / torch.sqrt(mean_square + self.eps)",
        "y = wide / (wide.abs().mean(dim=-1, keepdim=True) + self.eps)",
    ),
)
_rms(
    "over the tokens",
    "taken over the tokens",
    ("wide.square().mean(dim=-1", "wide.square().mean(dim=-2"),
)
_rms(
    "over everything",
    "over the whole tensor",
    ("wide.square().mean(dim=-1, keepdim=True)", "wide.square().mean()"),
)
_rms("no gain", "the gain is not applied", (" * self.weight", ""))
_rms("statistics in float16", "does not fit into float16", (_WIDE, "wide = x"))
_rms("result in float32", "must have dtype torch.float16", ("return y.to(x.dtype)", "return y"))
_rms("float64 through float32", "is converted to float32", (_WIDE, "wide = x.float()"))
_rms("width not checked", "must raise a ValueError", ('raise ValueError("wrong width")', "pass"))
_rms(
    "with a shift",
    "a parameter too many",
    ("self.eps = eps", "self.eps = eps\n        self.bias = nn.Parameter(torch.zeros(d_model))"),
)
_rms(
    "mean square detached",
    "the wrong gradient",
    ("mean(dim=-1, keepdim=True)", "mean(dim=-1, keepdim=True).detach()"),
)

# ---------------------------------------------------------------- the connection

_CONNECTION = """
class SublayerConnection(nn.Module):
    def __init__(self, d_model, dropout=0.0, norm_first=False, eps=1e-5):
        super().__init__()
        self.norm = LayerNorm(d_model, eps)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x, sublayer):
        given = self.norm(x) if self.norm_first else x
        update = sublayer(given)
        if update.shape != x.shape:
            raise ValueError("another shape")
        y = x + self.dropout(update)
        return y if self.norm_first else self.norm(y)
""".lstrip()
_ADD = "y = x + self.dropout(update)"
_RETURN = "return y if self.norm_first else self.norm(y)"
_GIVEN = "given = self.norm(x) if self.norm_first else x"


def _connect(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("sublayer_connection", name, edit(_CONNECTION, *changes), says, errata, note)


_connect(
    "always post-norm",
    "the order is post-norm, although",
    ("self.norm_first = norm_first", "self.norm_first = False"),
)
_connect(
    "always pre-norm",
    "the order is pre-norm, although",
    ("self.norm_first = norm_first", "self.norm_first = True"),
)
_connect(
    "orders exchanged",
    "the order is pre-norm, although",
    ("self.norm_first = norm_first", "self.norm_first = not norm_first"),
)
_connect(
    "norm between sub-layer and addition",
    "as in article 001",
    (_GIVEN, "given = x"),
    (_ADD, "y = x + self.dropout(self.norm(update))"),
    (_RETURN, "return y"),
    errata="E001-07",
)
_connect(
    "direct path takes the norm",
    "the direct path of pre-norm has no norm",
    (_ADD, "y = given + self.dropout(update)"),
)
_connect(
    "no addition", "the addition is missing", (_ADD, "y = self.dropout(update)"), errata="E002-19"
)
_connect("no norm after", "the norm is missing", (_RETURN, "return y"), errata="E000-04")
_connect(
    "norm before and after",
    "the norm is applied before and after",
    (_RETURN, "return self.norm(y)"),
)
_connect(
    "norm before and after in both",
    "the norm is applied before and after",
    (_GIVEN, "given = self.norm(x)"),
    (_RETURN, "return self.norm(y)"),
)
_connect("subtracted", "is subtracted", (_ADD, "y = x - self.dropout(update)"))
_connect(
    "sub-layer called twice",
    "calls the sub-layer 2 times",
    (_ADD, "y = x + self.dropout(sublayer(given))"),
)
_connect(
    "dropout after the addition",
    "it acts on the direct path",
    (_ADD, "y = self.dropout(x + update)"),
)
_connect(
    "dropout on the input of the sub-layer",
    "no dropout in training",
    ("update = sublayer(given)", "update = sublayer(self.dropout(given))"),
    (_ADD, "y = x + update"),
)
_connect("no dropout", "no dropout in training", (_ADD, "y = x + update"))
_connect(
    "dropout never off",
    "after eval() dropout must be off",
    (_ADD, "y = x + nn.functional.dropout(update, self.dropout.p)"),
    errata="E002-15",
)
_connect(
    "dropout without the factor",
    "must be divided by 1 - p",
    (
        _ADD,
        "keep = (torch.rand(x.shape) >= self.dropout.p) if self.training else 1.0\n"
        "        y = x + update * keep",
    ),
)
_connect(
    "dropout of 1 - p",
    "instead of 25%",
    ("nn.Dropout(dropout)", "nn.Dropout(1 - dropout if dropout else 0.0)"),
)
_connect(
    "whole update dropped or kept",
    "of the sub-layer's output",
    (
        _ADD,
        "y = x + update * self.dropout(torch.ones(()))",
    ),
    note="erases all or nothing",
)
_connect(
    "dropout of the result",
    "it acts on the direct path",
    (_ADD, "y = x + update"),
    (_RETURN, "return self.dropout(y if self.norm_first else self.norm(y))"),
)
_connect(
    "eps not handed on",
    "not handed on to the norm",
    ("LayerNorm(d_model, eps)", "LayerNorm(d_model)"),
)
_connect(
    "broadcasts",
    "the addition broadcasts it",
    ('raise ValueError("another shape")', "pass"),
)
_connect(
    "only the number of axes is checked",
    "the addition broadcasts it",
    ("update.shape != x.shape", "update.dim() != x.dim()"),
)
_connect(
    "shape by assert",
    "raises AssertionError",
    ('raise ValueError("another shape")', "assert False"),
)
_connect(
    "input modified",
    "changes its input x",
    (_ADD, "y = x.add_(self.dropout(update)) if not x.requires_grad else x + update"),
)
_connect(
    "update detached",
    "the wrong gradient of",
    ("update = sublayer(given)", "update = sublayer(given).detach()"),
)
_connect(
    "direct path detached",
    "the wrong gradient of x",
    (_ADD, "y = x.detach() + self.dropout(update)"),
)
_connect(
    "two norms",
    "no other parameters",
    (
        "self.norm_first = norm_first",
        "self.norm_first = norm_first\n        self.norm2 = LayerNorm(d_model)",
    ),
)
_connect(
    "norm without gain and shift",
    "with a gain and a shift",
    ("LayerNorm(d_model, eps)", "nn.LayerNorm(d_model, eps, elementwise_affine=False)"),
)

# ---------------------------------------------------------------- debug


def _order(name: str, says: str, body: str, *more: str) -> None:
    _add(
        "encoder_layer",
        name,
        function("encoder_layer(x, attend, feed, norm1, norm2, drop)", body),
        says,
        *more,
    )


_order(
    "as published", "as in article 001", "return x + norm1(drop(feed(drop(attend(x)))))", "E001-07"
)
_order(
    "one norm after",
    "with the norm after the addition",
    "return norm1(x + drop(feed(drop(attend(x)))))",
    "E001-07",
)
_order(
    "as published, norm2", "with norm2", "return x + norm2(drop(feed(drop(attend(x)))))", "E001-07"
)
_order(
    "second step adds the input",
    "the second step adds to the input",
    "h = norm1(x + drop(attend(x)))\nreturn norm2(x + drop(feed(h)))",
    "E001-07",
)
_order(
    "norm1 twice",
    "norm1 is used twice",
    "h = norm1(x + drop(attend(x)))\nreturn norm1(h + drop(feed(h)))",
)
_order(
    "norms exchanged",
    "changed places",
    "h = norm2(x + drop(attend(x)))\nreturn norm1(h + drop(feed(h)))",
)
_order(
    "pre-norm",
    "the order is pre-norm",
    "h = x + drop(attend(norm1(x)))\nreturn h + drop(feed(norm2(h)))",
)
_order(
    "no addition around attention",
    "around attention is missing",
    "h = norm1(drop(attend(x)))\nreturn norm2(h + drop(feed(h)))",
    "E002-19",
)
_order(
    "no addition around the network",
    "around the feed-forward network is missing",
    "h = norm1(x + drop(attend(x)))\nreturn norm2(drop(feed(h)))",
    "E002-19",
)
_order(
    "no additions", "both additions", "return norm2(drop(feed(norm1(drop(attend(x))))))", "E002-19"
)
_order(
    "no second norm", "the second norm", "h = norm1(x + drop(attend(x)))\nreturn h + drop(feed(h))"
)
_order(
    "no first norm",
    "the first norm",
    "h = x + drop(attend(x))\nreturn norm2(h + drop(feed(h)))",
    "E000-04",
)
_order(
    "network reads x",
    "the feed-forward network reads x",
    "h = norm1(x + drop(attend(x)))\nreturn norm2(h + drop(feed(x)))",
)
_order(
    "sub-layers exchanged",
    "the two sub-layers have changed places",
    "h = norm1(x + drop(feed(x)))\nreturn norm2(h + drop(attend(h)))",
)
_order(
    "norm between sub-layer and addition",
    "between sub-layer and addition",
    "h = x + norm1(drop(attend(x)))\nreturn h + norm2(drop(feed(h)))",
    "E001-07",
)
_order(
    "side by side",
    "side by side",
    "return norm2(norm1(x + drop(attend(x)) + drop(feed(x))))",
)
_order(
    "network called twice",
    "calls `feed` 2 times",
    "h = norm1(x + drop(attend(x)))\nfeed(h)\nreturn norm2(h + drop(feed(h)))",
)
_order(
    "input modified",
    "changes its input x",
    "h = drop(attend(x))\nif not x.requires_grad:\n    x += h\nelse:\n    x = x + h\nx = norm1(x)\n"
    "return norm2(x + drop(feed(x)))",
)

_order(
    "one addition, two norms",
    "one addition around both",
    "return x + norm2(drop(feed(norm1(drop(attend(x))))))",
    "E001-07",
)
_order(
    "dropout after the addition",
    "after the addition",
    "h = norm1(drop(x + attend(x)))\nreturn norm2(drop(h + feed(h)))",
)
_order("no dropout", "is not used", "h = norm1(x + attend(x))\nreturn norm2(h + feed(h))")
_order(
    "dropout of one sub-layer",
    "after attention only",
    "h = norm1(x + drop(attend(x)))\nreturn norm2(h + feed(h))",
)
_order(
    "dropout of the result",
    "the result of each norm",
    "h = drop(norm1(x + attend(x)))\nreturn drop(norm2(h + feed(h)))",
)

# ---------------------------------------------------------------- spread

_SPREAD = """
pad = ~tokens[..., None]
x = x.masked_fill(pad, 0.0)
count = tokens.sum(dim=1)[:, None, None].clamp(min=1)
mean = x.sum(dim=1, keepdim=True) / count
apart = (x - mean).masked_fill(pad, 0.0).square().sum(dim=(1, 2))
total = x.square().sum(dim=(1, 2))
return torch.sqrt(apart / total.masked_fill(total == 0, 1.0))
"""
_HIDE = "x = x.masked_fill(pad, 0.0)"
_QUOTIENT = "return torch.sqrt(apart / total.masked_fill(total == 0, 1.0))"


def _share(name: str, says: str, *changes: tuple[str, str]) -> None:
    _add("spread", name, function("spread(x, tokens)", edit(_SPREAD, *changes)), says)


_share("no root", "the root is missing", ("torch.sqrt(apart", "(apart"))
_share(
    "share of the mean",
    "this is the share of the mean",
    (_QUOTIENT, "return torch.sqrt(1 - apart / total.masked_fill(total == 0, 1.0))"),
)
_share(
    "mean over the columns",
    "the mean is taken over the columns",
    ("mean = x.sum(dim=1, keepdim=True) / count", "mean = x.mean(dim=2, keepdim=True)"),
)
_share(
    "one mean for the batch",
    "one mean is taken for the whole batch",
    (
        "mean = x.sum(dim=1, keepdim=True) / count",
        "mean = x.sum(dim=(0, 1), keepdim=True) / tokens.sum()",
    ),
)
_share("not divided", "is not divided by", (_QUOTIENT, "return torch.sqrt(apart)"))
_share(
    "tokens not used",
    "the argument `tokens` is not used",
    ("pad = ~tokens[..., None]", "tokens = torch.ones_like(tokens)\npad = ~tokens[..., None]"),
)
_share(
    "mean over T",
    "the mean divides by T",
    ("count = tokens.sum(dim=1)[:, None, None].clamp(min=1)", "count = x.size(1)"),
)
_share(
    "differences of the padding",
    "hide it again",
    ("(x - mean).masked_fill(pad, 0.0)", "(x - mean)"),
)
_share(
    "mask the wrong way round",
    "True = real token",
    ("pad = ~tokens[..., None]", "tokens = ~tokens\npad = ~tokens[..., None]"),
)
_share(
    "multiplied by the mask",
    "when it is multiplied by 0",
    (_HIDE, "x = x * ~pad"),
)
_share(
    "0/0",
    "it must be 0",
    ("total.masked_fill(total == 0, 1.0)", "total"),
)
_share(
    "1e-5 in the denominator",
    "a small number is added",
    ("total.masked_fill(total == 0, 1.0)", "(total + 1e-5)"),
)
_share("one number", "not for the batch", (_QUOTIENT, _QUOTIENT + ".mean()"))
_share(
    "one number for each token",
    "not for each token",
    ("square().sum(dim=(1, 2))", "square().sum(dim=2)"),
)
_share(
    "lengths not squared",
    "the lengths are not squared",
    ("masked_fill(pad, 0.0).square().sum(dim=(1, 2))", "masked_fill(pad, 0.0).norm(dim=2).sum(1)"),
    ("total = x.square().sum(dim=(1, 2))", "total = x.norm(dim=2).sum(1)"),
    (_QUOTIENT, "return apart / total.masked_fill(total == 0, 1.0)"),
)
_share("input modified", "changes its input x", (_HIDE, "x = x.masked_fill_(pad, 0.0)"))

# ---------------------------------------------------------------- gradient norms

_PROBE = """
start = x
for block in blocks:
    x = block(x)
loss = (x - target).square().mean()
norms = []
for block in blocks:
    square = torch.zeros(())
    for parameter in block.parameters():
        (grad,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)
        if grad is not None:
            square = square + grad.square().sum()
    norms.append(square.sqrt())
return torch.stack(norms)
"""


def _hear(name: str, says: str, *changes: tuple[str, str]) -> None:
    _add(
        "gradient_norms",
        name,
        function("gradient_norms(blocks, x, target)", edit(_PROBE, *changes)),
        says,
    )


_hear(
    "sum of squares",
    "take the mean",
    ("(x - target).square().mean()", "(x - target).square().sum()"),
)
_hear(
    "mean of the output", "square it first", ("(x - target).square().mean()", "(x - target).mean()")
)
_hear("target not used", "the target is not used", ("(x - target).square()", "x.square()"))
_hear(
    "biases left out",
    "only the weights count",
    (
        "in block.parameters():",
        "in [p for name, p in block.named_parameters() if not name.endswith('bias')]:",
    ),
)
_hear(
    "root mean square",
    "root mean square",
    (
        "square.sqrt()",
        "(square / max(1, sum(p.numel() for p in block.parameters()))).sqrt()",
    ),
)
_hear("None not left out", "leave it out of the sum", ("if grad is not None:", "if True:"))
_hear("no root", "the root is missing", ("square.sqrt()", "square"))
_hear(
    "lengths added",
    "the lengths of the parameters' gradients are added",
    ("square + grad.square().sum()", "square + grad.norm()"),
    ("square.sqrt()", "square"),
)
_hear(
    "first parameter only",
    "only the first parameter",
    ("in block.parameters():", "in list(block.parameters())[:1]:"),
)
_hear(
    "last parameter only",
    "only the last parameter",
    ("in block.parameters():", "in list(block.parameters())[-1:]:"),
)
_hear("from the end", "counted from the end", ("torch.stack(norms)", "torch.stack(norms[::-1])"))
_hear(
    "divided by the last",
    "divided by the last",
    ("return torch.stack(norms)", "norms = torch.stack(norms)\nreturn norms / norms[-1]"),
)
_hear("one number", "one number for each block", ("torch.stack(norms)", "torch.stack(norms).sum()"))
_hear("graph freed", "retain_graph=True", ("retain_graph=True, ", ""))
_hear("unused parameters", "allow_unused=True", (", allow_unused=True", ""))
_BACKWARD = (
    "        (grad,) = torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)\n"
)
_hear(
    "backward leaves gradients",
    "leaves gradients behind",
    ("norms = []", "loss.backward()\nnorms = []"),
    (_BACKWARD, "        grad = parameter.grad\n"),
)
_hear(
    "old gradients are lost",
    "changes the `grad`",
    ("norms = []", "for block in blocks:\n    block.zero_grad()\nloss.backward()\nnorms = []"),
    (_BACKWARD, "        grad = parameter.grad\n"),
    (
        "return torch.stack(norms)",
        "for block in blocks:\n    block.zero_grad()\nreturn torch.stack(norms)",
    ),
)
_hear(
    "gradient of the stream",
    "not of its parameters",
    (
        "for block in blocks:\n    x = block(x)\n",
        "outs = []\nx = x.clone().requires_grad_()\n"
        "for block in blocks:\n    x = block(x)\n    outs.append(x)\n",
    ),
    ("for block in blocks:\n    square", "for out in outs:\n    square"),
    ("in block.parameters():", "in [out]:"),
)
_hear(
    "blocks without parameters left out",
    "has the wrong shape",
    ("    norms.append", "    if list(block.parameters()):\n        norms.append"),
)


RIGHT = [
    Right(
        "worked_case",
        "computed by a function of its own",
        """def worked_case():
    def norm(token):
        mean = sum(token) / len(token)
        variance = sum((entry - mean) ** 2 for entry in token) / len(token)
        return [(entry - mean) / (variance + 1e-12) ** 0.5 for entry in token]

    def f(token):
        return [2 * entry for entry in reversed(token)]

    def add(one, other):
        return [a + b for a, b in zip(one, other)]

    x = [1, 6, 6, 6, 6]
    return {
        "width 1": norm([7]),
        "mean": 5,
        "variance": 4,
        "norm": norm(x),
        "norm of 10 x + 3": norm([10 * entry + 3 for entry in x]),
        "post-norm": norm(add(x, f(x))),
        "pre-norm": add(x, f(norm(x))),
        "norm before the addition": add(x, norm(f(x))),
    }
""",
    ),
    Right(
        "layer_norm",
        "variance of torch, rsqrt, float64 inside",
        """class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.width, self.epsilon = d_model, eps
        self.register_parameter("weight", nn.Parameter(torch.ones(d_model)))
        self.register_parameter("bias", nn.Parameter(torch.zeros(d_model)))

    def forward(self, x):
        if x.shape[-1] != self.width:
            raise ValueError
        variance, mean = torch.var_mean(x.double(), dim=-1, correction=0, keepdim=True)
        z = (x.double() - mean) * torch.rsqrt(variance + self.epsilon)
        return torch.addcmul(self.bias.double(), z, self.weight.double()).to(x.dtype)
""",
    ),
    Right(
        "layer_norm",
        "einsum, the helper a method, an error of its own",
        """class WrongWidth(ValueError):
    pass


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_model).fill_(1.0))
        self.bias = nn.Parameter(torch.empty(d_model).fill_(0.0))
        self.eps = eps

    def centred(self, x):
        return x - torch.einsum("...d->...", x)[..., None] / x.shape[-1]

    def forward(self, x):
        if (x.shape[-1],) != self.weight.shape:
            raise WrongWidth(x.shape)
        dtype = torch.promote_types(x.dtype, torch.float32)
        c = self.centred(x.to(dtype))
        variance = torch.einsum("...d,...d->...", c, c).div(len(self.weight)).unsqueeze(-1)
        z = c / (variance + self.eps) ** 0.5
        return torch.mul(z, self.weight.to(dtype)).add(self.bias.to(dtype)).type_as(x)
""",
    ),
    Right(
        "layer_norm",
        "token by token, in place on tensors of its own",
        """class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super(LayerNorm, self).__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def of_token(self, token):
        token = token - token.mean()
        return token / (token.pow(2).mean() + self.eps).sqrt()

    def forward(self, x):
        if x.size(-1) != self.bias.size(0):
            raise ValueError("another width")
        wide = x.double() if x.dtype is torch.float64 else x.float()
        tokens = [self.of_token(token) for token in wide.reshape(-1, x.size(-1))]
        result = torch.stack(tokens).view(x.shape)
        result = result * self.weight
        result += self.bias
        return result.to(x.dtype)
""",
    ),
    Right(
        "rms_norm",
        "a norm of torch.linalg, and hypot",
        """class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.root = eps**0.5
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        D = x.size(-1)
        if D != len(self.weight):
            raise ValueError(f"{D} columns")
        wide = x.double()
        rms = torch.linalg.vector_norm(wide, dim=-1, keepdim=True) / D**0.5
        z = wide / torch.hypot(rms, torch.full_like(rms, self.root))
        return (self.weight * z).to(x.dtype)
""",
    ),
    Right(
        "rms_norm",
        "the gain as a diagonal matrix",
        """class RMSNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x):
        if x.shape[-1:] != self.weight.shape:
            raise ValueError("wrong width")
        wide = x if x.dtype == torch.float64 else x.to(torch.float32)
        square = torch.einsum("...d,...d->...", wide, wide).unsqueeze(-1) / x.shape[-1]
        return (wide * (square + self.eps).pow(-0.5) @ self.weight.to(wide).diag()).to(x.dtype)
""",
    ),
    Right(
        "rms_norm",
        "a base class",
        """class Scaled(nn.Module):
    def __init__(self, d_model, eps):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def widen(self, x):
        if x.size(-1) != self.weight.size(0):
            raise ValueError("wrong width")
        return x.to(torch.promote_types(x.dtype, torch.float))


class RMSNorm(Scaled):
    def __init__(self, d_model, eps=1e-5):
        super().__init__(d_model, eps)

    def forward(self, x):
        wide = self.widen(x)
        rms = wide.pow(2).mean(-1, True).add(self.eps).sqrt_()
        return wide.div(rms).mul(self.weight).to(x.dtype)
""",
    ),
    Right(
        "sublayer_connection",
        "two branches, an error of its own",
        """class OtherShape(ValueError):
    pass


class SublayerConnection(nn.Module):
    def __init__(self, d_model, dropout=0.0, norm_first=False, eps=1e-5):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        self.norm = LayerNorm(d_model, eps=eps)
        self.before = norm_first

    def added(self, x, update):
        if list(update.size()) != list(x.size()):
            raise OtherShape(update.size())
        return torch.add(self.dropout(update), x)

    def forward(self, x, sublayer):
        if self.before:
            return self.added(x, sublayer(self.norm(x)))
        else:
            return self.norm(self.added(x, sublayer(x)))
""",
    ),
    Right(
        "sublayer_connection",
        "identities in the place of branches, in place on a copy",
        """class SublayerConnection(nn.Module):
    def __init__(self, d_model, dropout=0.0, norm_first=False, eps=1e-5):
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(d_model, eps), nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x, sublayer):
        nothing = nn.Identity()
        first, last = (self.norm, nothing) if self.norm_first else (nothing, self.norm)
        update = sublayer(first(x))
        if not update.dim() == x.dim() or any(a != b for a, b in zip(update.shape, x.shape)):
            raise ValueError(f"{update.shape} against {x.shape}")
        stream = x.clone()
        stream += self.dropout(update)
        return last(stream)
""",
    ),
    Right(
        "sublayer_connection",
        "functions chosen when it is made",
        """class SublayerConnection(nn.Module):
    def __init__(self, d_model, dropout=0.0, norm_first=False, eps=1e-5):
        super().__init__()
        self.norm = LayerNorm(d_model, eps)
        self.dropout = nn.Dropout(dropout)
        self.step = self.pre_norm if norm_first else self.post_norm

    def pre_norm(self, x, sublayer):
        return x + self.checked(x, sublayer(self.norm(x)))

    def post_norm(self, x, sublayer):
        return self.norm(x + self.checked(x, sublayer(x)))

    def checked(self, x, update):
        try:
            assert update.shape == x.shape
        except AssertionError as error:
            raise ValueError("another shape") from error
        return self.dropout(update)

    def forward(self, x, sublayer):
        return self.step(x, sublayer)
""",
    ),
    Right(
        "encoder_layer",
        "a loop over the two steps",
        """def encoder_layer(x, attend, feed, norm1, norm2, drop):
    for sublayer, norm in ((attend, norm1), (feed, norm2)):
        x = norm(drop(sublayer(x)).add(x))
    return x
""",
    ),
    Right(
        "encoder_layer",
        "a helper, in place on a copy",
        """def residual(stream, update):
    result = stream.clone()
    result += update
    return result


def encoder_layer(x, attend, feed, norm1, norm2, drop):
    attended = drop(attend(x))
    first = norm1(residual(x, attended))
    second = drop(feed(first))
    return norm2(residual(first, second))
""",
    ),
    Right(
        "encoder_layer",
        "lambdas in one line",
        """step = lambda x, f, norm, drop: norm(torch.stack([x, drop(f(x))]).sum(0))
encoder_layer = lambda x, attend, feed, norm1, norm2, drop: step(
    step(x, attend, norm1, drop), feed, norm2, drop
)
""",
    ),
    Right(
        "spread",
        "sentence by sentence, the real tokens alone",
        """@torch.no_grad()
def spread(x, tokens):
    shares = torch.zeros(len(x), dtype=x.dtype)
    for b in range(len(x)):
        real = x[b][tokens[b]]
        if real.numel() == 0 or not real.any():
            continue
        real = real / real.abs().max()
        shares[b] = (real - real.mean(0)).norm() / real.norm()
    return shares
""",
    ),
    Right(
        "spread",
        "where, einsum, float64 inside",
        """def spread(x, tokens):
    real = tokens.double()
    wide = torch.where(tokens.unsqueeze(-1), x, 0.0).double()
    mean = torch.einsum("btd,bt->bd", wide, real) / real.sum(1, keepdim=True).clamp_min(1)
    apart = torch.einsum("bt,btd->btd", real, wide - mean.unsqueeze(1))
    share = (apart.flatten(1).norm(dim=1) / wide.flatten(1).norm(dim=1)).nan_to_num(0.0)
    return share.to(x.dtype)
""",
    ),
    Right(
        "spread",
        "squares minus the square of the mean, in float64",
        """def spread(x, tokens):
    wide = x.double().masked_fill(tokens.logical_not()[:, :, None], 0)
    n = tokens.sum(-1).clamp(min=1)
    total = wide.pow(2).sum(-1).sum(-1)
    common = wide.sum(1).pow(2).sum(-1) / n
    share = (total - common).clamp(min=0) / torch.where(total == 0, 1.0, total)
    return share.sqrt().float()
""",
    ),
    Right(
        "gradient_norms",
        "backward on deep copies",
        """import copy


def gradient_norms(blocks, x, target):
    twins = copy.deepcopy(list(blocks))
    for twin in twins:
        twin.zero_grad(set_to_none=True)
        x = twin(x)
    torch.nn.functional.mse_loss(x, target).backward()
    result = torch.zeros(len(twins))
    for n, twin in enumerate(twins):
        grads = [p.grad.flatten() for p in twin.parameters() if p.grad is not None]
        if grads:
            result[n] = torch.cat(grads).norm()
    return result
""",
    ),
    Right(
        "gradient_norms",
        "backward, and the old gradients put back",
        """def gradient_norms(blocks, x, target):
    parameters = [p for block in blocks for p in block.parameters()]
    kept = [p.grad for p in parameters]
    for p in parameters:
        p.grad = None
    out = x
    for block in blocks:
        out = block(out)
    ((out - target) ** 2).mean().backward()
    squares = [
        sum((p.grad.double() ** 2).sum().item() for p in block.parameters() if p.grad is not None)
        for block in blocks
    ]
    for p, grad in zip(parameters, kept, strict=True):
        p.grad = grad
    return torch.tensor(squares).sqrt()
""",
    ),
    Right(
        "gradient_norms",
        "all gradients in one call, zeros for None",
        """def gradient_norms(blocks, x, target):
    owners, parameters = [], []
    for n, block in enumerate(blocks):
        for p in block.parameters():
            owners.append(n)
            parameters.append(p)
    loss = (nn.Sequential(*blocks)(x) - target).pow(2).mean()
    grads = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    squares = torch.zeros(len(blocks), dtype=torch.float64)
    for n, grad in zip(owners, grads, strict=True):
        squares[n] += grad.double().square().sum()
    return squares.sqrt()
""",
    ),
    Right(
        "gradient_norms",
        "torch.func",
        """from torch.func import functional_call, grad


def gradient_norms(blocks, x, target):
    model = nn.ModuleList(blocks)

    def loss_of(parameters):
        out = x
        for n, block in enumerate(blocks):
            start = f"{n}."
            mine = {k[len(start) :]: v for k, v in parameters.items() if k.startswith(start)}
            out = functional_call(block, mine, (out,))
        return torch.mean((out - target) ** 2)

    slopes = grad(loss_of)({k: p.detach() for k, p in model.named_parameters()})
    return torch.stack([
        sum((g.square().sum() for k, g in slopes.items() if k.split(".")[0] == str(n)),
            torch.tensor(0.0)).sqrt()
        for n in range(len(blocks))
    ])
""",
    ),
    Right(
        "layer_norm",
        "a helper that is called layer_norm",
        """def layer_norm(x, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()


class LayerNorm(nn.Module):
    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        if x.size(-1) != len(self.weight):
            raise ValueError("the width")
        wide = x if x.dtype == torch.float64 else x.float()
        return (layer_norm(wide, self.eps) * self.weight + self.bias).to(x.dtype)
""",
    ),
]
