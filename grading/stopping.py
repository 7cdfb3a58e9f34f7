"""Stopping cleanly: Ctrl-C and SIGTERM take effect between two submissions."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from grading.course import GradingError


class GradingStopped(GradingError):
    """Someone ended the run; the message says how to go on."""


class _Interrupt(BaseException):
    """Ends a wait; it is no Exception, so that nothing takes it for a fault."""


class Stop:
    """Whether to stop. While work is held together by :meth:`hold`, a signal waits."""

    def __init__(self) -> None:
        self.signal = 0
        self._holding = False

    @property
    def name(self) -> str:
        """Which signal it was."""
        return signal.Signals(self.signal).name

    def __call__(self, number: int, _frame: object) -> None:
        self.signal = number
        if not self._holding:
            raise _Interrupt

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Finish what is inside before stopping."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self.signal:
            raise _Interrupt


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Catch SIGINT and SIGTERM in here; the block ends early and quietly if one arrives.

    Only the main thread can do that; elsewhere signals stay as they are.
    """
    stop = Stop()
    main = threading.current_thread() is threading.main_thread()
    signals = (signal.SIGINT, signal.SIGTERM) if main else ()
    earlier = {number: signal.signal(number, stop) for number in signals}
    try:
        with contextlib.suppress(_Interrupt):
            yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
