"""A forbidden name by a side door. Reach it through torch's private modules."""

ANSWERS = {
    "join": """
def join(left, right):
    return torch._C._VariableFunctions.cat([left, right])
"""
}
