"""Several processes train one model: each has a part of every joint batch (chapter 09).

``torchrun --nproc-per-node 2 script.py`` starts the script twice and sets RANK, WORLD_SIZE and
LOCAL_RANK. The gradient of the mean loss over a joint batch of n labels is

    g = (1 / n) sum over ranks r of (sum over the labels of rank r of their loss's gradient)

so each rank adds up its own part, the parts are summed, and the sum is divided by n. Ranks with
different numbers of labels, or with none, need no special case. `DistributedDataParallel` takes
the mean of the ranks' means instead, wants a backward pass on every rank, and hides the model
behind a wrapper; what it has beyond this is that it sends while the backward pass goes on.
"""

import datetime
import os
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["Ranks", "join_ranks"]


class Ranks:
    """The processes that train together; with ``size`` 1 each method gives back what it got.

    Every rank must call the same methods in the same order.

    Args:
        rank: number of this process, from 0.
        size: number of processes.
        device: where this process trains.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | str = "cpu"):
        self.rank, self.size, self.device = rank, size, torch.device(device)

    def broadcast(self, thing: Any) -> Any:
        """The ``thing`` of rank 0, for all."""
        if self.size == 1:
            return thing
        things = [thing]
        dist.broadcast_object_list(things, src=0)
        return things[0]

    def gather(self, thing: Any) -> list:
        """The things of all ranks, in order."""
        if self.size == 1:
            return [thing]
        things = [None] * self.size
        dist.all_gather_object(things, thing)
        return things

    def sum(self, numbers: dict[str, float | int]) -> dict[str, float | int]:
        """For each name the sum over the ranks that have it."""
        parts = self.gather(numbers)
        names = dict.fromkeys(name for part in parts for name in part)  # each once, in order
        return {name: sum(part.get(name, 0.0) for part in parts) for name in names}

    def sum_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its sum over the ranks.

        A parameter that no rank used keeps None: AdamW leaves it alone, as with one process.
        """
        if self.size == 1:
            return
        parameters = [p for p in model.parameters() if p.requires_grad]
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([part.flatten() for part in parts] + [used])  # one message, not many
        dist.all_reduce(flat)
        *sums, used = flat.split([p.numel() for p in parameters] + [len(parameters)])
        for p, total, count in zip(parameters, sums, used.tolist(), strict=True):
            p.grad = total.view_as(p).to(p.dtype) if count else None

    def copy_weights(self, model: nn.Module) -> None:
        """Give every rank the parameters and stored buffers of rank 0."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)


def join_ranks(device: torch.device | str = "cpu", timeout: float | int = 600) -> Ranks:
    """The processes that `torchrun` started, connected; without `torchrun` one alone.

    The CPU talks over gloo, CUDA over NCCL; a CUDA device without a number becomes that of
    LOCAL_RANK. The connection stays open until the process ends, since the next call uses it
    (torchrun's meeting point cannot be used twice), as it uses one that you made yourself.

    Args:
        device: where to train.
        timeout: seconds that a rank waits for the others before it raises an error.
    """
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=datetime.timedelta(seconds=timeout))
    if not dist.is_initialized():
        return Ranks(device=device)
    return Ranks(dist.get_rank(), dist.get_world_size(), device)
