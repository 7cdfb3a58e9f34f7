"""A forbidden name by a side door. Call the operator below the function."""

ANSWERS = {
    "join": """
def join(left, right):
    return torch.ops.aten.cat([left, right])
"""
}
