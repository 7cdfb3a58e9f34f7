"""encoderlib.seq2seq: nn.Transformer's function with embeddings, the shift, and who sees whom."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from encoderlib.config import EncoderConfig
from encoderlib.decoding import DecodingModel, DecodingState, greedy
from encoderlib.positions import SinusoidalPositions, sinusoids
from encoderlib.seq2seq import EncoderDecoder, shift_right

B, T, S = 3, 7, 5
U, V = 13, 11  # source and target vocabulary
SMALL = EncoderConfig(d_model=26, n_heads=13, d_ff=17, n_layers=2, dropout=0.0)
POSITIONS = [None, "rotary", "alibi", "t5", "shaw"]
all_positions = pytest.mark.parametrize("positions", POSITIONS)


def variant(**changes):
    return dataclasses.replace(SMALL, **changes)


def batch(lengths=(S, 2, 4), target=T):
    """Source ids padded with 0 on the right, target ids with an end."""
    source = torch.randint(3, U, (len(lengths), S))
    for row, length in zip(source, lengths, strict=True):
        row[length:] = 0
    return source, torch.randint(3, V, (len(lengths), target))


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_shift_right_puts_the_start_before_and_drops_the_last():
    targets = torch.tensor([[5, 6, 2], [7, 2, 0]])
    assert shift_right(targets, 1).tolist() == [[1, 5, 6], [1, 7, 2]]
    assert shift_right(targets[:, :1], 4).tolist() == [[4], [4]]
    assert shift_right(targets[:, :0], 4).shape == (2, 0)
    assert targets.tolist() == [[5, 6, 2], [7, 2, 0]]


def test_the_whole_equals_nn_transformer(randomise):
    """nn.Transformer, pre-norm, with embeddings, positions and projection written out."""
    config = variant(activation="relu", n_layers=3)
    ours = randomise(EncoderDecoder(U, V, config, tie_output=False))
    with pytest.warns(UserWarning, match="enable_nested_tensor"):  # not for pre-norm
        theirs = nn.Transformer(
            26, 13, 3, 3, 17, dropout=0.0, activation="relu", batch_first=True, norm_first=True
        )
    renamed = {
        "self_attention.in_proj.": "self_attn.in_proj_",
        "cross_attention.in_proj.": "multihead_attn.in_proj_",
        "attention.in_proj.": "self_attn.in_proj_",
        "self_attention.": "self_attn.",
        "cross_attention.": "multihead_attn.",
        "attention.": "self_attn.",
        "feedforward.": "",
    }
    state = {}
    for name, value in ours.state_dict().items():
        if name.startswith(("encoder.", "decoder.")):
            for old, new in renamed.items():
                name = name.replace(old, new)
            state[name] = value
    theirs.load_state_dict(state)
    source, target = batch()
    padding = source == 0
    shifted = torch.cat([torch.ones(B, 1, dtype=torch.long), target[:, :-1]], dim=1)
    x = ours.source_embedding.table.weight[source] * math.sqrt(26) + sinusoids(S, 26)
    y = ours.target_embedding.table.weight[shifted] * math.sqrt(26) + sinusoids(T, 26)
    vectors = theirs(
        x,
        y,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(T),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )
    close(ours(source, target), F.linear(vectors, ours.output.weight, ours.output.bias))


def dependence(model, source, target):
    """Which target inputs ``(T, T)`` and source tokens ``(T, S)`` the logits of row 1 see."""
    vectors = []

    def keep(_module, _args, output):
        vectors.append(output.detach().requires_grad_())
        return vectors[-1]

    hooks = [
        m.register_forward_hook(keep) for m in (model.source_embedding, model.target_embedding)
    ]
    logits = model(source, target)
    for hook in hooks:
        hook.remove()
    seen = []
    for t in range(logits.size(1)):
        grads = torch.autograd.grad(logits[1, t].square().sum(), vectors, retain_graph=True)
        seen.append([grad.abs().sum(-1) != 0 for grad in grads])
    return [torch.stack(list(each)) for each in zip(*seen, strict=True)]


@all_positions
def test_a_logit_sees_earlier_targets_and_the_real_source(positions, randomise):
    """Erratum E004-12: a decoder that sees the token it is asked for learns to copy it."""
    model = randomise(EncoderDecoder(U, V, variant(positions=positions)))
    source, target = batch()
    sources, inputs = dependence(model, source, target)
    assert (inputs[:, 1] == torch.ones(T, T).tril().bool()).all()  # of the shifted targets
    assert (sources[:, 1] == (source[1] != 0)).all()
    assert not inputs[:, [0, 2]].any()
    assert not sources[:, [0, 2]].any()


def test_a_logit_does_not_see_its_own_target(randomise):
    model = randomise(EncoderDecoder(U, V, SMALL))
    source, target = batch()
    changed = target.clone()
    changed[:, 4] = (target[:, 4] - 2) % 8 + 3
    before, after = model(source, target), model(source, changed)
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert ((after - before)[:, 5:].abs().amax(dim=(1, 2)) > 1e-3).all()


@all_positions
def test_padding_does_not_change_real_tokens(positions, randomise):
    """The logits are those of each sentence alone, without any padding."""
    model = randomise(EncoderDecoder(U, V, variant(positions=positions)))
    source, target = batch()
    lengths, written = (5, 2, 4), (3, 7, 1)
    for row, length in zip(target, written, strict=True):
        row[length:] = 0
    got = model(F.pad(source, (0, 4)), F.pad(target, (0, 3)))
    assert got.shape == (B, T + 3, V)
    for b in range(B):
        alone = model(source[b : b + 1, : lengths[b]], target[b : b + 1, : written[b]])
        close(got[b : b + 1, : written[b]], alone)


def test_special_ids_are_free_to_choose(randomise):
    model = randomise(EncoderDecoder(U, V, SMALL, padding_id=9, start_id=9, end_id=0))
    source = torch.tensor([[0, 4, 1], [2, 9, 9]])
    target = torch.tensor([[3, 0], [0, 9]])
    close(model(source, target)[1, :1], model(source[1:, :1], target[1:, :1])[0])
    inputs = torch.tensor([[9, 3], [9, 0]])
    assert torch.equal(model(source, target), model.decode(inputs, *model.encode(source)))
    other = EncoderDecoder(U, V, SMALL, padding_id=9, start_id=3, end_id=0)
    other.load_state_dict(model.state_dict())
    assert (other(source, target) - model(source, target)).abs().max() > 1e-3
    fresh = EncoderDecoder(U, V, SMALL, padding_id=9)
    assert (fresh.target_embedding.table.weight[9] == 0).all()
    assert (fresh.source_embedding.table.weight[9] == 0).all()


def test_a_source_of_padding_alone_is_finite(randomise):
    model = randomise(EncoderDecoder(U, V, SMALL))
    source, target = batch((S, 0, 1))
    logits = model(source, target)
    F.cross_entropy(logits.transpose(1, 2), target, ignore_index=0).backward()
    assert logits.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_tied_and_shared_embeddings_are_one_parameter():
    free = EncoderDecoder(V, V, SMALL, tie_output=False)
    tied = EncoderDecoder(V, V, SMALL)
    both = EncoderDecoder(V, V, SMALL, share_vocabulary=True)
    assert count(free) - count(tied) == count(tied) - count(both) == V * 26
    assert tied.output.weight is tied.target_embedding.table.weight
    assert tied.source_embedding is not tied.target_embedding
    assert both.output.weight is both.source_embedding.table.weight
    only = EncoderDecoder(V, V, SMALL, share_vocabulary=True, tie_output=False)
    assert count(only) == count(tied)
    assert only.source_embedding is only.target_embedding
    assert only.output.weight is not only.source_embedding.table.weight


def test_tied_logits_start_at_the_scale_of_a_flat_distribution():
    model = EncoderDecoder(U, 101, EncoderConfig(64, 4, 128, 2, dropout=0.0))
    logits = model(torch.randint(3, U, (8, S)), torch.randint(3, 101, (8, T)))
    assert 0.5 < logits.std() < 2


@pytest.mark.parametrize("tie", [True, False])
def test_weights_survive_a_save_and_load(tie, randomise):
    one = randomise(EncoderDecoder(V, V, SMALL, tie_output=tie, share_vocabulary=True))
    other = EncoderDecoder(V, V, SMALL, tie_output=tie, share_vocabulary=True)
    source, target = batch()
    source = source.clamp_max(V - 1)
    assert not torch.equal(one(source, target), other(source, target))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(source, target), other(source, target))
    assert (other.output.weight is other.target_embedding.table.weight) == tie


def test_positions_are_sinusoids_or_inside_of_attention():
    source, target = batch()
    given = {}
    for kind in (None, "rotary"):
        torch.manual_seed(0)
        model = EncoderDecoder(U, V, variant(positions=kind))
        model.encoder.register_forward_pre_hook(lambda _, args, k=kind: given.update({k: args[0]}))
        model(source, target)
        vectors = model.source_embedding(source)
        expected = vectors + sinusoids(S, 26) if kind is None else vectors
        torch.testing.assert_close(given[kind], expected)


def test_each_side_takes_its_own_configuration():
    own = variant(n_layers=3, dropout=0.4, positions="alibi")
    model = EncoderDecoder(U, V, SMALL, decoder_config=own)
    assert (len(model.encoder.layers), len(model.decoder.layers)) == (2, 3)
    given = {}
    model.encoder.register_forward_pre_hook(lambda _, args: given.update(encoder=args[0]))
    model.decoder.register_forward_pre_hook(lambda _, args: given.update(decoder=args[0]))
    source, target = batch((S, S, S))
    model(source, target)
    assert (given["encoder"] == 0).sum() == 0
    assert 0.3 < (given["decoder"] == 0).float().mean() < 0.5
    torch.testing.assert_close(given["encoder"], model.source_embedding(source) + sinusoids(S, 26))
    model.eval()(source, target)
    torch.testing.assert_close(given["decoder"], model.target_embedding(shift_right(target, 1)))
    assert len(EncoderDecoder(U, V, SMALL).decoder.layers) == 2
    assert EncoderDecoder(U, V).encoder.config == EncoderConfig()


@all_positions
@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("beams", [1, 2])
def test_steps_give_the_logits_of_teacher_forcing(positions, use_cache, beams, randomise):
    model = randomise(EncoderDecoder(U, V, variant(positions=positions))).eval()
    model.positions = SinusoidalPositions(26, length=3)  # a table that must grow on the way
    source, target = batch()
    rows = target.repeat_interleave(beams, dim=0)
    rows[1::beams] = rows[1::beams].flip(1)  # beams differ
    expected = model(source.repeat_interleave(beams, dim=0), rows)
    inputs = shift_right(rows, model.start_id)
    model.positions = SinusoidalPositions(26, length=3)
    with torch.no_grad():
        state = model.begin(source, T, beams=beams, use_cache=use_cache)
        got = [model.step(inputs[:, t], state) for t in range(T)]
    close(torch.stack(got, dim=1), expected)
    assert (state.caches is not None) == use_cache
    assert isinstance(model, DecodingModel)
    assert isinstance(state, DecodingState)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_reordered_state_goes_on_from_the_other_beams(use_cache, randomise):
    model = randomise(EncoderDecoder(U, V, SMALL)).eval()
    source, _ = batch()
    rows = torch.randint(3, V, (2 * B, T))
    index = torch.tensor([1, 0, 2, 2, 5, 5])
    with torch.no_grad():
        state = model.begin(source, T, beams=2, use_cache=use_cache)
        for t in range(4):
            model.step(rows[:, t], state)
        state.reorder(index)
        got = [model.step(rows[:, t], state) for t in range(4, T)]
        mixed = torch.cat([rows[index, :4], rows[:, 4:]], dim=1)
        memory, mask = (x.repeat_interleave(2, dim=0) for x in model.encode(source))
        expected = model.decode(mixed, memory, mask)[:, 4:]
    close(torch.stack(got, dim=1), expected)


def test_a_cache_holds_max_length_tokens(randomise):
    model = EncoderDecoder(U, V, SMALL).eval()
    source, target = batch()
    with torch.no_grad():
        state = model.begin(source, 2)
        model.step(target[:, 0], state)
        model.step(target[:, 1], state)
        with pytest.raises(ValueError, match="the cache holds 2 positions"):
            model.step(target[:, 2], state)


def test_autocast_decodes_from_a_cache_of_its_dtype(randomise):
    model = randomise(EncoderDecoder(U, V, SMALL)).eval()
    source, target = batch()
    expected = model(source, target)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        state = model.begin(source, T)
        inputs = shift_right(target, 1)
        got = torch.stack([model.step(inputs[:, t], state) for t in range(T)], dim=1)
    assert state.caches[0].target.k.dtype == torch.bfloat16
    assert (got.float() - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_double_precision_agrees(randomise):
    model = randomise(EncoderDecoder(U, V, SMALL))
    source, target = batch()
    expected = model(source, target)
    double = model.double()(source, target)
    assert double.dtype == torch.float64
    close(double.float(), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"decoder_config": variant(d_model=13, n_heads=13)},
            "d_model=13 must be the encoder's 26",
        ),
        ({"share_vocabulary": True}, "one size, got source_vocab=13 and target_vocab=11"),
        ({"padding_id": 2}, "padding_id=2 must differ from end_id"),
        ({"padding_id": 11}, r"padding_id=11 must be in 0\.\.10"),
        ({"start_id": 11}, r"start_id=11 must be in 0\.\.10"),
        ({"end_id": -1}, r"end_id=-1 must be in 0\.\.10"),
        ({"target_vocab": 20, "padding_id": 13}, r"padding_id=13 must be in 0\.\.12"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"source_vocab": U, "target_vocab": V, "config": SMALL} | change
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(**arguments)


def test_the_largest_ids_are_allowed():
    model = EncoderDecoder(V, U, SMALL, padding_id=10, start_id=12, end_id=11)
    assert (model.padding_id, model.start_id, model.end_id) == (10, 12, 11)


def test_it_learns_to_reverse_and_writes_what_it_learned(unchecked):
    """Erratum E004-12: without the shift the loss is as low, and not a sequence is right."""
    model = EncoderDecoder(9, 9, EncoderConfig(32, 4, 64, 1, dropout=0.0), share_vocabulary=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)

    def sequences(n):
        """2 to 4 digits, and the same backwards with the end."""
        digits, t = torch.randint(3, 9, (n, 4)), torch.arange(5)
        lengths = torch.randint(2, 5, (n, 1))
        mirrored = digits.gather(1, (lengths - 1 - t).clamp_min(0))  # (n, 5)
        target = mirrored.masked_fill(t == lengths, 2).masked_fill(t > lengths, 0)
        return digits.masked_fill(t[:4] >= lengths, 0), target

    for step in range(300):
        source, target = sequences(64)
        loss = F.cross_entropy(model(source, target).transpose(1, 2), target, ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 300)
        optimizer.step()
    source, target = sequences(200)
    written = F.pad(greedy(model, source, max_length=6), (0, 6))[:, :5]
    assert (written == target).all(dim=1).float().mean() > 0.95
