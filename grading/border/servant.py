"""The student's side: answers one request at a time, whatever the student's code does."""

import contextlib
import copy
import inspect
import sys
import threading
from collections.abc import Callable

from grading.border import changes, conditions, failures, randomness
from grading.border.channel import Channel
from grading.border.codec import Decoder, Encoder
from grading.border.errors import Malformed, NotPlain, TooLarge
from grading.border.handles import Handles
from grading.border.inward import Inward
from grading.border.output import Pieces
from grading.border.special import SPECIAL_CALLS
from grading.border.standins import ExaminerError

_NOTHING = contextlib.nullcontext()


class Servant:
    """Serves the student's objects to the examiner.

    Args:
        channel: to the examiner.
        namespace: where the student's cells ran.
        prepare: makes a context manager from the ``context`` of a request; it is entered around
            every piece of the student's code.
    """

    def __init__(
        self,
        channel: Channel,
        namespace: dict,
        prepare: Callable[[object], contextlib.AbstractContextManager] | None = None,
    ):
        self.channel = channel
        self.namespace = namespace
        self.handles = Handles()
        self.inward = Inward(self)
        self._prepare = prepare
        self._pieces = Pieces()
        self._random = None
        self._context: object = None
        self._thread = threading.get_ident()

    def handle(self, message: dict) -> None:
        """Answer one request."""
        self._thread = threading.get_ident()
        encoder = None
        try:
            answer, encoder = self._answer(message)
            self.channel.send(answer, encoder.tail)
        except (Malformed, TooLarge, RecursionError, MemoryError, NotPlain) as error:
            if encoder is not None:
                encoder.roll_back()
            problem = NotPlain(f"the result cannot cross the border: {error}")
            encoder = self._encoder([])
            answer = {"id": message["id"], "error": failures.describe(encoder, problem)}
            self.channel.send(answer, encoder.tail)

    def ask(self, request: dict, encoder: Encoder) -> tuple[dict, Decoder]:
        """Ask E while it waits for an answer, and serve it until it replies."""
        if threading.get_ident() != self._thread:
            raise RuntimeError("the examiner's objects can be used in the main thread only")
        saved = sys.stdout, sys.stderr
        self.channel.send({**request, "print": self._pieces.take()}, encoder.tail)
        while True:
            message = self.channel.receive(None)
            if message["op"] == "return":
                sys.stdout, sys.stderr = saved
                return message, self._decoder(message)
            self.handle(message)

    def _decoder(self, message: dict) -> Decoder:
        return Decoder(message.get("tail", b""), [], self.inward.readers)

    def _encoder(self, arguments: list) -> Encoder:
        return self.inward.encoder(arguments)

    def _answer(self, message: dict) -> tuple[dict, Encoder]:
        answer: dict = {"id": message["id"]}
        decoder = self._decoder(message)
        before: list = []
        encoder = None
        try:
            self._release(message)
            arguments = [decoder.decode(node) for node in message.get("args", ())]
            options = {k: decoder.decode(node) for k, node in message.get("kwargs", {}).items()}
            self._update(message, decoder)
            before = self.inward.remember(decoder.objects)
            perform = getattr(self, "_op_" + message["op"])
            value = self._run(message, perform, arguments, options)
            encoder = self._encoder(decoder.objects)
            answer["value"] = encoder.encode(value)
            answer["changed"] = changes.collect(encoder, decoder.objects, before)
        except BaseException as error:
            if encoder is not None:
                encoder.roll_back()
            answer.pop("value", None)
            encoder = self._encoder(decoder.objects)
            if isinstance(error, ExaminerError):
                answer["reraise"] = error.number
            answer["error"] = failures.describe(encoder, error)
            answer["changed"] = self._changes_after_failure(encoder, decoder.objects, before)
            error.__traceback__ = None
        answer |= self.inward.finish(encoder)
        pieces = self._pieces.take()
        if pieces:
            answer["print"] = pieces
        now = randomness.snapshot()
        moved = randomness.changed(self._random, now) if self._random else []
        self._random = now
        if moved:
            answer["random"] = moved
        return {key: value for key, value in answer.items() if value != []}, encoder

    def _changes_after_failure(self, encoder: Encoder, objects: list, before: list) -> list:
        if len(before) != len(objects):
            return []
        found = []
        for number, (value, kept) in enumerate(zip(objects, before, strict=True)):
            with contextlib.suppress(NotPlain):
                if changes.changed(value, kept):
                    found.append([number, changes.encode_new(encoder, value)])
        return found

    def _release(self, message: dict) -> None:
        """What E needs no more."""
        self._context = message.get("context")
        self.handles.release(message.get("release", ()))
        self.inward.release(message)

    def _update(self, message: dict, decoder: Decoder) -> None:
        """What E did since the last request."""
        for name, node in message.get("rebind", {}).items():
            self.namespace[name] = decoder.decode(node)
        for name in message.get("delete", ()):
            self.namespace.pop(name, None)
        self.inward.update(message, decoder)
        for name, state in message.get("random", {}).items():
            randomness.restore(name, state)
        if "random" in message or self._random is None:
            self._random = randomness.snapshot()

    def _run(self, message: dict, perform: Callable, arguments: list, options: dict) -> object:
        prepared = self._prepare(self._context) if self._prepare else _NOTHING
        settings = message.get("torch")
        saved = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._pieces.streams
        try:
            with prepared:
                if settings is None:
                    return perform(message, arguments, options)
                with conditions.applied(settings):
                    return perform(message, arguments, options)
        finally:
            sys.stdout, sys.stderr = saved

    # The operations. ``target`` is the number of an object that E has seen.

    def _op_fetch(self, message: dict, arguments: list, options: dict) -> object:
        return {name: self.namespace[name] for name in message["names"] if name in self.namespace}

    def _op_call(self, message: dict, arguments: list, options: dict) -> object:
        return self.handles[message["target"]](*arguments, **options)

    def _op_method(self, message: dict, arguments: list, options: dict) -> object:
        method = getattr(self.handles[message["target"]], message["name"])
        return method(*arguments, **options)

    def _op_get(self, message: dict, arguments: list, options: dict) -> object:
        return getattr(self.handles[message["target"]], message["name"])

    def _op_set(self, message: dict, arguments: list, options: dict) -> None:
        setattr(self.handles[message["target"]], message["name"], arguments[0])

    def _op_delete(self, message: dict, arguments: list, options: dict) -> None:
        delattr(self.handles[message["target"]], message["name"])

    def _op_special(self, message: dict, arguments: list, options: dict) -> object:
        """A special method, as Python calls it: looked up on the class."""
        target, name = self.handles[message["target"]], message["name"]
        perform = SPECIAL_CALLS.get(name)
        if perform is not None:
            return perform(target, *arguments)
        return getattr(type(target), name)(target, *arguments)

    def _op_signature(self, message: dict, arguments: list, options: dict) -> object:
        signature = inspect.signature(self.handles[message["target"]])
        empty = inspect.Parameter.empty
        return [
            (
                one.name,
                int(one.kind),
                *_present(one.default, empty),
                *_present(one.annotation, empty),
            )
            for one in signature.parameters.values()
        ], *_present(signature.return_annotation, inspect.Signature.empty)

    def _op_copy(self, message: dict, arguments: list, options: dict) -> object:
        return copy.copy(self.handles[message["target"]])

    def _op_deepcopy(self, message: dict, arguments: list, options: dict) -> object:
        return copy.deepcopy(self.handles[message["target"]])

    def _op_backward(self, message: dict, arguments: list, options: dict) -> object:
        return self.inward.backward(message["ticket"], *arguments)


def _present(value: object, empty: object) -> tuple[bool, object]:
    return (False, None) if value is empty else (True, value)
