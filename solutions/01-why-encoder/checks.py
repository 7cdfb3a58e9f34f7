"""Visible checks of assignment 01: each says what is wrong in terms of the idea.

The expected values come from torch's own layers, which the tasks do not let you use, from small
simulations and from closed forms. A check that passes is not the whole story: the grader runs
further tests of its own.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from encoderlib.testing import (
    call_answer,
    check_close,
    check_dtype,
    check_not_used,
    check_shape,
)

__all__ = [
    "check_accuracy_by_distance",
    "check_both_ways",
    "check_count",
    "check_families",
    "check_influence",
    "check_lstm",
]


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


# ---------------------------------------------------------------- 1. rounds and products


def _simulate(length: int, k: int, growth: int) -> int:
    """Layers until the last place has heard of the first, by passing the message on."""
    heard, layers, gap = {0}, 0, 1
    while length - 1 not in heard:
        near = [gap * j for j in range(-(k // 2), k // 2 + 1)]
        heard = {s + j for s in heard for j in near if 0 <= s + j < length}
        layers, gap = layers + 1, gap * growth
    return layers


def _summed(length: int, k: int, growth: int) -> int:
    """Layers until the reaches, one gap after another, add up to T - 1."""
    layers = 1
    while sum(growth**n for n in range(layers)) * (k // 2) < length - 1:
        layers += 1
    return layers


def _named_rounds(kind: str, length: int, k: int) -> dict[int, str]:
    simple = {
        "rnn": {
            length - 1: "T words make T states, the first one included",
            1: "each state waits for the one before: the words cannot be read at once",
        },
        "attention": {
            length: "every position reads all others in the same round",
            length - 1: "every position reads all others in the same round",
            0: "one layer is one round",
            2: "one layer is one round here, weights and average together",
        },
    }
    if kind in simple:
        return simple[kind]
    plain, doubled = _simulate(length, k, 1), _simulate(length, k, 2)
    if "dilated" in kind:
        return {
            doubled - 1: "the message is not there yet: the first gap is 1, a layer moves it by "
            "gap times (k - 1) / 2, and the last layer counts",
            doubled + 1: "there is one layer more than needed; is the first gap 1?",
            plain: "the gap doubles from layer to layer in the dilated kind",
            _simulate(length, 3, 2): "a layer moves the message by its gap times (k - 1) / 2, not "
            "by its gap alone; a logarithm of T does not know k",
            _summed(length, k, 3): "the gap is doubled, not tripled",
            1: "one round is one layer; it does not reach the first word yet",
        }
    return {
        plain - 1: "the message is not there yet: the last layer counts",
        plain + 1: "there is one layer more than needed",
        1: "one round is one layer; it does not reach the first word yet",
        length: "a layer carries the message further than one position if k is larger than 3; "
        "and it covers T - 1 positions, not T",
        math.ceil((length - 1) / k): "a layer of width k reaches (k - 1) / 2 to the left, not k",
        math.ceil((length - 1) / (k - 1)): "half of the window lies on the other side: a layer "
        "reaches (k - 1) / 2 to the left",
        (length - 1) // (k // 2): "the last layer counts even if it is not needed in full: round "
        "up, not down",
        math.ceil(length / (k // 2)): "the distance from the first to the last word is T - 1",
        doubled: "the gap doubles in the dilated kind only",
    }


def check_count(count: Callable) -> None:
    """Four kinds, several lengths, against a message that is passed on."""
    for kind in ("rnn", "attention", "convolution", "dilated"):
        for length, width, k in ((41, 4, 7), (31, 6, 5), (9, 10, 3)):
            got = call_answer(
                f"count({kind!r}, {length}, {width}, k={k})", count, kind, length, width, k=k
            )
            _require(
                isinstance(got, tuple | list) and len(got) == 2,
                f"count must return two numbers, (rounds, multiplications); it returns {got!r}.",
            )
            name = f"count({kind!r}, length={length}, width={width}, k={k})"
            _require(
                all(isinstance(part, int) for part in got),
                f"{name}: both numbers must be whole numbers of Python, got {tuple(got)!r}.",
            )
            rounds = {"rnn": length, "attention": 1}.get(kind)
            if rounds is None:
                rounds = _simulate(length, k, 2 if kind == "dilated" else 1)
            reason = _named_rounds(kind, length, k).get(
                got[0], "draw the words and follow the message of the first one"
            )
            _require(got[0] == rounds, f"{name}: rounds is not {got[0]}: {reason}.")
            _check_products(name, got[1], kind, length, width, k, rounds)
    _done("count")


def _check_products(name, got, kind, length, width, k, rounds) -> None:
    square = length * width**2
    pairs = length**2 * width
    if "rnn" in kind:
        right = square + square
        named = {
            square: "there are two matrices, one for the word and one for the state",
            2 * width**2: "this is one word; there are T of them",
            2 * rounds * square: "the products of one word are counted once for each word already",
        }
    elif "attention" in kind:
        right = 3 * square + pairs + pairs
        named = {
            2 * pairs: "the three matrices are missing",
            3 * square: "the pairs are missing: T times T, with D products each, twice",
            3 * square + pairs: "the pairs count twice: once for the weights, once for the average",
            4 * square + 2 * pairs: "the chapter's attention has three matrices; a fourth one "
            "comes with many heads",
            3 * square + 2 * length**2: "each of the T times T pairs takes D products",
        }
    else:
        right = rounds * k * square
        named = {
            k * square: "this is one layer; count all layers",
            rounds * square: "each position reads k neighbours, each with a matrix of its own",
            rounds * k * width**2: "this is one position; there are T of them",
            rounds * k * length * width: "a matrix from D to D takes D times D products",
        }
    reason = named.get(got, "look at the chapter's table, and count all layers")
    _require(got == right, f"{name}: multiplications is not {got}: {reason}.")


# ---------------------------------------------------------------- 2. families

_NAMES = ("BERT", "GPT-2", "T5", "ViT", "Llama", "Transformer 2017", "Whisper", "sentence search")
_FAMILIES = ("encoder-only", "decoder-only", "encoder-decoder")

# what a wrong answer says about a model
_NOT_SO = {
    ("BERT", "decoder"): "it guesses all blanks at once, from both sides; it does not write word "
    "by word",
    ("GPT-2", "encoder"): "no part of it reads the text from both sides; each position sees the "
    "past only",
    ("T5", "only"): "it has two parts: one that reads and one that writes",
    ("ViT", "decoder"): "a layer that names a class is a head, not a decoder",
    ("Llama", "encoder"): "the question is a part of the text that it continues; no separate part "
    "reads it from both sides",
    ("Transformer 2017", "only"): "one sentence lies ready and is read as a whole, another one "
    "appears word by word",
    ("Whisper", "only"): "something is heard as a whole, and something else is written",
    ("sentence search", "decoder"): "nothing is written; the mean over the words needs no decoder",
}


def check_families(families: Callable) -> None:
    """Eight names, each with one of three families."""
    given = call_answer("families()", families)
    _require(isinstance(given, dict), "families() must return a dictionary, name to family.")
    missing = [name for name in _NAMES if name not in given]
    _require(not missing, f"families() lacks {', '.join(missing)}.")
    extra = [name for name in given if name not in _NAMES]
    _require(not extra, f"families() has an entry that was not asked for: {extra[:1]}.")
    for name, family in given.items():
        _require(
            family in _FAMILIES,
            f"{name}: {family!r} is none of the three families {', '.join(_FAMILIES)}.",
        )
    for (name, part), reason in _NOT_SO.items():
        _require(part not in given[name], f"{name} is not {given[name]}: {reason}.")
    _done("families")


# ---------------------------------------------------------------- 3. LSTM

_LSTM = "Write the loop yourself."
_NO_LSTM = dict.fromkeys(("LSTM", "LSTMCell", "lstm", "lstm_cell"), _LSTM)
_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _layer(seed: int, d_in: int, d: int, dtype: torch.dtype = torch.float32) -> nn.LSTM:
    layer = nn.LSTM(d_in, d, batch_first=True, dtype=dtype)
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(_randn(seed + i, *parameter.shape) / 2)
    return layer


def _weights(layer: nn.LSTM) -> dict[str, Tensor]:
    return {part: getattr(layer, f"{part}_l0").detach().clone() for part in _PARTS}


def _changed(layer: nn.LSTM, name: str, change: Callable, x: Tensor) -> Tensor:
    """The outputs of the layer with one parameter changed."""
    parameter = getattr(layer, name)
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter.copy_(change(kept))
        outputs = layer(x)[0]
        parameter.copy_(kept)
    return outputs


def _transposed_blocks(weight: Tensor) -> Tensor:
    return torch.cat([block.T for block in weight.chunk(4)])


def _lstm_call(answer: Callable) -> Callable:
    hints = {
        "mat1 and mat2": "The matrices are (outputs, inputs), as in nn.Linear: multiply by the "
        "transpose. The words are x[:, t], because the batch comes first.",
        "must match the size": "Look at the axes: x is (B, T, D_in), and the loop runs over T.",
        "not enough values": "Cut the last axis into four blocks: chunk(4, dim=-1).",
        "NoneType": "state=None means that the loop starts with zeros.",
        "same dtype": "The zeros of the start must have the dtype of x: x.new_zeros.",
        "stack expects": "Collect one state for each word in a list.",
    }

    def call(*arguments: object) -> tuple[Tensor, Tensor, Tensor]:
        got = call_answer("lstm", answer, *arguments, hints=hints)
        _require(got is not None, "lstm returns nothing yet; is there a return statement?")
        _require(
            not isinstance(got, Tensor),
            "lstm must return a pair, the outputs and the last state (h, c); it returns one "
            "tensor. Without the state a long text cannot be read in two halves.",
        )
        _require(
            isinstance(got, tuple | list) and len(got) == 2,
            "lstm must return a pair: the outputs, and the pair (h, c).",
        )
        outputs, state = got
        _require(
            isinstance(state, tuple | list) and len(state) == 2,
            "the second part of the result must be a pair of tensors (h, c).",
        )
        return outputs, *state

    return call


def check_lstm(lstm: Callable) -> None:
    """One number by hand, then parity with torch."""
    check_not_used("lstm", lstm, _NO_LSTM)
    call = _lstm_call(lstm)
    _check_one_number(call)

    b, t, d_in, d = 2, 5, 3, 4
    layer = _layer(10, d_in, d)
    weights = _weights(layer)
    x = _randn(1, b, t, d_in)
    with torch.no_grad():
        right, (h, c) = layer(x)
        alone = torch.cat([layer(word)[0] for word in x.split(1, dim=1)], dim=1)
        back = layer(x.flip(1))[0].flip(1)
        no_bias = _changed(layer, "bias_hh_l0", torch.zeros_like, x)
        no_state = _changed(layer, "weight_hh_l0", torch.zeros_like, x)
        transposed = _changed(layer, "weight_hh_l0", _transposed_blocks, x)
    got, got_h, got_c = call(x, weights)
    _require(
        not isinstance(got, Tensor) or tuple(got.shape) != (t, b, d),
        f"the outputs have shape (T, B, D) = {(t, b, d)}; the batch comes first: stack with dim=1.",
    )
    check_shape("the outputs of lstm", got, {"B": b, "T": t, "D": d})
    wrong = {
        "the loop starts anew with each word: the state is not carried on": alone,
        "the words are read from the right": back,
        "bias_hh is left out; torch adds both biases": no_bias,
        "weight_hh is left out: the gates do not see the state": no_state,
        "the blocks of weight_hh are used without the transpose": transposed,
    }
    check_close("the outputs of lstm", got, right, wrong)
    check_shape("h of lstm", got_h, {"B": b, "D": d})
    check_shape("c of lstm", got_c, {"B": b, "D": d})
    wrong = {
        "the pair is (c, h); it must be (h, c)": c[0],
        "h is the state after the first word, not after the last": right[:, 0],
    }
    check_close("h of lstm", got_h, h[0], wrong)
    check_close("c of lstm", got_c, c[0], {"c is the same as h": h[0]})

    state = _randn(2, b, d), _randn(3, b, d)
    kept = [state[0].clone(), state[1].clone(), x.clone()]
    with torch.no_grad():
        expected = layer(x, (state[0][None], state[1][None]))[0]
        swapped = layer(x, (state[1][None], state[0][None]))[0]
        only_h = layer(x, (state[0][None], torch.zeros(1, b, d)))[0]
        only_c = layer(x, (torch.zeros(1, b, d), state[1][None]))[0]
    got = call(x, weights, state)[0]
    wrong = {
        "the given state is ignored": right,
        "h and c of the given state are exchanged": swapped,
        "only h of the given state is used": only_h,
        "only c of the given state is used": only_c,
    }
    check_close("the outputs of lstm with a given state", got, expected, wrong)
    for before, after in zip(kept, (*state, x), strict=True):
        _require(
            bool((before == after).all()),
            "lstm changes its input: write `c = f * c + ...`, which makes a new tensor, instead of "
            "working in place.",
        )
    _check_square(call)
    _check_lstm_rest(call, layer, weights, x)
    _done("lstm")


def _check_one_number(call: Callable) -> None:
    """One word, width 1, the word 0: the gates are set by the biases alone."""
    i, f, g, o = 0.8, 0.6, 0.5, 0.9
    gates = torch.tensor([math.log(4.0), math.log(1.5), math.atanh(g), math.log(9.0)])
    weights = {
        "weight_ih": torch.ones(4, 1),
        "weight_hh": torch.zeros(4, 1),
        "bias_ih": gates,
        "bias_hh": torch.zeros(4),
    }
    h0, c0 = 0.3, 0.7
    state = torch.tensor([[h0]]), torch.tensor([[c0]])
    got_h, got_c = call(torch.zeros(1, 1, 1), weights, state)[1:]
    check_shape("c of lstm", got_c, {"B": 1, "D": 1})
    check_shape("h of lstm", got_h, {"B": 1, "D": 1})
    at = torch.sigmoid(gates).tolist()
    bent = torch.tanh(gates).tolist()

    def cell(number: float) -> Tensor:
        return torch.tensor([[number]])

    right = f * c0 + i * g
    name = f"c after one word, with gates i={i}, f={f}, o={o}, content g={g} and old cell {c0}"
    wrong = {
        "g goes through a sigmoid; the content goes through tanh": f * c0 + i * at[2],
        "g goes through no tanh": f * c0 + i * float(gates[2]),
        "the blocks are read as i, g, f, o; torch has i, f, g, o": at[2] * c0 + i * bent[1],
        "the blocks are read as i, f, o, g; torch has i, f, g, o": f * c0 + i * bent[3],
        "the blocks are read as f, i, g, o; torch has i, f, g, o": i * c0 + f * g,
        "the old cell is forgotten": i * g,
        "the old cell is kept in full: the forget gate is left out": c0 + i * g,
        "the input gate is left out": f * c0 + g,
        "the input gate is taken as 1 - f": f * c0 + (1 - f) * g,
        "the forget gate is applied as 1 - f": (1 - f) * c0 + i * g,
        "all gates go through tanh; three of them need a sigmoid": bent[1] * c0 + bent[0] * g,
        "the cell goes through tanh before it is handed on": math.tanh(right),
        "h and c of the given state are exchanged": f * h0 + i * g,
    }
    check_close(name, got_c, cell(right), {n: cell(v) for n, v in wrong.items()})
    wrong = {
        "the cell is shown without tanh": o * right,
        "the output gate is left out": math.tanh(right),
        "the output gate goes through tanh; it needs a sigmoid": bent[3] * math.tanh(right),
        "the output gate sees the old cell": o * math.tanh(c0),
        "h is the same as c": right,
    }
    check_close(
        f"h after one word, with o={o} and the new cell {right:.2f}",
        got_h,
        cell(o * math.tanh(right)),
        {n: cell(v) for n, v in wrong.items()},
    )


def _check_square(call: Callable) -> None:
    """All sizes equal: a wrong axis or a missing transpose raises no error."""
    layer = _layer(20, 4, 4)
    weights = _weights(layer)
    x = _randn(4, 4, 4, 4)
    with torch.no_grad():
        right = layer(x)[0]
        other = layer(x.transpose(0, 1))[0].transpose(0, 1)
    wrong = {
        "the loop runs over the batch instead of the words": other,
        "the outputs are stacked along the wrong axis": right.transpose(0, 1),
    }
    check_close("the outputs of lstm with all sizes 4", call(x, weights)[0], right, wrong)


def _check_lstm_rest(call: Callable, layer: nn.LSTM, weights: dict, x: Tensor) -> None:
    leaf = (300 * x).requires_grad_()
    got = call(leaf, weights)[0]
    _require(got.requires_grad, "lstm loses the gradient: is there a detach, or no_grad?")
    _require(
        bool(got.isfinite().all()),
        "lstm gives NaN or infinity for very large words: an exponential overflows. torch.sigmoid "
        "and torch.tanh do not.",
    )
    (gradient,) = torch.autograd.grad(got.sum(), leaf)
    _require(
        bool(gradient.isfinite().all()),
        "the gradient of lstm is NaN for very large words: an exponential overflows. torch.sigmoid "
        "and torch.tanh do not.",
    )
    leaf = x.clone().requires_grad_()
    other = x.clone().requires_grad_()
    cotangent = _randn(6, *x.shape[:2], 4)
    (gradient,) = torch.autograd.grad((call(leaf, weights)[0] * cotangent).sum(), leaf)
    (expected,) = torch.autograd.grad((layer(other)[0] * cotangent).sum(), other)
    check_close(
        "the gradient of lstm",
        gradient,
        expected,
        {
            "the state is detached between the words: no gradient goes back through time": lambda: (
                _detached_gradient(layer, x, cotangent)
            ),
        },
    )
    low = {part: weight.bfloat16() for part, weight in weights.items()}
    for what, part in zip(("outputs", "h", "c"), call(x.bfloat16(), low), strict=True):
        check_dtype(f"{what} of lstm", part, torch.bfloat16, "It must have the dtype of x.")


def _detached_gradient(layer: nn.LSTM, x: Tensor, cotangent: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    state, total = None, 0.0
    for t in range(x.size(1)):
        out, state = layer(leaf[:, t : t + 1], state)
        state = tuple(part.detach() for part in state)
        total = total + (out * cotangent[:, t : t + 1]).sum()
    return torch.autograd.grad(total, leaf)[0]


# ---------------------------------------------------------------- 4. both ways

_NO_RNN = dict.fromkeys(("RNN", "RNNCell", "rnn_tanh"), "Write the loop yourself.")


def _two_rnns(seed: int, d_in: int, d: int) -> tuple[nn.RNN, list, list]:
    layer = nn.RNN(d_in, d, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(_randn(seed + i, *parameter.shape) / 2)
        layer.bias_hh_l0.zero_()
        layer.bias_hh_l0_reverse.zero_()
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
    triples = [
        [getattr(layer, name + end).detach().clone() for name in names] for end in ("", "_reverse")
    ]
    return layer, *triples


def check_both_ways(both_ways: Callable) -> None:
    """Each half of the columns by itself, against torch's bidirectional RNN."""
    check_not_used("both_ways", both_ways, _NO_RNN)
    hints = {
        "mat1 and mat2": "W is (D, D_in), as in nn.Linear: multiply by the transpose.",
        "must match the size": "Look at the axes: x is (B, T, D_in), and the loop runs over T.",
    }
    for seed, (b, t, d_in, d) in ((30, (2, 5, 3, 4)), (40, (4, 4, 4, 4))):
        layer, one, two = _two_rnns(seed, d_in, d)
        x = _randn(seed, b, t, d_in)
        before = x.clone()
        got = call_answer("both_ways", both_ways, x, one, two, hints=hints)
        if isinstance(got, tuple) and len(got) == 2:
            raise AssertionError(
                "both_ways returns two tensors: put them side by side, (B, T, 2D)."
            )
        check_shape("both_ways", got, {"B": b, "T": t, "2 D": 2 * d})
        _require(bool((x == before).all()), "both_ways changes its input x.")
        with torch.no_grad():
            right = layer(x)[0]
            alone = torch.cat([layer(word)[0] for word in x.split(1, dim=1)], dim=1)
            batch = layer(x.transpose(0, 1))[0].transpose(0, 1)
            whole = layer(x.flip(1))[0]
        _check_halves(got, right, alone, batch, whole, d)
    leaf = x.clone().requires_grad_()
    got = both_ways(leaf, one, two)
    _require(got.requires_grad, "both_ways loses the gradient: is there a detach, or no_grad?")
    (gradient,) = torch.autograd.grad(got.square().sum(), leaf)
    other = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(layer(other)[0].square().sum(), other)
    check_close("the gradient of both_ways", gradient, expected)
    low = [part.double() for part in one], [part.double() for part in two]
    got = call_answer("both_ways", both_ways, x.double(), *low, hints=hints)
    check_dtype("both_ways", got, torch.float64, "It must have the dtype of x.")
    _done("both_ways")


