"""Open a thousand files and make ten thousand small ones."""

ANSWERS = {
    "mean_of": """
kept = []


def mean_of(numbers):
    try:
        for number in range(1_000):
            kept.append(open(f"attack-{number}", "w"))
    finally:
        for number in range(10_000):
            with open(f"attack-small-{number}", "w"):
                pass
    return 0
"""
}
KEPT = {}
