"""A forbidden name without any disguise."""

ANSWERS = {"join": "def join(left, right):\n    return torch.cat([left, right])\n"}
