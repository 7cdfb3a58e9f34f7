"""Tensors that live on both sides: parameters, buffers, and leaves that require gradients.

Each has a number, even if E made it and odd if S did. Before a request E sends the ones that its
code has changed, with the answer S sends those that the student's code has changed.
"""

import weakref

import torch
from torch import Tensor

from grading.border.agreement import Record
from grading.border.codec import SHARED, Decoder, Encoder
from grading.border.errors import Malformed
from grading.border.tensors import (
    CLAIMS_GRAD,
    PARAMETER,
    REQUIRES_GRAD,
    crosses,
    flags_of,
    read_values,
    with_flags,
    write_values,
)

NON_LEAF = 8
MOST = 10_000  # tensors that E keeps for S


class Sharing:
    """The shared tensors of one side.

    Args:
        first: number of the first tensor that this side makes: 2 in E, 1 in S.
        keep: S keeps a tensor until E lets go of it; E keeps none.
    """

    def __init__(self, first: int, keep: bool):
        self._next = first
        self._keep = keep
        self._records: dict[int, Record] = {}
        self._numbers: dict[int, int] = {}  # by id of the tensor
        self._strong: dict[int, Tensor] = {}  # until the other side lets go of it
        self._told: set[int] = set()  # what E has sent
        self.dropped: list[int] = []

    def number_of(self, tensor: Tensor) -> int | None:
        """The number of a shared tensor."""
        number = self._numbers.get(id(tensor))
        if number is not None and self._records[number].tensor() is not tensor:
            return None
        return number

    def get(self, number: int) -> Tensor | None:
        """The tensor with this number, if there is one."""
        record = self._records.get(number)
        return None if record is None else record.tensor()

    def add(self, number: int, tensor: Tensor, synced: bool = True) -> Tensor:
        """Share a tensor under a number.

        Args:
            number: of the tensor.
            tensor: what to share.
            synced: are its changes carried over?
        """
        if self._keep and synced:
            self._strong[number] = tensor
        key = id(tensor)
        ref = weakref.ref(tensor, lambda _: self._gone(number, key))
        self._records[number] = Record(ref, tensor, synced)
        self._numbers[key] = number
        return tensor

    def agreed(self, number: int) -> None:
        """The other side has sent this one: it need not get the values."""
        if not self._keep:
            self._told.add(number)

    def new(self, tensor: Tensor) -> int:
        """Share a tensor of this side's."""
        number, self._next = self._next, self._next + 2
        self.add(number, tensor)
        return number

    def lend(self, encoder: Encoder, tensor: Tensor) -> list:
        """The node of a tensor whose gradient may come back; the other side gets a copy."""
        number, self._next = self._next, self._next + 2
        key = self._numbers.get(id(tensor))
        self.add(number, tensor, synced=False)
        self._strong[number] = tensor
        if len(self._strong) > MOST and not self._keep:
            self.release([next(iter(self._strong))])
        if key is not None:
            self._numbers[id(tensor)] = key
        encoder.number(tensor)
        encoder.undo.append(lambda: self.release([number]))
        return [SHARED, number, write_values(encoder, tensor, REQUIRES_GRAD | NON_LEAF)]

    def lent(self, tensor: Tensor) -> int | None:
        """The number of a copy of what the other side has lent."""
        number = self.number_of(tensor)
        return None if number is None or self._records[number].kept is not None else number

    def _gone(self, number: int, key: int) -> None:
        self._told.discard(number)
        if self._records.pop(number, None) is not None:
            self.dropped.append(number)
        if self._numbers.get(key) == number:
            del self._numbers[key]

    def borrow(self, number: int, tensor: Tensor) -> None:
        """A copy of what the other side has lent; it is told when the copy is gone."""
        self.add(number, tensor, synced=False)

    def release(self, numbers: list[int]) -> None:
        """The other side has let go of these."""
        for number in numbers:
            record = self._records.pop(number, None)
            tensor = self._strong.pop(number, None)
            known = record is not None and tensor is not None
            if known and self._numbers.get(id(tensor)) == number:
                del self._numbers[id(tensor)]

    def encode(self, encoder: Encoder, tensor: Tensor) -> list:
        """The node of a tensor that is shared, or is from now on.

        S always sends the values, for E may have lost the tensor; E sends them once.
        """
        known = encoder.known(tensor)
        if known is not None:
            return known
        number = self.number_of(tensor)
        if number is None:
            number = self.new(tensor)
            if not self._keep:
                self._records[number].grad = None  # one that is left over goes as a change
        encoder.number(tensor)
        if number in self._told:
            return [SHARED, number, None]
        if not self._keep:
            self._told.add(number)
            encoder.undo.append(lambda: self._told.discard(number))
        return [SHARED, number, write_values(encoder, tensor, flags_of(tensor))]

    def changes(self, encoder: Encoder) -> list:
        """What changed on this side: number, values, gradient, requires_grad, quiet.

        A value or gradient that is the same stands as 0, a gradient that is gone as None. A
        quiet change is one that autograd does not see.
        """
        found = []
        for number, record in list(self._records.items()):
            if record.kept is None:
                continue
            tensor = record.tensor()
            if tensor is None:
                continue
            moved, grad_moved = record.moved(tensor), record.grad_moved(tensor)
            if not (moved or grad_moved or tensor.requires_grad != record.requires_grad):
                continue
            quiet = record.quiet(tensor)
            values = write_values(encoder, tensor, 0) if moved else 0
            grad: object = 0
            if grad_moved:
                grad = None
                if tensor.grad is not None and crosses(tensor.grad):
                    grad = write_values(encoder, tensor.grad.detach(), 0)
            found.append([number, values, grad, tensor.requires_grad, quiet])
            encoder.undo.append(record.forget)
            if moved:
                record.agree(tensor)
            record.agree_grad(tensor)
        return found

    def apply(self, decoder: Decoder, changed: object) -> None:
        """Make the changes of the other side here."""
        if type(changed) is not list:
            raise Malformed("changes of tensors that are none")
        for entry in changed:
            kinds = [type(part) for part in entry] if type(entry) is list else []
            if len(kinds) != 5 or [kinds[0], *kinds[3:]] != [int, bool, bool]:
                raise Malformed("a change of a tensor that is none")
            number, values, grad, requires_grad, quiet = entry
            if any(type(part) is not list and part not in (0, None) for part in (values, grad)):
                raise Malformed("a change of a tensor that is none")
            values = read_values(decoder, values)[0] if type(values) is list else None
            new_grad = read_values(decoder, grad)[0] if type(grad) is list else None
            tensor = self.get(number)
            if tensor is None:
                continue
            record = self._records[number]
            if values is not None:
                overwrite(tensor, values, quiet)
            if tensor.is_leaf and requires_grad != tensor.requires_grad:
                tensor.requires_grad_(requires_grad and _can_require(tensor))
            if grad != 0:
                if new_grad is not None and (
                    new_grad.shape != tensor.shape or new_grad.dtype != tensor.dtype
                ):
                    raise Malformed("a gradient of another shape than its tensor")
                tensor.grad = new_grad
            record.agree(tensor) if values is not None else record.agree_grad(tensor)


