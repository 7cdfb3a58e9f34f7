"""Raise, catch in the caller's frame through the traceback, and read what is there."""

ANSWERS = {
    "mean_of": """{{TELL}}
import inspect
import sys


class Loud(ValueError):
    def __init__(self):
        for frame in inspect.stack(context=9):
            tell(" ".join(frame.code_context or []) + " ".join(map(str, frame.frame.f_globals)))
            tell(str(frame.frame.f_code.co_consts))


def mean_of(numbers):
    raise Loud
"""
}
