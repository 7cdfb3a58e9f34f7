"""What the student's code prints during a call."""

import io
import sys

from grading.border.errors import Malformed

LIMIT = 1 << 16


class Capture(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr; both write to one list, in order."""

    encoding = "utf-8"

    def __init__(self, pieces: "Pieces", stream: int):
        self._pieces = pieces
        self._stream = stream

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Keep the text."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._pieces.add(self._stream, text)
        return len(text)


class Pieces:
    """Texts for the two streams, limited in size."""

    def __init__(self, limit: int = LIMIT):
        self._limit = limit
        self._left = limit
        self._texts: list[list] = []
        self.streams = Capture(self, 1), Capture(self, 2)

    def add(self, stream: int, text: str) -> None:
        """Keep what fits."""
        if not text or self._left <= 0:
            return
        if len(text) > self._left:
            text = text[: self._left] + "\n[output cut off]\n"
        self._left -= len(text)
        text = text.encode("utf-8", "replace").decode("utf-8")
        if self._texts and self._texts[-1][0] == stream:
            self._texts[-1][1] += text
        else:
            self._texts.append([stream, text])

    def take(self) -> list[list]:
        """All texts so far, each with its stream."""
        texts, self._texts, self._left = self._texts, [], self._limit
        return texts


def replay(pieces: list) -> None:
    """Write what came to the streams of this process.

    Raises:
        Malformed: it is not what :class:`Pieces` gives.
    """
    for piece in pieces:
        if type(piece) is not list or [type(part) for part in piece] != [int, str]:
            raise Malformed("output that is none")
        if piece[0] not in (1, 2) or len(piece[1]) > 2 * LIMIT:
            raise Malformed("output that is none")
        (sys.stdout if piece[0] == 1 else sys.stderr).write(piece[1])
