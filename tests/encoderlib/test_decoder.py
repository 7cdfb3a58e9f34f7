"""encoderlib.decoder: the function of torch.nn.TransformerDecoder, who sees whom, the caches."""

import dataclasses
import itertools

import pytest
import torch
from torch import nn

from encoderlib.config import EncoderConfig
from encoderlib.decoder import Decoder, DecoderLayer
from encoderlib.masks import lengths_to_tokens, padding_mask
from encoderlib.norms import RMSNorm

B, T, S = 3, 7, 5
SMALL = EncoderConfig(d_model=26, n_heads=2, d_ff=17, n_layers=3, dropout=0.0, eps=0.1)
COINCIDENT = EncoderConfig(d_model=4, n_heads=4, d_ff=4, n_layers=4, dropout=0.0)
KINDS = list(itertools.product(["post", "pre"], ["relu", "gelu"]))
RELATIVE = ["rotary", "alibi", "t5", "shaw"]
all_kinds = pytest.mark.parametrize(("norm", "activation"), KINDS)
both_sizes = pytest.mark.parametrize("config", [SMALL, COINCIDENT], ids=["primes", "coincident"])
both_norms = pytest.mark.parametrize("norm_first", [False, True], ids=["post", "pre"])
all_positions = pytest.mark.parametrize("positions", [None, *RELATIVE])


def variant(config=SMALL, **changes):
    return dataclasses.replace(config, **changes)


def torch_layer(layer, config):
    """A layer of torch with the parameters of ours."""
    theirs = nn.TransformerDecoderLayer(
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
        "self_attention.in_proj.": "self_attn.in_proj_",
        "self_attention.out_proj": "self_attn.out_proj",
        "cross_attention.in_proj.": "multihead_attn.in_proj_",
        "cross_attention.out_proj": "multihead_attn.out_proj",
        "feedforward.": "",
    }
    state = {}
    for name, value in layer.state_dict().items():
        for ours, other in names.items():
            name = name.replace(ours, other)
        state[name] = value
    theirs.load_state_dict(state)
    return theirs


def inputs(config=SMALL, batch=B, target=T, source=S):
    """Target, memory, and which source tokens are real: lengths 1, 2, ... S."""
    tokens = lengths_to_tokens(torch.arange(batch) % source + 1, source)
    size = config.d_model
    return torch.randn(batch, target, size), torch.randn(batch, source, size), tokens


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=5e-5)


@all_kinds
@both_sizes
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("source", [T, S], ids=["S=T", "S<T"])
def test_a_layer_equals_torch(norm, activation, config, training, source, randomise):
    config = variant(config, norm_first=norm == "pre", activation=activation)
    ours = randomise(DecoderLayer(config))
    theirs = torch_layer(ours, config).train(training)
    x, memory, tokens = inputs(config, source=source)
    causal = nn.Transformer.generate_square_subsequent_mask(T)
    close(ours(x, memory), theirs(x, memory, tgt_mask=causal, tgt_is_causal=True))
    expected = theirs(x, memory, tgt_mask=causal, memory_key_padding_mask=~tokens)
    close(ours(x, memory, memory_mask=padding_mask(tokens)), expected)
    written = lengths_to_tokens(torch.tensor([T, 1, 4]), T)
    hidden = torch.zeros(B, T).masked_fill(~written, -torch.inf)
    expected = theirs(x, memory, tgt_mask=causal, tgt_key_padding_mask=hidden)
    close(ours(x, memory, padding_mask(written)), expected)


@all_kinds
@both_sizes
def test_a_stack_equals_torch(norm, activation, config, randomise):
    config = variant(config, norm_first=norm == "pre", activation=activation)
    ours = randomise(Decoder(config))
    theirs = nn.TransformerDecoder(
        torch_layer(ours.layers[0], config),
        config.n_layers,
        norm=nn.LayerNorm(config.d_model, config.eps) if config.norm_first else None,
    )
    for i, layer in enumerate(ours.layers):
        theirs.layers[i].load_state_dict(torch_layer(layer, config).state_dict())
    if config.norm_first:
        theirs.norm.load_state_dict(ours.norm.state_dict())
    x, memory, tokens = inputs(config)
    causal = nn.Transformer.generate_square_subsequent_mask(T)
    expected = theirs(x, memory, tgt_mask=causal, memory_key_padding_mask=~tokens)
    close(ours(x, memory, memory_mask=padding_mask(tokens)), expected)