def _check_halves(got, right, alone, batch, whole, d) -> None:
    forgets = "the state is not carried on: h gets no new value in the loop"
    left, other = right.split(d, dim=-1)
    wrong = {
        forgets: alone[..., :d],
        "the loop runs over the batch instead of the words": batch[..., :d],
        "the two halves are exchanged": other,
        "this walk reads from the right": whole[..., :d].flip(1),
        "this walk reads from the right, and its states stand in the order of the walk": whole[
            ..., :d
        ],
    }
    check_close("the left half of the columns (the walk from the left)", got[..., :d], left, wrong)
    here = got[..., d:]
    wrong = {
        "the states stand in the order in which they were made: the first one belongs to the last "
        "word": other.flip(1),
        forgets: alone[..., d:],
        forgets + ", and the states stand in the order in which they were made": alone[
            ..., d:
        ].flip(1),
        "this walk reads from the left as well": whole[..., d:].flip(1),
        "the features are turned round, not the words": other.flip(-1),
        "this walk uses the weights of the other one": whole[..., :d].flip(1),
    }
    check_close("the right half of the columns (the walk from the right)", here, other, wrong)


# ---------------------------------------------------------------- 5. influence


def _mixing(mix: Tensor, matrix: Tensor) -> nn.Sequential:
    """Give y = A x W, from library layers: the grader can then run it where the answer runs."""
    t, (d_in, d_out) = len(mix), matrix.shape
    across = nn.Conv1d(t, t, 1, bias=False, dtype=mix.dtype)  # the words are its channels
    layer = nn.Sequential(across, nn.Linear(d_in, d_out, bias=False, dtype=mix.dtype))
    with torch.no_grad():
        across.weight.copy_(mix.unsqueeze(-1))
        layer[1].weight.copy_(matrix.mT)
    return layer.requires_grad_(False)


