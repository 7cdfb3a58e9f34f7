"""Visible checks of assignment 08: each says what is wrong in terms of the idea.

Also here: what finds your answers to assignments 03 to 07, and the library's pieces that stand in
for those that are missing or wrong. Expected values come from torch's own layers, which the tasks
do not let you use. A check that passes is not the whole story: the grader runs further tests.
"""

import ast
import json
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import encoderlib
from encoderlib.pretrained.layouts import LAYOUTS
from encoderlib.pretrained.renaming import entries
from encoderlib.testing import call_answer, check_close, check_dtype, check_shape

__all__ = [
    "check_bert",
    "check_config",
    "check_eight_steps",
    "check_encoder",
    "check_encoder_layer",
    "check_pieces",
    "check_run_stack",
    "show_pieces",
    "use_sound_layer",
    "use_sound_pieces",
]


def _randn(seed: int, *size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def _done(what: str) -> None:
    print(f"The visible check of {what} passes.")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _scramble(module: nn.Module, seed: int) -> nn.Module:
    """Random values everywhere: gains and biases of 1 and 0 hide mistakes."""
    with torch.no_grad():
        for number, p in enumerate(module.parameters()):
            values = _randn(100 * seed + number, *p.shape)
            p.copy_(values * (0.5 if p.dim() == 1 else p.size(-1) ** -0.5))
    return module


# ---------------------------------------------------------------- your earlier answers

PIECES = {
    "sinusoids": "03",
    "add_positions": "03",
    "scaled_dot_product_attention": "04",
    "padding_mask": "04",
    "multi_head_attention": "05",
    "FeedForward": "06",
    "LayerNorm": "07",
    "SublayerConnection": "07",
}


def show_pieces(folder: str = "..") -> None:
    """Print your answers of assignments 03 to 07, ready to be pasted, if there are any."""
    found = dict(_found_pieces(Path(folder)))
    if not found:
        print("No finished answers of yours in the folders 03-... to 07-... beside this one.")
        return
    shown: set[str] = set()
    for name, number in PIECES.items():
        if name not in found:
            print(
                f"# {number} {name}: no finished answer of yours that can be read; keep the piece "
                "that stands in the cell below"
            )
            continue
        where, statements = found[name]
        print(f"\n# {number} {name}: yours, from {where}")
        for text in statements:
            if text not in shown:  # a helper that two pieces share
                print(text + "\n")
            shown.add(text)


def _found_pieces(folder: Path) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    for name, number in PIECES.items():
        for path in sorted(folder.glob(f"{number}-*/*.ipynb")):
            statements = _statements(path)
            if name in statements and "raise NotImplementedError" not in statements[name]:
                needed = _with_helpers(name, statements)
                yield name, (f"{path.parent.name}/{path.name}", needed)
                break


def _statements(path: Path) -> dict[str, str]:
    """The functions, classes and values that the student's cells of a notebook define."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found = {}
        for cell in cells:
            marks = cell.get("metadata", {}).get("nbgrader", {})
            if cell.get("cell_type") != "code" or (marks and not marks.get("solution")):
                continue
            source = "".join(cell["source"])
            for node in _parsed(source):
                for name in _defined(node):
                    found[name] = ast.get_source_segment(source, node) or ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return found


def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError):
        return []


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(one.asname or one.name).partition(".")[0] for one in node.names]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _with_helpers(name: str, statements: dict[str, str]) -> list[str]:
    """The text of a piece, and before it what it needs of the same notebook, pieces excepted."""
    order: list[str] = []

    def visit(one: str) -> None:
        if one in order:
            return
        used = {node.id for node in ast.walk(ast.parse(statements[one])) if _is_name(node)}
        order.append(one)
        for other in sorted(used & set(statements) - set(PIECES)):
            visit(other)

    visit(name)
    return [statements[one] for one in reversed(order)]


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name)


# ---------------------------------------------------------------- the library's pieces


def _sinusoids(length: int, d_model: int, base: float = 10000.0) -> Tensor:
    return encoderlib.sinusoids(length, d_model, base)


def _add_positions(x: Tensor, table: Tensor, start: int = 0) -> Tensor:
    return x.size(-1) ** 0.5 * x + table[start : start + x.size(-2)]


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    return encoderlib.scaled_dot_product_attention(query, key, value, mask)


def _padding_mask(lengths: Tensor, size: int) -> Tensor:
    return encoderlib.padding_mask(encoderlib.lengths_to_tokens(lengths, size))


def _multi_head(
    query: Tensor, source: Tensor, weights: dict, n_heads: int, tokens: Tensor | None = None
) -> Tensor:
    layer = {name.replace("_proj_", "_proj."): tensor for name, tensor in weights.items()}
    with torch.device("meta"):
        module = encoderlib.MultiHeadAttention(query.size(-1), n_heads)
    mask = None if tokens is None else encoderlib.padding_mask(tokens)
    return torch.func.functional_call(module, layer, (query, source), {"mask": mask})


class _FeedForward(encoderlib.FeedForward):
    def __init__(self, d_model: int, d_ff: int, activation: str = "relu"):
        super().__init__(d_model, d_ff, activation)


class _LayerNorm(encoderlib.LayerNorm):
    def __init__(self, d_model: int, eps: float = 1e-5):
        super().__init__(d_model, eps)


class _Connection(nn.Module):
    def __init__(
        self, d_model: int, dropout: float = 0.0, norm_first: bool = False, eps: float = 1e-5
    ):
        super().__init__()
        self.first, self.norm, self.dropout = norm_first, _LayerNorm(d_model, eps), None
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor, sublayer: Callable) -> Tensor:
        total = x + self.dropout(sublayer(self.norm(x) if self.first else x))
        return total if self.first else self.norm(total)


class _SelfAttention(encoderlib.MultiHeadAttention):
    def __init__(self, d_model: int, n_heads: int):
        super().__init__(d_model, n_heads)

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        return super().forward(x, mask=None if tokens is None else tokens[:, None, None, :])


class _Holder(nn.Module):
    """The norm of a connection, under the name that it has in yours."""

    def __init__(self, norm: nn.Module):
        super().__init__()
        self.norm = norm


class _EncoderLayer(encoderlib.EncoderLayer):
    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        activation: str = "relu",
        dropout: float = 0.0,
        norm_first: bool = False,
        eps: float = 1e-5,
    ):
        config = encoderlib.EncoderConfig(
            d_model,
            n_heads,
            d_ff,
            n_layers=1,
            dropout=dropout,
            activation=activation,
            norm_first=norm_first,
            eps=eps,
        )
        super().__init__(config)
        self.connection1 = _Holder(self._modules.pop("norm1"))
        self.connection2 = _Holder(self._modules.pop("norm2"))

    @property
    def norm1(self) -> nn.Module:
        return self._modules["connection1"].norm

    @property
    def norm2(self) -> nn.Module:
        return self._modules["connection2"].norm

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        return super().forward(x, None if tokens is None else tokens[:, None, None, :])


LIBRARY = {
    "sinusoids": _sinusoids,
    "add_positions": _add_positions,
    "scaled_dot_product_attention": _attention,
    "padding_mask": _padding_mask,
    "multi_head_attention": _multi_head,
    "FeedForward": _FeedForward,
    "LayerNorm": _LayerNorm,
    "SublayerConnection": _Connection,
    "SelfAttention": _SelfAttention,
}


def use_sound_pieces(names: MutableMapping[str, object]) -> None:
    """Let the library's pieces stand in for those that are missing or wrong, and say so.

    So a mistake in a piece costs its own points, and not those of what is built from it.

    Args:
        names: ``globals()`` of the notebook.
    """
    wrong = []
    for name, check in CHECKS.items():
        try:
            _require(name in names, f"{name} is not defined.")
            check(names[name])
        except AssertionError as error:
            wrong.append(name)
            names[name] = LIBRARY[name]  # at once: a sound piece may be built on a wrong one
            print(f"{name}: the library's stands in. ({str(error).split('. ')[0]})")
    if not wrong:
        print("All pieces are sound: what follows is built from them as they are.")


def use_sound_layer(names: MutableMapping[str, object]) -> None:
    """Let the library's layer stand in for yours if it is missing or wrong, and say so.

    Args:
        names: ``globals()`` of the notebook.
    """
    try:
        _require("EncoderLayer" in names, "EncoderLayer is not defined.")
        _check_layers(names["EncoderLayer"])
    except AssertionError as error:
        names["EncoderLayer"] = _EncoderLayer
        print(f"EncoderLayer: the library's stands in. ({str(error).split('. ')[0]})")
    else:
        print("Your EncoderLayer is sound: the stack is built from it.")


@contextmanager
def _piece(name: str) -> Iterator[None]:
    """Name the piece, and where it comes from, in whatever is found out about it."""
    try:
        yield
    except AssertionError as error:
        where = f" of assignment {PIECES[name]}" if name in PIECES else ""
        back = "Repair it there, or put the library's piece back." if where else ""
        text = str(error)
        said = text.removeprefix(name) if text.startswith(f"{name} ") else f" is not right: {text}"
        raise AssertionError(f"Your {name}{where}{said} {back}".strip()) from error


# ---------------------------------------------------------------- pieces, one by one


def _check_sinusoids(sinusoids: Callable) -> None:
    with _piece("sinusoids"):
        got = call_answer("sinusoids", sinusoids, 7, 10, 50.0)
        right = encoderlib.sinusoids(7, 10, 50.0)
        halves = torch.cat([right[:, ::2], right[:, 1::2]], dim=-1)
        wrong = {
            "the base is ignored": encoderlib.sinusoids(7, 10),
            "all sines stand before all cosines": halves,
            "positions count from 1": encoderlib.sinusoids(8, 10, 50.0)[1:],
        }
        check_close("sinusoids(7, 10, 50.0)", got, right, wrong)


def _check_add_positions(add_positions: Callable) -> None:
    with _piece("add_positions"):
        x, table = _randn(1, 3, 5, 9), _randn(2, 11, 9)
        got = call_answer("add_positions", add_positions, x, table, 2)
        wrong = {
            "the factor √D is missing": x + table[2:7],
            "the start is ignored": 3 * x + table[:5],
            "the table has the factor √D, not the tokens": x + 3 * table[2:7],
            "each sentence gets one row, not each token": 3 * x + table[2:5, None],
        }
        check_close("add_positions(x, table, 2)", got, 3 * x + table[2:7], wrong)


def _check_attention(attention: Callable) -> None:
    with _piece("scaled_dot_product_attention"):
        name = "scaled_dot_product_attention"
        q, k, v = _randn(1, 2, 3, 5, 4), _randn(2, 2, 3, 7, 4), _randn(3, 2, 3, 7, 6)
        mask = (torch.arange(7) < torch.tensor([[7], [4]]))[:, None, None]
        scores = q @ k.mT
        late = (scores / 2).softmax(-1) * mask
        wrong = {
            "the mask is ignored": F.scaled_dot_product_attention(q, k, v),
            "the mask is read as True = hide": F.scaled_dot_product_attention(q, k, v, ~mask),
            "the scale is missing": scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v,
            "the mask comes after the softmax": late @ v,
        }
        right = F.scaled_dot_product_attention(q, k, v, mask)
        # torch gives NaN or a mean to a query that may see nothing: the first sentence sees all
        check_close(name, call_answer(name, attention, q, k, v, mask), right, wrong)
        free = F.scaled_dot_product_attention(q, k, v)
        check_close(f"{name} without a mask", call_answer(name, attention, q, k, v), free)


def _check_padding_mask(padding_mask: Callable) -> None:
    with _piece("padding_mask"):
        lengths = torch.tensor([3, 1, 6])
        got = call_answer("padding_mask", padding_mask, lengths, 6)
        check_shape("padding_mask", got, {"B": 3, "1": 1, "one": 1, "S": 6})
        check_dtype("padding_mask", got, torch.bool)
        right = (torch.arange(6) < lengths[:, None])[:, None, None]
        wrong = {
            "True stands for padding": ~right,
            "it holds one place too many": (torch.arange(6) <= lengths[:, None])[:, None, None],
        }
        check_close("padding_mask([3, 1, 6], 6)", got, right, wrong)


def _torch_attention(
    x: Tensor, source: Tensor, weights: list[Tensor], n_heads: int, tokens: Tensor | None
) -> Tensor:
    """Multi-head attention of torch on weights in the order of its state."""
    inputs = (z.transpose(0, 1) for z in (x, source, source))
    w_in, b_in, w_out, b_out = weights
    out, _ = F.multi_head_attention_forward(
        *inputs,
        x.size(-1),
        n_heads,
        w_in,
        b_in,
        None,
        None,
        False,
        0.0,
        w_out,
        b_out,
        training=False,
        key_padding_mask=None if tokens is None else ~tokens,
        need_weights=False,
    )
    return out.transpose(0, 1)


def _wrong_attention(x: Tensor, y: Tensor, weights: list[Tensor], h: int, tokens: Tensor) -> dict:
    w_in, b_in, w_out, b_out = weights
    d = x.size(-1)
    q, k, v = w_in.chunk(3)
    swapped = [torch.cat([k, q, v]), b_in, w_out, b_out]
    plain = [w_in, b_in, torch.eye(d), torch.zeros(d)]

    def uncut() -> Tensor:
        pairs = zip((x, y, y), w_in.chunk(3), b_in.chunk(3), strict=True)
        heads = [F.linear(z, w, b).view(len(z), h, -1, d // h) for z, w, b in pairs]
        mixed = F.scaled_dot_product_attention(*heads, tokens[:, None, None])
        return F.linear(mixed.transpose(1, 2).flatten(2), w_out, b_out)

    return {
        "the padding is not hidden": lambda: _torch_attention(x, y, weights, h, None),
        "True is read as padding": lambda: _torch_attention(x, y, weights, h, ~tokens),
        "there is only one head": lambda: _torch_attention(x, y, weights, 1, tokens),
        "queries and keys are exchanged": lambda: _torch_attention(x, y, swapped, h, tokens),
        "the output projection is missing": lambda: _torch_attention(x, y, plain, h, tokens),
        "the output projection is applied twice": lambda: F.linear(
            _torch_attention(x, y, weights, h, tokens), w_out, b_out
        ),
        "out_proj is called on what is read: the function does that, behind the heads": lambda: (
            _torch_attention(F.linear(x, w_out, b_out), y, weights, h, tokens)
        ),
        "heads are cut out by a reshape alone, without a transpose": uncut,
        "the input is added: the residual belongs to the connection": (
            lambda: x + _torch_attention(x, y, weights, h, tokens)
        ),
    }


TOKENS = torch.arange(5) < torch.tensor([[5], [3]])  # (B, T) = (2, 5), True = real
REAL = ", the 8 real tokens one below the other,"


def _check_multi_head(multi_head_attention: Callable) -> None:
    with _piece("multi_head_attention"):
        d, h = 12, 3
        x, y = _randn(1, 2, 4, d), _randn(2, 2, 5, d)
        values = _randn(3, 3 * d, d) / 3, _randn(4, 3 * d), _randn(5, d, d) / 3, _randn(6, d)
        names = ("in_proj_weight", "in_proj_bias", "out_proj_weight", "out_proj_bias")
        weights = dict(zip(names, values, strict=True))
        name = "multi_head_attention"
        got = call_answer(name, multi_head_attention, x, y, weights, h, TOKENS)
        right = _torch_attention(x, y, list(values), h, TOKENS)
        check_close(name, got, right, _wrong_attention(x, y, list(values), h, TOKENS), 1e-4)
        got = call_answer(name, multi_head_attention, x, y, weights, h)
        free = _torch_attention(x, y, list(values), h, None)
        check_close(f"{name} with tokens=None", got, free, tolerance=1e-4)


def _numbers(module: nn.Module, name: str, wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The parameters of a module, which must have these names and shapes."""
    _require(
        isinstance(module, nn.Module),
        f"{name} must be an nn.Module, got {type(module).__name__}.",
    )
    state = {key: tuple(p.shape) for key, p in module.named_parameters()}
    missing, more = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    _require(
        not missing and not more,
        f"{name} has parameters of other names: {', '.join(missing) or 'none'} missing, "
        f"{', '.join(more) or 'none'} unexpected. Keep the names of the task.",
    )
    for key, shape in wanted.items():
        _require(state[key] == shape, f"{key} of {name} has shape {state[key]} instead of {shape}.")
    return {key: p.detach().clone() for key, p in module.named_parameters()}


def _right_feedforward(ffn: nn.Module, d: int, f: int, activation: str) -> None:
    wanted = {"linear1.weight": (f, d), "linear1.bias": (f,)}
    wanted |= {"linear2.weight": (d, f), "linear2.bias": (d,)}
    p = _numbers(ffn, "FeedForward", wanted)
    x = _randn(5, 2, 4, d)
    inner = F.linear(x, p["linear1.weight"], p["linear1.bias"])
    second = (p["linear2.weight"], p["linear2.bias"])
    right = {kind: F.linear(getattr(F, kind)(inner), *second) for kind in ("relu", "gelu")}
    bias_first = F.relu(inner) @ (p["linear2.weight"].T + p["linear2.bias"])
    wrong = {
        "the activation is missing": F.linear(inner, *second),
        "the second bias is added to the matrix": bias_first,
        "the input is added: the residual belongs to the connection": x + right[activation],
    }
    wrong |= {f"the activation is always {k}": v for k, v in right.items() if k != activation}
    got = call_answer("FeedForward", ffn, x)
    check_close(f"FeedForward with {activation}", got, right[activation], wrong, 1e-4)


def _check_feedforward(make: Callable) -> None:
    with _piece("FeedForward"):
        for activation in ("relu", "gelu"):
            ffn = call_answer("FeedForward", make, 6, 11, activation)
            _require(isinstance(ffn, nn.Module), "it must be an nn.Module.")
            _right_feedforward(_scramble(ffn, 7), 6, 11, activation)


def _right_norm(norm: nn.Module, d: int, eps: float) -> None:
    p = _numbers(norm, "LayerNorm", {"weight": (d,), "bias": (d,)})
    x = _randn(8, 2, 3, d) * max(eps, 1e-4) ** 0.5 + 0.3  # of the size that eps matters
    mean, gain, shift = x.mean(-1, keepdim=True), p["weight"], p["bias"]
    var = x.var(-1, keepdim=True, correction=0)
    right = F.layer_norm(x, (d,), gain, shift, eps)
    over = x.flatten(0, 1)
    wrong = {
        "the variance is divided by D - 1": (
            (x - mean) / (x.var(-1, keepdim=True) + eps).sqrt() * gain + shift
        ),
        "eps stands outside of the root": (x - mean) / (var.sqrt() + eps) * gain + shift,
        "eps is ignored": F.layer_norm(x, (d,), gain, shift, 1e-5),
        "gain and shift are missing": F.layer_norm(x, (d,), eps=eps),
        "the shift is missing": F.layer_norm(x, (d,), gain, None, eps),
        "the numbers are those of all tokens, not of each": (
            (x - over.mean(0)) / (over.var(0, correction=0) + eps).sqrt() * gain + shift
        ),
        "the mean is not subtracted": x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * gain
        + shift,
        "the division is by the variance, not by its root": (x - mean) / (var + eps) * gain + shift,
    }
    check_close("LayerNorm", call_answer("LayerNorm", norm, x), right, wrong, 1e-4)


def _check_layer_norm(make: Callable) -> None:
    with _piece("LayerNorm"):
        for eps in (0.1, 1e-5):
            norm = call_answer("LayerNorm", make, 8, eps)
            _require(isinstance(norm, nn.Module), "it must be an nn.Module.")
            _right_norm(_scramble(norm, 9), 8, eps)


def _check_connection(make: Callable) -> None:
    def part(z: Tensor) -> Tensor:
        return 2 * z + 1

    with _piece("SublayerConnection"):
        d, eps = 8, 0.1
        for norm_first in (False, True):
            link = call_answer("SublayerConnection", make, d, 0.0, norm_first, eps)
            p = _numbers(
                _scramble(link, 11), "SublayerConnection", {"norm.weight": (d,), "norm.bias": (d,)}
            )

            def norm(z: Tensor, gain: Tensor = p["norm.weight"], shift: Tensor = p["norm.bias"]):
                return F.layer_norm(z, (8,), gain, shift, 0.1)

            x = 0.3 * _randn(12, 2, 3, d)
            orders = {False: norm(x + part(x)), True: x + part(norm(x))}
            wrong = {
                "norm_first is ignored": orders[not norm_first],
                "the norm stands before the addition": x + norm(part(x)),
                "there is no residual": part(norm(x)) if norm_first else norm(part(x)),
                "the normalised input is added, not the input": norm(x) + part(norm(x)),
                "there is no norm": x + part(x),
            }
            got = call_answer("SublayerConnection", link, x, part)
            name = f"SublayerConnection with norm_first={norm_first}"
            check_close(name, got, orders[norm_first], wrong, 1e-4)
        link = call_answer("SublayerConnection", make, d, 0.5, True).train()
        kept = call_answer("SublayerConnection", link, x, torch.zeros_like)
        check_close("SublayerConnection, dropout of a part that is zero", kept, x)
        torch.manual_seed(0)
        moved = call_answer("SublayerConnection", link, x, torch.ones_like) - x
        _require(bool((moved == 0).any()), "in training nothing is dropped from the part.")


def _right_self_attention(module: nn.Module, d: int, h: int, seed: int = 13) -> None:
    wanted = {"in_proj.weight": (3 * d, d), "in_proj.bias": (3 * d,)}
    wanted |= {"out_proj.weight": (d, d), "out_proj.bias": (d,)}
    p = list(_numbers(module, "SelfAttention", wanted).values())
    order = [name for name, _ in module.named_parameters()]
    weights = [p[order.index(name)] for name in wanted]
    x = _randn(seed, 2, 5, d)
    got = call_answer("SelfAttention", module, x, TOKENS)
    right = _torch_attention(x, x, weights, h, TOKENS)
    check_close("SelfAttention", got, right, _wrong_attention(x, x, weights, h, TOKENS), 1e-4)
    free = _torch_attention(x, x, weights, h, None)
    got = call_answer("SelfAttention", module, x)
    check_close("SelfAttention with tokens=None", got, free, tolerance=1e-4)


def _check_self_attention(make: Callable) -> None:
    with _piece("SelfAttention"):
        module = call_answer("SelfAttention", make, 12, 3)
        _require(isinstance(module, nn.Module), "it must be an nn.Module.")
        x = _randn(15, 1, 4, 12)
        before = call_answer("SelfAttention", module, x).detach()
        after = call_answer("SelfAttention", _scramble(module, 14), x).detach()
        _require(
            not bool(torch.equal(before, after)),
            "other weights give the same result: it computes with copies made in the constructor.",
        )
        _right_self_attention(module, 12, 3)
        other = call_answer("SelfAttention", make, 10, 5)
        _right_self_attention(_scramble(other, 15), 10, 5)
        got = call_answer("SelfAttention", module, x)
        _require(got.requires_grad, "it loses the gradient of its weights: is there a detach?")
        got.sum().backward()
        for name, p in module.named_parameters():
            _require(
                p.grad is not None, f"no gradient reaches {name}: give the parameter, no copy."
            )
            p.grad = None


CHECKS = {
    "sinusoids": _check_sinusoids,
    "add_positions": _check_add_positions,
    "scaled_dot_product_attention": _check_attention,
    "padding_mask": _check_padding_mask,
    "multi_head_attention": _check_multi_head,
    "FeedForward": _check_feedforward,
    "LayerNorm": _check_layer_norm,
    "SublayerConnection": _check_connection,
    "SelfAttention": _check_self_attention,
}


def check_pieces(
    sinusoids: Callable,
    add_positions: Callable,
    scaled_dot_product_attention: Callable,
    padding_mask: Callable,
    multi_head_attention: Callable,
    FeedForward: Callable,
    LayerNorm: Callable,
    SublayerConnection: Callable,
    SelfAttention: Callable,
) -> None:
    """Every piece against torch; SelfAttention last, because it is built on another."""
    given = dict(locals())
    for name, check in CHECKS.items():
        check(given[name])
    _done("pieces")


# ---------------------------------------------------------------- eight steps

STEPS = ("embedding", "positions", "attention", "feed-forward", "add", "norm")


def check_eight_steps(eight_steps: Callable) -> None:
    """The order for both norms; known wrong orders have a name."""
    for norm_first in (False, True):
        _check_order(call_answer("eight_steps", eight_steps, norm_first), norm_first)
    _done("eight_steps")


def _check_order(steps: object, norm_first: bool) -> None:
    order = "pre-norm" if norm_first else "post-norm"
    _require(isinstance(steps, list | tuple), f"eight_steps must return a list, got {type(steps)}.")
    steps = list(steps)
    for step in steps:
        _require(step in STEPS, f"{step!r} is none of the names: {', '.join(STEPS)}.")
    start = steps[:2] == ["embedding", "positions"]
    _require(
        start,
        "The first two steps are the same in every encoder: ids become vectors, then these learn "
        "where they are. Attention cannot read ids, and a sum needs two vectors.",
    )
    for step, times in (("add", 2), ("norm", 2), ("attention", 1), ("feed-forward", 1)):
        count = steps.count(step)
        _require(
            count == times,
            f"{step!r} occurs {count} times in {order} instead of {times}: attention and "
            "feed-forward network have a residual and a norm each.",
        )
    inside = steps[2:]
    parts = [step for step in inside if step in ("attention", "feed-forward")]
    _require(
        parts[0] == "attention", "The feed-forward network works on what attention has gathered."
    )
    halves = inside[:3], inside[3:]
    for part, half in zip(("attention", "feed-forward"), halves, strict=True):
        _require(part in half, f"Finish one half before the next: {part} stands in the wrong one.")
        _require(
            half.index("add") > half.index(part),
            f"The sum comes after {part}, whose output it adds.",
        )
        _require(
            half.count("add") == 1 and half.count("norm") == 1,
            "Each half has one sum and one norm.",
        )
        if norm_first is True:
            _require(
                half[0] == "norm",
                f"In pre-norm the norm stands in front of {part}, inside of the residual.",
            )
        else:
            _require(
                half[0] == part and half[2] == "norm",
                f"In post-norm the norm comes last, behind the sum that belongs to {part}.",
            )


# ---------------------------------------------------------------- the layer

LAYER = {
    "attention.in_proj.weight": "self_attn.in_proj_weight",
    "attention.in_proj.bias": "self_attn.in_proj_bias",
    "attention.out_proj.weight": "self_attn.out_proj.weight",
    "attention.out_proj.bias": "self_attn.out_proj.bias",
    "feedforward.linear1.weight": "linear1.weight",
    "feedforward.linear1.bias": "linear1.bias",
    "feedforward.linear2.weight": "linear2.weight",
    "feedforward.linear2.bias": "linear2.bias",
    "connection1.norm.weight": "norm1.weight",
    "connection1.norm.bias": "norm1.bias",
    "connection2.norm.weight": "norm2.weight",
    "connection2.norm.bias": "norm2.bias",
}


def _torch_layer(
    d: int, h: int, f: int, activation: str, norm_first: bool, eps: float, seed: int
) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(
        d, h, f, 0.0, activation, eps, norm_first=norm_first, batch_first=True
    )
    return _scramble(layer, seed).train()  # training mode: no fast path, and dropout is 0


def _copy_into(layer: nn.Module, oracle: nn.Module, what: str) -> None:
    """Give the student's layer the weights of torch's."""
    theirs = oracle.state_dict()
    shapes = {name: tuple(theirs[other].shape) for name, other in LAYER.items()}
    _numbers(layer, what, shapes)
    layer.load_state_dict({name: theirs[other] for name, other in LAYER.items()})


def _parts_are_right(layer: nn.Module, d: int, h: int, f: int, activation: str, eps: float) -> None:
    """If a layer is wrong: is one of its pieces the cause?"""
    with _piece("LayerNorm"):
        _right_norm(layer.connection1.norm, d, eps)
    with _piece("FeedForward"):
        _right_feedforward(layer.feedforward, d, f, activation)
    with _piece("SelfAttention"):
        _right_self_attention(layer.attention, d, h)


def check_encoder_layer(EncoderLayer: Callable) -> None:
    """Parity with torch in both orders; then dropout and padding."""
    _check_layers(EncoderLayer)
    _done("EncoderLayer")


def _check_layers(EncoderLayer: Callable) -> None:
    for norm_first in (False, True):
        for activation, eps in (("relu", 1e-5), ("gelu", 0.1)):
            _check_layer(EncoderLayer, norm_first, activation, eps)
    _check_layer(EncoderLayer, True, "relu", 1e-5, (10, 5, 7))
    layer = call_answer("EncoderLayer", EncoderLayer, 12, 3, 20, dropout=0.5)
    x = _randn(16, 2, 5, 12)
    layer.eval()
    _require(
        bool(torch.equal(layer(x), layer(x))),
        "EncoderLayer gives two results in eval mode: dropout must stop there.",
    )
    layer.train()
    rates = [m.p for m in layer.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    _require(
        len(rates) >= 2 and not torch.equal(layer(x), layer(x)),
        "EncoderLayer(dropout=0.5) drops nothing in training, or in one half only: hand the rate "
        "to both connections.",
    )


def _check_layer(
    EncoderLayer: Callable,
    norm_first: bool,
    activation: str,
    eps: float,
    sizes: tuple[int, int, int] = (12, 3, 20),
) -> None:
    d, h, f = sizes
    name = f"EncoderLayer with norm_first={norm_first}, {activation}, eps={eps}"
    oracle = _torch_layer(d, h, f, activation, norm_first, eps, 17)
    layer = call_answer(
        "EncoderLayer",
        EncoderLayer,
        d,
        h,
        f,
        activation=activation,
        norm_first=norm_first,
        eps=eps,
    )
    _require(isinstance(layer, nn.Module), "EncoderLayer must be an nn.Module.")
    own = (
        [layer.connection1, layer.connection2]
        if hasattr(layer, "connection1") and hasattr(layer, "connection2")
        else []
    )
    _require(
        not own or own[0] is not own[1],
        "EncoderLayer uses one connection twice: each half has a norm of its own.",
    )
    _copy_into(layer, oracle, "EncoderLayer")
    x = _randn(18, 2, 5, d) * (0.3 if eps > 0.01 else 1.0)  # of the size that eps matters
    with torch.no_grad():
        got = call_answer(name, layer, x, TOKENS)
        check_shape(name, got, {"B": 2, "T": 5, "D": d})
        right = oracle(x, src_key_padding_mask=~TOKENS)
        wrong = _wrong_layers(oracle, x, d, h, f, activation, norm_first, eps)
    try:
        check_close(f"{name}{REAL}", got[TOKENS], right[TOKENS], wrong, 1e-4)
    except AssertionError as error:
        if "This is what you get" not in str(error):
            _parts_are_right(layer, d, h, f, activation, eps)
        raise
    with torch.no_grad():
        free = call_answer(name, layer, x)
        check_close(f"{name}, tokens=None", free, oracle(x), tolerance=1e-4)


def _wrong_layers(
    oracle: nn.Module, x: Tensor, d: int, h: int, f: int, activation: str, first: bool, eps: float
) -> dict[str, Callable]:
    state = {name: tensor.detach() for name, tensor in oracle.state_dict().items()}
    weights = [state[LAYER[name]] for name in list(LAYER)[:4]]

    def attend(z: Tensor, tokens: Tensor | None = TOKENS, heads: int = h) -> Tensor:
        return _torch_attention(z, z, weights, heads, tokens)

    def feed(z: Tensor, kind: str = activation) -> Tensor:
        inner = getattr(F, kind)(F.linear(z, state["linear1.weight"], state["linear1.bias"]))
        return F.linear(inner, state["linear2.weight"], state["linear2.bias"])

    def norm(z: Tensor, which: int, eps: float = eps) -> Tensor:
        gain, shift = state[f"norm{which}.weight"], state[f"norm{which}.bias"]
        return F.layer_norm(z, (d,), gain, shift, eps)

    def layer(
        x: Tensor = x,
        attend: Callable = attend,
        feed: Callable = feed,
        first: bool = first,
        eps: float = eps,
        norms: tuple[int, int] = (1, 2),
        again: int = 0,
    ) -> Tensor:
        for part, which in zip((attend, feed), norms, strict=True):
            start = x
            inner = part(norm(x, which, eps)) if first else part(x)
            x = x + inner if first else norm(x + inner, which, eps)
            x = x + start if which == again else x
        return x

    other = "gelu" if activation == "relu" else "relu"
    both = norm(x, 1) if first else x
    return {
        "the padding is not hidden: tokens do not reach the attention": lambda: layer(
            attend=lambda z: attend(z, None)
        )[TOKENS],
        "True is read as padding": lambda: layer(attend=lambda z: attend(z, ~TOKENS))[TOKENS],
        "norm_first is not handed on": lambda: layer(first=not first)[TOKENS],
        "eps is not handed on": lambda: layer(eps=1e-5)[TOKENS],
        "the activation is not handed on": lambda: layer(feed=lambda z: feed(z, other))[TOKENS],
        "there is only one head": lambda: layer(attend=lambda z: attend(z, heads=1))[TOKENS],
        "the feed-forward network comes first": lambda: layer(attend=feed, feed=attend)[TOKENS],
        "the feed-forward network comes first, each part in its own connection": lambda: layer(
            attend=feed, feed=attend, norms=(2, 1)
        )[TOKENS],
        "one connection is called for both halves": lambda: layer(norms=(1, 1))[TOKENS],
        "the attention reads x, not what its connection hands it": lambda: layer(
            attend=lambda _: attend(x)
        )[TOKENS],
        "the residual of the attention is added once more: it is inside of the connection": (
            lambda: layer(again=1)[TOKENS]
        ),
        "the residual of the feed-forward network is added once more: it is inside of the "
        "connection": lambda: layer(again=2)[TOKENS],
        "the two connections are exchanged": lambda: layer(norms=(2, 1))[TOKENS],
        "both parts read the input of the layer, side by side": lambda: (
            x + attend(both) + feed(norm(x, 2))
            if first
            else norm(norm(x + attend(x), 1) * 0 + x + feed(x), 2)
        )[TOKENS],
        "the residual is added twice, here and in the connection": lambda: _twice(
            x, attend, feed, norm, first
        )[TOKENS],
        "there is one norm and one residual, at the end": lambda: (x + norm(feed(attend(x)), 2))[
            TOKENS
        ],
        "there are no residuals": lambda: (
            feed(norm(attend(norm(x, 1)), 2)) if first else norm(feed(norm(attend(x), 1)), 2)
        )[TOKENS],
        "the layer ends with one more norm: that belongs to the stack": lambda: norm(layer(), 2)[
            TOKENS
        ],
    }


def _twice(x: Tensor, attend: Callable, feed: Callable, norm: Callable, first: bool) -> Tensor:
    for which, part in ((1, attend), (2, feed)):
        x = x + (x + part(norm(x, which)) if first else norm(x + part(x), which))
    return x


# ---------------------------------------------------------------- the stack


def _torch_stack(
    n: int, d: int, h: int, f: int, activation: str, norm_first: bool, eps: float
) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        d, h, f, 0.0, activation, eps, norm_first=norm_first, batch_first=True
    )
    last = nn.LayerNorm(d, eps) if norm_first else None
    return _scramble(nn.TransformerEncoder(layer, n, last, enable_nested_tensor=False), 19).train()


def _stack_names(n: int, norm_first: bool) -> dict[str, str]:
    names = {
        f"layers.{i}.{ours}": f"layers.{i}.{theirs}"
        for i in range(n)
        for ours, theirs in LAYER.items()
    }
    return names | (
        {f"norm.{part}": f"norm.{part}" for part in ("weight", "bias")} if norm_first else {}
    )


# what the mask of assignment 04 looks like when a layer makes a mask of it once more
FOUR_AXES = {
    "1, 1, 1, ": "padding_mask gives (B, 1, 1, T); a layer takes tokens as (B, T).",
}


def check_encoder(Encoder: Callable) -> None:
    """The stack against its own layers, then against torch's stack."""
    n, d, h, f, eps = 3, 12, 3, 20, 0.1
    lengths = torch.tensor([5, 3])
    x = _randn(20, 2, 5, d)
    equal = True
    for norm_first in (False, True):
        name = f"Encoder with norm_first={norm_first}"
        encoder = call_answer(
            "Encoder", Encoder, n, d, h, f, activation="gelu", norm_first=norm_first, eps=eps
        )
        _check_stack_parts(encoder, n, norm_first)
        oracle = _torch_stack(n, d, h, f, "gelu", norm_first, eps)
        theirs = oracle.state_dict()
        names = _stack_names(n, norm_first)
        _numbers(encoder, "Encoder", {k: tuple(theirs[v].shape) for k, v in names.items()})
        encoder.load_state_dict({ours: theirs[other] for ours, other in names.items()})
        with torch.no_grad():
            got = call_answer(name, encoder, x, lengths, hints=FOUR_AXES)
            check_shape(name, got, {"B": 2, "T": 5, "D": d})
            right, wrong = _own_layers(encoder, x, norm_first, eps)
            check_close(f"{name}{REAL}", got[TOKENS], right[TOKENS], wrong, 1e-4)
            free = call_answer(name, encoder, x)
            whole, _ = _own_layers(encoder, x, norm_first, eps, None)
            check_close(f"{name} without lengths", free, whole, tolerance=1e-4)
            want = oracle(x, src_key_padding_mask=~TOKENS)
            if bool(torch.isclose(got, want, rtol=1e-4, atol=1e-4)[TOKENS].all()):
                continue
            equal = False
            _check_handed_on(encoder.layers[0], oracle, x, norm_first, eps)
    encoder = call_answer("Encoder", Encoder, 2, d, h, f, dropout=0.5).train()
    rates = [m.p for m in encoder.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    if equal:
        _require(bool(rates), "Encoder(dropout=0.5) has no dropout: hand the rate to the layers.")
        print("Your encoder equals nn.TransformerEncoder.")
    else:
        print("The stack is right, its layers are not yet torch's: see the check of EncoderLayer.")
    _done("Encoder")


def _check_stack_parts(encoder: object, n: int, norm_first: bool) -> None:
    _require(isinstance(encoder, nn.Module), "Encoder must be an nn.Module.")
    layers = getattr(encoder, "layers", None)
    _require(
        isinstance(layers, nn.ModuleList),
        f"Encoder.layers is {type(layers).__name__}: in a plain list the optimiser and "
        "load_state_dict do not find the layers; make it an nn.ModuleList.",
    )
    _require(len(layers) == n, f"Encoder has {len(layers)} layers instead of n_layers = {n}.")
    _require(
        len({id(p) for p in layers.parameters()}) == len(LAYER) * n
        or len(list(layers[0].parameters())) * n == len(list(layers.parameters())),
        "the layers share their weights: one layer was put into the list several times. Make each "
        "anew.",
    )
    last = list(encoder.norm.parameters()) if isinstance(encoder.norm, nn.Module) else []
    _require(
        bool(last) == norm_first,
        "a pre-norm stack ends with a LayerNorm, called norm: its layers only ever add."
        if norm_first
        else "a post-norm stack has no last norm: its layers end with one. Use nn.Identity().",
    )


def _own_layers(
    encoder: nn.Module, x: Tensor, norm_first: bool, eps: float, tokens: Tensor | None = TOKENS
) -> tuple[Tensor, dict]:
    """What a stack of these very layers gives, and what the usual mistakes give."""
    layers = list(encoder.layers)

    def norm(z: Tensor, eps: float = eps) -> Tensor:
        if not norm_first:
            return z
        return F.layer_norm(z, z.shape[-1:], encoder.norm.weight, encoder.norm.bias, eps)

    def run(masks: list, layers: list = layers, between: Callable = lambda z: z) -> Tensor:
        z = x
        for layer, mask in zip(layers, masks, strict=True):
            z = between(layer(z, mask))
        return z

    def add_again() -> Tensor:
        z = x
        for one in layers:
            z = z + one(z, tokens)
        return norm(z)

    n = len(layers)
    right = norm(run([tokens] * n))
    if tokens is None:
        return right, {}
    wrong = {
        "no layer gets the mask": lambda: norm(run([None] * n)),
        "only the first layer gets the mask": lambda: norm(run([tokens] + [None] * (n - 1))),
        "only the last layer gets the mask": lambda: norm(run([None] * (n - 1) + [tokens])),
        "True is read as padding": lambda: norm(run([~tokens] * n)),
        "the last layer is left out": lambda: norm(run([tokens] * (n - 1), layers[:-1])),
        "the layers run from last to first": lambda: norm(run([tokens] * n, layers[::-1])),
        "the last norm is not applied": lambda: run([tokens] * n),
        "the last norm is applied after every layer": lambda: run([tokens] * n, between=norm),
        "the last norm is applied after every layer, and once more at the end": lambda: norm(
            run([tokens] * n, between=norm)
        ),
        "the result is returned from inside of the loop, after one layer": lambda: norm(
            layers[0](x, tokens)
        ),
        "the input of each layer is added again: the layer has its residuals": add_again,
        "the last norm has another eps": lambda: norm(run([tokens] * n), 1e-5),
        "there is a residual around the whole stack": lambda: norm(x + run([tokens] * n)),
        "every layer reads the input of the stack": lambda: norm(layers[-1](x, tokens)),
    }
    return right, {name: (lambda made=made: made()[TOKENS]) for name, made in wrong.items()}


def _check_handed_on(
    layer: nn.Module, oracle: nn.Module, x: Tensor, norm_first: bool, eps: float
) -> None:
    """The first layer is not torch's: was something not handed on to it?"""
    d = x.size(-1)
    with torch.no_grad():
        got = layer(x, TOKENS)[TOKENS]
        one = oracle.layers[0]
        wrong = _wrong_layers(one, x, d, one.self_attn.num_heads, 20, "gelu", norm_first, eps)
        for name in ("norm_first", "eps", "the activation"):
            made = wrong[f"{name} is not handed on"]()
            _require(
                not bool(torch.isclose(got, made, rtol=1e-4, atol=1e-4).all()),
                f"Encoder: {name} is not handed on to the layers.",
            )


# ---------------------------------------------------------------- BERT

SIZES = {
    "vocab_size": 23,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 11,
    "type_vocab_size": 2,
}
FIELDS = {"model_type": "bert"} | SIZES | {"hidden_act": "gelu"}


def _table(fields: dict) -> list:
    """The library's table of the tensors of a BERT file."""
    config, embedding = LAYOUTS["bert"].parse(fields)
    return entries(LAYOUTS["bert"], config, embedding, fields)


def bert_state(fields: dict = FIELDS, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the names of a BERT file, with the pooler that such files have."""
    names = {name: entry.shape for entry in _table(fields) for name in entry.theirs}
    d = fields["hidden_size"]
    names |= {"pooler.dense.weight": (d, d), "pooler.dense.bias": (d,)}
    return {
        name: _randn(1000 * seed + number, *shape) / (shape[-1] ** 0.5 if len(shape) > 1 else 2)
        for number, (name, shape) in enumerate(sorted(names.items()))
    }


def library_bert(state: dict[str, Tensor], fields: dict = FIELDS) -> encoderlib.Encoder:
    """The library's encoder with these weights."""
    config, embedding = LAYOUTS["bert"].parse(fields)
    encoder = encoderlib.Encoder(config, embedding).eval()
    encoder.load_state_dict(
        {e.ours: e.read([state[name] for name in e.theirs]) for e in _table(fields)}
    )
    return encoder


def _renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the library reads from the file, under the names of the task."""
    found = {}
    for entry in _table(FIELDS):
        if entry.ours.startswith("layers."):
            name = entry.ours.replace(".norm", ".connection")  # norm1.weight, norm2.bias and so on
            place, _, part = name.rpartition(".")
            name = f"{place}.norm.{part}" if ".connection" in name else name
            found[name] = entry.read([state[one] for one in entry.theirs])
    return found


def check_bert(bert_embeddings: Callable, from_bert: Callable, Encoder: Callable) -> None:
    """The entrance, the names, and both together with your own encoder."""
    state = bert_state()
    ids = torch.randint(1, 23, (2, 5), generator=torch.Generator().manual_seed(21))
    _check_entrance(bert_embeddings, state, ids)
    library = library_bert(state)
    with torch.no_grad():
        x = library.embedding(ids)
    for prefix in ("", "bert."):
        given = {prefix + name: tensor.clone() for name, tensor in state.items()}
        got = call_answer("from_bert", from_bert, given, 2, hints=PREFIX if prefix else None)
        for name, before in state.items():
            kept = given.get(prefix + name)
            _require(kept is not None, f"{prefix + name} of the given state is taken out of it.")
            _require(bool(torch.equal(kept, before)), f"{name} of the given state is changed.")
        _check_names(got, state)
    _check_circle(got, Encoder, x, library, ids)
    _done("bert")


PREFIX = {"KeyError": "Here every name begins with bert., as in many files."}


def _check_entrance(bert_embeddings: Callable, state: dict[str, Tensor], ids: Tensor) -> None:
    """Segments, names with a prefix, and vectors that are small enough for eps to matter."""
    quiet = {
        name: tensor / 1000 if "embeddings.weight" in name else tensor
        for name, tensor in state.items()
    }
    place = {"out of": "Positions are the places 0, 1, ... of a sentence, not its ids."}
    segments = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]])
    for says, used, kinds in (
        ("", state, None),
        (" with segments", state, segments),
        (" of small vectors", quiet, None),
    ):
        name = f"bert_embeddings{says}"
        given = {key: tensor.clone() for key, tensor in used.items()}
        more = () if kinds is None else (kinds,)
        with torch.no_grad():
            got = call_answer(name, bert_embeddings, given, ids, *more, hints=place)
            check_shape(name, got, {"B": 2, "T": 5, "D": 12})
            kinds = torch.zeros_like(ids) if kinds is None else kinds
            wrong = _wrong_embeddings(used, ids, kinds)
            check_close(name, got, wrong.pop("")(), wrong, 1e-4)
        changed = [
            key for key in used if key not in given or not torch.equal(used[key], given[key])
        ]
        _require(not changed, f"bert_embeddings: {changed[:1]} of the given state is changed.")
    with torch.no_grad():
        library = library_bert(state).embedding(ids)
        check_close("bert_embeddings", bert_embeddings(state, ids), library, tolerance=1e-4)
        given = {f"bert.{key}": tensor for key, tensor in state.items()}
        name = "bert_embeddings with names that begin with bert."
        got = call_answer(name, bert_embeddings, given, ids, hints=PREFIX)
        check_close(name, got, library, tolerance=1e-4)


def _wrong_embeddings(
    state: dict[str, Tensor], ids: Tensor, segments: Tensor
) -> dict[str, Callable]:
    """The usual mistakes by name, and what is right under the name of nothing."""
    words, places, kinds, gain, shift = (
        state[f"embeddings.{name}"]
        for name in (
            "word_embeddings.weight",
            "position_embeddings.weight",
            "token_type_embeddings.weight",
            "LayerNorm.weight",
            "LayerNorm.bias",
        )
    )
    d = words.size(1)

    def norm(z: Tensor, eps: float = 1e-12, affine: bool = True) -> Tensor:
        return F.layer_norm(z, (d,), *((gain, shift) if affine else (None, None)), eps)

    token, place, kind = words[ids], places[: ids.size(1)], kinds[segments]
    total = token + place + kind
    return {
        "": lambda: norm(total),
        "eps is 1e-5, the default of torch: BERT has 1e-12": lambda: norm(total, 1e-5),
        "the tokens are multiplied by √D, as in Vaswani et al.: BERT does not": lambda: norm(
            d**0.5 * token + place + kind
        ),
        "the norm is missing": lambda: total,
        "the segment vector is missing": lambda: norm(token + place),
        "segment 1 is added instead of segment 0": lambda: norm(token + place + kinds[1]),
        "every token is of segment 0": lambda: norm(token + place + kinds[0]),
        "0 and 1 of the segments are exchanged": lambda: norm(token + place + kinds[1 - segments]),
        "both segments are added": lambda: norm(token + place + kinds[0] + kinds[1]),
        "the positions are missing": lambda: norm(token + kind),
        "positions count from 1": lambda: norm(token + places[1 : ids.size(1) + 1] + kind),
        "gain and shift of the norm are left out": lambda: norm(total, affine=False),
        "the norm comes before the positions": lambda: norm(token) + place + kind,
        "the positions are sinusoids: BERT has learned ones": lambda: norm(
            token + encoderlib.sinusoids(ids.size(1), d) + kind
        ),
    }


def _check_names(got: object, state: dict[str, Tensor]) -> None:
    _require(
        isinstance(got, dict), f"from_bert must return a dictionary, got {type(got).__name__}."
    )
    wanted = _renamed(state)
    missing, more = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    _require(not missing, f"from_bert lacks {missing[:1]}, {len(missing)} in all.")
    _require(
        not more,
        f"from_bert returns {more[:1]}, which your Encoder does not have: the pooler and the "
        "embeddings are no part of it.",
    )
    for name, right in wanted.items():
        _require(
            got[name].shape == right.shape,
            f"{name} has shape {tuple(got[name].shape)} instead of {tuple(right.shape)}. Both "
            "files hold matrices as (outputs, inputs); query above key above value.",
        )
    for name, right in wanted.items():
        wrong = {f"it is {other} of the file": tensor for other, tensor in state.items()}
        if "in_proj" in name:
            q, k, v = right.chunk(3)
            wrong = {
                "the order is key, query, value": torch.cat([k, q, v]),
                "the order is query, value, key": torch.cat([q, v, k]),
                "the order is value, key, query": torch.cat([v, k, q]),
                "the query stands there three times": torch.cat([q, q, q]),
                "it comes from layer 0": wanted[name.replace("layers.1", "layers.0")],
            }
            if q.dim() == 2:
                wrong["the matrices are transposed: both files hold (outputs, inputs)"] = torch.cat(
                    [q.T, k.T, v.T]
                )
        check_close(name, got[name], right, wrong)


def _check_circle(
    state: dict, Encoder: Callable, x: Tensor, library: encoderlib.Encoder, ids: Tensor
) -> None:
    """Your encoder on BERT's weights; a wrong encoder is the matter of its own task."""
    try:
        encoder = Encoder(2, 12, 3, 20, activation="gelu", eps=1e-12)
        encoder.load_state_dict(state)
        with torch.no_grad():
            got = encoder.eval()(x, torch.tensor([5, 3]))[TOKENS]
            want = library(ids, lengths=torch.tensor([5, 3]))[TOKENS]
        equal = bool(torch.isclose(got, want, rtol=1e-4, atol=1e-4).all())
    except Exception as error:
        equal = False
        print(f"Your Encoder does not run on them yet: {type(error).__name__}.")
    print(
        "Full circle: your encoder computes BERT, equal to encoderlib."
        if equal
        else "The names are right. Your Encoder does not compute BERT yet: see its own check."
    )


# ---------------------------------------------------------------- the configuration


def check_config(EncoderConfig: Callable) -> None:
    """What must be refused, what must not, and the count."""
    good = {"d_model": 12, "n_heads": 3, "d_ff": 20, "n_layers": 2}
    _accepted(EncoderConfig, good)
    for field, value in (
        ("n_layers", 1),
        ("n_heads", 12),
        ("dropout", 0),
        ("dropout", 0.9),
        ("activation", "gelu"),
        ("norm_first", True),
    ):
        _accepted(EncoderConfig, good | {field: value})
    for field, value, why in (
        ("n_heads", 5, "5 heads do not divide the width 12"),
        ("n_heads", 24, "24 heads do not divide the width 12: which divides which?"),
        ("d_model", 0, "a width of 0"),
        ("n_heads", 0, "no head"),
        ("d_ff", 0, "an inner width of 0"),
        ("n_layers", 0, "a stack without layers"),
        ("n_layers", -1, "a negative number"),
        ("n_layers", 2.0, "a float where a count is meant"),
        ("d_model", 12.0, "a float where a count is meant"),
        ("n_layers", True, "True, which Python takes for 1"),
        ("n_layers", "2", "a text"),
        ("dropout", 1.0, "a rate of 1, which drops everything"),
        ("dropout", -0.1, "a negative rate"),
        ("dropout", float("nan"), "NaN: every comparison with it is False"),
        ("activation", "relo", "an activation that does not exist"),
        ("norm_first", "yes", "a text where True or False is meant"),
        ("norm_first", 1, "1 where True or False is meant"),
    ):
        _refused(EncoderConfig, good, field, value, why)
    for sizes in ((12, 3, 20, 2), (100, 4, 400, 1), (6, 1, 5, 3)):
        for norm_first in (False, True):
            _check_count(EncoderConfig, sizes, norm_first)
    _done("EncoderConfig")


def _accepted(make: Callable, fields: dict) -> None:
    try:
        make(**fields)
    except NotImplementedError as error:
        raise AssertionError("EncoderConfig is not written yet.") from error
    except Exception as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        raise AssertionError(
            f"EncoderConfig refuses what is possible: {shown}. It raises "
            f"{type(error).__name__}: {error}"
        ) from error


def _refused(make: Callable, good: dict, field: str, value: object, why: str) -> None:
    try:
        make(**(good | {field: value}))
    except ValueError as error:
        _require(
            field in str(error) and str(value) in str(error),
            f"the message for {field}={value!r} is {str(error)!r}: it must hold the name of the "
            "field and its value, so that the reader knows what to change.",
        )
        return
    except Exception as error:
        raise AssertionError(
            f"EncoderConfig raises {type(error).__name__} for {field}={value!r} ({why}). Make it a "
            "ValueError: an assert disappears under python -O."
        ) from error
    raise AssertionError(f"EncoderConfig accepts {field}={value!r}: {why}.")


def _check_count(make: Callable, sizes: tuple[int, int, int, int], norm_first: bool) -> None:
    d, h, f, n = sizes
    config = make(d, h, f, n, norm_first=norm_first)
    got = call_answer("n_parameters", config.n_parameters)
    layer = nn.TransformerEncoderLayer(d, h, f)
    one = sum(p.numel() for p in layer.parameters())
    right = n * one + 2 * d * norm_first
    named = {
        n * one: "the last norm of a pre-norm stack is missing",
        n * one + 2 * d: "a post-norm stack has no last norm",
        one + 2 * d * norm_first: "this is one layer",
        n * (one - 4 * d) + 2 * d * norm_first: "the norms of the layers are missing",
        n * (one - 2 * d) + 2 * d * norm_first: "each layer has two norms",
        n * (4 * d * d + 2 * d * f + 4 * d) + 2 * d * norm_first: "the biases are missing",
        n * (one - f - d)
        + 2 * d * norm_first: "the biases of the feed-forward network are missing",
        n * (one - d * d - d) + 2 * d * norm_first: "the output projection is missing",
        n * (one + (h - 1) * (4 * d * d + 4 * d)) + 2 * d * norm_first: (
            "the heads share out the same matrices, they do not multiply them"
        ),
        n * (one + 2 * d): "the last norm stands once at the end, not in every layer",
    }
    if got in named and got != right:
        raise AssertionError(
            f"n_parameters of D={d}, F={f}, N={n}, norm_first={norm_first} is not {got}: "
            f"{named[got]}."
        )
    _require(
        isinstance(got, int) and not isinstance(got, bool) and got == right,
        f"n_parameters of D={d}, H={h}, F={f}, N={n}, norm_first={norm_first} is not {got!r}: "
        "write down the matrices of one layer, with their biases.",
    )


# ---------------------------------------------------------------- debug


def check_run_stack(run_stack: Callable) -> None:
    """What each layer is told, what comes out, and what must not matter."""
    seen: list[Tensor] = []
    lengths = torch.tensor([2, 5, 4])
    tokens = torch.arange(5) < lengths[:, None]

    def recorder(number: int) -> Callable:
        def layer(x: Tensor, tokens: Tensor | None = None) -> Tensor:
            seen.append(tokens)
            return x * (number + 1) + 1

        return layer

    x = _randn(22, 3, 5, 4)
    kept = x.clone()
    got = call_answer("run_stack", run_stack, [recorder(n) for n in (1, 2, 3)], x, lengths)
    check_shape("run_stack", got, {"B": 3, "T": 5, "D": 4})
    _require(len(seen) == 3, f"of 3 layers {len(seen)} were called: each is called once.")
    for number, mask in enumerate(seen):
        _require(
            isinstance(mask, Tensor),
            f"layer {number} gets no tokens: it reads the padding, which the layers before it have "
            "filled with something.",
        )
        _require(
            mask.dtype == torch.bool and tuple(mask.shape) == (3, 5),
            f"layer {number} gets tokens of shape {tuple(mask.shape)} and {mask.dtype}: the task "
            "says boolean, (B, T).",
        )
        wrong = {
            "True stands for padding": ~tokens,
            "one place too many counts as real": torch.arange(5) <= lengths[:, None],
        }
        check_close(f"the tokens of layer {number}", mask, tokens, wrong)
    right = 4 * (3 * (2 * x + 1) + 1) + 1
    zero = ~tokens[..., None]
    outer = {
        "the padding of the result is not set to zero": right,
        "the layers run from last to first": (2 * (3 * (4 * x + 1) + 1) + 1).masked_fill(zero, 0),
        "every layer reads the input of the stack": (4 * x + 1).masked_fill(zero, 0.0),
        "the real tokens are set to zero, not the padding": right.masked_fill(~zero, 0.0),
    }
    check_close("run_stack", got, right.masked_fill(zero, 0.0), outer, 1e-4)
    _require(bool(torch.equal(x, kept)), "run_stack changes its input. Build a new tensor.")
    alone = call_answer("run_stack", run_stack, [], x, lengths)
    check_close("run_stack without layers", alone, x.masked_fill(zero, 0.0))
    _require(
        bool(torch.equal(x, kept)),
        "run_stack changes its input when there are no layers. Build a new tensor.",
    )

    def spoiled(x: Tensor, tokens: Tensor | None = None) -> Tensor:
        return x.masked_fill(zero, float("nan"))

    got = call_answer("run_stack", run_stack, [spoiled], x, lengths)
    _require(
        bool(got.isfinite().all()),
        "NaN at padded places stays in the result: zero times NaN is NaN. Fill these places.",
    )
    _done("run_stack")
