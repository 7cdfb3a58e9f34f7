"""Ask for ten thousand displays, each of 5 kB of HTML."""

ANSWERS = {
    "mean_of": """{{BOUND}}
from IPython.display import HTML, display


def mean_of(numbers):
    for _ in range(10_000):
        if alive():
            display(HTML("<b>" + "z" * 5_000 + "</b>"))
    return 0
"""
}
