"""encoderlib.packing: every real token once, no padding in between, the same numbers out."""

import dataclasses
import itertools
import random

import pytest
import torch

from encoderlib import (
    Encoder,
    EncoderConfig,
    MultiHeadAttention,
    causal_mask,
    fast,
    lengths_to_tokens,
    packing,
    padding_mask,
)
from encoderlib import encoder as encoder_module
from encoderlib.encoder import EncoderLayer
from encoderlib.packing import (
    Group,
    Packing,
    lengths_from_mask,
    pack_when_it_pays,
    packed_attention,
)
from encoderlib.relative import RELATIVE_KINDS, make_relative

B, T, D, H = 5, 11, 24, 4
LENGTHS = torch.tensor([3, 11, 1, 7, 7])


def random_lengths(number=60):
    """Batches of random lengths, with the cases at the borders."""
    rng = random.Random(0)
    yield from ([0], [1], [4], [0, 0, 0], [4, 4, 4], [0, 4, 0], [1, 2, 3, 4], [4, 3, 2, 1], [])
    for _ in range(number):
        size = rng.randint(1, 20)
        yield [rng.randint(0, size) for _ in range(rng.randint(1, 9))]


SLACKS = (0, 1, 2, 5, 1000)


def plans():
    for lengths, slack in itertools.product(random_lengths(), SLACKS):
        size = max(lengths, default=0) + len(lengths) % 3  # sometimes with columns that are empty
        yield (
            lengths,
            size,
            slack,
            Packing.plan(torch.tensor(lengths, dtype=torch.long), size, slack),
        )


# --- the plan ---


def test_a_plan_holds_each_real_token_once_and_padding_only_inside_of_groups():
    for lengths, size, slack, plan in plans():
        assert plan.shape == (len(lengths), size)
        index = plan.index.tolist()
        assert len(set(index)) == len(index)
        real = lengths_to_tokens(torch.tensor(lengths, dtype=torch.long), size).flatten()
        assert set(real.nonzero().flatten().tolist()) <= set(index)
        assert len(index) == sum(group.batch * group.length for group in plan.groups)
        if slack == 0:
            assert len(index) == sum(lengths)


def test_groups_are_sorted_and_say_which_of_their_tokens_are_real():
    for lengths, size, _, plan in plans():
        assert sum(group.batch for group in plan.groups) == sum(n > 0 for n in lengths)
        assert [g.length for g in plan.groups] == sorted({g.length for g in plan.groups})[::-1]
        real = lengths_to_tokens(torch.tensor(lengths, dtype=torch.long), size).flatten()
        start, seen = 0, []
        for group in plan.groups:
            stop = start + group.batch * group.length
            rows = plan.index[start:stop].view(group.batch, group.length)
            assert (rows - rows[:, :1] == torch.arange(group.length)).all()  # in their order
            assert (rows[:, 0] % size == 0).all()  # from the first token on
            tokens = real[rows]
            seen += tokens.sum(dim=1).tolist()
            if group.mask is None:
                assert tokens.all()
            else:
                assert not tokens.all()
                assert torch.equal(group.mask, padding_mask(tokens))
            start = stop
        assert seen == sorted((n for n in lengths if n), reverse=True)


def test_groups_hold_as_much_padding_as_the_slack_allows_and_no_more():
    for lengths, _, slack, plan in plans():
        ordered = sorted((n for n in lengths if n), reverse=True)
        for group, following in itertools.zip_longest(plan.groups, plan.groups[1:]):
            own, ordered = ordered[: group.batch], ordered[group.batch :]
            padding = group.batch * group.length - sum(own)
            assert padding <= slack
            if following:  # its first sequence would have been too much
                assert padding + group.length - following.length > slack


def test_sequences_of_one_length_keep_their_order():
    plan = Packing.plan(torch.tensor([2, 3, 2, 3]), 3)
    assert plan.index.tolist() == [3, 4, 5, 9, 10, 11, 0, 1, 6, 7]
    assert plan.groups == (Group(2, 3, None), Group(2, 2, None))
    assert plan.shape == (4, 3)
    many = torch.arange(500) % 2 + 1  # so many that a sort which need not keep the order does not
    index = Packing.plan(many, 2).index
    assert index[:500].view(-1, 2)[:, 0].tolist() == list(range(2, 1000, 4))
    assert index[500:].tolist() == list(range(0, 1000, 4))


