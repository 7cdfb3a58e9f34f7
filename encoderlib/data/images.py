"""MNIST, Fashion-MNIST and CIFAR-10 in their official formats (chapters 13 and 14).

Pixels stay unsigned bytes, as in the files: ``images.float() / 255`` takes four times the memory
and is better done a batch at a time.
"""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from encoderlib.data.download import DataError, DataFile, find_file
from encoderlib.data.formats import read_idx, read_tar

__all__ = ["ImagePart", "ImageSet", "load_cifar10", "load_fashion_mnist", "load_mnist"]


class ImagePart(NamedTuple):
    """Images and what they show; ``TensorDataset(*part)`` makes a data set of them.

    Args:
        images: ``(B, C, H, W)``, uint8, 0 to 255.
        labels: ``(B,)``, int64, an index into the set's ``classes``.
    """

    images: UInt8[Tensor, "B C H W"]
    labels: Int[Tensor, " B"]


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """The two official parts of an image set.

    Args:
        train: what may be learned from.
        test: what the model is judged on.
        classes: the names of the labels.
    """

    train: ImagePart
    test: ImagePart
    classes: tuple[str, ...]


# name: sha256. Fashion-MNIST's are those of the files themselves and of TensorFlow Datasets'
# list; MNIST's and CIFAR-10's stand in that list (tensorflow_datasets/url_checksums).
IDX_NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
MNIST = dict(
    zip(
        IDX_NAMES,
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        strict=True,
    )
)
FASHION_MNIST = dict(
    zip(
        IDX_NAMES,
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        strict=True,
    )
)
FASHION_CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
CIFAR10 = DataFile(
    "cifar-10",
    "cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
CIFAR10_RECORD = 1 + 3 * 32 * 32  # the label, then the red, green and blue plane, row by row


def load_mnist(
    root: str | Path | None = None, *, download: bool = False, verify: bool = True
) -> ImageSet:
    """MNIST: 60,000 + 10,000 handwritten digits, ``(B, 1, 28, 28)``.

    Four files in the folder ``mnist``, 11.6 MB. The first home of the set, yann.lecun.com, no
    longer gives the files out; the address used is the CVDF's copy of them.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        download: fetch what is missing.
        verify: compare sha256; False for files of your own in the same format.

    Raises:
        FileNotFoundError: if a file is nowhere and ``download`` is False.
        ConnectionError: if a file cannot be fetched.
        DataError: if a file is damaged: sha256, gzip CRC, magic number, counts, labels.

    Licence: CC BY-SA 3.0 (Yann LeCun and Corinna Cortes). Cite: LeCun, Bottou, Bengio, Haffner
    1998, "Gradient-Based Learning Applied to Document Recognition".
    """
    base = "https://storage.googleapis.com/cvdf-datasets/mnist/"
    files = [DataFile("mnist", name, base + name, sha256) for name, sha256 in MNIST.items()]
    return _load_idx(files, tuple("0123456789"), root, download, verify)


def load_fashion_mnist(
    root: str | Path | None = None, *, download: bool = False, verify: bool = True
) -> ImageSet:
    """Fashion-MNIST: 60,000 + 10,000 pictures of clothes, ``(B, 1, 28, 28)``, ten classes.

    Four files in the folder ``fashion-mnist``, 30.9 MB. Floors on the test part: logistic
    regression 84.0 %, five nearest neighbours 85.5 %, a small CNN 88 to 93 %.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        download: fetch what is missing.
        verify: compare sha256; False for files of your own in the same format.

    Raises:
        FileNotFoundError: if a file is nowhere and ``download`` is False.
        ConnectionError: if a file cannot be fetched.
        DataError: if a file is damaged: sha256, gzip CRC, magic number, counts, labels.

    Licence: MIT (Zalando SE). Cite: Xiao, Rasul, Vollgraf 2017, "Fashion-MNIST: a Novel Image
    Dataset for Benchmarking Machine Learning Algorithms", arXiv:1708.07747.
    """
    base = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    files = [
        DataFile("fashion-mnist", name, base + name, sha256)
        for name, sha256 in FASHION_MNIST.items()
    ]
    return _load_idx(files, FASHION_CLASSES, root, download, verify)


def load_cifar10(
    root: str | Path | None = None, *, download: bool = False, verify: bool = True
) -> ImageSet:
    """CIFAR-10: 50,000 + 10,000 colour photographs, ``(B, 3, 32, 32)``, ten classes.

    One file, ``cifar-10/cifar-10-binary.tar.gz``, 170 MB: the *binary* version. The python
    version holds the same images as pickles, and a pickle runs any code it likes while it is
    loaded; this library never opens one. Each record is one byte for the label and 3,072 for
    the red, green and blue plane.

    Args:
        root: a folder with the data sets' folders; see `encoderlib.data.download`.
        download: fetch what is missing.
        verify: compare sha256; False for a file of your own in the same format.

    Raises:
        FileNotFoundError: if the file is nowhere and ``download`` is False.
        ConnectionError: if it cannot be fetched.
        DataError: if it is damaged: sha256, gzip CRC, missing batch, records, labels.

    Licence: none is stated; the authors ask for the citation. Cite: Krizhevsky 2009, "Learning
    Multiple Layers of Features from Tiny Images". ``torchvision`` reads the pickles.
    """
    path = find_file(CIFAR10, root, download, verify)
    batches = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    *train, test = (
        _cifar_batch(path, name, data)
        for name, data in zip(
            batches, read_tar(path, [f"cifar-10-batches-bin/{n}" for n in batches]), strict=True
        )
    )
    joined = ImagePart(
        torch.cat([part.images for part in train]), torch.cat([part.labels for part in train])
    )
    return ImageSet(joined, test, CIFAR10_CLASSES)


def _cifar_batch(path: Path, name: str, data: bytes) -> ImagePart:
    if not data or len(data) % CIFAR10_RECORD:
        raise DataError(
            path, f"whole records of {CIFAR10_RECORD:,} bytes in {name}", f"{len(data):,} bytes"
        )
    records = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(-1, CIFAR10_RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32)  # (B, 3, 32, 32)
    return ImagePart(images, _labels(path, records[:, 0], CIFAR10_CLASSES))


def _load_idx(files, classes, root, download, verify) -> ImageSet:
    paths = [find_file(file, root, download, verify) for file in files]
    train, test = (
        _idx_part(*pair, classes) for pair in ((paths[0], paths[1]), (paths[2], paths[3]))
    )
    return ImageSet(train, test, classes)


def _idx_part(images_path: Path, labels_path: Path, classes: tuple[str, ...]) -> ImagePart:
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(labels_path, f"{len(images):,} labels, one an image", f"{len(labels):,}")
    return ImagePart(images[:, None], _labels(labels_path, labels, classes))  # (B, 1, H, W)


def _labels(path: Path, labels: Tensor, classes: tuple[str, ...]) -> Int[Tensor, " B"]:
    if bool((labels >= len(classes)).any()):
        raise DataError(path, f"labels below {len(classes)}", f"{labels.max()}")
    return labels.long()