@both_norms
def test_gradients_equal_torch(norm_first, randomise):
    config = variant(norm_first=norm_first)
    ours = randomise(DecoderLayer(config)).double()
    theirs = torch_layer(ours, config).double()
    x, memory, tokens = inputs()
    x, memory = x.double(), memory.double().requires_grad_()
    causal = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64)
    (grad,) = torch.autograd.grad(
        theirs(x, memory, causal, memory_key_padding_mask=~tokens).square().sum(),
        memory,
        retain_graph=True,
    )
    theirs(x, memory, causal, memory_key_padding_mask=~tokens).square().sum().backward()
    memory.grad = None
    ours(x, memory, memory_mask=padding_mask(tokens)).square().sum().backward()
    torch.testing.assert_close(memory.grad, grad)
    for mine, other in (
        (ours.self_attention.in_proj.weight, theirs.self_attn.in_proj_weight),
        (ours.cross_attention.in_proj.bias, theirs.multihead_attn.in_proj_bias),
        (ours.feedforward.linear1.weight, theirs.linear1.weight),
        (ours.norm1.weight, theirs.norm1.weight),
        (ours.norm2.bias, theirs.norm2.bias),
        (ours.norm3.weight, theirs.norm3.weight),
    ):
        torch.testing.assert_close(mine.grad, other.grad)


def dependence(decoder, x, memory, **masks):
    """Which inputs ``(B, T)`` and memories ``(B, S)`` each output position of sequence 1 sees."""
    x, memory = x.clone().requires_grad_(), memory.clone().requires_grad_()
    y = decoder(x, memory, **masks)
    seen = []
    for t in range(y.size(1)):
        grads = torch.autograd.grad(y[1, t].square().sum(), (x, memory), retain_graph=True)
        seen.append([grad.abs().sum(-1) != 0 for grad in grads])
    return [torch.stack(list(each)) for each in zip(*seen, strict=True)]


@both_norms
@all_positions
def test_a_position_sees_no_later_one_and_all_of_the_source(norm_first, positions, randomise):
    """Erratum E003-13: a decoder is causal and attends to the encoder's output."""
    config = variant(norm_first=norm_first, positions=positions, n_heads=13)
    decoder = randomise(Decoder(config))
    x, memory, tokens = inputs()
    targets, sources = dependence(decoder, x, memory, memory_mask=padding_mask(tokens))
    assert (targets[:, 1] == torch.ones(T, T).tril().bool()).all()
    assert (sources[:, 1] == tokens[1]).all()
    assert not targets[:, [0, 2]].any()
    assert not sources[:, [0, 2]].any()
    _, sources = dependence(decoder, x, memory)
    assert sources[:, 1].all()


def test_the_mask_hides_target_positions_besides(randomise):
    decoder = randomise(Decoder(variant(n_layers=1)))
    x, memory, _ = inputs()
    mask = torch.ones(1, 1, T, T, dtype=torch.bool)
    mask[..., 5, 2] = False
    targets, _ = dependence(decoder, x, memory, mask=mask)
    expected = torch.ones(T, T).tril().bool()
    expected[5, 2] = False
    assert (targets[:, 1] == expected).all()


def steps(decoder, x, memory, sizes, **masks):
    """Run in pieces of these sizes, with caches."""
    caches = decoder.make_caches(x.size(0), sum(sizes), memory.size(1))
    with torch.no_grad():
        pieces = [decoder(piece, memory, caches=caches, **masks) for piece in x.split(sizes, dim=1)]
    return torch.cat(pieces, dim=1)


@both_norms
@all_positions
@pytest.mark.parametrize("sizes", [[1] * T, [3, 1, 2, 1], [T]], ids=str)
def test_steps_with_caches_equal_the_whole(norm_first, positions, sizes, randomise):
    config = variant(norm_first=norm_first, positions=positions, n_heads=13)
    decoder = randomise(Decoder(config))
    x, memory, tokens = inputs()
    mask = padding_mask(tokens)
    close(steps(decoder, x, memory, sizes, memory_mask=mask), decoder(x, memory, memory_mask=mask))


