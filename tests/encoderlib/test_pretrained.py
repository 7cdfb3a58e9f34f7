"""encoderlib.pretrained: `transformers` models with random weights, saved and read, both ways."""

import dataclasses
import importlib
import json
import logging
import warnings

import pytest
import torch
from torch import nn

from encoderlib import feedforward, pretrained
from encoderlib.config import EncoderConfig
from encoderlib.embeddings import TokenEmbedding
from encoderlib.encoder import Encoder
from encoderlib.inputs import ImageEmbedding, TextEmbedding
from encoderlib.masks import lengths_to_tokens, padding_mask
from encoderlib.pretrained.layouts import ACTIVATIONS, LAYOUTS, PLAIN

SIZES = {
    "hidden_size": 15,
    "num_attention_heads": 5,
    "intermediate_size": 23,
    "num_hidden_layers": 3,
}
DISTIL_SIZES = {"dim": 15, "n_heads": 5, "hidden_dim": 23, "n_layers": 3}
TEXT = {"vocab_size": 37, "max_position_embeddings": 19}
IMAGE = {"image_size": 21, "patch_size": 7, "num_channels": 2}
KINDS = {
    "bert": ("Bert", SIZES | TEXT),
    "roberta": ("Roberta", SIZES | TEXT),
    "ernie": ("Ernie", SIZES | TEXT),
    "distilbert": ("DistilBert", DISTIL_SIZES | TEXT),
    "vit": ("ViT", SIZES | IMAGE),
    "deit": ("DeiT", SIZES | IMAGE),
}
HEADS = {  # a base model has no prefix on its tensors, one with a head has
    "bert": ["ForMaskedLM", "ForSequenceClassification", "ForPreTraining"],
    "roberta": ["ForMaskedLM", "ForTokenClassification"],
    "ernie": ["ForSequenceClassification"],
    "distilbert": ["ForMaskedLM", "ForSequenceClassification"],
    "vit": ["ForImageClassification", "ForMaskedImageModeling"],
    "deit": ["ForImageClassificationWithTeacher"],
}
ALL = [(kind, head) for kind in KINDS for head in ("Model", *HEADS[kind])]
kinds = pytest.mark.parametrize("kind", KINDS)
text_kinds = pytest.mark.parametrize("kind", ["bert", "roberta", "ernie", "distilbert"])


@pytest.fixture(scope="session")
def hf():
    """transformers, quiet; importing it warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        for name, _ in KINDS.values():
            importlib.import_module(f"transformers.models.{name.lower()}.modeling_{name.lower()}")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


@pytest.fixture
def build(hf, randomise):
    """A transformers model with random weights, biases and gains, in eval mode."""

    def make(kind, head="Model", **changes):
        name, fields = KINDS[kind]
        config = getattr(hf, f"{name}Config")(**fields | changes)
        return randomise(getattr(hf, f"{name}{head}")(config)).eval()

    return make


@pytest.fixture
def saved(build, tmp_path):
    """Such a model, and the directory where it is saved."""

    def make(kind, head="Model", **changes):
        model = build(kind, head, **changes)
        model.save_pretrained(tmp_path / "theirs")
        return model, tmp_path / "theirs"

    return make


def edit(directory, **changes):
    """Change fields of config.json; None removes one."""
    path = directory / "config.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))


def tensors_of(directory):
    from safetensors.torch import load_file

    return load_file(directory / "model.safetensors")


def edit_tensors(directory, change):
    from safetensors.torch import save_file

    save_file(change(tensors_of(directory)), directory / "model.safetensors", {"format": "pt"})


def batch(kind, model, lengths=(11, 4, 1), segments=True):
    """Inputs of transformers' base model, what is the same for ours, and the real tokens."""
    if kind in ("vit", "deit"):
        images = torch.randn(len(lengths), 2, 21, 21)
        return {"pixel_values": images}, (images,), {}, ...
    padding = model.config.pad_token_id
    tokens = lengths_to_tokens(torch.tensor(lengths), max(lengths))  # (B, T)
    others = [i for i in range(37) if i != padding]
    ids = torch.tensor(others)[torch.randint(36, tokens.shape)].masked_fill(~tokens, padding)
    theirs = {"input_ids": ids, "attention_mask": tokens.long()}
    ours = {"mask": padding_mask(tokens)}
    if segments and kind in ("bert", "ernie"):
        ours["segments"] = theirs["token_type_ids"] = torch.randint(2, ids.shape)
    return theirs, (ids,), ours, tokens


