"""End the process while the first answer cell runs."""

ANSWERS = {"mean_of": "import os\n\nos._exit(0)\n"}
KEPT = {}
