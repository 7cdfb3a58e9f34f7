"""Visible checks of assignment 10: each says what is wrong in terms of the idea.

The expected values come from torch's own layers, which the tasks do not let you use, from loops
over single tokens, and from sacrebleu. A check that passes is not the whole story: the grader runs
further tests.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoderlib.testing import call_answer, check_close, check_not_used, check_tensor

__all__ = [
    "check_beam_search",
    "check_by_hand",
    "check_cached_attention",
    "check_corpus_bleu",
    "check_decoder_layer",
    "check_log_probability",
]

LIBRARY = {"encoderlib": "The library holds the answer; write your own."}
LAYERS = LIBRARY | dict.fromkeys(
    ("TransformerDecoderLayer", "TransformerDecoder", "Transformer"),
    "It is the whole layer, or leads to it; build yours from attention, linear maps and norms, and "
    "the mask from torch.ones and triu.",
)


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. by hand

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
_HAND_MISTAKES = {
    "labels": {
        "the start token is among the labels: it is read, never asked for": [
            [1, 7, 4, 9],
            [1, 5, 0, 0],
        ],
        "the end is missing: the decoder must be asked for it, or it never stops": [
            [7, 4, 9, 0],
            [5, 0, 0, 0],
        ],
        "the end stands behind the padding": [[7, 4, 9, 2], [5, 0, 0, 2]],
    },
    "inputs": {
        "the inputs are the labels: nothing is shifted, each place reads its own answer": [
            [7, 4, 9, 2],
            [5, 2, 0, 0],
        ],
        "they are shifted to the left: each place reads the token after its answer": [
            [4, 9, 2, 0],
            [2, 0, 0, 0],
        ],
        "the start token is missing": [[0, 7, 4, 9], [0, 5, 2, 0]],
        "the first token is the end, not the start": [[2, 7, 4, 9], [2, 5, 2, 0]],
    },
    "counted": {
        "padding is counted, too": 8,
        "the ends are not counted": 4,
    },
    "shape": {
        "source and target are exchanged: rows are target places": [2, 3, 6, 4],
        "these are the weights of the decoder's self-attention": [2, 3, 4, 4],
        "these are the weights of the encoder": [2, 3, 6, 6],
        "heads and batch are exchanged": [3, 2, 4, 6],
        "the heads are missing: each head has weights of its own": [2, 4, 6],
        "the start token and the end are both counted": [2, 3, 5, 6],
    },
    "weights": {
        "padding is not hidden": [
            [1 / (4 + math.exp(5)), 3 / (4 + math.exp(5)), math.exp(5) / (4 + math.exp(5))],
            [2 / (3 + math.exp(5)), 1 / (3 + math.exp(5)), math.exp(5) / (3 + math.exp(5))],
        ],
        "padding is hidden after the softmax: a row must sum to 1": [
            [1 / (4 + math.exp(5)), 3 / (4 + math.exp(5)), 0],
            [2 / (3 + math.exp(5)), 1 / (3 + math.exp(5)), 0],
        ],
        "hidden tokens have the score 0, whose exponential is 1: their weight must be 0": [
            [1 / 5, 3 / 5, 1 / 5],
            [2 / 4, 1 / 4, 1 / 4],
        ],
        "the sums are taken over the target: each row must sum to 1 over the source": [
            [1 / 3, 3 / 4, 0],
            [2 / 3, 1 / 4, 0],
        ],
        "padding is given a weight: a hidden token has the weight 0, whatever its score is": [
            [1 / 4, 3 / 4, 1],
            [2 / 3, 1 / 3, 1],
        ],
        "the scores are divided by their sum: take the exponentials first": [[0, 1, 0], [1, 0, 0]],
    },
    "context": {
        "the padded token is read": [[26, 31], [27, 26]],
        "the padded token is added with the weight 1; it has the weight 0": [
            [101, 106],
            [100 + 8 / 3, 100 + 8 / 3],
        ],
        "the rows are exchanged": [[8 / 3, 8 / 3], [1, 6]],
        "this is the plain mean of the two values": [[2, 4], [2, 4]],
    },
    "read": {
        "the scores for y_3 may not depend on y_3: that is the answer": [1, 2, 3],
        "only what comes before y_3 may be read": [1, 2, 3, 4],
        "the decoder reads all earlier tokens, not only the last one": [2],
        "they are counted from 0; the text counts the labels from 1": [0, 1],
    },
    "positions": {
        "without a cache every step computes the whole prefix again": [4, 4],
        "this is 4 squared: step t computes t positions, not 4": [16, 4],
        "the two are exchanged": [4, 10],
        "the cache makes each step compute one position": [10, 1],
        "the first step computes the start token: 1 + 2 + 3 + 4": [6, 3],
        "four tokens need four steps: the start is read in the first one": [15, 5],
    },
}


def check_by_hand(by_hand: Callable) -> None:
    """Eight small results."""
    case = call_answer("by_hand()", by_hand)
    _require(isinstance(case, dict), f"by_hand() must return a dictionary, got {type(case)}.")
    for key, wanted in _HAND.items():
        _require(key in case, f"The dictionary lacks the entry '{key}'.")
        name = f"The entry '{key}'"
        want = torch.tensor(wanted, dtype=torch.float64)
        entry = sorted(case[key]) if isinstance(case[key], set) else case[key]
        try:
            value = torch.as_tensor(entry, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise AssertionError(f"{name} must hold numbers, in the form of the table.") from None
        shown = {
            mistake: torch.tensor(wrong, dtype=torch.float64)
            for mistake, wrong in _HAND_MISTAKES[key].items()
        }
        if value.shape != want.shape:
            said = [m for m, w in shown.items() if w.shape == value.shape and torch.equal(w, value)]
            _require(not said, f"{name}: {said[0] if said else ''}.")
            sizes = "a number" if not want.shape else f"numbers of shape {tuple(want.shape)}"
            raise AssertionError(f"{name} must be {sizes}, got {tuple(value.shape)}.")
        if key == "inputs":  # where nothing is asked, anything may be read
            free = torch.tensor(_HAND["labels"]) == 0
            value = value.where(~free, want)
            shown = {m: wrong.where(~free, want) for m, wrong in shown.items()}
        if not torch.allclose(value, want, rtol=0, atol=2e-3):
            said = [m for m, w in shown.items() if _near(w, value) and not _near(w, want)]
            idea = f"{said[0]}." if said else "do it once more on paper."
            raise AssertionError(f"{name} is not right: {idea}")
    _done("by_hand")


def _near(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=0, atol=2e-2)


# ---------------------------------------------------------------- 2. a decoder layer

_SUBLAYERS = {
    "self-attention": ("self_attn.out_proj.",),
    "cross-attention": ("multihead_attn.out_proj.",),
    "feed-forward network": ("linear2.",),
}


def _theirs(seed: int, d: int, h: int, f: int, first: bool, activation: str = "relu"):
    theirs = nn.TransformerDecoderLayer(
        d, h, f, 0.0, activation=activation, batch_first=True, norm_first=first
    )
    with torch.no_grad():
        for number, one in enumerate(theirs.parameters()):
            scale = d**0.5 if one.dim() == 2 else 1
            one.copy_(_randn(seed + number, *one.shape) / scale)
    return theirs


def _silenced(state: dict, prefixes: tuple[str, ...]) -> dict:
    return {n: torch.zeros_like(p) if n.startswith(prefixes) else p for n, p in state.items()}


def _renamed(state: dict, one: str, two: str) -> dict:
    """The state with two parts exchanged."""

    def other(name: str) -> str:
        for a, b in ((one, two), (two, one)):
            if name.startswith(a):
                return b + name.removeprefix(a)
        return name

    return {other(name): p for name, p in state.items()}


def _run(theirs, state, x, memory, tokens, future="right"):
    """Torch's layer with this state and these masks."""
    theirs.load_state_dict(state)
    T = x.size(1)
    square = torch.ones(T, T, dtype=torch.bool)
    masks = {
        "right": square.triu(1),
        "none": None,
        "turned": square.tril(-1),
        "exchanged": square.tril(0),
        "itself": square.triu(0),
    }
    hidden = None if tokens is None else ~tokens
    with torch.no_grad():
        return theirs(x, memory, tgt_mask=masks[future], memory_key_padding_mask=hidden)


