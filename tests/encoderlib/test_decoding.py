"""encoderlib.decoding: the argmax and the draws are right, with and without a cache."""

import pytest
import torch
import torch.nn.functional as F

from encoderlib.config import EncoderConfig
from encoderlib.decoding import (
    decoding_steps,
    greedy,
    sample,
    sampling_probabilities,
    trim_padding,
)
from encoderlib.seq2seq import EncoderDecoder

U, V = 13, 11
POSITIONS = [None, "rotary", "alibi", "t5", "shaw"]


def translator(positions=None, norm_first=True):
    """A random model whose next token hangs on the source and on all that was written."""
    torch.manual_seed(14)
    config = EncoderConfig(26, 13, 17, 2, dropout=0.3, positions=positions, norm_first=norm_first)
    model = EncoderDecoder(U, V, config, tie_output=False).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=2 * parameter.size(-1) ** -0.5)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
        embedding = model.target_embedding.table.weight.normal_(std=0.25)
        model.output.weight.copy_(embedding.roll(1, dims=0))  # a token asks for the next one
        model.output.bias[model.end_id] = 1.0
    return model


def sources(n=5, length=7):
    """Sentences of different lengths, padded."""
    ids = torch.randint(3, U, (n, length))
    for b in range(n):
        ids[b, length - b :] = 0
    return ids


class Script:
    """No EncoderDecoder: it says what the table says, by step; rows are sources."""

    padding_id, start_id, end_id = 0, 1, 2

    def __init__(self, logits):
        self.logits = logits  # (B, L, V)
        self.read = []

    def begin(self, source, max_length, beams, use_cache):
        self.read, self.begun = [], (max_length, beams, use_cache)
        return State()

    def step(self, tokens, state):
        self.read.append(tokens.tolist())
        return self.logits[:, len(self.read) - 1]


class State:
    def reorder(self, index):
        raise AssertionError("only beams are reordered")


def says(*rows, vocabulary=7):
    return Script(10.0 * F.one_hot(torch.tensor(rows), vocabulary).float())


def by_hand(model, source, max_length):
    """Greedy search one sentence at a time, over the whole model at each step."""
    rows = []
    for sentence in source:
        written = []
        while len(written) < max_length and model.end_id not in written:
            target = torch.tensor([[*written, 0]])  # the last is asked for and not seen
            logits = model(sentence[sentence != 0][None], target)[0, -1]
            logits[model.padding_id] = -torch.inf
            written.append(int(logits.argmax()))
        rows.append(written)
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


@pytest.mark.parametrize(
    ("positions", "norm_first"), [*((p, True) for p in POSITIONS), (None, False)], ids=str
)
def test_greedy_with_and_without_cache_equals_a_loop_over_the_model(positions, norm_first):
    model, source = translator(positions, norm_first), sources()
    expected = by_hand(model, source, 9)
    for use_cache in (True, False):
        assert torch.equal(greedy(model, source, 9, use_cache=use_cache), expected)


def test_the_random_model_of_these_tests_is_not_trivial():
    """Sequences end at different times, some not at all, and have many tokens."""
    written = greedy(translator(), sources(), 9)
    assert (written != 0).sum(dim=1).unique().numel() >= 4
    assert len({tuple(row) for row in written.tolist()}) == 5
    assert written.unique().numel() >= 6


@pytest.mark.parametrize("top", [{}, {"top_k": 3}, {"top_p": 0.8}], ids=str)
def test_draws_with_and_without_cache_are_equal(top):
    model, source = translator(), sources()
    drawn = [
        sample(model, source, 9, generator=torch.Generator().manual_seed(5), use_cache=c, **top)
        for c in (True, False)
    ]
    assert torch.equal(*drawn)
    assert (drawn[0] != 0).sum(dim=1).unique().numel() >= 2
    assert not torch.equal(sample(model, source, 9, **top), drawn[0])


def test_after_the_end_comes_padding_and_all_ended_stops():
    model = says([3, 2, 5, 2, 5], [4, 3, 3, 2, 5], [2, 3, 4, 5, 6])
    source = torch.zeros(3, 4)
    for write in (greedy, sample):
        got = write(model, source, max_length=5, **({} if write is greedy else {"top_k": 1}))
        assert got.tolist() == [[3, 2, 0, 0], [4, 3, 3, 2], [2, 0, 0, 0]]
        assert got.dtype == torch.long
        assert model.read == [[1, 1, 1], [3, 4, 2], [2, 3, 0], [0, 3, 0]]


