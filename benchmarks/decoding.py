"""Greedy decoding: with a cache, without, and by a loop over ``nn.Transformer``."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from encoderlib.config import EncoderConfig
from encoderlib.decoding import greedy
from encoderlib.seq2seq import EncoderDecoder

OURS = "encoderlib, cache"
WITHOUT = "encoderlib, no cache"
TORCH = "nn.Transformer, loop"


def our_model(d_model: int, heads: int, layers: int, vocabulary: int) -> EncoderDecoder:
    """Pre-norm with random weights, which never writes the end: all runs are equally long."""
    torch.manual_seed(0)
    config = EncoderConfig(d_model, heads, 4 * d_model, layers, dropout=0.0)
    model = EncoderDecoder(vocabulary, vocabulary, config, tie_output=False).eval()
    with torch.no_grad():
        model.output.bias[[model.padding_id, model.end_id]] = -1e9
    return model


class TorchLoop:
    """``nn.Transformer`` with our weights, between our embedding and our output projection.

    The source is encoded once; each step runs the decoder on all that is written.
    """

    def __init__(self, ours: EncoderDecoder):
        c = ours.decoder.config
        self.ours = ours
        warnings.filterwarnings("ignore", message="enable_nested_tensor", category=UserWarning)
        self.transformer = nn.Transformer(
            c.d_model,
            c.n_heads,
            c.n_layers,
            c.n_layers,
            c.d_ff,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        ).eval()
        device = next(ours.parameters()).device
        self.transformer.to(device)
        for ours_half, theirs in (
            (ours.encoder, self.transformer.encoder),
            (ours.decoder, self.transformer.decoder),
        ):
            theirs.norm.load_state_dict(ours_half.norm.state_dict())
            for to, layer in zip(theirs.layers, ours_half.layers, strict=True):
                copy_layer(to, layer)

    @torch.inference_mode()
    def __call__(self, source: Tensor, steps: int) -> Tensor:
        """Tokens ``(B, steps)``."""
        model = self.ours
        memory = self.transformer.encoder(model.positions(model.source_embedding(source)))
        written = source.new_full((source.size(0), 1), model.start_id)  # (B, 1)
        for length in range(1, steps + 1):
            mask = nn.Transformer.generate_square_subsequent_mask(length, device=source.device)
            x = model.positions(model.target_embedding(written))  # (B, t, D)
            x = self.transformer.decoder(x, memory, tgt_mask=mask, tgt_is_causal=True)
            newest = model.output(x[:, -1]).argmax(dim=-1, keepdim=True)  # (B, 1)
            written = torch.cat([written, newest], dim=1)
        return written[:, 1:]


def copy_layer(to: nn.Module, layer: nn.Module) -> None:
    """Our encoder or decoder layer's weights into torch's."""
    pairs = [(to.self_attn, getattr(layer, "self_attention", None) or layer.attention)]
    if hasattr(layer, "cross_attention"):
        pairs.append((to.multihead_attn, layer.cross_attention))
        to.norm3.load_state_dict(layer.norm3.state_dict())
    for theirs, ours in pairs:
        theirs.in_proj_weight.data.copy_(ours.in_proj.weight.data)
        theirs.in_proj_bias.data.copy_(ours.in_proj.bias.data)
        theirs.out_proj.load_state_dict(ours.out_proj.state_dict())
    to.linear1.load_state_dict(layer.feedforward.linear1.state_dict())
    to.linear2.load_state_dict(layer.feedforward.linear2.state_dict())
    to.norm1.load_state_dict(layer.norm1.state_dict())
    to.norm2.load_state_dict(layer.norm2.state_dict())


def decoders(model: EncoderDecoder, source: Tensor, steps: int) -> dict[str, Callable[[], Tensor]]:
    """The three ways to write ``steps`` tokens."""
    loop = TorchLoop(model)

    def ours(use_cache: bool) -> Tensor:
        with torch.inference_mode():
            return greedy(model, source, steps, use_cache=use_cache)

    return {
        OURS: lambda: ours(True),
        WITHOUT: lambda: ours(False),
        TORCH: lambda: loop(source, steps),
    }