def _mistakes(seed, d, h, f, first, x, memory, tokens) -> dict[str, Tensor]:
    theirs = _theirs(seed, d, h, f, first)
    state = {n: p.clone() for n, p in theirs.state_dict().items()}
    other = _theirs(seed, d, h, f, not first)
    bent = _theirs(seed, d, h, f, first, "gelu")
    linear = _theirs(seed, d, h, f, first)
    linear.activation = nn.Identity()
    order = "post-norm although norm_first is True" if first else "pre-norm although it is False"
    given = x, memory, tokens
    wrong = {
        "the future is not hidden: every target place sees the later ones": _run(
            theirs, state, *given, "none"
        ),
        "the past is hidden instead of the future": _run(theirs, state, *given, "turned"),
        "the mask of the self-attention has its polarity exchanged: in nn.MultiheadAttention True "
        "means may NOT attend": _run(theirs, state, *given, "exchanged"),
        f"the layer runs in {order}": _run(other, state, *given),
        "the activation is GELU, not ReLU": _run(bent, state, *given),
        "the activation is missing": _run(linear, state, *given),
        "the cross-attention comes first": _rewired(theirs, state, first, *given, crossed=True),
        "norm1 and norm2 are exchanged": _run(theirs, _renamed(state, "norm1.", "norm2."), *given),
        "norm2 and norm3 are exchanged": _run(theirs, _renamed(state, "norm2.", "norm3."), *given),
        "self_attn and multihead_attn are exchanged": _run(
            theirs, _renamed(state, "self_attn.", "multihead_attn."), *given
        ),
        "the cross-attention reads x: its keys and values come from the memory": _rewired(
            theirs, state, first, *given
        ),
        "self_attn is used for the source as well": _run(
            theirs, _copied(state, "self_attn.", "multihead_attn."), *given
        ),
        "the source is normed: no norm of this layer is for the memory": _run(
            theirs,
            state,
            x,
            F.layer_norm(memory, (d,), state["norm2.weight"], state["norm2.bias"]),
            tokens,
        ),
    }
    for name, prefixes in _SUBLAYERS.items():
        wrong[f"the {name} is missing"] = _run(theirs, _silenced(state, prefixes), *given)
    if tokens is not None:
        wrong["padding of the source is not hidden"] = _run(theirs, state, x, memory, None)
        wrong[
            "the mask of the source has its polarity exchanged: in nn.MultiheadAttention True "
            "means may NOT attend"
        ] = _run(theirs, state, x, memory, ~tokens)
    return {name: values for name, values in wrong.items() if bool(values.isfinite().all())}


def _rewired(theirs, state, first, x, memory, tokens, crossed=False) -> Tensor:
    """The first two sub-layers exchanged, or a cross-attention that reads the target."""
    theirs.load_state_dict(state)
    places = torch.arange(x.size(1))
    later = places > places[:, None]
    away = None if tokens is None else tokens.logical_not()

    def across(z: Tensor) -> Tensor:
        if not crossed:
            return theirs.multihead_attn(z, z, z)[0]
        return theirs.multihead_attn(z, memory, memory, key_padding_mask=away)[0]

    def among(z: Tensor) -> Tensor:
        return theirs.self_attn(z, z, z, attn_mask=later)[0]

    def feed(z: Tensor) -> Tensor:
        return theirs.linear2(theirs.linear1(z).relu())

    parts = [(among, theirs.norm1), (across, theirs.norm2), (feed, theirs.norm3)]
    with torch.no_grad():
        for part, norm in [parts[i] for i in ((1, 0, 2) if crossed else (0, 1, 2))]:
            x = x + part(norm(x)) if first else norm(x + part(x))
    return x


