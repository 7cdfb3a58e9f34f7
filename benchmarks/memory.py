"""Peak memory of one call, above what was there before."""

import math
import os
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


def peak(changes: list[int]) -> int:
    """The highest sum on the way, of bytes taken (positive) and given back (negative)."""
    now = highest = 0
    for change in changes:
        now += change
        highest = max(highest, now)
    return highest


def extra_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes that torch's allocator takes at most while ``run`` runs, above those before.

    On a CPU the profiler records each allocation, so the number does not depend on what else
    the process did; what a kernel takes outside of torch's allocator is not in it.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it would report each start and stop
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return peak([event.nbytes() for event in events])


def growth(short: tuple[int, float], long: tuple[int, float]) -> float:
    """The exponent p of ``memory ~ T ** p`` between two pairs (T, memory)."""
    return math.log(long[1] / short[1]) / math.log(long[0] / short[0])
