"""Named wrong answers to assignment 10: the hidden tests fail on each, the visible check names it.

Instructor's edition only. Most come from defects of published articles (column ``errata``);
the others are the classic slips of students.
"""

from grading.bugs import Bug, Right, edit

BUGS: list[Bug] = []
RIGHT: list[Right] = []


def _add(task: str, name: str, source: str, says: str, *more: str) -> None:
    errata, note = (*more, "", "")[:2]
    BUGS.append(Bug(task, name, source, says, errata, note))


# ---------------------------------------------------------------- by hand

_HAND = {
    "labels": [[7, 4, 9, 2], [5, 2, 0, 0]],
    "inputs": [[1, 7, 4, 9], [1, 5, 2, 0]],
    "counted": 6,
    "shape": [2, 3, 4, 6],
    "weights": [[0.25, 0.75, 0], [2 / 3, 1 / 3, 0]],
    "context": [[1, 6], [8 / 3, 8 / 3]],
    "read": [1, 2],
    "positions": [10, 4],
}

for _name, _change, _says, *_more in (
    (
        "inputs are the labels",
        {"inputs": [[7, 4, 9, 2], [5, 2, 0, 0]]},
        "nothing is shifted",
        "E004-12",
    ),
    ("shifted to the left", {"inputs": [[4, 9, 2, 0], [2, 0, 0, 0]]}, "shifted to the left"),
    ("no end", {"labels": [[7, 4, 9, 0], [5, 0, 0, 0]]}, "the end is missing"),
    ("start in the labels", {"labels": [[1, 7, 4, 9], [1, 5, 0, 0]]}, "never asked for"),
    ("padding counted", {"counted": 8}, "padding is counted"),
    ("ends not counted", {"counted": 4}, "the ends are not counted"),
    ("source and target exchanged", {"shape": [2, 3, 6, 4]}, "rows are target places", "E004-17"),
    ("one vector", {"shape": [4]}, "must be numbers of shape (4,)", "E004-13"),
    (
        "normalised over the target",
        {"weights": [[1 / 3, 3 / 4, 0], [2 / 3, 1 / 4, 0]]},
        "over the source",
        "E004-17",
    ),
    (
        "padding hidden after the softmax",
        {"weights": [[0.0066, 0.0197, 0], [0.0132, 0.0066, 0]]},
        "after the softmax",
    ),
    ("padding read", {"context": [[26, 31], [27, 26]]}, "the padded token is read"),
    ("reads itself", {"read": [1, 2, 3]}, "that is the answer", "E004-12"),
    ("reads everything", {"read": [1, 2, 3, 4]}, "only what comes before", "E004-12"),
    ("no prefix", {"positions": [4, 4]}, "the whole prefix again"),
    ("squared", {"positions": [16, 4]}, "4 squared"),
    ("counted from 0", {"read": [0, 1]}, "counted from 0"),
    ("no heads", {"shape": [2, 4, 6]}, "the heads are missing"),
    ("the start counted", {"positions": [15, 5]}, "four tokens need four steps"),
    ("padding with weight 1", {"context": [[101, 106], [102.667, 102.667]]}, "with the weight 1"),
    ("some other number", {"counted": 7}, "once more on paper"),
    ("an entry left out", {"read": None}, "lacks the entry"),
):
    _answer = {key: value for key, value in (_HAND | _change).items() if value is not None}
    _add("by_hand", _name, f"def by_hand():\n    return {_answer!r}\n", _says, *_more)

# ---------------------------------------------------------------- decoder layer

_LAYER = """
class DecoderLayer(nn.Module):
    def __init__(self, d_model, n_heads, d_ff, norm_first=False):
        super().__init__()
        self.first = norm_first
        self.self_attn = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)

    def look_back(self, z):
        T = z.size(1)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        return self.self_attn(z, z, z, attn_mask=future)[0]

    def look_across(self, z, memory, tokens):
        hidden = None if tokens is None else ~tokens
        return self.multihead_attn(z, memory, memory, key_padding_mask=hidden)[0]

    def feed(self, z):
        return self.linear2(torch.relu(self.linear1(z)))

    def forward(self, x, memory, source_tokens=None):
        if self.first:
            x = x + self.look_back(self.norm1(x))
            x = x + self.look_across(self.norm2(x), memory, source_tokens)
            return x + self.feed(self.norm3(x))
        x = self.norm1(x + self.look_back(x))
        x = self.norm2(x + self.look_across(x, memory, source_tokens))
        return self.norm3(x + self.feed(x))
""".lstrip()
_FUTURE = "torch.ones(T, T, dtype=torch.bool).triu(1)"
_ACROSS = "self.multihead_attn(z, memory, memory, key_padding_mask=hidden)[0]"


