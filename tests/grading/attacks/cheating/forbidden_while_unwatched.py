"""A forbidden name, used after switching off whatever watches torch's operators."""

ANSWERS = {
    "join": """
import torch.utils._python_dispatch as dispatch


def join(left, right):
    with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
        return torch._C._VariableFunctions.concat([left, right])
"""
}
