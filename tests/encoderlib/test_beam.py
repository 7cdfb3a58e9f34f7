"""encoderlib.beam: against all sequences, against a plain loop, and against greedy search."""

import itertools
import math

import pytest
import torch

from encoderlib.beam import beam_search, length_penalty
from encoderlib.config import EncoderConfig
from encoderlib.decoding import greedy
from encoderlib.seq2seq import EncoderDecoder

PADDING, START, END = 0, 1, 2
ALPHAS = [0.0, 0.6, 2.0, -0.5]
both = pytest.mark.parametrize("early_stop", [True, False], ids=["early", "exact"])


class Tree:
    """Random logits for every prefix of every source: what greedy misses, a beam may find."""

    padding_id, start_id, end_id = PADDING, START, END

    def __init__(self, vocabulary=5, spread=2.0, table=None):
        self.vocabulary, self.spread, self.table = (
            vocabulary,
            spread,
            {} if table is None else table,
        )
        self.steps = 0
        self.moves = []

    def logits(self, source, prefix):
        key = (source, prefix)
        if key not in self.table:
            generator = torch.Generator().manual_seed(hash(key) % 2**31)
            self.table[key] = self.spread * torch.randn(self.vocabulary, generator=generator)
        return self.table[key]

    def log_p(self, source, prefix):
        return self.logits(source, prefix).double().log_softmax(-1).tolist()

    def begin(self, source, max_length, beams, use_cache):
        self.steps, self.moves, self.begun = 0, [], (max_length, beams, use_cache)
        return TreeState(self, [int(s) for s in source[:, 0] for _ in range(beams)])

    def step(self, tokens, state):
        self.steps += 1
        state.prefixes = [(*p, t) for p, t in zip(state.prefixes, tokens.tolist(), strict=True)]
        rows = zip(state.sources, state.prefixes, strict=True)
        return torch.stack([self.logits(s, p[1:]) for s, p in rows])


class TreeState:
    def __init__(self, tree, sources):
        self.tree, self.sources, self.prefixes = tree, sources, [()] * len(sources)

    def reorder(self, index):
        rows = index.tolist()
        assert [self.sources[i] for i in rows] == self.sources, "beams stay with their source"
        self.tree.moves.append(rows != list(range(len(rows))))
        self.prefixes = [self.prefixes[i] for i in rows]


def penalty(length, alpha):
    return math.pow((5 + length) / 6, alpha)


def best(candidates, n):
    return sorted(candidates, reverse=True)[:n]


def every_sequence(tree, source, length, alpha):
    """All that can be written: with an end, or cut at ``length``; best first."""
    found, open_prefixes = [], [(0.0, ())]
    for t in range(1, length + 1):
        longer = []
        for score, prefix in open_prefixes:
            for token, log_p in enumerate(tree.log_p(source, prefix)):
                if token != PADDING:
                    longer.append((score + log_p, (*prefix, token)))
        found += [(s / penalty(t, alpha), y) for s, y in longer if y[-1] == END]
        open_prefixes = [(s, y) for s, y in longer if y[-1] != END]
    return best(found + [(s / penalty(length, alpha), y) for s, y in open_prefixes], None)


def plain_beam_search(tree, source, beam, length, n, alpha, stop):
    """One source, Python lists; ``stop`` is "early", "exact" or "never"."""
    live, done, finished = [(0.0, ())], False, []
    for t in range(1, length + 1):
        grown = best(
            (
                (score + log_p, (*prefix, token))
                for score, prefix in live
                for token, log_p in enumerate(tree.log_p(source, prefix))
                if token != PADDING
            ),
            None,
        )
        finished += [(s / penalty(t, alpha), y) for s, y in grown[:beam] if y[-1] == END]
        finished = best(finished, n)
        live = [(s, y) for s, y in grown if y[-1] != END][:beam]
        at = length if stop == "exact" and alpha > 0 else t
        bound = live[0][0] / penalty(at, alpha) if live else -math.inf
        if stop != "never" and len(finished) == n and finished[-1][0] >= bound:
            done = True
            break
    cut = [] if done else [(s / penalty(length, alpha), y) for s, y in live]
    return best(finished + cut, n)