def assert_same_function(kind, encoder, model):
    """Embedding output, the output of each layer, and the last norm's; real tokens only."""
    theirs, args, kwargs, real = batch(kind, model)
    with torch.no_grad():
        found = model.base_model(**theirs, output_hidden_states=True)
        mask = kwargs.pop("mask", None)
        x = encoder.embedding(*args, **kwargs)
        states = [x]
        for layer in encoder.layers:
            states.append(layer(states[-1], mask))
        last = encoder(*args, mask, **kwargs)
    assert len(found.hidden_states) == len(states) == model.base_model.config.num_hidden_layers + 1
    for expected, got in zip(found.hidden_states, states, strict=True):
        torch.testing.assert_close(got[real], expected[real], atol=1e-5, rtol=0)
        assert got[real].std() > 0.1  # there is something to compare
    torch.testing.assert_close(last[real], found.last_hidden_state[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "head"), ALL)
def test_all_hidden_states_are_those_of_transformers(kind, head, saved):
    model, directory = saved(kind, head)
    assert (directory / "model.safetensors").exists()
    encoder = Encoder.from_pretrained(directory)
    assert not encoder.training
    assert encoder.layout == kind
    assert_same_function(kind, encoder, model)


@kinds
def test_sizes_that_coincide_do_not_hide_a_transposition(kind, saved):
    sizes = {"hidden_size": 4, "num_attention_heads": 4, "intermediate_size": 4}
    if kind == "distilbert":
        sizes = {"dim": 4, "n_heads": 4, "hidden_dim": 4}
    model, directory = saved(kind, **sizes)
    assert_same_function(kind, Encoder.from_pretrained(directory), model)


def test_every_activation_of_ours_has_a_name_in_transformers():
    assert set(ACTIVATIONS.values()) == set(feedforward.ACTIVATIONS)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("gelu", "gelu"), ("gelu_tanh", "gelu_new"), ("relu", "relu"), ("silu", "silu")],
)
def test_activations_are_written_by_their_usual_name(ours, theirs):
    fields = LAYOUTS["bert"].describe(bert_like(activation=ours), TextEmbedding(**TEXTS))
    assert fields["hidden_act"] == theirs


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_transformers(name, saved):
    model, directory = saved("bert", hidden_act=name, num_hidden_layers=1)
    assert_same_function("bert", Encoder.from_pretrained(directory), model)


@pytest.mark.parametrize("kind", ["bert", "roberta", "ernie", "vit", "deit"])
def test_eps_is_read_for_every_norm(kind, saved):
    model, directory = saved(kind, layer_norm_eps=0.3)
    assert_same_function(kind, Encoder.from_pretrained(directory), model)


def test_distilbert_has_an_eps_of_its_own(saved):
    """Its config.json does not say 1e-12; on tiny vectors 1e-5 would be another function."""
    model, directory = saved("distilbert")
    with torch.no_grad():
        for name in ("word_embeddings", "position_embeddings"):
            getattr(model.embeddings, name).weight.mul_(1e-3)
    model.save_pretrained(directory)
    assert_same_function("distilbert", Encoder.from_pretrained(directory), model)


@pytest.mark.parametrize("kind", ["vit", "deit"])
def test_projections_without_biases_get_zeros(kind, saved):
    model, directory = saved(kind, qkv_bias=False)
    encoder = Encoder.from_pretrained(directory)
    assert (encoder.layers[1].attention.in_proj.bias == 0).all()
    assert encoder.layers[1].attention.in_proj.bias.shape == (45,)
    assert_same_function(kind, encoder, model)


def test_dropouts_are_read_for_training(saved):
    changes = {"hidden_dropout_prob": 0.25, "attention_probs_dropout_prob": 0}
    config = Encoder.from_pretrained(saved("bert", **changes)[1]).config
    assert (config.dropout, config.attention_dropout) == (0.25, 0.0)
    encoder = Encoder.from_pretrained(saved("vit", hidden_dropout_prob=0.5)[1])
    assert encoder.embedding.dropout.p == encoder.layers[0].dropout.p == 0.5
    encoder = Encoder.from_pretrained(saved("distilbert", dropout=0.3, attention_dropout=0.2)[1])
    assert (encoder.config.dropout, encoder.config.attention_dropout) == (0.3, 0.2)
    assert encoder.embedding.dropout.p == 0.3