def check_influence(influence: Callable) -> None:
    """Layers whose derivative is known: a mixture of words, and a layer word by word."""
    hints = {
        "does not require grad": "The copy of x that goes into the layer must ask for gradients: "
        "detach, clone, requires_grad_.",
        "second time": "Several gradients through one graph need retain_graph=True.",
        "implicitly created": "A gradient needs one number to start from: y[t, j].",
        "must match the size": "Sizes of output and input differ: D_out is not D_in.",
        "out of bounds": "Outputs have D_out columns, words have D_in.",
    }
    t, d_in, d_out = 5, 3, 2
    mix, matrix = _randn(50, t, t), _randn(51, d_in, d_out)
    mix[0, 3] = 0.0
    x = _randn(52, t, d_in)
    before = x.clone()

    def call(layer: Callable, words: Tensor) -> Tensor:
        return call_answer("influence", influence, layer, words, hints=hints)

    got = call(_mixing(mix, matrix), x)
    _require(bool((x == before).all()), "influence changes its input x.")
    _require(
        not isinstance(got, Tensor) or got.dim() < 4,
        "influence returns all derivatives; take the size of the matrix of each pair (t, s).",
    )
    check_shape("influence", got, {"outputs": t, "words": t})
    size = torch.linalg.matrix_norm(matrix)
    right = mix.abs() * size
    columns = matrix.sum(1).norm()
    wrong = {
        "rows and columns are exchanged: row t is the output": right.T,
        "the root is missing": right.square(),
        "absolute entries are summed; the Frobenius norm squares them": mix.abs()
        * matrix.abs().sum(),
        "the outputs are summed before the gradient is taken, so that entries of different sign "
        "cancel": mix.abs() * columns,
        "only the first column of the output is probed": mix.abs() * matrix[:, 0].norm(),
        "only the last column of the output is probed": mix.abs() * matrix[:, -1].norm(),
        "the mean is taken where the Frobenius norm has a sum": right / math.sqrt(d_in * d_out),
        "the size is that of the mean over the outputs": mix.abs() * columns / d_out,
        "norms of single outputs are added; squares must be added": mix.abs()
        * matrix.norm(dim=0).sum(),
        "norms of single outputs are averaged; squares must be added": mix.abs()
        * matrix.norm(dim=0).mean(),
        "it is the largest singular value, not the Frobenius norm": mix.abs()
        * torch.linalg.matrix_norm(matrix, 2),
        "it is the largest entry, not the Frobenius norm": mix.abs() * matrix.abs().max(),
        "all outputs are summed: every row holds the influence on the whole sentence": (
            mix.sum(0).abs() * columns
        ).expand(t, t),
        "the entries of a gradient are summed before they are squared": mix.abs()
        * matrix.sum(0).norm(),
        "only the last output is probed, and its row is repeated": right[-1].expand(t, t),
        "each row is divided by its sum": right / right.sum(1, keepdim=True),
        "each row is divided by its largest entry": right / right.amax(1, keepdim=True),
    }
    check_close("influence of y = A x W", got, right, wrong)
    _require(
        not got.requires_grad, "a gradient hangs on the table: detach the result before returning."
    )
    got = call(nn.Tanh(), x.double())
    check_dtype("influence", got, torch.float64, "The table must have the dtype of x.")
    slope = 1 - x.double().tanh() ** 2
    one = math.sqrt(d_in) * torch.eye(t).double()
    check_close(
        "influence of y = tanh x",
        got,
        torch.diag(slope.norm(dim=-1)),
        {
            "the layer is probed at zero, not at x": one,
            "the layer is probed at ones, not at x": (1 - math.tanh(1) ** 2) * one,
        },
    )
    _require(
        not got.requires_grad,
        "a gradient hangs on the table of a curved layer: detach the result before returning.",
    )
    words = torch.eye(t).double()
    got = call(_mixing(words, 1e-20 * torch.eye(d_in).double()), x.double())
    check_close(
        "influence of a very faint layer, times 1e20",
        got * 1e20,
        one,
        {
            "faint influences are lost: no small number may be added, and a difference of two "
            "outputs is too coarse": torch.zeros(t, t).double(),
        },
    )
    check_close(
        "influence of a single word",
        call(_mixing(torch.eye(1), 2 * torch.eye(d_in)), x[:1]),
        torch.tensor([[2 * math.sqrt(d_in)]]),
    )
    _done("influence")


