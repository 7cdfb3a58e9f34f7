"""Multi-head attention: self and cross, with a cache, relative positions, pruning (chapter 05).

Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from encoderlib.attention import attention_weights, scaled_dot_product_attention
from encoderlib.cache import KVCache

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(nn.Module):
    r"""H attentions side by side, each on its own d_model/H columns, then mixed by ``W_O``.

    ``MultiHead(X) = Concat(head_1 .. head_H) W_O``,
    ``head_h = Attention(X W_Q^h, X W_K^h, X W_V^h)``. Self-attention when called with one
    tensor, cross-attention with ``key``.

    Args:
        d_model: width D of input and output.
        n_heads: number of heads H; must divide ``d_model``.
        dropout: dropout on the attention weights, in training only.
        bias: whether the projections have biases.
        n_kv_heads: heads G of keys and values; must divide H. None = H. With fewer, H/G query
            heads share one (grouped-query attention, Ainslie et al. 2023): a smaller cache.

    Raises:
        ValueError: if ``n_heads`` does not divide ``d_model``, or ``n_kv_heads`` ``n_heads``.

    The three input projections are one matrix, ``in_proj``, as in ``nn.MultiheadAttention``
    (rows: query, key, value), so one multiplication serves self-attention. Unlike torch's
    module the mask is True = may attend and the weights have a method of their own.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        n_kv_heads: int | None = None,
    ):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} must divide d_model={d_model}")
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} must divide n_heads={n_heads}")
        self.d_model = d_model
        self.d_head = d_model // n_heads
        self.n_heads = n_heads
        self.n_kv_heads = n_kv_heads
        self.dropout = dropout
        self.in_proj = nn.Linear(d_model, sum(self.widths), bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)
        self.reset_parameters()

    @property
    def widths(self) -> tuple[int, int, int]:
        """Columns of all query, key and value heads: how ``in_proj`` is divided."""
        keys = self.n_kv_heads * self.d_head
        return self.n_heads * self.d_head, keys, keys

    def reset_parameters(self) -> None:
        """Glorot-uniform matrices and zero biases; torch draws ``out_proj`` as any Linear."""
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        if self.in_proj.bias is not None:
            nn.init.zeros_(self.in_proj.bias)
            nn.init.zeros_(self.out_proj.bias)

    def project(
        self, query: Float[Tensor, "B T D"], key: Float[Tensor, "B S D"] | None = None
    ) -> tuple[Float[Tensor, "B H T d"], Float[Tensor, "B G S d"], Float[Tensor, "B G S d"]]:
        """Project to queries, keys and values and split the heads. ``key=None``: self-attention."""
        if key is None:
            q, k, v = self.in_proj(query).split(self.widths, dim=-1)  # (B, T, H d), 2 (B, T, G d)
        else:
            q = self._project_rows(query, 0, self.widths[0])  # (B, T, H d)
            kv = self._project_rows(key, self.widths[0], None)  # (B, S, 2 G d)
            k, v = kv.chunk(2, dim=-1)
        return self.split_heads(q), self.split_heads(k), self.split_heads(v)

    def _project_rows(self, x: Tensor, start: int, stop: int | None) -> Tensor:
        """Only these rows of ``in_proj``."""
        weight, bias = self.in_proj.weight, self.in_proj.bias
        return F.linear(x, weight[start:stop], None if bias is None else bias[start:stop])

    def split_heads(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T d"]:
        """Give each head its own columns: ``(B, T, H d)`` to ``(B, H, T, d)``."""
        return x.unflatten(-1, (-1, self.d_head)).transpose(1, 2)

    def forward(
        self,
        query: Float[Tensor, "B T D"],
        key: Float[Tensor, "B S D"] | None = None,
        mask: Bool[Tensor, "#B #H #T #K"] | None = None,
        *,
        bias: Float[Tensor, "#B #H #T #K"] | None = None,
        causal: bool = False,
        positions: nn.Module | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend from ``query`` to ``key`` (to itself when ``key`` is None).

        Args:
            query: ``(B, T, D)``.
            key: ``(B, S, D)``, read as keys and as values; None means ``query``.
            mask: True = may attend; four axes, broadcastable to ``(B, H, T, S)``.
            bias: added to the scaled scores, broadcastable to ``(B, H, T, S)``.
            causal: hide the keys after each query.
            positions: relative positions (`relative`), which rotate queries and keys or add a
                bias; for self-attention.
            cache: for decoding. Self-attention appends its keys and values and attends to all
                that are stored, so S counts the earlier positions too. Cross-attention fills
                the cache at the first call and afterwards reads it, without projecting ``key``.

        Raises:
            ValueError: if the mask has not four axes: a 2-D mask cannot tell ``(B, S)``
                from ``(T, S)``.
        """
        q, k, v, bias = self._attend_to(query, key, mask, bias, positions, cache)
        dropout = self.dropout if self.training else 0.0
        heads = scaled_dot_product_attention(
            q, k, v, mask, dropout, bias=bias, causal=causal
        )  # (B, H, T, d)
        return self.out_proj(heads.transpose(1, 2).flatten(-2))  # (B, T, D)

    def weights(
        self,
        query: Float[Tensor, "B T D"],
        key: Float[Tensor, "B S D"] | None = None,
        mask: Bool[Tensor, "#B #H #T #S"] | None = None,
        *,
        bias: Float[Tensor, "#B #H #T #S"] | None = None,
        causal: bool = False,
        positions: nn.Module | None = None,
    ) -> Float[Tensor, "B H T K"]:
        """The attention weights of every head, without dropout, for looking at."""
        q, k, _, bias = self._attend_to(query, key, mask, bias, positions, None)
        return attention_weights(q, k, mask, bias=bias, causal=causal)

    def _attend_to(self, query, key, mask, bias, positions, cache):
        """Queries, keys and values of all heads, and the whole bias."""
        if mask is not None and mask.dim() != 4:
            raise ValueError(
                f"mask {tuple(mask.shape)} must have four axes, broadcastable to (B, H, T, S); "
                "use masks.padding_mask for (B, S) tokens, or mask[None, None] for a (T, S) mask"
            )
        if key is not None and cache is not None and cache.size:
            q = self.split_heads(self._project_rows(query, 0, self.widths[0]))
            return q, *cache.filled(), bias
        q, k, v = self.project(query, key)
        if positions is not None:
            q, k = positions.rotate(q, k, 0 if cache is None else cache.size)
        if cache is not None:
            k, v = cache.append(k, v)
        if positions is not None:
            relative = positions.bias(q, k.size(-2))
            if relative is not None:
                bias = relative if bias is None else bias + relative
        return q, k, v, bias

    @torch.no_grad()
    def prune(self, heads: Iterable[int]) -> None:
        """Remove heads for good: their columns go out of the matrices, the rest stays as it was.

        The function is the one that remains when the removed heads give zeros. ``n_heads``
        counts the heads that are left; what stood behind a removed head moves up (Michel et
        al. 2019; chapter 17).

        Args:
            heads: which, numbered as now, 0 .. H-1.

        Raises:
            ValueError: for a head that is not there, for all of them, or with grouped queries.
        """
        gone = set(heads)
        if not gone < set(range(self.n_heads)):
            raise ValueError(
                f"heads={sorted(gone)} must be some, not all, of 0..{self.n_heads - 1}"
            )
        if self.n_kv_heads != self.n_heads:
            raise ValueError("grouped queries share keys and values: their heads cannot be pruned")
        kept = [head for head in range(self.n_heads) if head not in gone]
        columns = torch.arange(self.n_heads * self.d_head).view(self.n_heads, -1)[kept].flatten()
        rows = torch.cat([columns + part * self.widths[0] for part in range(3)])
        for layer, axis, index in ((self.in_proj, 0, rows), (self.out_proj, 1, columns)):
            index = index.to(layer.weight.device)
            layer.weight = _selected(layer.weight, axis, index)
            if axis == 0 and layer.bias is not None:
                layer.bias = _selected(layer.bias, axis, index)
        self.in_proj.out_features, self.out_proj.in_features = len(rows), len(columns)
        self.n_heads = self.n_kv_heads = len(kept)


def _selected(parameter: nn.Parameter, axis: int, index: Tensor) -> nn.Parameter:
    return nn.Parameter(parameter.index_select(axis, index), parameter.requires_grad)
