"""Attempts to break out: small functions that run inside the sandbox, each bounded in itself.

An attempt returns what it achieved, in words; nothing, or an error, means that the sandbox held.
"""

import ctypes
import mmap
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from grading.sandbox import kernel
from grading.sandbox.limits import MIB, SandboxLimits

SHM_KEY = 0x67726164
DAEMON_SECONDS = 4
FORKS = 20


@dataclass(frozen=True)
class Target:
    """What the attempts aim at. All of it belongs to the probe and lies outside of the sandbox.

    Args:
        folder: a temporary folder that anybody may read and write.
        secret: a file in it.
        tcp, udp: ports of listeners on the loopback address.
        shared: key of a segment of shared memory.
        parent: process id of the probe.
        host: name of the machine.
    """

    folder: str
    secret: str
    tcp: int
    udp: int
    shared: int
    parent: int
    host: str


@dataclass(frozen=True)
class Attempt:
    """One attempt; ``layer`` is the layer that is first to stop it."""

    layer: str
    name: str
    run: Callable[[Target], str | None]
    limits: SandboxLimits = field(default_factory=SandboxLimits)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, call: tuple[int, int], *args) -> str:
    kernel.syscall(name, call, *args)
    return f"{name} was allowed"


def read_secret(target: Target) -> str | None:
    with open(target.secret) as file:
        return f"read {file.read()!r}"


def read_shadow(target: Target) -> str | None:
    with open("/etc/shadow") as file:
        return f"read {len(file.read())} characters"


def list_outside(target: Target) -> str | None:
    return f"saw {os.listdir(target.folder)}"


def write_outside(target: Target) -> str | None:
    with open(os.path.join(target.folder, "written"), "w") as file:
        file.write("by a submission")
    return "wrote a file"


def write_python(target: Target) -> str | None:
    os.close(os.open(os.__file__, os.O_WRONLY))  # opens and changes nothing
    return "could open Python's own files for writing"


def change_mode(target: Target) -> str | None:
    os.chmod(target.secret, 0o600)
    return "changed the mode of a file"


def follow_symlink(target: Target) -> str | None:
    os.symlink(target.secret, "symlink")
    with open("symlink") as file:
        return f"read {file.read()!r}"


def follow_hardlink(target: Target) -> str | None:
    os.link(target.secret, "hardlink")
    with open("hardlink") as file:
        return f"read {file.read()!r}"


def list_root(target: Target) -> str | None:
    return f"saw {os.listdir('/')}"


def climb_up(target: Target) -> str | None:
    with open("../" * 20 + target.secret) as file:
        return f"read {file.read()!r}"


def make_device(target: Target) -> str | None:
    os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 1))  # memory of the kernel
    return "made a device"


def mount_folder(target: Target) -> str | None:
    os.mkdir("mounted")
    kernel.mount("tmpfs", os.path.abspath("mounted"), "tmpfs")
    return "mounted a folder"


def connect_tcp(target: Target) -> str | None:
    with socket.create_connection(("127.0.0.1", target.tcp), timeout=2):
        return "reached a listener"


def send_udp(target: Target) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"out", ("127.0.0.1", target.udp))
    return "sent a message"


def list_processes(target: Target) -> str | None:
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}
    return f"saw {len(others)} others" if others else None


def signal_parent(target: Target) -> str | None:
    os.kill(target.parent, 0)  # only asks whether it could
    return "could kill the process that grades"


def read_environment(target: Target) -> str | None:
    with open("/proc/1/environ", "rb") as file:
        return f"read {len(file.read())} bytes"


