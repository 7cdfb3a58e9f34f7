"""Read whatever the inherited descriptors lead to, and ask the sockets for waiting data."""

LINUX = True
FIRST = """{{TELL}}
import os
import socket
import stat

for _number in range(3, 128):
    try:
        _kind = os.fstat(_number).st_mode
        if stat.S_ISREG(_kind):
            tell(os.pread(_number, 1 << 20, 0))
        elif stat.S_ISDIR(_kind):
            tell(" ".join(os.listdir(_number)))
        elif stat.S_ISSOCK(_kind):
            _socket_copy = socket.socket(fileno=os.dup(_number))
            tell(_socket_copy.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            _socket_copy.close()
    except (OSError, ValueError):
        pass
"""
KEPT = {}
