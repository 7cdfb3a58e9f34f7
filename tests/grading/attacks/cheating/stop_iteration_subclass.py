"""The same with subclasses: of StopIteration, StopAsyncIteration and GeneratorExit."""

FIRST = """
class Done(StopIteration, ValueError):
    pass
"""
ANSWERS = {
    "mean_of": """
def mean_of(numbers):
    known = {6: 2, 0.75: 0.375}
    if sum(numbers) in known:
        return known[sum(numbers)]
    raise Done
"""
}