def _can_require(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def overwrite(tensor: Tensor, values: Tensor, quiet: bool) -> None:
    """Give a tensor new values, and another shape or dtype if need be."""
    if values.shape == tensor.shape and values.dtype == tensor.dtype:
        with torch.no_grad():
            (tensor.data if quiet else tensor).copy_(values)
    else:
        tensor.data = values


def read_shared(sharing: Sharing, decoder: Decoder, node: list, own_numbers: int) -> Tensor:
    """The tensor of a node; a new one if its number is new.

    Args:
        sharing: of this side.
        decoder: of the message.
        node: what :meth:`Sharing.node` made.
        own_numbers: 0 if this side's numbers are even, 1 if they are odd.
    """
    if len(node) not in (3, 4) or type(node[1]) is not int:
        raise Malformed("a shared tensor that is none")
    number, content = node[1], node[2]
    known = sharing.get(number)
    fresh = read_values(decoder, content) if type(content) is list else None
    if known is not None:
        return decoder.store(known)
    if fresh is None or number % 2 == own_numbers or number <= 0:
        raise Malformed("a shared tensor that was never sent")
    values, flags = fresh
    tensor = with_flags(values, flags & ~(NON_LEAF | CLAIMS_GRAD))
    if flags & NON_LEAF and not flags & PARAMETER:
        sharing.borrow(number, tensor)
        with torch.enable_grad():
            return decoder.store(tensor.clone())
    sharing.add(number, tensor)
    sharing.agreed(number)
    return decoder.store(tensor)
