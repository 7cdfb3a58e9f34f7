"""The order of batches: by length, shared out between ranks, and found again (chapter 09)."""

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, Sampler

from encoderlib.training.distributed import Ranks

__all__ = [
    "LengthBucketSampler",
    "batch_size",
    "generators_of",
    "move",
    "set_epoch",
    "stream",
]


class LengthBucketSampler(Sampler[list[int]]):
    """Batches of sequences of similar length, so that little of a batch is padding.

    The sequences, sorted by length, are cut into ``buckets`` of equal size. Each epoch shuffles
    every bucket, cuts it into batches, and shuffles the batches; the order depends on (seed,
    epoch) alone, so that a resumed run finds it again. Give it to a `DataLoader` as
    ``batch_sampler``. As `DistributedSampler` it has `set_epoch`, which `fit` calls; here each
    pass also moves to the next epoch by itself. Chapter 09.

    Args:
        lengths: of all sequences, in tokens.
        batch_size: sequences in a batch; or else
        max_tokens: largest size of a padded batch, its sequences times the longest one.
        buckets: more buckets mean less padding and less shuffling.
        shuffle: False gives the batches sorted by length, in each epoch the same.
        seed: of the shuffling.

    Raises:
        ValueError: unless exactly one of the two sizes is given, at least one sequence and one
            bucket, and no sequence is longer than ``max_tokens``.
    """

    def __init__(
        self,
        lengths: Sequence[int] | Tensor,
        batch_size: int | None = None,
        max_tokens: int | None = None,
        buckets: int = 8,
        shuffle: bool = True,
        seed: int = 0,
    ):
        lengths = torch.as_tensor(lengths)  # (N,)
        if (batch_size is None) == (max_tokens is None):
            raise ValueError(
                f"batch_size={batch_size}, max_tokens={max_tokens}: give one of the two"
            )
        size = batch_size if max_tokens is None else max_tokens
        if lengths.numel() == 0 or min(buckets, size) < 1:
            raise ValueError(
                f"{lengths.numel()} lengths, buckets={buckets} and a size of {size}: each must be "
                "at least 1"
            )
        if max_tokens is not None and lengths.max() > max_tokens:
            raise ValueError(
                f"a sequence of length {lengths.max()} does not fit into max_tokens={max_tokens}; "
                "raise it, or cut the sequence"
            )
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0
        by_length = lengths.argsort(stable=True)
        self.buckets = [part for part in by_length.tensor_split(buckets) if part.numel()]
        self.sizes = [
            batch_size or max_tokens // max(1, int(lengths[bucket[-1]])) for bucket in self.buckets
        ]

    def __len__(self) -> int:
        """Batches in an epoch; the same in every epoch."""
        pairs = zip(self.buckets, self.sizes, strict=True)
        return sum(-(-bucket.numel() // size) for bucket, size in pairs)

    def set_epoch(self, epoch: int) -> None:
        """The next pass is the one of this epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        """Indices of one batch after the other."""
        random = np.random.default_rng((self.seed, self.epoch))
        self.epoch += 1
        batches = []
        for bucket, size in zip(self.buckets, self.sizes, strict=True):
            if self.shuffle:
                bucket = bucket[random.permutation(bucket.numel())]
            batches += [batch.tolist() for batch in bucket.split(size)]
        if self.shuffle:
            random.shuffle(batches)
        return iter(batches)


LOADER_OPTIONS = (
    "collate_fn",
    "multiprocessing_context",
    "num_workers",
    "pin_memory",
    "prefetch_factor",
    "timeout",
    "worker_init_fn",
)


class _Once:
    """A batch sampler for one pass: the iterator can be moved on from outside."""

    def __init__(self, batches: Iterable[list[int]]):
        self.batches = iter(batches)

    def __iter__(self) -> Iterator[list[int]]:
        return self.batches


def _pass(loader: DataLoader, order: _Once, generator: torch.Generator | None) -> Iterator:
    """One pass over a loader's data set with other indices of batches."""
    options = {name: getattr(loader, name) for name in LOADER_OPTIONS}
    return iter(DataLoader(loader.dataset, batch_sampler=order, generator=generator, **options))


def _names_batches(batches: Iterable) -> bool:
    """Whether the indices of the batches can be had without the batches."""
    return (
        isinstance(batches, DataLoader)
        and not isinstance(batches.dataset, IterableDataset)
        and batches.batch_sampler is not None
    )


def stream(batches: Iterable, ranks: Ranks | None = None, skip: int = 0) -> Iterator:
    """One pass over this rank's share of ``batches``, after ``skip`` of its batches.

    Rank r of n gets batches r, r + n, r + 2n, ...: n ranks with one batch a step do what one
    process does with n batches a step. All ranks get equally many; None stands for a batch
    that is not there. The order is that of rank 0, so that no sample is lost or comes twice.

    What is skipped is not loaded where a `DataLoader` names its batches by indices. With one
    process and workers, or without indices, it is loaded and dropped: this brings the random
    numbers of the workers to where they were.

    Raises:
        ValueError: if the loader has a `DistributedSampler`, which would share out twice.
    """
    ranks = Ranks() if ranks is None else ranks
    if isinstance(getattr(batches, "sampler", None), DistributedSampler):
        raise ValueError("give a DataLoader without DistributedSampler: fit shares out the batches")
    if ranks.size > 1:
        return _share(batches, ranks, skip)
    if skip == 0:
        return iter(batches)
    if _names_batches(batches) and batches.num_workers == 0:
        order = _Once(batches.batch_sampler)
        found, to_skip = _pass(batches, order, batches.generator), order.batches
    else:
        found = to_skip = iter(batches)
    collections.deque(itertools.islice(to_skip, skip), maxlen=0)
    return found


def _share(batches: Iterable, ranks: Ranks, skip: int) -> Iterator:
    """The batches of this rank, then None up to the number that rank 0 gets."""
    if _names_batches(batches):
        # As DataLoader: the seed of the workers is drawn before the order.
        seed = torch.empty((), dtype=torch.int64).random_(generator=batches.generator).item()
        order = ranks.broadcast(list(batches.batch_sampler) if ranks.rank == 0 else None)
        mine = _Once(order[ranks.rank :: ranks.size][skip:])
        workers = torch.Generator().manual_seed((seed + ranks.rank) % 2**63)
        found, length = _pass(batches, mine, workers), len(order)
    else:
        start = ranks.rank + skip * ranks.size
        found, length = itertools.islice(batches, start, None, ranks.size), len(batches)
    rounds = -(-length // ranks.size) - skip
    return itertools.islice(itertools.chain(found, itertools.repeat(None)), rounds)


def set_epoch(batches: Any, epoch: int) -> None:
    """Tell the loader and its samplers, where they want to know it, which epoch comes."""
    for part in _parts(batches):
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch)


def generators_of(*batches: Any) -> list[torch.Generator]:
    """The generators of loaders and their samplers, each once."""
    found = [getattr(part, "generator", None) for thing in batches for part in _parts(thing)]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())


def _parts(batches: Any) -> list:
    names = ("sampler", "batch_sampler")
    return [batches, *(getattr(batches, name, None) for name in names)]


def move(batch: Any, device: torch.device | str) -> Any:
    """The batch with every tensor in its tuples, lists and dicts on ``device``."""
    if isinstance(batch, dict):
        return {name: move(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(move(part, device) for part in batch)
    return batch.to(device) if hasattr(batch, "to") else batch


def batch_size(batch: Any) -> int:
    """The length of the first axis of the first tensor."""
    if isinstance(batch, dict):
        batch = list(batch.values())
    return batch_size(batch[0]) if isinstance(batch, tuple | list) else len(batch)
