"""Print 100 MB while the answer cell runs; the answer itself is right and keeps its points."""

ANSWERS = {
    "double": """
def double(array):
    return 2 * array


line = "y" * 9_999
for _ in range(10_000):
    print(line)
"""
}
KEPT = {}
