"""encoderlib.training.batches: buckets of similar length, shares of ranks, the rest of an epoch."""

import itertools

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    TensorDataset,
)

from encoderlib.training.batches import (
    LengthBucketSampler,
    batch_size,
    generators_of,
    move,
    set_epoch,
    stream,
)
from encoderlib.training.distributed import Ranks

LENGTHS = torch.randint(1, 60, (97,), generator=torch.Generator().manual_seed(0)).tolist()


# --- batches of similar length ---


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [{"batch_size": 7}, {"max_tokens": 200}])
@pytest.mark.parametrize("buckets", [1, 5, 97, 200])
def test_every_index_comes_once(shuffle, size, buckets):
    sampler = LengthBucketSampler(LENGTHS, **size, buckets=buckets, shuffle=shuffle)
    for _ in range(3):
        batches = list(sampler)
        assert sorted(itertools.chain(*batches)) == list(range(97))
        assert len(batches) == len(sampler)
        assert all(batches)


def test_batches_have_their_size_but_for_the_last_of_each_bucket():
    sizes = [len(batch) for batch in LengthBucketSampler(LENGTHS, 7, buckets=4)]
    assert sorted(sizes) == [3, 3, 3, 4] + [7] * 12  # buckets of 25, 24, 24, 24


def test_a_padded_batch_stays_within_its_tokens():
    sampler = LengthBucketSampler(LENGTHS, max_tokens=200, buckets=4)
    padded = [len(batch) * max(LENGTHS[i] for i in batch) for batch in sampler]
    assert max(padded) <= 200
    assert sum(padded) / len(padded) > 120  # and uses them
    assert list(LengthBucketSampler([4, 4, 4, 4], max_tokens=8, buckets=1, shuffle=False)) == [
        [0, 1],
        [2, 3],
    ]


def test_lengths_in_a_batch_are_similar():
    """Within the width of one bucket, and so with far less padding than in random batches."""
    ordered = sorted(LENGTHS)
    edges = [part.tolist() for part in torch.tensor(ordered).tensor_split(8)]
    widths = max(part[-1] - part[0] for part in edges)
    spread = []
    for batch in LengthBucketSampler(LENGTHS, 4):
        lengths = [LENGTHS[i] for i in batch]
        spread.append(max(lengths) - min(lengths))
    assert max(spread) <= widths
    assert 4 * widths < max(LENGTHS) - min(LENGTHS)


def test_each_epoch_has_its_own_order_that_depends_on_seed_and_epoch_alone():
    sampler = LengthBucketSampler(LENGTHS, 7, seed=3)
    epochs = [list(sampler) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    members = [{frozenset(batch) for batch in epoch} for epoch in epochs]
    assert members[0] != members[1]  # not the order of the batches alone
    torch.manual_seed(99)
    again = LengthBucketSampler(torch.tensor(LENGTHS), 7, seed=3)
    again.set_epoch(2)
    assert list(again) == epochs[2]
    again.set_epoch(0)
    assert list(again) == epochs[0]
    assert list(LengthBucketSampler(LENGTHS, 7, seed=4)) != epochs[0]


def test_seed_and_epoch_are_not_added():
    sampler = LengthBucketSampler(LENGTHS, 7, seed=1)
    other = LengthBucketSampler(LENGTHS, 7, seed=0)
    other.set_epoch(1)
    assert list(sampler) != list(other)


def test_short_batches_do_not_all_come_first():
    firsts = []
    sampler = LengthBucketSampler(LENGTHS, 7)
    for _ in range(9):
        firsts.append(max(LENGTHS[i] for i in next(iter(sampler))))
    assert len(set(firsts)) > 3


def test_without_shuffling_lengths_rise_and_epochs_are_the_same():
    sampler = LengthBucketSampler(LENGTHS, 7, shuffle=False)
    batches = list(sampler)
    lengths = [LENGTHS[i] for i in itertools.chain(*batches)]
    assert lengths == sorted(LENGTHS)
    assert list(sampler) == batches


def test_empty_sequences_fit_into_any_batch():
    assert list(LengthBucketSampler([0, 0, 0], max_tokens=2, buckets=1, shuffle=False)) == [
        [0, 1],
        [2],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "batch_size=None, max_tokens=None: give one of the two"),
        ({"batch_size": 2, "max_tokens": 90}, "batch_size=2, max_tokens=90: give one"),
        ({"batch_size": 0}, "97 lengths, buckets=8 and a size of 0: each must be at least 1"),
        ({"batch_size": 2, "buckets": 0}, "buckets=0 and a size of 2"),
        ({"max_tokens": 20}, f"length {max(LENGTHS)} does not fit into max_tokens=20; raise it"),
    ],
)
def test_sizes_that_cannot_be_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        LengthBucketSampler(LENGTHS, **arguments)


