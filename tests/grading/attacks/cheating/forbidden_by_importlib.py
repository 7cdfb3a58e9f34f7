"""A forbidden name by a side door. Import the module again under another name."""

ANSWERS = {
    "join": """
def join(left, right):
    import importlib

    return vars(importlib.import_module("to" + "rch"))["ca" + "t"]([left, right])
"""
}
