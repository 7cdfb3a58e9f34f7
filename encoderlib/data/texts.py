"""Labelled texts (AG News, ChnSentiCorp, chapter 12) and a long one (Shakespeare, chapter 11)."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from encoderlib.data.download import DataError, DataFile, find_file
from encoderlib.data.formats import read_csv, read_text, read_tsv

__all__ = [
    "LabelledTexts",
    "TextSet",
    "drop_leaked",
    "load_ag_news",
    "load_chnsenticorp",
    "load_tiny_shakespeare",
]

AG_NEWS_CLASSES = ("World", "Sports", "Business", "Sci/Tech")
AG_NEWS_BASE = (
    "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/"
    "555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv/"
)
# train.csv: the checksum in Hugging Face's dataset_infos.json, whose test.csv is the one below.
AG_NEWS = {
    "train.csv": "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
    "test.csv": "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
}
AG_NEWS_SAMPLE = DataFile(
    "ag_news_csv",
    "train_20k.csv",
    None,
    "f2ebb03def8a7dc71f3a09a5b88d9646b6bd780be7920e366cd5301b3a73e719",
)
CHNSENTICORP_BASE = "https://raw.githubusercontent.com/pengming617/bert_classification/master/data/"
CHNSENTICORP = {
    "train.tsv": "0b2653c23e5c79f539472e90cb10522f0ada4b80d3da95572d8b48fda47d5b33",
    "dev.tsv": "d129e443eac08ce7643013dad496a8edf282be39cac1a4f2ad080818b296b331",
    "test.tsv": "34f9d71eba6096cd8689e18913d28cf9a5f3c18a6c2804cd13304a321738c4bc",
}
TINY_SHAKESPEARE = DataFile(
    "tinyshakespeare",
    "input.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/"
    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)


class LabelledTexts(NamedTuple):
    """Texts and their classes.

    Args:
        texts: B strings.
        labels: ``(B,)``, int64, an index into the set's ``classes``.
    """

    texts: list[str]
    labels: Int[Tensor, " B"]


@dataclasses.dataclass(frozen=True)
class TextSet:
    """The official parts of a set of labelled texts.

    Args:
        train: what may be learned from.
        test: what the model is judged on.
        classes: the names of the labels.
        validation: what a model is chosen by; None where the set has no such part.
    """

    train: LabelledTexts
    test: LabelledTexts
    classes: tuple[str, ...]
    validation: LabelledTexts | None = None


def load_ag_news(
    root: str | Path | None = None,
    *,
    sample: bool = False,
    download: bool = False,
    verify: bool = True,
) -> TextSet:
    r"""AG News: 120,000 + 7,600 news items of four topics, balanced.

    Two files in the folder ``ag_news_csv``, 31.3 MB. A text is title, a space, description, as
    in Hugging Face's ``ag_news``; the backslashes that stand for line breaks and the pieces of
    HTML (``#39;``) are left as they are. The file is in no useful order: shuffle.

    With ``sample=True`` the training part is ``train_20k.csv``: 20,000 official training rows,
    5,000 a topic, sorted by topic. It is not an official file and has no address; TF-IDF with
    logistic regression trained on it reaches 90.3 % on the test part.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        sample: read ``train_20k.csv`` instead of ``train.csv``.
        download: fetch what is missing.
        verify: compare sha256; False for files of your own in the same format.

    Raises:
        FileNotFoundError: if a file is nowhere and is not, or cannot be, downloaded.
        ConnectionError: if a file cannot be fetched.
        DataError: if a file is damaged: sha256, quotes, columns, labels, UTF-8.

    Licence: none formal, "for research purposes ... and any other non-commercial activity".
    Cite: Zhang, Zhao, LeCun 2015, "Character-level Convolutional Networks for Text
    Classification", arXiv:1509.01626.
    """
    official = {
        name: DataFile("ag_news_csv", name, AG_NEWS_BASE + name, sha256)
        for name, sha256 in AG_NEWS.items()
    }
    parts = []
    for file in (AG_NEWS_SAMPLE if sample else official["train.csv"], official["test.csv"]):
        path = find_file(file, root, download, verify)
        rows = read_csv(path, columns=3)
        labels = _labels(path, [row[0] for row in rows], ("1", "2", "3", "4"))
        parts.append(LabelledTexts([f"{row[1]} {row[2]}" for row in rows], labels))
    return TextSet(*parts, AG_NEWS_CLASSES)


def load_chnsenticorp(
    root: str | Path | None = None,
    *,
    drop_leaks: bool = False,
    download: bool = False,
    verify: bool = True,
) -> TextSet:
    """ChnSentiCorp: 9,600 + 1,200 + 1,200 Chinese reviews (hotels, laptops, books), two classes.

    Three files in the folder ``chnsenticorp``, 3.8 MB. Of the 1,200 test reviews 365 also stand,
    letter for letter, in the training or the validation part: report the score on the other 835
    too. TF-IDF with logistic regression reaches 92.8 % on all and 91.5 % on those.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        drop_leaks: leave out the test reviews that also stand elsewhere; see `drop_leaked`.
        download: fetch what is missing.
        verify: compare sha256; False for files of your own in the same format.

    Raises:
        FileNotFoundError: if a file is nowhere and ``download`` is False.
        ConnectionError: if a file cannot be fetched.
        DataError: if a file is damaged: sha256, header, columns, labels, UTF-8.

    Licence: none stated; research use by custom. The corpus is by Tan Songbo (ICT, Chinese
    Academy of Sciences), the split is the one of ERNIE and Chinese-BERT-wwm; the address is the
    copy that the latter cites. Cite: Tan, Zhang 2008, "An empirical study of sentiment analysis
    for Chinese documents".
    """
    parts = []
    for name, sha256 in CHNSENTICORP.items():
        file = DataFile("chnsenticorp", name, CHNSENTICORP_BASE + name, sha256)
        path = find_file(file, root, download, verify)
        rows = read_tsv(path, columns=2, header=("label", "text_a"))
        labels = _labels(path, [row[0] for row in rows], ("0", "1"))
        parts.append(LabelledTexts([row[1] for row in rows], labels))
    train, validation, test = parts
    if drop_leaks:
        test = drop_leaked(test, train, validation)
    return TextSet(train, test, ("negative", "positive"), validation)


def drop_leaked(part: LabelledTexts, *seen: LabelledTexts) -> LabelledTexts:
    """Leave out the texts of ``part`` that stand, letter for letter, in a part of ``seen``.

    A model that has read a test text in training is asked for its memory there. Texts that
    stand twice in ``part`` itself stay.
    """
    known = {text for other in seen for text in other.texts}
    keep = [i for i, text in enumerate(part.texts) if text not in known]
    return LabelledTexts([part.texts[i] for i in keep], part.labels[keep])


def load_tiny_shakespeare(
    root: str | Path | None = None, *, download: bool = False, verify: bool = True
) -> str:
    """Tiny Shakespeare: 1,115,394 characters of the plays, 65 different ones, for language models.

    One file, ``tinyshakespeare/input.txt``. There is no official split; the usual one is the
    first 90 % to train.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        download: fetch the file if it is missing.
        verify: compare sha256; False for a file of your own.

    Raises:
        FileNotFoundError: if the file is nowhere and ``download`` is False.
        ConnectionError: if it cannot be fetched.
        DataError: if it is damaged: sha256, UTF-8.

    Licence: the text is in the public domain. Cite: Karpathy 2015, "The Unreasonable
    Effectiveness of Recurrent Neural Networks".
    """
    return read_text(find_file(TINY_SHAKESPEARE, root, download, verify))


def _labels(path: Path, cells: list[str], names: tuple[str, ...]) -> Int[Tensor, " B"]:
    index = {name: label for label, name in enumerate(names)}
    for row, cell in enumerate(cells, start=1):
        if cell not in index:
            raise DataError(path, f"a label of {names}", f"{cell!r} in row {row}")
    return torch.tensor([index[cell] for cell in cells])
