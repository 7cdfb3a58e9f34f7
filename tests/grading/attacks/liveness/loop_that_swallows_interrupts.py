"""A loop that catches KeyboardInterrupt and everything else, and goes on."""

ANSWERS = {
    "mean_of": """{{BOUND}}
def mean_of(numbers):
    while alive():
        try:
            while alive():
                pass
        except BaseException:
            continue
"""
}
