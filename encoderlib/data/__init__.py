"""Data sets that need no network, and what is done to their examples (chapters 02 and 14)."""

from encoderlib.data.digits import WRITER_STARTS, Digits, LabelledImages, load_digits, random_shift

__all__ = ["WRITER_STARTS", "Digits", "LabelledImages", "load_digits", "random_shift"]
