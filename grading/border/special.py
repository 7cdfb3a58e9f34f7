"""Special methods in S that are more than a look-up on the class."""

import asyncio
import builtins
import operator
from collections.abc import Callable


def _next(target: object) -> tuple[bool, object]:
    """Whether there is an item, and the item or the value of StopIteration."""
    try:
        return True, next(target)
    except StopIteration as end:
        return False, end.value


def _send(target: object, value: object) -> tuple[bool, object]:
    try:
        return True, target.send(value)
    except StopIteration as end:
        return False, end.value


def _await(target: object) -> object:
    """Run a coroutine that waits for nothing from outside, or with an event loop of its own."""

    async def wait() -> object:
        return await target

    return asyncio.run(wait())


SPECIAL_CALLS: dict[str, Callable] = {
    "__next__": _next,
    "send": _send,
    "__await__": _await,
    "__iter__": iter,
    "__reversed__": reversed,
    "__len__": len,
    "__bool__": bool,
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "__call__": lambda target, *arguments: target(*arguments),
    "__repr__": repr,
    "__str__": str,
    "__format__": format,
    "__hash__": hash,
    "__dir__": dir,
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__round__": round,
    "__anext__": lambda target: _await(builtins.anext(target)),
}
