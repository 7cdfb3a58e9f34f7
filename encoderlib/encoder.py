"""The encoder layer and the stack (chapter 08).

Sources: Vaswani et al. 2017, section 3.1 (post-norm); Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture" (pre-norm).
"""

import os

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoderlib import pretrained
from encoderlib.config import EncoderConfig
from encoderlib.feedforward import FeedForward
from encoderlib.masks import combine_masks, lengths_to_tokens, padding_mask
from encoderlib.multihead import MultiHeadAttention
from encoderlib.norms import LayerNorm, RMSNorm
from encoderlib.packing import Packing, lengths_from_mask, pack_when_it_pays, packed_attention
from encoderlib.relative import make_relative

__all__ = ["Encoder", "EncoderLayer", "make_norm"]


def make_norm(config: EncoderConfig) -> nn.Module:
    """The norm that a configuration asks for."""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.eps)
    return LayerNorm(config.d_model, config.eps, bias=config.bias)


class EncoderLayer(nn.Module):
    r"""Self-attention, then a feed-forward network; each in a residual with a norm.

    Post-norm: ``h = LN(x + MHA(x))``, ``y = LN(h + FFN(h))``.
    Pre-norm: ``h = x + MHA(LN(x))``, ``y = h + FFN(LN(h))``.

    The same function as ``nn.TransformerEncoderLayer`` with ``batch_first=True``; the mask is
    True = may attend, and there is one mask instead of two.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.norm_first = config.norm_first
        self.attention = MultiHeadAttention(
            config.d_model,
            config.n_heads,
            dropout=config.attention_dropout,
            bias=config.bias,
            n_kv_heads=config.n_kv_heads,
        )
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
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "*batch D"],
        mask: Bool[Tensor, "#B #H #T #S"] | None = None,
        positions: nn.Module | None = None,
        packing: Packing | None = None,
    ) -> Float[Tensor, "*batch D"]:
        """``(B, T, D)`` to ``(B, T, D)``; mask and positions as for `MultiHeadAttention`.

        With ``packing``, ``x`` is a packed batch ``(N, D)`` and the mask is not used.
        """
        if self.norm_first:
            x = x + self.dropout(self._attend(self.norm1(x), mask, positions, packing))
            return x + self.dropout(self.feedforward(self.norm2(x)))
        x = self.norm1(x + self.dropout(self._attend(x, mask, positions, packing)))
        return self.norm2(x + self.dropout(self.feedforward(x)))

    def _attend(self, x, mask, positions, packing) -> Tensor:
        """Self-attention of a padded batch, or of a packed one."""
        if packing is not None:
            return packed_attention(self.attention, x, packing, positions)
        return self.attention(x, mask=mask, positions=positions)

    def attention_input(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """What this layer's attention sees of ``x``."""
        return self.norm1(x) if self.norm_first else x