def test_grouped_queries_make_smaller_caches(randomise):
    decoder = randomise(Decoder(variant(n_heads=13, d_model=26, n_kv_heads=1)))
    for cache in decoder.make_caches(B, 11, S):
        assert cache.target.k.shape == cache.target.v.shape == (B, 1, 11, 2)
        assert cache.memory.k.shape == (B, 1, S, 2)
    x, memory, _ = inputs()
    close(steps(decoder, x, memory, [1] * T), decoder(x, memory))


def test_pruned_heads_make_smaller_caches(randomise):
    decoder = randomise(Decoder(variant(n_heads=13, n_layers=1)))
    decoder.layers[0].self_attention.prune([0, 5])
    decoder.layers[0].cross_attention.prune([1])
    (cache,) = decoder.make_caches(B, T, S)
    assert (cache.target.k.size(1), cache.memory.k.size(1)) == (11, 12)
    x, memory, _ = inputs()
    close(steps(decoder, x, memory, [1] * T), decoder(x, memory))


def test_caches_are_allocated_once_and_the_source_is_projected_once(randomise):
    decoder = randomise(Decoder(SMALL))
    x, memory, _ = inputs()
    caches = decoder.make_caches(B, T, S)
    kept = [c for cache in caches for c in (cache.target, cache.memory)]
    buffers = [(c.k.data_ptr(), c.v.data_ptr()) for c in kept]
    expected = decoder(x, memory)
    for t in range(T):
        source = memory if t == 0 else torch.full_like(memory, torch.nan)
        close(decoder(x[:, t : t + 1], source, caches=caches), expected[:, t : t + 1])
        assert [c.size for c in kept] == [t + 1, S] * 3
    assert [(c.k.data_ptr(), c.v.data_ptr()) for c in kept] == buffers
    with pytest.raises(ValueError, match="holds 7 positions, 7 are taken and 1 more came"):
        decoder(x[:, :1], memory, caches=caches)


def test_reordered_caches_go_on_from_the_other_rows(randomise):
    decoder = randomise(Decoder(SMALL))
    x, memory, _ = inputs()
    memory = memory[:1].expand(B, -1, -1)  # beams of one source
    index = torch.tensor([2, 2, 0])
    caches = decoder.make_caches(B, T, S)
    decoder(x[:, :4], memory, caches=caches)
    for cache in caches:
        cache.reorder(index)
    mixed = torch.cat([x[index, :4], x[:, 4:]], dim=1)
    close(decoder(x[:, 4:], memory, caches=caches), decoder(mixed, memory)[:, 4:])


def test_reordering_leaves_the_source_where_it_is(randomise):
    decoder = randomise(Decoder(SMALL))
    x, memory, _ = inputs()
    caches = decoder.make_caches(B, T, S)
    decoder(x, memory, caches=caches)
    for cache in caches:
        kept = [t.clone() for t in (cache.memory.k, cache.memory.v, cache.target.k, cache.target.v)]
        cache.reorder(torch.tensor([1, 1, 2]))
        assert torch.equal(cache.memory.k, kept[0])
        assert torch.equal(cache.memory.v, kept[1])
        assert torch.equal(cache.target.k, kept[2][[1, 1, 2]])
        assert torch.equal(cache.target.v, kept[3][[1, 1, 2]])


def test_one_cache_a_layer_is_needed():
    decoder = Decoder(SMALL)
    x, memory, _ = inputs()
    with pytest.raises(ValueError, match=r"2 caches for 3 layers; use Decoder.make_caches"):
        decoder(x, memory, caches=decoder.make_caches(B, T, S)[:2])


def test_caches_follow_the_dtype_of_the_parameters_and_of_autocast():
    decoder = Decoder(SMALL)
    assert decoder.make_caches(1, 2, 3)[0].target.k.dtype == torch.float32
    assert decoder.double().make_caches(1, 2, 3)[0].memory.v.dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert decoder.make_caches(1, 2, 3)[0].target.k.dtype == torch.bfloat16
    assert Decoder(SMALL).to("meta").make_caches(1, 2, 3)[0].target.k.device.type == "meta"


