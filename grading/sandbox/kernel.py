"""System calls that Python has no function for, through the C library (ctypes, no compiler)."""

import ctypes
import os
import platform
import struct
import sys
import threading

MACHINES = ("x86_64", "aarch64")
MACHINE = platform.machine()
IS_X86 = MACHINE == "x86_64"

CLONE_THREAD = 0x00010000
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_CHILD_CLEARTID = 0x00200000
CLONE_CHILD_SETTID = 0x01000000

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 0x1, 0x2, 0x4, 0x8
AT_FDCWD, AT_RECURSIVE = -100, 0x8000

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
PR_SET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS, PR_CAP_AMBIENT = 38, 40, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

# Numbers of system calls: of x86_64 and aarch64.
CLONE = (56, 220)
PIVOT_ROOT = (155, 41)
CAPSET = (126, 91)
GET_ROBUST_LIST, SET_ROBUST_LIST = (274, 100), (273, 99)
CLOSE_RANGE, MOUNT_SETATTR = (436, 436), (442, 442)
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = (444, 444), (445, 445), (446, 446)
SECCOMP = (317, 277)

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)
    _libc.syscall.restype = ctypes.c_long
    _locked = ctypes.PyDLL(None, use_errno=True)  # these calls keep Python's global lock
    _locked.syscall.restype = ctypes.c_long


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def number(call: tuple[int, int]) -> int:
    """The number of a system call on this machine."""
    return call[0 if IS_X86 else 1]


def syscall(what: str, call: tuple[int, int], *args) -> int:
    """A system call by its number.

    Raises:
        OSError: the kernel refused; ``what`` is in the message.
    """
    full = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(_libc.syscall(ctypes.c_long(number(call)), *full), what)


def prctl(option: int, *args: int) -> int:
    """Change an attribute of this process."""
    full = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(ctypes.c_int(option), *full), f"prctl {option}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. Python has a function for it since 3.12."""
    _checked(_libc.unshare(ctypes.c_int(flags)), f"unshare {flags:#x}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount something somewhere."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _checked(result, f"mount {kind or source} on {target}")


def unmount(target: str) -> None:
    """Take a mount away, at once even if it is in use."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def mount_attributes(path: str, add: int, remove: int = 0, recursive: bool = False) -> None:
    """Since Linux 5.12: ``add`` to a mount, and to all below it where recursive."""
    data = ctypes.create_string_buffer(struct.pack("=4Q", add, remove, 0, 0), 32)
    flags = AT_RECURSIVE if recursive else 0
    path_bytes = ctypes.c_char_p(os.fsencode(path))
    syscall(f"mount_setattr {path}", MOUNT_SETATTR, AT_FDCWD, path_bytes, flags, data, 32)


def pivot_root_here() -> None:
    """Make the current folder the root, and take the old root away."""
    here = ctypes.c_char_p(b".")
    syscall("pivot_root", PIVOT_ROOT, here, here)
    unmount(".")


def drop_capabilities() -> None:
    """Give up every capability. PR_SET_NO_NEW_PRIVS keeps them from coming back with a program."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(struct.pack("=2I", 0x20080522, 0), 8)
    syscall("capset", CAPSET, header, ctypes.create_string_buffer(24))


def close_others(keep: set[int]) -> None:
    """Close every file descriptor that is not kept."""
    first = 0
    for last in [*sorted(keep), None]:
        end = 0xFFFFFFFF if last is None else last - 1
        if first <= end:
            try:
                syscall("close_range", CLOSE_RANGE, first, end, 0)
            except OSError:  # before Linux 5.9
                os.closerange(first, min(end + 1, os.sysconf("SC_OPEN_MAX")))
        first = end + 2


def clone(flags: int) -> int:
    """Fork into new namespaces with one fork; 0 in the child.

    unshare(CLONE_NEWPID) would cost a second fork, which for a parent with torch loaded is as dear
    as all the rest. So this is the C library's fork with other flags: the same locks of Python
    around it, and the two registrations of a thread that the C library makes in a new process.
    Handlers of pthread_atfork do not run; the caller has one thread, so there is nothing to lock.

    Raises:
        OSError: refused, or this C library does not say where it keeps the thread's id.
    """
    tid_address = ctypes.c_void_p()
    prctl(PR_GET_TID_ADDRESS, ctypes.addressof(tid_address))
    address = tid_address.value
    if not address or ctypes.c_int.from_address(address).value != threading.get_native_id():
        raise OSError("the C library keeps the thread's id elsewhere")
    head, length = ctypes.c_void_p(), ctypes.c_size_t()
    robust = 0, ctypes.byref(head), ctypes.byref(length)
    syscall("get_robust_list", GET_ROBUST_LIST, *robust)
    flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | 17  # SIGCHLD when it ends
    tail = (0, tid_address, 0) if IS_X86 else (0, 0, tid_address)
    args = [arg if isinstance(arg, ctypes.c_void_p) else ctypes.c_long(arg) for arg in (0, *tail)]
    call = ctypes.c_long(number(CLONE))
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid = _locked.syscall(call, ctypes.c_long(flags), *args)
    if pid == 0:
        python.PyOS_AfterFork_Child()
        syscall("set_robust_list", SET_ROBUST_LIST, head, length.value)
        return 0
    code = ctypes.get_errno()
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(code, f"clone {flags:#x}: {os.strerror(code)}")
    return pid
