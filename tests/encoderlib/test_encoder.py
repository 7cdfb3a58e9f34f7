"""encoderlib.encoder: the function of torch's and Hugging Face's encoders, and who sees whom."""

import itertools

import pytest
import torch
import transformers
from torch import nn

from encoderlib import (
    Encoder,
    EncoderConfig,
    EncoderLayer,
    LayerNorm,
    RMSNorm,
    causal_mask,
    combine_masks,
    lengths_to_tokens,
    padding_mask,
)
from encoderlib.encoder import make_norm
from encoderlib.inputs import TextEmbedding
from encoderlib.relative import (
    RELATIVE_KINDS,
    ALiBi,
    RotaryPositions,
    ShawRelativePositions,
    T5RelativeBias,
)

B, T = 3, 7
SMALL = EncoderConfig(d_model=26, n_heads=2, d_ff=17, n_layers=3, dropout=0.0, eps=0.1)
COINCIDENT = EncoderConfig(d_model=4, n_heads=4, d_ff=4, n_layers=4, dropout=0.0)
KINDS = list(itertools.product(["post", "pre"], ["relu", "gelu"]))
all_kinds = pytest.mark.parametrize(("norm", "activation"), KINDS)
both_norms = pytest.mark.parametrize("norm_first", [False, True], ids=["post", "pre"])


def variant(config, **changes):
    return EncoderConfig(**{**vars(config), **changes})


def torch_layer(layer, config):
    """A layer of torch with the parameters of ours."""
    theirs = nn.TransformerEncoderLayer(
        config.d_model,
        config.n_heads,
        config.d_ff,
        dropout=0.0,
        activation=config.activation,
        layer_norm_eps=config.eps,
        batch_first=True,
        norm_first=config.norm_first,
    )
    names = {
        "attention.in_proj.weight": "self_attn.in_proj_weight",
        "attention.in_proj.bias": "self_attn.in_proj_bias",
        "attention.out_proj": "self_attn.out_proj",
        "feedforward.": "",
    }
    state = {}
    for name, value in layer.state_dict().items():
        for ours, other in names.items():
            name = name.replace(ours, other)
        state[name] = value
    theirs.load_state_dict(state)
    return theirs


def padded_inputs(batch, length, d_model):
    x = torch.randn(batch, length, d_model)
    tokens = lengths_to_tokens(torch.arange(batch) % length + 1, length)
    return x, tokens


@all_kinds
@pytest.mark.parametrize("config", [SMALL, COINCIDENT], ids=["primes", "coincident"])
@pytest.mark.parametrize("training", [False, True])
def test_a_layer_equals_torch(norm, activation, config, training, randomise):
    config = variant(config, norm_first=norm == "pre", activation=activation)
    ours = randomise(EncoderLayer(config))
    theirs = torch_layer(ours, config).train(training)
    x, tokens = padded_inputs(4, 4, config.d_model)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=2e-5)
    expected = theirs(x, src_key_padding_mask=~tokens)
    got = ours(x, padding_mask(tokens))
    torch.testing.assert_close(got[tokens], expected[tokens], rtol=1e-5, atol=2e-5)
    expected = theirs(x, src_mask=~causal_mask(4)[0, 0])
    torch.testing.assert_close(ours(x, causal_mask(4)), expected, rtol=1e-5, atol=2e-5)


@all_kinds
@pytest.mark.parametrize("config", [SMALL, COINCIDENT], ids=["primes", "coincident"])
def test_a_stack_equals_torch(norm, activation, config, randomise):
    config = variant(config, norm_first=norm == "pre", activation=activation)
    ours = randomise(Encoder(config))
    theirs = nn.TransformerEncoder(
        torch_layer(ours.layers[0], config),
        config.n_layers,
        norm=nn.LayerNorm(config.d_model, config.eps) if config.norm_first else None,
        enable_nested_tensor=False,
    )
    for i, layer in enumerate(ours.layers):
        theirs.layers[i].load_state_dict(torch_layer(layer, config).state_dict())
    if config.norm_first:
        theirs.norm.load_state_dict(ours.norm.state_dict())
    x, tokens = padded_inputs(B, T, config.d_model)
    for mode in (True, False):
        expected = theirs.train(mode)(x, src_key_padding_mask=~tokens)
        ours.train(mode)
        for given in ({"mask": padding_mask(tokens)}, {"lengths": tokens.sum(dim=1)}):
            got = ours(x, **given)
            torch.testing.assert_close(got[tokens], expected[tokens], rtol=1e-4, atol=1e-4)


