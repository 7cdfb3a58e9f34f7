"""The examiner's side: what the engine and the proxies call."""

import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping

from grading.border.channel import Channel
from grading.border.codec import Encoder
from grading.border.exchange import Exchanges
from grading.border.incoming import Incoming
from grading.border.news import MISSING, News
from grading.border.outward import Outward
from grading.border.proxies import GlobalsView, Remote, remote_of
from grading.border.signatures import build


class Border:
    """The student's objects, for the examiner.

    ``context`` goes with every request: see ``prepare`` of
    :class:`~grading.border.servant.Servant`. ``calls`` counts the requests.

    Args:
        channel: to the student's process.
        call_seconds: how long one call may take, the examiner's own functions not counted.
        student_file_names: files of the student's cells, or a function that says whether a file
            is one; other frames are left out of ``student_traceback``. All are kept for None.
        static_code: gives a code object, compiled from the submission and never run, for the
            qualified name of a function; it becomes the ``__code__`` of the proxy.
        on_mutation: called with the origin (``softmax()``) of each call that changed an argument,
            before the change is made here; it may raise to refuse the change.
    """

    def __init__(
        self,
        channel: Channel,
        call_seconds: float = 10.0,
        student_file_names: Collection[str] | Callable[[str], bool] | None = None,
        static_code: Callable[[str], types.CodeType | None] | None = None,
        on_mutation: Callable[[str], None] | None = None,
    ):
        self.channel = channel
        self.call_seconds = call_seconds
        self.context: object = None
        self.calls = 0
        self.static_code = static_code or (lambda name: None)
        self.on_mutation = on_mutation or (lambda origin: None)
        names = student_file_names
        own = names.__contains__ if isinstance(names, Collection) else names
        self.torch = None  # see torch_side()
        self.outward = Outward(self)
        self.news = News(self)
        self.incoming = Incoming(self, own)
        self._exchanges = Exchanges(self)

    # For the engine.

    @property
    def broken(self) -> str | None:
        """Why no further call can succeed; None as long as one can."""
        return self._exchanges.broken

    def bind(self, names: Iterable[str], namespace: MutableMapping) -> None:
        """Put the student's current value of each name into ``namespace``.

        A name that S lacks is removed. From then on, another value or none under one of these
        names is carried over to S with the next call.

        Raises:
            StudentLost: the student's process cannot answer.
        """
        names = list(names)
        values = self._ask("fetch", "", names=names)
        if type(values) is not dict:
            self._exchanges.give_up("protocol")
        self.news.bind({name: values.get(name, MISSING) for name in names}, namespace)

    # For the proxies. ``origin`` says in messages where a value came from.

    def names_view(self) -> Mapping:
        """The bound names and the student's other functions, for ``function.__globals__``."""
        return GlobalsView(self.news.names(), self.static_code)

    def knows(self, kind: type) -> bool:
        """Is the class, or one that it is derived from, bound by a name of the assignment?"""
        return self.news.knows(kind)

    def call(self, remote: Remote, origin: str, arguments: tuple, options: dict) -> object:
        """Call the object."""
        return self._ask("call", origin, arguments, options, target=remote.number)

    def construct(self, remote: Remote, name: str, arguments: tuple, options: dict) -> object:
        """Call a class; the examiner has made the object."""
        made = self._ask("call", f"{name}()", arguments, options, target=remote.number)
        new = remote_of(made)
        if new is not None and not isinstance(made, type):
            new.made = True
        return made

    def method(self, remote: Remote, name: str, arguments: tuple, options: dict) -> object:
        """Call a method."""
        fields = {"target": remote.number, "name": name}
        return self._ask("method", f"{name}()", arguments, options, **fields)

    def get(self, remote: Remote, name: str) -> object:
        """An attribute."""
        return self._ask("get", f".{name}", target=remote.number, name=name)

    def set(self, remote: Remote, name: str, value: object) -> None:
        """Set an attribute."""
        self._ask("set", "", (value,), target=remote.number, name=name)

    def delete(self, remote: Remote, name: str) -> None:
        """Delete an attribute."""
        self._ask("delete", "", target=remote.number, name=name)

    def special(self, remote: Remote, name: str, *arguments: object) -> object:
        """Call a special method."""
        return self._ask("special", name, arguments, target=remote.number, name=name)

    def signature(self, remote: Remote) -> object:
        """The signature that S states."""
        return build(self._ask("signature", "", target=remote.number))

    def ask_copy(self, remote: Remote, how: str) -> object:
        """A copy of the object, made in S; ``how`` is copy or deepcopy."""
        return self._ask(how, "", target=remote.number)

    def ask_backward(self, ticket: int, grads: list, needed: list[bool]) -> object:
        """Gradients through a call that was made before."""
        return self._ask("backward", "backward()", (grads, needed), ticket=ticket)

    # For the other parts of the border.

    def torch_side(self) -> object:
        """What only courses with torch need."""
        if self.torch is None:
            from grading.border.examiner_torch import ExaminerTorch

            self.torch = ExaminerTorch(self)
        return self.torch

    def encoder(self) -> Encoder:
        """For a request."""
        if "torch" not in sys.modules:
            return Encoder(self.outward.opaque)
        return Encoder(self.outward.opaque, None, self.torch_side().write)

    def encode_part(self, encoder: Encoder, part: object) -> object:
        """The node of a part of a library's object: its tensors are shared from now on."""
        node = self.torch.share(encoder, part) if self.torch is not None else None
        return encoder.encode(part) if node is None else node

    def _ask(
        self,
        op: str,
        origin: str,
        arguments: Iterable = (),
        options: Mapping | None = None,
        **fields: object,
    ) -> object:
        self.calls += 1
        return self._exchanges.ask({"op": op, **fields}, origin, arguments, options or {})
