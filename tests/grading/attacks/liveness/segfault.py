"""Read from address zero."""

ANSWERS = {"mean_of": "import ctypes\n\n\ndef mean_of(numbers):\n    return ctypes.string_at(0)\n"}
