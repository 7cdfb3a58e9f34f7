"""Interleaved runs in one process, ratios of neighbours, and what they ran on."""

import datetime
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch

Clock = Callable[[], float]
Run = Callable[[], object]


def clock_for(device: torch.device, threads: int) -> Clock:
    """What to time with: CPU time for one thread, else wall time after the device is done.

    CPU time does not count while another program has the core.
    """
    if device.type == "cuda":
        return lambda: (torch.cuda.synchronize(device), time.perf_counter())[1]
    return time.process_time if threads == 1 else time.perf_counter


def reason(error: Exception) -> str:
    """One line for a table: the kind of error and how its message begins."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else ''}".replace("|", "/")
    return text if len(text) <= 160 else text[:157] + "..."


def interleave(
    runs: dict[str, Run],
    clock: Clock,
    budget: float,
    least: int = 3,
    most: int = 41,
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Let the runs take turns: round r of each gives ``seconds[name][r]``.

    Who goes first rotates. Rounds end when the budget of wall seconds is spent, but not before
    ``least`` and not after ``most`` of them. A run that raises is left out of the rest, with
    the reason in the second dictionary.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    failed: dict[str, str] = {}

    def timed(name: str) -> float:
        start = clock()
        try:
            runs[name]()
        except Exception as error:  # out of memory, not supported: a result, not a crash
            failed[name] = reason(error)
        if name in failed and torch.cuda.is_available():
            torch.cuda.empty_cache()  # what it had taken
        return clock() - start

    for name in runs:  # warm up; the second time only what is quick
        if timed(name) < 0.1 and name not in failed:
            timed(name)
    start = time.perf_counter()
    for i in range(most):
        if i >= least and time.perf_counter() - start > budget:
            break
        names = [name for name in runs if name not in failed]
        turn = i % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            seconds[name].append(timed(name))
    return {name: times for name, times in seconds.items() if name not in failed}, failed


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Quartiles of the ratios of neighbouring runs, not the ratio of two medians."""
    return quartiles([a / b for a, b in zip(ours, theirs, strict=True)])


def machine(device: torch.device) -> str:
    """The processor or GPU, the system, and how many threads torch uses."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.split(":", 1)[1].strip() for line in info if line[:10] == "model name"]
        processor = names[0] if names else processor
    except OSError:
        pass
    threads = torch.get_num_threads()
    plural = "" if threads == 1 else "s"
    return f"{processor}, {os.cpu_count()} cores, {threads} thread{plural}, {platform.system()}"


def versions() -> str:
    """The packages that are compared."""
    found = [f"torch {torch.__version__}"]
    for name in ("transformers", "x-transformers"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def today() -> str:
    """The date, in ISO form."""
    return datetime.date.today().isoformat()
