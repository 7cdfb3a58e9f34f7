"""Print 100 MB in one call."""

ANSWERS = {
    "mean_of": """
def mean_of(numbers):
    line = "x" * 999_999
    for _ in range(100):
        print(line)
    return 0
"""
}
