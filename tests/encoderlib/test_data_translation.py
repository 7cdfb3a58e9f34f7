"""encoderlib.data.translation: line i of one file belongs to line i of the other."""

import gzip
import hashlib
import re
import zipfile

import pytest

from encoderlib.data import DataError, load_multi30k, load_tatoeba, translation

SIZES = {
    "train": 7,
    "val": 5,
    "test_2016_flickr": 3,
    "test_2017_flickr": 2,
    "test_2017_mscoco": 4,
}


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("ENCODERLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sentence(part, language, i):
    """A sentence with what would mislead a careless reader of lines."""
    return f"{part} {language} {i} \u2028\x85 Mädchen "


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "multi30k"
    folder.mkdir()
    for part, n in SIZES.items():
        for language in ("en", "de"):
            text = "".join(sentence(part, language, i) + "\n" for i in range(n))
            (folder / f"{part}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    return folder


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("de", "en")])
@pytest.mark.parametrize("test", ["test_2016_flickr", "test_2017_flickr", "test_2017_mscoco"])
def test_parts_are_the_files_line_by_line(tmp_path, folder, source, target, test):
    loaded = load_multi30k(tmp_path, source=source, target=target, test=test, verify=False)
    parts = {"train": loaded.train, "val": loaded.validation, test: loaded.test}
    for part, pairs in parts.items():
        assert pairs.source == [sentence(part, source, i) for i in range(SIZES[part])]
        assert pairs.target == [sentence(part, target, i) for i in range(SIZES[part])]


def test_english_to_german_2016_is_the_default(tmp_path, folder):
    loaded = load_multi30k(tmp_path, verify=False)
    assert loaded.test.source[0].startswith("test_2016_flickr en")
    assert loaded.test.target[0].startswith("test_2016_flickr de")


def test_other_languages_and_parts_are_refused(tmp_path):
    for source, target in (("en", "en"), ("en", "fr"), ("cs", "de")):
        with pytest.raises(ValueError, match="one must be 'en', the other 'de'"):
            load_multi30k(tmp_path, source=source, target=target)
    with pytest.raises(ValueError, match=r"test='train' must be one of \('test_2016_flickr'"):
        load_multi30k(tmp_path, test="train")


def test_files_of_unequal_length_are_refused(tmp_path, folder):
    (folder / "val.de.gz").write_bytes(gzip.compress(b"a\nb\nc\nd\n"))
    message = r"val.de.gz: expected 5 lines, as in val.en.gz, got 4"
    with pytest.raises(DataError, match=message):
        load_multi30k(tmp_path, verify=False)


def test_a_flipped_byte_a_cut_and_another_encoding_are_refused(tmp_path, folder):
    path = folder / "val.en.gz"
    good = path.read_bytes()
    for bad, message in [
        (good[:-9] + bytes([good[-9] ^ 1]) + good[-8:], "a whole gzip file"),
        (good[:-1], "a whole gzip file"),
        (gzip.compress("Mädchen\n".encode("latin-1")), "UTF-8 text"),
        (gzip.compress(b"a\nb"), "end in a line feed"),
    ]:
        path.write_bytes(bad)
        with pytest.raises(DataError, match=f"val.en.gz: expected .*{message}"):
            load_multi30k(tmp_path, verify=False)


def test_files_that_are_not_the_official_ones_are_refused(tmp_path, folder):
    with pytest.raises(DataError, match=r"train.en.gz: expected sha256"):
        load_multi30k(tmp_path)


def test_each_official_file_has_an_address_and_a_hash(monkeypatch, tmp_path, folder):
    asked = []

    def note(file, root, download, verify):
        asked.append(file)
        return folder / file.name

    monkeypatch.setattr(translation, "find_file", note)
    for test in translation.MULTI30K_TESTS:
        load_multi30k(tmp_path, test=test, download=True)
    names = {file.name for file in asked}
    assert names == {f"{part}.{language}.gz" for part in SIZES for language in ("en", "de")}
    assert len({file.sha256 for file in asked}) == 10
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in asked)
    assert all(file.url.endswith("/data/task1/raw/" + file.name) for file in asked)


# Tatoeba

LINES = ["Hi.\t嗨。\tCC-BY 2.0 (France) #1", "Hi.\t你好。\tCC-BY #2", "Run.\t跑。\tCC-BY #3"]
COLUMNS = [["Hi.", "Hi.", "Run."], ["嗨。", "你好。", "跑。"]]


def write_zip(path, lines):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_about.txt", "about")
        archive.writestr("cmn.txt", "".join(line + "\n" for line in lines))


def test_tatoeba_reads_the_text_or_the_archive(tmp_path):
    write_zip(tmp_path / "cmn-eng" / "cmn-eng.zip", LINES)
    zipped = load_tatoeba(tmp_path)
    assert [zipped.source, zipped.target] == COLUMNS
    assert zipped.attribution[0] == "CC-BY 2.0 (France) #1"
    (tmp_path / "cmn-eng" / "cmn.txt").write_text("a\tb\tc\n", encoding="utf-8")
    assert load_tatoeba(tmp_path) == (["a"], ["b"], ["c"])


def test_tatoeba_lines_without_their_licence_are_refused(tmp_path):
    write_zip(tmp_path / "cmn-eng" / "cmn-eng.zip", [LINES[0], "Hi.\t嗨。"])
    with pytest.raises(DataError, match=r"cmn-eng.zip: expected 3 columns, got 2 in line 2"):
        load_tatoeba(tmp_path)


def test_tatoeba_compares_with_the_recorded_hash(tmp_path):
    path = tmp_path / "cmn-eng" / "cmn-eng.zip"
    write_zip(path, LINES)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    record = path.with_name("cmn-eng.zip.sha256")
    record.write_text(f"{sha256}  cmn-eng.zip\n")
    assert load_tatoeba(tmp_path).source == COLUMNS[0]
    write_zip(path, LINES[:2])
    with pytest.raises(DataError, match=r"sha256 recorded in cmn-eng.zip.sha256"):
        load_tatoeba(tmp_path)
    assert load_tatoeba(tmp_path, verify=False).source == ["Hi.", "Hi."]


def test_a_missing_tatoeba_names_the_archive_and_its_address(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"cmn-eng/cmn-eng.zip was not found.*manythings"):
        load_tatoeba(tmp_path)
    asked = []

    def note(url, path, sha256):
        asked.append((url, path, sha256))
        write_zip(path, LINES)
        return path

    monkeypatch.setattr("encoderlib.data.download.fetch", note)
    assert load_tatoeba(tmp_path, download=True).source == COLUMNS[0]
    url, path, sha256 = asked[0]
    assert url.startswith("https://www.manythings.org/")
    assert path == tmp_path / "cmn-eng" / "cmn-eng.zip"
    assert sha256 is None
