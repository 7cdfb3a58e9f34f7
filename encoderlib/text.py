"""Classification of texts and of their tokens (chapters 12 and 13)."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoderlib.config import EncoderConfig
from encoderlib.embeddings import TokenEmbedding
from encoderlib.encoder import Encoder
from encoderlib.heads import ClassificationHead
from encoderlib.masks import padding_mask
from encoderlib.positions import SinusoidalPositions

__all__ = ["TextClassifier", "TokenClassifier"]


class _TextEncoder(nn.Module):
    """What both classifiers share: embedding, positions, dropout, encoder."""

    def __init__(self, vocab_size: int, config: EncoderConfig | None, padding_id: int):
        super().__init__()
        config = EncoderConfig() if config is None else config
        self.padding_id = padding_id
        self.embedding = TokenEmbedding(vocab_size, config.d_model, padding_id)
        # Relative positions work inside the encoder: nothing is added then.
        added = config.positions is None
        self.positions = SinusoidalPositions(config.d_model) if added else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config)

    def encode(self, ids: Int[Tensor, "B T"]) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T"]]:
        """The encoder's vectors ``(B, T, D)``, and which tokens are real ``(B, T)``."""
        tokens = ids != self.padding_id  # (B, T)
        x = self.dropout(self.positions(self.embedding(ids)))  # (B, T, D)
        return self.encoder(x, padding_mask(tokens)), tokens


class TextClassifier(_TextEncoder):
    """Token ids to class scores: embedding, positions, encoder, pooling, linear.

    Args:
        vocab_size: number of tokens V.
        n_classes: C.
        config: the encoder's sizes; sinusoids are added unless it asks for relative positions.
        padding_id: the id of padding, hidden from attention and from pooling.
        pooling: ``"mean"``, ``"cls"`` (the first token), ``"max"`` or ``"attention"``
            (`ClassificationHead`).
    """

    def __init__(
        self,
        vocab_size: int,
        n_classes: int,
        config: EncoderConfig | None = None,
        padding_id: int = 0,
        pooling: str = "mean",
    ):
        super().__init__(vocab_size, config, padding_id)
        config = self.encoder.config
        self.head = ClassificationHead(config.d_model, n_classes, pooling, config.dropout)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B C"]:
        """Ids ``(B, T)``, padded with ``padding_id``, to logits ``(B, C)``.

        Appending padding does not change the logits.
        """
        return self.head(*self.encode(ids))  # (B, T, D) -> (B, C)


class TokenClassifier(_TextEncoder):
    """Token ids to class scores for every token: embedding, positions, encoder, linear.

    For tagging (chapter 13). Devlin et al. 2019, "BERT", section 5.3, as Hugging Face's
    ``BertForTokenClassification``.

    Args:
        vocab_size: number of tokens V.
        n_classes: C.
        config: the encoder's sizes; sinusoids are added unless it asks for relative positions.
        padding_id: the id of padding, hidden from attention.
    """

    def __init__(
        self,
        vocab_size: int,
        n_classes: int,
        config: EncoderConfig | None = None,
        padding_id: int = 0,
    ):
        super().__init__(vocab_size, config, padding_id)
        self.head = nn.Linear(self.encoder.config.d_model, n_classes)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T C"]:
        """Ids ``(B, T)``, padded with ``padding_id``, to logits ``(B, T, C)``.

        Appending padding does not change the logits of real tokens. Those of padding mean
        nothing: give padding the label -100, which ``F.cross_entropy`` leaves out.
        """
        x, _ = self.encode(ids)  # (B, T, D)
        return self.head(self.dropout(x))  # (B, T, C)
