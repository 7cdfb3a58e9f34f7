"""A cage for code that nobody trusts: made of Linux namespaces, landlock, seccomp and limits.

``Sandbox.best()`` says what this machine can give; ``spawn`` forks a process into it. ``python -m
grading.sandbox`` shows the layers and tries to break each.
"""

from grading.sandbox.enter import clean_environment, spawn
from grading.sandbox.layers import Sandbox, SetupFailed
from grading.sandbox.limits import SandboxLimits
from grading.sandbox.why import why

__all__ = ["Sandbox", "SandboxLimits", "SetupFailed", "clean_environment", "spawn", "why"]
