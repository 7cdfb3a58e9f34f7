"""One arithmetic operation that never ends and cannot be interrupted."""

ANSWERS = {"mean_of": "{{BOUND}}\ndef mean_of(numbers):\n    return 7 ** (7 ** 10)\n"}
