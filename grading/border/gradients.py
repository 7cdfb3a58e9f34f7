"""Gradients across the border: one node of E's graph stands for the graph that S keeps."""

import collections
from collections.abc import Callable

import torch
from torch import Tensor

from grading.border.sharing import Sharing

MAX_TICKETS = 10_000
MAX_NODES = 200_000


class Graphs:
    """S's side: the outputs of calls with their graphs, by number of the ticket."""

    def __init__(self, sharing: Sharing):
        self._sharing = sharing
        self._kept: collections.OrderedDict[int, tuple[list, list, list]]
        self._kept = collections.OrderedDict()
        self._next = 1

    def keep(self, outputs: list[Tensor]) -> tuple[int, list[int]]:
        """Keep the graph of these outputs.

        Returns:
            The ticket, and the numbers of the shared tensors that the outputs depend on.
        """
        known, numbers, unknown = [], [], []
        for leaf in leaves(outputs):
            number = self._sharing.number_of(leaf)
            if number is None:
                unknown.append(leaf)
            else:
                known.append(leaf)
                numbers.append(number)
        ticket, self._next = self._next, self._next + 1
        self._kept[ticket] = outputs, known, unknown
        while len(self._kept) > MAX_TICKETS:
            self._kept.popitem(last=False)
        return ticket, numbers

    def release(self, tickets: list[int]) -> None:
        """E's graph is gone."""
        for ticket in tickets:
            self._kept.pop(ticket, None)

    def backward(self, ticket: int, grads: list, needed: list[bool]) -> list:
        """Gradients of the known leaves; leaves that E does not know collect theirs here."""
        if ticket not in self._kept:
            raise RuntimeError("the graph of this call is no longer kept: too many calls since")
        outputs, known, unknown = self._kept[ticket]
        pairs = [(one, grad) for one, grad in zip(outputs, grads, strict=True) if grad is not None]
        wanted = [leaf for leaf, need in zip(known, needed, strict=True) if need]
        if not pairs or not wanted + unknown:
            return [None] * len(known)
        found = torch.autograd.grad(
            [one for one, _ in pairs],
            [*wanted, *unknown],
            [grad for _, grad in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        for leaf, grad in zip(unknown, found[len(wanted) :], strict=True):
            if grad is not None:
                leaf.grad = grad if leaf.grad is None else leaf.grad + grad
        results = iter(found)
        return [next(results) if need else None for need in needed]


def leaves(outputs: list[Tensor]) -> list[Tensor]:
    """The leaves that require gradients and on which the outputs depend."""
    stack = [output.grad_fn for output in outputs]
    seen, found = set(stack), []
    while stack:
        node = stack.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found.append(leaf)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append(following)
        if len(seen) > MAX_NODES:
            raise RuntimeError("the graph of this result is too large to be kept")
    return found


class Ticket:
    """E's side: as long as it lives, S keeps the graph."""

    def __init__(self, number: int, ask: Callable, drop: Callable[[int], None]):
        self._number = number
        self._ask = ask
        self._drop = drop

    def backward(self, grads: tuple, needed: list[bool]) -> list[Tensor | None]:
        """Gradients of the inputs, from S."""
        return self._ask(self._number, list(grads), needed)

    def __del__(self):
        self._drop(self._number)


class CallbackTicket:
    """S's side of a graph that E keeps: of what one of E's functions returned.

    The gradient of the output itself goes back to E with the gradients of the whole call, so that
    E's own tensors get theirs; E is asked for those of the tensors that S passed.
    """

    def __init__(self, ask: Callable):
        self._ask = ask

    def backward(self, grads: tuple, needed: list[bool]) -> list[Tensor | None]:
        """Gradients of the outputs in E and of the tensors that S passed."""
        found = self._ask(list(grads), needed[len(grads) :])
        return [*grads, *found]


class Crossing(torch.autograd.Function):
    """The node in E's graph."""

    @staticmethod
    def forward(ctx, ticket, values, *inputs):
        """Hand the values on; the graph behind them is in S."""
        ctx.ticket = ticket
        ctx.shapes = [(one.shape, one.dtype) for one in inputs]
        ctx.save_for_backward(_NOTHING)  # so that a second backward fails as it does in torch
        ctx.set_materialize_grads(False)
        return tuple(values)

    @staticmethod
    def backward(ctx, *grads):
        """Ask the other side."""
        if torch.is_grad_enabled():
            raise RuntimeError(
                "second derivatives (create_graph=True) cannot be computed through the border"
            )
        _ = ctx.saved_tensors
        needed = list(ctx.needs_input_grad[2:-1])
        if not any(grad is not None for grad in grads):
            return (None,) * (len(needed) + 3)
        found = ctx.ticket.backward(grads, needed)
        for grad, (shape, dtype) in zip(found, ctx.shapes, strict=False):
            if grad is not None and (grad.shape != shape or grad.dtype != dtype):
                raise RuntimeError("the student's code gave a gradient of the wrong shape")
        return (None, None, *found, None)


_NOTHING = torch.empty(0)


def attach(ticket: Ticket, values: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Tensors with these values whose gradients go through the ticket to the inputs."""
    with torch.enable_grad():
        anchor = torch.empty(0, requires_grad=True)
        return list(Crossing.apply(ticket, values, *inputs, anchor))
