"""What a refusal of the sandbox means, in a sentence for the student."""

import dis
import errno
import os
from types import TracebackType

NETWORK = "network access is not available while grading"
PROGRAMS = "starting programs is not available while grading (so `!ls` and subprocess do not work)"
PROCESSES = "starting further processes is not available while grading"
SIGNALS = "signals to other processes are not available while grading"
SYSTEM = "this system call is not available while grading"
READ_ONLY = "only the work folder and /tmp can be written while grading"
FILES = "files of the grading machine are not available; only those of the assignment are"
MEMORY = "the memory for this submission is used up"
THREADS = "no more threads may be started while grading"

# By the name of a module on the way, or of what was called last.
MODULES = {
    "socket": NETWORK,
    "ssl": NETWORK,
    "client": NETWORK,  # http.client
    "request": NETWORK,  # urllib.request
    "base_events": NETWORK,  # asyncio
    "subprocess": PROGRAMS,
    "pty": PROGRAMS,
    "ptyprocess": PROGRAMS,
    "pty_spawn": PROGRAMS,
    "_process_posix": PROGRAMS,
    "popen_fork": PROCESSES,
    "popen_spawn_posix": PROCESSES,
    "process": PROCESSES,
}
CALLS = {
    "socket": NETWORK,
    "create_connection": NETWORK,
    "connect": NETWORK,
    "sendto": NETWORK,
    "bind": NETWORK,
    "system": PROGRAMS,
    "popen": PROGRAMS,
    "posix_spawn": PROGRAMS,
    "posix_spawnp": PROGRAMS,
    "fork": PROCESSES,
    "vfork": PROCESSES,
    "forkpty": PROCESSES,
    "kill": SIGNALS,
    "killpg": SIGNALS,
}
NUMBERS = {
    errno.EFBIG: "the file is larger than a submission may write",
    errno.ENOSPC: "the work folder is full",
    errno.EDQUOT: "the work folder is full",
    errno.EMFILE: "too many files are open",
    errno.ENOMEM: MEMORY,
    errno.EROFS: READ_ONLY,
    errno.ENETUNREACH: NETWORK,
    errno.EAFNOSUPPORT: NETWORK,
}


def why(error: BaseException) -> str:
    """The sentence for an error that the sandbox caused, or nothing if it did not.

    Args:
        error: as it was caught inside, with its traceback.
    """
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return THREADS
    if not isinstance(error, OSError):
        return ""
    if "out of pty devices" in str(error):
        return PROGRAMS
    if error.errno in NUMBERS:
        return NUMBERS[error.errno]
    if type(error).__name__ in ("gaierror", "URLError"):
        return NETWORK
    if isinstance(error, FileNotFoundError):
        path = error.filename
        return FILES if isinstance(path, str) and path.startswith(("/", "..")) else ""
    if isinstance(error, PermissionError):
        if error.errno == errno.EACCES and error.filename is not None:
            return FILES
        return _by_caller(error.__traceback__)
    return ""


def _by_caller(trace: TracebackType | None) -> str:
    """The kernel does not say what it refused; the last call on the way does."""
    found, last = "", None
    while trace is not None:
        code = trace.tb_frame.f_code
        module = os.path.splitext(os.path.basename(code.co_filename))[0]
        found, last = MODULES.get(module, found), trace
        trace = trace.tb_next
    if found or last is None:
        return found or SYSTEM
    name = ""
    for step in dis.get_instructions(last.tb_frame.f_code):
        if step.offset > last.tb_lasti:
            break
        if isinstance(step.argval, str) and step.opname.startswith(("LOAD_", "IMPORT_")):
            if step.opname in ("LOAD_CONST", "LOAD_FAST"):
                continue
            name = step.argval
    if name.startswith(("exec", "spawn")):
        return PROGRAMS
    return CALLS.get(name, SYSTEM)
