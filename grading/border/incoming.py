"""What E makes of the nodes that only S sends: proxies, mirrors, classes and exceptions."""

import sys
import types
import weakref
from collections.abc import Callable

from grading.border import failures
from grading.border.classes import StudentClass, make_class
from grading.border.codec import (
    CALLBACK,
    EXCEPTION,
    HANDLE,
    LIBRARY,
    OUTPUT,
    SHARED,
    Decoder,
    check,
)
from grading.border.errors import Malformed
from grading.border.library import exception_class, plain_class
from grading.border.proxies import Remote, StudentFunction


class Incoming:
    """The proxies of the objects in S: one each, as long as E uses it.

    Args:
        border: the way to S.
        own: says whether a file name is one of the student's cells.
    """

    def __init__(self, border: object, own: Callable[[str], bool] | None):
        self._border = border
        self.own = own
        self._proxies: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
        self._told: dict[int, dict] = {}  # what S has said of a handle
        self.released: list[int] = []
        self.readers: dict[int, Callable] = {
            HANDLE: self._read_handle,
            LIBRARY: self._read_library,
            EXCEPTION: self._read_exception,
            CALLBACK: self._read_callback,
            SHARED: lambda decoder, node: border.torch_side().read_shared(decoder, node),
            OUTPUT: self._read_output,
        }

    def forget(self, number: int) -> None:
        """The proxy of this object is gone."""
        if number not in self._proxies:
            self.released.append(number)

    def untell(self, numbers: list[int]) -> None:
        """S will describe these anew."""
        for number in numbers:
            self._told.pop(number, None)

    def _read_handle(self, decoder: Decoder, node: list) -> object:
        number, described = check(node, int, (dict, type(None)))
        proxy = self._proxies.get(number)
        if proxy is not None:
            return proxy
        if described is None:
            described = self._told.get(number)
        if described is None:
            raise Malformed("an object that was never described")
        self._told[number] = described
        proxy = self._make(decoder, number, described)
        self.register(number, proxy)
        return proxy

    def register(self, number: int, proxy: object) -> None:
        """The proxy of an object that S keeps."""
        self._proxies[number] = proxy
        while number in self.released:
            self.released.remove(number)

    def _make(self, decoder: Decoder, number: int, described: dict) -> object:
        remote = Remote(self._border, number, decoder.origin)
        kind = described.get("kind")
        if kind == "class":
            modules = (
                self._border.torch_side().mirrors.bases
                if "torch" in sys.modules
                else lambda *_: None
            )
            return make_class(remote, described, decoder.decode, modules)
        if kind in ("function", "method"):
            name, qualname = described.get("name"), described.get("qualname")
            if type(name) is not str or type(qualname) is not str:
                raise Malformed("a function that is none")
            plain = (
                types.FunctionType
                if described.get("python") is True
                else (types.BuiltinFunctionType)
            )
            return StudentFunction(remote, name, qualname, plain)
        if kind != "object":
            raise Malformed("an object of an unknown kind")
        mirror = decoder.decode(described.get("class"))
        if not isinstance(mirror, StudentClass):
            raise Malformed("an object of a class that is none")
        if "module" in described:
            return self._border.torch_side().mirrors.make(
                decoder, remote, mirror, described["module"]
            )
        if issubclass(mirror, BaseException) or not hasattr(mirror, "_student_proxy"):
            raise Malformed("an object of a class that has no proxies")
        proxy = object.__new__(mirror)
        object.__setattr__(proxy, "_remote", remote)
        return proxy

    def _read_library(self, decoder: Decoder, node: list) -> object:
        module, name = check(node, str, str)
        found = plain_class(module, name) or exception_class(module, name)
        if found is None and (module, name) in _ENDING:
            found = _ENDING[module, name]
        if found is None:
            raise Malformed("a class that may not be named")
        return found

    def _read_exception(self, decoder: Decoder, node: list) -> Exception:
        (described,) = check(node, dict)
        return failures.rebuild(decoder, described, self.own)

    def _read_callback(self, decoder: Decoder, node: list) -> object:
        (number,) = check(node, int)
        found = self._border.outward.get(number)
        if found is None:
            raise Malformed("an object of the examiner's that was never passed")
        return found

    def _read_output(self, decoder: Decoder, node: list) -> object:
        (index,) = check(node, int)
        if not 0 <= index < len(decoder.outputs):
            raise Malformed("an output that is none")
        return decoder.outputs[index]


_ENDING = {("builtins", kind.__name__): kind for kind in (*failures.LEAVING, BaseException)}
