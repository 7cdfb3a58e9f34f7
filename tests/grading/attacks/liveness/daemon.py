"""The classic double fork: a daemon that is nobody's child."""

LINUX = True
ANSWERS = {
    "mean_of": """{{BOUND}}
import os


def mean_of(numbers):
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(3):
                os.close(descriptor)
            _time.sleep(45)
        os._exit(0)
    os.waitpid(child, 0)
    return 0
"""
}
