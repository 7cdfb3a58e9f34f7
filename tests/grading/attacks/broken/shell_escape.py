"""A shell escape and an installation, which are refused with a message; the answer is right."""

ANSWERS = {
    "double": """
!echo hello
%pip install nothing-of-this-name


def double(array):
    return 2 * array
"""
}
KEPT = {"mean_of": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}
