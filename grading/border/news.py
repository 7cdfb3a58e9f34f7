"""What has changed in E since the last request, and goes with the next one."""

import weakref
from collections.abc import Mapping, MutableMapping

from grading.border import conditions, randomness
from grading.border.codec import Encoder

MISSING = object()


class News:
    """Names, random generators, settings, tensors, modules, and what E needs no more.

    Args:
        border: whose requests they are.
    """

    def __init__(self, border: object):
        self._border = border
        self._random: list | None = None
        self._namespace: MutableMapping | None = None
        self._bound: dict[str, object] = {}
        self.tickets: list[int] = []
        self._known: weakref.WeakSet = weakref.WeakSet()

    def bind(self, values: Mapping[str, object], namespace: MutableMapping) -> None:
        """Put values into a namespace, and watch it from now on; a MISSING one is removed."""
        self._bound = dict(values)
        for name, value in self._bound.items():
            if value is MISSING:
                namespace.pop(name, None)
            else:
                namespace[name] = value
                if isinstance(value, type):
                    self._known.add(value)
        self._namespace = namespace

    def knows(self, kind: type) -> bool:
        """Is the class, or one that it is derived from, bound by a name of the assignment?"""
        return any(one in self._known for one in kind.__mro__)

    def names(self) -> dict[str, object]:
        """The bound names."""
        return {name: value for name, value in self._bound.items() if value is not MISSING}

    def moved(self, names: list[str]) -> None:
        """S has drawn: move E's generators on, and send their states with the next request."""
        for place, name in enumerate(randomness.NAMES):
            if name in names:
                randomness.move_on(name)
                self._random[place] = None

    def update(self, message: dict, encoder: Encoder) -> None:
        """Put into a request what has changed in E since the last one."""
        if self._border.context is not None:
            message["context"] = self._border.context
        settings = conditions.current()
        if settings is not None and settings != conditions.USUAL:
            message["torch"] = settings
        now = randomness.snapshot()
        moved = (
            [name for name, value in zip(randomness.NAMES, now, strict=True) if value]
            if self._random is None
            else randomness.changed(self._random, now)
        )
        if moved:
            message["random"] = {name: randomness.state(name) for name in moved}
        before, self._random = self._random, now
        encoder.undo.append(lambda: setattr(self, "_random", before))
        self._rebind(message, encoder)
        if self._border.torch is not None:
            self._border.torch.update(message, encoder)
        encoder.hand_over(message, "tickets", self.tickets)
        encoder.hand_over(message, "forget", self._border.outward.forgotten)
        incoming = self._border.incoming
        encoder.hand_over(message, "release", incoming.released)
        incoming.untell(message.get("release", ()))

    def _rebind(self, message: dict, encoder: Encoder) -> None:
        """Names that test code has bound anew or deleted."""
        rebound, gone = {}, []
        for name, value in self._bound.items() if self._namespace is not None else ():
            now = self._namespace.get(name, MISSING)
            if now is value:
                continue
            if now is MISSING:
                gone.append(name)
            else:
                rebound[name] = now
        if not rebound and not gone:
            return
        message["rebind"] = {name: encoder.encode(value) for name, value in rebound.items()}
        message["delete"] = gone
        before = dict(self._bound)
        encoder.undo.append(lambda: self._bound.update(before))
        self._bound |= rebound | dict.fromkeys(gone, MISSING)