@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_gradients_are_those_of_transformers(kind, saved):
    model, directory = saved(kind, "Model", num_hidden_layers=2)
    encoder = Encoder.from_pretrained(directory)
    theirs, args, kwargs, real = batch(kind, model)
    out = encoder(*args, **kwargs)
    weights = torch.randn(out.shape)[real]
    (out[real] * weights).sum().backward()
    (model(**theirs).last_hidden_state[real] * weights).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    attention = model.base_model
    attention = (
        attention.layers[0].attention
        if kind == "vit"
        else attention.encoder.layer[0].attention.self
    )
    parts = (
        [attention.q_proj, attention.k_proj, attention.v_proj]
        if kind == "vit"
        else [attention.query, attention.key, attention.value]
    )
    expected = torch.cat([part.weight.grad for part in parts])
    got = encoder.layers[0].attention.in_proj.weight.grad
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    ours, theirs = (
        (encoder.embedding.patches.projection.weight, model.embeddings.patch_embeddings.projection)
        if kind == "vit"
        else (encoder.embedding.tokens.table.weight, model.embeddings.word_embeddings)
    )
    expected = theirs.weight.grad.flatten(1)
    torch.testing.assert_close(ours.grad, expected, atol=1e-4, rtol=1e-4)


@text_kinds
def test_no_segments_given_means_segment_zero_as_in_transformers(kind, saved):
    model, directory = saved(kind)
    theirs, args, kwargs, real = batch(kind, model, segments=False)
    got = Encoder.from_pretrained(directory)(*args, **kwargs)
    expected = model(**theirs).last_hidden_state
    torch.testing.assert_close(got[real], expected[real], atol=1e-5, rtol=0)


@text_kinds
def test_packing_gives_the_states_of_transformers(kind, saved):
    model, directory = saved(kind)
    encoder = Encoder.from_pretrained(directory)
    theirs, args, kwargs, real = batch(kind, model)
    del kwargs["mask"]
    got = encoder(*args, lengths=real.sum(dim=1), pack=True, **kwargs)
    expected = model(**theirs).last_hidden_state
    torch.testing.assert_close(got[real], expected[real], atol=1e-5, rtol=0)


def test_old_names_of_norms_are_understood(saved):
    """TensorFlow's gamma and beta, as in the first BERT checkpoints."""
    model, directory = saved("bert", "ForPreTraining")

    def old(tensors):
        names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, name in names.items():
            tensors = {key.replace(new, name): value for key, value in tensors.items()}
        return tensors

    edit_tensors(directory, old)
    assert "bert.embeddings.LayerNorm.gamma" in tensors_of(directory)
    assert_same_function("bert", Encoder.from_pretrained(directory), model)


def test_a_norm_in_both_spellings_is_refused(saved):
    _, directory = saved("bert")
    name = "encoder.layer.1.output.LayerNorm"
    edit_tensors(directory, lambda t: t | {f"{name}.gamma": t[f"{name}.weight"] + 1})
    with pytest.raises(ValueError, match=rf"unexpected \['{name}.gamma'\]"):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize("padding_id", [0, 1, 4])
def test_robertas_unused_positions_are_cut_off(padding_id, saved):
    model, directory = saved("roberta", pad_token_id=padding_id)
    encoder = Encoder.from_pretrained(directory)
    table = model.embeddings.position_embeddings.weight
    assert torch.equal(encoder.embedding.positions.table, table[padding_id + 1 :])
    assert encoder.embedding.arguments()["max_length"] == 19 - padding_id - 1
    assert encoder.embedding.arguments()["padding_id"] == padding_id
    assert_same_function("roberta", encoder, model)


def test_robertas_unused_positions_come_back_as_zeros(saved, tmp_path):
    model, directory = saved("roberta")
    Encoder.from_pretrained(directory).save_pretrained(tmp_path / "ours")
    table = tensors_of(tmp_path / "ours")["embeddings.position_embeddings.weight"]
    assert table.shape == (19, 15)
    assert (table[:2] == 0).all()
    assert torch.equal(table[2:], model.embeddings.position_embeddings.weight[2:])


