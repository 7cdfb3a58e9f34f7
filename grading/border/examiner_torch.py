"""What the examiner's side does for torch: shared tensors, graphs and mirrored modules."""

import torch
from torch import Tensor

from grading.border.codec import OUTPUT, Decoder, Encoder
from grading.border.errors import Malformed
from grading.border.gradients import Ticket, attach, leaves
from grading.border.mirrors import Mirrors
from grading.border.sharing import Sharing, read_shared
from grading.border.tensors import crosses, read_values


class CallbackGraph:
    """The graph of what a callback returned, for a student's backward pass through it."""

    _outputs_of_a_callback = True

    def __init__(self, outputs: list[Tensor], inputs: list[Tensor]):
        self._outputs = outputs
        self._inputs = inputs

    def backward(self, grads: object, needed: object) -> list[Tensor | None]:
        """Gradients of the inputs.

        Raises:
            ValueError: S has sent something else than gradients.
        """
        if type(grads) is not list or type(needed) is not list:
            raise ValueError("no gradients")
        if len(grads) != len(self._outputs) or len(needed) != len(self._inputs):
            raise ValueError("the wrong number of gradients")
        pairs = [
            (one, grad)
            for one, grad in zip(self._outputs, grads, strict=True)
            if isinstance(grad, Tensor)
        ]
        found = torch.autograd.grad(
            [one for one, _ in pairs],
            self._inputs,
            [grad for _, grad in pairs],
            retain_graph=True,
            allow_unused=True,
        )
        return list(found)


class ExaminerTorch:
    """E's tables."""

    def __init__(self, border: object):
        self._border = border
        self.sharing = Sharing(first=2, keep=False)
        self.mirrors = Mirrors(border, self.sharing)

    def write(self, encoder: Encoder, tensor: Tensor) -> list | None:
        """The node of a tensor that requires gradients or is shared."""
        if tensor.is_leaf:
            if not tensor.requires_grad and self.sharing.number_of(tensor) is None:
                return None
            return self.sharing.encode(encoder, tensor) if crosses(tensor) else None
        return self.sharing.lend(encoder, tensor) if crosses(tensor) else None

    def share(self, encoder: Encoder, part: object) -> list | None:
        """The node of a leaf of a library's object; None for anything else."""
        if isinstance(part, Tensor) and part.is_leaf and crosses(part):
            return self.sharing.encode(encoder, part)
        return None

    def read_shared(self, decoder: Decoder, node: list) -> Tensor:
        """A shared tensor in an answer."""
        return read_shared(self.sharing, decoder, node, own_numbers=0)

    def update(self, message: dict, encoder: Encoder) -> None:
        """Put changed tensors and modules into a request."""
        tensors = self.sharing.changes(encoder)
        if tensors:
            message["tensors"] = tensors
        modules = self.mirrors.changes(encoder)
        if modules:
            message["modules"] = modules
        encoder.hand_over(message, "unshare", self.sharing.dropped)

    def apply(self, decoder: Decoder, answer: dict) -> bool:
        """What the call has changed; says whether a tensor of E's is among it."""
        self.mirrors.apply(decoder, answer.get("modules", []))
        changed = answer.get("tensors", [])
        self.sharing.apply(decoder, changed)
        return any(number % 2 == 0 and values != 0 for number, values, *_ in changed)

    def outputs(self, decoder: Decoder, answer: dict) -> list[Tensor]:
        """The tensors of an answer that depend on E's tensors, as outputs of one node."""
        nodes, ticket, numbers = answer["outputs"], answer.get("ticket"), answer.get("inputs", [])
        if type(ticket) is not int or type(numbers) is not list:
            raise Malformed("outputs without a graph")
        values = []
        for node in nodes:
            if type(node) is not list or not node or len(nodes) > 10_000:
                raise Malformed("outputs that are none")
            tensor = read_values(decoder, node)[0]
            if not (tensor.is_floating_point() or tensor.is_complex()):
                raise Malformed("an output that can have no gradient")
            values.append(tensor)
        if not all(type(number) is int for number in numbers) or len(set(numbers)) != len(numbers):
            raise Malformed("inputs that are none")
        inputs = [self.sharing.get(number) for number in numbers]
        alive = [one for one in inputs if one is not None and one.requires_grad]
        places = [one is not None and one.requires_grad for one in inputs]
        return attach(Ticket(ticket, self._backward(places), self._drop), values, alive)

    def write_result(self, encoder: Encoder, tensor: Tensor) -> list | None:
        """The node of a tensor in what a callback returns."""
        if tensor.grad_fn is None:
            return self.write(encoder, tensor)
        if not any(output is tensor for output in encoder.outputs):
            encoder.outputs.append(tensor)
        return [OUTPUT, next(i for i, one in enumerate(encoder.outputs) if one is tensor)]

    def finish_result(self, reply: dict, encoder: Encoder, outward: object) -> None:
        """Put the last parts into a reply: tensors with a graph, and the number of the graph."""
        if not encoder.outputs:
            return
        lent = [(self.sharing.lent(leaf), leaf) for leaf in leaves(encoder.outputs)]
        inputs = [(number, leaf) for number, leaf in lent if number is not None and number % 2]
        tail, encoder.tail = encoder.tail, []
        reply["outputs"] = [self.sharing.lend(encoder, one) for one in encoder.outputs]
        reply["inputs"] = [number for number, _ in inputs]
        encoder.tail += tail
        if inputs:
            graph = CallbackGraph(encoder.outputs, [leaf for _, leaf in inputs])
            reply["graph"] = outward.number_of(graph, strong=True)

    def _backward(self, places: list[bool]):
        border = self._border

        def ask(ticket: int, grads: list, needed: list[bool]) -> list:
            given = iter(needed)
            every = [next(given) if place else False for place in places]
            found = border.ask_backward(ticket, grads, every)
            if type(found) is not list or len(found) != len(every):
                raise RuntimeError("the student's process gave no gradients")
            for grad in found:
                if grad is not None and not isinstance(grad, Tensor):
                    raise RuntimeError("the student's process gave no gradients")
            return [
                None if grad is None else grad.detach()
                for grad, place in zip(found, places, strict=True)
                if place
            ]

        return ask

    def _drop(self, ticket: int) -> None:
        self._border.news.tickets.append(ticket)
