"""The sizes and choices that define an encoder (chapter 08)."""

import dataclasses
import json

from encoderlib.feedforward import ACTIVATIONS
from encoderlib.relative import RELATIVE_KINDS

__all__ = ["PRESETS", "EncoderConfig"]

NORMS = ("layer", "rms")


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
        activation: ``"gelu"`` (BERT, ViT), ``"relu"`` (Vaswani et al.) or another of
            `feedforward.ACTIVATIONS`.
        norm_first: True for pre-norm (ViT, stable without warm-up), False for post-norm
            (Vaswani et al., BERT).
        eps: of the norms. BERT and ViT use 1e-12.
        norm: ``"layer"`` or ``"rms"`` (`norms`).
        gated: a gated feed-forward network (`FeedForward`).
        bias: whether linear maps and norms have biases.
        n_kv_heads: heads of keys and values; None for as many as queries (`MultiHeadAttention`).
        positions: relative positions inside of attention: ``"rotary"``, ``"alibi"``, ``"t5"``,
            ``"shaw"`` (`relative`), or None where positions are added to the embeddings.

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
    norm: str = "layer"
    gated: bool = False
    bias: bool = True
    n_kv_heads: int | None = None
    positions: str | None = None

    def __post_init__(self) -> None:
        for name in ("d_model", "n_heads", "d_ff", "n_layers", "n_kv_heads"):
            value = getattr(self, name)
            if name == "n_kv_heads" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r} must be an integer of at least 1")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads={self.n_heads} must divide d_model={self.d_model}: "
                f"each head gets d_model / n_heads columns"
            )
        if self.n_kv_heads is not None and self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_kv_heads={self.n_kv_heads} must divide n_heads={self.n_heads}")
        for name in ("norm_first", "gated", "bias"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r} must be True or False")
        for name in ("dropout", "attention_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be in [0, 1)")
        for name, known in (
            ("activation", tuple(sorted(ACTIVATIONS))),
            ("norm", NORMS),
            ("positions", (None, *RELATIVE_KINDS)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r} must be one of {known}")
        if not self.eps > 0:
            raise ValueError(f"eps={self.eps!r} must be above 0")

    def to_json(self) -> str:
        """The fields as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def preset(cls, name: str, **changes: object) -> "EncoderConfig":
        """A known size by its name (`PRESETS`), with some fields changed if you like.

        Raises:
            ValueError: for an unknown name.
        """
        if name not in PRESETS:
            raise ValueError(f"preset {name!r} must be one of {sorted(PRESETS)}")
        return dataclasses.replace(PRESETS[name], **changes)

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


_bert = {"norm_first": False, "eps": 1e-12, "attention_dropout": 0.1}
_vit = {"norm_first": True, "eps": 1e-12, "dropout": 0.0}

#: Known sizes by name (chapters, BERT, ViT), for `EncoderConfig.preset`.
PRESETS = {
    # For a laptop: what the chapters train.
    "tiny": EncoderConfig(64, 4, 256, 2),
    "small": EncoderConfig(256, 8, 1024, 4),
    # Devlin et al. 2019, section 3.
    "bert_base": EncoderConfig(768, 12, 3072, 12, **_bert),
    "bert_large": EncoderConfig(1024, 16, 4096, 24, **_bert),
    # Touvron et al. 2021 (DeiT), table 1, and Dosovitskiy et al. 2021, table 1.
    "vit_tiny_16": EncoderConfig(192, 3, 768, 12, **_vit),
    "vit_small_16": EncoderConfig(384, 6, 1536, 12, **_vit),
    "vit_base_16": EncoderConfig(768, 12, 3072, 12, **_vit),
    "vit_large_16": EncoderConfig(1024, 16, 4096, 24, **_vit),
}
