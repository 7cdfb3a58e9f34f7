"""Names that a task forbids: refusing them while an answer runs."""

import functools
import importlib
import importlib.abc
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from types import FrameType, ModuleType

from grading.aliases import OPERATOR, resolve, with_aliases

MAX_REFUSED = 100
SWITCHES = {
    "torch._C": (
        "ExcludeDispatchKeyGuard",
        "_AutoDispatchBelowADInplaceOrView",
        "_AutoDispatchBelowAutograd",
        "_DisablePythonDispatcher",
        "_DisableTorchDispatch",
        "_ExcludeDispatchKeyGuard",
        "_ForceDispatchKeyGuard",
        "_IncludeDispatchKeyGuard",
        "_PreserveDispatchKeyGuard",
        "_SetExcludeDispatchKeyGuard",
        "_dispatch_tls_set_dispatch_key_excluded",
        "_dispatch_tls_set_dispatch_key_included",
        "_pop_torch_dispatch_stack",
        "_push_on_torch_dispatch_stack",
        "_set_dispatch_mode",
        "_unset_dispatch_mode",
    ),
    "torch.utils._python_dispatch": (
        "_disable_current_modes",
        "_disable_infra_mode",
        "_pop_mode",
        "_pop_mode_temporarily",
        "_pop_torch_dispatch_stack",
        "_push_mode",
        "_push_on_torch_dispatch_stack",
        "_unset_infra_mode",
    ),
}
"""What could take the guard of operators away from under an answer."""
INTERNALS = tuple(SWITCHES)
"""Parts of torch in which no answer has any business where operators are forbidden."""


class ForbiddenName(RuntimeError):
    """A call of a library function that the task does not allow."""


class Blocker:
    """Refuses forbidden names in the student's process, through whatever route they are called.

    Functions and methods are replaced at their place, and at that of their twins, by ones that
    look whether they are allowed at the moment. This happens once, before the student's code runs,
    so that references which it keeps are refused too. Of classes the constructor is guarded, and
    ``forward``. Modules cannot be imported. Operators (``aten::_softmax``, also with ``*``) are
    refused below Python, whoever calls them: the only guard that no reference escapes, and the
    only one that also hits a library function that needs the operator inside.

    What this cannot stop: the process is the student's. Code that digs the original out of a
    closure, starts a thread that outlives the call, loads a library by its file or removes the
    guards gets through, and so does a computation under another name. Nor are functions of the
    language (``sum``) refused here. All of that has to be written down in the submission, where
    :func:`grading.shortcuts.find_shortcuts` looks first and a person can see it; and it earns
    the one task only, since tests and marks are in another process.

    Args:
        names: all names of the policy, of all tasks.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.refused: list[str] = []
        """Names of the policy that were tried."""
        self._current: frozenset[str] = frozenset()
        self._names = tuple(dict.fromkeys(names))
        self._states: dict[tuple[str, ...], _State] = {}
        self._guarded: set[type] = set()
        self._replaced: list[tuple[object, str, object]] = []
        self._waiting: dict[str, set[str]] = {}
        for name in self._names:
            for path in with_aliases(name) if OPERATOR not in name else ():
                if OPERATOR not in path:
                    self._waiting.setdefault(path, set()).add(name)
        self._seen = -1
        self._switching = False
        if any(name.startswith(OPERATOR) for name in self._names):
            self._guard_switches()
        self._guard_what_is_loaded()
        self._finder = _Finder(self)
        sys.meta_path.insert(0, self._finder)

    def active(self, names: Sequence[str]) -> "_Active":
        """Refuse ``names`` within a ``with`` block; outside of all blocks everything is allowed."""
        key = tuple(names)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(self, key)
        return _Active(self, state)

    def seal_modules(self) -> None:
        """Forget the forbidden modules that the instructor's cells have imported."""
        for name in self._loaded(self._names):
            del sys.modules[name]

    def close(self) -> None:
        """Put everything back."""
        sys.meta_path.remove(self._finder)
        for place, attribute, own in reversed(self._replaced):
            if own is None:
                delattr(place, attribute)
            else:
                setattr(place, attribute, own)
        self._replaced.clear()

    def refuse(self, name: str) -> None:
        """Refuse a name of the policy.

        Raises:
            ForbiddenName: always.
        """
        if name not in self.refused and len(self.refused) < MAX_REFUSED:
            self.refused.append(name)
        raise ForbiddenName(f"{name} is not allowed in this task: write it yourself, without it")

    def check(self, names: Sequence[str]) -> None:
        """Refuse the first of ``names`` that is forbidden at the moment."""
        for name in names:
            if name in self._current:
                self.refuse(name)

    def check_module(self, module: str) -> None:
        """Refuse the import of a module that is forbidden, or lies in one that is."""
        self.check([name for name in self._current if f"{module}.".startswith(f"{name}.")])

    def _loaded(self, names: Sequence[str]) -> list[str]:
        starts = tuple(f"{name}." for name in names)
        return [name for name in sys.modules if f"{name}.".startswith(starts)] if starts else []

    def _hide(self, state: "_State") -> dict[str, ModuleType]:
        """Take the forbidden modules that are loaded out of the way, for the time being."""
        if state.looked != len(sys.modules):
            state.looked = len(sys.modules)
            state.loaded = self._loaded(state.starts)
        return {name: sys.modules.pop(name) for name in state.loaded if name in sys.modules}

    def _guard_what_is_loaded(self) -> None:
        """Guard the functions whose modules have been loaded since the last look."""
        if not self._waiting or self._seen == len(sys.modules):
            return
        self._seen = len(sys.modules)
        for path, names in list(self._waiting.items()):
            try:
                place, thing = resolve(path.rpartition(".")[0]), resolve(path)
            except LookupError:
                continue
            if not isinstance(thing, ModuleType):
                del self._waiting[path]
                self._guard(place, path.rpartition(".")[2], thing, tuple(sorted(names)))

    def _guard(self, place: object, attribute: str, thing: object, names: tuple[str, ...]) -> None:
        if not isinstance(thing, type):
            self._replace(place, attribute, names)
        elif thing not in self._guarded:
            self._guarded.add(thing)
            self._replace(thing, "__init__", names)
            self._replace(thing, "forward", names)

    def _replace(self, place: object, attribute: str, names: tuple[str, ...]) -> None:
        original = getattr(place, attribute, None)
        if not callable(original):
            return
        own = vars(place).get(attribute)
        try:
            setattr(place, attribute, self._wrapper(original, names))
        except (AttributeError, TypeError):
            return  # written in C and closed: the search in the text, and operators, are left
        self._replaced.append((place, attribute, own))

    def _guard_switches(self) -> None:
        """Refuse what would switch the guard of operators off, while it is on."""
        for path, attributes in SWITCHES.items():
            place = importlib.import_module(path)
            for attribute in attributes:
                original = getattr(place, attribute, None)
                if original is not None:
                    self._replaced.append((place, attribute, original))
                    setattr(place, attribute, self._switch(original))

    def _switch(self, original: Callable) -> Callable:
        def guarded(*args, **kwargs):
            if self._current and not self._switching and not _called_by_torch(sys._getframe(1)):
                self.refuse("torch._C")
            return original(*args, **kwargs)

        return guarded

    def _wrapper(self, original: Callable, names: tuple[str, ...]) -> Callable:
        def guarded(*args, **kwargs):
            if self._current:
                self.check(names)
            return original(*args, **kwargs)

        functools.update_wrapper(guarded, original, updated=())
        del guarded.__wrapped__
        return guarded


