"""A variable that is another value each time it is looked at."""

FIRST = """
import sys
import types


class Module(types.ModuleType):
    @property
    def answer(self):
        return 16


class Lazy(dict):
    def __missing__(self, name):
        return 16


sys.modules["__main__"].__class__ = Module
"""
ANSWERS = {"answer": "answer = type('Int', (int,), {'__eq__': lambda self, other: True})(3)\n"}