def test_a_sequence_without_end_is_cut_at_max_length():
    model = says([3, 4, 5, 6], [3, 2, 5, 6])
    assert greedy(model, torch.zeros(2, 1), max_length=3).tolist() == [[3, 4, 5], [3, 2, 0]]
    assert len(model.read) == 3
    assert greedy(model, torch.zeros(2, 1), max_length=1).tolist() == [[3], [3]]


@pytest.mark.parametrize("write", [greedy, sample])
def test_padding_is_never_written_and_the_logits_are_left_alone(write):
    logits = torch.full((1, 3, 7), -5.0)
    logits[..., 0] = 50.0  # padding is by far the best
    logits[0, 0, 4], logits[0, 1, 3], logits[0, 2, 2] = 20.0, 20.0, 20.0
    before = logits.clone()
    assert write(Script(logits), torch.zeros(1, 1), max_length=3).tolist() == [[4, 3, 2]]
    assert torch.equal(logits, before)


@pytest.mark.parametrize("write", [greedy, sample])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_logits_of_other_dtypes(write, dtype):
    model = says([3, 4, 2])
    model.logits = 5 * model.logits.to(dtype)
    assert write(model, torch.zeros(1, 1)).tolist() == [[3, 4, 2]]


@pytest.mark.parametrize("write", [greedy, sample])
def test_dropout_is_off_while_writing_and_the_mode_is_put_back(write):
    model, source = translator(), sources()
    seeded = {} if write is greedy else {"top_k": 1}
    expected = write(model, source, 9, **seeded)
    assert not model.training
    model.train()
    got = write(model, source, 9, **seeded)
    assert torch.equal(got, expected)
    assert model.training
    assert model.decoder.training
    with pytest.raises(IndexError):
        write(model, source + U, 9)
    assert model.training


def test_writing_keeps_no_graph():
    model = translator()
    seen = []
    model.output.register_forward_hook(lambda _m, _a, output: seen.append(output.requires_grad))
    greedy(model, sources(), 3)
    sample(model, sources(), 3)
    assert seen == [False] * 6


@pytest.mark.parametrize("write", [greedy, sample])
def test_max_length_must_be_positive(write):
    with pytest.raises(ValueError, match="max_length=0 must be at least 1"):
        write(translator(), sources(), max_length=0)


def test_the_bar_is_off_unless_asked_for(capsys):
    for write in (greedy, sample):
        model = says([3, 4, 2])
        write(model, torch.zeros(1, 1))
        assert capsys.readouterr().err == ""
        write(model, torch.zeros(1, 1), progress=True)
        assert "decoding" in capsys.readouterr().err


@pytest.mark.parametrize("write", [greedy, sample])
def test_the_model_is_told_the_length_and_whether_to_cache(write):
    model = says([3, 4, 2])
    write(model, torch.zeros(1, 1))
    assert model.begun == (128, 1, True)
    write(model, torch.zeros(1, 1), 3, use_cache=False)
    assert model.begun == (3, 1, False)


def test_steps_count_and_a_model_may_have_no_mode():
    with decoding_steps(says([3]), 4) as steps:
        assert list(steps) == [0, 1, 2, 3]


def test_trim_padding_cuts_what_no_row_needs():
    tokens = torch.tensor([[[3, 2, 0, 0]], [[3, 4, 2, 0]]])
    assert trim_padding(tokens, 0).tolist() == [[[3, 2, 0]], [[3, 4, 2]]]
    assert torch.equal(trim_padding(tokens, 9), tokens)


def test_top_k_of_one_and_low_temperature_are_greedy():
    model, source = translator(), sources()
    expected = greedy(model, source, 9)
    assert torch.equal(sample(model, source, 9, top_k=1, temperature=5.0), expected)
    assert torch.equal(sample(model, source, 9, temperature=1e-4), expected)
    assert torch.equal(sample(model, source, 9, top_p=1e-6), expected)