@both_norms
def test_gradients_of_a_stack_equal_torch(norm_first, randomise):
    config = variant(SMALL, norm_first=norm_first, n_layers=1)
    ours = randomise(Encoder(config)).double()
    theirs = torch_layer(ours.layers[0], config).double()
    x = torch.randn(B, T, 26, dtype=torch.float64)
    ours.norm = nn.Identity()
    ours(x).square().sum().backward()
    theirs(x).square().sum().backward()
    layer = ours.layers[0]
    for mine, other in (
        (layer.attention.in_proj.weight, theirs.self_attn.in_proj_weight),
        (layer.feedforward.linear1.weight, theirs.linear1.weight),
        (layer.norm1.weight, theirs.norm1.weight),
        (layer.norm2.bias, theirs.norm2.bias),
    ):
        torch.testing.assert_close(mine.grad, other.grad)


@both_norms
def test_padding_does_not_change_real_tokens(norm_first, randomise):
    """Errata E001-18 and E000-06: a layer without a mask lets padding in."""
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x = torch.randn(B, T, 26)
    padded = torch.cat([x, 10 * torch.randn(B, 5, 26)], dim=1)
    mask = padding_mask(lengths_to_tokens(torch.full((B,), T), T + 5))
    torch.testing.assert_close(encoder(padded, mask)[:, :T], encoder(x), rtol=1e-5, atol=1e-5)
    assert (encoder(padded)[:, :T] - encoder(x)).abs().max() > 1e-2


@both_norms
def test_sequences_of_a_batch_do_not_see_each_other(norm_first, randomise):
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x, tokens = padded_inputs(B, T, 26)
    mask, order = padding_mask(tokens), torch.tensor([2, 0, 1])
    torch.testing.assert_close(encoder(x[order], mask[order]), encoder(x, mask)[order])
    x.requires_grad_()
    encoder(x, mask)[1].sum().backward()
    assert (x.grad[[0, 2]] == 0).all()


@both_norms
def test_without_positions_permuting_tokens_permutes_outputs(norm_first, randomise):
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x, order = torch.randn(B, T, 26), torch.randperm(T)
    torch.testing.assert_close(encoder(x[:, order]), encoder(x)[:, order], rtol=1e-4, atol=1e-5)


@both_norms
def test_who_sees_whom_through_the_whole_stack(norm_first, randomise):
    """Erratum E001-23: without a causal mask earlier states change when a token is appended."""
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x = torch.randn(1, T, 26)
    tokens = lengths_to_tokens(torch.tensor([5]), T)

    def reads(mask):
        jacobian = torch.autograd.functional.jacobian(lambda z: encoder(z, mask)[0], x)
        return jacobian.abs().sum(dim=(1, 2, 4)) > 0  # (T, T): does output t read input s

    everything, lower = torch.ones(T, T).bool(), torch.ones(T, T).tril().bool()
    assert torch.equal(reads(None), everything)
    assert torch.equal(reads(causal_mask(T)), lower)
    real = tokens.expand(T, T) | torch.eye(T).bool()  # padding reads itself by the residual
    assert torch.equal(reads(padding_mask(tokens)), real)
    both = combine_masks(padding_mask(tokens), causal_mask(T))
    assert torch.equal(reads(both), real & lower)


