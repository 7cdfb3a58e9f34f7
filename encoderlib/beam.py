"""Beam search: keep several prefixes alive, so that a good sequence may begin badly (chapter 10).

Sources: Wu et al. 2016, "Google's Neural Machine Translation System", section 7 (the length
penalty); Vaswani et al. 2017, section 6.1.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from encoderlib.decoding import DecodingModel, decoding_steps, trim_padding

__all__ = ["beam_search", "length_penalty"]


def length_penalty(length: int, alpha: float) -> float:
    """What a score is divided by: ``((5 + length) / 6) ^ alpha`` (Wu et al. 2016, equation 14).

    A sum of log-probabilities falls with each token, so without it (alpha = 0) the shortest
    sequence tends to win. 0.6 is the value of Vaswani et al. 2017, section 6.1.
    """
    return ((5 + length) / 6) ** alpha


@torch.no_grad()
def beam_search(
    model: DecodingModel,
    source: Shaped[Tensor, "B ..."],
    beam: int = 4,
    max_length: int = 128,
    n_best: int = 1,
    alpha: float = 0.6,
    early_stop: bool = True,
    use_cache: bool = True,
    progress: bool = False,
) -> tuple[Int[Tensor, "B n T"], Float[Tensor, "B n"]]:
    """Keep the ``beam`` best prefixes at each step; return the best sequences they lead to.

    ``score(y) = log p(y | source) / length_penalty(len(y), alpha)``, the end counted in
    ``len``. A prefix that ends while it is among the ``beam`` best is finished and makes room
    for the next. Prefixes still open at ``max_length`` count as they are.

    Args:
        model, source, max_length, use_cache, progress: as for `greedy`.
        beam: K prefixes a source. 1 is greedy search (with ``early_stop``).
        n_best: sequences to return a source; at most ``beam``.
        alpha: of `length_penalty`.
        early_stop: finish a source when its ``n_best`` finished sequences score at least what
            its best open prefix scores now. The search could then find nothing better if
            ``alpha <= 0``; above, a longer sequence could still win. False goes on until none
            could, were all its further tokens certain, which takes longer.

    Returns:
        Tokens ``(B, n_best, T)`` as `greedy` writes them, best first, and their scores
        ``(B, n_best)``. Where the vocabulary has fewer sequences: padding alone, score -inf.

    Raises:
        ValueError: if ``beam``, ``n_best`` or ``max_length`` is out of range.

    Each source is searched as if it were alone: its batch does not change its result.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"n_best={n_best} must be in 1..beam, and beam={beam} at least 1")
    batch, device = source.size(0), source.device
    first = torch.arange(batch, device=device)[:, None] * beam  # (B, 1), first row of a source
    tokens = torch.full((batch, beam, max_length), model.padding_id, device=device)  # (B, K, L)
    scores = torch.full((batch, beam), -torch.inf, device=device)  # (B, K), of open prefixes
    scores[:, 0] = 0.0  # at first all beams are the same prefix: one of them counts
    best, best_scores = tokens[:, :n_best].clone(), scores[:, :n_best].clone().fill_(-torch.inf)
    done = torch.zeros(batch, dtype=torch.bool, device=device)
    newest = torch.full((batch * beam,), model.start_id, device=device)  # (R,), R = B K
    with decoding_steps(model, max_length, progress) as steps:
        state = model.begin(source, max_length, beams=beam, use_cache=use_cache)
        for t in steps:
            log_p = model.step(newest, state).float().log_softmax(dim=-1)  # (R, V)
            vocabulary = log_p.size(-1)
            log_p[:, model.padding_id] = -torch.inf
            total = (scores.view(-1, 1) + log_p).view(batch, -1)  # (B, K V)
            # At most K of the 2 K best end, one a beam: K to go on with are always left.
            candidates, index = total.topk(2 * beam)  # (B, 2K)
            parent, token = index // vocabulary, index % vocabulary
            ended = token == model.end_id

            finished = candidates[:, :beam] / length_penalty(t + 1, alpha)
            finished = finished.masked_fill(~ended[:, :beam] | done[:, None], -torch.inf)
            endings = _rows(tokens, parent[:, :beam])  # (B, K, L)
            endings[:, :, t] = model.end_id
            best, best_scores = _merge(best, best_scores, endings, finished)

            scores, order = candidates.masked_fill(ended, -torch.inf).topk(beam)  # (B, K)
            parent, token = parent.gather(1, order), token.gather(1, order)
            tokens = _rows(tokens, parent)
            tokens[:, :, t] = token
            length = max_length if alpha > 0 and not early_stop else t + 1
            done |= best_scores[:, -1] >= scores[:, 0] / length_penalty(length, alpha)
            if done.all():
                break
            newest = token.flatten()
            state.reorder((first + parent).flatten())
    cut = (scores / length_penalty(max_length, alpha)).masked_fill(done[:, None], -torch.inf)
    best, best_scores = _merge(best, best_scores, tokens, cut)
    best = best.masked_fill(best_scores.isneginf()[..., None], model.padding_id)
    return trim_padding(best, model.padding_id), best_scores


def _merge(best: Tensor, best_scores: Tensor, more: Tensor, more_scores: Tensor):
    """The n best of n + K sequences, best first."""
    scores, order = torch.cat([best_scores, more_scores], dim=1).topk(best.size(1))  # (B, n)
    return _rows(torch.cat([best, more], dim=1), order), scores


def _rows(tokens: Tensor, index: Tensor) -> Tensor:
    """``out[b, i] = tokens[b, index[b, i]]``."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.size(2)))
