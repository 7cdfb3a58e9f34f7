"""encoderlib.rotary against complex numbers in loops and transformers' rotate-half."""

import cmath
import copy

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, ModernBertConfig
from transformers.models.llama import modeling_llama
from transformers.models.modernbert import modeling_modernbert

from encoderlib.multihead import MultiHeadAttention
from encoderlib.positions import RelativePositions
from encoderlib.rotary import RotaryPositions

B, H, G, T, D_HEAD = 2, 6, 3, 7, 10


def queries_and_keys(length=T, d_head=D_HEAD, dtype=torch.float32):
    shapes = (B, H, length, d_head), (B, G, length, d_head)
    return tuple(torch.randn(shape, dtype=dtype) for shape in shapes)


def turned_by_loops(x, start, base):
    x, d_head = x.double().numpy(), x.size(-1)
    turned = np.empty_like(x)
    for place in np.ndindex(*x.shape[:-1]):
        for i in range(d_head // 2):
            angle = (start + place[-1]) * base ** (-2 * i / d_head)
            pair = complex(*x[place][2 * i : 2 * i + 2]) * cmath.exp(1j * angle)
            turned[place][2 * i : 2 * i + 2] = pair.real, pair.imag
    return torch.from_numpy(turned)


@pytest.mark.parametrize(("length", "d_head"), [(7, 10), (8, 8), (1, 2), (4, 6)])
@pytest.mark.parametrize("start", [0, 5])
@pytest.mark.parametrize("base", [10000.0, 100.0])
def test_equal_to_complex_numbers_in_loops(length, d_head, start, base):
    q, k = queries_and_keys(length, d_head)
    got = RotaryPositions(d_head, base).rotate(q, k, start)
    for x, y in zip((q, k), got, strict=True):
        expected = turned_by_loops(x, start, base)
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=1e-5)


def test_the_base_is_10000():
    q, k = queries_and_keys()
    expected = RotaryPositions(D_HEAD, 10000.0).rotate(q, k)
    assert torch.equal(RotaryPositions(D_HEAD).rotate(q, k)[0], expected[0])


def test_far_positions_are_turned_exactly():
    """Hugging Face takes the angle in float32: off by some thousandths at position 100,000."""
    q, k = queries_and_keys(1)
    got, _ = RotaryPositions(D_HEAD).rotate(q, k, 100_000)
    expected = turned_by_loops(q, 100_000, 10000.0)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)


def test_norms_are_kept_and_the_first_position_is_not_turned():
    q, k = queries_and_keys()
    rotary = RotaryPositions(D_HEAD)
    for x, y in zip((q, k), rotary.rotate(q, k), strict=True):
        torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))
        assert torch.equal(y[:, :, 0], x[:, :, 0])
        assert (y[:, :, 1:] - x[:, :, 1:]).abs().amax(-1).min() > 1e-2


def rotation(rotary, position):
    """R_position as a matrix, from its columns."""
    columns = torch.eye(D_HEAD)[:, None, None]  # (D_HEAD, 1, 1, D_HEAD)
    return rotary.rotate(columns, columns, position)[0][:, 0, 0].T


@pytest.mark.parametrize(("t", "s"), [(3, 8), (8, 3), (5, 5), (0, 7)])
def test_two_rotations_differ_by_the_rotation_of_their_distance(t, s):
    """R_t^T R_s = R_(s-t), and R^T R = I."""
    rotary = RotaryPositions(D_HEAD, base=50.0)
    product = rotation(rotary, t).T @ rotation(rotary, s)
    torch.testing.assert_close(product @ product.T, torch.eye(D_HEAD), atol=1e-6, rtol=0)
    expected = rotation(rotary, abs(s - t))
    expected = expected if s >= t else expected.T
    torch.testing.assert_close(product, expected, atol=1e-6, rtol=0)


def test_all_positions_turn_differently():
    """One vector at 200 positions gives 200 vectors, none near another (erratum E002-05)."""
    x = torch.ones(1, 1, 200, 16)
    turned = RotaryPositions(16).rotate(x, x)[0][0, 0]
    assert (torch.cdist(turned, turned) + 10 * torch.eye(200)).min() > 0.3


