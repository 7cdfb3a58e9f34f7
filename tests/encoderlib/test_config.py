"""encoderlib.config: every field is checked, the message names it; JSON gives it back."""

import dataclasses
import re

import pytest
import torch

from encoderlib import Encoder, EncoderConfig
from encoderlib.config import PRESETS
from encoderlib.feedforward import ACTIVATIONS
from encoderlib.relative import RELATIVE_KINDS

SIZES = ("d_model", "n_heads", "d_ff", "n_layers")
WRONG = [
    *((name, value) for name in SIZES for value in (0, -4, 2.0, True, "8", None)),
    *(("n_kv_heads", value) for value in (0, -4, 2.0, True, "4")),
    *((name, value) for name in ("dropout", "attention_dropout") for value in (-0.1, 1.0, 5)),
    ("dropout", float("nan")),
    *((name, value) for name in ("norm_first", "gated", "bias") for value in (1, "no", None)),
    ("activation", "swish"),
    ("norm", "batch"),
    ("norm", None),
    ("positions", "learned"),
    ("positions", False),
    ("eps", 0.0),
    ("eps", -1e-5),
    ("eps", float("nan")),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_field_is_named_with_its_value(name, value, unchecked):
    with pytest.raises(ValueError, match=f"^{name}={value!r} must be"):
        EncoderConfig(**{name: value})


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=128"):
        EncoderConfig(n_heads=3)


@pytest.mark.parametrize("heads", [3, 5, 8])
def test_key_heads_must_divide_the_heads(heads):
    with pytest.raises(ValueError, match=f"n_kv_heads={heads} must divide n_heads=4"):
        EncoderConfig(n_heads=4, n_kv_heads=heads)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("activation", ("gelu", "gelu_tanh", "relu", "silu")),
        ("norm", ("layer", "rms")),
        ("positions", (None, "rotary", "alibi", "t5", "shaw")),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_those_that_are(name, known):
    with pytest.raises(ValueError, match=re.escape(f"{name}='tanh' must be one of {known}")):
        EncoderConfig(**{name: "tanh"})
    for value in known:
        assert getattr(EncoderConfig(**{name: value}), name) == value
    assert set(ACTIVATIONS) == {"gelu", "gelu_tanh", "relu", "silu"}
    assert RELATIVE_KINDS == ("rotary", "alibi", "t5", "shaw")


@pytest.mark.parametrize(
    "fields",
    [
        {"dropout": 0.0, "attention_dropout": 0.99},
        {"d_model": 1, "n_heads": 1, "d_ff": 1, "n_layers": 1, "n_kv_heads": 1},
        {"activation": "relu", "norm_first": False, "eps": 1e-12},
        {"norm": "rms", "gated": True, "bias": False, "n_kv_heads": 2, "positions": "rotary"},
        {"n_kv_heads": 4, "positions": "shaw", "activation": "silu"},
        {"n_kv_heads": None, "positions": None},
    ],
    ids=str,
)
def test_values_at_the_limits_are_taken_and_survive_json(fields):
    config = EncoderConfig(**fields)
    for name, value in fields.items():
        assert getattr(config, name) == value
    assert EncoderConfig.from_json(config.to_json()) == config


def test_json_holds_every_field():
    text = EncoderConfig().to_json()
    for field in dataclasses.fields(EncoderConfig):
        assert f'\n  "{field.name}": ' in text


def test_the_defaults_are_a_small_pre_norm_encoder():
    assert dataclasses.astuple(EncoderConfig()) == (
        *(128, 4, 512, 2, 0.1, 0.0, "gelu", True, 1e-5),
        *("layer", False, True, None, None),
    )


def test_json_with_a_field_of_another_version_is_refused():
    with pytest.raises(ValueError, match=r"unknown fields in the configuration: \['b', 'rotary'\]"):
        EncoderConfig.from_json('{"d_model": 8, "rotary": true, "b": 0}')


def test_json_is_checked_as_a_new_configuration_is():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        EncoderConfig.from_json('{"d_model": 8, "n_heads": 3}')


def test_missing_fields_take_the_defaults():
    assert EncoderConfig.from_json("{}") == EncoderConfig()


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EncoderConfig().d_model = 64


# --- presets ---


def layer_parameters(config):
    """The closed form: attention, feed-forward network, two norms."""
    d, f, bias, rows = config.d_model, config.d_ff, config.bias, 1 + config.gated
    keys = d // config.n_heads * (config.n_kv_heads or config.n_heads)
    attention = 2 * d * d + 2 * d * keys + bias * (2 * d + 2 * keys)
    feedforward = rows * d * f + f * d + bias * (rows * f + d)
    return attention + feedforward + 2 * norm_parameters(config)


def norm_parameters(config):
    return config.d_model * (2 if config.bias and config.norm == "layer" else 1)


def counted(config):
    with torch.device("meta"):  # no memory, no time
        return sum(p.numel() for p in Encoder(config).parameters())


# Layers, D, F, H, parameters of all layers without the embeddings and the last norm.
PAPERS = {
    "bert_base": (12, 768, 3072, 12, 85_054_464),  # Devlin et al. 2019, section 3
    "bert_large": (24, 1024, 4096, 16, 302_309_376),
    "vit_tiny_16": (12, 192, 768, 3, 5_338_368),  # Touvron et al. 2021, table 1
    "vit_small_16": (12, 384, 1536, 6, 21_293_568),
    "vit_base_16": (12, 768, 3072, 12, 85_054_464),  # Dosovitskiy et al. 2021, table 1
    "vit_large_16": (24, 1024, 4096, 16, 302_309_376),
}


@pytest.mark.parametrize("name", PAPERS)
def test_presets_have_the_sizes_and_parameters_of_the_papers(name):
    config = EncoderConfig.preset(name)
    layers, d, f, heads, parameters = PAPERS[name]
    assert (config.n_layers, config.d_model, config.d_ff, config.n_heads) == (layers, d, f, heads)
    assert config.n_layers * layer_parameters(config) == parameters
    assert counted(config) == parameters + config.norm_first * norm_parameters(config)
    assert config.eps == 1e-12
    assert (config.activation, config.norm, config.gated, config.bias) == (
        *("gelu", "layer", False, True),
    )
    bert = name.startswith("bert")
    assert config.norm_first != bert
    assert config.dropout == config.attention_dropout == (0.1 if bert else 0.0)
    assert config.positions is None  # both add learned positions to the embeddings


def test_the_small_presets_are_small():
    assert dataclasses.astuple(PRESETS["tiny"])[:4] == (64, 4, 256, 2)
    assert dataclasses.astuple(PRESETS["small"])[:4] == (256, 8, 1024, 4)
    assert set(PRESETS) == {"tiny", "small", *PAPERS}
    for name in ("tiny", "small"):
        assert dataclasses.astuple(PRESETS[name])[4:] == dataclasses.astuple(EncoderConfig())[4:]


@pytest.mark.parametrize(
    "changes",
    [
        {"gated": True},
        {"norm": "rms"},
        {"bias": False, "n_kv_heads": 1},
        {"norm": "rms", "gated": True, "bias": False, "n_kv_heads": 2, "norm_first": False},
    ],
    ids=str,
)
def test_parameters_of_every_variant_are_counted_by_the_formula(changes):
    config = EncoderConfig.preset("tiny", **changes)
    expected = config.n_layers * layer_parameters(config)
    assert counted(config) == expected + config.norm_first * norm_parameters(config)


def test_a_preset_can_be_changed():
    config = EncoderConfig.preset("bert_base", n_layers=3, dropout=0.0)
    assert config == dataclasses.replace(PRESETS["bert_base"], n_layers=3, dropout=0.0)
    assert PRESETS["bert_base"].n_layers == 12
    with pytest.raises(ValueError, match="n_heads=5 must divide d_model=768"):
        EncoderConfig.preset("bert_base", n_heads=5)


def test_an_unknown_preset_is_answered_with_those_that_are_known():
    names = re.escape(str(sorted(PRESETS)))
    with pytest.raises(ValueError, match=f"preset 'bert' must be one of {names}"):
        EncoderConfig.preset("bert")