def check(tokens, scores, expected):
    """One source: rows ``(n, T)`` and scores ``(n,)`` beside a list of (score, sequence)."""
    written = [tuple(row[row != PADDING].tolist()) for row in tokens]
    assert written == [y for _, y in expected]
    torch.testing.assert_close(
        scores.double(),
        torch.tensor([s for s, _ in expected], dtype=torch.float64),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("alpha", ALPHAS)
@both
@pytest.mark.parametrize(("vocabulary", "length"), [(4, 5), (6, 3)])
def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all(alpha, early_stop, vocabulary, length):
    if early_stop and alpha > 0:
        early_stop = False  # not exact there, as documented
    tree, source = Tree(vocabulary), torch.tensor([[3], [7]])
    beam = (vocabulary - 1) ** length
    tokens, scores = beam_search(
        tree, source, beam, length, n_best=9, alpha=alpha, early_stop=early_stop
    )
    for b in range(2):
        everything = every_sequence(tree, int(source[b]), length, alpha)
        check(tokens[b], scores[b], everything[:9])


@pytest.mark.parametrize("alpha", ALPHAS)
@both
@pytest.mark.parametrize(("beam", "n"), [(1, 1), (2, 1), (2, 2), (3, 2), (5, 1), (5, 5)])
def test_it_equals_a_plain_search_of_one_source_at_a_time(alpha, early_stop, beam, n):
    tree, source = Tree(), torch.arange(12)[:, None]
    tokens, scores = beam_search(tree, source, beam, 7, n, alpha, early_stop)
    assert tokens.shape[:2] == scores.shape == (12, n)
    stop = "early" if early_stop else "exact"
    for b in range(12):
        check(tokens[b], scores[b], plain_beam_search(tree, b, beam, 7, n, alpha, stop))


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_where_stopping_is_exact_it_changes_nothing_but_the_steps(alpha, beam):
    """Early stop for alpha <= 0, the bound for every alpha: the same as never stopping."""
    tree, source = Tree(), torch.arange(12)[:, None]
    for early_stop in [False, True] if alpha <= 0 else [False]:
        tokens, scores = beam_search(tree, source, beam, 9, 1, alpha, early_stop)
        for b in range(12):
            check(tokens[b], scores[b], plain_beam_search(tree, b, beam, 9, 1, alpha, "never"))
    assert tree.steps < 9 or alpha > 0


@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_beam_of_one_is_greedy(alpha):
    tree, source = Tree(), torch.arange(12)[:, None]
    expected = greedy(tree, source, 7)
    assert torch.equal(beam_search(tree, source, 1, 7, alpha=alpha)[0][:, 0], expected)


def test_a_wider_beam_finds_what_greedy_misses():
    """0.6 looks better at first, 0.4 leads further: 0.4 x 0.9 > 0.6 x 0.4."""
    tree = Tree(
        6,
        table={
            (0, ()): torch.tensor([0, 0, 0, 0.6, 0.4, 0]).log(),
            (0, (3,)): torch.tensor([0, 0, 0.4, 0.3, 0.3, 0]).log(),
            (0, (4,)): torch.tensor([0, 0, 0.9, 0.1, 0, 0]).log(),
            **{
                (0, (a, b)): torch.tensor([0, 0, 1.0, 0, 0, 0]).log()
                for a, b in itertools.product((3, 4), repeat=2)
            },
        },
    )
    source = torch.tensor([[0]])
    assert greedy(tree, source, 4).tolist() == [[3, 2]]
    tokens, scores = beam_search(tree, source, 2, 4, n_best=2, alpha=0.0)
    assert tokens.tolist() == [[[4, 2], [3, 2]]]
    torch.testing.assert_close(scores.exp(), torch.tensor([[0.36, 0.24]]))


def chain(*shares):
    """At step t: the end has probability ``shares[t][0]``, token 3 ``shares[t][1]``."""
    return Tree(
        4,
        table={
            (0, (3,) * t): torch.tensor([max(0, 1 - end - go), 0, end, go]).log()
            for t, (end, go) in enumerate(shares)
        },
    )


@both
def test_the_length_penalty_changes_the_winner(early_stop):
    """Log-probabilities: the end at once -1.20, after three tokens -1.35."""
    tree, source = chain((0.3, 0.6), (0, 0.9), (0, 0.8), (0.6, 0)), torch.tensor([[0]])
    one, four = math.log(0.3), math.log(0.6 * 0.9 * 0.8 * 0.6)
    assert one > four
    assert one / 1.0 < four / 1.5  # lengths 1 and 4: (5 + 4) / 6 = 1.5
    for alpha, expected in ((0.0, [2]), (1.0, [3, 3, 3, 2])):
        tokens, scores = beam_search(tree, source, 4, 4, alpha=alpha, early_stop=early_stop)
        assert tokens[0, 0].tolist() == expected
        score = one if alpha == 0 else four / 1.5
        torch.testing.assert_close(scores[0, 0], torch.tensor(score))


def test_early_stop_may_miss_a_longer_sequence_above_alpha_0():
    """As documented: the end is better now, the longer one would have been better later."""
    tree, source = chain((0.55, 0.45), (0, 1), (0, 1), (0, 1), (1, 0)), torch.tensor([[0]])
    assert beam_search(tree, source, 2, 5, alpha=2.0)[0].tolist() == [[[2]]]
    assert tree.steps == 1
    longer, _ = beam_search(tree, source, 2, 5, alpha=2.0, early_stop=False)
    assert longer.tolist() == [[[3, 3, 3, 3, 2]]]
    assert tree.steps == 5


def test_below_alpha_0_the_next_length_is_the_best_that_can_come():
    tree, source = chain((0.3, 0.7), (1, 0)), torch.tensor([[0]])
    tokens, _ = beam_search(tree, source, 2, 1000, alpha=-0.5, early_stop=False)
    assert tokens.tolist() == [[[3, 2]]]
    assert tree.steps == 2


def test_length_penalty_is_the_formula():
    assert length_penalty(1, 0.6) == 1.0
    assert length_penalty(7, 0.6) == pytest.approx(2**0.6)
    assert length_penalty(13, 2.0) == pytest.approx(9.0)
    assert length_penalty(99, 0.0) == 1.0


@both
def test_a_batch_does_not_change_the_result_of_a_source(early_stop):
    tree, source = Tree(), torch.arange(12)[:, None]
    tokens, scores = beam_search(tree, source, 3, 9, 3, 0.6, early_stop)
    for b in range(12):
        alone, score = beam_search(tree, source[b : b + 1], 3, 9, 3, 0.6, early_stop)
        width = alone.size(-1)
        assert torch.equal(tokens[b : b + 1, :, :width], alone)
        assert (tokens[b, :, width:] == PADDING).all()
        assert torch.equal(scores[b : b + 1], score)


def test_the_scores_are_sorted_and_the_sequences_differ():
    tokens, scores = beam_search(Tree(), torch.arange(12)[:, None], 5, 7, n_best=5)
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    assert all(len({tuple(y) for y in rows}) == 5 for rows in tokens.tolist())
    assert (tokens == PADDING).sum() > 0
    assert ((tokens == END).sum(dim=-1) <= 1).all()


def test_padding_is_not_written_and_keeps_its_share_of_the_probability():
    table = {(0, ()): torch.tensor([0.7, 0.0, 0.1, 0.2]).log()}
    tree = Tree(4, table=table)
    tokens, scores = beam_search(tree, torch.tensor([[0]]), 2, 1, n_best=2)
    assert tokens.tolist() == [[[3], [2]]]
    torch.testing.assert_close(scores.exp(), torch.tensor([[0.2, 0.1]]))
    torch.testing.assert_close(table[0, ()].exp(), torch.tensor([0.7, 0.0, 0.1, 0.2]))


@both
def test_missing_sequences_are_padding_with_score_minus_infinity(early_stop):
    """Only two sequences are possible: (3, 2) and (2)."""
    table = {
        (0, ()): torch.tensor([0, 0, 0.25, 0.75]).log(),
        (0, (3,)): torch.tensor([0, 0, 1.0, 0]).log(),
    }
    tokens, scores = beam_search(
        Tree(4, table=table), torch.tensor([[0]]), 4, 2, 4, 0.0, early_stop
    )
    assert tokens.tolist() == [[[3, 2], [2, 0], [0, 0], [0, 0]]]
    torch.testing.assert_close(scores.exp(), torch.tensor([[0.75, 0.25, 0.0, 0.0]]))


def translator(positions=None):
    """A random model whose next token hangs on the source and on all that was written."""
    torch.manual_seed(14)
    config = EncoderConfig(26, 13, 17, 2, dropout=0.3, positions=positions)
    model = EncoderDecoder(13, 11, config, tie_output=False)
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
    ids = torch.randint(3, 13, (n, length))
    for b in range(n):
        ids[b, length - b :] = 0
    return ids


@pytest.mark.parametrize("positions", [None, "rotary", "alibi", "t5", "shaw"])
@both
def test_with_and_without_cache_the_beams_are_equal(positions, early_stop):
    """Beams overtake each other, so the caches must move with them."""
    model, source = translator(positions), sources()
    moves = []
    begin = model.begin

    def watched(*args, **kwargs):
        state = begin(*args, **kwargs)
        reorder = state.reorder

        def watch(index):
            moves.append(not torch.equal(index, torch.arange(index.numel())))
            reorder(index)

        state.reorder = watch
        return state

    model.begin = watched
    with_cache, without = (
        beam_search(model, source, 4, 9, 3, early_stop=early_stop, use_cache=c)
        for c in (True, False)
    )
    assert torch.equal(with_cache[0], without[0])
    torch.testing.assert_close(with_cache[1], without[1], rtol=1e-4, atol=1e-4)
    assert sum(moves) >= 4
    assert (with_cache[0] != 0).sum(dim=-1).unique().numel() >= 2


def test_the_score_is_the_models_log_probability_of_the_sequence():
    model, source = translator(), sources()
    tokens, scores = beam_search(model, source, 4, 9, n_best=2)
    assert model.training
    assert not scores.requires_grad
    model.eval()
    for i in range(2):
        target = tokens[:, i]
        log_p = model(source, target).log_softmax(-1).gather(-1, target[..., None])[..., 0]
        real = target != PADDING
        total = log_p.masked_fill(~real, 0.0).sum(dim=1)
        expected = total / ((5 + real.sum(dim=1)) / 6) ** 0.6
        torch.testing.assert_close(scores[:, i], expected, rtol=1e-4, atol=1e-4)


def test_the_model_is_told_the_length_the_beams_and_whether_to_cache():
    tree = Tree()
    beam_search(tree, torch.zeros(1, 1))
    assert tree.begun == (128, 4, True)
    beam_search(tree, torch.zeros(1, 1), 2, 3, use_cache=False)
    assert tree.begun == (3, 2, False)


def test_logits_in_half_precision_are_summed_in_float32():
    tree = Tree()
    expected, _ = beam_search(tree, torch.arange(12)[:, None], 3, 7)
    tree.table = {key: value.bfloat16() for key, value in tree.table.items()}
    tokens, scores = beam_search(tree, torch.arange(12)[:, None], 3, 7)
    assert scores.dtype == torch.float32
    assert (tokens == expected).float().mean() > 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beam": 0}, "n_best=1 must be in 1..beam, and beam=0 at least 1"),
        ({"n_best": 5}, "n_best=5 must be in 1..beam, and beam=4 at least 1"),
        ({"n_best": 0}, "n_best=0 must be in 1"),
        ({"max_length": 0}, "max_length=0 must be at least 1"),
    ],
)
def test_what_is_out_of_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        beam_search(Tree(), torch.zeros(1, 1), **change)


def test_the_bar_is_off_unless_asked_for(capsys):
    beam_search(Tree(), torch.zeros(1, 1), 2, 3)
    assert capsys.readouterr().err == ""
    beam_search(Tree(), torch.zeros(1, 1), 2, 3, progress=True)
    assert "decoding" in capsys.readouterr().err
