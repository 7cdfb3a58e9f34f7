"""Ten megabytes of output in a cell whose answer is right: the output is cut, the points stay."""

ANSWERS = {"double": "def double(array):\n    return 2 * array\n\n\nprint('x' * 10_000_000)\n"}
