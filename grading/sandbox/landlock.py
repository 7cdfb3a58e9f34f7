"""Landlock: the kernel checks each opened path against a list that the process gave itself."""

import ctypes
import os
import struct
from collections.abc import Iterable

from grading.sandbox import kernel

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE = 1 << 14
FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | 1 << 15
READ = READ_FILE | READ_DIR
# How many kinds of access each version of the interface knows.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
DEVICES = 1 << 6 | 1 << 11  # making character and block devices
NETWORK, SCOPES = 0b11, 0b11  # TCP bind and connect; abstract sockets and signals
RULE_BELOW = 1


def version() -> int:
    """The version of the interface that the kernel has.

    Raises:
        OSError: the kernel has no landlock, or it is switched off.
    """
    return kernel.syscall("landlock", kernel.LANDLOCK_CREATE, 0, 0, 1)


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Allow reading below some paths and everything below others; TCP and outside signals never.

    Paths that do not exist are left out. PR_SET_NO_NEW_PRIVS must be set.

    Raises:
        OSError: the kernel has no landlock.
    """
    abi = version()
    handled = (1 << FILE_RIGHTS.get(abi, 16)) - 1
    parts = [handled]
    if abi >= 4:
        parts.append(NETWORK)
    if abi >= 6:
        parts.append(SCOPES)
    data = struct.pack(f"={len(parts)}Q", *parts)
    rules = kernel.syscall(
        "landlock", kernel.LANDLOCK_CREATE, ctypes.create_string_buffer(data), len(data), 0
    )
    try:
        for path in readable:
            _allow(rules, path, READ & handled)
        for path in writable:
            _allow(rules, path, handled & ~DEVICES & ~EXECUTE)
        kernel.syscall("landlock", kernel.LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            access &= FILE_ONLY
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, handle))
        kernel.syscall("landlock rule", kernel.LANDLOCK_ADD, rules, RULE_BELOW, rule, 0)
    finally:
        os.close(handle)
