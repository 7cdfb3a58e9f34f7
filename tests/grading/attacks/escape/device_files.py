"""Make a device file (of the null device) and open devices that only the kernel should."""

LINUX = True
FIRST = """{{TELL}}
import os
import stat

for _folder in (".", "{{VICTIM}}"):
    try:
        os.mknod(_folder + "/attack-device", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError:
        pass
for _path in ("/dev/mem", "/dev/kmsg", "/dev/tty"):
    try:
        os.close(os.open(_path, os.O_RDONLY | os.O_NONBLOCK))
        with open("{{VICTIM}}/attack-opened-device", "w") as _file:
            _file.write(_path)
    except OSError:
        pass
"""