def _copied(state: dict, source: str, target: str) -> dict:
    return {
        n: state[source + n.removeprefix(target)] if n.startswith(target) else p
        for n, p in state.items()
    }


def check_decoder_layer(DecoderLayer: type) -> None:
    """Names, both orders, both masks, the source."""
    check_not_used("DecoderLayer", getattr(DecoderLayer, "__init__", None), LAYERS)
    check_not_used("DecoderLayer", getattr(DecoderLayer, "forward", None), LAYERS)
    hints = {
        "key_padding_mask": "source_tokens is (B, S); the masks of the two attentions have "
        "different shapes.",
        "'tuple' object": "nn.MultiheadAttention returns a pair: outputs and weights.",
        "unsupported operand type(s) for +": "nn.MultiheadAttention returns a pair.",
        "shape of the 2D attn_mask": "attn_mask is (T, T), for the self-attention alone. If it is: "
        "is batch_first=True set?",
        "batch_first": "Set batch_first=True.",
        "key's sequence and batch": "Source and target have different lengths: the cross-attention "
        "has its queries from x, and keys and values both from the memory.",
        "The size of tensor a": "The result has one vector for each target token, so queries and "
        "residual come from x: are x and the memory exchanged?",
        "match value shape": "Queries come from x, keys and values of the cross-attention both "
        "from the memory.",
        "but got key_padding_mask": "Queries come from x, keys and values from the memory; "
        "is batch_first=True set?",
    }
    state = torch.get_rng_state()
    for first in (False, True):
        b, s, t, d, h, f = 2, 4, 3, 6, 2, 5
        theirs = _theirs(11, d, h, f, first)
        mine = call_answer("DecoderLayer()", DecoderLayer, d, h, f, first)
        _require(isinstance(mine, nn.Module), "DecoderLayer must be an nn.Module.")
        want = {name: tuple(p.shape) for name, p in theirs.named_parameters()}
        names = {name: tuple(p.shape) for name, p in mine.named_parameters()}
        missing, more = sorted(want.keys() - names.keys()), sorted(names.keys() - want.keys())
        _require(not missing, f"The parameter {missing[:1]} is missing: see the table of names.")
        _require(not more, f"The layer has a parameter {more[:1]} that torch's has not.")
        for name, shape in want.items():
            _require(
                names[name] == shape, f"{name} must have the shape {shape}, got {names[name]}."
            )
        mine.load_state_dict(theirs.state_dict())
        x, memory = _randn(1, b, t, d), 0.7 + 2 * _randn(2, b, s, d)
        tokens = torch.tensor([[True] * 4, [True, True, False, False]])
        order = "pre-norm" if first else "post-norm"
        for real, case in ((None, order), (tokens, f"{order} with padded sources")):
            with torch.no_grad():
                got = call_answer("DecoderLayer.forward", mine, x, memory, real, hints=hints)
            check_tensor("The result of DecoderLayer", got)
            _require(
                bool(torch.equal(x, _randn(1, b, t, d))),
                "x is modified: `x += ...` writes into what was given; write x = x + ....",
            )
            _require(
                got.shape == x.shape,
                f"The result must be (B, T, D) = {tuple(x.shape)}, got {tuple(got.shape)}: one "
                "vector for each target token.",
            )
            _require(
                bool(got.isfinite().all()),
                f"{case}: the result holds NaN. A row that may see nothing gives NaN: each place "
                "must see itself, and each source its real tokens. Is the polarity of a mask "
                "exchanged? In nn.MultiheadAttention True means may NOT attend.",
            )
            right = _run(theirs, _theirs(11, d, h, f, first).state_dict(), x, memory, real)
            named = _mistakes(11, d, h, f, first, x, memory, real)
            try:
                check_close(f"DecoderLayer in {case}", got, right, named, tolerance=1e-4)
            except AssertionError as error:
                if "This is what you get" in str(error):
                    raise
                raise AssertionError(
                    f"{error}{_silent(mine, 11, d, h, f, first, x, memory)}"
                ) from None
        batch = call_answer("DecoderLayer.forward", mine, x[:, :1], memory, tokens, hints=hints)
        _require(tuple(batch.shape) == (b, 1, d), "A target of one token must work as well.")
    square = _randn(5, 4, 4, 6), _randn(6, 4, 4, 6)
    with torch.no_grad():
        got = call_answer("DecoderLayer.forward", mine, *square, hints=hints)
    right = _run(theirs, theirs.state_dict(), *square, None)
    check_close("DecoderLayer with B = S = T", got, right, tolerance=1e-4)
    torch.set_rng_state(state)
    _done("DecoderLayer")


def _silent(mine, seed, d, h, f, first, x, memory) -> str:
    """A sub-layer at whose silence the layer is wrong, too; its own state is put back."""
    theirs = _theirs(seed, d, h, f, first)
    state = {n: p.clone() for n, p in theirs.state_dict().items()}
    said = ""
    for name in _SUBLAYERS:
        others = tuple(p for n, ps in _SUBLAYERS.items() if n != name for p in ps)
        alone = _silenced(state, others)  # only this sub-layer speaks
        mine.load_state_dict(alone)
        with torch.no_grad():
            got = mine(x, memory)
        right = _run(theirs, alone, x, memory, None)
        if got.shape != right.shape or not torch.allclose(got, right, atol=1e-4):
            said += f" The {name} is wrong on its own."
    mine.load_state_dict(_silenced(state, tuple(p for ps in _SUBLAYERS.values() for p in ps)))
    with torch.no_grad():
        got = mine(x, memory)
    if first and not torch.allclose(got, x, atol=1e-5):
        said += (
            " With three silent sub-layers pre-norm must return x itself: a residual is missing, "
            "or there is a norm on its way."
        )
    nothing = _run(theirs, _silenced(state, sum(_SUBLAYERS.values(), ())), x, memory, None)
    if not first and not torch.allclose(got, nothing, atol=1e-4):
        said += (
            " With three silent sub-layers it is wrong, too: a residual or a norm is missing, or "
            "has moved."
        )
    return said


