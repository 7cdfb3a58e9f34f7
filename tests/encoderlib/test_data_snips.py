"""encoderlib.data.snips: slots stand where the files say, tags follow the slots."""

import json
import re

import pytest
import torch

from encoderlib.data import SNIPS_INTENTS, DataError, bio_tags, load_snips, snips


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("ENCODERLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def utterance(*pieces):
    return {
        "data": [
            {"text": p} if isinstance(p, str) else dict(zip(("text", "entity"), p, strict=True))
            for p in pieces
        ]
    }


def content(intent, part):
    """One utterance more of each intent than of the one before; two fewer to test."""
    count = 3 + SNIPS_INTENTS.index(intent) - 2 * (part == "validate")
    return [
        utterance("play ", (f"song {i}", "track"), " by ", ("Björk", "artist"), "!")
        for i in range(count)
    ]


@pytest.fixture
def folder(tmp_path):
    for intent in SNIPS_INTENTS:
        (tmp_path / "snips" / intent).mkdir(parents=True)
        for part, ending in (("train", "_full"), ("validate", "")):
            (tmp_path / "snips" / intent / f"{part}_{intent}{ending}.json").write_text(
                json.dumps({intent: content(intent, part)}, ensure_ascii=False), encoding="utf-8"
            )
    return tmp_path / "snips"


def test_texts_slots_and_intents_are_those_of_the_files(tmp_path, folder):
    loaded = load_snips(tmp_path, verify=False)
    assert loaded.train.intents.bincount().tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert loaded.test.intents.bincount().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert loaded.train.intents.dtype == torch.int64
    assert loaded.train.texts[:4] == [
        "play song 0 by Björk!",
        "play song 1 by Björk!",
        "play song 2 by Björk!",
        "play song 0 by Björk!",
    ]
    assert loaded.train.slots[2] == [(5, 11, "track"), (15, 20, "artist")]
    for part in (loaded.train, loaded.test):
        assert len(part.texts) == len(part.slots) == len(part.intents)
        for text, slots in zip(part.texts, part.slots, strict=True):
            assert [re.sub(r"\d", "i", text[a:b]) for a, b, _ in slots] == ["song i", "Björk"]


def test_surrogates_of_three_bytes_are_put_together(tmp_path, folder):
    path = folder / "PlayMusic" / "train_PlayMusic_full.json"
    text = json.dumps({"PlayMusic": [utterance("é X!")]}, ensure_ascii=False)
    path.write_bytes(text.encode().replace(b"X", b"\xed\xa0\xbc\xed\xbd\x95"))
    loaded = load_snips(tmp_path, verify=False)
    assert loaded.train.texts[12] == "é 🍕!"
    assert loaded.train.slots[12] == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"GetWeather": [{"data": [{"text": "ra\xe4"}]}]}', "expected UTF-8 text"),
        (b'{"GetWeather": [{"data": [{"text": "\xed\xa0\xbc"}]}]}', "expected UTF-8 text"),
        (b'{"GetWeather": [{"data": [{"text": "rain', "expected JSON"),
        (b'{"RateBook": []}', r"utterances of GetWeather .*KeyError\('GetWeather'\)"),
        (b'{"GetWeather": [{"data": [{"entity": "x"}]}]}', r"KeyError\('text'\)"),
        (b'{"GetWeather": [[]]}', "TypeError"),
        (b"[]", "TypeError"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, folder, data, message):
    (folder / "GetWeather" / "validate_GetWeather.json").write_bytes(data)
    with pytest.raises(DataError, match=f"validate_GetWeather.json: .*{message}"):
        load_snips(tmp_path, verify=False)


def test_files_that_are_not_the_official_ones_are_refused(tmp_path, folder):
    with pytest.raises(DataError, match=r"train_AddToPlaylist_full.json: expected sha256"):
        load_snips(tmp_path)


def test_each_official_file_has_an_address_and_a_hash(monkeypatch, tmp_path, folder):
    asked = []

    def note(file, root, download, verify):
        asked.append(file)
        return folder / file.name

    monkeypatch.setattr(snips, "find_file", note)
    load_snips(tmp_path, download=True)
    assert len({file.sha256 for file in asked}) == len(asked) == 14
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in asked)
    assert all(file.url.endswith(file.name) for file in asked)
    assert {file.folder for file in asked} == {"snips"}
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(FileNotFoundError, match="snips/AddToPlaylist/train_AddToPlaylist_full"):
        load_snips(tmp_path / "empty")


# tags


def test_tags_begin_go_on_and_end():
    text = "put  the selektor? on my list"
    words, tags = bio_tags(text, [(5, 17, "playlist"), (22, 24, "owner")])
    assert words == ["put", "the", "selektor", "?", "on", "my", "list"]
    assert tags == ["O", "B-playlist", "I-playlist", "O", "O", "B-owner", "O"]


def test_neighbouring_slots_stay_apart():
    assert bio_tags("a b c", [(0, 1, "x"), (2, 3, "x"), (3, 5, "y")]) == (
        ["a", "b", "c"],
        ["B-x", "B-x", "B-y"],
    )


def test_no_slots_no_words_and_blank_slots():
    assert bio_tags("how are you", []) == (["how", "are", "you"], ["O"] * 3)
    assert bio_tags("", []) == ([], [])
    assert bio_tags("a  b", [(1, 3, "x")]) == (["a", "b"], ["O", "O"])
    assert bio_tags("all of it", [(0, 9, "x")])[1] == ["B-x", "I-x", "I-x"]


def test_tags_agree_with_a_walk_over_the_characters(tmp_path, folder):
    """The slower definition: each character knows its slot; words are runs without a change."""
    part = load_snips(tmp_path, verify=False).train
    for text, slots in zip(part.texts, part.slots, strict=True):
        owner = [
            next((i for i, (a, b, _) in enumerate(slots) if a <= c < b), None)
            for c in range(len(text))
        ]
        expected, previous = [], None
        for c, character in enumerate(text):
            if character.isspace():
                continue
            begins = c == 0 or text[c - 1].isspace() or owner[c] != owner[c - 1]
            if not begins:
                expected[-1][0] += character
                continue
            slot = owner[c]
            tag = "O" if slot is None else f"{'I' if slot == previous else 'B'}-{slots[slot][2]}"
            expected.append([character, tag])
            previous = slot
        words, tags = bio_tags(text, slots)
        assert [[w, t] for w, t in zip(words, tags, strict=True)] == expected


@pytest.mark.parametrize(
    "slots",
    [[(2, 2, "x")], [(3, 2, "x")], [(0, 9, "x")], [(-1, 2, "x")], [(0, 3, "y"), (2, 4, "x")]],
)
def test_slots_that_make_no_sense_are_refused(slots):
    with pytest.raises(ValueError, match=r"slot x at -?\d..\d must lie in \d..8: slots are sorted"):
        bio_tags("abcdefgh", slots)
