"""The encoder as tutorials write it: every step of the equations spelled out.

In the manner of "The Annotated Transformer": separate projections for queries, keys and values,
scores filled with minus infinity where hidden, a softmax, and a layer norm by hand. Post-norm.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class HandWrittenNorm(nn.Module):
    """Layer norm from its formula: mean, variance, gain, bias."""

    def __init__(self, d_model: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """``(x - mean) / sqrt(variance + eps) * weight + bias``."""
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred / torch.sqrt(variance + self.eps) * self.weight + self.bias


class AnnotatedLayer(nn.Module):
    """One post-norm encoder layer."""

    def __init__(self, d_model: int, heads: int, d_ff: int, eps: float):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm1 = HandWrittenNorm(d_model, eps)
        self.norm2 = HandWrittenNorm(d_model, eps)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``; mask ``(B, 1, 1, T)``, True = may attend."""
        batch, length, d_model = x.shape

        def split(z: Tensor) -> Tensor:
            return z.view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, T, d)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))  # (B, H, T, T)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        heads = torch.matmul(torch.softmax(scores, dim=-1), v)  # (B, H, T, d)
        heads = heads.transpose(1, 2).contiguous().view(batch, length, d_model)  # (B, T, D)
        x = self.norm1(x + self.out(heads))
        return self.norm2(x + self.linear2(F.gelu(self.linear1(x))))


class AnnotatedEncoder(nn.Module):
    """A stack of them."""

    def __init__(self, d_model: int, heads: int, d_ff: int, layers: int, eps: float):
        super().__init__()
        self.layers = nn.ModuleList(
            AnnotatedLayer(d_model, heads, d_ff, eps) for _ in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``(B, T, D)`` to ``(B, T, D)``."""
        for layer in self.layers:
            x = layer(x, mask)
        return x