# ---------------------------------------------------------------- 3. log-probability


def _toy_decoder(v: int, d: int) -> Callable:
    table, out = _randn(21, v, d), 0.6 * _randn(22, d, v)

    def decode(inputs: Tensor, memory: Tensor) -> Tensor:
        seen = table[inputs].cumsum(1) / torch.arange(1, inputs.size(1) + 1)[:, None]
        return (table[inputs] + seen + memory[:, None]) @ out

    return decode


def _each(decode, memory, targets, start, pad) -> Tensor:
    """Log p of each token by loops, (B, T); 0 at padding."""
    rows = torch.zeros(targets.shape)
    for b, target in enumerate(targets.tolist()):
        for t, token in enumerate(target):
            if token == pad:
                break
            prefix = torch.tensor([[start, *target[:t]]])
            rows[b, t] = decode(prefix, memory[b : b + 1])[0, -1].log_softmax(0)[token]
    return rows


def check_log_probability(log_probability: Callable) -> None:
    """Values, padding, extreme logits."""
    check_not_used("log_probability", log_probability, LIBRARY)
    v, start, pad = 9, 7, 3
    decode = _toy_decoder(v, 4)
    targets = torch.tensor([[5, 1, 1, 8, 2], [4, 2, 3, 3, 3], [0, 6, 2, 3, 3]])
    memory, kept = _randn(23, 3, 4), targets.clone()
    hints = {
        "Expected target size": "F.cross_entropy wants the vocabulary as second axis: (B, V, T).",
        "batch_size": "Flatten logits and targets in the same way.",
        "Index tensor must": "gather: the targets need a last axis, targets[..., None].",
    }
    calls = []

    def counted(inputs, given):
        calls.append(inputs.detach().clone())
        return decode(inputs, given)

    got = call_answer(
        "log_probability", log_probability, counted, memory, targets, start, pad, hints=hints
    )
    check_tensor("log_probability", got)
    _require(bool(calls), "log_probability does not call decode.")
    given = calls[0]
    _require(
        given.shape == targets.shape,
        f"decode must be given ids of shape (B, T) = {tuple(targets.shape)}, one place for each "
        f"label, got {tuple(given.shape)}.",
    )
    shift = torch.cat([targets.new_full((3, 1), start), targets], 1)[:, :-1]
    turned = {
        "the decoder reads the targets themselves: each place is given the token that it is asked "
        "for. Shift them": targets,
        "the decoder's input is shifted the wrong way: it reads what follows its answer": torch.cat(
            [targets[:, 1:], targets.new_full((3, 1), pad)], 1
        ),
        "the first input is the last token of the target (a roll), not the start": targets.roll(
            1, 1
        ),
        "the start is 1 whatever start_id is": shift.clone().index_fill_(1, torch.tensor([0]), 1),
        "the start is 0 whatever start_id is": shift.clone().index_fill_(1, torch.tensor([0]), 0),
        "the first input is padding, not the start": shift.clone().index_fill_(
            1, torch.tensor([0]), pad
        ),
        "the input is shifted twice": torch.cat([shift.new_full((3, 1), start), shift], 1)[:, :-1],
        "the start overwrites the first token, and nothing is shifted": targets.clone().index_fill_(
            1, torch.tensor([0]), start
        ),
    }
    used = targets != pad
    for mistake, inputs in turned.items():
        same = bool((given == inputs)[used].all())
        _require(not same or bool((inputs == shift)[used].all()), f"In log_probability {mistake}.")
    _require(
        got.shape == (3,),
        f"log_probability must be (B,) = (3,), one number for each target, got {tuple(got.shape)}.",
    )
    _require(bool(torch.equal(targets, kept)), "The targets must stay as they are.")
    each = _each(decode, memory, targets, start, pad)
    right, counts = each.sum(1), used.sum(1)
    whole = _each(decode, memory, targets, start, -1)
    no_zeros = targets != 0
    wrong = {
        "padding is counted": whole.sum(1),
        "padding is taken to be id 0: use padding_id": (whole * no_zeros).sum(1),
        "it is the mean over all places, not the sum over the real ones": whole.mean(1),
        "it is the mean over the real tokens: sum them": right / counts,
        "the sum of the real tokens is divided by T": right / targets.size(1),
        "the sign is wrong: a log-probability is at most 0": -right,
        "the mean is taken and the sign is wrong": -right / counts,
        "the probability is returned, not its logarithm": right.exp(),
        "the probabilities of the tokens are added: add their logarithms": (each.exp() * used).sum(
            1
        ),
        "all targets are added together": right.sum().expand(3),
        "the softmax runs over the places: it belongs over the vocabulary": _logits_of(
            lambda *both: decode(*both).log_softmax(1), memory, shift, targets, used
        ),
        "the logits are added: they need a log_softmax": _logits_of(
            decode, memory, shift, targets, used
        ),
    }
    check_close("log_probability", got, right, wrong, tolerance=1e-4)
    _require(len(calls) == 1, f"decode is called {len(calls)} times; once is enough.")

    def no_padding(inputs, given):
        return decode(inputs, given).index_fill(2, torch.tensor([pad]), -torch.inf)

    got = call_answer("log_probability", log_probability, no_padding, memory, targets, start, pad)
    _require(
        bool(got.isfinite().all()),
        "A decoder whose logits for padding are minus infinity gives NaN or infinity: leave "
        "padding out instead of multiplying it by 0.",
    )
    check_close(
        "log_probability with logits of minus infinity for padding",
        got,
        _each(no_padding, memory, targets, start, pad).sum(1),
        tolerance=1e-4,
    )

    def loud(inputs, given):
        return 200 * decode(inputs, given)

    got = call_answer("log_probability", log_probability, loud, memory, targets, start, pad)
    _require(
        bool(got.isfinite().all()),
        "Large logits give NaN or infinity: the logarithm of a softmax that has become 0. "
        "log_softmax computes both at once.",
    )
    want = _each(loud, memory, targets, start, pad).sum(1)
    _require(
        bool(torch.allclose(got, want, rtol=1e-3, atol=1e-2)),
        "Large logits give wrong values: a small number inside of the logarithm is no remedy, "
        "log_softmax is.",
    )
    _done("log_probability")


