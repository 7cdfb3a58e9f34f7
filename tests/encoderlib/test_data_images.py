"""encoderlib.data.images: the official formats, pixel by pixel, and what is not official."""

import gzip
import hashlib
import io
import pickle
import re
import struct
import tarfile

import numpy as np
import pytest
import torch

from encoderlib.data import DataError, images, load_cifar10, load_fashion_mnist, load_mnist

SETS = {"mnist": load_mnist, "fashion-mnist": load_fashion_mnist}
sets = pytest.mark.parametrize("name", SETS)


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("ENCODERLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_idx(path, array):
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


@pytest.fixture
def truth(tmp_path):
    """Tiny sets in the official layout; the arrays that were written."""
    random = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 7), ("t10k", 5)):
        arrays[part] = random.integers(0, 256, (n, 3, 2)), random.integers(0, 10, n)
        for name in SETS:
            (tmp_path / name).mkdir(exist_ok=True)
            write_idx(tmp_path / name / f"{part}-images-idx3-ubyte.gz", arrays[part][0])
            write_idx(tmp_path / name / f"{part}-labels-idx1-ubyte.gz", arrays[part][1])
    return arrays


@sets
def test_idx_sets_hold_what_was_written(tmp_path, truth, name):
    loaded = SETS[name](tmp_path, verify=False)
    assert len(loaded.classes) == 10
    for part, key in ((loaded.train, "train"), (loaded.test, "t10k")):
        assert part.images.dtype == torch.uint8
        assert part.labels.dtype == torch.int64
        np.testing.assert_array_equal(part.images.numpy(), truth[key][0][:, None])
        np.testing.assert_array_equal(part.labels.numpy(), truth[key][1])
        assert part.images.is_contiguous()


@sets
def test_files_that_are_not_the_official_ones_are_refused(tmp_path, truth, name):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: expected sha256"):
        SETS[name](tmp_path)


@sets
def test_images_and_labels_must_be_as_many(tmp_path, truth, name):
    write_idx(tmp_path / name / "t10k-labels-idx1-ubyte.gz", np.zeros(4))
    with pytest.raises(DataError, match=r"t10k-labels.*expected 5 labels.*got 4"):
        SETS[name](tmp_path, verify=False)


@pytest.mark.parametrize(("largest", "right"), [(9, True), (10, False)])
def test_a_label_without_a_class_is_refused(tmp_path, truth, largest, right):
    write_idx(tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz", np.array([0, 1, largest, 2, 3]))
    if right:
        assert load_mnist(tmp_path, verify=False).test.labels[2] == 9
    else:
        with pytest.raises(DataError, match="expected labels below 10, got 10"):
            load_mnist(tmp_path, verify=False)


def test_images_and_labels_cannot_be_swapped(tmp_path, truth):
    folder = tmp_path / "mnist"
    (folder / "train-images-idx3-ubyte.gz").write_bytes(
        (folder / "train-labels-idx1-ubyte.gz").read_bytes()
    )
    with pytest.raises(DataError, match="idx magic number 0x00000803, got 0x00000801"):
        load_mnist(tmp_path, verify=False)


@sets
def test_a_flipped_byte_and_a_cut_file_are_refused(tmp_path, truth, name):
    path = tmp_path / name / "t10k-images-idx3-ubyte.gz"
    good = path.read_bytes()
    for bad in (good[:-12] + bytes([good[-12] ^ 1]) + good[-11:], good[:-5]):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=re.escape(str(path))):
            SETS[name](tmp_path, verify=False)


@pytest.mark.parametrize(
    ("loader", "folder", "first"),
    [
        (load_mnist, "mnist", "train-images-idx3-ubyte.gz"),
        (load_fashion_mnist, "fashion-mnist", "train-images-idx3-ubyte.gz"),
        (load_cifar10, "cifar-10", "cifar-10-binary.tar.gz"),
    ],
)
def test_a_missing_set_says_what_to_put_where(tmp_path, loader, folder, first):
    with pytest.raises(FileNotFoundError, match=f"{folder}/{first} was not found.*download=True"):
        loader(tmp_path)


