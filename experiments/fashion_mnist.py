"""Fashion-MNIST: ten kinds of clothes, by a Vision Transformer with overlapping patches."""

import dataclasses
import time
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from encoderlib import EncoderConfig, ImageClassifier, device, seed_everything
from encoderlib.data import load_fashion_mnist, random_shift
from encoderlib.data.images import ImagePart
from encoderlib.training import TrainingConfig, evaluate, fit
from experiments.baselines import best_of

ENCODER = EncoderConfig(d_model=128, n_heads=4, d_ff=256, n_layers=4, dropout=0.05)
TRAINING = TrainingConfig(
    epochs=24, lr=1.5e-3, weight_decay=0.05, label_smoothing=0.1, ema=0.998, precision="fast"
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The choices of this experiment."""

    held_out: int = 5000  # training images that the model is chosen by
    patch_size: int = 8
    stride: int = 4  # overlapping: 6 x 6 = 36 patches
    max_shift: int = 1  # pixels; images are also mirrored
    batch_size: int = 128
    encoder: EncoderConfig = ENCODER
    training: TrainingConfig = TRAINING
    limit: int | None = None  # images of each part; for a trial of the code


CONFIG = Config()
SMOKE = dataclasses.replace(
    CONFIG,
    held_out=8,
    limit=16,
    batch_size=8,
    encoder=EncoderConfig(d_model=16, n_heads=2, d_ff=16, n_layers=1),
    training=TrainingConfig(epochs=1),
)
SEEDS = (0, 1, 2)


@dataclasses.dataclass(frozen=True)
class Data:
    """What a model may learn from and be chosen by. The test part is not here."""

    train: TensorDataset
    validation: TensorDataset
    mean: float  # of the training pixels, 0 to 1
    std: float


def load(config: Config, verify: bool = True) -> Data:
    """The training images and those held out from them, with mean 0 and variance 1."""
    part = load_fashion_mnist(verify=verify).train
    order = torch.randperm(len(part.labels), generator=torch.Generator().manual_seed(0))
    cut = len(order) - config.held_out
    index = order[:cut][: config.limit], order[cut:][: config.limit]
    pixels = part.images[index[0]].float() / 255
    mean, std = pixels.mean().item(), pixels.std().item()
    train, validation = (
        as_dataset(ImagePart(part.images[i], part.labels[i]), mean, std) for i in index
    )
    return Data(train, validation, mean, std)


def as_dataset(part: ImagePart, mean: float, std: float) -> TensorDataset:
    """Pixels as numbers around 0, with their labels."""
    return TensorDataset((part.images.float() / 255 - mean) / std, part.labels)


def augment(max_shift: int):
    """Mirror half of the images and move each by a few pixels."""

    def change(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        mirrored = (torch.rand(len(images)) < 0.5).to(images.device)[:, None, None, None]
        images = torch.where(mirrored, images.flip(-1), images)
        return random_shift(images, max_shift, fill="edge")

    return change


def make_model(config: Config) -> nn.Module:
    """The Vision Transformer of the chapter."""
    return ImageClassifier(
        28, config.patch_size, n_classes=10, config=config.encoder, stride=config.stride
    )


def train(
    config: Config, data: Data, seed: int, model: nn.Module | None = None, **watch: Any
) -> tuple[nn.Module, list[dict]]:
    """Train one model; the weights of the epoch with the best validation loss are kept."""
    seed_everything(seed)
    model = make_model(config) if model is None else model
    history = fit(
        model,
        DataLoader(data.train, config.batch_size, shuffle=True),
        DataLoader(data.validation, 500),
        config.training,
        augment=augment(config.max_shift),
        device=device(),
        **watch,
    )
    return model, history


def score(model: nn.Module, dataset: TensorDataset) -> dict[str, float]:
    """Accuracy in per cent and mean loss, dropout off."""
    numbers = evaluate(model, DataLoader(dataset, 500), device())
    return {"accuracy": 100 * numbers["accuracy"], "loss": numbers["loss"]}


def validate(config: Config, data: Data, model: nn.Module) -> dict[str, float]:
    """Scores on the images that were held out from the training part."""
    return score(model, data.validation)


def test(config: Config, data: Data, model: nn.Module, verify: bool) -> dict[str, float]:
    """Scores on the official test part. Only here is it looked at, after training."""
    dataset = as_dataset(load_fashion_mnist(verify=verify).test, data.mean, data.std)
    return score(model, dataset) | {"images": len(dataset)}


class SmallCNN(nn.Sequential):
    """Three convolutions, as many parameters as the encoder, and the same training."""

    def __init__(self, width: int):
        super().__init__(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(36 * width, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )


def baselines(config: Config, data: Data, verify: bool) -> list[dict[str, Any]]:
    """Logistic regression, an SVM with a Gaussian kernel, and a convolutional network."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    dataset = as_dataset(load_fashion_mnist(verify=verify).test, data.mean, data.std)

    def flat(
        part: TensorDataset, size: int | None = None
    ) -> tuple[Float[Tensor, "B P"], Int[Tensor, " B"]]:
        return part.tensors[0][:size].flatten(1), part.tensors[1][:size]

    found = []
    for name, make, strengths, size in (
        ("logistic regression", lambda c: LogisticRegression(C=c, max_iter=200), (0.001, 0.01),
         20000),
        ("SVM, Gaussian kernel", lambda c: SVC(C=c, gamma="scale"), (10.0,), 20000),
    ):  # fmt: skip
        start = time.process_time()
        best, validated = best_of(
            make,
            strengths,
            lambda model, size=size: model.fit(*flat(data.train, size)).score(
                *flat(data.validation)
            ),
        )
        model = make(best).fit(*flat(data.train, size))
        found.append(
            {
                "name": name,
                "config": {"C": best, "images": min(size, len(data.train))},
                "validation": {"accuracy": validated},
                "test": {"accuracy": 100 * model.score(*flat(dataset))},
                "cpu_seconds": time.process_time() - start,
            }
        )

    start = time.process_time()
    width = 48
    choices = dataclasses.replace(config.training, epochs=min(8, config.training.epochs), ema=None)
    seed_everything(0)
    small = dataclasses.replace(config, training=choices)
    model, _ = train(small, data, 0, model=SmallCNN(width), progress=False)
    found.append(
        {
            "name": "convolutional network",
            "config": {
                "width": width,
                "parameters": sum(p.numel() for p in model.parameters()),
                "epochs": choices.epochs,
            },
            "validation": score(model, data.validation),
            "test": score(model, dataset),
            "cpu_seconds": time.process_time() - start,
        }
    )
    return found


def download() -> None:
    """Fetch the files."""
    load_fashion_mnist(download=True)
