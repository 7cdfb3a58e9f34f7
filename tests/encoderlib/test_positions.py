"""encoderlib.positions against a loop over numbers; the table grows, moves and is not stored."""

import math

import numpy as np
import pytest
import torch

from encoderlib import LearnedPositions, MultiHeadAttention, SinusoidalPositions, sinusoids
from encoderlib.positions import ConcatenatedPositions


def sinusoids_by_loops(length, d_model, base=10000.0):
    table = np.zeros((length, d_model))
    for t in range(length):
        for i in range(d_model // 2):
            table[t, 2 * i] = math.sin(t / base ** (2 * i / d_model))
            table[t, 2 * i + 1] = math.cos(t / base ** (2 * i / d_model))
    return torch.from_numpy(table)


@pytest.mark.parametrize(("length", "d_model"), [(11, 26), (8, 8), (1, 2), (0, 4)])
@pytest.mark.parametrize("base", [10000.0, 100.0])
def test_sinusoids_equal_the_equation_in_loops(length, d_model, base):
    table = sinusoids(length, d_model, base)
    assert table.dtype == torch.float32
    expected = sinusoids_by_loops(length, d_model, base)
    torch.testing.assert_close(table.double(), expected, rtol=0, atol=1e-6)


def test_sinusoids_are_exact_at_far_positions():
    """An angle of some thousands in float32 is off by 1e-4; these are computed in float64."""
    t, d_model = 100_000, 26
    angles = [t / 10000 ** (2 * i / d_model) for i in range(d_model // 2)]
    expected = torch.tensor([f(angle) for angle in angles for f in (math.sin, math.cos)])
    torch.testing.assert_close(sinusoids(t + 1, d_model)[t], expected, rtol=0, atol=1e-6)


def test_all_positions_differ():
    """Erratum E002-04: an integer table holds only -1, 0 and 1."""
    assert len({tuple(row) for row in sinusoids(100, 16).tolist()}) == 100


def test_columns_have_many_frequencies():
    """Erratum E002-05: one frequency for all columns gives rank 2 and repeats itself."""
    table = sinusoids(200, 16)
    assert torch.linalg.matrix_rank(table) > 8
    assert (torch.cdist(table, table) + 10 * torch.eye(200)).min() > 0.3


def test_the_product_of_two_positions_depends_on_their_distance_only():
    """Erratum E002-03 asks for relative positions: the table already has them."""
    gram = sinusoids(20, 16).double() @ sinusoids(20, 16).double().T
    for distance in range(20):
        diagonal = gram.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    torch.testing.assert_close(gram.diagonal(), torch.full((20,), 8.0).double())  # D / 2


def test_moving_on_is_one_linear_map_for_all_positions():
    """PE[t + n] = PE[t] M: each pair of columns is turned by n steps of its clock."""
    length, d_model, n = 50, 16, 9
    table = sinusoids(length, d_model).double()
    turn = torch.zeros(d_model, d_model).double()
    for i in range(0, d_model, 2):
        angle = n / 10000 ** (i / d_model)
        cos, sin = math.cos(angle), math.sin(angle)
        turn[i : i + 2, i : i + 2] = torch.tensor([[cos, -sin], [sin, cos]])
    torch.testing.assert_close(table[:-n] @ turn, table[n:], rtol=0, atol=1e-6)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="d_model=7 must be even"):
        sinusoids(5, 7)
    with pytest.raises(ValueError, match="d_model=7 must be even"):
        SinusoidalPositions(7)
    with pytest.raises(ValueError, match="d_model=3 must be even"):
        ConcatenatedPositions(4, 3)


@pytest.mark.parametrize(("batch", "length", "d_model"), [(3, 7, 10), (6, 6, 6), (8, 6, 8)])
def test_each_position_gets_its_row(batch, length, d_model):
    """Erratum E002-21: the length taken from the wrong axis."""
    x = torch.randn(batch, length, d_model)
    got = SinusoidalPositions(d_model, length=8)(x)
    expected = x.double() + sinusoids_by_loops(length, d_model)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)


def test_the_table_grows_with_the_sequence():
    module = SinusoidalPositions(4, length=3)
    assert torch.equal(module(torch.zeros(2, 3, 4))[1], sinusoids(3, 4))
    assert module.table.size(0) == 3  # long enough: not touched
    long = module(torch.zeros(2, 11, 4))
    torch.testing.assert_close(long[0].double(), sinusoids_by_loops(11, 4), rtol=0, atol=1e-6)
    assert module.table.size(0) >= 11
    grown = module.table
    module(torch.zeros(2, 5, 4))
    assert module.table is grown


def test_the_table_grows_in_the_dtype_it_was_moved_to():
    module = SinusoidalPositions(4, length=3).to(torch.bfloat16)
    module(torch.zeros(1, 9, 4, dtype=torch.bfloat16))
    assert module.table.dtype == torch.bfloat16


def test_a_table_that_has_to_grow_keeps_its_width(unchecked):
    module = SinusoidalPositions(4, length=3)
    with pytest.raises(RuntimeError, match="size"):
        module(torch.zeros(1, 9, 6))


def test_sinusoidal_positions_have_no_parameters_and_no_state():
    module = SinusoidalPositions(4, length=3)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}
    assert [name for name, _ in module.named_buffers()] == ["table"]  # moves with the module
    module(torch.zeros(1, 9, 4))
    SinusoidalPositions(4, length=3).load_state_dict(module.state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_positions_keep_the_dtype_of_their_input(dtype):
    x = torch.randn(2, 5, 4, dtype=dtype)
    assert SinusoidalPositions(4)(x).dtype == dtype
    assert SinusoidalPositions(4).to(dtype)(x).dtype == dtype
    assert LearnedPositions(7, 4).to(dtype)(x).dtype == dtype


def test_gradients_pass_through_unchanged():
    x = torch.randn(2, 5, 4, requires_grad=True)
    SinusoidalPositions(4)(x).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_learned_positions_add_a_row_for_each_position():
    module = LearnedPositions(7, 4)
    x = torch.randn(3, 5, 4)
    torch.testing.assert_close(module(x), x + module.table[None, :5])
    module(x).sum().backward()
    assert (module.table.grad[:5] == 3).all()  # one for each sequence
    assert (module.table.grad[5:] == 0).all()
    assert list(module.state_dict()) == ["table"]


@pytest.mark.parametrize("std", [0.02, 0.5])
def test_learned_positions_start_with_the_given_spread(std):
    table = LearnedPositions(200, 50, std).table
    assert abs(table.std() / std - 1) < 0.05
    assert abs(table.mean()) < 0.05 * std
    assert LearnedPositions(200, 50).table.std() < 0.03


def test_learned_positions_refuse_what_was_never_trained():
    module = LearnedPositions(7, 4)
    module(torch.zeros(1, 7, 4))
    with pytest.raises(ValueError, match="sequence of 8 positions, but the table has 7"):
        module(torch.zeros(1, 8, 4))


def test_learned_positions_count_from_the_start():
    module = LearnedPositions(7, 4)
    module(torch.zeros(1, 2, 4), start=5)
    with pytest.raises(ValueError, match="sequence of 8 positions, but the table has 7"):
        module(torch.zeros(1, 3, 4), start=5)


ABSOLUTE = {
    "sinusoidal": lambda: SinusoidalPositions(4, length=3),
    "learned": lambda: LearnedPositions(11, 4),
    "concatenated": lambda: ConcatenatedPositions(4, 6, length=3),
}
every_kind = pytest.mark.parametrize("kind", ABSOLUTE)


@every_kind
def test_a_start_gives_a_slice_of_the_whole(kind, randomise):
    """What decoding needs: the token at hand is not the first."""
    x, module = torch.randn(2, 11, 4), randomise(ABSOLUTE[kind]())
    whole = module(x)
    for start, stop in ((0, 1), (2, 5), (4, 11), (10, 11)):
        fresh = ABSOLUTE[kind]()  # its table has not grown
        fresh.load_state_dict(module.state_dict())
        torch.testing.assert_close(fresh(x[:, start:stop], start), whole[:, start:stop])


@pytest.mark.parametrize(("d_model", "d_position"), [(5, 6), (4, 4), (7, 2)])
def test_joining_is_adding_after_two_linear_maps(d_model, d_position, randomise):
    """``[x ; p] W = x W_x + p W_p``."""
    module = randomise(ConcatenatedPositions(d_model, d_position))
    x = torch.randn(3, 11, d_model)
    w_x, w_p = module.linear.weight.T.split([d_model, d_position])
    expected = x @ w_x + sinusoids_by_loops(11, d_position).float() @ w_p
    torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


def test_adding_is_a_case_of_joining():
    module, x = ConcatenatedPositions(6), torch.randn(3, 7, 6)
    module.linear.weight.data = torch.cat([torch.eye(6), torch.eye(6)], 1)
    torch.testing.assert_close(module(x), SinusoidalPositions(6)(x))


def test_concatenated_positions_learn_one_matrix_and_store_no_table():
    module = ConcatenatedPositions(5, 6, length=3)
    module(torch.zeros(1, 9, 5))
    assert {name: p.shape for name, p in module.state_dict().items()} == {"linear.weight": (5, 11)}
    other = ConcatenatedPositions(5, 6)
    other.load_state_dict(module.state_dict())
    x = torch.randn(2, 7, 5)
    assert torch.equal(other(x), module(x))
    assert ConcatenatedPositions(6).linear.weight.shape == (6, 12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_concatenated_positions_follow_their_dtype(dtype, randomise):
    module = randomise(ConcatenatedPositions(4))
    x = torch.randn(2, 5, 4)
    expected = module(x)
    got = module.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=0.02, atol=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert module.float()(x).dtype == torch.bfloat16


def test_a_table_grown_while_decoding_serves_training():
    for module in (SinusoidalPositions(4, length=1), ConcatenatedPositions(4, length=1)):
        with torch.inference_mode():
            module(torch.zeros(1, 9, 4))
        x = torch.randn(1, 9, 4, requires_grad=True)
        module(x).sum().backward()
        assert x.grad.abs().sum() > 0


def test_positions_tell_attention_the_order(randomise):
    """Erratum E000-11: without positions a permutation of the words changes nothing."""
    attention = randomise(MultiHeadAttention(4, 2))
    x, order = torch.randn(1, 5, 4), torch.tensor([4, 3, 2, 1, 0])
    torch.testing.assert_close(attention(x).mean(1), attention(x[:, order]).mean(1))
    added = SinusoidalPositions(4), LearnedPositions(5, 4, std=0.5)
    for positions in (*added, ConcatenatedPositions(4)):
        forward, backward = (attention(positions(z)).mean(1) for z in (x, x[:, order]))
        assert (forward - backward).abs().max() > 1e-3