def test_no_lengths_are_an_error():
    with pytest.raises(ValueError, match="0 lengths, buckets=8 and a size of 2"):
        LengthBucketSampler([], batch_size=2)


def test_a_loader_takes_it_as_batch_sampler():
    sampler = LengthBucketSampler(LENGTHS, 7, seed=3)
    loader = DataLoader(TensorDataset(torch.arange(97)), batch_sampler=sampler)
    set_epoch(loader, 5)
    seen = [batch[0].tolist() for batch in loader]
    sampler.set_epoch(5)
    assert seen == list(sampler)


# --- the rest of an epoch ---


def kinds():
    data = TensorDataset(torch.arange(23))
    sampler = RandomSampler(data, generator=torch.Generator().manual_seed(4))
    return {
        "list": [[torch.arange(3)], [torch.arange(2)], [torch.arange(4)]],
        "in order": DataLoader(data, 5),
        "global": DataLoader(data, 5, shuffle=True),
        "generator": DataLoader(data, 5, shuffle=True, generator=torch.Generator()),
        "with replacement": DataLoader(data, 5, sampler=RandomSampler(data, True, 40)),
        "batch sampler": DataLoader(data, batch_sampler=BatchSampler(sampler, 4, True)),
        "buckets": DataLoader(data, batch_sampler=LengthBucketSampler(LENGTHS[:23], 4)),
        "no batches": DataLoader(data, None, shuffle=True),
        "iterable": DataLoader(Numbers(), 4),
    }


class Numbers(IterableDataset):
    def __iter__(self):
        return iter(range(10))

    def __len__(self):
        return 10


def numbers(batches):
    """The numbers in each batch, or None."""
    found = []
    for batch in batches:
        batch = batch[0] if isinstance(batch, tuple | list) else batch
        found.append(None if batch is None else batch.tolist())
    return found


@pytest.mark.parametrize("kind", kinds())
def test_the_rest_of_an_epoch_is_the_end_of_the_whole(kind):
    """And the next epoch is the same: a sampler may draw once more at its end."""
    runs = []
    for skip in (0, 1, 2):
        batches = kinds()[kind]
        torch.manual_seed(8)
        runs.append([numbers(stream(batches, skip=skip)), numbers(stream(batches))])
    whole, second = runs[0]
    assert len(whole) > 2
    for skip in (1, 2):
        assert runs[skip] == [whole[skip:], second]


def test_one_process_and_no_skip_is_the_loader_itself():
    batches = kinds()["generator"]
    batches.generator.manual_seed(3)
    expected = numbers(batches)
    batches.generator.manual_seed(3)
    assert numbers(stream(batches)) == expected


# --- shares of ranks ---


class Alone(Ranks):
    """One of several ranks, without the others; what rank 0 says is known."""

    def __init__(self, rank, size, said):
        super().__init__(rank, size)
        self.said = said

    def broadcast(self, thing):
        if self.rank == 0:
            self.said.append(thing)
        return self.said[-1]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("kind", kinds())