def test_the_table_grows_and_stays_exact():
    rotary = RotaryPositions(D_HEAD, length=3)
    q, k = queries_and_keys(3)
    first = rotary.table
    rotary.rotate(q, k)
    assert rotary.table is first  # long enough: not touched
    q, k = queries_and_keys(11)
    got = rotary.rotate(q, k)
    torch.testing.assert_close(got[0].double(), turned_by_loops(q, 0, 10000.0), rtol=0, atol=1e-5)
    grown = rotary.table
    assert grown.size(0) >= 22  # twice, so that decoding does not grow it at each step
    rotary.rotate(*queries_and_keys(1), 11)
    assert rotary.table is grown
    rotary.rotate(*queries_and_keys(1), grown.size(0) - 1)
    assert rotary.table is grown
    rotary.rotate(*queries_and_keys(1), grown.size(0))
    assert rotary.table.size(0) > grown.size(0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_turned_in_float32(dtype):
    """Angles rounded to bfloat16 would be off by 16 positions at position 5000."""
    rotary = RotaryPositions(D_HEAD).to(dtype)
    q, k = queries_and_keys(dtype=dtype)
    for x, y in zip((q, k), rotary.rotate(q, k, 5000), strict=True):
        assert y.dtype == dtype
        assert torch.equal(y, turned_by_loops(x, 5000, 10000.0).float().to(dtype))


def test_double_precision_stays_double():
    q, k = queries_and_keys(dtype=torch.float64)
    got = RotaryPositions(D_HEAD).rotate(q, k)
    for x, y in zip((q, k), got, strict=True):
        assert y.dtype == torch.float64
        torch.testing.assert_close(y, turned_by_loops(x, 0, 10000.0), rtol=0, atol=1e-6)


def test_no_parameters_no_state_and_copies():
    rotary = RotaryPositions(D_HEAD)
    assert isinstance(rotary, RelativePositions)
    assert list(rotary.parameters()) == []
    assert rotary.state_dict() == {}
    q, k = queries_and_keys()
    assert rotary.bias(q, T) is None
    assert torch.equal(copy.deepcopy(rotary).rotate(q, k)[0], rotary.rotate(q, k)[0])


def test_a_table_grown_while_decoding_serves_training():
    rotary = RotaryPositions(D_HEAD, length=1)
    with torch.inference_mode():
        rotary.rotate(*queries_and_keys())
    q, k = (x.requires_grad_() for x in queries_and_keys())
    rotary.rotate(q, k)[0].sum().backward()
    assert q.grad.abs().sum() > 0


def test_the_table_follows_its_inputs_to_another_device():
    """The meta device stands for any other."""
    rotary = RotaryPositions(D_HEAD, length=99)
    q, k = queries_and_keys()
    expected = rotary.rotate(q, k)[0]
    assert rotary.rotate(q.to("meta"), k.to("meta"))[0].device.type == "meta"
    assert rotary.table.size(0) == 99  # long enough: not shortened
    assert torch.equal(rotary.rotate(q, k)[0], expected)


def test_gradients_are_turned_back():
    rotary = RotaryPositions(4)
    q = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    k = torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q, k: rotary.rotate(q, k, 5), (q, k))


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="d_head=7 must be even"):
        RotaryPositions(7)


def neighbours_first(d_head):
    """Hugging Face's columns in our order: 0, d/2, 1, d/2 + 1, ..."""
    return torch.arange(d_head).view(2, -1).T.flatten()


def rotate_half(x, kind, base, start):
    """Transformers' own rotary positions of Llama or ModernBERT."""
    n_heads, length, d_head = x.shape[1:]
    sizes = {"hidden_size": n_heads * d_head, "num_attention_heads": n_heads}
    rope = {"rope_theta": base, "rope_type": "default"}
    places = torch.arange(start, start + length)[None]
    if kind == "llama":
        rotary = modeling_llama.LlamaRotaryEmbedding(LlamaConfig(rope_parameters=rope, **sizes))
        cos, sin = rotary(x, places)
        return modeling_llama.apply_rotary_pos_emb(x, x, cos, sin)[0]
    layers = {"full_attention": rope, "sliding_attention": rope}
    config = ModernBertConfig(rope_parameters=layers, **sizes)
    rotary = modeling_modernbert.ModernBertRotaryEmbedding(config)
    cos, sin = rotary(x, places, "full_attention")
    return modeling_modernbert.apply_rotary_pos_emb(x, x, cos, sin)[0]


@pytest.mark.parametrize("kind", ["llama", "modernbert"])
@pytest.mark.parametrize("base", [10000.0, 160000.0])
def test_equal_to_transformers_after_permuting_the_columns(kind, base):
    q, k = queries_and_keys()
    order = neighbours_first(D_HEAD)
    ours, _ = RotaryPositions(D_HEAD, base).rotate(q[..., order], k[..., order], 4)
    theirs = rotate_half(q, kind, base, 4)
    torch.testing.assert_close(ours, theirs[..., order], rtol=0, atol=2e-6)
    assert (RotaryPositions(D_HEAD, base).rotate(q, k, 4)[0] - theirs).abs().max() > 0.1


def test_attention_equals_modernberts_with_permuted_weights():
    """The product of query and key does not see the order of the columns; the values keep it."""
    d_model, n_heads = 30, 3
    config = ModernBertConfig(
        hidden_size=d_model,
        num_attention_heads=n_heads,
        num_hidden_layers=1,
        attention_bias=True,
        attention_dropout=0.0,
        attn_implementation="eager",
    )
    theirs = modeling_modernbert.ModernBertAttention(config, 0).eval()
    x = torch.randn(B, T, d_model)
    rotary = modeling_modernbert.ModernBertRotaryEmbedding(config)
    angles = rotary(x, torch.arange(T)[None], "full_attention")
    base = config.rope_parameters["full_attention"]["rope_theta"]

    ours = MultiHeadAttention(d_model, n_heads)
    order = torch.arange(d_model).view(n_heads, -1)[:, neighbours_first(10)].flatten()
    rows = torch.cat([order, d_model + order, 2 * d_model + torch.arange(d_model)])
    with torch.no_grad():
        theirs.Wqkv.bias.normal_()
        ours.in_proj.weight.copy_(theirs.Wqkv.weight[rows])
        ours.in_proj.bias.copy_(theirs.Wqkv.bias[rows])
        ours.out_proj.load_state_dict(theirs.Wo.state_dict())
        got = ours(x, positions=RotaryPositions(10, base))
        torch.testing.assert_close(got, theirs(x, angles)[0], rtol=1e-4, atol=1e-6)
