"""Which weights a run keeps: the moving average, and those of the best epoch (chapter 09)."""

import copy
import math

from torch import Tensor, nn

__all__ = ["EarlyStopping", "WeightAverage"]


class WeightAverage:
    """A copy of a model that holds the exponential moving average of its weights.

        mean <- decay * mean + (1 - decay) * weights, and mean = weights after the first step

    Whole numbers, such as a counter, are copied. Unlike `torch.optim.swa_utils.AveragedModel`
    it follows the state dict alone: a table of positions outside of it may grow. Polyak and
    Juditsky 1992; chapter 09.

    Args:
        model: is copied to ``.module``.
        decay: above 0 and below 1.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.module, self.decay, self.share = copy.deepcopy(model), decay, 1.0

    def step(self, model: nn.Module) -> None:
        """Take in the weights of ``model``."""
        state = model.state_dict()
        for name, mean in self.module.state_dict().items():
            now = state[name]
            mean.copy_(mean.lerp(now, self.share) if mean.is_floating_point() else now)
        self.share = 1.0 - self.decay  # the first step copies

    def state_dict(self) -> dict:
        """What a checkpoint holds."""
        return {"module": self.module.state_dict(), "share": self.share}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`."""
        self.module.load_state_dict(state["module"])
        self.share = state["share"]


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

    def state_dict(self) -> dict:
        """What a checkpoint holds; ``patience`` is a choice and not part of it."""
        return {"best": self.best, "best_epoch": self.best_epoch, "state": self.state}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a `state_dict`."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.state = state["state"]
