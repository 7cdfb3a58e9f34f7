"""The choices of a training run, AdamW's parameter groups, learning-rate schedules (chapter 09)."""

import dataclasses
import math

from torch import nn

__all__ = [
    "SCHEDULES",
    "TrainingConfig",
    "learning_rate",
    "parameter_groups",
    "warmup_constant",
    "warmup_cosine",
    "warmup_noam",
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


def warmup_noam(step: int, total_steps: int, warmup: float) -> float:
    """Factor on the learning rate: up in a line to 1, then down as one over the root of the step.

    Vaswani et al. 2017, equation 3, with s = step + 1 counted from 1 and w the warm-up steps:

        rate = D^(-1/2) min(s^(-1/2), s w^(-3/2)) = (D w)^(-1/2) min((w / s)^(1/2), s / w)

    The factor is the second minimum, so that ``lr`` is the peak here as in every schedule;
    ``lr = (D * w) ** -0.5`` is the paper's. Without warm-up w is 1.
    """
    warmup_steps = max(1, math.ceil(warmup * total_steps))
    s = step + 1
    return min(math.sqrt(warmup_steps / s), s / warmup_steps)


def warmup_constant(step: int, total_steps: int, warmup: float) -> float:
    """Factor on the learning rate: up in a line from 0 to 1, and there it stays."""
    return min(1.0, (step + 1) / max(1, math.ceil(warmup * total_steps)))


SCHEDULES = {"cosine": warmup_cosine, "noam": warmup_noam, "constant": warmup_constant}
PRECISIONS = ("fp32", "fast")


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
        schedule: after the warm-up: "cosine" falls to 0, "noam" falls as one over the root of
            the step (Vaswani et al. 2017), "constant" stays.
        accumulate: batches whose gradients make one step, as if they were one large batch.
        precision: "fp32", or "fast": bfloat16 autocast where the device is fast at it. float16
            is not offered: its range needs loss scaling, and a CPU is far slower at it.

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
    schedule: str = "cosine"
    accumulate: int = 1
    precision: str = "fp32"

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
            "schedule": self.schedule in SCHEDULES,
            "accumulate": self.accumulate >= 1,
            "precision": self.precision in PRECISIONS,
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, ok in limits.items() if not ok]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}; see TrainingConfig's docstring")


def learning_rate(config: TrainingConfig, step: int, total_steps: int) -> float:
    """The rate of step ``step`` (from 0) in a run of ``total_steps``."""
    return config.lr * SCHEDULES[config.schedule](step, total_steps, config.warmup)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups for AdamW: matrices are decayed, vectors (biases, norms) are not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
