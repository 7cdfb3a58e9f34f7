"""A listener on the loopback address: what arrives here has left the sandbox."""

import contextlib
import os
import re
import selectors
import socket
import threading

LIMIT = 1 << 16  # bytes of one connection that are kept


class Listener:
    """TCP, UDP, a unix socket and an abstract one, until the ``with`` block ends.

    Args:
        path: of the unix socket; the abstract one has the same name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.messages: list[bytes] = []
        self._stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._connections: dict[socket.socket, bytes] = {}

    def __enter__(self) -> "Listener":
        tcp = self._server(socket.AF_INET, ("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        udp.setblocking(False)
        self._selector.register(udp, selectors.EVENT_READ, self._datagram)
        if hasattr(socket, "AF_UNIX"):
            self._server(socket.AF_UNIX, self.path)
            os.chmod(self.path, 0o666)
            with contextlib.suppress(OSError):  # Linux only
                self._server(socket.AF_UNIX, "\0" + self.path)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        self.messages += [data for data in self._connections.values() if data]
        self._connections.clear()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def of(self, name: str) -> list[bytes]:
        """What one attack sent; complete after the end. Every message names its attack."""
        pattern = re.compile(rb"(?<![a-z0-9_])%s " % name.encode())
        return [message for message in self.messages if pattern.search(message)]

    def _server(self, family: int, address: object) -> socket.socket:
        server = socket.socket(family, socket.SOCK_STREAM)
        server.bind(address)
        server.listen(64)
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, self._accept)
        return server

    def _run(self) -> None:
        while True:
            events = self._selector.select(0.1)
            if not events and self._stop.is_set():
                return  # nothing waits any more
            for key, _ in events:
                with contextlib.suppress(OSError):
                    key.data(key.fileobj)

    def _accept(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.setblocking(False)
        self._connections[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ, self._read)

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(4096)
        kept = self._connections[connection] + data
        self._connections[connection] = kept[:LIMIT]
        if not data:
            self._selector.unregister(connection)
            connection.close()
            self.messages.append(self._connections.pop(connection))

    def _datagram(self, udp: socket.socket) -> None:
        self.messages.append(udp.recv(4096))
