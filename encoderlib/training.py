"""One readable training loop for classifiers (chapter 09).

AdamW with weight decay on matrices only (Loshchilov, Hutter 2019), linear warm-up then cosine
decay, gradient clipping, label smoothing, an exponential moving average of the weights, and
early stopping that gives back the best weights.
"""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

__all__ = [
    "EarlyStopping",
    "TrainingConfig",
    "evaluate",
    "fit",
    "parameter_groups",
    "warmup_cosine",
]


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The choices of one training run.

    Args:
        epochs: passes over the training data.
        lr: peak learning rate of AdamW.
        weight_decay: on matrices; biases, norms and single vectors are never decayed.
        warmup: share of all steps in which the rate rises from 0 to ``lr``.
        clip_norm: largest norm of the whole gradient; None for no clipping.
        label_smoothing: share of the target probability that is spread over all classes.
        ema: decay of the moving average of the weights, which is then what is validated
            and returned; None for none. 0.99 averages over about 100 steps.
        patience: epochs without a better validation loss before stopping; None for never.

    Raises:
        ValueError: says which field is wrong and what it may be.
    """

    epochs: int = 10
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip_norm: float | None = 1.0
    label_smoothing: float = 0.0
    ema: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        limits = {
            "epochs": self.epochs >= 1,
            "lr": self.lr > 0,
            "weight_decay": self.weight_decay >= 0,
            "warmup": 0 <= self.warmup < 1,
            "clip_norm": self.clip_norm is None or self.clip_norm > 0,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "ema": self.ema is None or 0 < self.ema < 1,
            "patience": self.patience is None or self.patience >= 1,
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, ok in limits.items() if not ok]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}; see TrainingConfig's docstring")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups for AdamW: matrices are decayed, vectors (biases, norms) are not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


def warmup_cosine(step: int, total_steps: int, warmup: float) -> float:
    """Factor on the learning rate: up in a line from 0 to 1, then down a half cosine to 0.

    ``step`` counts from 0; the first step already moves (its factor is above 0).
    """
    warmup_steps = math.ceil(warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


class EarlyStopping:
    """Stop when a loss has not improved for ``patience`` epochs, and keep the best weights.

    NaN counts as "not better".
    """

    def __init__(self, patience: int | None):
        self.patience = patience
        self.best = math.inf
        self.best_epoch = -1
        self.state: dict[str, Tensor] | None = None

    def step(self, loss: float, epoch: int, model: nn.Module) -> bool:
        """Note this epoch's loss; True when it is time to stop."""
        if loss < self.best:
            self.best, self.best_epoch = loss, epoch
            self.state = copy.deepcopy(model.state_dict())
        return self.patience is not None and epoch - self.best_epoch >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Give ``model`` the weights of the best epoch."""
        if self.state is not None:
            model.load_state_dict(self.state)


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Mean loss and accuracy over all *samples*, dropout off; the model's mode is put back.

    Means are over samples: a mean of batch means would weigh a small last batch too much.

    Raises:
        ValueError: if there is no batch.
    """
    was_training = model.training
    model.eval()
    loss = correct = count = 0
    for inputs, labels in batches:
        logits, labels = model(inputs.to(device)), labels.to(device)
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += (logits.argmax(dim=-1) == labels).sum().item()
        count += labels.numel()
    model.train(was_training)
    if count == 0:
        raise ValueError("nothing to evaluate: the data set gave no batch")
    return {"loss": loss / count, "accuracy": correct / count}


def fit(
    model: nn.Module,
    train: Iterable[tuple[Tensor, Tensor]],
    validation: Iterable[tuple[Tensor, Tensor]] | None = None,
    config: TrainingConfig | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> list[dict[str, float | int]]:
    """Train a classifier in place; return one row of numbers an epoch.

    Args:
        model: inputs to logits ``(B, C)``; moved to ``device``.
        train: batches ``(inputs, labels)`` with a length, such as a `DataLoader`.
        validation: batches for early stopping; with it, the best epoch's weights are restored.
        config: the run's choices.
        augment: applied to each batch of training inputs, on the device.
        device: where to train.
        progress: show a tqdm bar.

    Returns:
        Rows with epoch, lr, train_loss (with label smoothing, as it was minimised),
        train_accuracy, seconds, and with validation val_loss and val_accuracy.

    Raises:
        ValueError: if ``train`` is empty, or early stopping is asked for without validation.
        FloatingPointError: if the loss is no longer finite; says at which step.
    """
    config = TrainingConfig() if config is None else config
    if len(train) == 0:
        raise ValueError("nothing to train on: the data set gave no batch")
    if config.patience is not None and validation is None:
        raise ValueError("patience needs validation data to watch; give validation or no patience")
    model.to(device).train()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, config.weight_decay), lr=config.lr, fused=True
    )
    total_steps = config.epochs * len(train)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, total_steps, config.warmup)
    )
    average = None if config.ema is None else _Average(model, config.ema)
    stopping = EarlyStopping(config.patience)
    history: list[dict[str, float | int]] = []

    epochs = tqdm(range(config.epochs), desc="training", unit="epoch", disable=not progress)
    for epoch in epochs:
        start = time.perf_counter()
        row = _train_epoch(model, train, config, augment, device, optimizer, schedule, average)
        row = {"epoch": epoch, "lr": schedule.get_last_lr()[0], **row}
        row["seconds"] = time.perf_counter() - start
        candidate = model if average is None else average.module
        if validation is not None:
            scores = evaluate(candidate, validation, device)
            row |= {f"val_{name}": value for name, value in scores.items()}
        history.append(row)
        epochs.set_postfix({k: f"{v:.3f}" for k, v in row.items() if "loss" in k or "acc" in k})
        if validation is not None and stopping.step(row["val_loss"], epoch, candidate):
            break
    epochs.close()

    if average is not None:
        model.load_state_dict(average.module.state_dict())
    stopping.restore(model)
    model.eval()
    return history


class _Average:
    """A copy of a model with the moving average of its state; buffers outside of it may grow."""

    def __init__(self, model: nn.Module, decay: float):
        self.module, self.decay, self.share = copy.deepcopy(model), decay, 1.0

    def step(self, model: nn.Module) -> None:
        state = model.state_dict()
        for name, mean in self.module.state_dict().items():
            now = state[name]  # whole numbers, such as a counter, are copied
            mean.copy_(mean.lerp(now, self.share) if mean.is_floating_point() else now)
        self.share = 1.0 - self.decay  # the first step copies


def _train_epoch(model, train, config, augment, device, optimizer, schedule, average):
    """One pass over the training data: mean loss and accuracy over its samples."""
    model.train()
    loss_sum = correct = count = 0
    for step, (inputs, labels) in enumerate(train):
        inputs, labels = inputs.to(device), labels.to(device)
        logits = model(augment(inputs) if augment else inputs)
        loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"loss is {loss.item()} at step {step}; lower lr={config.lr}, or check the inputs "
                "and masks for NaN"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
        if average is not None:
            average.step(model)
        loss_sum += loss.item() * labels.numel()
        correct += (logits.argmax(dim=-1) == labels).sum().item()
        count += labels.numel()
    return {"train_loss": loss_sum / count, "train_accuracy": correct / count}
