"""encoderlib.config: every field is checked, the message names it; JSON gives it back."""

import dataclasses

import pytest

from encoderlib import EncoderConfig

SIZES = ("d_model", "n_heads", "d_ff", "n_layers")
WRONG = [
    *((name, value) for name in SIZES for value in (0, -4, 2.0, True, "8")),
    *((name, value) for name in ("dropout", "attention_dropout") for value in (-0.1, 1.0, 5)),
    ("dropout", float("nan")),
    ("activation", "swish"),
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


def test_the_message_lists_the_activations():
    with pytest.raises(ValueError, match=r"\['gelu', 'relu'\]"):
        EncoderConfig(activation="tanh")


@pytest.mark.parametrize(
    "fields",
    [
        {"dropout": 0.0, "attention_dropout": 0.99},
        {"d_model": 1, "n_heads": 1, "d_ff": 1, "n_layers": 1},
        {"activation": "relu", "norm_first": False, "eps": 1e-12},
    ],
    ids=str,
)
def test_values_at_the_limits_are_taken_and_survive_json(fields):
    config = EncoderConfig(**fields)
    for name, value in fields.items():
        assert getattr(config, name) == value
    assert EncoderConfig.from_json(config.to_json()) == config


def test_json_with_a_field_of_another_version_is_refused():
    with pytest.raises(ValueError, match=r"unknown fields in the configuration: \['rotary'\]"):
        EncoderConfig.from_json('{"d_model": 8, "rotary": true}')


def test_json_is_checked_as_a_new_configuration_is():
    with pytest.raises(ValueError, match="n_heads=3 must divide d_model=8"):
        EncoderConfig.from_json('{"d_model": 8, "n_heads": 3}')


def test_missing_fields_take_the_defaults():
    assert EncoderConfig.from_json("{}") == EncoderConfig()


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EncoderConfig().d_model = 64