def _called_by_torch(frame: FrameType) -> bool:
    """Torch needs its switches itself, to print a tensor for instance."""
    name = frame.f_globals.get("__name__")
    if not isinstance(name, str) or not name.startswith("torch."):
        return False
    return getattr(sys.modules.get(name), "__dict__", None) is frame.f_globals


class _State:
    """What a set of names needs, made once."""

    def __init__(self, blocker: Blocker, names: tuple[str, ...]) -> None:
        self.names = frozenset(names)
        self.starts = tuple(name for name in names if OPERATOR not in name)
        self.looked, self.loaded = -1, []
        self.mode = None
        if operators := [name for name in names if name.startswith(OPERATOR)]:
            self.mode = _operator_guard(blocker, operators)


class _Active:
    """The ``with`` block."""

    __slots__ = ("_before", "_blocker", "_hidden", "_state")

    def __init__(self, blocker: Blocker, state: _State) -> None:
        self._blocker, self._state = blocker, state

    def __enter__(self) -> None:
        blocker, state = self._blocker, self._state
        blocker._guard_what_is_loaded()
        self._hidden = blocker._hide(state)
        self._before, blocker._current = blocker._current, state.names | blocker._current
        if state.mode is not None:
            blocker._switching = True
            try:
                state.mode.__enter__()
            finally:
                blocker._switching = False

    def __exit__(self, *error: object) -> None:
        if self._state.mode is not None:
            self._blocker._switching = True
            try:
                self._state.mode.__exit__(*error)
            finally:
                self._blocker._switching = False
        self._blocker._current = self._before
        for name, module in self._hidden.items():
            sys.modules.setdefault(name, module)


class _Finder(importlib.abc.MetaPathFinder):
    """Asked before all others; finds nothing, but may refuse."""

    def __init__(self, blocker: Blocker) -> None:
        self._blocker = blocker

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        self._blocker.check_module(name)


def _operator_guard(blocker: Blocker, patterns: Sequence[str]) -> object:
    """A mode that sees each operator before it runs."""
    from torch.utils._python_dispatch import TorchDispatchMode

    @functools.cache
    def forbidden(name: str) -> str | None:
        return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)

    class OperatorGuard(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # else the first operator imports torch's compiler, for seconds

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            if (name := forbidden(operator._schema.name)) is not None:
                blocker.refuse(name)
            return operator(*args, **(kwargs or {}))

    return OperatorGuard()
