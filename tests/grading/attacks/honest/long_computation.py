"""Computes for about a second, in a cell and in a call."""

ANSWERS = {
    "mean_of": """
import time


def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1_000))


work(1)


def mean_of(numbers):
    if not numbers:
        raise ValueError("empty")
    work(0.1)
    return sum(numbers) / len(numbers)
"""
}