@both_norms
def test_a_sequence_without_tokens_stays_finite_and_so_do_gradients(norm_first, randomise):
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x = torch.randn(2, T, 26, requires_grad=True)
    y = encoder(x, padding_mask(lengths_to_tokens(torch.tensor([T, 0]), T)))
    assert y.isfinite().all()
    y.square().sum().backward()
    assert x.grad.isfinite().all()
    for parameter in encoder.parameters():
        assert parameter.grad.isfinite().all()


@both_norms
@pytest.mark.parametrize("change", [lambda x: 1000 * x, lambda x: x + 100], ids=["1000x", "x+100"])
def test_extreme_inputs_stay_finite(norm_first, change, randomise):
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x = change(torch.randn(B, T, 26))
    got, exact = encoder(x), encoder.double()(x.double())
    assert got.isfinite().all()
    torch.testing.assert_close(got.double(), exact, rtol=1e-2, atol=1e-2)


@both_norms
def test_a_pre_norm_stack_ends_with_a_norm_and_a_post_norm_stack_does_not(norm_first):
    config = variant(SMALL, norm_first=norm_first)
    encoder = Encoder(config)
    last = [name for name in encoder.state_dict() if name.startswith("norm.")]
    assert last == (["norm.weight", "norm.bias"] if norm_first else [])
    y = encoder(5 * torch.randn(B, T, 26) + 3)  # both: every output vector is normalised
    torch.testing.assert_close(y.mean(-1), torch.zeros(B, T), rtol=0, atol=1e-5)


@both_norms
def test_parameters_are_counted_by_the_formula(norm_first):
    d, f, n = 26, 17, 3
    layer = 4 * d * d + 4 * d + 2 * d * f + f + d + 4 * d
    count = sum(p.numel() for p in Encoder(variant(SMALL, norm_first=norm_first)).parameters())
    assert count == n * layer + norm_first * 2 * d


def test_layers_do_not_share_parameters():
    encoder = Encoder(SMALL)
    assert len({p.data_ptr() for p in encoder.parameters()}) == len(list(encoder.parameters()))
    assert not torch.equal(
        encoder.layers[0].attention.in_proj.weight, encoder.layers[1].attention.in_proj.weight
    )


@both_norms
def test_residuals_keep_the_tokens_apart(norm_first, randomise):
    """Errata E002-19 and E001-07: without both residuals all tokens become the same vector."""
    config = EncoderConfig(32, 4, 128, n_layers=6, dropout=0.0, norm_first=norm_first)
    y = Encoder(config)(torch.randn(1, 10, 32))[0]
    assert (y - y.mean(0)).norm() / y.norm() > 0.05


@both_norms
def test_dropout_is_on_the_output_of_each_sub_layer(norm_first):
    """With the last map of a sub-layer at zero its output is its bias, dropped or doubled."""
    layer = EncoderLayer(variant(SMALL, dropout=0.5, norm_first=norm_first))
    layer.norm1 = layer.norm2 = nn.Identity()
    x = torch.full((2, 50, 26), 10.0)
    ends = {"attention": layer.attention.out_proj, "feedforward": layer.feedforward.linear2}
    for end in ends.values():
        nn.init.zeros_(end.weight)
        nn.init.zeros_(end.bias)
    for end in ends.values():
        nn.init.ones_(end.bias)
        y = layer(x)
        assert set(y.unique().tolist()) == {10.0, 12.0}  # the residual itself is not dropped
        assert 0.45 < (y == 10).float().mean() < 0.55
        assert torch.equal(layer.eval()(x), x + 1)
        layer.train()
        nn.init.zeros_(end.bias)


@pytest.mark.parametrize("kind", ["dropout", "attention_dropout"])
def test_eval_is_deterministic_and_train_is_not(kind, randomise):
    """Erratum E000-08: dropout that is on unless it is turned off."""
    encoder = randomise(Encoder(variant(SMALL, **{kind: 0.3})))
    x = torch.randn(B, T, 26)
    assert not torch.equal(encoder(x), encoder(x))
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))
    lean = Encoder(SMALL)
    lean.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(x), lean(x))


