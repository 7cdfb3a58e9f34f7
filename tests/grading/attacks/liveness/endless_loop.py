"""A call that never returns."""

ANSWERS = {"mean_of": "{{BOUND}}\ndef mean_of(numbers):\n    while alive():\n        pass\n"}
