"""Block and ignore every signal that can be, then sleep."""

ANSWERS = {
    "mean_of": """{{BOUND}}
import signal


def mean_of(numbers):
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while alive():
        _time.sleep(0.1)
"""
}