def leave_daemon(target: Target) -> str | None:
    """The probe sees afterwards whether it is still there."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(DAEMON_SECONDS)
        os._exit(0)
    return None


def fork_many(target: Target) -> str | None:
    children, stopped = [], ""
    for _ in range(FORKS):
        try:
            pid = os.fork()
        except OSError as error:
            stopped = str(error)
            break
        if pid == 0:
            signal.alarm(5)
            signal.pause()
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if stopped and len(children) < FORKS // 2:
        raise PermissionError(f"{len(children)} processes, then: {stopped}")
    return f"made {len(children)} processes"


def find_shared_memory(target: Target) -> str | None:
    found = _libc().shmget(target.shared, 0, 0)
    return "found shared memory of others" if found >= 0 else None


def see_host_name(target: Target) -> str | None:
    name = socket.gethostname()
    return f"the machine is {name}" if name == target.host else None


def become_root(target: Target) -> str | None:
    os.setuid(0)
    return "became root"


def start_program(target: Target) -> str | None:
    if os.path.exists("/bin/true"):
        os.execv("/bin/true", ["true"])  # then exits with 0 and without an answer
    raise FileNotFoundError("/bin/true")


def trace(target: Target) -> str | None:
    return _call("ptrace", (101, 117), 0, 0, 0, 0)  # asks to be traced


def add_key(target: Target) -> str | None:
    kind, name = ctypes.c_char_p(b"user"), ctypes.c_char_p(b"grading-probe")
    return _call("add_key", (248, 217), kind, name, ctypes.c_char_p(b"x"), 1, -2)


def new_user_namespace(target: Target) -> str | None:
    kernel.unshare(kernel.CLONE_NEWUSER)
    return "made a namespace, with all capabilities in it"


def hidden_memory(target: Target) -> str | None:
    return _call("memfd_create", (319, 279), ctypes.c_char_p(b"probe"), 1)


def outlive_parent(target: Target) -> str | None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 0)
    return "would go on when the process that grades is dead"


def take_memory(target: Target) -> str | None:
    with mmap.mmap(-1, 256 * MIB):
        return "took 256 MiB where 64 were allowed"


def write_much(target: Target) -> str | None:
    with open("large", "wb", buffering=0) as file:
        written = sum(file.write(bytes(MIB)) for _ in range(8))
    return f"wrote {written // MIB} MiB where 4 were allowed" if written > 4 * MIB else None


def fill_disk(target: Target) -> str | None:
    for number in range(8):
        with open(f"part{number}", "wb", buffering=0) as file:
            if file.write(bytes(MIB)) < MIB:
                return None
    return "wrote 8 MiB where the folder has 4"


def open_many(target: Target) -> str | None:
    opened = [os.open(sys.executable, os.O_PATH) for _ in range(100)]
    return f"opened {len(opened)} files where 64 were allowed"


def burn_cpu(target: Target) -> str | None:
    while time.process_time() < 2.5:
        sum(range(10000))
    return "had 2.5 s of CPU where 1 was allowed"


FORKING = SandboxLimits(processes=5)
SMALL = SandboxLimits(cpu_seconds=1, memory_mib=64, open_files=64, file_mib=4, disk_mib=64)
ATTEMPTS = (
    Attempt("files", "read a file outside", read_secret),
    Attempt("files", "read /etc/shadow", read_shadow),
    Attempt("files", "list a folder outside", list_outside),
    Attempt("files", "write a file outside", write_outside),
    Attempt("files", "overwrite Python", write_python),
    Attempt("files", "change the mode of a file outside", change_mode),
    Attempt("files", "read through a symbolic link", follow_symlink),
    Attempt("files", "read through a hard link", follow_hardlink),
    Attempt("files", "climb out of the work folder", climb_up),
    Attempt("files", "make a device", make_device),
    Attempt("files", "mount a folder", mount_folder),
    Attempt("files", "fill the disk", fill_disk, SandboxLimits(disk_mib=4)),
    Attempt("net", "connect with TCP", connect_tcp),
    Attempt("net", "send with UDP", send_udp),
    Attempt("pid", "list other processes", list_processes),
    Attempt("pid", "signal the process that grades", signal_parent),
    Attempt("pid", "read the environment of process 1", read_environment),
    Attempt("pid", "leave a daemon behind", leave_daemon, FORKING),
    Attempt("ipc", "find shared memory", find_shared_memory),
    Attempt("uts", "see the machine's name", see_host_name),
    Attempt("user", "become root", become_root),
    Attempt("seccomp", "make processes", fork_many),
    Attempt("seccomp", "start a program", start_program),
    Attempt("seccomp", "trace a process", trace),
    Attempt("seccomp", "store a key in the kernel", add_key),
    Attempt("seccomp", "make a user namespace", new_user_namespace),
    Attempt("seccomp", "take memory that is not counted", hidden_memory),
    Attempt("seccomp", "outlive the parent", outlive_parent),
    Attempt("landlock", "list the root folder", list_root),
    Attempt("rlimits", "take too much memory", take_memory, SMALL),
    Attempt("rlimits", "write too large a file", write_much, SMALL),
    Attempt("rlimits", "open too many files", open_many, SMALL),
    Attempt("rlimits", "burn too much CPU", burn_cpu, SMALL),
)
