"""Ask the kernel about interfaces, and make a raw and a packet socket."""

LINUX = True
FIRST = """
import socket

_given = []
for _family, _kind in ((17, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW), (38, 5)):
    try:
        socket.socket(_family, _kind, 1 if _family == 2 else 0).close()
        _given.append(str(_family))
    except OSError:
        pass
if _given:
    try:
        with open("{{VICTIM}}/attack-raw-sockets", "w") as _file:
            _file.write(" ".join(_given))
    except OSError:
        pass
"""
