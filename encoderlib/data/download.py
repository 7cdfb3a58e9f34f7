"""Where a data set's files come from: a folder, the cache, or the official place (chapter 02).

A file is looked for in this order, and the first that exists is taken:

1. ``root/<data set>/<file>``, where ``root`` is the argument of the loader,
2. ``$ENCODERLIB_DATA/<data set>/<file>``, a folder that this library only reads,
3. the cache, ``$XDG_CACHE_HOME/encoderlib`` or ``~/.cache/encoderlib``,
4. with ``download=True`` the official address; what comes goes to ``root``, else to the cache.

Nothing is fetched unless ``download=True`` is asked for: a grader, a test and a train ride have
no network, and 170 MB should not come as a surprise.
"""

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

__all__ = ["DataError", "DataFile", "cache_folder", "fetch", "file_sha256", "find_file"]

CHUNK = 1 << 20
# Some hosts (manythings.org) refuse the name that urllib gives itself.
HEADERS = {"User-Agent": "Mozilla/5.0 (compatible; encoderlib)"}
TRANSFER_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


class DataError(ValueError):
    """A file is there and is not what it should be: damaged, cut short, or another file.

    Args:
        path: the file.
        expected: what should be there.
        got: what is there.
    """

    def __init__(self, path: Path | str, expected: str, got: str):
        self.path, self.expected, self.got = Path(path), expected, got
        super().__init__(
            f"{path}: expected {expected}, got {got}; the file is damaged or not the official "
            "one: delete it and load again with download=True, or put a good copy there"
        )


class DataFile(NamedTuple):
    """One file of a data set.

    Args:
        folder: the data set's folder.
        name: the file's path in it.
        url: the official address; None if there is none.
        sha256: of the official bytes; None if they change, or nobody has published it.
    """

    folder: str
    name: str
    url: str | None = None
    sha256: str | None = None


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/encoderlib``, or ``~/.cache/encoderlib`` where that is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "encoderlib"


def find_file(
    file: DataFile, root: str | Path | None = None, download: bool = False, verify: bool = True
) -> Path:
    """The path of a data set's file, in the order that stands at the top of this module.

    Args:
        file: which one.
        root: a folder that holds the data sets' folders.
        download: fetch the file if it is nowhere.
        verify: compare its sha256 with ``file.sha256`` or, where that is None, with the one
            that was written beside it (``<name>.sha256``) when it was first fetched. A file
            without either goes unchecked. False is for files of your own in the same format.

    Raises:
        FileNotFoundError: if the file is nowhere; says where it may be put.
        DataError: if the sha256 is another.
        ConnectionError: if it cannot be fetched.

    Like ``torchvision.datasets``' ``root`` and ``download``, with sha256 instead of md5, and
    checked at each load, not only after a download.
    """
    shared = os.environ.get("ENCODERLIB_DATA")
    folders = [Path(folder) for folder in (root, shared) if folder]
    folders.append(cache_folder())
    paths = [folder / file.folder / file.name for folder in folders]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        path = paths[0] if root else paths[-1]
        if not download or file.url is None:
            places = ", ".join(str(path) for path in paths)
            how = f"pass download=True to fetch {file.url}, or " if file.url else ""
            raise FileNotFoundError(
                f"{file.folder}/{file.name} was not found, looked for {places}; {how}put the file "
                f"at {path}, or set ENCODERLIB_DATA to a folder that holds "
                f"{file.folder}/{file.name}"
            )
        return fetch(file.url, path, file.sha256)
    if verify:
        _check_sha256(path, file.sha256)
    return path


def fetch(
    url: str,
    path: str | Path,
    sha256: str | None = None,
    *,
    tries: int = 3,
    wait: float = 1.0,
    timeout: float = 30.0,
    progress: bool = True,
) -> Path:
    """Download ``url`` to ``path``, which exists only once it is whole.

    The bytes gather in ``<path>.part``, which takes its place by one atomic ``os.replace``. What
    an interrupted transfer left is continued with an HTTP ``Range`` request; a server that
    ignores it sends everything, and the file starts anew. A ``.part`` of an earlier call is
    continued only where ``sha256`` is given: without it nobody could tell that the file has
    changed meanwhile. Then the sha256 is written to ``<path>.sha256``, in the form that
    ``sha256sum -c`` reads, and `find_file` compares with it later. One process a file.

    Args:
        url: the address.
        path: where the file goes; its folder is made.
        sha256: what the bytes must give.
        tries: transfers to attempt before giving up.
        wait: seconds before the second try, twice that before the third.
        timeout: seconds without a byte after which a transfer counts as broken.
        progress: show a tqdm bar.

    Raises:
        ConnectionError: if the transfer fails; says where to put the file by hand.
        DataError: if the bytes are whole and their sha256 is another; they are deleted.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    if sha256 is None:
        part.unlink(missing_ok=True)
    attempt = 0
    while True:
        attempt += 1
        try:
            resumed = _transfer(url, part, timeout, progress)
        except TRANSFER_ERRORS as error:
            refused = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500
            if refused or attempt >= tries:
                raise ConnectionError(
                    f"could not fetch {url} ({error}, try {attempt} of {tries}); try again later, "
                    f"a broken transfer is continued; or get {path.name} elsewhere and put it at "
                    f"{path}"
                ) from error
            time.sleep(wait * attempt)
            continue
        got = file_sha256(part)
        if sha256 in (None, got):
            break
        part.unlink()
        if not resumed or attempt >= tries:  # what was continued may have been another file
            raise DataError(path, f"sha256 {sha256} from {url}", got)
    if sha256 is None:
        path.with_name(path.name + ".sha256").write_text(f"{got}  {path.name}\n", encoding="utf-8")
    os.replace(part, path)
    return path


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file's bytes, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sha256(path: Path, sha256: str | None) -> None:
    """Compare with the published sha256 or with the one recorded at the first download."""
    record = path.with_name(path.name + ".sha256")
    source = "sha256"
    if sha256 is None:
        if not record.is_file():
            return
        sha256 = record.read_text(encoding="utf-8").partition(" ")[0]
        source = f"the sha256 recorded in {record.name},"
    got = file_sha256(path)
    if got != sha256:
        raise DataError(path, f"{source} {sha256}", got)


def _transfer(url: str, part: Path, timeout: float, progress: bool) -> bool:
    """One request, appended to ``part``; True if bytes that were already there were kept."""
    have = part.stat().st_size if part.exists() else 0
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:
            raise
        part.unlink(missing_ok=True)  # it is longer than the file: begin again
        raise ConnectionError(f"the server has no byte {have}") from error
    with answer:
        resumed = answer.status == 206
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            raise ConnectionError("the server continued at another byte than it was asked for")
        have = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm(
                desc=part.stem,
                total=total,
                initial=have,
                unit="B",
                unit_scale=True,
                disable=not progress,
            ) as bar,
        ):
            while block := answer.read(CHUNK):
                file.write(block)
                bar.update(len(block))
            size = file.tell()
    if total is not None and size != total:
        raise ConnectionError(f"got {size:,} of {total:,} bytes")
    return resumed
