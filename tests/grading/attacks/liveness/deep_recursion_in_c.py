"""Recursion without a limit, through C, until the stack ends."""

ANSWERS = {
    "mean_of": """
import sys


def mean_of(numbers):
    sys.setrecursionlimit(1_000_000)
    nested = []
    for _ in range(900_000):
        nested = [nested]
    return repr(nested)
"""
}
