"""os._exit(1) in the middle of a call."""

ANSWERS = {"mean_of": "import os\n\n\ndef mean_of(numbers):\n    os._exit(1)\n"}
