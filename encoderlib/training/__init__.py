"""Training (chapter 09): one readable loop, and each thing it uses in a file of its own.

`loop` holds `fit` and `evaluate`, which is what one calls. Behind it: `optim` (configuration,
parameter groups, schedules), `losses`, `batches` (order, length buckets), `averaging` (moving
average, early stopping), `checkpoint`, `loggers`, `distributed` (several processes) and `run`,
which joins them.
"""

from encoderlib.training.averaging import EarlyStopping
from encoderlib.training.batches import LengthBucketSampler
from encoderlib.training.checkpoint import Checkpoints, load_checkpoint
from encoderlib.training.distributed import join_ranks
from encoderlib.training.loggers import CSVLogger, TensorBoardLogger
from encoderlib.training.loop import evaluate, fit
from encoderlib.training.losses import cross_entropy_loss
from encoderlib.training.optim import TrainingConfig, parameter_groups, warmup_cosine

__all__ = [
    "CSVLogger",
    "Checkpoints",
    "EarlyStopping",
    "LengthBucketSampler",
    "TensorBoardLogger",
    "TrainingConfig",
    "cross_entropy_loss",
    "evaluate",
    "fit",
    "join_ranks",
    "load_checkpoint",
    "parameter_groups",
    "warmup_cosine",
]
