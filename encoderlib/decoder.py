"""The decoder layer and the stack: causal self-attention, then a look at the source (chapter 10).

Sources: Vaswani et al. 2017, section 3.1 (post-norm); Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture" (pre-norm).
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoderlib.cache import KVCache
from encoderlib.config import EncoderConfig
from encoderlib.encoder import make_norm
from encoderlib.feedforward import FeedForward
from encoderlib.multihead import MultiHeadAttention
from encoderlib.relative import make_relative

__all__ = ["Decoder", "DecoderLayer", "LayerCache"]


@dataclasses.dataclass
class LayerCache:
    """What one decoder layer keeps between steps: `Decoder.make_caches` makes one a layer.

    Args:
        target: keys and values of the target positions written so far.
        memory: keys and values of the source, filled at the first step.
    """

    target: KVCache
    memory: KVCache

    def reorder(self, index: Int[Tensor, " B"]) -> None:
        """Row b goes on from row ``index[b]``, which must read the same source.

        So the source's keys and values stay where they are: beams of one sentence share them.
        """
        self.target.reorder(index)


class DecoderLayer(nn.Module):
    r"""Causal self-attention, attention to the encoder's output, a feed-forward network.

    Post-norm: ``h = LN(x + MHA(x))``, ``g = LN(h + MHA(h, memory))``, ``y = LN(g + FFN(g))``.
    Pre-norm: ``h = x + MHA(LN(x))``, ``g = h + MHA(LN(h), memory)``, ``y = g + FFN(LN(g))``.

    The same function as ``nn.TransformerDecoderLayer`` with ``batch_first=True`` and a causal
    ``tgt_mask``, which torch leaves to the caller: here a target position never sees a later one.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.norm_first = config.norm_first
        self.self_attention = _attention(config)
        self.cross_attention = _attention(config)
        self.feedforward = FeedForward(
            config.d_model,
            config.d_ff,
            config.activation,
            config.dropout,
            gated=config.gated,
            bias=config.bias,
        )
        self.norm1 = make_norm(config)
        self.norm2 = make_norm(config)
        self.norm3 = make_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        memory: Float[Tensor, "B S D"],
        mask: Bool[Tensor, "#B #H #T #K"] | None = None,
        memory_mask: Bool[Tensor, "#B #H #T #S"] | None = None,
        cache: LayerCache | None = None,
        positions: nn.Module | None = None,
    ) -> Float[Tensor, "B T D"]:
        """``(B, T, D)`` to ``(B, T, D)``; arguments as for `Decoder.forward`.

        ``positions`` are relative ones (`relative`), of the target among itself.
        """
        target, source = (None, None) if cache is None else (cache.target, cache.memory)
        causal = x.size(1) > 1  # one new position may see all that are stored
        of_target = {"mask": mask, "causal": causal, "positions": positions, "cache": target}
        of_source = {"key": memory, "mask": memory_mask, "cache": source}
        if self.norm_first:
            x = x + self.dropout(self.self_attention(self.norm1(x), **of_target))
            x = x + self.dropout(self.cross_attention(self.norm2(x), **of_source))
            return x + self.dropout(self.feedforward(self.norm3(x)))
        x = self.norm1(x + self.dropout(self.self_attention(x, **of_target)))
        x = self.norm2(x + self.dropout(self.cross_attention(x, **of_source)))
        return self.norm3(x + self.dropout(self.feedforward(x)))


class Decoder(nn.Module):
    """A stack of N `DecoderLayer` s; pre-norm stacks end with one more norm.

    It starts from vectors and ends with vectors: `EncoderDecoder` puts the embedding before it
    and the output projection behind it. Like ``nn.TransformerDecoder``, but causal by itself.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.n_layers))
        self.norm = make_norm(config) if config.norm_first else nn.Identity()
        # As in `Encoder`: Shaw et al. learn a table for each layer, the others share one.
        d_head = config.d_model // config.n_heads
        self.positions = nn.ModuleList(
            make_relative(config.positions, config.n_heads, d_head, bidirectional=False)
            for _ in range({None: 0, "shaw": config.n_layers}.get(config.positions, 1))
        )

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        memory: Float[Tensor, "B S D"],
        mask: Bool[Tensor, "#B #H #T #K"] | None = None,
        memory_mask: Bool[Tensor, "#B #H #T #S"] | None = None,
        caches: list[LayerCache] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Each target vector in the context of the earlier ones and of the source.

        Args:
            x: target ``(B, T, D)``; with ``caches`` the T new positions only.
            memory: the encoder's output ``(B, S, D)``.
            mask: True = may attend, to hide target positions beside the causal ones;
                broadcastable to ``(B, H, T, K)``, where K counts the cached positions too.
                Padding on the right needs none: no real position sees what follows it.
            memory_mask: True = may attend, broadcastable to ``(B, H, T, S)``: hides padding
                of the source.
            caches: from `make_caches`, for decoding step by step without autograd.

        Raises:
            ValueError: if there is not one cache a layer.
        """
        if caches is not None and len(caches) != len(self.layers):
            raise ValueError(
                f"{len(caches)} caches for {len(self.layers)} layers; use Decoder.make_caches"
            )
        for i, layer in enumerate(self.layers):
            cache = None if caches is None else caches[i]
            positions = self.positions[i % len(self.positions)] if self.positions else None
            x = layer(x, memory, mask, memory_mask, cache, positions)
        return self.norm(x)

    def make_caches(self, batch: int, length: int, source_length: int) -> list[LayerCache]:
        """Empty caches, one a layer, for ``length`` target and ``source_length`` source positions.

        On the device of the parameters and in their dtype, or in autocast's where that is on.
        """
        parameter = next(self.parameters())
        kind, dtype = parameter.device.type, parameter.dtype
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)  # what the projections then return
        like = {"dtype": dtype, "device": parameter.device}
        return [
            LayerCache(
                _empty_cache(layer.self_attention, batch, length, **like),
                _empty_cache(layer.cross_attention, batch, source_length, **like),
            )
            for layer in self.layers
        ]


def _attention(config: EncoderConfig) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.d_model,
        config.n_heads,
        dropout=config.attention_dropout,
        bias=config.bias,
        n_kv_heads=config.n_kv_heads,
    )


def _empty_cache(attention: MultiHeadAttention, batch: int, length: int, **like) -> KVCache:
    return KVCache(batch, attention.n_kv_heads, length, attention.d_head, **like)
