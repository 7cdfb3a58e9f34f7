"""Rotary positions: queries and keys turned by their position (chapter 03).

Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding".
"""

import torch
from jaxtyping import Float
from torch import Tensor

from encoderlib.positions import RelativePositions, sinusoids

__all__ = ["RotaryPositions"]


class RotaryPositions(RelativePositions):
    r"""Turn each pair of columns of queries and keys by an angle that grows with the position.

    ``(x_2i + j x_2i+1) e^(j t theta_i)`` with ``theta_i = base^(-2i/d)``: a rotation R_t, so
    ``(R_t q) . (R_s k) = q . R_(s-t) k`` (Su et al. 2021, "RoFormer", equations 14 to 16). Norms
    stay; no parameters; any length. The clocks are those of `sinusoids`.

    Args:
        d_head: width d of a head, even.
        base: 10000 in the paper; ModernBERT uses 160000 in its global layers.
        length: positions in the first table, which grows when needed.

    Raises:
        ValueError: if ``d_head`` is odd.

    Pairs are neighbours, (0, 1), (2, 3), ..., as in the paper. Hugging Face's ``rotate_half``
    pairs column i with i + d/2: the rows 0, d/2, 1, d/2 + 1, ... of each head of its query and
    key projections are ours. One complex product is 2 to 5 times faster on a CPU; torch.compile
    leaves it as it is.
    """

    def __init__(self, d_head: int, base: float = 10000.0, length: int = 512):
        super().__init__()
        if d_head % 2:
            raise ValueError(f"d_head={d_head} must be even: columns are turned in pairs")
        self.d_head = d_head
        self.base = base
        # No buffer: .to(torch.bfloat16) would round the angles and drop the imaginary parts.
        self.table = self._turns(length)

    def rotate(
        self, q: Float[Tensor, "B H T d"], k: Float[Tensor, "B G S d"], start: int = 0
    ) -> tuple[Float[Tensor, "B H T d"], Float[Tensor, "B G S d"]]:
        """Turn queries and keys of positions start, start + 1, ...; at least in float32."""
        return self._turn(q, start), self._turn(k, start)

    def _turn(self, x: Tensor, start: int) -> Tensor:
        end = start + x.size(-2)
        if end > self.table.size(0) or self.table.device != x.device:
            self.table = self._turns(max(2 * end, self.table.size(0)), x.device)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        pairs = torch.view_as_complex(wide.unflatten(-1, (-1, 2)))  # (B, H, T, d/2)
        return torch.view_as_real(pairs * self.table[start:end]).flatten(-2).to(x.dtype)

    @torch.inference_mode(False)  # a table made while decoding must serve training, too
    def _turns(self, length: int, device: torch.device | None = None) -> Tensor:
        """e^(j t theta_i), complex64 (length, d/2)."""
        sin, cos = sinusoids(length, self.d_head, self.base).unflatten(-1, (-1, 2)).unbind(-1)
        return torch.complex(cos, sin).to(device)
