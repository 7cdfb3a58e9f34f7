"""encoderlib.data.formats: what is whole is read exactly, what is not is refused by name."""

import csv
import gzip
import io
import random
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from encoderlib.data.download import DataError
from encoderlib.data.formats import (
    read_bytes,
    read_csv,
    read_idx,
    read_lines,
    read_tar,
    read_text,
    read_tsv,
)

TEXT = "Zwei Männer stehen am Herd.\n两个男人站在炉边。\n"


def idx(array: np.ndarray) -> bytes:
    """The official layout, written by struct."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def flipped(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 0x10
    return bytes(changed)


def fails(reader, path, expected: str, got: str, *arguments, **options) -> None:
    """The reader refuses the file; the message names file, expected and got."""
    with pytest.raises(DataError) as info:
        reader(path, *arguments, **options)
    assert str(path) in str(info.value)
    assert expected in info.value.expected
    assert got in info.value.got
    assert f"expected {info.value.expected}, got {info.value.got}" in str(info.value)


# bytes and text


def test_gz_and_plain_files_give_the_same_bytes(tmp_path):
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert read_bytes(tmp_path / "a.txt") == read_bytes(str(tmp_path / "a.txt.gz"))
    assert read_text(tmp_path / "a.txt.gz") == TEXT


def test_a_gz_damaged_anywhere_is_refused(tmp_path):
    data = np.random.default_rng(0).integers(0, 9, 500, dtype=np.uint8).tobytes()
    good = gzip.compress(data, mtime=0)
    path = tmp_path / "a.gz"
    passed, messages = [], []
    for position in [*range(2), *range(10, len(good))]:  # the rest of the head is time and system
        path.write_bytes(flipped(good, position))
        try:
            passed.append(read_bytes(path))
        except DataError as error:
            messages.append(str(error))
    expected = f"{path}: expected a whole gzip file, got {len(good):,} bytes: "
    assert all(message.startswith(expected) for message in messages)
    assert len(passed) <= 2  # a bit that says nothing, such as an unused code
    assert all(content == data for content in passed)
    for length in (1, 5, 12, len(good) // 2, len(good) - 9, len(good) - 8, len(good) - 1):
        path.write_bytes(good[:length])
        fails(read_bytes, path, "a whole gzip file", f"{length:,} bytes: ")
    path.write_bytes(b"<html>404</html>")
    fails(read_bytes, path, "a whole gzip file", "16 bytes: Not a gzipped file")


def test_text_that_is_not_utf8_says_where(tmp_path):
    (tmp_path / "a.txt").write_bytes("Männer".encode("latin-1"))
    fails(read_text, tmp_path / "a.txt", "UTF-8 text", "byte 0xe4 at position 1")


def test_only_line_feeds_end_a_line(tmp_path):
    (tmp_path / "a.txt").write_bytes("a b\r\n\nc\x85\u2028\x0b\x0c\r d\n".encode())
    assert read_lines(tmp_path / "a.txt") == ["a b", "", "c\x85\u2028\x0b\x0c\r d"]


@pytest.mark.parametrize("content", ["", "a", "a\nb"])
def test_lines_that_were_cut_are_refused(tmp_path, content):
    (tmp_path / "a.txt").write_text(content)
    fails(read_lines, tmp_path / "a.txt", "end in a line feed", "a last line without one")


# tables


def test_csv_agrees_with_what_the_csv_module_writes(tmp_path):
    random.seed(3)
    rows = [
        ["".join(random.choices('ab", \r\n\\', k=random.randrange(9))) for _ in range(3)]
        for _ in range(50)
    ]
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    assert read_csv(tmp_path / "a.csv", 3) == rows


@pytest.mark.parametrize(
    ("content", "expected", "got"),
    [
        ('"1","a","b"\n"2","a"\n', "3 columns", "2 in line 2"),
        ('"1","a","b","c"\n', "3 columns", "4 in line 1"),
        ('"1","a","b"\n\n', "3 columns", "0 in line 2"),
        ('"1","a","b"\n"2","a","b\n', "quoted fields", "unexpected end of data, line 2"),
        ('"1","a"x,"b"\n', "quoted fields", "line 1"),
        ("", "rows", "an empty file"),
    ],
)
def test_a_broken_csv_is_refused(tmp_path, content, expected, got):
    (tmp_path / "a.csv").write_text(content)
    fails(read_csv, tmp_path / "a.csv", expected, got, 3)


def test_tsv_takes_quotes_as_they_are(tmp_path):
    (tmp_path / "a.tsv").write_text('label\ttext_a\n1\t"good\n0\tb""\n')
    rows = [["1", '"good'], ["0", 'b""']]
    assert read_tsv(tmp_path / "a.tsv", 2, ("label", "text_a")) == rows
    assert read_tsv(tmp_path / "a.tsv", 2) == [["label", "text_a"], *rows]


@pytest.mark.parametrize(
    ("content", "expected", "got"),
    [
        ("label\ttext_a\n1\ta\tb\n", "2 columns", "3 in line 2"),
        ("label\ttext_a\n1\n", "2 columns", "1 in line 2"),
        ("text_a\tlabel\n1\ta\n", "the header ('label', 'text_a')", r"'text_a\tlabel'"),
        ("label\ttext_a\n1\ta", "end in a line feed", "a last line without one"),
    ],
)
def test_a_broken_tsv_is_refused(tmp_path, content, expected, got):
    (tmp_path / "a.tsv").write_text(content)
    fails(read_tsv, tmp_path / "a.tsv", expected, got, 2, ("label", "text_a"))


# idx


@pytest.mark.parametrize("shape", [(7,), (5, 3, 2), (2, 2, 2), (0,)])
@pytest.mark.parametrize("ending", [".gz", ""])
def test_idx_gives_the_array_back(tmp_path, shape, ending):
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    data = idx(array)
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(data) if ending else data)
    tensor = read_idx(path, len(shape))
    assert tensor.dtype == torch.uint8
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_a_broken_idx_is_refused(tmp_path):
    path, good = tmp_path / "a", idx(np.zeros((5, 3, 2)))
    for data, expected, got in [
        (good[:3] + b"\x01" + good[4:], "0x00000803", "0x00000801 in 46 bytes"),
        (good[:2] + b"\x0d" + good[3:], "0x00000803", "0x00000d03"),  # floats
        (b"", "0x00000803", "in 0 bytes"),
        (good[:15], "0x00000803", "in 15 bytes"),
        (good[:-1], "30 values for the sizes [5, 3, 2]", "29"),
        (good + b"\0", "30 values for the sizes [5, 3, 2]", "31"),
        (good[:7] + b"\x06" + good[8:], "36 values for the sizes [6, 3, 2]", "30"),
    ]:
        path.write_bytes(data)
        fails(read_idx, path, expected, got, 3)
    path.write_bytes(idx(np.zeros(4)))
    fails(read_idx, path, "0x00000803", "0x00000801", 3)
    assert read_idx(path, 1).shape == (4,)


# archives


def write_tar(path, files: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w:gz") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def test_tar_members_come_in_the_order_asked_for(tmp_path):
    path = tmp_path / "a.tar.gz"
    write_tar(path, {"folder/a": b"one", "folder/b": b"two", "folder/c": b""})
    assert read_tar(path, ["folder/c", "folder/a"]) == [b"", b"one"]


def test_a_broken_tar_is_refused(tmp_path):
    path = tmp_path / "a.tar.gz"
    good = write_tar(path, {"folder/a": b"one" * 999})
    fails(read_tar, path, "folder/b in the archive", "folder/a", ["folder/a", "folder/b"])
    fails(read_tar, path, "folder in the archive", "folder/a", ["folder"])  # it is no file
    path.write_bytes(flipped(good, -6))
    fails(read_tar, path, "a whole gzip file", "CRC", ["folder/a"])
    path.write_bytes(good[:-20])
    fails(read_tar, path, "a whole gzip file", "bytes", ["folder/a"])
    path.write_bytes(gzip.compress(gzip.decompress(good)[:1999]))
    fails(read_tar, path, "a tar archive", "unexpected end of data", ["folder/a"])
    path.write_bytes(gzip.compress(b"no archive" * 99))
    fails(read_tar, path, "a tar archive", "", ["folder/a"])


def test_a_member_of_a_zip_is_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other.txt", "no")
        archive.writestr("a.txt", TEXT * 50)
    assert read_text(path, "a.txt") == TEXT * 50
    assert read_lines(path, "a.txt")[1] == "两个男人站在炉边。"
    assert len(read_tsv(path, 1, member="a.txt")) == 100
    fails(read_bytes, path, "a whole zip archive with b.txt", "no item named 'b.txt'", "b.txt")
    fails(read_bytes, path, "a whole zip archive", "no item")
    good = path.read_bytes()
    path.write_bytes(good[:-9])
    fails(read_bytes, path, "a whole zip archive", "not a zip file", "a.txt")
    path.write_bytes(flipped(good, good.index(b"a.txt") + 25))  # in the packed bytes
    fails(read_bytes, path, "a whole zip archive", "", "a.txt")