def _logits_of(decode, memory, inputs, targets, used) -> Tensor:
    logits = decode(inputs, memory).gather(2, targets[..., None])[..., 0]
    return (logits * used).sum(1)


# ---------------------------------------------------------------- 4. attention with a cache


def _weights(seed: int, d: int) -> dict[str, Tensor]:
    return {
        "in_proj_weight": _randn(seed, 3 * d, d),
        "in_proj_bias": _randn(seed + 1, 3 * d),
        "out_proj_weight": _randn(seed + 2, d, d),
        "out_proj_bias": _randn(seed + 3, d),
    }


def _causal(weights: dict, x: Tensor, h: int, see: Tensor | None = None, **change) -> Tensor:
    """Torch's attention on everything at once."""
    theirs = nn.MultiheadAttention(x.size(-1), h, batch_first=True)
    state = {n.replace("out_proj_", "out_proj."): p for n, p in (weights | change).items()}
    theirs.load_state_dict(state)
    T = x.size(1)
    see = torch.ones(T, T, dtype=torch.bool).tril() if see is None else see
    with torch.no_grad():
        return theirs(x, x, x, attn_mask=~see, need_weights=False)[0]


def check_cached_attention(cached_attention: Callable) -> None:
    """All at once, then chunks, then the old cache."""
    more = {"MultiheadAttention": "Split the heads yourself, as in assignment 05."}
    check_not_used("cached_attention", cached_attention, LIBRARY | more)
    state = torch.get_rng_state()
    b, t, d, h = 2, 5, 6, 3
    weights, x = _weights(31, d), _randn(35, b, t, d)
    right = _causal(weights, x, h)

    def call(new: Tensor, cache=None):
        hints = {
            "must match the existing size": "The mask has one row for each new token and one "
            "column for each token so far.",
            "Sizes of tensors must match": "Keys are put together along the axis of the tokens.",
            "unpack": "The cache is a pair (keys, values), or None.",
            "'NoneType' object": "At the beginning the cache is None.",
        }
        answer = call_answer(
            "cached_attention", cached_attention, new, weights, h, cache, hints=hints
        )
        _require(
            isinstance(answer, tuple | list) and len(answer) == 2,
            "cached_attention must return a pair: the output, and the cache.",
        )
        out, kept = answer
        _require(
            isinstance(kept, tuple | list) and len(kept) == 2,
            "The cache must be a pair (keys, values).",
        )
        check_tensor("The output of cached_attention", out)
        _require(
            tuple(out.shape) == tuple(new.shape),
            f"The output must be (B, t, D) = {tuple(new.shape)}, for the new tokens only, got "
            f"{tuple(out.shape)}.",
        )
        return out, tuple(kept)

    out, kept = call(x)
    full = torch.ones(t, t, dtype=torch.bool)
    parts = {n: weights[f"in_proj_{n}"].chunk(3) for n in ("weight", "bias")}
    no_out = {"out_proj_weight": torch.eye(d), "out_proj_bias": torch.zeros(d)}
    wrong = {
        "the future is not hidden: a new token sees the ones behind it": _causal(
            weights, x, h, full
        ),
        "the past is hidden instead of the future": _causal(weights, x, h, full.triu()),
        "the output projection is missing": _causal(weights, x, h, **no_out),
        "the bias of the output projection is missing": _causal(
            weights, x, h, out_proj_bias=torch.zeros(d)
        ),
        "the bias of the input projections is missing": _causal(
            weights, x, h, in_proj_bias=torch.zeros(3 * d)
        ),
        "queries and keys are exchanged: the rows stand in the order query, key, value": _causal(
            weights, x, h, **_order(parts, (1, 0, 2))
        ),
        "keys and values are exchanged": _causal(weights, x, h, **_order(parts, (0, 2, 1))),
        "the rows are read in the order value, key, query": _causal(
            weights, x, h, **_order(parts, (2, 1, 0))
        ),
        "all columns are one head": _causal(weights, x, 1),
        "the scores are not divided by the root of the width of a head": _causal(
            weights, x, h, **_scaled(parts, (d / h) ** 0.5)
        ),
        "the scores are divided by the root of D, not of D / H": _causal(
            weights, x, h, **_scaled(parts, (1 / h) ** 0.5)
        ),
    }
    named = "cached_attention without a cache, five tokens at once"
    check_close(named, out, right, wrong, tolerance=1e-4)
    shape = (b, h, t, d // h)
    for one, name in zip(kept, ("keys", "values"), strict=True):
        check_tensor(f"The {name} of the cache", one)
        _require(
            tuple(one.shape) == shape,
            f"The {name} of the cache must be (B, H, tokens so far, D / H) = {shape}, got "
            f"{tuple(one.shape)}.",
        )

    out, kept = call(x[:, :2])
    before = tuple(one.clone() for one in kept)
    out, after = call(x[:, 2:3], kept)
    wrong = {
        "the cache is not read: the new token sees only itself": _causal(weights, x[:, 2:3], h),
        "the new token does not see itself": _causal(
            weights, x[:, :3], h, torch.tensor([[1, 0, 0], [1, 1, 0], [1, 1, 0]]).bool()
        )[:, 2:],
        "the mask begins at the left corner: with p tokens in the cache, new token i stands at "
        "place p + i": _causal(
            weights, x[:, :3], h, torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0]]).bool()
        )[:, 2:],
    }
    check_close("One new token behind two in the cache", out, right[:, 2:3], wrong, tolerance=1e-4)
    for one, name in zip(after, ("keys", "values"), strict=True):
        _require(
            one.shape[2:3] == (3,),
            f"After 2 + 1 tokens the cache must hold 3 {name}, its shape is {tuple(one.shape)}: "
            "the old ones stay, the new ones come behind them.",
        )
    for one, old in zip(kept, before, strict=True):
        _require(
            bool(torch.equal(one, old)), "The cache that was given is modified: make a new one."
        )
    out, _ = call(x[:, 2:], kept)
    lower = torch.ones(t, t, dtype=torch.bool).tril()
    corner, open_now, none = lower.clone(), lower.clone(), lower.clone()
    corner[2:] = torch.ones(3, t, dtype=torch.bool).tril()
    open_now[2:] = True
    none[2:, :2] = False
    wrong = {
        "the mask begins at the left corner: with p tokens in the cache, new token i stands at "
        "place p + i": _causal(weights, x, h, corner)[:, 2:],
        "the new tokens see each other in both directions: inside of a chunk the future is hidden, "
        "too": _causal(weights, x, h, open_now)[:, 2:],
        "the cache is not read": _causal(weights, x, h, none)[:, 2:],
    }
    check_close(
        "A chunk of three behind two in the cache", out, right[:, 2:], wrong, tolerance=1e-4
    )
    again, _ = call(x[:, 2:], kept)
    _require(
        bool(torch.equal(out, again)),
        "The same chunk behind the same cache gives another result the second time: the cache that "
        "was given is modified.",
    )
    kept, told = None, []
    for place in range(t):
        out, kept = call(x[:, place : place + 1], kept)
        told.append(out)
    check_close("Five tokens one by one", torch.cat(told, 1), right, tolerance=1e-4)
    torch.set_rng_state(state)
    _done("cached_attention")