def test_the_configuration_reaches_every_part():
    config = EncoderConfig(12, 3, 20, 2, 0.3, 0.4, "relu", False, 1e-12)
    encoder = Encoder(config)
    assert encoder.config is config
    assert len(encoder.layers) == 2
    for layer in encoder.layers:
        assert layer.attention.n_heads == 3
        assert layer.attention.dropout == 0.4
        assert layer.feedforward.activation is nn.functional.relu
        assert layer.feedforward.dropout.p == layer.dropout.p == 0.3
        assert layer.norm1.eps == layer.norm2.eps == 1e-12
        assert not layer.norm_first
    assert Encoder(variant(config, norm_first=True)).norm.eps == 1e-12


def test_the_newer_choices_reach_every_part_too():
    config = variant(SMALL, norm="rms", gated=True, bias=False, n_kv_heads=1, norm_first=True)
    encoder = Encoder(config)
    for layer in encoder.layers:
        assert layer.attention.n_kv_heads == 1
        assert layer.feedforward.gated
        for norm in (layer.norm1, layer.norm2, encoder.norm):
            assert isinstance(norm, RMSNorm)
            assert norm.eps == 0.1
    assert not [name for name in encoder.state_dict() if name.endswith("bias")]
    assert isinstance(make_norm(SMALL), LayerNorm)
    assert make_norm(SMALL).bias is not None
    assert make_norm(variant(SMALL, bias=False)).bias is None
    assert make_norm(variant(SMALL, d_model=8)).weight.shape == (8,)


@both_norms
def test_attention_maps_are_those_of_the_forward_pass(norm_first, randomise):
    config = variant(SMALL, norm_first=norm_first)
    encoder = randomise(Encoder(config))
    x, tokens = padded_inputs(B, T, 26)
    mask = padding_mask(tokens)
    maps = encoder.attention_maps(x, mask)
    assert len(maps) == 3
    for layer, weights in zip(encoder.layers, maps, strict=True):
        theirs = torch_layer(layer, config)
        seen = theirs.norm1(x) if norm_first else x
        _, expected = theirs.self_attn(
            seen, seen, seen, key_padding_mask=~tokens, average_attn_weights=False
        )
        torch.testing.assert_close(weights, expected, rtol=1e-4, atol=1e-5)
        x = theirs(x, src_key_padding_mask=~tokens)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@both_norms
def test_half_precision_is_close(dtype, norm_first, randomise):
    encoder = randomise(Encoder(variant(SMALL, norm_first=norm_first)))
    x, tokens = padded_inputs(B, T, 26)
    expected = encoder(x, padding_mask(tokens))
    got = encoder.to(dtype)(x.to(dtype), padding_mask(tokens))
    assert got.dtype == dtype
    assert (got.float() - expected).norm() / expected.norm() < 0.05


def test_bfloat16_autocast_takes_a_padding_mask(randomise):
    encoder = randomise(Encoder(SMALL)).eval()
    x, tokens = padded_inputs(B, T, 26)
    expected = encoder(x, padding_mask(tokens))
    with torch.autocast("cpu", torch.bfloat16):
        got = encoder(x, padding_mask(tokens))
    assert (got.float() - expected).norm() / expected.norm() < 0.05


def test_state_survives_a_round_trip(randomise, tmp_path):
    encoder = randomise(Encoder(SMALL))
    torch.save(encoder.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "config.json").write_text(SMALL.to_json())
    copy = Encoder(EncoderConfig.from_json((tmp_path / "config.json").read_text()))
    copy.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x = torch.randn(B, T, 26)
    assert torch.equal(copy(x), encoder(x))


def test_a_two_axis_mask_is_refused(unchecked):
    """Erratum E003-06, through the whole stack."""
    x = torch.randn(4, 4, 4)  # B = T = D = H
    with pytest.raises(ValueError, match=r"masks\.padding_mask"):
        Encoder(COINCIDENT)(x, torch.ones(4, 4, dtype=torch.bool))


