"""The key-value cache: what attention need not compute twice while decoding (chapter 10)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["KVCache"]


class KVCache:
    """Keys and values of the positions seen so far, in buffers of a fixed size.

    A decoder that writes one token at a time needs the keys and values of all earlier tokens
    again at each step. They do not change, so they are kept. The buffers are allocated once:
    a step writes into them and reallocates nothing, unlike a cache that grows by ``torch.cat``.

    For inference: `append` writes in place, which autograd cannot undo.

    Args:
        batch: B.
        n_kv_heads: heads G of the keys and values.
        length: positions that fit.
        d_head: width d of a head.
        dtype, device: of the buffers.

    Attributes:
        k, v: the buffers, ``(B, G, length, d)``; only the first ``size`` positions hold anything.
        size: positions filled.
    """

    def __init__(
        self,
        batch: int,
        n_kv_heads: int,
        length: int,
        d_head: int,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        shape = (batch, n_kv_heads, length, d_head)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.size = 0

    def append(
        self, k: Float[Tensor, "B G T d"], v: Float[Tensor, "B G T d"]
    ) -> tuple[Float[Tensor, "B G S d"], Float[Tensor, "B G S d"]]:
        """Store T new positions; return views of all S = `size` positions stored so far.

        Raises:
            ValueError: if they do not fit, in length or in shape.
        """
        end = self.size + k.size(-2)
        batch, heads, length, width = self.k.shape
        if k.shape != v.shape or (*k.shape[:2], k.size(3)) != (batch, heads, width):
            raise ValueError(
                f"keys {tuple(k.shape)} and values {tuple(v.shape)} do not fit a cache for "
                f"({batch}, {heads}, T, {width})"
            )
        if end > length:
            raise ValueError(
                f"the cache holds {length} positions, {self.size} are taken and {k.size(-2)} "
                "more came; make it with a larger length"
            )
        self.k[:, :, self.size : end] = k
        self.v[:, :, self.size : end] = v
        self.size = end
        return self.filled()

    def filled(self) -> tuple[Float[Tensor, "B G S d"], Float[Tensor, "B G S d"]]:
        """Views of the positions stored so far."""
        return self.k[:, :, : self.size], self.v[:, :, : self.size]

    def reorder(self, index: Int[Tensor, " B"]) -> None:
        """Row b becomes what row ``index[b]`` was: beam search goes on from other beams."""
        k, v = self.filled()
        k.copy_(k[index])  # the indexed copy is complete before it is written back
        v.copy_(v[index])
