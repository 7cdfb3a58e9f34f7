"""The sizes and choices that define an encoder (chapter 08)."""

import dataclasses
import json

from encoderlib.feedforward import ACTIVATIONS

__all__ = ["EncoderConfig"]


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Everything needed to rebuild an `Encoder`. Frozen; checked when it is made.

    Args:
        d_model: width D of the token vectors.
        n_heads: attention heads H; must divide D.
        d_ff: inner width F of the feed-forward network, usually 4 D.
        n_layers: layers N.
        dropout: on each sub-layer's output and inside the feed-forward network, in training.
        attention_dropout: on the attention weights. Off by default: it is the one dropout that
            leaves the fused kernel's fast path on a CPU.
        activation: ``"gelu"`` (BERT, ViT) or ``"relu"`` (Vaswani et al.).
        norm_first: True for pre-norm (ViT, stable without warm-up), False for post-norm
            (Vaswani et al., BERT).
        eps: of the layer norms.

    Raises:
        ValueError: says which field is wrong, what it is and what it may be.
    """

    d_model: int = 128
    n_heads: int = 4
    d_ff: int = 512
    n_layers: int = 2
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation: str = "gelu"
    norm_first: bool = True
    eps: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("d_model", "n_heads", "d_ff", "n_layers"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r} must be an integer of at least 1")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads={self.n_heads} must divide d_model={self.d_model}: "
                f"each head gets d_model / n_heads columns"
            )
        for name in ("dropout", "attention_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be in [0, 1)")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation={self.activation!r} must be one of {sorted(ACTIVATIONS)}")
        if not self.eps > 0:
            raise ValueError(f"eps={self.eps!r} must be above 0")

    def to_json(self) -> str:
        """The fields as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "EncoderConfig":
        """The inverse of `to_json`.

        Raises:
            ValueError: for a field that this version does not know.
        """
        fields = json.loads(text)
        unknown = set(fields) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"unknown fields in the configuration: {sorted(unknown)}")
        return cls(**fields)
