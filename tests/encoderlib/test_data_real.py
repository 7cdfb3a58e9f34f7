"""The official files, where they are at hand: sizes, balance, and what their notes say.

They are looked for in ``$ENCODERLIB_DATA``, else in ``shared/data`` beside the repository.
"""

import os
from pathlib import Path

import pytest

from encoderlib.data import (
    SNIPS_INTENTS,
    DataError,
    bio_tags,
    drop_leaked,
    load_ag_news,
    load_chnsenticorp,
    load_cifar10,
    load_fashion_mnist,
    load_mnist,
    load_multi30k,
    load_snips,
    load_tatoeba,
    load_tiny_shakespeare,
)

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
FOLDER = Path(os.environ.get("ENCODERLIB_DATA") or BESIDE)


@pytest.fixture(autouse=True)
def only_that_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ENCODERLIB_DATA", str(FOLDER))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def load(loader, **options):
    """The set with its sha256 compared, or a skip that says which file is not there."""
    try:
        return loader(**options)
    except FileNotFoundError as missing:
        pytest.skip(f"no official files: {str(missing).partition(';')[0]}")


def check_images(loaded, train: int, test: int, shape: tuple[int, ...]):
    for part, n in ((loaded.train, train), (loaded.test, test)):
        assert part.images.shape == (n, *shape)
        assert part.labels.bincount(minlength=10).tolist() == [n // 10] * 10
        assert (part.images.amin(), part.images.amax()) == (0, 255)


def test_fashion_mnist():
    loaded = load(load_fashion_mnist)
    check_images(loaded, 60000, 10000, (1, 28, 28))
    assert loaded.classes[loaded.test.labels[0]] == "ankle boot"  # as every tutorial shows it
    # Trousers are narrow and pullovers are wide: labels belong to these images.
    width = (loaded.test.images[:, 0].float().mean(dim=1) > 20).sum(dim=1).float()
    means = [
        width[loaded.test.labels == loaded.classes.index(c)].mean() for c in ("trouser", "pullover")
    ]
    assert means[0] < 15 < 18 < means[1]


def test_mnist():
    loaded = load(load_mnist)
    assert loaded.train.images.shape == (60000, 1, 28, 28)
    assert loaded.test.images.shape == (10000, 1, 28, 28)
    assert set(loaded.test.labels.tolist()) == set(range(10))


def test_cifar10():
    check_images(load(load_cifar10), 50000, 10000, (3, 32, 32))


def test_ag_news_official():
    loaded = load(load_ag_news)
    assert loaded.train.labels.bincount().tolist() == [30000] * 4
    assert loaded.test.labels.bincount().tolist() == [1900] * 4


def test_ag_news_sample():
    loaded = load(load_ag_news, sample=True)
    assert loaded.train.labels.bincount().tolist() == [5000] * 4
    assert loaded.test.labels.bincount().tolist() == [1900] * 4
    assert loaded.test.texts[0].startswith("Fears for T N pension after talks Unions representing")
    assert loaded.classes[loaded.test.labels[0]] == "Business"
    assert len(drop_leaked(loaded.test, loaded.train).texts) == 7600


def test_chnsenticorp_and_its_leak():
    loaded = load(load_chnsenticorp)
    sizes = [len(part.texts) for part in (loaded.train, loaded.validation, loaded.test)]
    assert sizes == [9600, 1200, 1200]
    assert loaded.test.labels.bincount().tolist() == [592, 608]
    clean = load(load_chnsenticorp, drop_leaks=True).test
    assert len(clean.texts) == 1200 - 365
    assert len(drop_leaked(loaded.test, loaded.train).texts) == 1200 - 331
    assert set(clean.texts).isdisjoint(loaded.train.texts + loaded.validation.texts)


def test_snips():
    loaded = load(load_snips)
    counts = [1942, 1973, 2000, 2000, 1956, 1954, 1959]
    assert loaded.train.intents.bincount().tolist() == counts
    assert loaded.test.intents.bincount().tolist() == [100] * len(SNIPS_INTENTS)
    names = set()
    for part in (loaded.train, loaded.test):
        for text, slots in zip(part.texts, part.slots, strict=True):
            words, tags = bio_tags(text, slots)
            assert "".join(words) == "".join(text.split())
            assert sum(tag.startswith("B-") for tag in tags) == len(slots)
            names |= {name for _, _, name in slots}
    assert len(names) == 39
    assert any("🍕" in text for text in loaded.train.texts)
    assert not any("Ã" in text for text in loaded.train.texts)  # UTF-8 read as Latin-1


@pytest.mark.parametrize(
    ("test", "n"),
    [("test_2016_flickr", 1000), ("test_2017_flickr", 1000), ("test_2017_mscoco", 461)],
)
def test_multi30k(test, n):
    loaded = load(load_multi30k, test=test)
    for pairs, size in ((loaded.train, 29000), (loaded.validation, 1014), (loaded.test, n)):
        assert len(pairs.source) == len(pairs.target) == size
        assert all(line.strip() for line in pairs.source + pairs.target)
    assert " the " in " ".join(loaded.test.source)
    assert " der " in " ".join(loaded.test.target)


def test_tatoeba():
    pairs = load(load_tatoeba)
    assert len(pairs.source) == len(pairs.target) == len(pairs.attribution) > 20000
    assert all(line.startswith("CC-BY 2.0") for line in pairs.attribution)
    assert "".join(pairs.source[:500]).isascii()
    assert sum(any("\u4e00" <= c <= "\u9fff" for c in line) for line in pairs.target) > 20000


def test_tiny_shakespeare():
    text = load(load_tiny_shakespeare)
    assert (len(text), len(set(text))) == (1115394, 65)
    assert text.startswith("First Citizen:\n")


def test_one_changed_byte_in_an_official_file_is_seen(tmp_path):
    """The sha256 sees what the format cannot: another letter in a text."""
    text = load(load_tiny_shakespeare)
    path = tmp_path / "root" / "tinyshakespeare" / "input.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())
    assert load_tiny_shakespeare(tmp_path / "root") == text
    path.write_bytes(text.replace("Citizen", "Citisen", 1).encode())
    with pytest.raises(DataError, match="sha256"):
        load_tiny_shakespeare(tmp_path / "root")
