"""What stands before the layers: the input embeddings of BERT and of ViT (chapters 02 and 14).

Each is a sum of learned vectors, built from `embeddings`, `positions` and `norms`. Given to
``Encoder(config, embedding)`` it makes the encoder take ids or images.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from encoderlib.embeddings import PatchEmbedding, TokenEmbedding
from encoderlib.norms import LayerNorm
from encoderlib.positions import LearnedPositions

__all__ = ["ImageEmbedding", "TextEmbedding"]


class TextEmbedding(nn.Module):
    r"""BERT's input: token, position and segment vectors, summed, normalised, dropped out.

    ``x[t] = Dropout(LayerNorm(E[id_t] + P[t] + S[segment_t]))`` (Devlin et al. 2019, figure 2;
    chapter 02). Without the factor ``sqrt(D)`` of Vaswani et al.

    Args:
        vocab_size: number of tokens V.
        d_model: width D.
        max_length: rows of the position table, the longest sequence.
        n_segments: kinds of segment, 2 in BERT ("sentence A" and "B"); 0 for no segment table.
        padding_id: the id whose vector starts at zero and gets no gradient; None for none.
        norm: whether to end with a layer norm.
        eps: of that norm, 1e-12 as in BERT.
        dropout: after the norm, in training only.

    Raises:
        ValueError: for a negative ``n_segments``.

    Positions count from 0, also in a model read from a RoBERTa checkpoint, whose own table
    starts at ``padding_id + 1``. Hugging Face's RoBERTa numbers only tokens that are not
    padding, which is the same for padding at the right end. The table of tokens starts
    as N(0, 1/D), those of positions and segments as N(0, 0.02^2).
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        max_length: int,
        n_segments: int = 0,
        padding_id: int | None = 0,
        norm: bool = True,
        eps: float = 1e-12,
        dropout: float = 0.0,
    ):
        super().__init__()
        if n_segments < 0:
            raise ValueError(f"n_segments={n_segments} must be at least 0; 0 is for none")
        self.tokens = TokenEmbedding(vocab_size, d_model, padding_id, scale=False)
        self.positions = LearnedPositions(max_length, d_model)
        self.segments = nn.Embedding(n_segments, d_model) if n_segments else None
        if self.segments is not None:
            nn.init.normal_(self.segments.weight, std=0.02)
        self.norm = LayerNorm(d_model, eps) if norm else None
        self.dropout = nn.Dropout(dropout)
        self._arguments = {
            "vocab_size": vocab_size,
            "d_model": d_model,
            "max_length": max_length,
            "n_segments": n_segments,
            "padding_id": padding_id,
            "norm": norm,
            "eps": eps,
            "dropout": dropout,
        }

    def arguments(self) -> dict[str, int | float | bool | None]:
        """The arguments it was made with: ``TextEmbedding(**e.arguments())`` has e's shapes."""
        return dict(self._arguments)

    def forward(
        self, ids: Int[Tensor, "B T"], segments: Int[Tensor, "B T"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Ids ``(B, T)`` and the segment of each token to vectors ``(B, T, D)``.

        Without ``segments`` all tokens are of segment 0.

        Raises:
            IndexError: for an id or a segment outside its table.
            ValueError: for T above ``max_length``, and for segments where there is no table.
        """
        x = self.positions(self.tokens(ids))  # (B, T) -> (B, T, D)
        if self.segments is not None:
            x = x + (self.segments.weight[0] if segments is None else self.segments(segments))
        elif segments is not None:
            raise ValueError(
                "segments were given, but this embedding has no segment table; leave them out "
                "or build it with n_segments=2"
            )
        return self.dropout(x if self.norm is None else self.norm(x))


class ImageEmbedding(nn.Module):
    r"""ViT's input: learned prefix tokens and the patches of an image, plus positions.

    ``x = Dropout([prefix; patches E + b] + P)`` (Dosovitskiy et al. 2021, equation 1;
    chapter 14), without a norm: ViT's layers are pre-norm.

    Args:
        image_size: height and width of the (square) images.
        patch_size: P.
        channels: 1 for grey, 3 for colour.
        d_model: width D.
        n_prefix: learned tokens before the patches: 1 in ViT (CLS), 2 in DeiT (CLS and the
            distillation token of Touvron et al. 2021), 0 for none.
        dropout: on the sum, in training only.

    Raises:
        ValueError: if the patches do not tile the image, or for a negative ``n_prefix``.

    Hugging Face's modules can also interpolate the positions to another image size; this
    one refuses such images. Prefix and positions start as N(0, 0.02^2).
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        channels: int,
        d_model: int,
        n_prefix: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        if n_prefix < 0:
            raise ValueError(f"n_prefix={n_prefix} must be at least 0; 0 is for none")
        self.patches = PatchEmbedding(image_size, patch_size, channels, d_model)
        self.prefix = nn.Parameter(torch.empty(n_prefix, d_model).normal_(std=0.02))
        self.positions = LearnedPositions(n_prefix + self.patches.n_patches, d_model)
        self.dropout = nn.Dropout(dropout)
        self._arguments = {
            "image_size": image_size,
            "patch_size": patch_size,
            "channels": channels,
            "d_model": d_model,
            "n_prefix": n_prefix,
            "dropout": dropout,
        }

    def arguments(self) -> dict[str, int | float | bool | None]:
        """The arguments it was made with: ``ImageEmbedding(**e.arguments())`` has e's shapes."""
        return dict(self._arguments)

    def forward(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B T D"]:
        """Images to ``(B, T, D)`` with T = ``n_prefix`` + number of patches, prefix first.

        Raises:
            ValueError: for images of another size or another number of channels.
        """
        patches = self.patches(images)  # (B, N, D)
        prefix = self.prefix.expand(patches.size(0), -1, -1)  # (B, n_prefix, D)
        x = torch.cat([prefix, patches], dim=1)  # (B, n_prefix + N, D)
        return self.dropout(self.positions(x))
