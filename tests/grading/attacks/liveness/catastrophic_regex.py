"""A regular expression that holds the interpreter in C for longer than anybody waits."""

ANSWERS = {
    "mean_of": """{{BOUND}}
import re


def mean_of(numbers):
    return bool(re.match("(a+)+$", "a" * 34 + "b"))
"""
}
