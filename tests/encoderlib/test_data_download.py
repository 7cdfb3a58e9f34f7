"""encoderlib.data.download: whole files or a clear error, over a server that misbehaves."""

import hashlib
import http.server
import os
import re
import threading
from pathlib import Path

import pytest

from encoderlib.data import download
from encoderlib.data.download import (
    DataError,
    DataFile,
    cache_folder,
    fetch,
    file_sha256,
    find_file,
)

CONTENT = bytes(range(251)) * 4003  # about a megabyte, in no round number of bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    """Neither this machine's data, nor its cache, nor a proxy."""
    monkeypatch.delenv("ENCODERLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.content``; each entry of ``server.script`` spoils one answer."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers["Range"])
        server.agents.append(self.headers["User-Agent"])
        step = server.script.pop(0) if server.script else "good"
        body, total, start = server.content, len(server.content), 0
        if isinstance(step, int):
            return self.send_error(step)
        asked = self.headers["Range"]
        if asked and step != "no range":
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= total:
                return self.send_error(416)
            shown = start + 1 if step == "other range" else start
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {shown}-{total - 1}/{total}")
        else:
            self.send_response(200)
        body = body[start:]
        if step != "no length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if step == "stall":
            server.release.wait(10)
        elif step == "cut":
            self.wfile.write(body[: len(body) // 3])
        else:
            self.wfile.write(body)


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.script = CONTENT, []
        server.ranges, server.agents = [], []
        server.release = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join(10)


def quick(url, path, sha256=SHA256, **options):
    return fetch(url, path, sha256, **({"wait": 0.0, "timeout": 5.0, "progress": False} | options))


def test_a_file_arrives_whole_and_leaves_nothing_else(server, tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    assert quick(server.url, path) == path
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]
    assert server.ranges == [None]
    assert "urllib" not in server.agents[0]


def test_an_interrupted_transfer_is_continued_where_it_broke(server, tmp_path):
    server.script = ["cut", "cut"]
    quick(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    first = len(CONTENT) // 3
    second = first + (len(CONTENT) - first) // 3
    assert server.ranges == [None, f"bytes={first}-", f"bytes={second}-"]


def test_a_later_call_continues_what_an_earlier_one_left(server, tmp_path):
    server.script = ["cut"]
    with pytest.raises(ConnectionError, match=r"got [\d,]+ of 1,004,753 bytes, try 1 of 1"):
        quick(server.url, tmp_path / "file.bin", tries=1)
    assert not (tmp_path / "file.bin").exists()
    part = tmp_path / "file.bin.part"
    assert part.read_bytes() == CONTENT[: len(CONTENT) // 3]
    quick(server.url, tmp_path / "file.bin", tries=1)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert not part.exists()
    assert server.ranges[1] == f"bytes={len(CONTENT) // 3}-"


def test_a_server_that_ignores_range_sends_everything_again(server, tmp_path):
    server.script = ["cut", "no range"]
    quick(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 3}-"]  # and what it sent was used


def test_a_server_that_continues_elsewhere_is_not_believed(server, tmp_path):
    server.script = ["cut", "other range"]
    quick(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges[2] is None


@pytest.mark.parametrize("extra", [b"", b"too long"])
def test_a_part_with_nothing_left_to_fetch_is_begun_anew(server, tmp_path, extra):
    (tmp_path / "file.bin.part").write_bytes(CONTENT + extra)
    quick(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT + extra)}-", None]


def test_a_part_of_another_file_is_fetched_again_from_the_start(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"another file")
    quick(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == ["bytes=12-", None]


def test_a_part_of_another_file_on_the_last_try_is_an_error(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"another file")
    with pytest.raises(DataError, match="sha256"):
        quick(server.url, tmp_path / "file.bin", tries=1)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_hash_is_an_error_at_once_and_nothing_stays(server, tmp_path):
    wrong = "0" * 64
    with pytest.raises(DataError, match=f"expected sha256 {wrong} from .*, got {SHA256}") as info:
        quick(server.url, tmp_path / "file.bin", wrong)
    assert info.value.path == tmp_path / "file.bin"
    assert list(tmp_path.iterdir()) == []
    assert len(server.ranges) == 1


def test_an_old_file_stays_until_the_new_one_is_whole(server, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    server.script = ["cut", "cut"]
    with pytest.raises(ConnectionError):
        quick(server.url, path, tries=2)
    assert path.read_bytes() == b"old"
    quick(server.url, path)
    assert path.read_bytes() == CONTENT


def test_the_file_takes_its_place_in_one_step(server, tmp_path, monkeypatch):
    moves = []
    monkeypatch.setattr(os, "replace", lambda old, new: moves.append((Path(old), Path(new))))
    quick(server.url, tmp_path / "file.bin")
    assert moves == [(tmp_path / "file.bin.part", tmp_path / "file.bin")]
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT  # whole before it moves


@pytest.mark.parametrize("code", [404, 403])
def test_a_refusal_is_not_asked_again(server, tmp_path, code):
    server.script = [code]
    with pytest.raises(ConnectionError, match=f"HTTP Error {code}.*try 1 of 3") as info:
        quick(server.url, tmp_path / "file.bin")
    assert f"put it at {tmp_path / 'file.bin'}" in str(info.value)
    assert server.url in str(info.value)
    assert len(server.ranges) == 1


@pytest.mark.parametrize("code", [500, 503])
def test_a_server_in_trouble_is_asked_again(server, tmp_path, code):
    server.script = [code, code]
    quick(server.url, tmp_path / "file.bin")
    assert len(server.ranges) == 3


def test_the_tries_are_counted_and_the_pauses_grow(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.script = [500] * 9
    with pytest.raises(ConnectionError, match="try 4 of 4"):
        quick(server.url, tmp_path / "file.bin", tries=4, wait=0.5)
    assert len(server.ranges) == 4
    assert pauses == [0.5, 1.0, 1.5]


def test_a_server_that_falls_silent_does_not_hold_us(server, tmp_path):
    server.script = ["stall"]
    with pytest.raises(ConnectionError, match="timed out"):
        quick(server.url, tmp_path / "file.bin", timeout=0.2, tries=1)


def test_no_server_is_an_error_that_says_where_to_put_the_file(tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as gone:
        url = f"http://127.0.0.1:{gone.server_port}/file.bin"
    with pytest.raises(ConnectionError, match=r"refused.*get file.bin elsewhere and put it at"):
        quick(url, tmp_path / "file.bin", tries=2)


def test_without_a_length_the_hash_decides(server, tmp_path):
    server.script = ["no length"]
    quick(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_without_a_hash_the_first_one_is_recorded(server, tmp_path):
    path = quick(server.url, tmp_path / "file.bin", None)
    record = tmp_path / "file.bin.sha256"
    assert record.read_text() == f"{SHA256}  file.bin\n"  # what `sha256sum -c` reads
    file = DataFile(tmp_path.name, "file.bin")
    assert find_file(file, tmp_path.parent) == path
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(DataError, match=f"sha256 recorded in file.bin.sha256, {SHA256}"):
        find_file(file, tmp_path.parent)
    assert find_file(file, tmp_path.parent, verify=False) == path


def test_without_a_hash_an_old_part_is_not_continued(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.script = ["cut"]
    quick(server.url, tmp_path / "file.bin", None)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 3}-"]  # within a call it is


def test_the_bar_counts_the_bytes_from_where_it_resumed(server, tmp_path, monkeypatch, capfd):
    bars = []

    class Bar(download.tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            bars.append(self)

    monkeypatch.setattr(download, "tqdm", Bar)
    server.script = ["cut"]
    quick(server.url, tmp_path / "file.bin", progress=True)
    assert [(bar.initial, bar.n, bar.total) for bar in bars] == [
        (0, len(CONTENT) // 3, len(CONTENT)),
        (len(CONTENT) // 3, len(CONTENT), len(CONTENT)),
    ]
    out, err = capfd.readouterr()
    assert out == ""
    assert "file.bin" in err
    quick(server.url, tmp_path / "file.bin")
    assert capfd.readouterr().err == ""


# Where files are looked for


def put(folder: Path, content: bytes = CONTENT) -> Path:
    path = folder / "set" / "sub" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


FILE = DataFile("set", "sub/file.bin", "http://127.0.0.1:9/file.bin", SHA256)


def test_the_places_are_searched_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODERLIB_DATA", str(tmp_path / "shared"))
    cached = put(tmp_path / "cache" / "encoderlib")
    assert find_file(FILE, tmp_path / "root") == cached
    shared = put(tmp_path / "shared")
    assert find_file(FILE, tmp_path / "root") == shared
    root = put(tmp_path / "root")
    assert find_file(FILE, str(tmp_path / "root")) == root
    assert find_file(FILE) == shared
    monkeypatch.setenv("ENCODERLIB_DATA", "")
    assert find_file(FILE) == cached


def test_the_cache_is_where_xdg_says_or_in_the_home_folder(tmp_path, monkeypatch):
    assert cache_folder() == tmp_path / "cache" / "encoderlib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home" / ".cache" / "encoderlib"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "encoderlib"


def test_a_missing_file_is_never_fetched_unasked(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ENCODERLIB_DATA", str(tmp_path / "shared"))
    file = FILE._replace(url=server.url)
    with pytest.raises(FileNotFoundError) as info:
        find_file(file, tmp_path / "root")
    for place in ("root", "shared", "cache/encoderlib"):
        assert str(tmp_path / place / "set" / "sub" / "file.bin") in str(info.value)
    assert "set/sub/file.bin was not found" in str(info.value)
    assert f"pass download=True to fetch {server.url}" in str(info.value)
    assert server.ranges == []


def test_a_file_without_an_address_says_where_to_put_it(tmp_path):
    file = FILE._replace(url=None)
    for download_it in (False, True):
        with pytest.raises(FileNotFoundError) as info:
            find_file(file, download=download_it)
        path = tmp_path / "cache" / "encoderlib" / "set" / "sub" / "file.bin"
        assert f"; put the file at {path}" in str(info.value)
        assert "download=True" not in str(info.value)


@pytest.mark.parametrize("with_root", [True, False])
def test_what_is_fetched_goes_to_root_or_the_cache_never_to_the_shared_folder(
    server, tmp_path, monkeypatch, with_root
):
    monkeypatch.setenv("ENCODERLIB_DATA", str(tmp_path / "shared"))
    file = FILE._replace(url=server.url)
    root = tmp_path / "root" if with_root else None
    path = find_file(file, root, download=True)
    assert path == (root or tmp_path / "cache" / "encoderlib") / "set" / "sub" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert not (tmp_path / "shared").exists()
    assert find_file(file, root, download=True) == path
    assert len(server.ranges) == 1  # the second time it was there


def test_a_found_file_is_checked_unless_that_is_turned_off(tmp_path):
    path = put(tmp_path, CONTENT[:-1] + b"\x00")
    with pytest.raises(DataError) as info:
        find_file(FILE, tmp_path)
    assert (info.value.expected, info.value.got) == (f"sha256 {SHA256}", file_sha256(path))
    assert str(path) in str(info.value)
    assert "delete it and load again with download=True" in str(info.value)
    assert isinstance(info.value, ValueError)
    assert find_file(FILE, tmp_path, verify=False) == path


def test_a_file_of_unknown_hash_without_a_record_goes_unchecked(tmp_path):
    path = put(tmp_path, b"anything")
    assert find_file(FILE._replace(sha256=None), tmp_path) == path


def test_sha256_of_a_file_is_hashlibs(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert file_sha256(path) == file_sha256(str(path)) == SHA256
