"""Image classification with an encoder: the Vision Transformer (chapter 14).

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", section 3.1.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from encoderlib.config import EncoderConfig
from encoderlib.embeddings import PatchEmbedding
from encoderlib.encoder import Encoder
from encoderlib.heads import ClassificationHead
from encoderlib.positions import LearnedPositions

__all__ = ["ImageClassifier"]


class ImageClassifier(nn.Module):
    """Images to class scores: patches, positions, encoder, pooling, linear.

    Args:
        image_size: height and width of the (square) images.
        patch_size: P.
        n_classes: C.
        config: the encoder's sizes.
        channels: 1 for grey, 3 for colour.
        stride: step between patches; by default ``patch_size``. Overlapping patches see
            the strokes that a patch border would cut.
        pooling: ``"mean"``, ``"max"`` or ``"attention"`` over the patches, or ``"cls"``: a
            learned token put before them.
        position_std: initial spread of the learned positions. The 0.02 of large models is
            a trap for a small model whose patches do not overlap (chapter 14 measures it).
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        n_classes: int,
        config: EncoderConfig | None = None,
        channels: int = 1,
        stride: int | None = None,
        pooling: str = "mean",
        position_std: float = 0.5,
    ):
        super().__init__()
        config = EncoderConfig() if config is None else config
        self.patches = PatchEmbedding(image_size, patch_size, channels, config.d_model, stride)
        # One axis, so that weight decay leaves it alone, as it does biases and norms.
        self.cls_token = nn.Parameter(torch.zeros(config.d_model)) if pooling == "cls" else None
        n_positions = self.patches.n_patches + (pooling == "cls")
        self.positions = LearnedPositions(n_positions, config.d_model, std=position_std)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)
        self.head = ClassificationHead(config.d_model, n_classes, pooling, config.dropout)

    def embed(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B T D"]:
        """What the encoder gets: patch vectors with positions, the CLS token first if any."""
        x = self.patches(images)  # (B, N, D)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(x.size(0), 1, -1), x], dim=1)  # (B, N+1, D)
        return self.positions(x)

    def forward(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B n_classes"]:
        """Images ``(B, C, H, W)`` to logits ``(B, n_classes)``."""
        return self.head(self.encoder(self.dropout(self.embed(images))))

    @torch.no_grad()
    def attention_maps(
        self, images: Float[Tensor, "B C height width"]
    ) -> list[Float[Tensor, "B H T T"]]:
        """The attention weights of every layer, first layer first."""
        return self.encoder.attention_maps(self.embed(images))
