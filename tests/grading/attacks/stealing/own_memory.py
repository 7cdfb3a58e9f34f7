"""Search the own memory for what a parent left there before the fork."""

LINUX = True
FIRST = """{{TELL}}
def search():
    budget = 600 << 20
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
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
    search()
except OSError:
    pass
"""
KEPT = {}
