"""One readable training loop (chapter 09): one process or several, stopped and gone on with.

AdamW with weight decay on matrices only (Loshchilov, Hutter 2019), warm-up then decay of the
learning rate, gradient clipping, label smoothing, an exponential moving average of the weights,
and early stopping that gives back the best weights.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from encoderlib.training.batches import generators_of, move, stream
from encoderlib.training.checkpoint import Checkpoints, Interrupt
from encoderlib.training.distributed import Ranks, join_ranks
from encoderlib.training.loggers import Logger
from encoderlib.training.losses import Loss, add_batch, cross_entropy_loss, means
from encoderlib.training.optim import TrainingConfig
from encoderlib.training.run import Run

__all__ = ["evaluate", "fit"]


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable,
    device: torch.device | str = "cpu",
    loss: Loss = cross_entropy_loss,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Mean loss and metrics over all *samples*, dropout off; the model's mode is put back.

    Means are over samples: a mean of batch means would weigh a small last batch too much.

    Args:
        model: what ``loss`` calls.
        batches: as for `fit`.
        device: where to compute.
        loss: as for `fit`; the default gives "accuracy".
        ranks: several processes that each have other batches; the numbers are over all.

    Raises:
        ValueError: if there is no batch, or nothing in them that counts.
    """
    was_training = model.training
    model.eval()
    sums = {"count": 0.0}
    for batch in batches:
        if batch is not None:
            mean, count, metrics = loss(model, move(batch, device))
            add_batch(sums, mean.item(), count, metrics)
    model.train(was_training)
    sums = (ranks or Ranks()).sum(sums)
    if sums["count"] == 0:
        raise ValueError("nothing to evaluate: the data set gave no batch, or no label that counts")
    return means(sums)


def fit(
    model: nn.Module,
    train: Iterable,
    validation: Iterable | None = None,
    config: TrainingConfig | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
    *,
    loss: Loss | None = None,
    checkpoint: str | os.PathLike | Checkpoints | None = None,
    every: int | None = None,
    loggers: Sequence[Logger] = (),
    generators: Sequence[torch.Generator] = (),
) -> list[dict[str, float | int]]:
    """Train a model in place; return one row of numbers an epoch.

    Under ``torchrun --nproc-per-node n`` the same call trains with n processes, each on its
    share of the batches: one step is then on n times ``config.accumulate`` batches.

    Args:
        model: moved to ``device``.
        train: batches ``(*inputs, labels)``, or dicts, with a length, such as a `DataLoader`.
        validation: batches for early stopping; with it, the best epoch's weights are restored.
        config: the run's choices.
        augment: applied to the first tensor of each training batch, on the device.
        device: where to train.
        progress: show a tqdm bar.
        loss: ``loss(model, batch)`` gives the mean loss, the number of labels it is a mean of,
            and sums of metrics over them; default: `cross_entropy_loss` with the label
            smoothing of ``config``, and in validation without.
        checkpoint: a folder. Checkpoints are written there after each epoch and on Ctrl-C, and
            if there are some already the run goes on from the newest, to the same final weights.
        every: steps from one further checkpoint to the next.
        loggers: are told the numbers of each step and epoch.
        generators: which ``augment`` or the data draw from, for checkpoints to hold;
            those of the loaders are found.

    Returns:
        Rows with epoch, lr, train_loss (with label smoothing, as it was minimised),
        train_accuracy, seconds, and with validation val_loss and val_accuracy.

    Raises:
        ValueError: if ``train`` is empty or has fewer batches than there are processes, if
            early stopping is asked for without validation, if a loss of your own meets label
            smoothing, if ``every`` has no checkpoint or is below 1, if the checkpoint is of another
            run (says which choice differs).
        FloatingPointError: if the loss is no longer finite; says at which step.
    """
    config = TrainingConfig() if config is None else config
    if len(train) == 0:
        raise ValueError("nothing to train on: the data set gave no batch")
    if config.patience is not None and validation is None:
        raise ValueError("patience needs validation data to watch; give validation or no patience")
    if loss is not None and config.label_smoothing:
        raise ValueError("label_smoothing is for the default loss; build it into your own")
    if every is not None and (checkpoint is None or every < 1):
        raise ValueError(f"every={every} must be at least 1 and needs a checkpoint folder")
    train_loss = loss or functools.partial(
        cross_entropy_loss, label_smoothing=config.label_smoothing
    )
    if checkpoint is not None and not isinstance(checkpoint, Checkpoints):
        checkpoint = Checkpoints(checkpoint)

    ranks = join_ranks(device)
    with contextlib.ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt(checkpoint is not None))
        chief = ranks.rank == 0
        loggers = [stack.enter_context(contextlib.closing(it)) for it in loggers if chief]
        run = Run(model, train, config, ranks, [*generators_of(train, validation), *generators])
        if checkpoint is not None:
            run.resume(checkpoint)
        bar = tqdm(
            total=config.epochs * run.steps,
            initial=run.step,
            desc="training",
            unit="step",
            disable=not (progress and chief),
        )
        stack.enter_context(bar)
        while not run.done:
            start = time.perf_counter() - run.seconds
            for batches in run.batches():
                row = {"loss": run.update(batches, train_loss, augment, interrupt)}
                run.seconds = time.perf_counter() - start
                row |= {
                    "lr": run.optimizer.param_groups[0]["lr"],
                    "samples_per_second": run.samples / run.seconds,
                }
                bar.set_postfix({name: f"{x:.3g}" for name, x in row.items()}, refresh=False)
                bar.update()
                for logger in loggers:
                    logger.step({"step": run.step, "epoch": run.epoch, **row})
                due = every is not None and run.step % every == 0
                if checkpoint is not None and (due or run.interrupted):
                    run.save(checkpoint)
                if run.interrupted:
                    raise KeyboardInterrupt
            row = {
                "epoch": run.epoch,
                "lr": run.lr,
                **{f"train_{name}": x for name, x in means(run.sums).items()},
                "seconds": run.seconds,
            }
            if validation is not None:
                ranks.copy_weights(run.candidate)  # statistics of batches differ between ranks
                shares = stream(validation, ranks)
                with run.precision():
                    scores = evaluate(
                        run.candidate, shares, ranks.device, loss or cross_entropy_loss, ranks
                    )
                row |= {f"val_{name}": value for name, value in scores.items()}
            best = run.end_epoch(row)
            for logger in loggers:
                logger.epoch({"step": run.step, **row})
            if checkpoint is not None:
                run.save(checkpoint, best)
        return run.finish()
