"""An array of 400 MB as result."""

ANSWERS = {
    "mean_of": "import numpy as np\n\n\ndef mean_of(numbers):\n    return np.zeros(50_000_000)\n"
}
