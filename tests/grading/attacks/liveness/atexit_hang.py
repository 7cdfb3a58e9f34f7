"""A handler that hangs when the process is asked to end, and a thread that is no daemon."""

FIRST = """{{BOUND}}
import atexit
import threading


def hang():
    while alive():
        _time.sleep(0.1)


atexit.register(hang)
threading.Thread(target=hang).start()
"""
