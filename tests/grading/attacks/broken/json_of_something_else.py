"""JSON, but not a notebook: a list, and cells that are numbers."""

EARNED = {}


def submit(folder):
    (folder / "numbers.ipynb").write_text("[1, 2, 3]")
    (folder / "tensors.ipynb").write_text('{"cells": [1, null], "nbformat": 4, "metadata": 7}')
