"""The file formats of the official data sets, read strictly (chapter 02).

Each reader takes a path and gives tensors or strings. A file that is cut short, damaged or of
another kind raises a `DataError` that names the file, what was expected and what was there.
"""

import csv
import gzip
import io
import math
import tarfile
import zipfile
import zlib
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from encoderlib.data.download import DataError

__all__ = [
    "read_bytes",
    "read_csv",
    "read_idx",
    "read_lines",
    "read_tar",
    "read_text",
    "read_tsv",
]


def read_bytes(path: str | Path, member: str | None = None) -> bytes:
    """A file's bytes; a ``.gz`` is unpacked, of a ``.zip`` one ``member``; the CRC is compared.

    Raises:
        DataError: for an archive that is cut short, of another kind, or whose CRC is wrong.
    """
    path = Path(path)
    if path.suffix == ".zip":
        return _read_zip(path, member)
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(path, "a whole gzip file", f"{len(data):,} bytes: {error}") from error


def read_text(path: str | Path, member: str | None = None) -> str:
    """A UTF-8 file as one string; line ends stay as they are.

    Raises:
        DataError: if the bytes are not UTF-8; says where.
    """
    data = read_bytes(path, member)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            path, "UTF-8 text", f"byte {data[error.start]:#04x} at position {error.start:,}"
        ) from error


def read_lines(path: str | Path, member: str | None = None) -> list[str]:
    r"""The lines of a UTF-8 file, without their ends.

    Only ``\n`` and ``\r\n`` end a line. ``str.splitlines`` would also cut at U+2028 and seven
    more characters, and two files of a translation corpus would no longer be parallel.

    Raises:
        DataError: if the file is empty, or its last line has no end: it was cut short.
    """
    lines = read_text(path, member).split("\n")
    if len(lines) == 1 or lines.pop():
        raise DataError(path, "lines that all end in a line feed", "a last line without one")
    return [line.removesuffix("\r") for line in lines]


def read_csv(path: str | Path, columns: int) -> list[list[str]]:
    """The rows of a comma-separated file with quoted fields; a quote in one is doubled.

    Raises:
        DataError: if a row has another number of columns, or a quotation is not closed.
    """
    rows = []
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for row in reader:
            rows.append(_with_columns(path, reader.line_num, row, columns))
    except csv.Error as error:
        raise DataError(path, "quoted fields", f"{error}, line {reader.line_num}") from error
    if not rows:
        raise DataError(path, "rows", "an empty file")
    return rows


def read_tsv(
    path: str | Path,
    columns: int,
    header: tuple[str, ...] | None = None,
    member: str | None = None,
) -> list[list[str]]:
    """The rows of a tab-separated file, in which a quote is a character like any other.

    Args:
        path: the file.
        columns: how many fields each line has.
        header: what the first line must say; it is not among the rows. None: no such line.
        member: the file's name in a ``.zip``.

    Raises:
        DataError: for another header or another number of columns.
    """
    lines = read_lines(path, member)
    rows = [
        _with_columns(path, number, line.split("\t"), columns)
        for number, line in enumerate(lines, start=1)
    ]
    if header is not None and tuple(rows.pop(0)) != header:
        raise DataError(path, f"the header {header}", repr(lines[0]))
    return rows


def read_idx(path: str | Path, dims: int) -> UInt8[Tensor, "..."]:
    """A file of MNIST's idx format with unsigned bytes, ``.gz`` or plain.

    The first four bytes are the magic number, ``0x00000800 + dims``; then the sizes, four
    bytes each, big end first; then the values, the last axis fastest.

    Args:
        path: the file.
        dims: number of axes: 1 for labels, 3 for images.

    Raises:
        DataError: for another magic number, or more or fewer values than the sizes say.
    """
    data = read_bytes(path)
    magic, expected = int.from_bytes(data[:4], "big"), 0x800 + dims
    head = 4 + 4 * dims
    if magic != expected or len(data) < head:
        raise DataError(
            path, f"idx magic number {expected:#010x}", f"{magic:#010x} in {len(data):,} bytes"
        )
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, head, 4)]
    if len(data) - head != math.prod(shape):
        raise DataError(
            path,
            f"{math.prod(shape):,} values for the sizes {shape}",
            f"{len(data) - head:,}",
        )
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)[head:].reshape(shape)


def read_tar(path: str | Path, names: list[str]) -> list[bytes]:
    """Files of a ``.tar.gz``, in the order of ``names``; nothing is unpacked to the disk.

    Raises:
        DataError: if the archive is damaged or a file is not in it.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(read_bytes(path)), mode="r:") as archive:
            files = {member.name: member for member in archive if member.isfile()}
            missing = [name for name in names if name not in files]
            if missing:
                raise DataError(path, f"{missing[0]} in the archive", f"{sorted(files)}")
            return [archive.extractfile(files[name]).read() for name in names]
    except tarfile.TarError as error:
        raise DataError(path, "a tar archive", str(error)) from error


def _read_zip(path: Path, member: str | None) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(member or "")
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise DataError(path, f"a whole zip archive with {member}", str(error)) from error


def _with_columns(path: str | Path, line: int, row: list[str], columns: int) -> list[str]:
    if len(row) != columns:
        raise DataError(path, f"{columns} columns", f"{len(row)} in line {line}")
    return row
