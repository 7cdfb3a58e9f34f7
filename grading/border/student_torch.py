"""What the student's side does for torch: shared tensors, graphs and modules."""

import weakref
from collections.abc import Callable

from torch import Tensor

from grading.border.codec import OUTPUT, Decoder, Encoder
from grading.border.gradients import CallbackTicket, Graphs, attach
from grading.border.handles import Handles
from grading.border.module_state import StudentModules
from grading.border.sharing import Sharing, read_shared
from grading.border.tensors import write_values


class StudentTorch:
    """Shared tensors, graphs and modules of S."""

    def __init__(self, handles: Handles, callbacks_gone: list[int]):
        self.callbacks_gone = callbacks_gone
        self.sharing = Sharing(first=1, keep=True)
        self.graphs = Graphs(self.sharing)
        self.modules = StudentModules(handles, self.sharing)

    def read(self, decoder: Decoder, node: list) -> object:
        """A shared tensor in a request."""
        return read_shared(self.sharing, decoder, node, own_numbers=1)

    def write(self, encoder: Encoder, tensor: Tensor) -> list | None:
        """The node of a tensor that is more than its values."""
        if not tensor.requires_grad and self.sharing.number_of(tensor) is None:
            return None
        if tensor.grad_fn is not None:
            for index, output in enumerate(encoder.outputs):
                if output is tensor:
                    return [OUTPUT, index]
            encoder.outputs.append(tensor)
            return [OUTPUT, len(encoder.outputs) - 1]
        return self.sharing.encode(encoder, tensor)

    def write_argument(self, encoder: Encoder, tensor: Tensor) -> list | None:
        """The node of a tensor in the arguments of a callback."""
        return self.sharing.lend(encoder, tensor) if tensor.requires_grad else None

    def read_outputs(self, decoder: Decoder, reply: dict, ask: Callable) -> list:
        """Tensors in what a callback returned; gradients through them go to E and back."""
        outputs = [self.read(decoder, node) for node in reply["outputs"]]
        if "graph" not in reply:
            return outputs
        graph = reply["graph"]
        ticket = CallbackTicket(lambda *given: ask(graph, "backward", given, {}))
        weakref.finalize(ticket, self.callbacks_gone.append, graph)
        inputs = [self.sharing.get(number) for number in reply["inputs"]]
        return attach(ticket, [one.detach() for one in outputs], [*outputs, *inputs])

    def is_shared(self, value: object) -> bool:
        """Is it kept in step by :class:`Sharing`?"""
        return self.sharing.number_of(value) is not None

    def release(self, message: dict) -> None:
        """What E has let go of."""
        self.sharing.release(message.get("unshare", ()))
        self.graphs.release(message.get("tickets", ()))
        self.modules.release(message.get("release", ()))

    def update(self, message: dict, decoder: Decoder) -> None:
        """Tensors and modules that E has changed."""
        self.sharing.apply(decoder, message.get("tensors", []))
        self.modules.update(decoder, message.get("modules", []))

    def changes(self, encoder: Encoder) -> dict:
        """What the student's code has changed in modules and shared tensors."""
        parts = {"modules": self.modules.changes(encoder), "tensors": self.sharing.changes(encoder)}
        return {name: changed for name, changed in parts.items() if changed}

    def finish(self, encoder: Encoder) -> dict:
        """Outputs with a graph, and what the call changed in shared tensors and modules."""
        parts: dict = {}
        encoder.hand_over(parts, "unshare", self.sharing.dropped)
        parts |= self.changes(encoder)
        if encoder.outputs:
            ticket, parts["inputs"] = self.graphs.keep(encoder.outputs)
            parts["ticket"] = ticket
            encoder.undo.append(lambda: self.graphs.release([ticket]))
            tail, encoder.tail = encoder.tail, []
            parts["outputs"] = [write_values(encoder, one, 0) for one in encoder.outputs]
            encoder.tail += tail
        return parts
