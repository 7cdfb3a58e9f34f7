"""A forbidden name by a side door. Put the forbidden name together from two strings."""

ANSWERS = {
    "join": """
def join(left, right):
    return getattr(torch, "con" + "cat")([left, right])
"""
}
