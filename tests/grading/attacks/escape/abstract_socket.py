"""Connect to an abstract unix socket, which has no file that could be hidden."""

LINUX = True
FIRST = """
import socket

try:
    with socket.socket(socket.AF_UNIX) as _connection:
        _connection.settimeout(2)
        _connection.connect("\\0{{SOCKET}}")
        _connection.sendall(b"{{NAME}} reached")
except OSError:
    pass
"""
