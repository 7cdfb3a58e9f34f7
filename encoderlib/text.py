"""Text classification (chapter 12)."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from encoderlib.config import EncoderConfig
from encoderlib.embeddings import TokenEmbedding
from encoderlib.encoder import Encoder
from encoderlib.heads import ClassificationHead
from encoderlib.masks import padding_mask
from encoderlib.positions import SinusoidalPositions

__all__ = ["TextClassifier"]


class TextClassifier(nn.Module):
    """Token ids to class scores: embedding, positions, encoder, pooling, linear.

    Args:
        vocab_size: number of tokens V.
        n_classes: C.
        config: the encoder's sizes.
        padding_id: the id of padding, hidden from attention and from pooling.
        pooling: ``"mean"`` or ``"cls"`` (the first token).
    """

    def __init__(
        self,
        vocab_size: int,
        n_classes: int,
        config: EncoderConfig | None = None,
        padding_id: int = 0,
        pooling: str = "mean",
    ):
        super().__init__()
        config = EncoderConfig() if config is None else config
        self.padding_id = padding_id
        self.embedding = TokenEmbedding(vocab_size, config.d_model, padding_id)
        self.positions = SinusoidalPositions(config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)
        self.head = ClassificationHead(config.d_model, n_classes, pooling, config.dropout)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B C"]:
        """Ids ``(B, T)``, padded with ``padding_id``, to logits ``(B, C)``.

        Appending padding does not change the logits.
        """
        tokens = ids != self.padding_id  # (B, T)
        x = self.dropout(self.positions(self.embedding(ids)))  # (B, T, D)
        x = self.encoder(x, padding_mask(tokens))  # (B, T, D)
        return self.head(x, tokens)  # (B, C)
