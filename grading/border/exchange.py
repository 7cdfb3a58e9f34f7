"""One request and its answer, and the examiner's functions that S calls in between."""

import time
from collections.abc import Iterable, Mapping
from typing import NoReturn

from grading.border import changes, failures, output, randomness
from grading.border.codec import Decoder, Encoder
from grading.border.errors import (
    BorderError,
    Closed,
    Malformed,
    NotPlain,
    StudentLost,
    TimedOut,
    TooLarge,
)
from grading.border.outward import Callbacks

MAX_NESTED = 16
ANSWER = {
    "id": int, "value": object, "error": dict, "changed": list, "print": list, "random": list,
    "modules": list, "tensors": list, "ticket": int, "inputs": list, "outputs": list,
    "tail": memoryview, "reraise": int, "dropped": list, "unshare": list,
}  # fmt: skip
CALLBACK = {
    "callback": int, "what": str, "args": list, "kwargs": dict, "print": list, "tail": memoryview,
    "modules": list, "tensors": list,
}  # fmt: skip


class Exchanges:
    """Sends requests and reads answers.

    Args:
        border: what the requests are for.
    """

    def __init__(self, border: object):
        self._border = border
        self._callbacks = Callbacks(border.outward)
        self.broken: str | None = None
        self._number = 0
        self._depth = 0

    def ask(self, message: dict, origin: str, arguments: Iterable, options: Mapping) -> object:
        """Send a request and return the value of its answer.

        Raises:
            StudentLost: S cannot answer.
            NotPlain: an argument cannot cross; nothing was sent.
            Exception: what the student's code raised.
        """
        if self.broken:
            raise StudentLost(f"the student's process is lost: {self.broken}")
        if self._depth >= MAX_NESTED:
            raise RecursionError("calls between examiner and student are nested too deep")
        if not self._depth:
            self._callbacks.raised.clear()
        encoder = self._border.encoder()
        try:
            if arguments:
                message["args"] = [encoder.encode(value) for value in arguments]
            if options:
                message["kwargs"] = {name: encoder.encode(value) for name, value in options.items()}
            self._border.news.update(message, encoder)
            self._send(message, encoder)
        except BaseException:
            encoder.roll_back()
            raise
        value, changed, error = self._answer(message, encoder, origin)
        if changed:
            self._border.on_mutation(origin)
            try:
                for target, new in changed:
                    changes.apply(target, new)
            except BorderError as problem:
                self.give_up("protocol", problem)
        if error is not None:
            raise error
        return value

    def give_up(self, why: str, error: BaseException | None = None) -> NoReturn:
        """No call can succeed from now on.

        Raises:
            StudentLost: always.
        """
        self.broken = why
        detail = f" ({error})" if error is not None and why == "protocol" else ""
        raise StudentLost(f"the student's process is lost: {why}{detail}") from None

    def _send(self, message: dict, encoder: Encoder) -> None:
        try:
            if self._border.channel.waiting():
                raise Malformed("a message that nobody asked for")
            self._number = message["id"] = self._number + 1
            self._border.channel.send(message, encoder.tail, self._border.call_seconds)
        except (Malformed, TooLarge) as error:
            if "id" not in message:
                self.give_up("protocol", error)
            raise NotPlain(f"an argument cannot cross the border: {error}") from None
        except BorderError as error:
            self.give_up(_reason(error), error)
        except BaseException:
            self.broken = "interrupted"
            raise

    def _answer(self, message: dict, encoder: Encoder, origin: str) -> tuple:
        self._depth += 1
        try:
            return self._read(self._receive(message), encoder, origin)
        except BorderError as error:
            self.give_up(_reason(error), error)
        except StudentLost:
            raise
        except Exception as error:  # whatever a value from S brought about
            self.give_up("protocol", error)
        except BaseException:
            self.broken = self.broken or "interrupted"
            raise
        finally:
            self._depth -= 1

    def _receive(self, message: dict) -> dict:
        """Serve callbacks until the answer comes."""
        deadline = time.monotonic() + self._border.call_seconds
        while True:
            answer = self._border.channel.receive(max(0.001, deadline - time.monotonic()))
            if "callback" not in answer:
                break
            start = time.monotonic()
            self._serve(answer)
            deadline += time.monotonic() - start
        _check_fields(answer, ANSWER)
        if answer.get("id") != message["id"]:
            raise Malformed("an answer to another request")
        if ("value" in answer) == ("error" in answer):
            raise Malformed("an answer without a result")
        return answer

    def _serve(self, request: dict) -> None:
        """Do what S asks of one of the examiner's objects."""
        _check_fields(request, CALLBACK)
        for field in ("callback", "what", "args", "kwargs"):
            if field not in request:
                raise Malformed("a call of the examiner's objects that is none")
        if self._border.outward.get(request["callback"]) is None:
            raise Malformed("an object of the examiner's that was never passed")
        decoder = self._decoder(request, [])
        arguments = [decoder.decode(node) for node in request["args"]]
        options = {name: decoder.decode(node) for name, node in request["kwargs"].items()}
        self._apply(decoder, request)
        decoder.finish()
        output.replay(request.get("print", []))
        reply: dict = {"op": "return"}
        encoder = self._border.encoder()
        torch = self._border.torch
        if torch is not None:
            encoder.tensor = torch.write_result
        try:
            what = request["what"]
            value = self._callbacks.run(request["callback"], what, arguments, options)
            reply["value"] = encoder.encode(value)
            if torch is not None:
                torch.update(reply, encoder)
                torch.finish_result(reply, encoder, self._border.outward)
            self._border.channel.send(reply, encoder.tail, self._border.call_seconds)
        except (StudentLost, Closed, TimedOut):
            raise
        except Exception as error:
            encoder.roll_back()
            self._callbacks.raised.append(error)
            reply = {"op": "return", "raised": len(self._callbacks.raised) - 1}
            self._border.channel.send(reply, (), self._border.call_seconds)

    def _decoder(self, message: dict, arguments: list) -> Decoder:
        return Decoder(message.get("tail", b""), arguments, self._border.incoming.readers)

    def _apply(self, decoder: Decoder, message: dict) -> None:
        sent = "modules" in message or "tensors" in message
        if sent and self._border.torch_side().apply(decoder, message):
            self._border.on_mutation(decoder.origin)

    def _read(self, answer: dict, encoder: Encoder, origin: str) -> tuple:
        """The value, the changes of arguments, and the exception."""
        border = self._border
        decoder = self._decoder(answer, encoder.objects)
        decoder.origin = origin
        if "outputs" in answer:
            decoder.outputs = border.torch_side().outputs(decoder, answer)
        value = error = None
        if "error" in answer:
            rebuilt = failures.rebuild(decoder, answer["error"], border.incoming.own)
            error = self._original(answer, rebuilt)
        else:
            value = decoder.decode(answer["value"])
        changed = changes.read(decoder, answer.get("changed", []), encoder.objects)
        self._apply(decoder, answer)
        decoder.finish()
        if border.torch is not None:
            border.torch.sharing.release(_numbers(answer.get("unshare", [])))
        border.outward.drop(_numbers(answer.get("dropped", [])))
        output.replay(answer.get("print", []))
        drawn = answer.get("random", [])
        if not all(type(name) is str and name in randomness.NAMES for name in drawn):
            raise Malformed("an unknown generator")
        border.news.moved(drawn)
        return value, changed, error

    def _original(self, answer: dict, error: Exception) -> BaseException:
        """What the examiner's own function raised, if the student's code let it through."""
        number = answer.get("reraise")
        if number is None:
            return error
        if not 0 <= number < len(self._callbacks.raised):
            raise Malformed("an exception of the examiner's that never was")
        return self._callbacks.raised[number]


def _numbers(values: list) -> list[int]:
    if not all(type(value) is int for value in values):
        raise Malformed("numbers that are none")
    return values


def _reason(error: BorderError) -> str:
    if isinstance(error, TimedOut):
        return "timed out"
    return "the process ended" if isinstance(error, Closed) else "protocol"


def _check_fields(message: dict, allowed: dict) -> None:
    for name, value in message.items():
        kind = allowed.get(name)
        if kind is None or (kind is not object and type(value) is not kind):
            raise Malformed("a message with an unknown field")