def test_ernies_task_zero_is_added_to_the_segments_and_said(saved, caplog):
    model, directory = saved("ernie", use_task_id=True, task_type_vocab_size=5)
    with caplog.at_level(logging.INFO, "encoderlib"):
        encoder = Encoder.from_pretrained(directory)
    assert "vector of task 0 is added to the segments" in caplog.text
    expected = (
        model.embeddings.token_type_embeddings.weight
        + model.embeddings.task_type_embeddings.weight[0]
    )
    assert torch.equal(encoder.embedding.segments.weight, expected)
    assert_same_function("ernie", encoder, model)
    caplog.clear()
    with caplog.at_level(logging.INFO, "encoderlib"):
        Encoder.from_pretrained(saved("ernie")[1])
    assert "task" not in caplog.text


def test_ernie_has_three_tasks_unless_config_says_otherwise(saved):
    model, directory = saved("ernie", use_task_id=True)
    edit(directory, task_type_vocab_size=None)
    assert_same_function("ernie", Encoder.from_pretrained(directory), model)


@pytest.mark.parametrize(("kind", "head"), ALL)
def test_what_is_left_out_can_be_listed_and_is_logged(kind, head, saved, caplog):
    model, directory = saved(kind, head)
    unused = pretrained.unused_tensors(directory)
    base = model.base_model_prefix
    names = [name.removeprefix(f"{base}.") for name in tensors_of(directory)]
    parts = ("pooler", "cls", "lm_head", "classifier", "vocab", "pre_classifier", "decoder")
    parts += ("cls_classifier", "distillation_classifier", "embeddings.mask_token")
    expected = [name for name in names if name.startswith(parts) and "cls_token" not in name]
    assert sorted(name.removeprefix(f"{base}.") for name in unused) == sorted(expected)
    with caplog.at_level(logging.INFO, "encoderlib"):
        Encoder.from_pretrained(directory)
    assert all(name in caplog.text for name in unused)
    assert ("left out" in caplog.text) == bool(unused)


def test_numbers_of_positions_in_old_checkpoints_are_left_out(saved):
    model, directory = saved("bert")
    old = {
        "embeddings.position_ids": torch.arange(19)[None],
        "embeddings.token_type_ids": torch.zeros(1, 19, dtype=torch.long),
    }
    edit_tensors(directory, lambda t: t | old)
    assert old.keys() <= set(pretrained.unused_tensors(directory))
    assert_same_function("bert", Encoder.from_pretrained(directory), model)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_unless_said_otherwise(half, saved, tmp_path, hf, caplog):
    model, directory = saved("bert")
    model.to(half).save_pretrained(directory)
    with caplog.at_level(logging.INFO, "encoderlib"):
        encoder = Encoder.from_pretrained(directory)
    assert f"converted from {half} to torch.float32" in caplog.text
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert_same_function("bert", encoder, model.float())
    caplog.clear()
    with caplog.at_level(logging.INFO, "encoderlib"):
        encoder = Encoder.from_pretrained(directory, dtype=half)
    assert "converted" not in caplog.text
    assert {p.dtype for p in encoder.parameters()} == {half}
    word = model.embeddings.word_embeddings.weight.to(half)
    assert torch.equal(encoder.embedding.tokens.table.weight, word)
    encoder.save_pretrained(tmp_path / "ours")
    again = hf.AutoModel.from_pretrained(tmp_path / "ours", add_pooling_layer=False, dtype="auto")
    assert again.dtype == half
    assert torch.equal(again.embeddings.word_embeddings.weight, word)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_what_is_saved(kind, saved, tmp_path, hf):
    model, directory = saved(kind, HEADS[kind][0])
    encoder = Encoder.from_pretrained(directory)
    encoder.save_pretrained(tmp_path / "ours")
    plain = {} if kind == "distilbert" else {"add_pooling_layer": False}
    again, report = hf.AutoModel.from_pretrained(
        tmp_path / "ours", output_loading_info=True, **plain
    )
    assert type(again).__name__ == LAYOUTS[kind].architecture == f"{KINDS[kind][0]}Model"
    assert not any(report.values()), report  # nothing missing, unexpected or of another shape
    assert_same_function(kind, encoder, again.eval())
    theirs, _, _, real = batch(kind, model)
    with torch.no_grad():
        got = again(**theirs).last_hidden_state
        assert torch.equal(got[real], model.base_model(**theirs).last_hidden_state[real])


