"""The encoder layer and the stack (chapter 08).

Sources: Vaswani et al. 2017, section 3.1 (post-norm); Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture" (pre-norm).
"""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoderlib.attention import MultiHeadAttention
from encoderlib.config import EncoderConfig
from encoderlib.feedforward import FeedForward
from encoderlib.norms import LayerNorm

__all__ = ["Encoder", "EncoderLayer"]


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
            config.d_model, config.n_heads, dropout=config.attention_dropout
        )
        self.feedforward = FeedForward(
            config.d_model, config.d_ff, config.activation, config.dropout
        )
        self.norm1 = LayerNorm(config.d_model, config.eps)
        self.norm2 = LayerNorm(config.d_model, config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "#B #H #T #S"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """``(B, T, D)`` to ``(B, T, D)``; mask as for `MultiHeadAttention`."""
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm1(x), mask=mask))
            return x + self.dropout(self.feedforward(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x, mask=mask)))
        return self.norm2(x + self.dropout(self.feedforward(x)))

    def attention_input(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """What this layer's attention sees of ``x``."""
        return self.norm1(x) if self.norm_first else x


class Encoder(nn.Module):
    """A stack of N `EncoderLayer` s; pre-norm stacks end with one more norm.

    It starts from vectors, not from ids: `TextClassifier` and `ImageClassifier` put the
    embeddings before it and a head behind it.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.n_layers))
        self.norm = LayerNorm(config.d_model, config.eps) if config.norm_first else nn.Identity()

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "#B #H #T #S"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """``(B, T, D)`` to ``(B, T, D)``, each vector now in the context of the others."""
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)

    def attention_maps(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "#B #H #T #S"] | None = None
    ) -> list[Float[Tensor, "B H T T"]]:
        """The attention weights of every layer for input ``x``, first layer first."""
        maps = []
        for layer in self.layers:
            maps.append(layer.attention.weights(layer.attention_input(x), mask=mask))
            x = layer(x, mask)
        return maps