def test_a_plan_cannot_be_changed():
    plan = Packing.plan(LENGTHS, T)
    for frozen, name in ((plan, "shape"), (plan.groups[0], "length")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(frozen, name, None)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int64])
def test_lengths_may_be_any_integers(dtype):
    x = torch.randn(B, T, D)
    plan = Packing.plan(LENGTHS.to(dtype), T)
    tokens = lengths_to_tokens(LENGTHS, T)
    assert torch.equal(plan.unpack(plan.pack(x)), x.masked_fill(~tokens[..., None], 0.0))


@pytest.mark.parametrize("lengths", [[5], [-1], [2, 5, 1]], ids=str)
def test_impossible_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="lengths must lie between 0 and size=4"):
        Packing.plan(torch.tensor(lengths), 4)


# --- packing and unpacking ---


def test_packing_and_unpacking_keeps_the_real_tokens():
    for lengths, size, slack, plan in plans():
        x = torch.randn(len(lengths), size, 3)
        packed = plan.pack(x)
        assert torch.equal(packed, x.flatten(0, 1)[plan.index])
        back = plan.unpack(packed)
        assert back.shape == x.shape
        tokens = lengths_to_tokens(torch.tensor(lengths, dtype=torch.long), size)
        assert torch.equal(back[tokens], x[tokens])
        if slack == 0:
            assert not back[~tokens].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_packing_keeps_the_dtype(dtype):
    plan = Packing.plan(LENGTHS, T)
    packed = plan.pack(torch.randn(B, T, D, dtype=dtype))
    assert packed.dtype == plan.unpack(packed).dtype == dtype


def test_gradients_go_to_the_real_tokens_only():
    plan = Packing.plan(LENGTHS, T)
    x = torch.randn(B, T, D, requires_grad=True)
    weight = torch.randn(B, T, D)
    (plan.unpack(plan.pack(x)) * weight).sum().backward()
    tokens = lengths_to_tokens(LENGTHS, T)[..., None]
    assert torch.equal(x.grad, weight.masked_fill(~tokens, 0.0))


@pytest.mark.parametrize("shape", [(B, T + 1, D), (B - 1, T, D), (B + 1, T, D)], ids=str)
def test_a_batch_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=rf"x \({shape[0]}, .* packing of \(5, 11\) tokens"):
        Packing.plan(LENGTHS, T).pack(torch.randn(shape))


# --- lengths behind a mask ---


def test_a_padding_mask_gives_its_lengths_back():
    for lengths in random_lengths(20):
        lengths = torch.tensor(lengths, dtype=torch.long)
        mask = padding_mask(lengths_to_tokens(lengths, 20))
        assert lengths_from_mask(mask).tolist() == lengths.tolist()


def test_another_mask_has_no_lengths():
    tokens = lengths_to_tokens(LENGTHS, T)
    padding = padding_mask(tokens)
    others = [
        padding.flip(-1),  # padded in front
        padding_mask(tokens.index_fill(1, torch.tensor([1]), False)),  # a hole
        padding.expand(B, H, 1, T),
        padding.expand(B, 1, T, T),
        padding & causal_mask(T),
        tokens,
        tokens[:, None],
    ]
    for mask in others:
        assert lengths_from_mask(mask) is None


# --- attention ---