def _layer(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("decoder_layer", name, edit(_LAYER, *changes), says, errata, note)


_layer("no causal mask", "the future is not hidden", (", attn_mask=future", ""), errata="E004-12")
_layer("the past hidden", "the past is hidden", (_FUTURE, f"{_FUTURE}.T"))
_layer(
    "polarity of the causal mask",
    "Is the polarity of a mask exchanged",
    (_FUTURE, "torch.ones(T, T, dtype=torch.bool).tril()"),
    errata="E003-07",
)
_layer("the diagonal hidden", "each place must see itself", (".triu(1)", ".triu(0)"))
_layer(
    "padding not hidden",
    "padding of the source is not hidden",
    (", key_padding_mask=hidden", ""),
)
_layer(
    "polarity of the padding mask",
    "Is the polarity of a mask exchanged",
    ("else ~tokens", "else tokens"),
    errata="E003-07",
)
_layer(
    "keys from the source, values from the target",
    "keys and values of the cross-attention both",
    (_ACROSS, "self.multihead_attn(z, memory, z, key_padding_mask=hidden)[0]"),
    errata="E003-08",
)
_layer(
    "arguments as values, keys, query",
    "Queries come from x",
    (_ACROSS, "self.multihead_attn(memory, memory, z, key_padding_mask=hidden)[0]"),
    errata="E003-08",
)
_layer(
    "cross-attention reads the target",
    "the cross-attention reads x",
    (_ACROSS, "self.multihead_attn(z, z, z)[0]"),
    errata="E004-07",
)
_layer(
    "no cross-attention",
    "the cross-attention is missing",
    ("return self.multihead_attn(", "return 0 * self.multihead_attn("),
    errata="E003-13",
)
_layer(
    "one attention for both",
    "self_attn is used for the source as well",
    ("return self.multihead_attn(", "return self.self_attn("),
)
_layer(
    "always post-norm",
    "runs in post-norm although norm_first is True",
    ("self.first = norm_first", "self.first = False"),
)
_layer(
    "always pre-norm",
    "runs in pre-norm although it is False",
    ("self.first = norm_first", "self.first = True"),
)
_layer(
    "the source normed",
    "the source is normed",
    (_ACROSS, _ACROSS.replace("memory, memory", "self.norm2(memory), self.norm2(memory)")),
)
_layer(
    "norms exchanged",
    "norm1 and norm2 are exchanged",
    ("self.norm1(x", "self.normA(x"),
    ("self.norm2(x", "self.norm1(x"),
    ("self.normA(x", "self.norm2(x"),
)
_layer(
    "no activation", "the activation is missing", ("torch.relu(self.linear1(z))", "self.linear1(z)")
)
_layer(
    "x modified",
    "x is modified",
    ("x = x + self.look_back(self.norm1(x))", "x += self.look_back(self.norm1(x))"),
)
_layer(
    "x and memory exchanged",
    "are x and the memory exchanged",
    (_ACROSS, "self.multihead_attn(memory, z, z)[0]"),
)
_layer("GELU", "the activation is GELU", ("torch.relu", "F.gelu"))
_layer(
    "no residual around the cross-attention",
    "a residual",
    ("x = x + self.look_across(self.norm2(x)", "x = self.look_across(self.norm2(x)"),
    ("x = self.norm2(x + self.look_across(x", "x = self.norm2(self.look_across(x"),
)
_layer(
    "the residual from the layer's input",
    "The ",
    (
        "x = self.norm1(x + self.look_back(x))\n        x = self.norm2(x + ",
        "kept = x\n        x = self.norm1(x + self.look_back(x))\n        x = self.norm2(kept + ",
    ),
)
_layer(
    "pre-norm adds to the normed x",
    "pre-norm must return x itself",
    (
        "x = x + self.look_back(self.norm1(x))",
        "x = self.norm1(x)\n            x = x + self.look_back(x)",
    ),
)
_layer(
    "batch axis second",
    "batch_first",
    (", batch_first=True", ""),
)
_layer("no pair unpacked", "returns a pair", ("attn_mask=future)[0]", "attn_mask=future)"))
_layer(
    "another name",
    "is missing",
    ("self.multihead_attn", "self.cross_attn"),
)
_layer(
    "cross-attention first",
    "the cross-attention comes first",
    (
        "x = self.norm1(x + self.look_back(x))\n        x = self.norm2(x + self.look_across"
        "(x, memory, source_tokens))",
        "x = self.norm2(x + self.look_across(x, memory, source_tokens))\n        x = self.norm1("
        "x + self.look_back(x))",
    ),
)

RIGHT.append(
    Right(
        "decoder_layer",
        "float masks with minus infinity, and one mask for each head",
        edit(
            _LAYER,
            (_FUTURE, 'torch.full((T, T), float("-inf"), dtype=z.dtype, device=z.device).triu(1)'),
            (
                "hidden = None if tokens is None else ~tokens",
                "hidden = None\n        if tokens is not None:\n            hidden = "
                'torch.zeros(tokens.shape, dtype=z.dtype).masked_fill(~tokens, float("-inf"))',
            ),
        ),
    )
)
RIGHT.append(
    Right(
        "decoder_layer",
        "is_causal with a mask, the padding as a mask for each head, the norms in a loop",
        """
class DecoderLayer(nn.Module):
    def __init__(self, d_model, n_heads, d_ff, norm_first=False):
        super().__init__()
        self.heads = n_heads
        for name in ("self_attn", "multihead_attn"):
            setattr(self, name, nn.MultiheadAttention(d_model, n_heads, batch_first=True))
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        for i in (1, 2, 3):
            setattr(self, f"norm{i}", nn.LayerNorm(d_model))
        self.pre = norm_first

    def step(self, x, norm, part):
        return x + part(norm(x)) if self.pre else norm(x + part(x))

    def forward(self, x, memory, source_tokens=None):
        T, S = x.shape[1], memory.shape[1]
        look = torch.arange(T)[:, None] < torch.arange(T)[None, :]
        hide = None
        if source_tokens is not None:
            hide = (~source_tokens)[:, None, None, :].expand(-1, self.heads, T, S).flatten(0, 1)
        x = self.step(x, self.norm1, lambda z: self.self_attn(z, z, z, attn_mask=look)[0])
        x = self.step(
            x, self.norm2, lambda z: self.multihead_attn(z, memory, memory, attn_mask=hide)[0]
        )
        return self.step(
            x, self.norm3, lambda z: self.linear2(torch.clamp(self.linear1(z), min=0))
        )
""".lstrip(),
    )
)

# ---------------------------------------------------------------- log-probability

_SCORE = """
def log_probability(decode, memory, targets, start_id, padding_id):
    inputs = torch.cat([torch.full_like(targets[:, :1], start_id), targets[:, :-1]], dim=1)
    log_p = torch.log_softmax(decode(inputs, memory), dim=-1)
    each = log_p.gather(-1, targets[..., None]).squeeze(-1)
    return each.masked_fill(targets == padding_id, 0.0).sum(dim=1)
""".lstrip()
_INPUTS = "torch.cat([torch.full_like(targets[:, :1], start_id), targets[:, :-1]], dim=1)"
_SUM = "each.masked_fill(targets == padding_id, 0.0).sum(dim=1)"


def _score(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("log_probability", name, edit(_SCORE, *changes), says, errata, note)


_score(
    "no shift",
    "the decoder reads the targets themselves",
    (_INPUTS, "targets"),
    errata="E004-12",
)
_score(
    "shifted to the left",
    "shifted the wrong way",
    (_INPUTS, "torch.cat([targets[:, 1:], torch.full_like(targets[:, :1], padding_id)], dim=1)"),
)
_score("a roll", "(a roll)", (_INPUTS, "targets.roll(1, dims=1)"))
_score(
    "the first token overwritten",
    "nothing is shifted",
    (_INPUTS, "torch.cat([torch.full_like(targets[:, :1], start_id), targets[:, 1:]], dim=1)"),
    errata="E004-12",
)
_score("start is 1", "the start is 1 whatever", ("start_id), targets", "1), targets"))
_score(
    "padding in front",
    "the first input is padding",
    ("targets[:, :1], start_id)", "targets[:, :1], padding_id)"),
)
_score(
    "one place too many",
    "one place for each label",
    ("targets[:, :-1]], dim=1)", "targets], dim=1)"),
    ("log_p.gather", "log_p[:, :-1].gather"),
)
_score(
    "labels shifted as well",
    "wrong",
    ("targets[..., None]", "inputs[..., None]"),
)
_score("padding counted", "padding is counted", (_SUM, "each.sum(dim=1)"))
_score(
    "padding is zero",
    "padding is taken to be id 0",
    ("targets == padding_id", "targets == 0"),
)
_score(
    "padding multiplied by zero",
    "instead of multiplying it by 0",
    (_SUM, "(each * (targets != padding_id)).sum(dim=1)"),
)
_score("mean", "not the sum over the real ones", (_SUM, "each.mean(dim=1)"))
_score(
    "mean of the real",
    "it is the mean over the real tokens",
    (_SUM, f"{_SUM} / (targets != padding_id).sum(dim=1)"),
)
_score("the sign", "the sign is wrong", ("return ", "return -"))
_score(
    "no softmax",
    "they need a log_softmax",
    ("torch.log_softmax(decode(inputs, memory), dim=-1)", "decode(inputs, memory)"),
)
_score(
    "logarithm of a softmax",
    "Large logits give NaN or infinity",
    (
        "torch.log_softmax(decode(inputs, memory), dim=-1)",
        "decode(inputs, memory).softmax(-1).log()",
    ),
)
_score(
    "a small number in the logarithm",
    "a small number inside of the logarithm",
    (
        "torch.log_softmax(decode(inputs, memory), dim=-1)",
        "(decode(inputs, memory).softmax(-1) + 1e-9).log()",
    ),
)
_score("all together", "must be (B,)", (".sum(dim=1)", ".sum()"))
_score(
    "the probability",
    "not its logarithm",
    (_SUM, f"{_SUM}.exp()"),
)
_score(
    "softmax over the places",
    "the softmax runs over the places",
    ("dim=-1)", "dim=1)"),
)
_score(
    "targets overwritten",
    "The targets must stay as they are",
    ("    return", "    targets.masked_fill_(targets == padding_id, 0)\n    return"),
)
_add(
    "log_probability",
    "the faulty function",
    """
def log_probability(decode, memory, targets, start_id, padding_id):
    logits = decode(targets, memory)
    losses = F.cross_entropy(logits.mT, targets, reduction="none")
    return -losses.mean(dim=1)
""".lstrip(),
    "the decoder reads the targets themselves",
    "E004-12",
)
RIGHT.append(
    Right(
        "log_probability",
        "loops over sentences and places, one call",
        """
def log_probability(decode, memory, targets, start_id, padding_id):
    inputs = targets.clone()
    inputs[:, 0] = start_id
    inputs[:, 1:] = targets[:, :-1]
    logits = decode(inputs, memory)
    totals = []
    for b in range(targets.shape[0]):
        parts = []
        for t in range(targets.shape[1]):
            token = int(targets[b, t])
            if token != padding_id:
                row = logits[b, t]
                parts.append(row[token] - torch.logsumexp(row, dim=0))
        totals.append(sum(parts))
    return torch.stack(totals)
""".lstrip(),
    )
)
RIGHT.append(
    Right(
        "log_probability",
        "padding in the input replaced, a distribution of torch, float64 inside",
        """
def log_probability(decode, memory, targets, start_id, padding_id):
    real = targets.ne(padding_id)
    inputs = torch.nn.functional.pad(targets, (1, 0), value=start_id)[:, :-1]
    inputs = inputs.where(real, torch.full_like(inputs, start_id))
    logits = decode(inputs, memory)
    wide = logits.double()
    picked = torch.distributions.Categorical(logits=wide).log_prob(targets)
    return torch.where(real, picked, 0.0).sum(-1).to(logits.dtype)
""".lstrip(),
    )
)

# ---------------------------------------------------------------- attention with a cache

_CACHED = """
def cached_attention(x, weights, n_heads, cache=None):
    B, t, D = x.shape
    width = D // n_heads
    rows = x @ weights["in_proj_weight"].T + weights["in_proj_bias"]
    q, k, v = rows.split(D, dim=-1)
    q = q.view(B, t, n_heads, width).transpose(1, 2)
    k = k.view(B, t, n_heads, width).transpose(1, 2)
    v = v.view(B, t, n_heads, width).transpose(1, 2)
    past = 0
    if cache is not None:
        past = cache[0].size(2)
        k = torch.cat([cache[0], k], dim=2)
        v = torch.cat([cache[1], v], dim=2)
    own = past + torch.arange(t)
    see = torch.arange(past + t)[None, :] <= own[:, None]
    scores = q @ k.transpose(-1, -2) / width**0.5
    mixed = scores.masked_fill(~see, float("-inf")).softmax(dim=-1) @ v
    out = mixed.transpose(1, 2).reshape(B, t, D)
    return out @ weights["out_proj_weight"].T + weights["out_proj_bias"], (k, v)
""".lstrip()
_SEE = "see = torch.arange(past + t)[None, :] <= own[:, None]"
_SCORES = "scores = q @ k.transpose(-1, -2) / width**0.5"


def _cached(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("cached_attention", name, edit(_CACHED, *changes), says, errata, note)


_cached(
    "no mask",
    "the future is not hidden",
    (_SEE, "see = torch.ones(t, past + t, dtype=torch.bool)"),
    errata="E004-12",
)
_cached("the past hidden", "the past is hidden", ("<= own", ">= own"))
_cached(
    "the mask only without a cache",
    "in both directions",
    (_SEE, f"{_SEE}\n    if past:\n        see = torch.ones_like(see)"),
)
_cached("the mask from the left corner", "begins at the left corner", ("own = past +", "own ="))
_cached(
    "is_causal with a cache",
    "begins at the left corner",
    (
        'mixed = scores.masked_fill(~see, float("-inf")).softmax(dim=-1) @ v',
        "mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)",
    ),
)
_cached("does not see itself", "NaN", ("<= own", "< own"))
_cached(
    "cache not read",
    "the cache is not read",
    (
        _SEE,
        f"{_SEE}\n    new = k[:, :, past:], v[:, :, past:]",
    ),
    (_SCORES, "scores = q @ new[0].transpose(-1, -2) / width**0.5"),
    ('float("-inf")).softmax(dim=-1) @ v', 'float("-inf")).softmax(dim=-1) @ new[1]'),
    ("scores.masked_fill(~see,", "scores.masked_fill(~see[:, past:],"),
)
_cached(
    "only the new keys returned",
    "the old ones stay",
    (
        'weights["out_proj_bias"], (k, v)',
        'weights["out_proj_bias"], (k[:, :, past:], v[:, :, past:])',
    ),
)
_cached(
    "new keys in front",
    "wrong",
    ("torch.cat([cache[0], k]", "torch.cat([k, cache[0]]"),
    ("torch.cat([cache[1], v]", "torch.cat([v, cache[1]]"),
)
_cached(
    "cache before the heads are split",
    "(B, H, tokens so far, D / H)",
    (
        'weights["out_proj_bias"], (k, v)',
        'weights["out_proj_bias"], (k.transpose(1, 2).flatten(2), v.transpose(1, 2).flatten(2))',
    ),
)
_cached("no scale", "are not divided by the root", (" / width**0.5", ""), errata="E004-14")
_cached(
    "the root of D",
    "by the root of D",
    (" / width**0.5", " / D**0.5"),
    errata="E003-03",
)
_cached(
    "no output projection",
    "the output projection is missing",
    ('return out @ weights["out_proj_weight"].T + weights["out_proj_bias"]', "return out"),
    errata="E001-06",
)
_cached(
    "no bias behind",
    "bias of the output projection",
    (' + weights["out_proj_bias"]', ""),
)
_cached("no bias in front", "bias of the input projections", (' + weights["in_proj_bias"]', ""))
_cached("keys first", "queries and keys are exchanged", ("q, k, v = rows", "k, q, v = rows"))
_cached(
    "values, keys, query",
    "in the order value, key, query",
    ("q, k, v = rows", "v, k, q = rows"),
    errata="E003-08",
)
_cached(
    "heads cut across tokens",
    "wrong",
    (".view(B, t, n_heads, width).transpose(1, 2)", ".reshape(B, n_heads, t, width)"),
)
_cached(
    "one head",
    "all columns are one head",
    (
        "    B, t, D = x.shape",
        "    real, n_heads = n_heads, 1\n    if cache is not None:\n        cache = tuple("
        "c.transpose(1, 2).flatten(2)[:, None] for c in cache)\n    B, t, D = x.shape",
    ),
    (
        'weights["out_proj_bias"], (k, v)',
        'weights["out_proj_bias"], tuple(c[:, 0].unflatten(-1, (real, -1)).transpose(1, 2) '
        "for c in (k, v))",
    ),
)
_cached(
    "the output of everything",
    "for the new tokens only",
    ("(k, v)\n", "(k, v)\n"),
    (
        "out = mixed.transpose(1, 2).reshape(B, t, D)",
        "out = F.pad(mixed.transpose(1, 2).reshape(B, t, D), (0, 0, past, 0))",
    ),
)
_cached(
    "the old cache changed",
    "The cache that was given is modified",
    (
        "        past = cache[0].size(2)\n",
        "        past = cache[0].size(2)\n        cache[0].mul_(0.5)\n",
    ),
    ("k = torch.cat([cache[0], k]", "k = torch.cat([2 * cache[0], k]"),
)
_cached(
    "no gradient through the cache",
    None,
    ('weights["out_proj_bias"], (k, v)', 'weights["out_proj_bias"], (k.detach(), v.detach())'),
    note="Values and shapes are right; only the hidden tests ask for the gradient.",
)
RIGHT.append(
    Right(
        "cached_attention",
        "a loop over heads, the fused attention with an added mask, a list as the cache",
        """
def cached_attention(x, weights, n_heads, cache=None):
    D = x.shape[-1]
    w, b = weights["in_proj_weight"], weights["in_proj_bias"]
    q, k, v = (F.linear(x, w[i * D : (i + 1) * D], b[i * D : (i + 1) * D]) for i in range(3))
    heads, keys, values = [], [], []
    for h in range(n_heads):
        at = slice(h * D // n_heads, (h + 1) * D // n_heads)
        old_k = x.new_zeros(len(x), 0, D // n_heads) if cache is None else cache[0][:, h]
        old_v = x.new_zeros(len(x), 0, D // n_heads) if cache is None else cache[1][:, h]
        keys.append(torch.cat([old_k, k[..., at]], 1))
        values.append(torch.cat([old_v, v[..., at]], 1))
        past = old_k.shape[1]
        bias = torch.full((x.shape[1], past + x.shape[1]), -torch.inf, dtype=x.dtype)
        heads.append(
            F.scaled_dot_product_attention(q[..., at], keys[-1], values[-1], bias.triu(past + 1))
        )
    out = F.linear(torch.cat(heads, -1), weights["out_proj_weight"], weights["out_proj_bias"])
    return out, [torch.stack(keys, 1), torch.stack(values, 1)]
""".lstrip(),
    )
)
RIGHT.append(
    Right(
        "cached_attention",
        "one token after the other with einsum, without any mask",
        """
def cached_attention(x, weights, n_heads, cache=None):
    outs = []
    keys, values = (None, None) if cache is None else cache
    for t in range(x.size(1)):
        row = torch.einsum("bd,ed->be", x[:, t], weights["in_proj_weight"])
        row = row + weights["in_proj_bias"]
        q, k, v = row.reshape(len(x), 3, n_heads, -1).unbind(1)
        keys = k[:, :, None] if keys is None else torch.cat((keys, k[:, :, None]), 2)
        values = v[:, :, None] if values is None else torch.cat((values, v[:, :, None]), 2)
        a = torch.einsum("bhd,bhsd->bhs", q, keys).div(q.size(-1) ** 0.5).softmax(-1)
        outs.append(torch.einsum("bhs,bhsd->bhd", a, values).flatten(1))
    out = torch.stack(outs, 1) @ weights["out_proj_weight"].t() + weights["out_proj_bias"]
    return out, (keys, values)
""".lstrip(),
    )
)

# ---------------------------------------------------------------- beam search

_BEAM = """
def beam_search(step, start_id, end_id, beam, max_length, alpha=0.6):
    alive, done = [([start_id], 0.0)], []
    for n in range(1, max_length + 1):
        logits = step(torch.tensor([tokens for tokens, _ in alive]))
        table = torch.log_softmax(logits, dim=-1)
        table = table + torch.tensor([[p] for _, p in alive])
        V = table.size(1)
        best, index = table.flatten().topk(min(beam, table.numel()))
        grown = []
        for p, i in zip(best.tolist(), index.tolist()):
            if p == float("-inf"):
                continue
            tokens = alive[i // V][0] + [i % V]
            if tokens[-1] == end_id or n == max_length:
                done.append((tokens[1:], p / ((5 + n) / 6) ** alpha))
            else:
                grown.append((tokens, p))
        alive = grown
        if not alive:
            break
    done.sort(key=lambda pair: pair[1], reverse=True)
    return done
""".lstrip()
_DIVIDED = "p / ((5 + n) / 6) ** alpha"


def _beam(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("beam_search", name, edit(_BEAM, *changes), says, errata, note)


_beam("greedy", "the second round must go on from", ("topk(min(beam, table.numel()))", "topk(1)"))
_beam(
    "the best of each prefix",
    "of ALL extensions",
    (
        "best, index = table.flatten().topk(min(beam, table.numel()))",
        "top = table.topk(min(beam, V))\n        best = top.values.flatten()\n        index = "
        "(top.indices + V * torch.arange(len(alive))[:, None]).flatten()",
    ),
)
_beam(
    "row and token exchanged",
    "quotient and remainder",
    ("alive[i // V][0] + [i % V]", "alive[i % len(alive)][0] + [i % V]"),
)
_beam("logits added", "need a log_softmax", ("torch.log_softmax(logits, dim=-1)", "logits"))
_beam(
    "probabilities added",
    "add their logarithms",
    ("torch.log_softmax(logits, dim=-1)", "torch.softmax(logits, dim=-1)"),
    ('p == float("-inf")', "p == 0"),
)
_beam(
    "only the last token",
    "last token alone",
    ("table = table + torch.tensor([[p] for _, p in alive])\n", "\n"),
)
_beam("probabilities returned", "return its logarithm", (_DIVIDED, "2.718281828**p"))
_beam(
    "ends go on",
    "goes on from there",
    ("tokens[-1] == end_id or n == max_length", "n == max_length"),
)
_beam(
    "stops at the first end",
    "stops when the first sequence is finished",
    ("if not alive:", "if done or not alive:"),
)
_beam(
    "cut sequences lost",
    "counts as finished as it is",
    ("if tokens[-1] == end_id or n == max_length:", "if tokens[-1] == end_id:"),
)
_beam(
    "the beam shrinks",
    "whatever has ended before",
    ("min(beam, table.numel())", "min(max(beam - len(done), 1), table.numel())"),
)
_beam("alpha ignored", "alpha is ignored", (_DIVIDED, "p"))
_beam("multiplied", "multiplied by the penalty", (_DIVIDED, "p * ((5 + n) / 6) ** alpha"))
_beam("start counted", "start is counted", (_DIVIDED, "p / ((6 + n) / 6) ** alpha"))
_beam("end not counted", "end is not counted", (_DIVIDED, "p / ((4 + n) / 6) ** alpha"))
_beam("the length alone", "length to the power alpha", (_DIVIDED, "p / n**alpha"))
_beam("the mean", "divided by the number of tokens", (_DIVIDED, "p / n"))
_beam("worst first", "best first", (", reverse=True", ""))
_beam("only the best", "is missing", ("return done", "return done[:1]"))
_beam("only as many as beams", "is missing", ("return done", "return done[:beam]"))
_beam("with the start", "returned without the start", ("(tokens[1:], p /", "(tokens, p /"))
_beam(
    "without the end",
    "The end is missing",
    ("(tokens[1:], p /", "([i for i in tokens[1:] if i != end_id], p /"),
)
_beam(
    "probability 0 kept",
    "probability 0",
    ('if p == float("-inf"):', "if p != p:"),
)
_beam(
    "as many as the vocabulary at most",
    "is missing",
    ("min(beam, table.numel())", "min(beam, V)"),
)
_beam(
    "more than there are",
    "topk can return at most",
    ("topk(min(beam, table.numel()))", "topk(beam)"),
)
_beam(
    "one call for each prefix",
    "the second round must go on from",
    (
        "logits = step(torch.tensor([tokens for tokens, _ in alive]))",
        "logits = torch.cat([step(torch.tensor([tokens])) for tokens, _ in alive])",
    ),
    note="The rounds are then counted wrongly; the text asks for one call in a round.",
)
RIGHT.append(
    Right(
        "beam_search",
        "penalised scores compared inside of a round, everything in Python lists",
        """
def beam_search(step, start_id, end_id, beam, max_length, alpha=0.6):
    over, now = [], [((start_id,), 0.0)]
    while now:
        rows = torch.log_softmax(step(torch.LongTensor([p for p, _ in now])), -1).tolist()
        all_of_them = [
            (prefix + (token,), so_far + more)
            for (prefix, so_far), row in zip(now, rows)
            for token, more in enumerate(row)
            if more > -math.inf
        ]
        all_of_them.sort(key=lambda c: c[1] / ((5 + len(c[0]) - 1) / 6) ** alpha, reverse=True)
        now = []
        for tokens, total in all_of_them[:beam]:
            size = len(tokens) - 1
            if tokens[-1] == end_id or size >= max_length:
                over.append((list(tokens[1:]), total * (6 / (5 + size)) ** alpha))
            else:
                now.append((tokens, total))
    return sorted(over, key=lambda c: c[1])[::-1]
""".lstrip(),
    )
)
RIGHT.append(
    Right(
        "beam_search",
        "tensors of prefixes, float64, tuples as results",
        """
def beam_search(step, start_id, end_id, beam, max_length, alpha=0.6):
    prefixes = torch.full((1, 1), start_id)
    totals = torch.zeros(1, dtype=torch.float64)
    finished = []
    for n in range(1, max_length + 1):
        if len(prefixes) == 0:
            break
        scores = step(prefixes)
        log_p = scores.double() - scores.double().logsumexp(-1, keepdim=True)
        candidates = (totals[:, None] + log_p).reshape(-1)
        order = candidates.argsort(descending=True)[:beam]
        order = order[candidates[order] > -math.inf]
        parents = torch.div(order, scores.shape[-1], rounding_mode="floor")
        tokens = order.remainder(scores.shape[-1])
        grown = torch.cat([prefixes[parents], tokens[:, None]], 1)
        totals = candidates[order]
        ends = (tokens == end_id) | (n == max_length)
        penalty = ((5 + n) / 6) ** alpha
        for row, total in zip(grown[ends], totals[ends]):
            finished.append((row[1:].tolist(), (total / penalty).item()))
        prefixes, totals = grown[~ends], totals[~ends]
    return tuple(sorted(finished, key=lambda f: f[1], reverse=True))
""".lstrip(),
    )
)

# ---------------------------------------------------------------- BLEU

_BLEU = """
def corpus_bleu(hypotheses, references, order=4):
    hits, totals, c, r = [0] * order, [0] * order, 0, 0

    def grams(words, n):
        return Counter(zip(*(words[i:] for i in range(n))))

    for words, rights in zip(hypotheses, references):
        c += len(words)
        sizes = [len(one) for one in rights]
        r += min(sizes, key=lambda size: (abs(size - len(words)), size))
        for n in range(1, order + 1):
            mine = grams(words, n)
            theirs = Counter()
            for one in rights:
                theirs = theirs | grams(one, n)
            hits[n - 1] += sum((mine & theirs).values())
            totals[n - 1] += sum(mine.values())
    if 0 in hits:
        return 0.0
    brevity = 1.0 if c >= r else math.exp(1 - r / c)
    mean = math.exp(sum(math.log(h / t) for h, t in zip(hits, totals)) / order)
    return 100 * brevity * mean
""".lstrip()
_CLOSEST = "min(sizes, key=lambda size: (abs(size - len(words)), size))"


def _bleu(name: str, says: str, *changes: tuple[str, str], errata: str = "", note: str = ""):
    _add("corpus_bleu", name, edit(_BLEU, *changes), says, errata, note)


_bleu("from 0 to 1", "from 0 to 100", ("return 100 * brevity", "return brevity"))
_bleu(
    "no clipping",
    "at most as often",
    ("sum((mine & theirs).values())", "sum(k for g, k in mine.items() if g in theirs)"),
)
_bleu(
    "words joined without a space",
    "keep the words apart",
    (
        "return Counter(zip(*(words[i:] for i in range(n))))",
        'return Counter(map("".join, zip(*(words[i:] for i in range(n)))))',
    ),
)
_bleu("no brevity penalty", "brevity penalty is exp", ("100 * brevity * mean", "100 * mean"))
_bleu(
    "a penalty for long ones, too",
    "at most 1",
    ("1.0 if c >= r else math.exp(1 - r / c)", "math.exp(1 - r / c)"),
)
_bleu(
    "the penalty exchanged",
    "brevity penalty",
    ("1.0 if c >= r else math.exp(1 - r / c)", "1.0 if c <= r else math.exp(1 - c / r)"),
)
_bleu(
    "the ratio of the lengths",
    "brevity penalty is exp",
    ("math.exp(1 - r / c)", "c / r"),
)
_bleu(
    "arithmetic mean",
    "geometric mean",
    (
        "math.exp(sum(math.log(h / t) for h, t in zip(hits, totals)) / order)",
        "sum(h / t for h, t in zip(hits, totals)) / order",
    ),
)
_bleu(
    "the product without a root",
    "geometric mean",
    (" / order)\n", ")\n"),
)
_bleu(
    "only the longest n-grams",
    "geometric mean",
    (
        "math.exp(sum(math.log(h / t) for h, t in zip(hits, totals)) / order)",
        "hits[-1] / totals[-1]",
    ),
)
_bleu("only the first reference", "All references", ("in rights:\n", "in rights[:1]:\n"))
_bleu(
    "references summed",
    "no sum over them",
    ("theirs = theirs | grams(one, n)", "theirs = theirs + grams(one, n)"),
)
_bleu("the first length", "closest in length", (_CLOSEST, "sizes[0]"))
_bleu("the shortest length", "closest in length", (_CLOSEST, "min(sizes)"))
_bleu("the longest length", "closest in length", (_CLOSEST, "max(sizes)"))
_bleu(
    "the longer of two",
    "the shorter one counts",
    ("len(words)), size))", "len(words)), -size))"),
)
_bleu(
    "four whatever is asked",
    "order is ignored",
    ("    hits, totals,", "    order = 4\n    hits, totals,"),
)
_bleu(
    "smoothed",
    "no smoothing",
    ("    if 0 in hits:\n        return 0.0\n", ""),
    ("math.log(h / t)", "math.log((h or 0.5) / max(t, 1))"),
)
_bleu(
    "the logarithm of 0",
    "a precision of 0 makes BLEU 0",
    ("    if 0 in hits:\n        return 0.0\n", ""),
)
_add(
    "corpus_bleu",
    "the mean of the sentences",
    edit(_BLEU, ("def corpus_bleu(", "def one_bleu("))
    + """

def corpus_bleu(hypotheses, references, order=4):
    each = [one_bleu([h], [r], order) for h, r in zip(hypotheses, references)]
    return sum(each) / len(each)
""",
    "no mean of",
)
_add(
    "corpus_bleu",
    "a set of n-grams",
    edit(
        _BLEU,
        (
            "return Counter(zip(*(words[i:] for i in range(n))))",
            "return Counter(set(zip(*(words[i:] for i in range(n)))))",
        ),
    ),
    "counts at most",
)
RIGHT.append(
    Right(
        "corpus_bleu",
        "strings as n-grams, loops, numpy-free arithmetic with powers",
        """
def corpus_bleu(hypotheses, references, order=4):
    result = 100.0
    c = sum(len(h) for h in hypotheses)
    r = 0
    for h, refs in zip(hypotheses, references):
        best = None
        for ref in refs:
            d = abs(len(ref) - len(h))
            if best is None or d < best[0] or (d == best[0] and len(ref) < best[1]):
                best = (d, len(ref))
        r += best[1]
    for n in range(1, order + 1):
        top = bottom = 0
        for h, refs in zip(hypotheses, references):
            pieces = ["\\0".join(h[i : i + n]) for i in range(len(h) - n + 1)]
            bottom += len(pieces)
            for piece in set(pieces):
                often = max(
                    ["\\0".join(ref[i : i + n]) for i in range(len(ref) - n + 1)].count(piece)
                    for ref in refs
                )
                top += min(often, pieces.count(piece))
        if top == 0:
            return 0
        result *= (top / bottom) ** (1 / order)
    if c < r:
        result *= math.e ** (1 - r / c)
    return result
""".lstrip(),
    )
)
RIGHT.append(
    Right(
        "corpus_bleu",
        "torch for the mean, a tensor turned into a number",
        edit(
            _BLEU,
            (
                "math.exp(sum(math.log(h / t) for h, t in zip(hits, totals)) / order)",
                "float((torch.tensor(hits).double() / torch.tensor(totals)).log().mean().exp())",
            ),
        ),
    )
)
