"""Connect to a unix socket in the file system."""

LINUX = True
FIRST = """
import socket

try:
    with socket.socket(socket.AF_UNIX) as _connection:
        _connection.settimeout(2)
        _connection.connect("{{SOCKET}}")
        _connection.sendall(b"{{NAME}} reached")
except OSError:
    pass
"""
