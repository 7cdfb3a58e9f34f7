"""Exceptions of the student's code: described in S, raised in E."""

import linecache
import os
from collections.abc import Callable

from grading.border.codec import SCALARS, Decoder, Encoder
from grading.border.errors import Malformed, NotPlain

HERE = os.path.dirname(__file__)
MAX_MESSAGE = 10_000
MAX_FRAMES = 40
MAX_LINE = 400
LEAVING = (StopIteration, StopAsyncIteration, GeneratorExit, SystemExit, KeyboardInterrupt)


def describe(encoder: Encoder, error: BaseException) -> dict:
    """The exception as plain data: its class, arguments, message and frames."""
    kind, message = type(error), _message(error)
    if isinstance(error, LEAVING) or not isinstance(error, Exception):
        kind = next(one for one in kind.__mro__ if one in LEAVING or one is BaseException)
        if kind is not type(error):
            message = f"{type(error).__name__}: {message}"
    return {
        "class": encoder.encode(kind),
        "args": _plain_arguments(_arguments(error)),
        "message": message,
        "attributes": _attributes(encoder, error),
        "frames": _frames(error),
    }


def _arguments(error: BaseException) -> tuple:
    if isinstance(error, OSError) and error.filename is not None and len(error.args) == 2:
        return (*error.args, str(error.filename))
    return error.args


def _plain_arguments(arguments: object) -> list:
    if type(arguments) is not tuple:
        return []
    return [
        _cut(value)
        if isinstance(value, str)
        else value
        if _small(value)
        else _cut(repr(type(value)))
        for value in arguments[:20]
    ]


def _small(value: object) -> bool:
    if type(value) is int:
        return abs(value) < 2**63
    return type(value) in SCALARS and (type(value) is not bytes or len(value) <= MAX_MESSAGE)


def _cut(text: str) -> str:
    return str.__str__(text)[:MAX_MESSAGE].encode("utf-8", "replace").decode("utf-8")


def _attributes(encoder: Encoder, error: BaseException) -> dict:
    found = {}
    for name, value in list(vars(error).items())[:20]:
        if isinstance(name, str) and not name.startswith("_"):
            try:
                found[name] = encoder.encode(value)
            except NotPlain:
                continue
    return found


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as problem:
        text = f"<no message: {type(problem).__name__}>"
    return _cut(text)


def _frames(error: BaseException) -> list[list]:
    frames, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(HERE):
            frames.append((code.co_filename, trace.tb_lineno, code.co_name))
            if len(frames) > 4 * MAX_FRAMES:
                del frames[MAX_FRAMES : 2 * MAX_FRAMES]
        trace = trace.tb_next
    chosen = frames if len(frames) <= MAX_FRAMES else frames[:10] + frames[10 - MAX_FRAMES :]
    return [
        [file[:MAX_LINE], line, name[:MAX_LINE], linecache.getline(file, line).strip()[:MAX_LINE]]
        for file, line, name in chosen
    ]


class StudentCodeExited(RuntimeError):
    """The student's code called exit() or raised an exception that ends programs or loops."""


def rebuild(decoder: Decoder, description: object, own: Callable[[str], bool] | None) -> Exception:
    """The exception to raise in E.

    Args:
        decoder: of the message.
        description: what :func:`describe` gave.
        own: says whether a file name is one of the student's cells.
    """
    fields = {"class", "args", "message", "attributes", "frames"}
    if type(description) is not dict or set(description) != fields:
        raise Malformed("an exception with the wrong fields")
    kind = decoder.decode(description["class"])
    arguments, message = description["args"], description["message"]
    attributes = description["attributes"]
    if type(arguments) is not list or not SCALARS.issuperset(map(type, arguments)):
        raise Malformed("an exception with odd arguments")
    if type(message) is not str or type(attributes) is not dict:
        raise Malformed("an exception with an odd message")
    values = {name: decoder.decode(node) for name, node in attributes.items()}
    lines = _lines(description["frames"], own)
    if not isinstance(kind, type) or not issubclass(kind, BaseException):
        raise Malformed("an exception of a class that is none")
    error = make(kind, tuple(arguments), message, values)
    error.student_traceback = lines
    return error


def make(kind: type, arguments: tuple, message: str, attributes: dict) -> Exception:
    """An instance of ``kind``; one that would end a loop or the program becomes a RuntimeError."""
    if issubclass(kind, LEAVING) or not issubclass(kind, Exception):
        return StudentCodeExited(f"the code raised {kind.__name__}: {message}".removesuffix(": "))
    try:
        error = kind.__new__(kind, *arguments)
        if kind.__module__ == "builtins":
            error.__init__(*arguments)
        if not isinstance(error, OSError):
            error.args = arguments
    except Exception:
        error = _simpler(kind, message)
    for name, value in attributes.items():
        if name.isidentifier() and not name.startswith("_") and name not in _RESERVED:
            try:
                object.__setattr__(error, name, value)
            except (AttributeError, TypeError):
                continue
    if hasattr(kind, "student_message"):
        error.student_message = message
    return error


def _simpler(kind: type, message: str) -> Exception:
    """An exception with nothing but a message, of this class or one above it."""
    for one in kind.__mro__:
        if one.__module__ == "builtins" and issubclass(one, Exception):
            try:
                return one(message)
            except Exception:
                continue
    return Exception(message)


_RESERVED = {*dir(BaseException), "student_message", "student_traceback"}


def _lines(frames: object, own: Callable[[str], bool] | None) -> list[str]:
    if type(frames) is not list or len(frames) > 2 * MAX_FRAMES:
        raise Malformed("an exception with odd frames")
    lines = []
    for frame in frames:
        if type(frame) is not list or [type(entry) for entry in frame] != [str, int, str, str]:
            raise Malformed("an exception with odd frames")
        file, line, name, text = frame
        if own is None or own(file):
            lines.append(f'File "{file[:MAX_LINE]}", line {line}, in {name[:MAX_LINE]}')
            if text:
                lines.append(f"    {text[:MAX_LINE]}")
    return lines