# --- Hugging Face's models, with random weights ---


def copy_linears(layer, theirs, order=None):
    """Their query, key, value, output, first and last linear maps into our layer."""
    query, key, value, output, first, last = theirs
    rows = slice(None) if order is None else order
    with torch.no_grad():
        for name in ("weight", "bias"):
            if getattr(output, name) is None:
                continue
            parts = [getattr(part, name) for part in (query, key, value)]
            # The order of the columns is the same in each head, so it serves queries and keys.
            parts[:2] = [
                part.unflatten(0, (-1, layer.attention.d_head))[:, rows].flatten(0, 1)
                for part in parts[:2]
            ]
            getattr(layer.attention.in_proj, name).copy_(torch.cat(parts))
            getattr(layer.attention.out_proj, name).copy_(getattr(output, name))
            getattr(layer.feedforward.linear1, name).copy_(
                torch.cat([getattr(f, name) for f in first])
            )
            getattr(layer.feedforward.linear2, name).copy_(getattr(last, name))


def test_a_post_norm_encoder_equals_bert(randomise):
    """Theirs is the embedding too: a module, and segments that are handed on to it."""
    theirs = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=31,
            hidden_size=26,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=17,
            max_position_embeddings=13,
            attn_implementation="eager",
        ),
        add_pooling_layer=False,
    )
    randomise(theirs).eval()
    config = variant(SMALL, norm_first=False, eps=1e-12)
    ours = Encoder(config, theirs.embeddings).eval()
    for mine, other in zip(ours.layers, theirs.encoder.layer, strict=True):
        one, out = other.attention.self, other.attention.output
        maps = one.query, one.key, one.value, out.dense, [other.intermediate.dense]
        copy_linears(mine, (*maps, other.output.dense))
        mine.norm1.load_state_dict(out.LayerNorm.state_dict())
        mine.norm2.load_state_dict(other.output.LayerNorm.state_dict())
    ids, segments = torch.randint(31, (B, T)), torch.randint(2, (B, T))
    lengths = torch.tensor([7, 3, 1])
    tokens = lengths_to_tokens(lengths)
    with torch.no_grad():
        expected = theirs(ids, tokens.long(), token_type_ids=segments, output_attentions=True)
        for pack in (True, False):
            got = ours(ids, lengths=lengths, pack=pack, token_type_ids=segments)
            torch.testing.assert_close(
                got[tokens], expected.last_hidden_state[tokens], rtol=1e-5, atol=1e-5
            )
        maps = ours.attention_maps(ids, padding_mask(tokens), token_type_ids=segments)
    for got, weights in zip(maps, expected.attentions, strict=True):
        torch.testing.assert_close(got, weights, rtol=1e-4, atol=1e-5)


def test_a_pre_norm_encoder_equals_vit(randomise):
    theirs = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=26,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=17,
            image_size=8,
            patch_size=4,
            attn_implementation="eager",
        ),
        add_pooling_layer=False,
    )
    randomise(theirs).eval()
    ours = Encoder(variant(SMALL, eps=1e-12), theirs.embeddings).eval()
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        one = other.attention
        maps = one.q_proj, one.k_proj, one.v_proj, one.o_proj, [other.mlp.fc1], other.mlp.fc2
        copy_linears(mine, maps)
        mine.norm1.load_state_dict(other.layernorm_before.state_dict())
        mine.norm2.load_state_dict(other.layernorm_after.state_dict())
    ours.norm.load_state_dict(theirs.layernorm.state_dict())
    images = torch.randn(B, 3, 8, 8)
    with torch.no_grad():
        expected = theirs(images).last_hidden_state
        torch.testing.assert_close(ours(images), expected, rtol=1e-5, atol=1e-5)


