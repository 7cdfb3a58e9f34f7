"""encoderlib.data.texts: AG News, ChnSentiCorp and tiny Shakespeare in their official formats."""

import csv
import re

import pytest
import torch

from encoderlib.data import (
    DataError,
    LabelledTexts,
    drop_leaked,
    load_ag_news,
    load_chnsenticorp,
    load_tiny_shakespeare,
    texts,
)


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("ENCODERLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


NEWS = {
    "train.csv": [("4", 'A "new" chip', r"It's fast,\cheap"), ("1", "Talks", "begin")],
    "train_20k.csv": [("2", "Match", "ends\nlate"), ("3", "Shares", ""), ("1", "é", "中")],
    "test.csv": [("3", "Oil", "falls")],
}


@pytest.fixture
def news(tmp_path):
    folder = tmp_path / "ag_news_csv"
    folder.mkdir()
    for name, rows in NEWS.items():
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return folder


def test_ag_news_joins_title_and_description(tmp_path, news):
    loaded = load_ag_news(tmp_path, verify=False)
    assert loaded.train.texts == [r'A "new" chip It' r"'s fast,\cheap", "Talks begin"]
    assert loaded.train.labels.tolist() == [3, 0]
    assert loaded.test.texts == ["Oil falls"]
    assert loaded.test.labels.tolist() == [2]
    assert loaded.test.labels.dtype == torch.int64
    assert [loaded.classes[label] for label in loaded.train.labels] == ["Sci/Tech", "World"]
    assert loaded.validation is None


def test_ag_news_sample_is_another_file_with_the_same_test(tmp_path, news):
    loaded = load_ag_news(tmp_path, sample=True, verify=False)
    assert loaded.train.texts == ["Match ends\nlate", "Shares ", "é 中"]
    assert loaded.train.labels.tolist() == [1, 2, 0]
    assert loaded.test.texts == ["Oil falls"]
    (news / "train_20k.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"ag_news_csv/train_20k.csv was"):
        load_ag_news(tmp_path, sample=True, verify=False, download=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"3","Oil"\n', "expected 3 columns, got 2 in line 1"),
        (b'"3","Oil","falls\n', "expected quoted fields"),
        (b'"5","Oil","falls"\n', "expected a label of .*, got '5' in row 1"),
        (b'"1","Oil","falls"\n"0","Oil","falls"\n', ".*got '0' in row 2"),
        (b'"3","Oil","f\xe4lls"\n', "expected UTF-8 text, got byte 0xe4 at position 12"),
        (b"", "expected rows, got an empty file"),
    ],
)
def test_a_broken_ag_news_is_refused(tmp_path, news, content, message):
    (news / "test.csv").write_bytes(content)
    with pytest.raises(DataError, match=f"test.csv: {message}"):
        load_ag_news(tmp_path, verify=False)


REVIEWS = {
    "train": [("1", '房间"干净'), ("0", "太吵"), ("1", "很好"), ("1", "很好")],
    "dev": [("0", "书页破了"), ("1", "好 ")],
    "test": [("1", "好"), ("1", "很好"), ("0", "不好"), ("0", "书页破了"), ("0", "不好")],
}


@pytest.fixture
def reviews(tmp_path):
    folder = tmp_path / "chnsenticorp"
    folder.mkdir()
    for part, rows in REVIEWS.items():
        lines = ["label\ttext_a", *("\t".join(row) for row in rows)]
        (folder / f"{part}.tsv").write_bytes("".join(f"{x}\n" for x in lines).encode())
    return folder


def test_chnsenticorp_parts_hold_what_was_written(tmp_path, reviews):
    loaded = load_chnsenticorp(tmp_path, verify=False)
    parts = {"train": loaded.train, "dev": loaded.validation, "test": loaded.test}
    for name, part in parts.items():
        assert part.texts == [text for _, text in REVIEWS[name]]
        assert part.labels.tolist() == [int(label) for label, _ in REVIEWS[name]]
    assert loaded.classes == ("negative", "positive")


def test_leaked_test_texts_can_be_left_out(tmp_path, reviews):
    loaded = load_chnsenticorp(tmp_path, drop_leaks=True, verify=False)
    assert loaded.test.texts == ["好", "不好", "不好"]  # in train: one, in dev: one
    assert loaded.test.labels.tolist() == [1, 0, 0]
    assert len(loaded.train.texts) == 4
    assert len(loaded.validation.texts) == 2


def test_drop_leaked_looks_into_each_part_it_is_given():
    part = LabelledTexts(["a", "b", "c", "b"], torch.tensor([0, 1, 0, 0]))
    seen = LabelledTexts(["b"], torch.tensor([0]))
    other = LabelledTexts(["c", "B"], torch.tensor([0, 1]))
    assert drop_leaked(part).texts == part.texts
    assert drop_leaked(part, seen).texts == ["a", "c"]
    kept = drop_leaked(part, seen, other)
    assert kept.texts == ["a"]
    assert kept.labels.tolist() == [0]
    nothing = drop_leaked(part, part)
    assert nothing.texts == []
    assert nothing.labels.shape == (0,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label\ttext_a\n1\t好\t坏\n", "expected 2 columns, got 3 in line 2"),
        ("text\tlabel\n1\t好\n", "expected the header"),
        ("label\ttext_a\n2\t好\n", "got '2' in row 1"),
        ("label\ttext_a\n1\t好", "a last line without one"),
    ],
)
def test_a_broken_chnsenticorp_is_refused(tmp_path, reviews, content, message):
    (reviews / "dev.tsv").write_bytes(content.encode())
    with pytest.raises(DataError, match=f"dev.tsv: .*{message}"):
        load_chnsenticorp(tmp_path, verify=False)


def test_tiny_shakespeare_is_one_string(tmp_path):
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_bytes(b"First Citizen:\nBefore")
    assert load_tiny_shakespeare(tmp_path, verify=False) == "First Citizen:\nBefore"
    with pytest.raises(DataError, match=r"input.txt: expected sha256"):
        load_tiny_shakespeare(tmp_path)


def test_files_that_are_not_the_official_ones_are_refused(tmp_path, news, reviews):
    for loader, name in (
        (load_ag_news, "train.csv"),
        (lambda root: load_ag_news(root, sample=True), "train_20k.csv"),
        (load_chnsenticorp, "train.tsv"),
    ):
        with pytest.raises(DataError, match=f"{name}: expected sha256"):
            loader(tmp_path)


def test_each_official_file_has_an_address_and_a_hash(monkeypatch, tmp_path):
    asked = []

    def note(url, path, sha256):
        asked.append((url, sha256))
        raise ConnectionError

    monkeypatch.setattr("encoderlib.data.download.fetch", note)
    for loader in (load_ag_news, load_chnsenticorp, load_tiny_shakespeare):
        with pytest.raises(FileNotFoundError, match="download=True"):
            loader(tmp_path)
        with pytest.raises(ConnectionError):
            loader(tmp_path, download=True)
    assert [url.rpartition("/")[2] for url, _ in asked] == ["train.csv", "train.tsv", "input.txt"]
    assert all(url.startswith("https://") for url, _ in asked)
    hashes = [*texts.AG_NEWS.values(), *texts.CHNSENTICORP.values()]
    hashes += [texts.AG_NEWS_SAMPLE.sha256, texts.TINY_SHAKESPEARE.sha256]
    assert len(set(hashes)) == 7
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes)
    assert [sha256 for _, sha256 in asked] == [hashes[0], hashes[2], hashes[-1]]
