"""Sentences and their translations: Multi30k en-de and Tatoeba en-zh (chapter 10)."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from encoderlib.data.download import DataError, DataFile, find_file
from encoderlib.data.formats import read_lines, read_tsv

__all__ = [
    "AttributedPairs",
    "SentencePairs",
    "TranslationSet",
    "load_multi30k",
    "load_tatoeba",
]

MULTI30K_BASE = (
    "https://raw.githubusercontent.com/multi30k/dataset/"
    "a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"
)
MULTI30K = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2017_flickr.en.gz": "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074",
    "test_2017_flickr.de.gz": "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee",
    "test_2017_mscoco.en.gz": "aab300bfb4427697987e02cd0aacd44bfe8aa50456231b6474c08038bbed2b58",
    "test_2017_mscoco.de.gz": "799e4854c25d601cb6cb6be29eabe5667734c61ace2f495e03e429031a0bc338",
}
MULTI30K_TESTS = ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")
TATOEBA_ZIP = DataFile("cmn-eng", "cmn-eng.zip", "https://www.manythings.org/anki/cmn-eng.zip")
TATOEBA_TXT = DataFile("cmn-eng", "cmn.txt")


class SentencePairs(NamedTuple):
    """Sentences in two languages; ``target[i]`` translates ``source[i]``.

    Args:
        source: B sentences.
        target: B sentences.
    """

    source: list[str]
    target: list[str]


class AttributedPairs(NamedTuple):
    """Sentences in two languages and who wrote them.

    Args:
        source: B sentences.
        target: B sentences.
        attribution: B licence lines; keep them with the sentences, the licence asks for it.
    """

    source: list[str]
    target: list[str]
    attribution: list[str]


@dataclasses.dataclass(frozen=True)
class TranslationSet:
    """The official parts of a translation corpus.

    Args:
        train: what may be learned from.
        validation: what a model is chosen by.
        test: what the model is judged on.
    """

    train: SentencePairs
    validation: SentencePairs
    test: SentencePairs


def load_multi30k(
    root: str | Path | None = None,
    *,
    source: str = "en",
    target: str = "de",
    test: str = "test_2016_flickr",
    download: bool = False,
    verify: bool = True,
) -> TranslationSet:
    """Multi30k, task 1, raw text: 29,000 + 1,014 + 1,000 captions of photographs.

    Six files in the folder ``multi30k``, 1.3 MB. Floor on ``test_2016_flickr``, en to de: 9.6
    BLEU by a translation memory (the translation of the nearest training sentence); small
    Transformers are published at 36 to 41.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        source: language to translate from, ``"en"`` or ``"de"``.
        target: language to translate into, the other one.
        test: ``"test_2016_flickr"``, or ``"test_2017_flickr"`` (1,000) or
            ``"test_2017_mscoco"`` (461, ambiguous verbs).
        download: fetch what is missing.
        verify: compare sha256; False for files of your own in the same format.

    Raises:
        ValueError: for another language or test part.
        FileNotFoundError: if a file is nowhere and ``download`` is False.
        ConnectionError: if a file cannot be fetched.
        DataError: if a file is damaged: sha256, gzip CRC, UTF-8, number of lines.

    Licence: no licence file; "solely provided for researchers and educators", non-commercial.
    Cite: Elliott, Frank, Sima'an, Specia 2016, "Multi30K: Multilingual English-German Image
    Descriptions"; for the 2017 parts Elliott et al. 2017.
    """
    if sorted((source, target)) != ["de", "en"]:
        raise ValueError(f"source={source!r}, target={target!r}: one must be 'en', the other 'de'")
    if test not in MULTI30K_TESTS:
        raise ValueError(f"test={test!r} must be one of {MULTI30K_TESTS}")
    parts = []
    for part in ("train", "val", test):
        sides = []
        for language in (source, target):
            name = f"{part}.{language}.gz"
            file = DataFile("multi30k", name, MULTI30K_BASE + name, MULTI30K[name])
            path = find_file(file, root, download, verify)
            sides.append(read_lines(path))
        if len(sides[0]) != len(sides[1]):
            raise DataError(
                path, f"{len(sides[0]):,} lines, as in {part}.{source}.gz", f"{len(sides[1]):,}"
            )
        parts.append(SentencePairs(*sides))
    return TranslationSet(*parts)


def load_tatoeba(
    root: str | Path | None = None, *, download: bool = False, verify: bool = True
) -> AttributedPairs:
    """Tatoeba, English to Chinese: about 29,000 short sentences, simplified and traditional.

    One file in the folder ``cmn-eng``: ``cmn.txt``, or ``cmn-eng.zip`` with it inside, as it is
    downloaded. The archive is renewed now and then, so **no sha256 can be known beforehand**:
    the one of the first download is written to ``cmn-eng.zip.sha256``, and later loads compare
    with it. A ``cmn.txt`` is compared only where a ``cmn.txt.sha256`` lies beside it.

    There is no official split, and one English sentence often has several translations: split
    by source sentence, or the test part holds sentences of the training part.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        download: fetch the archive if neither file is there.
        verify: compare with the recorded sha256, if there is one.

    Raises:
        FileNotFoundError: if neither file is anywhere and ``download`` is False.
        ConnectionError: if the archive cannot be fetched.
        DataError: if a file is damaged: recorded sha256, zip CRC, UTF-8, columns.

    Licence: CC BY 2.0 France, with names in the third column. Cite: the Tatoeba project,
    tatoeba.org; the file is by manythings.org/anki.
    """
    try:
        path = find_file(TATOEBA_TXT, root, verify=verify)
    except FileNotFoundError:
        path = find_file(TATOEBA_ZIP, root, download, verify)
    rows = read_tsv(path, columns=3, member="cmn.txt")
    return AttributedPairs(*(list(column) for column in zip(*rows, strict=True)))
