"""Twenty threads that spin after the call has returned."""

ANSWERS = {
    "mean_of": """{{BOUND}}
import threading


def spin():
    while alive():
        pass


def mean_of(numbers):
    for _ in range(20):
        threading.Thread(target=spin).start()
    return 0
"""
}
KEPT = {}
