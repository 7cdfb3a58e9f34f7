"""The state of a training run: one step, the end of an epoch, save and resume (chapter 09)."""

import contextlib
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from encoderlib.runtime import fast
from encoderlib.training.averaging import EarlyStopping, WeightAverage
from encoderlib.training.batches import batch_size, move, set_epoch, stream
from encoderlib.training.checkpoint import (
    Checkpoints,
    Interrupt,
    differences,
    fingerprint,
    random_state,
    set_random_state,
)
from encoderlib.training.distributed import Ranks
from encoderlib.training.losses import Loss, add_batch
from encoderlib.training.optim import TrainingConfig, learning_rate, parameter_groups

__all__ = ["Run"]

COUNTS = ("epoch", "step", "batch", "samples", "sums", "seconds", "done", "history")
log = logging.getLogger(__name__)


class Run:
    """Everything that changes while training, which is what a checkpoint holds.

    Args:
        model: trained in place.
        train: the training batches.
        config: the run's choices.
        ranks: the processes that train together.
        generators: random numbers that checkpoints hold besides the global ones.

    Attributes:
        step: steps so far.
        batch: this rank's batches so far in this epoch.
        sums: of this epoch so far, over all ranks: loss, count and metrics.
        samples: of this epoch so far, over all ranks.
        candidate: the model to validate and keep, which is the average if there is one.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Iterable,
        config: TrainingConfig,
        ranks: Ranks,
        generators: Sequence[torch.Generator] = (),
    ):
        if len(train) < ranks.size:
            raise ValueError(f"{len(train)} batches for {ranks.size} processes: use fewer")
        self.model, self.train, self.config, self.ranks = model, train, config, ranks
        self.generators = generators
        model.to(ranks.device)
        ranks.copy_weights(model)
        if ranks.rank > 0:  # dropout of its own; the order of the batches is that of rank 0
            torch.manual_seed((torch.initial_seed() + ranks.rank) % 2**63)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, config.weight_decay), lr=config.lr, fused=True
        )
        self.average = None if config.ema is None else WeightAverage(model, config.ema)
        self.stopping = EarlyStopping(config.patience)
        self.candidate = model if self.average is None else self.average.module
        self.steps = -(-len(train) // (config.accumulate * ranks.size))  # an epoch's
        self.history: list[dict[str, float | int]] = []
        self.epoch = self.step = self.batch = self.samples = 0
        self.sums: dict[str, float] = {}
        self.seconds, self.done, self.interrupted = 0.0, False, False
        self.epoch_random: dict[str, Any] = {}
        self.fingerprint = fingerprint(config, model, batches=len(train), ranks=ranks.size)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.config, self.step, self.config.epochs * self.steps)

    def batches(self) -> Iterator[list]:
        """The rest of this epoch, ``accumulate`` batches at a time."""
        set_epoch(self.train, self.epoch)
        now = random_state(self.ranks.device, self.generators)
        if self.batch == 0:
            self.epoch_random = now
        else:  # draw the order again, then go on with the random numbers of now
            set_random_state(self.epoch_random, self.ranks.device, self.generators)
        found = stream(self.train, self.ranks, self.batch)
        if self.batch:
            set_random_state(now, self.ranks.device, self.generators)
        self.model.train()
        while group := list(itertools.islice(found, self.config.accumulate)):
            yield group

    def precision(self) -> contextlib.AbstractContextManager:
        """Of the forward pass and the loss."""
        chosen = self.config.precision == "fast"
        return fast(self.ranks.device) if chosen else contextlib.nullcontext()

    def update(
        self,
        batches: list,
        loss: Loss,
        augment: Callable[[Tensor], Tensor] | None = None,
        interrupt: Interrupt | None = None,
    ) -> float:
        """One step on the joint batch, all labels of ``batches`` of all ranks; its mean loss.

            g = (1 / n) sum over batches b of n_b * (gradient of the mean loss of b)

        If any rank's ``interrupt`` was asked for, ``.interrupted`` is set on all.

        Raises:
            FloatingPointError: if the loss is not finite, on any rank; the weights still are.
        """
        self.optimizer.zero_grad(set_to_none=True)
        alone = self.ranks.size == len(batches) == 1
        sums = {"loss": 0.0, "count": 0.0, "samples": 0.0}
        for batch in batches:
            if batch is None:  # the other ranks have one more
                continue
            batch = move(batch, self.ranks.device)
            if augment is not None:
                if not isinstance(batch, tuple):
                    raise ValueError("augment changes the first of a tuple; got a dict")
                batch = (augment(batch[0]), *batch[1:])
            with self.precision():
                mean, count, metrics = loss(self.model, batch)
            (mean if alone else mean * count).backward()
            add_batch(sums, mean.item(), count, {**metrics, "samples": batch_size(batch)})
        sums["stop"] = float(interrupt is not None and interrupt.asked)
        sums = self.ranks.sum(sums)
        self.ranks.sum_gradients(self.model)
        count = max(1.0, sums["count"])
        joint = sums["loss"] / count
        if not math.isfinite(joint):
            raise FloatingPointError(
                f"loss is {joint} at step {self.step % self.steps}; lower lr={self.config.lr}, "
                "or check the inputs and masks for NaN"
            )
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        if not alone:
            for p in parameters:
                p.grad.div_(count)
        if self.config.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.step()
        if self.average is not None:
            self.average.step(self.model)
        self.step, self.batch = self.step + 1, self.batch + len(batches)
        self.interrupted = sums.pop("stop") > 0
        self.samples += int(sums.pop("samples"))
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        return joint

    def end_epoch(self, row: dict[str, float | int]) -> bool:
        """Note the epoch's numbers; True if its validation loss is the best so far."""
        self.history.append(row)
        stop = "val_loss" in row and self.stopping.step(row["val_loss"], self.epoch, self.candidate)
        best = self.stopping.best_epoch == self.epoch
        self.epoch, self.batch, self.samples = self.epoch + 1, 0, 0
        self.sums, self.seconds = {}, 0.0
        self.done = stop or self.epoch == self.config.epochs
        return best

    def save(self, checkpoints: Checkpoints, best: bool = False) -> None:
        """Write everything down; only rank 0 writes."""
        state = {name: getattr(self, name) for name in COUNTS}
        state |= {name: part.state_dict() for name, part in self._parts().items()}
        now = random_state(self.ranks.device, self.generators)
        state["random"] = self.ranks.gather((self.epoch_random, now))
        state["fingerprint"] = self.fingerprint
        if self.ranks.rank == 0:
            checkpoints.save(state, self.step, best)
        self.ranks.broadcast(None)  # the others wait: if one ended now, torchrun would end rank 0

    def resume(self, checkpoints: Checkpoints) -> None:
        """Go on from the newest checkpoint that is whole, if there is one.

        Raises:
            ValueError: if it is of another run, or if all are damaged.
        """
        found = self.ranks.broadcast(checkpoints.load() if self.ranks.rank == 0 else None)
        if found is None:
            return
        path, state = found
        if changed := differences(state["fingerprint"], self.fingerprint):
            raise ValueError(
                f"{path} is of another run: {'; '.join(changed)}; go on with the same choices, or "
                "start in another folder"
            )
        for name in COUNTS:
            setattr(self, name, state[name])
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch_random, now = state["random"][self.ranks.rank]
        set_random_state(now, self.ranks.device, self.generators)
        log.info("going on from %s", path)

    def _parts(self) -> dict[str, Any]:
        """What has a state dict of its own."""
        parts = {"model": self.model, "optimizer": self.optimizer, "stopping": self.stopping}
        return parts if self.average is None else parts | {"average": self.average}

    def finish(self) -> list[dict[str, float | int]]:
        """Put the weights to keep into the model; the history."""
        if self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())
        self.stopping.restore(self.model)
        self.model.eval()
        return self.history
