"""Take 900 MiB and touch every page, where 512 are allowed."""

ANSWERS = {
    "mean_of": """
def mean_of(numbers):
    kept = []
    for _ in range(90):
        kept.append(b"x" * (10 << 20))
    return 0
"""
}
