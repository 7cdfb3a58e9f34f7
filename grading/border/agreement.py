"""One shared tensor, and how it was when both sides last agreed."""

import torch
from torch import Tensor


class Record:
    """One shared tensor, and how it was when both sides last agreed."""

    __slots__ = ("_ref", "grad", "grad_version", "kept", "requires_grad", "version")

    def __init__(self, ref: object, tensor: Tensor, synced: bool):
        self._ref = ref
        self.kept = None
        if synced:
            self.agree(tensor)

    def tensor(self) -> Tensor | None:
        """The tensor, if it is still alive."""
        found = self._ref()
        if found is not None:
            found._fix_weakref()
        return found

    def agree(self, tensor: Tensor) -> None:
        """Both sides have it as it is now."""
        self.kept = tensor.detach().clone()
        self.version = tensor._version
        self.agree_grad(tensor)

    def agree_grad(self, tensor: Tensor) -> None:
        """Both sides have its gradient."""
        grad = tensor.grad
        self.grad = None if grad is None else id(grad)
        self.grad_version = None if grad is None else grad._version
        self.requires_grad = tensor.requires_grad

    def forget(self) -> None:
        """Both sides may differ after all."""
        self.version = self.grad_version = -1

    def quiet(self, tensor: Tensor) -> bool:
        """Is its version still the same? Writing through ``.data`` does not count."""
        return tensor._version == self.version

    def moved(self, tensor: Tensor) -> bool:
        """Has it changed?"""
        kept = self.kept
        return (
            tensor._version != self.version
            or tensor.dtype is not kept.dtype
            or not _same(tensor.detach(), kept)
        )

    def grad_moved(self, tensor: Tensor) -> bool:
        """Has its gradient changed?"""
        grad = tensor.grad
        if grad is None:
            return self.grad is not None
        return id(grad) != self.grad or grad._version != self.grad_version


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal, where NaN is equal to NaN."""
    if torch.equal(one, other):
        return True
    if one.shape != other.shape or not (one.is_floating_point() or one.is_complex()):
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
