"""Packing: padded batches in and out, but no work on padding in between (chapter 09).

Linear maps, norms and feed-forward networks treat each token by itself, so they may as well run
on one long list of the real tokens. Only attention needs to know which tokens belong together:
it runs on groups of sequences of similar lengths.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoderlib.attention import scaled_dot_product_attention
from encoderlib.masks import lengths_to_tokens, padding_mask
from encoderlib.multihead import MultiHeadAttention

__all__ = ["Group", "Packing", "lengths_from_mask", "pack_when_it_pays", "packed_attention"]

# What one more group costs: the tokens whose linear maps take as long, times D squared. Measured
# on a CPU, where the time goes into calls; in bfloat16 its linear maps are ten times as fast.
# That of other devices is an estimate: launching kernels takes long, and multiplying does not.
GROUP_COST = {"cpu": 100_000, "other": 400_000_000}
# What packing, unpacking and planning cost, in groups.
FIXED_COST = 2


@dataclasses.dataclass(frozen=True)
class Group:
    """Sequences of similar lengths that stand together in a packed batch.

    Args:
        batch: number of sequences b.
        length: padded length t inside of the group: that of its longest sequence.
        mask: ``(b, 1, 1, t)``, True = may attend; None when all have the same length.
    """

    batch: int
    length: int
    mask: Bool[Tensor, "b 1 1 t"] | None


@dataclasses.dataclass(frozen=True)
class Packing:
    """Where the tokens of a padded batch stand in a packed one.

    Args:
        index: ``(N,)``: row n of the packed batch is row ``index[n]`` of the flat padded one.
        groups: in the order in which they stand.
        shape: ``(B, T)`` of the padded batch.
    """

    index: Int[Tensor, " N"]
    groups: tuple[Group, ...]
    shape: tuple[int, int]

    @classmethod
    def plan(cls, lengths: Int[Tensor, " B"], size: int, slack: int = 0) -> "Packing":
        """Sort by length and cut into groups.

        Args:
            lengths: real tokens of each sequence, ``(B,)``.
            size: padded length T.
            slack: padding that a group may hold, in tokens, before another group is begun.
                0 gives each length its own group, without any padding.

        Raises:
            ValueError: if a length is negative or larger than ``size``.
        """
        real = lengths_to_tokens(lengths, size)  # (B, T); checks the lengths
        order = lengths.argsort(descending=True, stable=True)
        index, groups, start = [order[:0]], [], 0
        ordered = [length for length in lengths[order].tolist() if length]  # nothing of empty ones
        for stop in _cuts(ordered, slack):
            rows, longest = order[start:stop], ordered[start]
            index.append((rows[:, None] * size + _arange(longest, rows)).flatten())
            same = ordered[stop - 1] == longest
            mask = None if same else padding_mask(real[rows, :longest])
            groups.append(Group(stop - start, longest, mask))
            start = stop
        return cls(torch.cat(index), tuple(groups), (len(lengths), size))

    def pack(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "N D"]:
        """Take the tokens out of the padded batch.

        Raises:
            ValueError: if ``x`` is not of the shape that was planned.
        """
        if x.shape[:2] != self.shape:
            raise ValueError(f"x {tuple(x.shape)} does not fit a packing of {self.shape} tokens")
        return x.flatten(0, 1).index_select(0, self.index)

    def unpack(self, packed: Float[Tensor, "N D"]) -> Float[Tensor, "B T D"]:
        """Put them back, with zeros where `pack` took nothing."""
        flat = packed.new_zeros(self.shape[0] * self.shape[1], packed.size(-1))
        return flat.index_copy(0, self.index, packed).unflatten(0, self.shape)


def packed_attention(
    attention: MultiHeadAttention,
    x: Float[Tensor, "N D"],
    packing: Packing,
    positions: nn.Module | None = None,
) -> Float[Tensor, "N D"]:
    """`MultiHeadAttention` of each sequence to itself, on a packed batch.

    The projections run once, on all tokens; the attention runs once for each group.
    """
    dropout = attention.dropout if attention.training else 0.0
    projected = attention.in_proj(x)  # (N, H d + 2 G d)
    heads = [projected[:0, : attention.widths[0]]]  # a batch may be without tokens
    sizes = [group.batch * group.length for group in packing.groups]
    for group, part in zip(packing.groups, projected.split(sizes), strict=True):
        part = part.view(group.batch, group.length, -1)  # (b, t, H d + 2 G d)
        q, k, v = (attention.split_heads(z) for z in part.split(attention.widths, dim=-1))
        bias = None
        if positions is not None:
            q, k = positions.rotate(q, k)
            bias = positions.bias(q, k.size(-2))
        out = scaled_dot_product_attention(q, k, v, group.mask, dropout, bias=bias)  # (b, H, t, d)
        heads.append(out.transpose(1, 2).flatten(-2).flatten(0, 1))  # (b t, H d)
    return attention.out_proj(torch.cat(heads))  # (N, D)


def pack_when_it_pays(
    lengths: Int[Tensor, " B"], size: int, d_model: int, dtype: torch.dtype = torch.float32
) -> Packing | None:
    """A plan, or None where computing the padding costs less than avoiding it.

    Narrow models gain little from a saved token and lose much from a further group, so their
    groups are coarse; wide ones get a group for almost each length.

    Args:
        lengths: real tokens of each sequence, ``(B,)``.
        size: padded length T.
        d_model: width D of the model.
        dtype: in which the linear maps are computed.

    Raises:
        ValueError: as `Packing.plan`.
    """
    cost = GROUP_COST.get(lengths.device.type, GROUP_COST["other"])
    slack = cost * (10 if dtype == torch.bfloat16 else 1) // d_model**2
    real = int(lengths_to_tokens(lengths, size).sum())
    if lengths.numel() * size - real <= slack * (1 + FIXED_COST):  # not even as one group
        return None
    packing = Packing.plan(lengths, size, slack)
    saved = packing.shape[0] * size - packing.index.numel()
    return packing if saved > slack * (len(packing.groups) + FIXED_COST) else None


def lengths_from_mask(mask: Bool[Tensor, "..."]) -> Int[Tensor, " B"] | None:
    """The lengths behind a padding mask ``(B, 1, 1, S)``, or None if it is another mask.

    Another mask: one that differs between heads or queries, or hides keys before real ones.
    """
    if mask.dim() != 4 or mask.shape[1:3] != (1, 1):
        return None
    tokens = mask[:, 0, 0]  # (B, S)
    lengths = tokens.sum(dim=-1)
    return lengths if torch.equal(tokens, lengths_to_tokens(lengths, tokens.size(-1))) else None


def _cuts(lengths: list[int], slack: int) -> list[int]:
    """Where the groups of descending lengths end: before the padding exceeds the slack."""
    cuts, longest, padding = [], None, 0
    for i, length in enumerate(lengths):
        if longest is None:
            longest = length
        padding += longest - length
        if padding > slack:
            cuts.append(i)
            longest, padding = length, 0
    return [*cuts, len(lengths)] if lengths else []


def _arange(length: int, like: Tensor) -> Tensor:
    return torch.arange(length, device=like.device)