class Encoder(nn.Module):
    """A stack of N `EncoderLayer` s; pre-norm stacks end with one more norm.

    Args:
        config: sizes and choices.
        embedding: what turns the input into vectors ``(B, T, D)``. None: the input *is* vectors,
            as in `TextClassifier` and `ImageClassifier`, which bring embeddings of their own.

    Padding is not computed where that pays: the encoder packs the batch by itself (`packing`),
    and takes and gives padded tensors. What then stands at padded positions is not defined.
    torch's encoder does so for inference only.
    """

    def __init__(self, config: EncoderConfig, embedding: nn.Module | None = None):
        super().__init__()
        self.config = config
        self.embedding = embedding
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_layers))
        self.norm = make_norm(config) if config.norm_first else nn.Identity()
        # Shaw et al. learn a table for each layer; the others have one for all, or no parameters.
        self.positions = nn.ModuleList(
            make_relative(config.positions, config.n_heads, config.d_model // config.n_heads)
            for _ in range({None: 0, "shaw": config.n_layers}.get(config.positions, 1))
        )
        self.layout = "encoderlib"

    def forward(
        self,
        x: Tensor,
        mask: Bool[Tensor, "#B #H #T #S"] | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        *,
        pack: bool | None = None,
        **inputs: Tensor,
    ) -> Float[Tensor, "B T D"]:
        """``(B, T, D)`` to ``(B, T, D)``, each vector now in the context of the others.

        Args:
            x: ``(B, T, D)``, or what the embedding takes: ids ``(B, T)``, images.
            mask: True = may attend, broadcastable to ``(B, H, T, T)``.
            lengths: ``(B,)``, real tokens of each sequence; instead of, or besides, the mask.
            pack: None packs a batch with padding when it pays; True always (the padding must
                be at the end), False never, which ``torch.compile`` needs for a static graph.
            inputs: more of what the embedding takes, such as ``segments``.

        Raises:
            ValueError: if ``pack=True`` and the mask is not a padding mask, or if ``lengths``
                are not one for each sequence.
            TypeError: for ``inputs`` without an embedding to take them.
        """
        x = self._embed(x, inputs)  # (B, T, D)
        packing = self._packing(x, mask, lengths, pack)
        if packing is not None:
            x, mask = packing.pack(x), None  # (B, T, D) -> (N, D)
        elif lengths is not None:
            mask = combine_masks(mask, padding_mask(lengths_to_tokens(lengths, x.size(1))))
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, self._positions(i), packing)
        x = self.norm(x)
        return x if packing is None else packing.unpack(x)  # (N, D) -> (B, T, D)

    def _embed(self, x: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        if self.embedding is not None:
            return self.embedding(x, **inputs)
        if inputs:  # a misspelt mask, perhaps
            raise TypeError(f"{sorted(inputs)} given to an encoder without an embedding")
        return x

    def _packing(self, x, mask, lengths, pack) -> Packing | None:
        """How to pack this batch, or None for leaving it as it is."""
        if lengths is not None and lengths.shape != x.shape[:1]:
            raise ValueError(f"lengths {tuple(lengths.shape)} for a batch of {x.size(0)} sequences")
        if pack is False or (mask is None and lengths is None):
            return None
        if mask is not None:
            fits = mask.size(-1) == x.size(1) and mask.size(0) in (1, x.size(0))
            lengths = lengths_from_mask(mask) if fits and lengths is None else None
            if lengths is not None:
                lengths = lengths.expand(x.size(0))  # from one row for the whole batch
        if lengths is None:
            if pack:
                raise ValueError("only sequences that are padded at the end can be packed")
            return None
        if pack:
            return Packing.plan(lengths, x.size(1))
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        return pack_when_it_pays(lengths, x.size(1), x.size(2), dtype)

    def _positions(self, layer: int) -> nn.Module | None:
        return self.positions[layer % len(self.positions)] if self.positions else None

    def attention_maps(
        self,
        x: Tensor,
        mask: Bool[Tensor, "#B #H #T #S"] | None = None,
        **inputs: Tensor,
    ) -> list[Float[Tensor, "B H T T"]]:
        """The attention weights of every layer for input ``x``, first layer first."""
        x = self._embed(x, inputs)  # (B, T, D)
        maps = []
        for i, layer in enumerate(self.layers):
            positions = self._positions(i)
            given = layer.attention_input(x)
            maps.append(layer.attention.weights(given, mask=mask, positions=positions))
            x = layer(x, mask, positions)
        return maps

    @classmethod
    def from_pretrained(
        cls, path: str | os.PathLike, dtype: torch.dtype = torch.float32
    ) -> "Encoder":
        """An encoder with its embedding and weights, from a folder or a hub id, in eval mode.

        Reads BERT, RoBERTa, ERNIE, DistilBERT, ViT and DeiT in Hugging Face's layout
        (``config.json`` and ``model.safetensors``) and what `save_pretrained` wrote. Its outputs
        are Hugging Face's ``last_hidden_state``. Errors and details: `pretrained.read`.
        """
        config, embedding, state, layout = pretrained.read(path, dtype=dtype)
        encoder = cls(config, embedding)
        encoder.load_state_dict(state)
        encoder.layout = layout
        return encoder.to(dtype).eval()

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write ``config.json`` and ``model.safetensors``, in the layout they were read from.

        Details and errors: `pretrained.write`.
        """
        pretrained.write(self.state_dict(), self.config, self.embedding, self.layout, directory)
