"""Send a datagram to the listener."""

FIRST = """
import socket

try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as _connection:
        _connection.sendto(b"{{NAME}} reached", ("127.0.0.1", {{PORT}}))
except OSError:
    pass
"""