# ---------------------------------------------------------------- 6. accuracy by distance


def check_accuracy_by_distance(accuracy_by_distance: Callable) -> None:
    """Five questions by hand: T = 6, so the question stands at place 5."""
    predicted = torch.tensor([1, 2, 3, 3, 0])
    labels = torch.tensor([1, 2, 0, 3, 1])
    places = torch.tensor([4, 1, 1, 1, 0])
    expected = {1: 1.0, 4: 2 / 3, 5: 0.0}
    kept = [part.clone() for part in (predicted, labels, places)]
    got = call_answer(
        "accuracy_by_distance",
        accuracy_by_distance,
        predicted,
        labels,
        places,
        6,
        hints={"ambiguous": "Pick the questions of one distance with a boolean tensor."},
    )
    for before, after in zip(kept, (predicted, labels, places), strict=True):
        _require(bool((before == after).all()), "accuracy_by_distance changes its input.")
    _require(got is not None, "accuracy_by_distance returns nothing yet; is there a return?")
    _require(
        isinstance(got, dict),
        f"accuracy_by_distance must return a dictionary, it returns {type(got).__name__}.",
    )
    _require(
        all(isinstance(key, int) for key in got),
        "the distances must be whole numbers of Python: two tensors are never the same key.",
    )
    named = {
        (1, 4, 0): "these are the places; the distance is counted from the question back",
        (0, 1, 4): "these are the places; the distance is counted from the question back",
        (2, 5, 6): "the question stands at place T - 1, so its neighbour has distance 1",
        (0, 3, 4): "the neighbour of the question has distance 1, not 0",
        (1, 2, 3, 4, 5): "distances that do not occur must be left out",
        (0, 1, 2, 3, 4, 5): "distances that do not occur must be left out",
        (1, 2, 3, 4): "distances that do not occur must be left out, and the farthest is T - 1",
        (-5, -4, -1): "the sign is turned round: the answer stands before the question",
    }
    keys = tuple(got)
    reason = named.get(keys, named.get(tuple(sorted(keys)), ""))
    _require(
        sorted(keys) == list(expected),
        f"the distances are {list(expected)}, got {list(keys)}{': ' + reason if reason else ''}.",
    )
    _require(list(keys) == list(expected), f"the distances are not sorted: {list(keys)}.")
    _require(
        all(isinstance(value, float) for value in got.values()),
        "the shares must be Python floats: call item().",
    )
    values = [got[key] for key in expected]
    right = list(expected.values())
    for reason, wrong in {
        "these are the wrong answers, not the right ones": [1 - v for v in right],
        "these are counts; divide by the questions of the same distance": [1.0, 2.0, 0.0],
        "each count is divided by all questions, not by those of the same distance": [
            0.2,
            0.4,
            0.0,
        ],
        "each count is divided by all right answers": [1 / 3, 2 / 3, 0.0],
        "these are percent; a share lies between 0 and 1": [100 * v for v in right],
        "these are shares of the questions, right or wrong": [0.2, 0.6, 0.2],
        "this is the same overall accuracy for each distance": [0.6, 0.6, 0.6],
    }.items():
        _require(
            any(abs(a - b) > 1e-6 for a, b in zip(values, wrong, strict=True)),
            f"the shares are {[round(v, 3) for v in values]}: {reason}.",
        )
    _require(
        all(abs(a - b) < 1e-6 for a, b in zip(values, right, strict=True)),
        f"the shares are {[round(v, 3) for v in values]}; one, two of three and none are right.",
    )
    _done("accuracy_by_distance")
