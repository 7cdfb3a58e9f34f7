"""What encoderlib is compared with, each built with the weights of our encoder.

All are post-norm, gelu, without dropout, as BERT is, and are called with ``x`` ``(B, T, D)`` and
``tokens`` ``(B, T)``, True where real, or None for a batch without padding. Making a mask of the
tokens is part of the work, since a user has to make it too.
"""

import warnings
from collections.abc import Callable

import torch
from annotated import AnnotatedEncoder
from torch import Tensor, nn

from encoderlib import Encoder, EncoderConfig, padding_mask

OURS = "encoderlib"
PADDED = "encoderlib, not packed"


class Ours(nn.Module):
    """encoderlib; ``pack`` as for `Encoder`: None packs by itself when that pays."""

    def __init__(self, encoder: Encoder, pack: bool | None = None):
        super().__init__()
        self.encoder = encoder
        self.pack = pack

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``."""
        mask = None if tokens is None else padding_mask(tokens)
        return self.encoder(x, mask, pack=self.pack)


class TorchEncoder(nn.Module):
    """``nn.TransformerEncoder`` as it comes: nested tensors where it uses them by itself."""

    def __init__(self, ours: Encoder):
        super().__init__()
        c = ours.config
        layer = nn.TransformerEncoderLayer(
            c.d_model, c.n_heads, c.d_ff, 0.0, "gelu", c.eps, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, c.n_layers)
        for to, layer in zip(self.encoder.layers, ours.layers, strict=True):
            attention = {"in_proj_" + n: p for n, p in layer.attention.in_proj.state_dict().items()}
            attention |= {
                "out_proj." + n: p for n, p in layer.attention.out_proj.state_dict().items()
            }
            to.self_attn.load_state_dict(attention)
            to.linear1.load_state_dict(layer.feedforward.linear1.state_dict())
            to.linear2.load_state_dict(layer.feedforward.linear2.state_dict())
            to.norm1.load_state_dict(layer.norm1.state_dict())
            to.norm2.load_state_dict(layer.norm2.state_dict())

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``; zeros at padding on the nested path."""
        return self.encoder(x, src_key_padding_mask=None if tokens is None else ~tokens)


