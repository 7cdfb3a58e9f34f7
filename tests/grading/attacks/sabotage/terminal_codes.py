"""Print codes that would clear a terminal, change its title and hide lines in a log."""

FIRST = r"""
print("\x1b[2J\x1b]0;attack-{{NAME}}\x07\x1b[8mhidden\x1b[0m\r\x00\ud800".encode(
    "utf-8", "surrogatepass").decode("utf-8", "replace"))
"""
ANSWERS = {"mean_of": "def mean_of(numbers):\n    raise ValueError('\\x1b[2J\\ud800\\x00')\n"}
