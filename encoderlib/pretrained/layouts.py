"""What config.json means, for each kind of encoder in Hugging Face's layout (chapter 15).

The names of its fields here, the names of the tensors in `renaming`.
"""

import dataclasses
from typing import Any

from torch import nn

from encoderlib.config import EncoderConfig
from encoderlib.inputs import ImageEmbedding, TextEmbedding

__all__ = ["LAYOUTS", "Layout"]

# Hugging Face's names of activations and ours. The first one of ours is what is written.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
# Fields that change what the model computes, and the one value that we compute.
PLAIN = {
    "is_decoder": False,
    "add_cross_attention": False,
    "position_embedding_type": "absolute",
    "pruned_heads": {},
    "head_dim": None,
    "auto_map": None,  # code of its own
    "quantization_config": None,
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """One ``model_type``: how config.json and the tensors name what we have.

    Args:
        name: the model type, and the prefix of tensor names in models with a head.
        architecture: transformers' class without a head.
        defaults: what transformers takes for a field that config.json leaves out.
        sizes: fields of EncoderConfig and their names in config.json.
        inputs: arguments of the embedding and their names in config.json.
        stack: where the layers are.
        modules: modules of our layers, and theirs; several of theirs are stacked by rows.
        prefix: names of the learned tokens before the patches; none in text models.
        offset: positions start at ``padding_id + 1``, as in RoBERTa.
    """

    name: str
    architecture: str
    defaults: dict[str, Any]
    sizes: dict[str, str]
    inputs: dict[str, str]
    stack: str
    modules: dict[str, tuple[str, ...]]
    prefix: tuple[str, ...] = ()
    offset: bool = False

    def parse(self, fields: dict[str, Any]) -> tuple[EncoderConfig, TextEmbedding | ImageEmbedding]:
        """The encoder, and the embedding with untrained weights, that config.json describes.

        Raises:
            ValueError: for a field with a value that encoderlib does not compute.
        """
        for name, plain in PLAIN.items():
            if fields.get(name) not in (None, plain):
                raise ValueError(
                    f"config.json has {name}={fields[name]!r}, which changes what the model "
                    f"computes; supported is only {plain!r}"
                )
        fields = self.defaults | fields
        values = {
            ours: _value(ours, theirs, fields[theirs])
            for ours, theirs in (self.sizes | self.inputs).items()
        }
        sizes = {"eps": 1e-12} | {ours: values[ours] for ours in self.sizes}
        config = EncoderConfig(**sizes, norm_first=bool(self.prefix))
        inputs = {ours: values[ours] for ours in self.inputs}
        inputs |= {"d_model": config.d_model, "dropout": config.dropout}
        if self.prefix:
            return config, ImageEmbedding(**inputs, n_prefix=len(self.prefix))
        inputs["max_length"] -= self.skip(inputs["padding_id"])
        return config, TextEmbedding(**inputs, eps=config.eps)

    def describe(self, config: EncoderConfig, embedding: nn.Module | None) -> dict[str, Any]:
        """The fields of config.json: the inverse of `parse`.

        Raises:
            ValueError: names what this layout has no words for.
        """
        kind = ImageEmbedding if self.prefix else TextEmbedding
        if type(embedding) is not kind:
            raise ValueError(
                f"the layout {self.name!r} needs an embedding of type {kind.__name__}, got "
                f"{type(embedding).__name__}; save with the layout 'encoderlib'"
            )
        values = embedding.arguments() | dataclasses.asdict(config)
        theirs_of = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
        values["activation"] = theirs_of[config.activation]
        if not self.prefix:
            values["max_length"] += self.skip(values["padding_id"])
        fields = {"model_type": self.name, "architectures": [self.architecture]}
        fields |= {theirs: values[ours] for ours, theirs in (self.sizes | self.inputs).items()}
        # Read it again: what has changed on the way cannot be said in this layout.
        wanted, got = _flat(config, embedding), _flat(*self.parse(fields))
        lost = [
            f"{name}={value!r} (only {got[name]!r})"
            for name, value in wanted.items()
            if value != got[name]
        ]
        if lost:
            raise ValueError(
                f"the layout {self.name!r} cannot hold {', '.join(lost)}; save with the layout "
                "'encoderlib'"
            )
        return fields

    def skip(self, padding_id: int | None) -> int:
        """Rows of the position table that no token uses.

        Raises:
            ValueError: in RoBERTa, if there is no padding id.
        """
        if not self.offset:
            return 0
        if padding_id is None:
            raise ValueError(
                f"in the layout {self.name!r} positions count from pad_token_id + 1, so it must "
                "be an integer, got None"
            )
        return padding_id + 1


def _value(ours: str, theirs: str, value: Any) -> Any:
    """The value of a field as we use it."""
    if ours in ("dropout", "attention_dropout", "eps"):
        if type(value) in (int, float):
            return float(value)
        expected = "a number"
    elif ours == "activation":
        if isinstance(value, str) and value in ACTIVATIONS:
            return ACTIVATIONS[value]
        expected = ", ".join(ACTIVATIONS)
    elif ours == "padding_id":
        if value is None or (type(value) is int and value >= 0):
            return value
        expected = "an id or null"
    else:
        if ours in ("image_size", "patch_size") and isinstance(value, list) and len(value) == 2:
            value = value[0] if value[0] == value[1] else value
        if type(value) is int and value >= 1:
            return value
        expected = "an integer of at least 1; images and patches are square"
    raise ValueError(f"config.json has {theirs}={value!r}; supported: {expected}")


def _flat(config: EncoderConfig, embedding: TextEmbedding | ImageEmbedding) -> dict[str, Any]:
    arguments = {f"embedding.{name}": value for name, value in embedding.arguments().items()}
    return dataclasses.asdict(config) | arguments


SIZES = {
    "d_model": "hidden_size",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
    "n_layers": "num_hidden_layers",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "activation": "hidden_act",
    "eps": "layer_norm_eps",
}
DISTIL_SIZES = {
    "d_model": "dim",
    "n_heads": "n_heads",
    "d_ff": "hidden_dim",
    "n_layers": "n_layers",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation": "activation",
}
DISTIL_TEXT = {
    "vocab_size": "vocab_size",
    "max_length": "max_position_embeddings",
    "padding_id": "pad_token_id",
}
TEXT = DISTIL_TEXT | {"n_segments": "type_vocab_size"}
IMAGE = {"image_size": "image_size", "patch_size": "patch_size", "channels": "num_channels"}

# What transformers takes for a field that config.json leaves out.
BASE = dict(zip(SIZES.values(), (768, 12, 3072, 12, 0.0, 0.0, "gelu", 1e-12), strict=True))
VIT = BASE | {"image_size": 224, "patch_size": 16, "num_channels": 3}
DISTILBERT = {"vocab_size": 30522, "max_position_embeddings": 512, "pad_token_id": 0}
DISTILBERT |= dict(zip(DISTIL_SIZES.values(), (768, 12, 3072, 6, 0.1, 0.1, "gelu"), strict=True))
BERT = BASE | {
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pad_token_id": 0,
}
ROBERTA = BERT | {"vocab_size": 50265, "pad_token_id": 1}

BERT_LAYER = {
    "attention.in_proj": tuple(f"attention.self.{name}" for name in ("query", "key", "value")),
    "attention.out_proj": ("attention.output.dense",),
    "norm1": ("attention.output.LayerNorm",),
    "feedforward.linear1": ("intermediate.dense",),
    "feedforward.linear2": ("output.dense",),
    "norm2": ("output.LayerNorm",),
}
VIT_LAYER = BERT_LAYER | {
    "attention.in_proj": tuple(f"attention.attention.{name}" for name in ("query", "key", "value")),
    "norm1": ("layernorm_before",),
    "norm2": ("layernorm_after",),
}
DISTIL_LAYER = {
    "attention.in_proj": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "attention.out_proj": ("attention.out_lin",),
    "norm1": ("sa_layer_norm",),
    "feedforward.linear1": ("ffn.lin1",),
    "feedforward.linear2": ("ffn.lin2",),
    "norm2": ("output_layer_norm",),
}

_bert = (SIZES, TEXT, "encoder.layer", BERT_LAYER)
_vit = (SIZES, IMAGE, "encoder.layer", VIT_LAYER)
_distil = (DISTIL_SIZES, DISTIL_TEXT, "transformer.layer", DISTIL_LAYER)
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("bert", "BertModel", BERT, *_bert),
        Layout("roberta", "RobertaModel", ROBERTA, *_bert, offset=True),
        Layout("ernie", "ErnieModel", BERT, *_bert),
        Layout("distilbert", "DistilBertModel", DISTILBERT, *_distil),
        Layout("vit", "ViTModel", VIT, *_vit, prefix=("cls_token",)),
        Layout("deit", "DeiTModel", VIT, *_vit, prefix=("cls_token", "distillation_token")),
    )
}
