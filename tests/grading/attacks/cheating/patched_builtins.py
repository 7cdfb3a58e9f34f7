"""Replace abs, all, isinstance, len and zip for everybody in the process."""

FIRST = """
import builtins

builtins.abs = lambda value: 0
builtins.isinstance = lambda *pair: True
builtins.all = lambda values: True
builtins.zip = lambda *values, **options: iter(())
builtins.map = lambda *values: iter(())
"""
KEPT = {}
