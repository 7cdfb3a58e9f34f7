"""S's side of a message: what comes in becomes objects, what goes out becomes nodes."""

import io
import pickle
import sys
import weakref
from collections.abc import Callable

from grading.border import changes
from grading.border.codec import (
    CALLBACK,
    EXCEPTION,
    GENERATOR,
    HANDLE,
    LIBRARY,
    OUTPUT,
    PICKLE,
    SHARED,
    Decoder,
    Encoder,
    check,
)
from grading.border.failures import describe
from grading.border.library import find
from grading.border.randomness import new_generator, set_generator
from grading.border.standins import make_standin, standin_number


class Inward:
    """Tables of what E has sent, and of what E has seen.

    Args:
        servant: has the handles and the way to ask E.
    """

    def __init__(self, servant: object):
        self._servant = servant
        self._sent: dict[int, object] = {}  # E's library objects and generators
        self._standins: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
        self.dropped: list[int] = []  # stand-ins that are gone
        self._sent_numbers: dict[int, int] = {}  # by id
        self._torch: object | None = None
        self.readers: dict[int, Callable] = {
            HANDLE: self._read_handle,
            LIBRARY: self._read_library,
            PICKLE: self._read_pickle,
            CALLBACK: self._read_callback,
            GENERATOR: self._read_generator,
            EXCEPTION: self._read_exception,
            OUTPUT: lambda decoder, node: decoder.outputs[node[1]],
            SHARED: lambda decoder, node: self.torch_side().read(decoder, node),
        }

    def torch_side(self) -> object:
        """What only courses with torch need."""
        if self._torch is None:
            from grading.border.student_torch import StudentTorch

            self._torch = StudentTorch(self._servant.handles, self.dropped)
        return self._torch

    def encoder(self, arguments: list) -> Encoder:
        """For an answer; ``arguments`` are the objects of its request, in order."""
        numbers = {id(value): number for number, value in enumerate(arguments)}
        if "torch" not in sys.modules:
            return Encoder(self._opaque, numbers)
        side = self.torch_side()
        encoder = Encoder(self._opaque, numbers, side.write)
        encoder.describe_module = side.modules.describe
        return encoder

    def _opaque(self, encoder: Encoder, value: object) -> list:
        number = self._sent_numbers.get(id(value)) or standin_number(value)
        if number is not None:
            return [CALLBACK, number]
        if isinstance(value, BaseException):
            return [EXCEPTION, describe(encoder, value)]
        return self._servant.handles.node(encoder, value)

    def _keep(self, number: int, value: object) -> object:
        self._sent[number] = value
        self._sent_numbers[id(value)] = number
        return value

    def _read_handle(self, decoder: Decoder, node: list) -> object:
        return self._servant.handles[check(node, int)[0]]

    def _read_library(self, decoder: Decoder, node: list) -> object:
        return find(*check(node, str, str), load=True)

    def _read_callback(self, decoder: Decoder, node: list) -> object:
        number, kind = check(node, int, (str, type(None)))
        standin = self._standins.get(number)
        if standin is None:
            standin = make_standin(self._servant, number, kind)
            self._standins[number] = standin
            weakref.finalize(standin, self.dropped.append, number)
        while number in self.dropped:
            self.dropped.remove(number)
        return standin

    def _read_generator(self, decoder: Decoder, node: list) -> object:
        number, kind, state = node[1], node[2], node[3]
        generator = self._sent.get(number)
        state = decoder.decode(state)
        if generator is None:
            generator = self._keep(number, new_generator(kind))
        set_generator(generator, state)
        return decoder.store(generator)

    def _read_exception(self, decoder: Decoder, node: list) -> BaseException:
        kind, arguments = decoder.decode(node[1]), decoder.decode(node[2])
        error = kind.__new__(kind, *arguments)
        error.args = arguments
        return error

    def _read_pickle(self, decoder: Decoder, node: list) -> object:
        number, data, nodes = node[1:]
        known = self._sent.get(number)
        if known is not None and not data:
            return known
        parts = [decoder.decode(part) for part in nodes]
        unpickler = pickle.Unpickler(io.BytesIO(data))
        unpickler.persistent_load = parts.__getitem__
        value = unpickler.load()
        if known is not None and type(known) is type(value) and hasattr(known, "__dict__"):
            known.__dict__.clear()
            known.__dict__.update(value.__dict__)
            return known
        return self._keep(number, value)

    def release(self, message: dict) -> None:
        """What E has let go of."""
        for number in message.get("forget", ()):
            if number in self._sent:
                self._sent_numbers.pop(id(self._sent.pop(number)), None)
        if self._torch is not None:
            self._torch.release(message)

    def remember(self, objects: list) -> list:
        """What to compare the arguments with after the call."""
        return [None if self._is_shared(value) else changes.remember(value) for value in objects]

    def _is_shared(self, value: object) -> bool:
        return self._torch is not None and self._torch.is_shared(value)

    def update(self, message: dict, decoder: Decoder) -> None:
        """Tensors and modules that E has changed."""
        if "tensors" in message or "modules" in message:
            self.torch_side().update(message, decoder)

    def changes(self, encoder: Encoder) -> dict:
        """What the student's code has changed so far, for a callback."""
        return self._torch.changes(encoder) if self._torch is not None else {}

    def finish(self, encoder: Encoder) -> dict:
        """The last parts of an answer."""
        parts = self._torch.finish(encoder) if self._torch is not None else {}
        encoder.hand_over(parts, "dropped", self.dropped)
        return parts

    def backward(self, ticket: int, grads: list, needed: list) -> list:
        """Gradients of a call's inputs."""
        return self.torch_side().graphs.backward(ticket, grads, needed)
