"""The filter of system calls: a small program that the kernel runs before each call.

It is assembled here by hand in the kernel's classic BPF, four fields an instruction. Refused calls
raise PermissionError. Calls for another processor architecture end the process, because their
numbers mean something else.
"""

import ctypes
import errno
import functools
import os
import struct
from dataclasses import dataclass

from grading.sandbox import calls, kernel

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4  # offsets in what the kernel shows to the filter
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
DENY = ERROR | errno.EPERM
UNKNOWN = ERROR | errno.ENOSYS
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32 = 0x40000000
SET_MODE_FILTER = 1
NEW_NAMESPACES = 0x7E020000
UNIX, INTERNET, NETLINK = 1, 2, 16


@dataclass(frozen=True)
class Rules:
    """What the filter refuses beyond what it always refuses.

    Args:
        fork: may there be further processes?
        programs: may another program be started in place of this one?
        sockets: may sockets be made, of the families that a notebook kernel tries? Only the
            network namespace then keeps them apart.
        own_process_only: refuse signals to other processes (there is no PID namespace).
        own_files_only: refuse to change attributes of files (there is no private root).
    """

    fork: bool = False
    programs: bool = False
    sockets: bool = False
    own_process_only: bool = False
    own_files_only: bool = False


def argument(index: int) -> int:
    """Offset of the low half of an argument (both machines are little-endian)."""
    return 16 + 8 * index


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(number: int, answer: int = DENY) -> bytes:
    """If the number that is loaded is this one, answer."""
    return _step(EQUAL, number, 0, 1) + _step(RETURN, answer)


def _unless(number: int, offset: int, test: bytes, refuse_if: bool) -> bytes:
    """Refuse a call by one of its arguments. ``test`` jumps 1 to refuse, 0 to allow or reversed."""
    refused, allowed = _step(RETURN, DENY), _step(RETURN, ALLOW)
    ends = allowed + refused if refuse_if else refused + allowed
    return _step(EQUAL, number, 0, 4) + _step(LOAD, offset) + test + ends


@functools.lru_cache(maxsize=8)
def program(rules: Rules, machine: str = kernel.MACHINE, pid: int = 0) -> bytes:
    """The filter's instructions.

    Args:
        rules: what is refused.
        machine: x86_64 or aarch64.
        pid: this process, for ``own_process_only``.
    """
    x86 = machine == "x86_64"
    column = 0 if x86 else 1
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, ARCHITECTURES[machine], 1, 0),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER),
    ]
    if x86:
        code += [_step(AT_LEAST, X32, 0, 1), _step(RETURN, KILL)]
    refused = dict(calls.ALWAYS)
    if rules.programs:
        del refused["execve"], refused["execveat"]
    if not rules.fork:
        refused |= calls.FORK
    if rules.own_files_only:
        refused |= calls.ATTRIBUTES
    if rules.own_process_only:
        refused |= calls.ON_PROCESSES
    code += [_refuse(row[column]) for row in refused.values() if row[column] is not None]
    if rules.own_process_only:
        for name, row in calls.ON_A_PROCESS.items():
            own = (pid,) if name in calls.ZERO_IS_OTHERS else (pid, 0)
            code.append(_only_first(row[column], own))
    # The C library falls back to clone, whose flags can be looked at.
    code.append(_refuse(calls.CLONE3[column], UNKNOWN))
    clone = calls.CLONE[column]
    if rules.fork:
        test = _step(ANY_BIT, NEW_NAMESPACES, 1, 0)
        code.append(_unless(clone, argument(0), test, refuse_if=True))
    else:
        test = _step(ANY_BIT, kernel.CLONE_THREAD, 1, 0)
        code.append(_unless(clone, argument(0), test, refuse_if=False))
    socket = calls.SOCKET[column]
    if rules.sockets:
        code.append(_only_first(socket, (UNIX, INTERNET, NETLINK)))
    else:
        code.append(_refuse(socket))
    # Who could clear this would outlive the parent.
    test = _step(EQUAL, kernel.PR_SET_PDEATHSIG, 1, 0)
    code.append(_unless(calls.PRCTL[column], argument(0), test, refuse_if=True))
    code.append(_step(RETURN, ALLOW))
    return b"".join(code)


def _only_first(number: int, allowed: tuple[int, ...]) -> bytes:
    """Refuse a call unless its first argument is one of these."""
    tests = [_step(EQUAL, one, len(allowed) - at, 0) for at, one in enumerate(allowed)]
    body = b"".join([_step(LOAD, argument(0)), *tests, _step(RETURN, DENY), _step(RETURN, ALLOW)])
    return _step(EQUAL, number, 0, len(body) // 8) + body


def install(rules: Rules) -> None:
    """Put the filter in place for this process and all that it starts. There is no way back.

    Raises:
        OSError: the kernel has no filters, or this machine is neither x86_64 nor aarch64.
    """
    if kernel.MACHINE not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter for {kernel.MACHINE}")
    code = program(rules, pid=os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    argument = ctypes.create_string_buffer(header, len(header))
    kernel.syscall("seccomp", kernel.SECCOMP, SET_MODE_FILTER, 0, argument)