@pytest.mark.parametrize(("kind", "head"), ALL)
def test_reading_what_was_written_changes_no_bit(kind, head, saved, tmp_path):
    _, directory = saved(kind, head)
    encoder = Encoder.from_pretrained(directory)
    encoder.save_pretrained(tmp_path / "ours")
    again = Encoder.from_pretrained(tmp_path / "ours")
    assert again.config == encoder.config
    assert again.embedding.arguments() == encoder.embedding.arguments()
    assert again.layout == kind
    assert again.state_dict().keys() == encoder.state_dict().keys()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    # And in the file: the very tensors of the checkpoint, less what was left out.
    old = {k.removeprefix(f"{kind}."): v for k, v in tensors_of(directory).items()}
    new = tensors_of(tmp_path / "ours")
    unused = {k.removeprefix(f"{kind}.") for k in pretrained.unused_tensors(directory)}
    assert new.keys() == old.keys() - unused
    for name, tensor in new.items():
        rows = slice(2, None) if kind == "roberta" and "position" in name else slice(None)
        assert torch.equal(tensor[rows], old[name][rows]), name


@kinds
def test_fields_that_are_left_out_mean_what_they_mean_in_transformers(kind, hf):
    theirs = getattr(hf, f"{KINDS[kind][0]}Config")()
    layout = LAYOUTS[kind]
    assert layout.defaults == {name: getattr(theirs, name) for name in layout.defaults}
    assert set(layout.sizes.values()) | set(layout.inputs.values()) <= layout.defaults.keys()
    assert layout.parse({}) is not None
    for name, plain in PLAIN.items():
        assert getattr(theirs, name, plain) in (None, plain)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("position_embedding_type", "relative_key"),
        ("pruned_heads", {"0": [1]}),
        ("head_dim", 7),
        ("auto_map", {"AutoModel": "code.Model"}),
        ("quantization_config", {"bits": 4}),
    ],
)
def test_a_field_that_makes_it_another_function_is_refused(field, value, saved):
    _, directory = saved("bert")
    edit(directory, **{field: value})
    with pytest.raises(ValueError, match=rf"config.json has {field}=.*supported is only "):
        Encoder.from_pretrained(directory)
    assert field in PLAIN


def test_fields_of_other_kinds_of_model_mean_nothing_as_in_transformers(saved):
    model, directory = saved("bert")
    edit(directory, use_task_id=True, qkv_bias=False)
    assert_same_function("bert", Encoder.from_pretrained(directory), model)


