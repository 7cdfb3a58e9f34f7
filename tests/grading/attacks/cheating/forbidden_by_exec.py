"""A forbidden name by a side door. Hide the name in a string that is executed."""

ANSWERS = {
    "join": """
def join(left, right):
    scope = {"torch": torch, "pair": [left, right]}
    exec("joined = torch.c" + "at(pair)", scope)
    return scope["joined"]
"""
}