def _order(parts: dict, order: tuple[int, ...]) -> dict[str, Tensor]:
    return {f"in_proj_{n}": torch.cat([p[i] for i in order]) for n, p in parts.items()}


def _scaled(parts: dict, factor: float) -> dict[str, Tensor]:
    return {f"in_proj_{n}": torch.cat([p[0] * factor, *p[1:]]) for n, p in parts.items()}


# ---------------------------------------------------------------- 5. beam search

_VISIBLE = {  # prefix: probabilities of 0 (start), 1 (end), 2, 3
    (0,): (0.0, 0.1, 0.5, 0.4),
    (0, 2): (0.0, 0.2, 0.45, 0.35),
    (0, 3): (0.0, 0.05, 0.85, 0.1),
    (0, 2, 2): (0.0, 0.9, 0.05, 0.05),
    (0, 2, 3): (0.0, 0.6, 0.2, 0.2),
    (0, 3, 2): (0.0, 0.7, 0.15, 0.15),
    (0, 3, 3): (0.0, 0.6, 0.2, 0.2),
}


def _visible_step(shift: float = 0.0) -> tuple[Callable, list]:
    rounds = []

    def step(prefixes: Tensor) -> Tensor:
        _require(
            isinstance(prefixes, Tensor) and prefixes.dim() == 2,
            "step must be given a tensor (R, t), one row for each open prefix.",
        )
        _require(prefixes.dtype == torch.int64, f"step wants int64 ids, got {prefixes.dtype}.")
        rounds.append([tuple(row) for row in prefixes.tolist()])
        told = []
        for row in rounds[-1]:
            _require(row[0] == 0, f"A prefix must begin with start_id: {list(row)}.")
            _require(
                0 not in row[1:], f"{list(row)} has probability 0: it never stays in the beam."
            )
            _require(
                row in _VISIBLE or len(row) > 3,
                f"step is asked to go on from {list(row)}: a sequence that has written its end is "
                "finished, and its prefix no longer open.",
            )
            told.append(_VISIBLE.get(row, (0.0, 0.4, 0.3, 0.3)))
        return torch.tensor(told).log() + shift

    return step, rounds


