"""Make AssertionError something that a test's own `except ValueError` catches."""

FIRST = """
import builtins


class Harmless(ValueError):
    def __init__(self, *values):
        raise SystemExit


builtins.AssertionError = Harmless
"""