class HuggingFace(nn.Module):
    """The encoder of ``BertModel``, with the mask that the model would make for it."""

    def __init__(self, ours: Encoder, attention: str):
        super().__init__()
        from transformers import BertConfig, BertModel
        from transformers.masking_utils import create_bidirectional_mask

        c = ours.config
        config = BertConfig(
            vocab_size=2,
            hidden_size=c.d_model,
            num_hidden_layers=c.n_layers,
            num_attention_heads=c.n_heads,
            intermediate_size=c.d_ff,
            hidden_act="gelu",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            layer_norm_eps=c.eps,
            attn_implementation=attention,
        )
        self.config, self.make_mask = config, create_bidirectional_mask
        self.encoder = BertModel(config, add_pooling_layer=False).encoder
        for to, layer in zip(self.encoder.layer, ours.layers, strict=True):
            parts = to.attention.self
            copy_rows(layer.attention.in_proj, [parts.query, parts.key, parts.value])
            to.attention.output.dense.load_state_dict(layer.attention.out_proj.state_dict())
            to.attention.output.LayerNorm.load_state_dict(layer.norm1.state_dict())
            to.intermediate.dense.load_state_dict(layer.feedforward.linear1.state_dict())
            to.output.dense.load_state_dict(layer.feedforward.linear2.state_dict())
            to.output.LayerNorm.load_state_dict(layer.norm2.state_dict())

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``."""
        mask = self.make_mask(self.config, x, tokens)
        return self.encoder(x, attention_mask=mask).last_hidden_state


class XTransformers(nn.Module):
    """x-transformers' ``Encoder``; its attention and its norms have no biases."""

    def __init__(self, ours: Encoder, flash: bool):
        super().__init__()
        from x_transformers import Encoder as XEncoder

        c = ours.config
        self.encoder = XEncoder(
            dim=c.d_model,
            depth=c.n_layers,
            heads=c.n_heads,
            attn_dim_head=c.d_model // c.n_heads,
            attn_flash=flash,
            ff_mult=c.d_ff / c.d_model,
            pre_norm=False,
            verbose=False,
        )
        pairs = zip(self.encoder.layers[::2], self.encoder.layers[1::2], ours.layers, strict=True)
        for (norm1, attention, _), (norm2, feedforward, _), layer in pairs:
            copy_rows(layer.attention.in_proj, [attention.to_q, attention.to_k, attention.to_v])
            attention.to_out.weight.data.copy_(layer.attention.out_proj.weight.data)
            feedforward.ff[0][0].load_state_dict(layer.feedforward.linear1.state_dict())
            feedforward.ff[2].load_state_dict(layer.feedforward.linear2.state_dict())
            for to, norm in ((norm1[-1], layer.norm1), (norm2[-1], layer.norm2)):
                to.gamma.data.copy_(norm.weight.data - float(to.unit_offset))

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``."""
        return self.encoder(x, mask=tokens)


class Annotated(nn.Module):
    """The tutorial's way (`annotated`)."""

    def __init__(self, ours: Encoder):
        super().__init__()
        c = ours.config
        self.encoder = AnnotatedEncoder(c.d_model, c.n_heads, c.d_ff, c.n_layers, c.eps)
        for to, layer in zip(self.encoder.layers, ours.layers, strict=True):
            copy_rows(layer.attention.in_proj, [to.query, to.key, to.value])
            to.out.load_state_dict(layer.attention.out_proj.state_dict())
            to.linear1.load_state_dict(layer.feedforward.linear1.state_dict())
            to.linear2.load_state_dict(layer.feedforward.linear2.state_dict())
            to.norm1.load_state_dict(layer.norm1.state_dict())
            to.norm2.load_state_dict(layer.norm2.state_dict())

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``."""
        return self.encoder(x, None if tokens is None else padding_mask(tokens))


def copy_rows(source: nn.Linear, targets: list[nn.Linear]) -> None:
    """Divide one matrix, and its bias where there is one to fill, among several."""
    weights, biases = source.weight.data.chunk(len(targets)), source.bias.data.chunk(len(targets))
    for target, weight, bias in zip(targets, weights, biases, strict=True):
        target.weight.data.copy_(weight)
        if target.bias is not None:
            target.bias.data.copy_(bias)


PEERS: dict[str, Callable[[Encoder], nn.Module]] = {
    "torch.nn": TorchEncoder,
    "HF eager": lambda ours: HuggingFace(ours, "eager"),
    "HF sdpa": lambda ours: HuggingFace(ours, "sdpa"),
    "x-transformers": lambda ours: XTransformers(ours, flash=True),
    "x-transf. plain": lambda ours: XTransformers(ours, flash=False),
    "annotated": Annotated,
}
WITHOUT_BIASES = ("x-transformers", "x-transf. plain")
#: Peers of every table; "x-transf. plain" joins where plain attention can win.
USUAL = ("torch.nn", "HF eager", "HF sdpa", "x-transformers", "annotated")


def expect_warnings() -> None:
    """torch.nn says that the nested tensors of its fast path are a prototype."""
    warnings.filterwarnings("ignore", message=".*nested tensors.*", category=UserWarning)


def our_encoder(d_model: int, heads: int, layers: int) -> Encoder:
    """Post-norm, gelu, no dropout, as BERT."""
    torch.manual_seed(0)
    return Encoder(EncoderConfig(d_model, heads, 4 * d_model, layers, 0.0, norm_first=False))


def build(ours: Encoder, names: tuple[str, ...]) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Each peer with our weights; the second dictionary says which are not installed."""
    expect_warnings()
    built, missing = {}, {}
    for name in names:
        try:
            built[name] = PEERS[name](ours)
        except ImportError as error:
            missing[name] = f"not installed: {error.name}"
    return built, missing


def lengths_of_fill(batch: int, length: int, fill: float, seed: int = 0) -> Tensor:
    """Lengths ``(B,)`` drawn uniformly from 1..T, then scaled so that their mean is ``fill * T``.

    The longest is T: else every peer could cut the padding that all sequences share.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(1, length + 1, (batch,), generator=generator).double()
    longest = int(drawn.argmax())
    rest = torch.arange(batch) != longest
    wanted = max(fill * batch * length - length, 0.0)  # for all but the longest
    low, high = 0.0, float(length)
    for _ in range(60):  # the factor by bisection: lengths are cut to 1..T
        factor = (low + high) / 2
        below = (drawn[rest] * factor).clamp(1, length).sum() < wanted
        low, high = (factor, high) if below else (low, factor)
    lengths = (drawn * high).round().clamp(1, length).long()
    lengths[longest] = length
    return lengths


@torch.no_grad()
def difference(name: str, d_model: int = 64, heads: int = 4, layers: int = 2) -> tuple[float, int]:
    """Largest difference to our outputs at real tokens, padded and not; and the parameters.

    Biases are random where the peer has all of them.
    """
    expect_warnings()
    ours = our_encoder(d_model, heads, layers).eval()
    if name not in WITHOUT_BIASES:
        for parameter in ours.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) / 10)
    peer = PEERS[name](ours)
    x = torch.randn(5, 24, d_model)
    tokens = torch.arange(24) < lengths_of_fill(5, 24, 0.5)[:, None]
    worst = 0.0
    for real in (None, tokens):
        for training in (False, True):  # torch.nn has another path for each
            peer.train(training)
            gap = peer(x, real) - Ours(ours)(x, real)
            worst = max(worst, float((gap if real is None else gap[real]).abs().max()))
    return worst, sum(parameter.numel() for parameter in peer.parameters())