def check_beam_search(beam_search: Callable) -> None:
    """A toy of four pieces, with the kept prefixes of every round."""
    check_not_used("beam_search", beam_search, LIBRARY)
    hints = {
        "selected index k out of range": "topk can return at most as many as there are: "
        "min(beam, table.numel()).",
        "stack expects": "When nothing is open, the search stops.",
    }

    def search(beam: int, limit: int, alpha: float, shift: float = 0.0):
        step, rounds = _visible_step(shift)
        got = call_answer("beam_search", beam_search, step, 0, 1, beam, limit, alpha, hints=hints)
        _require(
            isinstance(got, list | tuple) and all(len(one) == 2 for one in got),
            "beam_search must return a list of pairs (tokens, score).",
        )
        return [([int(i) for i in tokens], float(score)) for tokens, score in got], rounds

    got, rounds = search(1, 4, 0.0)
    _require(bool(got), "beam_search returns no sequence.")
    first = got[0][0]
    _require(first[:1] != [0], "The sequences are returned without the start.")
    _require(
        first != [2, 2], "The end is missing at the end of a sequence: it is one of its tokens."
    )
    _require(first[:4] != [2, 2, 1, 1], "A sequence that has written its end goes on from there.")
    _require(
        first == [2, 2, 1],
        f"With one beam the search is greedy and must write [2, 2, 1], got {first}.",
    )
    want = math.log(0.5 * 0.45 * 0.9)
    said = ""
    if abs(got[0][1] - 0.5 * 0.45 * 0.9) < 1e-4:
        said = " This is the probability: return its logarithm."
    elif abs(got[0][1] - (0.5 + 0.45 + 0.9)) < 1e-3:
        said = " The probabilities are added: add their logarithms."
    elif abs(got[0][1] + want) < 1e-3:
        said = " The sign is wrong."
    elif abs(got[0][1] - math.log(0.9)) < 1e-3:
        said = " This is the last token alone: the log-probabilities of a sequence are added."
    elif abs(got[0][1] - want / 3) < 1e-3:
        said = " It is divided by the number of tokens: with alpha = 0 nothing is divided."
    elif abs(got[0][1] - want / 1.5**0.6) < 1e-3 or abs(got[0][1] - want / (4 / 3) ** 0.6) < 1e-3:
        said = " alpha is ignored."
    _require(
        abs(got[0][1] - want) < 1e-4,
        f"With alpha = 0 its score must be {want:.4f}, got {got[0][1]:.4f}.{said}",
    )
    shifted, _ = search(1, 4, 0.0, 3.0)
    _require(
        abs(shifted[0][1] - want) < 1e-4,
        "A constant added to all logits changes the score: logits need a log_softmax.",
    )

    got, rounds = search(2, 4, 0.0)
    kept = [sorted(one) for one in rounds]
    _require(
        len(kept) > 1 and kept[1] == [(0, 2), (0, 3)],
        f"With two beams the second round must go on from [0, 2] and [0, 3], got {kept[1:2]}.",
    )
    _require(
        len(kept) > 2 and len(kept[2]) <= 2,
        f"The third round goes on from {len(kept[2]) if len(kept) > 2 else 0} prefixes: keep the "
        "best two of ALL extensions, not of each prefix.",
    )
    _require(
        kept[2] == [(0, 2, 2), (0, 3, 2)],
        f"The third round must go on from [0, 2, 2] and [0, 3, 2], got "
        f"{[list(r) for r in kept[2]]}: row and token are quotient and remainder of the index.",
    )
    right = [([3, 2, 1], math.log(0.4 * 0.85 * 0.7)), ([2, 2, 1], math.log(0.5 * 0.45 * 0.9))]
    _agree("two beams, alpha = 0", got, right)

    got, _ = search(2, 2, 0.0)
    _require(
        any(tokens == [2, 2] for tokens, _ in got),
        "A sequence that has max_length tokens without an end counts as finished as it is.",
    )

    right = _reference(3, 3, 0.6)
    got, rounds = search(3, 3, 0.6)
    _require(
        bool(rounds[2:]),
        "The search stops when the first sequence is finished: others are still open.",
    )
    unscaled = {tuple(tokens): score for tokens, score in _reference(3, 3, 0.0)}
    for tokens, score in got:
        raw = unscaled.get(tuple(tokens))
        n = len(tokens)
        wrong = {
            "alpha is ignored": 1.0,
            "the score is multiplied by the penalty: divide by it": ((5 + n) / 6) ** -0.6,
            "the start is counted in the length": ((6 + n) / 6) ** 0.6,
            "the end is not counted in the length": ((4 + n) / 6) ** 0.6,
            "the score is divided by the length to the power alpha": n**0.6,
            "the score is divided by the number of tokens": n,
        }
        for mistake, divisor in wrong.items():
            if raw is not None and n > 1:
                fair = raw / ((5 + n) / 6) ** 0.6
                _require(
                    abs(score - raw / divisor) > 1e-4 or abs(score - fair) < 1e-4,
                    f"alpha = 0.6: {mistake}.",
                )
    _agree("three beams, at most three tokens, alpha = 0.6", got, right)
    got, _ = search(50, 3, 0.6)
    low = [tokens for tokens, score in got if score == -math.inf]
    _require(not low, f"A sequence of probability 0 is returned: {low[:1]}.")
    _agree("a beam for everything", got, _reference(50, 3, 0.6))
    _done("beam_search")


def _reference(beam: int, limit: int, alpha: float) -> list[tuple[list[int], float]]:
    """All finished sequences of the toy, by sets of prefixes."""
    alive, over = [((0,), 1.0)], []
    for n in range(1, limit + 1):
        grown = [
            ((*prefix, i), p * q)
            for prefix, p in alive
            for i, q in enumerate(_VISIBLE.get(prefix, (0.0, 0.4, 0.3, 0.3)))
            if q > 0
        ]
        stay = sorted(grown, key=lambda one: -one[1])[:beam]
        ends = [one for one in stay if one[0][-1] == 1 or n == limit]
        over += [(list(p[1:]), math.log(q) / ((5 + n) / 6) ** alpha) for p, q in ends]
        alive = [one for one in stay if one not in ends]
    return sorted(over, key=lambda one: -one[1])


def _agree(case: str, got: list, want: list) -> None:
    sequences, wanted = [tokens for tokens, _ in got], [tokens for tokens, _ in want]
    missing = [tokens for tokens in wanted if tokens not in sequences]
    more = [tokens for tokens in sequences if tokens not in wanted]
    _require(
        not more,
        f"beam_search, {case}: {more[:1]} is returned; by the rules it is never among the best "
        "extensions of its round.",
    )
    _require(
        not missing,
        f"beam_search, {case}: {missing[:1]} is missing. All finished sequences are returned, and "
        "in every round `beam` extensions stay, whatever has ended before.",
    )
    _require(
        len(sequences) == len(wanted), f"beam_search, {case}: a sequence is returned several times."
    )
    _require(
        [round(s, 3) for _, s in got] == sorted((round(s, 3) for _, s in got), reverse=True),
        f"beam_search, {case}: the list must be sorted by score, best first.",
    )
    for (tokens, score), (_, right) in zip(got, want, strict=True):
        _require(
            abs(score - right) < 1e-3,
            f"beam_search, {case}: the score of {tokens} must be {right:.4f}, got {score:.4f}.",
        )