def test_each_official_file_has_an_address_and_a_hash(monkeypatch, tmp_path):
    """What would be downloaded, without downloading it."""
    asked = []

    def note(url, path, sha256):
        asked.append((url, path.relative_to(tmp_path).as_posix(), sha256))
        raise ConnectionError

    monkeypatch.setattr("encoderlib.data.download.fetch", note)
    for loader in (load_mnist, load_fashion_mnist, load_cifar10):
        with pytest.raises(ConnectionError):
            loader(tmp_path, download=True)
    assert [path for _, path, _ in asked] == [
        "mnist/train-images-idx3-ubyte.gz",
        "fashion-mnist/train-images-idx3-ubyte.gz",
        "cifar-10/cifar-10-binary.tar.gz",
    ]
    assert all(url.endswith(path.split("/")[1]) for url, path, _ in asked)
    hashes = [*images.MNIST.values(), *images.FASHION_MNIST.values(), images.CIFAR10.sha256]
    assert len(set(hashes)) == 9
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes)
    assert [sha256 for _, _, sha256 in asked] == [hashes[0], hashes[4], hashes[8]]


# CIFAR-10


def write_cifar(path, batches: dict[str, bytes]):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in batches.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def batches():
    """Six batches of three records; pixel values say plane, row and column apart."""
    random = np.random.default_rng(2)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    return {name: random.integers(0, 10, (3, 3073), dtype=np.uint8) for name in names}


def test_cifar_records_become_planes_rows_and_columns(tmp_path, batches):
    path = tmp_path / "cifar-10" / "cifar-10-binary.tar.gz"
    written = dict(reversed(batches.items()))  # the archive's own order is not asked for
    write_cifar(path, {name: records.tobytes() for name, records in written.items()})
    loaded = load_cifar10(tmp_path, verify=False)
    assert loaded.train.images.shape == (15, 3, 32, 32)
    assert loaded.test.images.shape == (3, 3, 32, 32)
    assert loaded.train.images.dtype == torch.uint8
    for index, records in enumerate(batches.values()):
        part = loaded.train if index < 5 else loaded.test
        for row, record in enumerate(records):
            place = 3 * index + row if index < 5 else row
            assert part.labels[place] == record[0]
            for plane, y, x in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 31, 30)):
                assert part.images[place, plane, y, x] == record[1 + 1024 * plane + 32 * y + x]
    assert loaded.classes[0] == "airplane"


def test_broken_cifar_batches_are_refused(tmp_path, batches):
    path = tmp_path / "cifar-10" / "cifar-10-binary.tar.gz"
    raw = {name: records.tobytes() for name, records in batches.items()}
    write_cifar(path, raw)
    with pytest.raises(DataError, match="sha256"):
        load_cifar10(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match="a whole gzip file"):
        load_cifar10(tmp_path, verify=False)
    for name, content, message in [
        ("data_batch_4.bin", raw["data_batch_4.bin"][:-1], "3,073 bytes in data_batch_4.bin, got"),
        ("test_batch.bin", b"", "records of 3,073 bytes in test_batch.bin, got 0 bytes"),
        ("data_batch_2.bin", b"\x0a" + raw["data_batch_2.bin"][1:], "labels below 10, got 10"),
    ]:
        write_cifar(path, raw | {name: content})
        with pytest.raises(DataError, match=message):
            load_cifar10(tmp_path, verify=False)
    del raw["data_batch_3.bin"]
    write_cifar(path, raw)
    with pytest.raises(DataError, match=r"cifar-10-batches-bin/data_batch_3.bin in the archive"):
        load_cifar10(tmp_path, verify=False)


def test_the_python_version_is_refused_without_running_it(tmp_path):
    """A pickle in the archive's place would run its code if anything opened it."""
    proof = tmp_path / "proof"

    class Trap:
        def __reduce__(self):
            return proof.touch, ()

    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    trap = pickle.dumps(Trap())
    write_cifar(tmp_path / "cifar-10" / "cifar-10-binary.tar.gz", dict.fromkeys(names, trap))
    with pytest.raises(DataError, match="whole records"):
        load_cifar10(tmp_path, verify=False)
    assert not proof.exists()
    pickle.loads(trap)
    assert proof.exists()  # so it would have


def test_official_bytes_pass_the_check(tmp_path, batches, monkeypatch):
    path = tmp_path / "cifar-10" / "cifar-10-binary.tar.gz"
    write_cifar(path, {name: records.tobytes() for name, records in batches.items()})
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(images, "CIFAR10", images.CIFAR10._replace(sha256=sha256))
    assert len(load_cifar10(tmp_path).test.labels) == 3