def test_ranks_take_turns_and_get_equally_many(kind, size):
    torch.manual_seed(8)
    whole = numbers(kinds()[kind])
    shares, said = [], []
    for rank in range(size):
        # Only rank 0's random numbers count, where they are not of the data set.
        torch.manual_seed(8 if rank == 0 or kind == "no batches" else 1000 + rank)
        shares.append(numbers(stream(kinds()[kind], Alone(rank, size, said))))
    rounds = -(-len(whole) // size)
    assert [len(share) for share in shares] == [rounds] * size
    joint = [batch for turn in zip(*shares, strict=True) for batch in turn]
    assert joint == whole + [None] * (rounds * size - len(whole))


@pytest.mark.parametrize("skip", [1, 2])
@pytest.mark.parametrize("kind", ["list", "global", "generator", "iterable"])
def test_the_rest_of_a_share_is_its_end(kind, skip):
    for rank in range(2):
        runs = []
        for start in (0, skip):
            torch.manual_seed(8)
            said = [[[i, i + 1] for i in range(0, 10, 2)]] if rank else []
            runs.append(numbers(stream(kinds()[kind], Alone(rank, 2, said), start)))
        assert runs[1] == runs[0][skip:]


def test_workers_of_each_rank_draw_other_random_numbers():
    class Noise(TensorDataset):
        def __getitem__(self, index):
            return torch.rand(())

    data = Noise(torch.arange(8))
    draws = []
    for rank in range(2):
        torch.manual_seed(8)
        loader = DataLoader(data, 2, num_workers=1)
        said = [[[0, 1], [2, 3], [4, 5], [6, 7]]]
        draws.append(torch.cat(list(stream(loader, Alone(rank, 2, said)))).tolist())
    assert not set(draws[0]) & set(draws[1])


def test_a_loader_that_shares_out_itself_is_an_error():
    data = TensorDataset(torch.arange(8))
    loader = DataLoader(data, 2, sampler=DistributedSampler(data, 2, 0))
    with pytest.raises(ValueError, match="without DistributedSampler: fit shares out"):
        stream(loader)


# --- small helpers ---


def test_the_epoch_is_told_to_all_who_want_to_know():
    class Wants(list):
        epoch = None

        def set_epoch(self, epoch):
            self.epoch = epoch

    loader, sampler = Wants([1, 2]), Wants([0])
    set_epoch(loader, 3)
    assert loader.epoch == 3
    set_epoch(DataLoader(loader, sampler=sampler), 4)
    assert sampler.epoch == 4
    set_epoch([1, 2], 5)


def test_generators_are_found_each_once():
    first, second = torch.Generator(), torch.Generator()
    data = TensorDataset(torch.arange(8))
    loader = DataLoader(data, 2, shuffle=True, generator=first)
    sampler = BatchSampler(RandomSampler(data, generator=second), 2, False)
    own = DataLoader(data, sampler=RandomSampler(data, generator=second), generator=first)
    assert generators_of(loader, None, [1], own) == [first, second]
    sampler.generator = second
    assert generators_of(DataLoader(data, batch_sampler=sampler)) == [second]


def test_moving_keeps_the_structure():
    batch = {"a": (torch.zeros(2), [torch.ones(3)]), "b": "text", "c": 5}
    moved = move(batch, "meta")
    assert moved.keys() == batch.keys()
    assert isinstance(moved["a"], tuple)
    assert moved["a"][0].device.type == moved["a"][1][0].device.type == "meta"
    assert (moved["b"], moved["c"]) == ("text", 5)
    assert batch["a"][0].device.type == "cpu"


def test_the_size_of_a_batch_is_that_of_its_first_tensor():
    x = torch.zeros(3, 5)
    for batch in (x, (x, x[0]), [[x], 7], {"a": x, "b": x[0]}, {"a": (x, 1)}):
        assert batch_size(batch) == 3