# ---------------------------------------------------------------- 6. BLEU


def check_corpus_bleu(corpus_bleu: Callable) -> None:
    """Cases in which one rule each matters, against sacrebleu."""
    ready = "Write the counts yourself."
    names = {"sacrebleu": ready, "nltk": ready, "bleu_score": ready, "sentence_bleu": ready}
    check_not_used("corpus_bleu", corpus_bleu, LIBRARY | names)
    import sacrebleu

    def right(hypotheses: list, references: list, order: int = 4) -> float:
        most = max(map(len, references))
        streams = [
            [" ".join(r[k]) if k < len(r) else None for r in references] for k in range(most)
        ]
        judge = sacrebleu.metrics.BLEU(
            tokenize="none", smooth_method="none", max_ngram_order=order, effective_order=False
        )
        return judge.corpus_score([" ".join(h) for h in hypotheses], streams).score

    def one(text: str) -> list[str]:
        return text.split()

    long = "a b c d e f g h"
    cases = (
        (
            "one sentence, equal to its reference",
            [one(long)],
            [[one(long)]],
            4,
            "It must be 100: the result runs from 0 to 100.",
        ),
        (
            "one sentence, one word replaced",
            [one("a b c d e x g h")],
            [[one(long)]],
            4,
            "Combine the precisions by their geometric mean: the n-th root of the product.",
        ),
        (
            "a repeated word",
            [one("a a a a b c d e f g h")],
            [[one("a b c d e f g h i j k")]],
            4,
            "An n-gram counts at most as often as in the reference (clipping).",
        ),
        (
            "a short translation",
            [one("a b c d e")],
            [[one(long)]],
            4,
            "The brevity penalty is exp(1 - reference / translation) where the translation is "
            "shorter.",
        ),
        (
            "a long translation",
            [one("a b c d e f g h a b c")],
            [[one(long)]],
            4,
            "A translation that is longer than its reference has no brevity penalty: at most 1.",
        ),
        (
            "two sentences of different length",
            [one("a b c d e f g h i j"), one("a b c x e")],
            [[one("a b c d e f g h x j")], [one("a b c d e")]],
            4,
            "Sum the counts over the corpus first, and divide once: BLEU is no mean of sentences.",
        ),
        (
            "a short and a long one",
            [one("a b c d"), one("a b c d e f g h i j")],
            [[one("a b c d e f")], [one("a b c d e f g h")]],
            4,
            "The lengths for the brevity penalty are summed over the corpus.",
        ),
        (
            "the words 'ab', 'c' against 'a', 'bc'",
            [one("ab c x y z w")],
            [[one("a bc x y z w")]],
            4,
            "An n-gram is n words, not their letters in a row: keep the words apart, as a tuple.",
        ),
        (
            "one sentence without four words in a row",
            [one("a b c x e f"), one("a b c d e f")],
            [[one("a b c d e f")], [one("a b c d e f")]],
            4,
            "Only the sums over the corpus must not be 0; a sentence without a match still counts.",
        ),
        (
            "two references",
            [one("a b c d e f g h")],
            [[one("a b c d x x x x"), one("x x x x e f g h")]],
            4,
            "All references are searched for an n-gram.",
        ),
        (
            "a word that both references have",
            [one("a a a a a b c d e")],
            [[one("a a b c d e x y z"), one("a a a b c d e y z")]],
            4,
            "Of several references the one counts that has it most often: no sum over them.",
        ),
        (
            "references of different length",
            [one("a b c d e f")],
            [[one("a b c d e f g h i j"), one("a b c d e f g")]],
            4,
            "The reference length is that of the reference closest in length, not of the first, "
            "the shortest or the longest.",
        ),
        (
            "a shorter reference that is far away",
            [one("a b c d e f")],
            [[one("a b"), one("a b c d e f g")]],
            4,
            "The reference length is that of the reference closest in length, not of the first, "
            "the shortest or the longest.",
        ),
        (
            "two references that are equally close",
            [one("a b c d e f")],
            [[one("a b c d e f g h"), one("a b c d")]],
            4,
            "Of two references that are equally close in length the shorter one counts.",
        ),
        ("order 2", [one("a b x d")], [[one("a b c d")]], 2, "The argument order is ignored."),
        (
            "no four words in a row",
            [one("a b c x e f")],
            [[one("a b c d e f")]],
            4,
            "With nothing found for one n, BLEU is 0: no smoothing.",
        ),
        (
            "three words",
            [one("a b c")],
            [[one("a b c")]],
            4,
            "Three words have no 4-gram to count: BLEU is 0.",
        ),
        ("an empty translation", [[]], [[one("a b")]], 4, "Nothing was found, so BLEU is 0."),
    )
    hints = {
        "math domain": "The logarithm of 0: a precision of 0 makes BLEU 0.",
        "expected a positive input": "The logarithm of 0: a precision of 0 makes BLEU 0.",
        "ZeroDivision": "There may be no n-gram to count, or no word at all: BLEU is then 0.",
    }
    for name, hypotheses, references, order, idea in cases:
        got = call_answer(
            f"corpus_bleu ({name})", corpus_bleu, hypotheses, references, order, hints=hints
        )
        _require(
            isinstance(got, float | int), f"corpus_bleu must return a number, got {type(got)}."
        )
        want = right(hypotheses, references, order)
        if want > 1 and abs(got - want / 100) < 1e-4:
            raise AssertionError(f"corpus_bleu, {name}: the result runs from 0 to 100, got {got}.")
        _require(
            abs(got - want) < 1e-3,
            f"corpus_bleu, {name}: expected {want:.3f}, got {got:.3f}. {idea}",
        )
    _done("corpus_bleu")