@pytest.mark.parametrize("kind", [None, *RELATIVE_KINDS])
@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("slack", [0, 4, 1000])
@pytest.mark.parametrize("bias", [False, True])
def test_packed_attention_equals_padded_attention(kind, groups, slack, bias, randomise):
    attention = randomise(MultiHeadAttention(D, H, bias=bias, n_kv_heads=groups)).double()
    positions = make_relative(kind, H, D // H)
    if positions is not None:
        randomise(positions).double()
    tokens = lengths_to_tokens(LENGTHS, T)
    x = torch.randn(B, T, D, dtype=torch.float64)
    expected = attention(x, mask=padding_mask(tokens), positions=positions)
    plan = Packing.plan(LENGTHS, T, slack)
    got = plan.unpack(packed_attention(attention, plan.pack(x), plan, positions))
    torch.testing.assert_close(got[tokens], expected[tokens], rtol=1e-5, atol=1e-6)


def test_packed_attention_of_pruned_heads(randomise):
    attention = randomise(MultiHeadAttention(D, H))
    attention.prune([1])
    x, tokens, plan = torch.randn(B, T, D), lengths_to_tokens(LENGTHS, T), Packing.plan(LENGTHS, T)
    expected = attention(x, mask=padding_mask(tokens))
    got = plan.unpack(packed_attention(attention, plan.pack(x), plan))
    torch.testing.assert_close(got[tokens], expected[tokens])


def test_packed_attention_drops_weights_in_training_only(randomise):
    attention = randomise(MultiHeadAttention(D, H, dropout=0.5))
    plan = Packing.plan(LENGTHS, T)
    x = plan.pack(torch.randn(B, T, D))
    assert not torch.equal(*(packed_attention(attention, x, plan) for _ in range(2)))
    attention.eval()
    lean = MultiHeadAttention(D, H)
    lean.load_state_dict(attention.state_dict())
    assert torch.equal(packed_attention(attention, x, plan), packed_attention(lean, x, plan))


@pytest.mark.parametrize("lengths", [[0, 0, 0], []], ids=str)
def test_a_batch_without_tokens_goes_through(lengths, randomise):
    attention = randomise(MultiHeadAttention(D, H))
    plan = Packing.plan(torch.tensor(lengths, dtype=torch.long), T)
    assert plan.groups == ()
    x = torch.randn(len(lengths), T, D, requires_grad=True)
    y = plan.unpack(packed_attention(attention, plan.pack(x), plan))
    assert torch.equal(y, torch.zeros_like(x))
    y.sum().backward()
    for tensor in (x, *attention.parameters()):  # every parameter has a gradient, of zero
        assert not tensor.grad.any()


# --- when it pays ---


def test_a_full_batch_is_not_packed_and_a_half_full_one_is():
    for d_model in (8, 64, 316, 317, 768):
        assert pack_when_it_pays(torch.full((16,), 128), 128, d_model) is None
        assert pack_when_it_pays(torch.tensor([], dtype=torch.long), 128, d_model) is None
    for d_model in (64, 256, 768):
        lengths = torch.linspace(1, 128, 16).long()
        plan = pack_when_it_pays(lengths, 128, d_model)
        assert plan.shape == (16, 128)
        assert plan.index.numel() < 0.6 * 16 * 128


@pytest.mark.parametrize(
    ("d_model", "slack", "lengths", "size"),
    [
        (100, 10, [17] * 10, 20),  # one group; (1 + 2) groups of 10 tokens each are 30
        (100, 10, [30, 14], 42),  # two groups, 40: exactly what is saved
        (1, 100_000, [1], 300_001),
    ],
)
@pytest.mark.parametrize(("dtype", "factor"), [(torch.float32, 1), (torch.bfloat16, 10)])
def test_it_pays_when_the_padding_saved_is_more_than_the_groups_cost(
    d_model, slack, lengths, size, dtype, factor, monkeypatch
):
    """A group costs 100000 / D^2 tokens (in bfloat16 ten times that), and packing two groups."""
    assert packing.GROUP_COST["cpu"] == 100_000
    monkeypatch.setitem(packing.GROUP_COST, "cpu", 100_000 // factor)
    lengths = torch.tensor(lengths)
    plan = Packing.plan(lengths, size, slack)
    saved = lengths.numel() * size - plan.index.numel()
    rest = saved - slack * (len(plan.groups) + 2)
    assert 0 >= rest > -lengths.numel()
    assert pack_when_it_pays(lengths, size, d_model, dtype) is None
    longer = pack_when_it_pays(lengths, size + 1, d_model, dtype)
    assert [group.length for group in longer.groups] == [group.length for group in plan.groups]


def test_lengths_beyond_the_padded_size_are_refused_even_where_nothing_is_packed():
    for lengths in ([9], [9, 8, 8], [-1, 8]):
        with pytest.raises(ValueError, match="between 0 and size=8"):
            pack_when_it_pays(torch.tensor(lengths), 8, 16)


def test_other_devices_pack_only_what_saves_much():
    lengths = torch.linspace(1, 128, 16).long()
    assert packing.GROUP_COST["other"] > 100 * packing.GROUP_COST["cpu"]
    # A device without arithmetic cannot read its lengths back; its cost is looked up before.
    with pytest.raises((RuntimeError, NotImplementedError)):
        pack_when_it_pays(lengths.to("meta"), 128, 256)


@pytest.mark.parametrize("autocast", [False, True])
def test_the_encoder_plans_for_the_precision_of_its_linear_maps(autocast, monkeypatch):
    seen = []

    def plan(lengths, size, d_model, dtype):
        seen.append((lengths.tolist(), size, d_model, dtype))

    monkeypatch.setattr(encoder_module, "pack_when_it_pays", plan)
    encoder = Encoder(configuration())
    x = torch.randn(2, T, D)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        encoder(x, lengths=torch.tensor([3, T]))
    assert seen == [([3, T], T, D, torch.bfloat16 if autocast else torch.float32)]
    encoder.bfloat16()(x.bfloat16(), lengths=torch.tensor([3, T]))
    assert seen[-1][-1] == torch.bfloat16


def test_wide_models_get_a_group_for_each_length_and_narrow_ones_coarse_groups():
    lengths = torch.arange(1, 65)
    numbers = [len(pack_when_it_pays(lengths, 128, width).groups) for width in (32, 64, 128, 768)]
    assert numbers == sorted(numbers)
    assert numbers[0] < 20
    assert numbers[-1] == 64


# --- the encoder with and without packing ---


def configuration(**changes):
    small = {"d_model": D, "n_heads": H, "d_ff": 17, "n_layers": 2, "dropout": 0.0, "eps": 0.1}
    return EncoderConfig(**{**small, **changes})


KINDS = [
    *({"norm_first": first, "positions": k} for first in (False, True) for k in (None, "rotary")),
    *({"positions": kind} for kind in RELATIVE_KINDS),
    {"gated": True, "activation": "silu", "norm": "rms", "bias": False, "n_kv_heads": 2},
    {"norm_first": False, "norm": "rms", "n_kv_heads": 1, "positions": "t5"},
]


@pytest.fixture
def always_pays(monkeypatch):
    """Packing costs nothing, so that it pays for any padding."""
    monkeypatch.setattr(packing, "GROUP_COST", {"cpu": 0, "other": 0})


def run(encoder, x, pack, **given):
    """Outputs and gradients of a loss on the real tokens; the other tokens are not defined."""
    x = x.clone().requires_grad_()
    encoder.zero_grad()
    y = encoder(x, pack=pack, **given)
    tokens = lengths_to_tokens(LENGTHS, T)
    y[tokens].float().sin().sum().backward()
    return y[tokens], x.grad, [p.grad.clone() for p in encoder.parameters()], y[~tokens]


@pytest.mark.parametrize("changes", KINDS, ids=str)
@pytest.mark.parametrize("how", ["mask", "lengths"])
def test_packing_changes_neither_outputs_nor_gradients(changes, how, randomise, always_pays):
    encoder = randomise(Encoder(configuration(**changes)))
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(LENGTHS, T)
    given = {"mask": {"mask": padding_mask(tokens)}, "lengths": {"lengths": LENGTHS}}[how]
    expected, x_grad, grads, _ = run(encoder, x, False, **given)
    assert not x_grad[~tokens].any()
    for pack in (True, None):
        y, got, others, padding = run(encoder, x, pack, **given)
        assert not padding.any()  # zeros: it was packed
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(got, x_grad, rtol=1e-4, atol=1e-5)
        assert not got[~tokens].any()
        for mine, other in zip(others, grads, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_packing_changes_nothing_in_bfloat16(changes, randomise, always_pays):
    encoder = randomise(Encoder(configuration(**changes)))
    x = torch.randn(B, T, D)
    results = {}
    with torch.autocast("cpu", torch.bfloat16):
        for pack in (True, False, None):
            y, x_grad, grads, _ = run(encoder, x, pack, lengths=LENGTHS)
            results[pack] = [y.float(), x_grad, torch.cat([grad.flatten() for grad in grads])]
    for pack in (True, None):
        for got, expected in zip(results[pack], results[False], strict=True):
            assert (got - expected).norm() < 0.03 * expected.norm()


def test_the_fast_settings_pack_by_themselves_when_it_pays(randomise):
    """Without a change of the costs: 16 sequences of 1 to 64 tokens, D = 128."""
    encoder = randomise(Encoder(EncoderConfig(128, 4, 64, 2, dropout=0.0))).eval()
    lengths = torch.arange(1, 65, 4)
    x, tokens = torch.randn(16, 64, 128), lengths_to_tokens(lengths, 64)
    with fast(), torch.no_grad():
        y, padded = encoder(x, lengths=lengths), encoder(x, lengths=lengths, pack=False)
        whole = encoder(x, lengths=torch.full((16,), 64))
        assert torch.equal(whole, encoder(x))
    assert not y[~tokens].all()
    assert padded[~tokens].all()
    assert (y - padded)[tokens].norm() < 0.03 * padded[tokens].norm()
    exact = encoder(x, lengths=lengths)
    assert (y - exact)[tokens].norm() < 0.03 * exact[tokens].norm()


def test_a_packed_encoder_drops_out_in_training_only(randomise):
    encoder = randomise(Encoder(configuration(dropout=0.4, attention_dropout=0.3)))
    lean = Encoder(configuration())
    lean.load_state_dict(encoder.state_dict())
    x = torch.randn(B, T, D)
    first, second = (encoder(x, lengths=LENGTHS, pack=True) for _ in range(2))
    assert first.isfinite().all()
    assert not torch.equal(first, second)
    encoder.eval()
    assert torch.equal(*(e(x, lengths=LENGTHS, pack=True) for e in (encoder, lean)))


@pytest.mark.parametrize("pack", [True, False, None])
def test_a_sequence_of_no_tokens_does_not_disturb_the_others(pack, randomise, always_pays):
    lengths = torch.tensor([0, 11, 0, 7, 1])
    encoder = randomise(Encoder(configuration(positions="shaw")))
    x = torch.randn(B, T, D, requires_grad=True)
    y = encoder(x, lengths=lengths, pack=pack)
    assert y.isfinite().all()
    for b, length in ((1, 11), (3, 7), (4, 1)):
        alone = encoder(x[b : b + 1, :length])[0]
        torch.testing.assert_close(y[b, :length], alone, rtol=1e-5, atol=1e-5)
    tokens = lengths_to_tokens(lengths, T)
    y[tokens].sin().sum().backward()
    assert x.grad.isfinite().all()
    assert not x.grad[~tokens].any()


def test_a_batch_of_one_sequence_is_packed_too(randomise, always_pays):
    encoder, x = randomise(Encoder(configuration())), torch.randn(1, T, D)
    for pack in (True, None):
        y = encoder(x, lengths=torch.tensor([7]), pack=pack)
        torch.testing.assert_close(y[:, :7], encoder(x[:, :7]), rtol=1e-5, atol=1e-5)
        assert not y[:, 7:].any()


@pytest.mark.parametrize("pack", [True, False, None])
@pytest.mark.parametrize("batch", [0, 3])
def test_batches_without_tokens_stay_finite(pack, batch, randomise, always_pays):
    encoder = randomise(Encoder(configuration()))
    y = encoder(torch.randn(batch, T, D), lengths=torch.zeros(batch, dtype=torch.long), pack=pack)
    assert y.shape == (batch, T, D)
    assert y.isfinite().all()


def test_a_layer_takes_a_packed_batch(randomise):
    layer = randomise(EncoderLayer(configuration()))
    x, tokens, plan = torch.randn(B, T, D), lengths_to_tokens(LENGTHS, T), Packing.plan(LENGTHS, T)
    expected = layer(x, padding_mask(tokens))
    got = plan.unpack(layer(plan.pack(x), packing=plan))
    torch.testing.assert_close(got[tokens], expected[tokens], rtol=1e-5, atol=1e-5)


# --- what can be packed ---


def test_a_mask_of_one_row_is_packed_for_the_whole_batch(randomise, always_pays):
    encoder = randomise(Encoder(configuration()))
    x, mask = torch.randn(B, T, D), padding_mask(lengths_to_tokens(torch.tensor([7]), T))
    expected = encoder(x, mask, pack=False)[:, :7]
    for pack in (True, None):
        y = encoder(x, mask, pack=pack)
        torch.testing.assert_close(y[:, :7], expected, rtol=1e-5, atol=1e-5)
        assert not y[:, 7:].any()


def test_without_mask_and_lengths_there_is_nothing_to_pack(randomise):
    encoder = randomise(Encoder(configuration()))
    x = torch.randn(B, T, D)
    for pack in (True, None):
        assert torch.equal(encoder(x, pack=pack), encoder(x, pack=False))


def others():
    """Masks that are no padding at the end; one column serves all keys and says nothing of them."""
    tokens = lengths_to_tokens(LENGTHS, T)
    return {
        "causal": causal_mask(T),
        "in front": padding_mask(tokens.flip(1)),
        "by head": padding_mask(tokens).expand(B, H, 1, T),
        "one column": torch.ones(B, 1, 1, 1, dtype=torch.bool),
    }


@pytest.mark.parametrize("which", others())
def test_other_masks_are_not_packed_and_refused_if_they_must_be(which, randomise, always_pays):
    encoder, mask = randomise(Encoder(configuration())), others()[which]
    x = torch.randn(B, T, D)
    assert torch.equal(encoder(x, mask), encoder(x, mask, pack=False))
    with pytest.raises(ValueError, match="only sequences that are padded at the end can be packed"):
        encoder(x, mask, pack=True)


def test_a_mask_and_lengths_together_restrict_both(randomise, always_pays):
    encoder = randomise(Encoder(configuration()))
    x, tokens = torch.randn(B, T, D), lengths_to_tokens(LENGTHS, T)
    expected = encoder(x, padding_mask(tokens) & causal_mask(T))
    for pack in (None, False):
        got = encoder(x, causal_mask(T), LENGTHS, pack=pack)
        torch.testing.assert_close(got, expected)
    padding = padding_mask(tokens)
    torch.testing.assert_close(encoder(x, padding, LENGTHS), encoder(x, padding, pack=False))
    with pytest.raises(ValueError, match="only sequences that are padded at the end"):
        encoder(x, causal_mask(T), LENGTHS, pack=True)


@pytest.mark.parametrize("pack", [True, False, None])
@pytest.mark.parametrize("wrong", [[3], [3] * 4, [3] * 6], ids=str)
def test_one_length_for_each_sequence(pack, wrong, randomise, always_pays):
    with pytest.raises(ValueError, match=rf"lengths \({len(wrong)},\) for a batch of 5 sequences"):
        Encoder(configuration())(torch.randn(B, T, D), lengths=torch.tensor(wrong), pack=pack)


@pytest.mark.parametrize("pack", [True, False, None])
def test_lengths_beyond_the_batch_are_refused(pack):
    lengths = torch.tensor([3, 12, 1, 1, 1])
    with pytest.raises(ValueError, match="lengths must lie between 0 and size=11"):
        Encoder(configuration())(torch.randn(B, T, D), lengths=lengths, pack=pack)


@pytest.mark.parametrize("shape", [(2, 1, 1, T), (B, 1, 1, T + 1)], ids=str)
def test_a_mask_of_the_wrong_size_is_refused_as_without_packing(shape, always_pays, unchecked):
    for tokens in (torch.ones(shape), torch.ones(shape).cumsum(-1) < 3):
        with pytest.raises(ValueError, match="does not broadcast to the scores"):
            Encoder(configuration())(torch.randn(B, T, D), tokens.bool())
