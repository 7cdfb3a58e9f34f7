"""Small files in the official formats, to run the experiments' code on without the real sets."""

import gzip
import json
import random
import struct
from pathlib import Path

from encoderlib.data import SNIPS_INTENTS

WORDS = {
    0: "market shares profit bank oil price trade deal",
    1: "match goal team coach cup season win race",
    2: "minister vote war peace treaty border talks law",
    3: "software chip web phone data robot space code",
}
GOOD, BAD = ["很好", "干净", "满意", "舒服"], ["很差", "太脏", "失望", "吵闹"]


def write_all(folder: Path) -> None:
    """Every experiment's files below ``folder``, as in $ENCODERLIB_DATA."""
    write_ag_news(folder / "ag_news_csv")
    write_chnsenticorp(folder / "chnsenticorp")
    write_snips(folder / "snips")
    write_fashion_mnist(folder / "fashion-mnist")
    write_multi30k(folder / "multi30k")


def write_ag_news(folder: Path, rows: int = 40) -> None:
    """``class,title,description`` in quotes; the words tell the class."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    for name in ("train_20k.csv", "test.csv"):
        lines = []
        for i in range(rows):
            words = [draw.choice(WORDS[i % 4].split()) for _ in range(6)]
            lines.append(f'"{i % 4 + 1}","{words[0]} {words[1]}","{" ".join(words[2:])}"\n')
        (folder / name).write_text("".join(lines), encoding="utf-8")


def write_chnsenticorp(folder: Path, rows: int = 24) -> None:
    """``label<tab>text`` with a header; the test part repeats one training review."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    leak = ""
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        lines = ["label\ttext_a\n"]
        for i in range(rows):
            text = f"房间{i}{name[0]}" + "，".join(draw.choices(GOOD if i % 2 else BAD, k=3))
            lines.append(f"{i % 2}\t{text}\n")
        leak = leak or lines[1]
        lines[1] = leak if name == "test.tsv" else lines[1]
        (folder / name).write_text("".join(lines), encoding="utf-8")


def write_snips(folder: Path, rows: int = 8) -> None:
    """One JSON file an intent and part, utterances as pieces of text."""
    for number, intent in enumerate(SNIPS_INTENTS):
        (folder / intent).mkdir(parents=True)
        data = [
            [
                {"text": f"please {intent} the "},
                {"text": f"name {'abc'[i % 3]}", "entity": f"slot{number % 2}"},
                {"text": " now"},
            ]
            for i in range(rows)
        ]
        text = json.dumps({intent: [{"data": pieces} for pieces in data]})
        for name in (f"train_{intent}_full.json", f"validate_{intent}.json"):
            (folder / intent / name).write_text(text, encoding="utf-8")


def write_fashion_mnist(folder: Path, images: int = 40) -> None:
    """IDX files of 28 by 28 pixels; a bright row tells the class."""
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        labels = bytes(i % 10 for i in range(images))
        pixels = b"".join(
            bytes(200 if row // 2 == label else 10 for row in range(28) for _ in range(28))
            for label in labels
        )
        header = struct.pack(">IIII", 0x803, images, 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pixels))
        header = struct.pack(">II", 0x801, images)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + labels))


def write_multi30k(folder: Path, lines: int = 24) -> None:
    """Parallel lines, gzipped."""
    folder.mkdir(parents=True)
    sides = {
        "en": ("A man", "A dog", "runs", "sleeps", "in the park."),
        "de": ("Ein Mann", "Ein Hund", "läuft", "schläft", "im Park."),
    }
    for part in ("train", "val", "test_2016_flickr", "test_2017_flickr"):
        for language, (one, two, run, sleep, where) in sides.items():
            text = "".join(
                f"{(one, two)[i % 2]} {(run, sleep)[i // 2 % 2]} {where}\n" for i in range(lines)
            )
            (folder / f"{part}.{language}.gz").write_bytes(gzip.compress(text.encode()))
