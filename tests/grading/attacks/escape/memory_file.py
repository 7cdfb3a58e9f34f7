"""Run a program from memory, where no file system says that it may not."""

LINUX = True
FIRST = """
import os

try:
    _program = os.memfd_create("attack")
    with open("/bin/bash", "rb") as _file:
        os.write(_program, _file.read())
    _child = os.fork()
    if _child == 0:
        _script = "echo {{NAME}} reached > /dev/tcp/127.0.0.1/{{PORT}}"
        os.execv(f"/proc/self/fd/{_program}", ["bash", "-c", _script])
    os.waitpid(_child, 0)
except OSError:
    pass
"""
KEPT = {}
