"""From scores to sequences: greedy search and sampling (chapter 10); `beam` has beam search.

All are batched, stop when every sequence has ended, and know of a model only what
`DecodingModel` says. Rows that have ended are filled with the model's ``padding_id``, which
is never written before.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from tqdm.auto import tqdm

__all__ = [
    "DecodingModel",
    "DecodingState",
    "decoding_steps",
    "greedy",
    "sample",
    "sampling_probabilities",
    "trim_padding",
]


@runtime_checkable
class DecodingState(Protocol):
    """Whatever a model keeps between steps, for R rows."""

    def reorder(self, index: Int[Tensor, " R"]) -> None:
        """Row r goes on from what row ``index[r]`` was; both are beams of one source."""


@runtime_checkable
class DecodingModel(Protocol):
    """What the functions of this module need; `EncoderDecoder` is one."""

    padding_id: int
    start_id: int
    end_id: int

    def begin(
        self, source: Shaped[Tensor, "B ..."], max_length: int, beams: int, use_cache: bool
    ) -> DecodingState:
        """A state for R = B * beams rows: the beams of source b are neighbours."""

    def step(self, tokens: Int[Tensor, " R"], state: DecodingState) -> Float[Tensor, "R V"]:
        """Read one more token in each row, move the state on; logits of the next token."""


def greedy(
    model: DecodingModel,
    source: Shaped[Tensor, "B ..."],
    max_length: int = 128,
    use_cache: bool = True,
    progress: bool = False,
) -> Int[Tensor, "B T"]:
    """Write the most probable token, again and again: ``y_t = argmax p(y | y_<t, source)``.

    Args:
        model: an `EncoderDecoder`, or what fits `DecodingModel`; it runs in evaluation mode.
        source: what the model encodes, such as ids ``(B, S)``.
        max_length: tokens to write at most, the end among them.
        use_cache: keep keys and values instead of computing the prefix anew at each step.
            The tokens are the same, as far as rounding lets two equal scores be told apart.
        progress: show a tqdm bar.

    Returns:
        Tokens ``(B, T)`` without the start: the first ``end_id`` of a row is followed by
        ``padding_id`` alone; a row without one was cut off. T is the longest of the batch.

    Raises:
        ValueError: if ``max_length`` is below 1.
    """

    def choose(logits: Tensor) -> Tensor:
        return logits.argmax(dim=-1)  # (B,)

    return _write(model, source, choose, max_length, use_cache, progress)


def sample(
    model: DecodingModel,
    source: Shaped[Tensor, "B ..."],
    max_length: int = 128,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
    progress: bool = False,
) -> Int[Tensor, "B T"]:
    """Draw each token from the model's distribution, sharpened or cut off.

    Args:
        model, source, max_length, use_cache, progress: as for `greedy`.
        temperature, top_k, top_p: as for `sampling_probabilities`.
        generator: source of the random numbers, on the device of the model.

    Returns:
        Tokens ``(B, T)``, as `greedy` returns them.

    Raises:
        ValueError: for a value out of range.
    """

    def choose(logits: Tensor) -> Tensor:
        probabilities = sampling_probabilities(logits, temperature, top_k, top_p)
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]  # (B,)

    return _write(model, source, choose, max_length, use_cache, progress)


def sampling_probabilities(
    logits: Float[Tensor, "*batch V"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "*batch V"]:
    """``softmax(logits / temperature)``, then cut to its head and rescaled to sum to 1.

    Args:
        logits: scores ``(..., V)``.
        temperature: below 1 sharpens, above 1 flattens; near 0 is greedy.
        top_k: keep the k most probable tokens (Fan et al. 2018).
        top_p: keep the smallest set of the most probable tokens whose mass is at least p
            (nucleus sampling, Holtzman et al. 2020). After ``top_k``, of what that kept.

    Returns:
        Probabilities ``(..., V)``, float32; exactly 0 where cut.

    Raises:
        ValueError: unless ``temperature > 0``, ``top_k >= 1``, ``0 < top_p <= 1``.
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0; use greedy for the limit 0")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must be in (0, 1]")
    probabilities = (logits.float() / temperature).softmax(dim=-1)  # (..., V)
    size = logits.size(-1) if top_k is None else min(top_k, logits.size(-1))
    if size == logits.size(-1) and top_p in (None, 1):
        return probabilities
    head, index = probabilities.topk(size, dim=-1)  # (..., k), largest first
    if top_p is not None:
        share = head / head.sum(dim=-1, keepdim=True)
        before = share.cumsum(dim=-1) - share  # mass of the more probable tokens
        head = head.masked_fill(before >= top_p, 0.0)
    head = head / head.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, index, head)  # (..., V)


@contextlib.contextmanager
def decoding_steps(model: DecodingModel, max_length: int, progress: bool = False) -> Iterator[tqdm]:
    """The steps 0 .. max_length - 1, with the model in evaluation mode until the end.

    Raises:
        ValueError: if ``max_length`` is below 1.
    """
    if max_length < 1:
        raise ValueError(f"max_length={max_length} must be at least 1")
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        steps = range(max_length)
        with tqdm(steps, desc="decoding", unit="token", disable=not progress) as bar:
            yield bar
    finally:
        if training:
            model.train()


def trim_padding(tokens: Int[Tensor, "*batch L"], padding_id: int) -> Int[Tensor, "*batch T"]:
    """Cut off the columns at the right that are padding in every row."""
    return tokens[..., : int((tokens != padding_id).sum(dim=-1).max())]


@torch.no_grad()
def _write(
    model: DecodingModel,
    source: Tensor,
    choose: Callable[[Tensor], Tensor],
    max_length: int,
    use_cache: bool,
    progress: bool,
) -> Tensor:
    """Let ``choose`` pick each next token from the logits, until all rows have ended."""
    device, shape = source.device, (source.size(0), max_length)
    padding = torch.tensor([model.padding_id], device=device)  # (1,)
    tokens = padding.repeat(shape)  # (B, L)
    newest = torch.full(shape[:1], model.start_id, device=device)  # (B,)
    ended = torch.zeros(shape[:1], dtype=torch.bool, device=device)
    with decoding_steps(model, max_length, progress) as steps:
        state = model.begin(source, max_length, beams=1, use_cache=use_cache)
        for t in steps:
            logits = model.step(newest, state).index_fill(1, padding, -torch.inf)  # (B, V)
            newest = choose(logits).masked_fill(ended, model.padding_id)
            tokens[:, t] = newest
            ended |= newest == model.end_id
            if ended.all():
                break
    return trim_padding(tokens, model.padding_id)