@pytest.mark.parametrize("positions", RELATIVE)
def test_relative_positions_tell_the_order_of_what_was_written(positions, randomise):
    """Without positions the last position sees a bag of words."""
    x, memory, _ = inputs()
    swapped = x[:, [2, 0, 4, 5, 1, 3, 6]]
    decoder = randomise(Decoder(variant(n_layers=1, n_heads=13)))
    close(decoder(swapped, memory)[:, -1], decoder(x, memory)[:, -1])
    decoder = randomise(Decoder(variant(n_layers=1, n_heads=13, positions=positions)))
    assert (decoder(swapped, memory) - decoder(x, memory))[:, -1].abs().max() > 1e-3


def test_which_layers_share_relative_positions(randomise):
    kinds = (None, *RELATIVE)
    counts = {k: len(Decoder(variant(positions=k, n_heads=13)).positions) for k in kinds}
    assert counts == {None: 0, "rotary": 1, "alibi": 1, "t5": 1, "shaw": 3}
    assert not Decoder(variant(positions="t5")).positions[0].bidirectional
    shaw = randomise(Decoder(variant(positions="shaw")))
    x, memory, _ = inputs()
    shaw(x, memory).square().sum().backward()
    assert all(positions.table.grad.abs().sum() > 0 for positions in shaw.positions)


def test_the_choices_of_the_configuration_are_taken():
    config = variant(norm="rms", gated=True, bias=False, attention_dropout=0.3, n_heads=13)
    decoder = Decoder(config)
    assert isinstance(decoder.norm, RMSNorm)
    assert len(decoder.layers) == 3
    assert not [name for name, _ in decoder.named_parameters() if name.endswith("bias")]
    for layer in decoder.layers:
        assert all(isinstance(n, RMSNorm) for n in (layer.norm1, layer.norm2, layer.norm3))
        assert layer.self_attention.dropout == layer.cross_attention.dropout == 0.3
        assert layer.self_attention.n_heads == layer.cross_attention.n_heads == 13
    gated, plain = (
        sum(p.numel() for p in d.layers[0].feedforward.parameters())
        for d in (decoder, Decoder(variant(bias=False)))
    )
    assert gated == 3 * 26 * 17
    assert plain == 2 * 26 * 17


@both_norms
def test_dropout_is_on_every_branch_in_training_only(norm_first, randomise):
    """With all branches dropped, only the residuals (and norms) are left."""
    config = variant(norm_first=norm_first, dropout=1 - 1e-9)
    layer = randomise(DecoderLayer(config))
    x, memory, _ = inputs()
    residual = x if norm_first else layer.norm3(layer.norm2(layer.norm1(x)))
    torch.testing.assert_close(layer.train()(x, memory), residual)
    assert (layer.eval()(x, memory) - residual).abs().max() > 1e-2
    inner = DecoderLayer(variant(dropout=0.4)).feedforward.dropout.p
    assert inner == 0.4


def test_a_source_without_a_visible_token_is_finite_with_finite_gradients(randomise):
    decoder = randomise(Decoder(SMALL))
    x, memory, tokens = inputs()
    tokens[0] = False
    memory.requires_grad_()
    y = decoder(x, memory, memory_mask=padding_mask(tokens))
    y.square().sum().backward()
    assert y.isfinite().all()
    assert memory.grad.isfinite().all()
    assert (memory.grad[0] == 0).all()


@both_norms
def test_weights_survive_a_save_and_load(norm_first, randomise):
    config = variant(norm_first=norm_first, positions="shaw")
    one, other = randomise(Decoder(config)), Decoder(config)
    x, memory, _ = inputs()
    assert not torch.equal(one(x, memory), other(x, memory))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x, memory), other(x, memory))


def test_other_dtypes(randomise):
    decoder = randomise(Decoder(SMALL))
    x, memory, _ = inputs()
    expected = decoder(x, memory)
    double = decoder.double()(x.double(), memory.double())
    torch.testing.assert_close(double.float(), expected, rtol=1e-4, atol=1e-5)
    half = decoder.bfloat16()(x.bfloat16(), memory.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).abs().mean() < 0.1
