"""A subclass of ndarray whose comparisons are always true, with __array_function__ and ufuncs."""

FIRST = """
import numpy as np


class Lie(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, dtype=bool)

    __le__ = __ge__ = __eq__

    def __array_function__(self, function, types, arguments, options):
        return True

    def __array_ufunc__(self, function, method, *inputs, **options):
        return np.ones(self.shape, dtype=bool)
"""
ANSWERS = {"double": "def double(array):\n    return np.zeros(array.shape).view(Lie)\n"}
EARNED = {}
