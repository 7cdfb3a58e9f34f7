"""SNIPS: what a voice assistant is asked, with its intent and its slots (chapter 13)."""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from encoderlib.data.download import DataError, DataFile, find_file
from encoderlib.data.formats import read_bytes

__all__ = ["SNIPS_INTENTS", "Snips", "Utterances", "bio_tags", "load_snips"]

SNIPS_INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
BASE = (
    "https://raw.githubusercontent.com/sonos/nlu-benchmark/"
    "b86ac7f1577868c42158d0dec77db50956046696/2017-06-custom-intent-engines/"
)
# The training file and the validation file of each intent, in the order of SNIPS_INTENTS.
SHA256 = (
    (
        "fee1b4645352e70ed8a40f1f87c3b53fc3bf75f8ebc82252a22b82c107e75b01",
        "14cc9ee49ae477b1452632a6e835498cf4c32da397b16967c82abb3e50403e83",
    ),
    (
        "7677e82cd6e9a8191f0a4502568c786278c984900b4796d3628e46f1abf73ef4",
        "4f7258ccc768b777b2eb8916532db9aa50dbd058ddf1ffb0dc59218963e7442a",
    ),
    (
        "86f414b2ad8a993134d85d16e25e5d337beae47cef993c0af2a5f440405c60f6",
        "60c095e193655d6ca92be220fed3926ca25e18cd70c85664145efe25d80993af",
    ),
    (
        "901ddbe9781d1fdb8196e789c543f80df3d29ca6e237da64947905adcc0312e4",
        "922212775e26259d5bffeaf79b6048d070ca017d229df00b2cc9800f71c75d20",
    ),
    (
        "bb43e4b74134300d5766f6b420d0357a63402987a225f6dc92c806c9c040ce04",
        "c1f8b4114da0bb5e8afd78a8062766e18b2eabb0e717539598db01b09d04619b",
    ),
    (
        "87b3432de48c71c205aa5238b41d9e3f2d70bdfcd0bea2427544fb9e4bd5e5bb",
        "8a5e830eddb185d3e4a9d27ded140a145d04766bdce0e58834676ede32d13e77",
    ),
    (
        "5447e9440c02e2fb08c3ae16b9f58a4d1332b4bc77fd34691402b02aa4399765",
        "81e1445713e03c7c3e615353c5f3fee05f369fe9834100b9b9735900a96b9498",
    ),
)


class Utterances(NamedTuple):
    """What was said and what was meant.

    Args:
        texts: B strings.
        slots: for each text, ``(start, stop, name)``: ``text[start:stop]`` fills the slot.
        intents: ``(B,)``, int64, an index into `SNIPS_INTENTS`.
    """

    texts: list[str]
    slots: list[list[tuple[int, int, str]]]
    intents: Int[Tensor, " B"]


@dataclasses.dataclass(frozen=True)
class Snips:
    """The two parts of the benchmark.

    Args:
        train: the ``train_<intent>_full`` files.
        test: the ``validate_<intent>`` files.
    """

    train: Utterances
    test: Utterances


def load_snips(
    root: str | Path | None = None, *, download: bool = False, verify: bool = True
) -> Snips:
    """SNIPS: 13,784 + 700 utterances, seven intents, 39 kinds of slot.

    Fourteen files in the folder ``snips``, 4.7 MB, sorted by intent: shuffle. The benchmark has
    no third part: take the part to choose a model by from ``train``. (Papers on joint models
    use another split, of Goo et al. 2018.) Floors on the test part: intents 98.3 %, slots F1
    85.5 by a linear model of word windows.

    `bio_tags` turns the slots into one tag a word. ``train_PlayMusic_full.json`` is not quite
    UTF-8: one emoji stands as two surrogates of three bytes each (CESU-8). It is put together;
    decoding the file as Latin-1 instead would break its accented letters.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        download: fetch what is missing.
        verify: compare sha256; False for files of your own in the same format.

    Raises:
        FileNotFoundError: if a file is nowhere and ``download`` is False.
        ConnectionError: if a file cannot be fetched.
        DataError: if a file is damaged: sha256, JSON, layout, UTF-8.

    Licence: CC0 1.0. Cite: Coucke et al. 2018, "Snips Voice Platform", arXiv:1805.10190.
    """
    names = ("train_{}_full.json", "validate_{}.json")
    train, test = (
        _join(
            [
                _read_intent(intent, name.format(intent), digest[part], root, download, verify)
                for intent, digest in zip(SNIPS_INTENTS, SHA256, strict=True)
            ]
        )
        for part, name in enumerate(names)
    )
    return Snips(train, test)


def bio_tags(text: str, slots: list[tuple[int, int, str]]) -> tuple[list[str], list[str]]:
    """Cut a text into words and tag each: ``B-slot`` first, ``I-slot`` on, ``O`` outside.

    A word ends at white space and at the edge of a slot, so that no word is half in a slot:
    ``the selektor?`` is three words if the slot ends before the question mark.

    Args:
        text: the utterance.
        slots: ``(start, stop, name)``, in order and apart from each other.

    Returns:
        The words and as many tags.

    Raises:
        ValueError: if a slot is empty, leaves the text, or overlaps the one before.
    """
    words, tags, done = [], [], 0
    for start, stop, name in slots:
        if not done <= start < stop <= len(text):
            raise ValueError(
                f"slot {name} at {start}..{stop} must lie in {done}..{len(text)}: slots are "
                "sorted, not empty and do not overlap"
            )
        outside, inside = text[done:start].split(), text[start:stop].split()
        words += outside + inside
        tags += ["O"] * len(outside) + [f"B-{name}"] * bool(inside)
        tags += [f"I-{name}"] * (len(inside) - 1)
        done = stop
    rest = text[done:].split()
    return words + rest, tags + ["O"] * len(rest)


def _join(parts: list[tuple[list[str], list[list[tuple[int, int, str]]]]]) -> Utterances:
    counts = torch.tensor([len(texts) for texts, _ in parts])
    return Utterances(
        [text for texts, _ in parts for text in texts],
        [slots for _, all_slots in parts for slots in all_slots],
        torch.arange(len(parts)).repeat_interleave(counts),  # (B,)
    )


def _read_intent(intent, name, sha256, root, download, verify):
    """Texts and slots of one file: ``{intent: [{"data": [{"text": .., "entity": ..}, ..]}, ..]}``.

    A piece without "entity" lies outside of all slots.
    """
    path = find_file(
        DataFile("snips", f"{intent}/{name}", f"{BASE}{intent}/{name}", sha256),
        root,
        download,
        verify,
    )
    try:
        raw = read_bytes(path).decode("utf-8", "surrogatepass")
        content = json.loads(raw.encode("utf-16", "surrogatepass").decode("utf-16"))
    except UnicodeDecodeError as error:
        raise DataError(path, "UTF-8 text", str(error)) from error
    except json.JSONDecodeError as error:
        raise DataError(path, "JSON", str(error)) from error
    texts, slots = [], []
    try:
        for utterance in content[intent]:
            position, found, pieces = 0, [], []
            for piece in utterance["data"]:
                pieces.append(piece["text"])
                end = position + len(piece["text"])
                if "entity" in piece:
                    found.append((position, end, piece["entity"]))
                position = end
            texts.append("".join(pieces))
            slots.append(found)
    except (KeyError, TypeError) as error:
        raise DataError(
            path, f"utterances of {intent} as lists of text pieces", repr(error)
        ) from error
    return texts, slots
