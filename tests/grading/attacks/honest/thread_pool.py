"""Uses a pool of threads inside a call and closes it."""

ANSWERS = {
    "mean_of": """
from concurrent.futures import ThreadPoolExecutor


def mean_of(numbers):
    if not numbers:
        raise ValueError("empty")
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(float, numbers)) / len(numbers)
"""
}
