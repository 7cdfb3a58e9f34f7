"""Connect to the listener by TCP, as if to send something away."""

FIRST = """
import socket

try:
    with socket.create_connection(("127.0.0.1", {{PORT}}), 2) as _connection:
        _connection.sendall(b"{{NAME}} reached")
except OSError:
    pass
"""