def test_rms_norms_gates_rotary_positions_and_grouped_queries_equal_llama(randomise):
    """Under a causal mask, all the newer choices at once."""
    theirs = transformers.LlamaModel(
        transformers.LlamaConfig(
            vocab_size=31,
            hidden_size=24,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=17,
            rms_norm_eps=1e-3,
            attn_implementation="eager",
        )
    )
    randomise(theirs).eval()
    config = EncoderConfig(
        *(24, 4, 17, 3, 0.0),
        activation="silu",
        eps=1e-3,
        norm="rms",
        gated=True,
        bias=False,
        n_kv_heads=2,
        positions="rotary",
    )
    ours = Encoder(config, theirs.embed_tokens).eval()
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        one, mlp = other.self_attn, other.mlp
        maps = one.q_proj, one.k_proj, one.v_proj, one.o_proj, [mlp.gate_proj, mlp.up_proj]
        copy_linears(mine, (*maps, mlp.down_proj), order=[0, 3, 1, 4, 2, 5])
        mine.norm1.load_state_dict(other.input_layernorm.state_dict())
        mine.norm2.load_state_dict(other.post_attention_layernorm.state_dict())
    ours.norm.load_state_dict(theirs.norm.state_dict())
    ids = torch.randint(31, (B, T))
    with torch.no_grad():
        expected = theirs(ids).last_hidden_state
        got = ours(ids, causal_mask(T))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


# --- relative positions ---


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (None, []),
        ("rotary", [RotaryPositions]),
        ("alibi", [ALiBi]),
        ("t5", [T5RelativeBias]),
        ("shaw", [ShawRelativePositions] * 3),  # the paper learns a table for each layer
    ],
)
def test_layers_share_relative_positions_but_for_shaws(kind, found):
    encoder = Encoder(EncoderConfig(24, 4, 17, n_layers=3, positions=kind))
    assert [type(positions) for positions in encoder.positions] == found
    names = [name for name in encoder.state_dict() if name.startswith("positions")]
    tables = {"t5": 1, "shaw": 3}.get(kind, 0)
    assert names == [f"positions.{i}.table" for i in range(tables)]
    shapes = {"t5": (32, 4), "shaw": (33, 6)}
    assert all(encoder.state_dict()[name].shape == shapes[kind] for name in names)
    if kind == "t5":
        assert encoder.positions[0].bidirectional


def test_rotary_positions_need_heads_of_even_width():
    with pytest.raises(ValueError, match="d_head=13 must be even"):
        Encoder(variant(SMALL, positions="rotary"))


@pytest.mark.parametrize("kind", RELATIVE_KINDS)
@both_norms
def test_every_layer_uses_its_relative_positions(kind, norm_first, randomise):
    """The maps times the values are what each attention gave; and the order now matters."""
    config = EncoderConfig(24, 4, 17, 3, 0.0, positions=kind, norm_first=norm_first)
    encoder = randomise(Encoder(config))
    x, tokens = padded_inputs(B, T, 24)
    mask = padding_mask(tokens)
    seen = []
    for layer in encoder.layers:
        layer.attention.register_forward_hook(
            lambda module, given, output: seen.append((module, given[0], output))
        )
    y = encoder(x, mask, pack=False)
    maps = encoder.attention_maps(x, mask)
    for (attention, given, output), weights in zip(seen, maps, strict=False):
        heads = weights @ attention.project(given)[2]  # (B, H, T, d)
        expected = attention.out_proj(heads.transpose(1, 2).flatten(-2))
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    assert len(seen) == 6
    plain = Encoder(variant(config, positions=None))
    plain.load_state_dict(
        {name: v for name, v in encoder.state_dict().items() if not name.startswith("positions")}
    )
    for i, (got, without) in enumerate(zip(maps, plain.attention_maps(x, mask), strict=True)):
        assert (got - without).abs().max() > 1e-3, i
    assert (plain(x, mask) - y).abs().max() > 1e-3