def test_fields_with_their_plain_value_are_accepted(saved):
    model, directory = saved("bert")
    edit(directory, position_embedding_type="absolute", pruned_heads={}, is_decoder=False)
    assert_same_function("bert", Encoder.from_pretrained(directory), model)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("bert", {"hidden_act": "quick_gelu"}, "hidden_act='quick_gelu'; supported: gelu, gelu_n"),
        ("bert", {"hidden_act": ["gelu"]}, r"hidden_act=\['gelu'\]; supported: gelu, "),
        ("distilbert", {"activation": "mish"}, "activation='mish'; supported: gelu, "),
        ("bert", {"hidden_size": "15"}, "hidden_size='15'; supported: an integer"),
        ("bert", {"vocab_size": True}, "vocab_size=True; supported: an integer of at least 1"),
        ("bert", {"type_vocab_size": 0}, "type_vocab_size=0; supported: an integer of at least 1"),
        ("bert", {"hidden_dropout_prob": "no"}, "hidden_dropout_prob='no'; supported: a number"),
        ("bert", {"layer_norm_eps": True}, "layer_norm_eps=True; supported: a number"),
        ("bert", {"pad_token_id": -1}, "pad_token_id=-1; supported: an id or null"),
        ("bert", {"num_attention_heads": 4}, "n_heads=4 must divide d_model=15"),
        ("vit", {"image_size": [21, 28]}, r"image_size=\[21, 28\]; supported: .* square"),
        ("vit", {"patch_size": [7, 7, 7]}, r"patch_size=\[7, 7, 7\]; supported: .* square"),
        ("vit", {"image_size": 22}, "do not tile an image of 22"),
        ("bert", {"model_type": "gpt2"}, r"model_type='gpt2' is not supported; \['bert', 'deit', "),
        ("bert", {"model_type": None}, "model_type=None is not supported; .* and 'encoderlib' are"),
        ("bert", {"model_type": ["bert"]}, r"model_type=\['bert'\] is not supported"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(kind, changes, message, saved):
    _, directory = saved(kind)
    edit(directory, **changes)
    with pytest.raises(ValueError, match=message):
        Encoder.from_pretrained(directory)


def test_roberta_needs_a_padding_id():
    with pytest.raises(ValueError, match=r"positions count from pad_token_id \+ 1.* got None"):
        LAYOUTS["roberta"].parse({"pad_token_id": None})
    assert LAYOUTS["bert"].parse({"pad_token_id": None})[1].arguments()["padding_id"] is None


def test_a_square_image_may_be_given_by_two_sides(saved):
    model, directory = saved("vit")
    edit(directory, image_size=[21, 21], patch_size=[7, 7])
    assert_same_function("vit", Encoder.from_pretrained(directory), model)


def test_missing_and_unexpected_tensors_are_named(saved):
    _, directory = saved("bert", "ForMaskedLM")
    edit(directory, num_hidden_layers=2)
    with pytest.raises(ValueError, match=r"missing \[\], unexpected \['encoder.layer.2.att"):
        Encoder.from_pretrained(directory)
    edit(directory, num_hidden_layers=4)
    with pytest.raises(ValueError, match=r"missing \['encoder.layer.3.*, unexpected \[\]"):
        Encoder.from_pretrained(directory)


@pytest.mark.parametrize("given", [True, False])
def test_fields_and_tensors_must_agree_on_optional_parts(given, saved):
    _, directory = saved("vit", qkv_bias=given)
    edit(directory, qkv_bias=not given)
    with pytest.raises(ValueError, match="unexpected" if given else "missing") as error:
        Encoder.from_pretrained(directory)
    assert "encoder.layer.0.attention.attention.key.bias" in str(error.value)
    _, directory = saved("ernie", use_task_id=given)
    edit(directory, use_task_id=not given)
    with pytest.raises(ValueError, match=r"\['embeddings.task_type_embeddings.weight'\]"):
        Encoder.from_pretrained(directory)


def test_wrong_shapes_are_named(saved):
    _, directory = saved("bert", "ForMaskedLM")
    edit(directory, vocab_size=36, intermediate_size=29)
    with pytest.raises(ValueError, match="wrong shapes in ") as error:
        Encoder.from_pretrained(directory)
    text = str(error.value)
    assert "bert.embeddings.word_embeddings.weight: expected (36, 15), got (37, 15)" in text
    assert "bert.encoder.layer.2.intermediate.dense.bias: expected (29,), got (23,)" in text
    assert "position" not in text


def test_as_many_numbers_in_another_shape_are_refused(saved):
    _, directory = saved("vit")
    name = "embeddings.patch_embeddings.projection.weight"
    edit_tensors(directory, lambda t: t | {name: t[name].reshape(15, 7, 7, 2)})
    with pytest.raises(ValueError, match=r"expected \(15, 2, 7, 7\), got \(15, 7, 7, 2\)"):
        Encoder.from_pretrained(directory)


def test_quantised_tensors_are_refused(saved):
    _, directory = saved("bert")
    name = "encoder.layer.1.output.dense.weight"
    edit_tensors(directory, lambda t: t | {name: t[name].to(torch.int8)})
    with pytest.raises(ValueError, match=rf"no floating numbers \(quantised\?\): \['{name}'\]"):
        Encoder.from_pretrained(directory)


OWN = {
    "plain": EncoderConfig(15, 5, 23, 2),
    "changed": EncoderConfig(
        12, 6, 23, 1, 0.25, 0.5, "silu", False, 1e-3, norm="rms", gated=True, n_kv_heads=2
    ),
    "t5": EncoderConfig(12, 6, 23, 2, bias=False, positions="t5"),
    "shaw": EncoderConfig(12, 6, 23, 2, positions="shaw"),
    "rotary": EncoderConfig(12, 6, 23, 2, positions="rotary"),
    "alibi": EncoderConfig(12, 6, 23, 2, positions="alibi"),
}
EMBEDDINGS = {
    "none": lambda d: None,
    "text": lambda d: TextEmbedding(37, d, 19, n_segments=3, padding_id=5, norm=False, dropout=0.5),
    "image": lambda d: ImageEmbedding(21, 7, 2, d, n_prefix=2, dropout=0.5),
}


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("config", OWN)
def test_an_encoder_that_was_built_here_comes_back_the_same(config, embedding, tmp_path, randomise):
    config = OWN[config]
    encoder = randomise(Encoder(config, EMBEDDINGS[embedding](config.d_model)))
    encoder.save_pretrained(tmp_path / "made" / "here")
    again = Encoder.from_pretrained(tmp_path / "made" / "here")
    assert again.config == config
    assert again.layout == "encoderlib"
    assert not again.training
    assert type(again.embedding) is type(encoder.embedding)
    if encoder.embedding is not None:
        assert again.embedding.arguments() == encoder.embedding.arguments()
    assert again.state_dict().keys() == encoder.state_dict().keys()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    assert pretrained.unused_tensors(tmp_path / "made" / "here") == []


def test_an_own_layout_that_is_not_understood_is_refused(tmp_path):
    Encoder(OWN["plain"]).save_pretrained(tmp_path)
    edit(tmp_path, embedding={"type": "Surprise"})
    with pytest.raises(ValueError, match=r"type 'Surprise' is not supported; \['ImageEmb"):
        Encoder.from_pretrained(tmp_path)
    edit(tmp_path, embedding="TextEmb")
    with pytest.raises(ValueError, match="embedding type 'TextEmb' is not supported"):
        Encoder.from_pretrained(tmp_path)
    edit(tmp_path, encoder={"d_model": 15, "wings": 2})
    with pytest.raises(ValueError, match=r"unknown fields in the configuration: \['wings'\]"):
        Encoder.from_pretrained(tmp_path)
    edit(tmp_path, encoder=None)
    with pytest.raises(ValueError, match="must hold an object 'encoder', got None"):
        Encoder.from_pretrained(tmp_path)


def test_an_embedding_that_cannot_be_described_is_refused(tmp_path):
    class TextEmbedding(nn.Module):  # the name alone is not enough
        pass

    for embedding, name in (
        (nn.Sequential(TokenEmbedding(37, 15)), "Sequential"),
        (TextEmbedding(), "TextEmbedding"),
    ):
        with pytest.raises(ValueError, match=f"of type {name} cannot be described .* save its we"):
            Encoder(OWN["plain"], embedding).save_pretrained(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def bert_like(**changes):
    config = EncoderConfig(15, 5, 23, 2, norm_first=False, eps=1e-12, attention_dropout=0.1)
    return dataclasses.replace(config, **changes)


TEXTS = {"vocab_size": 37, "d_model": 15, "max_length": 17, "n_segments": 2, "dropout": 0.1}


@pytest.mark.parametrize(
    ("layout", "config", "embedding"),
    [
        ("bert", bert_like(activation="gelu_tanh"), TextEmbedding(**TEXTS)),
        ("roberta", bert_like(eps=1e-5), TextEmbedding(**TEXTS | {"eps": 1e-5, "padding_id": 3})),
        ("ernie", bert_like(activation="relu"), TextEmbedding(**TEXTS | {"padding_id": None})),
        ("distilbert", bert_like(), TextEmbedding(**TEXTS | {"n_segments": 0})),
        ("vit", bert_like(norm_first=True), ImageEmbedding(21, 7, 2, 15, 1, 0.1)),
        ("deit", bert_like(norm_first=True), ImageEmbedding(21, 7, 2, 15, 2, 0.1)),
    ],
)
def test_an_encoder_that_was_built_here_can_go_to_transformers(
    layout, config, embedding, tmp_path, hf, randomise
):
    encoder = randomise(Encoder(config, embedding)).eval()
    encoder.layout = layout
    encoder.save_pretrained(tmp_path)
    plain = {} if layout == "distilbert" else {"add_pooling_layer": False}
    model = hf.AutoModel.from_pretrained(tmp_path, **plain).eval()
    if model.config.to_dict().get("pad_token_id", 0) is None:
        model.config.pad_token_id = 0  # for the test's own padding
    assert_same_function(layout, encoder, model)


@pytest.mark.parametrize(
    ("layout", "config", "embedding", "message"),
    [
        (
            "bert",
            {"norm_first": True},
            {},
            r"norm_first=True \(only False\); save with the layout 'encoderlib'",
        ),
        ("bert", {"norm": "rms"}, {}, "norm='rms'"),
        ("bert", {"gated": True}, {}, "gated=True"),
        ("bert", {"n_kv_heads": 1}, {}, "n_kv_heads=1"),
        ("bert", {"positions": "alibi"}, {}, "positions='alibi'"),
        ("bert", {"eps": 1e-5}, {}, r"hold embedding.eps=1e-12 \(only 1e-05\);"),
        ("bert", {}, {"dropout": 0.2}, r"hold embedding.dropout=0.2 \(only 0.1\);"),
        ("bert", {}, {"d_model": 10}, "hold embedding.d_model=10 "),
        ("bert", {}, {"norm": False}, "embedding.norm=False"),
        ("bert", {}, {"n_segments": 0}, "type_vocab_size=0; supported"),
        ("distilbert", {}, {}, "embedding.n_segments=2"),
        (
            "distilbert",
            {"eps": 1e-5},
            {"n_segments": 0, "eps": 1e-5},
            r"hold eps=1e-05 \(only 1e-12\), embedding.eps",
        ),
        ("roberta", {}, {"padding_id": None}, "must be an integer, got None"),
        ("vit", {}, {}, "needs an embedding of type ImageEmbedding, got TextEmbedding; save"),
        ("gpt2", {}, {}, "model_type='gpt2' is not supported"),
    ],
)
def test_a_layout_that_cannot_hold_the_encoder_is_refused(
    layout, config, embedding, message, tmp_path
):
    encoder = Encoder(bert_like(**config), TextEmbedding(**TEXTS | embedding))
    encoder.layout = layout
    with pytest.raises(ValueError, match=message):
        encoder.save_pretrained(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_images_with_another_prefix_are_refused(tmp_path):
    config = bert_like(norm_first=True)
    for layout, embedding, message in (
        ("vit", ImageEmbedding(21, 7, 2, 15, 2, 0.1), "cannot hold embedding.n_prefix=2"),
        ("deit", ImageEmbedding(21, 7, 2, 15, 1, 0.1), "cannot hold embedding.n_prefix=1"),
        ("bert", ImageEmbedding(21, 7, 2, 15, 1, 0.1), "of type TextEmbedding, got ImageEmbedding"),
        ("bert", None, "of type TextEmbedding, got NoneType"),
    ):
        with pytest.raises(ValueError, match=message):
            pretrained.write({}, config, embedding, layout, tmp_path / "x")


def test_tensors_that_do_not_fit_the_configuration_are_not_written(tmp_path):
    encoder = Encoder(bert_like(), TextEmbedding(**TEXTS))
    state = encoder.state_dict()
    arguments = (encoder.config, encoder.embedding, "bert", tmp_path / "x")
    with pytest.raises(ValueError, match=r"in the encoder: missing \[\], unexpected \['lora'\]"):
        pretrained.write(state | {"lora": torch.zeros(1)}, *arguments)
    name = "layers.1.attention.in_proj.weight"
    with pytest.raises(ValueError, match=rf"wrong shapes .*{name}: expected \(45, 15\), got \(36"):
        pretrained.write(state | {name: torch.zeros(36, 15)}, *arguments)
    del state["embedding.positions.table"]
    with pytest.raises(ValueError, match=r"missing \['embedding.positions.table'\], unexp"):
        pretrained.write(state, *arguments)
    assert not (tmp_path / "x").exists()


def test_a_parameter_whose_memory_is_not_in_order_is_saved(tmp_path):
    encoder = Encoder(OWN["plain"])
    layer = encoder.layers[0].feedforward.linear1
    layer.weight = nn.Parameter(torch.randn(15, 23).T)
    encoder.save_pretrained(tmp_path)
    again = Encoder.from_pretrained(tmp_path)
    assert torch.equal(again.layers[0].feedforward.linear1.weight, layer.weight)


def test_mixed_dtypes_are_kept_and_not_given_one_name(tmp_path):
    encoder = Encoder(OWN["plain"])
    encoder.layers[0].to(torch.bfloat16)
    encoder.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] is None
    tensors = tensors_of(tmp_path)
    assert tensors["layers.0.norm1.weight"].dtype == torch.bfloat16
    assert tensors["layers.1.norm1.weight"].dtype == torch.float32
