"""Ten thousand chained exceptions, each with a message of 10 kB."""

ANSWERS = {
    "mean_of": """
def mean_of(numbers):
    error = None
    for number in range(10_000):
        following = ValueError(str(number) * 2_000)
        following.__cause__, error = error, following
    raise error
"""
}