def test_shaws_tables_belong_to_their_layers(randomise):
    encoder = randomise(Encoder(EncoderConfig(24, 4, 17, 3, 0.0, positions="shaw")))
    x = torch.randn(B, T, 24)
    before = encoder.attention_maps(x)
    with torch.no_grad():
        encoder.positions[1].table.add_(torch.randn(33, 6))
    after = encoder.attention_maps(x)
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [True, False, False]


@pytest.mark.parametrize("kind", RELATIVE_KINDS)
def test_a_shifted_sequence_gets_the_same_outputs(kind, randomise):
    """The hidden padding in front moves the tokens; relative positions do not see that."""
    encoder = randomise(Encoder(EncoderConfig(24, 4, 17, 2, 0.0, positions=kind)))
    x = torch.randn(B, T, 24)
    shifted = torch.cat([torch.randn(B, 3, 24), x], dim=1)
    mask = padding_mask(torch.arange(T + 3).ge(3).expand(B, -1))
    torch.testing.assert_close(encoder(shifted, mask)[:, 3:], encoder(x), rtol=1e-4, atol=1e-5)


# --- an embedding in front ---


class Doubling(nn.Module):
    """Takes what it is given by name, and counts how often."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x, **inputs):
        self.calls.append(inputs)
        return 2 * x


@pytest.mark.parametrize("method", [Encoder.forward, Encoder.attention_maps])
def test_an_embedding_is_called_once_with_what_is_meant_for_it(method, randomise):
    encoder = randomise(Encoder(SMALL))
    embedded = Encoder(SMALL, Doubling())
    embedded.load_state_dict(encoder.state_dict())
    x, tokens = padded_inputs(B, T, 26)
    mask, segments = padding_mask(tokens), torch.ones(B, T)
    expected = method(encoder, 2 * x, mask)
    got = method(embedded, x, mask, segments=segments, other=tokens)
    for mine, other in zip(got, expected, strict=True):
        assert torch.equal(mine, other)
    assert embedded.embedding.calls == [{"segments": segments, "other": tokens}]
    method(embedded, x)
    assert embedded.embedding.calls[1] == {}


def test_ids_in_and_vectors_out_trains_the_embedding_too(randomise):
    embedding = TextEmbedding(31, 26, max_length=T, n_segments=2)
    encoder = randomise(Encoder(SMALL, embedding))
    ids = torch.randint(1, 31, (B, T))
    y = encoder(ids, lengths=torch.tensor([7, 3, 1]), segments=ids % 2)
    assert torch.equal(y, encoder(ids, lengths=torch.tensor([7, 3, 1]), segments=ids % 2))
    assert not torch.equal(y, encoder(ids, lengths=torch.tensor([7, 3, 1])))
    y.sin().sum().backward()
    assert embedding.tokens.table.weight.grad[ids[0, 0]].any()


def test_inputs_without_an_embedding_to_take_them_are_refused():
    x = torch.randn(B, T, 26)
    for call in (Encoder(SMALL), Encoder(SMALL).attention_maps):
        with pytest.raises(
            TypeError, match=r"\['segments'\] given to an encoder without an embedding"
        ):
            call(x, segments=torch.ones(B, T))


# --- files ---


def test_a_saved_encoder_comes_back_in_eval_mode(randomise, tmp_path):
    """Hugging Face's layouts have tests of their own (test_pretrained.py)."""
    config = EncoderConfig(24, 4, 17, 2, 0.3, positions="shaw", gated=True, n_kv_heads=2)
    encoder = randomise(Encoder(config, TextEmbedding(31, 24, max_length=T)))
    assert encoder.layout == "encoderlib"
    encoder.save_pretrained(tmp_path)
    ids = torch.randint(1, 31, (B, T))
    expected = encoder.eval()(ids)
    copy = Encoder.from_pretrained(tmp_path)
    assert not copy.training
    assert copy.config == config
    assert copy.layout == "encoderlib"
    assert torch.equal(copy(ids), expected)
    half = Encoder.from_pretrained(str(tmp_path), dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in copy.parameters()} == {torch.float32}
