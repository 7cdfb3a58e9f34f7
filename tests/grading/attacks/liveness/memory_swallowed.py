"""Take memory, catch MemoryError and go on with what is left, for ten seconds."""

ANSWERS = {
    "mean_of": """{{BOUND}}
kept = []


def mean_of(numbers):
    end = _time.monotonic() + 10
    while _time.monotonic() < end:
        try:
            if len(kept) < 90:
                kept.append(bytearray(10 << 20))
        except MemoryError:
            pass
    return 0
"""
}
