"""A private root folder: what the layout shows, an empty work folder, a few devices."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from grading.sandbox import kernel
from grading.sandbox.layout import Layout

WORK = "/home/student"
BASE = "/proc"  # where the new root is built; nothing of ours lies below it
DEVICES = ("null", "zero", "full", "random", "urandom")
TEXTS = {
    "/etc/passwd": b"student:x:65534:65534::/home/student:/usr/sbin/nologin\n",
    "/etc/group": b"student:x:65534:\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    "/etc/hosts": b"127.0.0.1 localhost\n",
}
SCRATCH = {"work": WORK, "tmp": "/tmp", "shm": "/dev/shm"}
ALWAYS = (("/etc", "folder"), *((f"/dev/{name}", "file") for name in DEVICES))
INODES = 8192
NOBODY = 65534
PREFIX = "grading-sandbox-"


def enter_root(layout: Layout, disk_mib: int, owner: int) -> None:
    """Build the root in this process's mount namespace and go there. The work folder is current.

    Args:
        layout: what it shows.
        disk_mib: size of all that can be written.
        owner: the user and group who may write.

    Raises:
        OSError: the kernel refused a step, or is older than Linux 5.12.
    """
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    plain = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", BASE, "tmpfs", plain, f"mode=755,size=1m,nr_inodes={INODES}")
    scratch = f"{BASE}/.scratch"
    os.mkdir(scratch)
    kernel.mount("tmpfs", scratch, "tmpfs", plain, f"size={disk_mib}m,nr_inodes={INODES}")
    for name, place in SCRATCH.items():
        os.mkdir(f"{scratch}/{name}", 0o700)
        os.chown(f"{scratch}/{name}", owner, owner)
        _build("folder", os.path.dirname(place))
        _build("folder", place)
        kernel.mount(f"{scratch}/{name}", BASE + place, flags=kernel.MS_BIND)
    kernel.unmount(scratch)
    os.rmdir(scratch)
    for path, step in (*ALWAYS, *layout.steps()):
        _build(step, path)
    for path, text in TEXTS.items():
        handle = os.open(BASE + path, os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(handle, text)
        os.close(handle)
    fixed = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    kernel.mount_attributes(BASE, fixed, recursive=True)
    for path in (*SCRATCH.values(), *layout.writable):
        kernel.mount_attributes(BASE + path, 0, kernel.ATTR_RDONLY)
    for name in DEVICES:
        kernel.mount(f"/dev/{name}", f"{BASE}/dev/{name}", flags=kernel.MS_BIND)
    os.chdir(BASE)
    kernel.pivot_root_here()
    os.chdir(WORK)


def _build(step: str, path: str) -> None:
    target = BASE + path
    if step == "folder":
        with contextlib.suppress(FileExistsError):
            os.mkdir(target)
    elif step == "file":
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    elif step == "link":
        os.symlink(os.readlink(path), target)
    elif step == "bind":
        kernel.mount(path, target, flags=kernel.MS_BIND | kernel.MS_REC)
    else:
        kernel.mount("tmpfs", target, "tmpfs", 0, "mode=755,size=16k,nr_inodes=64")


def enter_plain_folder(owner: int | None) -> str:
    """Where there is no private root: an empty folder among the temporary ones, now current.

    Whoever starts the next sandbox removes it (see :func:`sweep`).
    """
    pid = os.readlink("/proc/self")  # as those outside see it
    folder = tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-")
    if owner is not None:
        os.chown(folder, owner, owner)
    os.chdir(folder)
    return folder


def sweep() -> None:
    """Remove the plain folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if folder.stat().st_uid in (os.getuid(), NOBODY) and not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(folder, ignore_errors=True)


def writable(work: str) -> list[str]:
    """What can be written in the sandbox: folders and devices."""
    return [*dict.fromkeys([work, *SCRATCH.values()] if work == WORK else [work])] + [
        f"/dev/{name}" for name in DEVICES
    ]