def test_a_generator_makes_draws_repeatable_and_spares_the_global_one():
    model, source = translator(), sources()
    state = torch.random.get_rng_state()
    one, two = (
        sample(model, source, 9, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(one, two)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    "choice",
    [{}, {"temperature": 0.5}, {"temperature": 3.0}, {"top_k": 3}, {"top_p": 0.6}],
    ids=str,
)
def test_draws_have_the_frequencies_of_the_formula(choice):
    """Chi-square of 20,000 draws with a fixed seed; the bound is passed by 1 run in 10,000."""
    logits = torch.tensor([9.0, 0.5, -1.0, 2.0, 1.0, 0.0, 1.5])  # padding's 9.0 must not count
    n = 20_000
    generator = torch.Generator().manual_seed(1)
    drawn = sample(
        Script(logits.expand(n, 1, 7)), torch.zeros(n, 1), 1, generator=generator, **choice
    )
    counts = torch.bincount(drawn[:, 0], minlength=7).double()
    p = ((logits[1:].double()) / choice.get("temperature", 1.0)).softmax(0)
    order = p.argsort(descending=True)
    if "top_k" in choice:
        p[order[3:]] = 0.0
    if "top_p" in choice:
        assert p[order[:1]].sum() < 0.6 < p[order[:2]].sum()
        p[order[2:]] = 0.0
    p = torch.cat([torch.zeros(1), p / p.sum()])
    assert (counts[p == 0] == 0).all()
    expected = n * p[p > 0]
    chi2 = ((counts[p > 0] - expected).square() / expected).sum()
    assert chi2 < {6: 25.7, 3: 18.4, 2: 15.1}[int((p > 0).sum())]


def logits_of(*p):
    return torch.tensor(p).log()


def test_temperature_divides_the_logits():
    logits = torch.randn(2, 3, 7)
    for temperature in (0.3, 1.0, 2.5):
        expected = (logits / temperature).softmax(dim=-1)
        torch.testing.assert_close(sampling_probabilities(logits, temperature), expected)


def test_top_k_keeps_the_k_best_and_rescales():
    logits = logits_of(0.1, 0.4, 0.2, 0.3)
    keep = {1: [0, 1, 0, 0], 2: [0, 4 / 7, 0, 3 / 7], 3: [0, 4 / 9, 2 / 9, 3 / 9]}
    for k, expected in keep.items():
        got = sampling_probabilities(logits, top_k=k)
        torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float32))
        assert got.count_nonzero() == k
    for k in (4, 99):
        assert torch.equal(sampling_probabilities(logits, top_k=k), logits.softmax(-1))
    assert sampling_probabilities(torch.zeros(5), top_k=2).count_nonzero() == 2  # ties


@pytest.mark.parametrize(
    ("p", "kept"),
    [(0.01, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (0.875, 3), (0.88, 4), (1.0, 4)],
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, kept):
    probabilities = torch.tensor([0.125, 0.5, 0.125, 0.25])
    got = sampling_probabilities(probabilities.log().double().float(), top_p=p)
    assert got.count_nonzero() == kept
    expected = torch.zeros(4)
    order = probabilities.argsort(descending=True, stable=True)[:kept]
    if kept != 3:  # of the two last either may go first
        expected[order] = probabilities[order]
        torch.testing.assert_close(got, expected / expected.sum())
    torch.testing.assert_close(got.sum(), torch.tensor(1.0))


def test_top_p_is_of_what_top_k_kept():
    logits = logits_of(0.4, 0.3, 0.2, 0.1)
    got = sampling_probabilities(logits, top_k=2, top_p=0.57)  # 0.4 / 0.7 = 0.571
    assert got.tolist() == [1.0, 0.0, 0.0, 0.0]
    got = sampling_probabilities(logits, top_k=2, top_p=0.58)
    torch.testing.assert_close(got, torch.tensor([4 / 7, 3 / 7, 0, 0]))
    torch.testing.assert_close(
        sampling_probabilities(logits, top_k=2, top_p=1.0), torch.tensor([4 / 7, 3 / 7, 0, 0])
    )


def test_all_of_the_mass_keeps_the_longest_tail():
    logits = torch.linspace(30, -60, 1000)
    assert torch.equal(sampling_probabilities(logits, top_p=1.0), logits.softmax(-1))


def test_rows_are_cut_one_by_one_in_float32():
    logits = torch.stack([logits_of(0.6, 0.3, 0.1), logits_of(0.2, 0.35, 0.45)])
    got = sampling_probabilities(logits[None], top_p=0.5)
    torch.testing.assert_close(got[0], torch.tensor([[1, 0, 0], [0, 0.4375, 0.5625]]))
    assert sampling_probabilities(logits.bfloat16(), top_p=0.5).dtype == torch.float32


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0 must be above 0; use greedy"),
        ({"temperature": -1.0}, "temperature=-1.0 must be above 0"),
        ({"temperature": float("nan")}, "temperature=nan must be above 0"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"top_p": 0.0}, r"top_p=0.0 must be in \(0, 1\]"),
        ({"top_p": 1.01}, r"top_p=1.01 must be in \(0, 1\]"),
    ],
)
def test_choices_out_of_range_are_refused(choice, message):
    with pytest.raises(ValueError, match=message):
        sampling_probabilities(torch.zeros(3), **choice)
    with pytest.raises(ValueError, match=message):
        sample(says([3, 2]), torch.zeros(1, 1), **choice)
