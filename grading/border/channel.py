"""Frames over a socket: one msgpack message and the raw bytes of its arrays.

A frame is two lengths of four bytes, the message, and the tail: the buffers of arrays and tensors
one after the other. The message is limited more tightly than the tail, because small objects take
many times their bytes once they are decoded.
"""

import contextlib
import select
import socket
import struct
import time
from collections.abc import Iterable

import msgpack

from grading.border.errors import Closed, Malformed, TimedOut, TooLarge

HEADER = struct.Struct(">II")
MIB = 1 << 20
BLOCK = 1 << 16
CONTAINERS = 1 << 20  # lists and maps in one message


class Channel:
    """One end of a socket pair.

    Args:
        sock: a connected stream socket.
        max_bytes: limit of a frame that is received or sent.
        max_message: limit of its message without the tail; an eighth of ``max_bytes`` unless
            given, and at least 1 MiB.
    """

    def __init__(self, sock: socket.socket, max_bytes: int = 64 * MIB, max_message: int = 0):
        self._sock = sock
        self._max_bytes = max_bytes
        self._max_message = min(max_bytes, max_message or max(MIB, max_bytes // 8))
        self._held = bytearray()  # what came beyond the last frame
        self._packer = msgpack.Packer()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def send(self, message: dict, tail: Iterable = (), timeout: float | None = None) -> None:
        """Send a message; ``tail`` is a series of buffers.

        Raises:
            TooLarge: nothing was sent.
            Malformed: the message holds what msgpack cannot write; nothing was sent.
            Closed: the other side is gone.
            TimedOut: the other side does not read.
        """
        try:
            body = self._packer.pack(message)
        except (ValueError, TypeError, OverflowError) as error:  # a lone surrogate, for example
            self._packer = msgpack.Packer()
            raise Malformed(f"the message cannot be written: {error}") from None
        parts = [body, *tail]
        sizes = [len(part) for part in parts]
        if sum(sizes) > self._max_bytes or sizes[0] > self._max_message:
            if sizes[0] > self._max_message:
                raise TooLarge(
                    f"{sizes[0]:,} bytes beside arrays are over the limit of {self._max_message:,}"
                )
            raise TooLarge(f"{sum(sizes):,} bytes are over the limit of {self._max_bytes:,}")
        frame = b"".join([HEADER.pack(sizes[0], sum(sizes[1:])), *parts])
        deadline = None if timeout is None else time.monotonic() + timeout
        view = memoryview(frame)
        while view:
            with self._failures(deadline):
                view = view[self._sock.send(view) :]

    def receive(self, timeout: float | None = None) -> dict:
        """Wait for a message, at most ``timeout`` seconds in all.

        The tail, if there is one, stands in the message as ``"tail"``: a memoryview.

        Raises:
            TimedOut, Closed, TooLarge, Malformed: as their names say.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        frame = self._held
        while len(frame) < HEADER.size:
            self._more(frame, deadline)
        size, tail = HEADER.unpack_from(frame)
        if size > self._max_message or size + tail > self._max_bytes:
            raise TooLarge(f"a message of {size + tail:,} bytes is over the limit")
        start, end = HEADER.size + size, HEADER.size + size + tail
        while len(frame) < min(end, BLOCK):
            self._more(frame, deadline)
        if len(frame) < end:
            frame = self._rest(frame, end, deadline)
        self._held = frame[end:]
        view = memoryview(frame)
        message = _unpack(view[HEADER.size : start])
        if tail:
            message["tail"] = view[start:end]
        return message

    def waiting(self) -> bool:
        """Is there anything to receive?"""
        return bool(self._held) or bool(self._poll.poll(0))

    def close(self) -> None:
        """Close this end."""
        self._sock.close()

    def _more(self, frame: bytearray, deadline: float | None) -> None:
        with self._failures(deadline):
            data = self._sock.recv(BLOCK)
        if not data:
            raise Closed("the other side closed the connection")
        frame += data

    def _rest(self, frame: bytearray, end: int, deadline: float | None) -> bytearray:
        whole = bytearray(end)
        filled = len(frame)
        whole[:filled] = frame
        with memoryview(whole) as view:
            while filled < end:
                with self._failures(deadline):
                    count = self._sock.recv_into(view[filled:])
                if not count:
                    raise Closed("the other side closed the connection")
                filled += count
        return whole

    @contextlib.contextmanager
    def _failures(self, deadline: float | None):
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            raise TimedOut("no complete message in time")
        try:
            self._sock.settimeout(remaining)
            yield
        except TimeoutError:
            raise TimedOut("no complete message in time") from None
        except OSError as error:
            raise Closed(f"the connection is gone: {error}") from None


def _unpack(body: memoryview) -> dict:
    limits = {"max_ext_len": 0, "max_array_len": len(body), "max_map_len": len(body)}
    if len(body) > MIB:  # below, even a message of nothing but empty lists stays small
        count = _Counter()
        limits |= {"list_hook": count, "object_hook": count}
    try:
        message = msgpack.unpackb(body, raw=False, strict_map_key=True, **limits)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise Malformed(f"not a message: {type(error).__name__} {error}") from None
    if type(message) is not dict or "tail" in message:
        raise Malformed("not a message: a map is needed")
    return message


class _Counter:
    """Refuses a message that holds too many containers."""

    def __init__(self):
        self.left = CONTAINERS

    def __call__(self, container: object) -> object:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many lists and maps in one message")
        return container
