"""Plain data as msgpack nodes: what both sides write, and what each checks when it reads.

A scalar is its own node. Everything else is a list whose first entry says what it is. Containers,
arrays and tensors are numbered in the order in which they begin, so that one that occurs twice
stays one; a cycle is refused. Buffers stand in the tail of the frame, in the order of their nodes.
"""

import sys
from collections.abc import Callable

from grading.border.errors import Malformed, NotPlain

MAX_DEPTH = 150
MAX_ITEMS = 1 << 23  # entries of all containers of a message; a shared one counts each time
MAX_INT_BYTES = 8192

SCALARS = frozenset({type(None), bool, int, float, str, bytes})
WORD = range(-(2**63), 2**64)  # what msgpack writes as a number

# First entries of a node.
REF, ARGUMENT, PLAIN_LIST, LIST, PLAIN_TUPLE, TUPLE, PLAIN_DICT, DICT, SET, FROZENSET = range(10)
BYTEARRAY, INT, COMPLEX, RANGE, SLICE, CONSTANT, NAMEDTUPLE, TEXT, MAPPING, DEQUE = range(10, 20)
ARRAY, NUMPY_SCALAR, TENSOR, TORCH, SIZE, EXCEPTION = range(20, 26)
HANDLE, SHARED, OUTPUT, LIBRARY, PICKLE, CALLBACK, GENERATOR = range(30, 37)

_OPEN = object()


class Encoder:
    """Writes the values of one message.

    Args:
        opaque: makes the node of what is not plain data.
        arguments: numbers of objects that the other side knows from the request, by id.
        tensor: makes the node of a tensor that is more than its values, or returns None.
    """

    def __init__(
        self,
        opaque: Callable[["Encoder", object], list],
        arguments: dict[int, int] | None = None,
        tensor: Callable[["Encoder", object], list | None] | None = None,
    ):
        self.opaque = opaque
        self.arguments = arguments or {}
        self.tensor = tensor
        self.undo: list[Callable[[], object]] = []  # in case the message is not sent
        self.describe_module: Callable[[Encoder, object], dict | None] | None = None
        self.objects: list = []
        self.outputs: list = []  # tensors of an answer that depend on tensors of E
        self.tail: list = []
        self._numbers: dict[int, int] = {}
        self._open: set[int] = set()
        self._depth = 0

    def encode(self, value: object) -> object:
        """The node of a value.

        Raises:
            NotPlain: it cannot cross, or holds what cannot.
        """
        kind = type(value)
        if kind is int:
            return value if value in WORD else _encode_int(value)
        if kind in SCALARS:
            return value
        known = self.known(value)
        if known is not None:
            return known
        write = WRITERS.get(kind) or find_writer(value)
        return write(self, value) if write else self.opaque(self, value)

    def known(self, value: object) -> list | None:
        """A node that refers to an object which the other side has or will have."""
        number = self._numbers.get(id(value))
        if number is None:
            number = self.arguments.get(id(value))
            return None if number is None else [ARGUMENT, number]
        if number in self._open:
            raise NotPlain("an object that contains itself cannot cross the border")
        return [REF, number]

    def number(self, value: object) -> int:
        """Give ``value`` the next number."""
        self._numbers[id(value)] = len(self.objects)
        self.objects.append(value)
        return len(self.objects) - 1

    def nodes(self, owner: object, values: list) -> list:
        """The nodes of the entries of a container."""
        number = self.number(owner)
        self._open.add(number)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotPlain(f"data is nested more than {MAX_DEPTH} deep")
        encoded = [self.encode(value) for value in values]
        self._depth -= 1
        self._open.discard(number)
        return encoded

    def hand_over(self, message: dict, field: str, waiting: list) -> None:
        """Put all of a waiting list into the message; it waits again if that is not sent."""
        if waiting:
            given = message[field] = list(waiting)
            del waiting[: len(given)]
            self.undo.append(lambda: waiting.extend(given))

    def roll_back(self) -> None:
        """The message was not sent: what it would have told is not known to the other side."""
        for step in reversed(self.undo):
            step()
        self.undo.clear()

    def buffer(self, data: object) -> None:
        """Add bytes to the tail."""
        self.tail.append(data)


class Decoder:
    """Reads the values of one message, and trusts nothing in it.

    Args:
        tail: the buffers.
        arguments: objects of the request that a node may refer to.
        readers: further kinds of node, from the first entry to a function of decoder and node.
        max_bytes: limit of what one array may take.
    """

    def __init__(
        self, tail: object = b"", arguments: list | None = None, readers=None, max_bytes=0
    ):
        self.objects: list = []
        self.outputs: list = []  # tensors of the message that have a graph on the other side
        self.origin = ""  # what gave the message, for the proxies in it
        self._tail = memoryview(tail)
        self._position = 0
        self._arguments = arguments or []
        self._readers = readers or {}
        self.max_bytes = max_bytes or len(self._tail) + (1 << 20)
        self._sizes: dict[int, int] = {}
        self._items = 0
        self._depth = 0

    def decode(self, node: object) -> object:
        """The value of a node.

        Raises:
            Malformed: it is not a node.
        """
        kind = type(node)
        if kind in SCALARS:
            return node
        if kind is not list or not node or type(node[0]) is not int:
            raise Malformed("a value of an unknown kind")
        if node[0] == REF:
            return self._reference(node)
        if node[0] == ARGUMENT:
            (number,) = check(node, int)
            if not 0 <= number < len(self._arguments):
                raise Malformed("an argument that was not given")
            return self._arguments[number]
        read = READERS.get(node[0]) or self._readers.get(node[0])
        if read is None:
            raise Malformed("a value of an unknown kind")
        return read(self, node)

    def _reference(self, node: list) -> object:
        (number,) = check(node, int)
        if not 0 <= number < len(self.objects) or self.objects[number] is _OPEN:
            raise Malformed("a reference to nothing")
        self._count(self._sizes.get(number, 0))
        return self.objects[number]

    def _count(self, items: int) -> None:
        self._items += items
        if self._items > MAX_ITEMS:
            raise Malformed("a value has too many entries")

    def store(self, value: object) -> object:
        """Give ``value`` the next number, and return it."""
        self.objects.append(value)
        return value

    def container(self, nodes: list, build: Callable[[list], object], plain: bool) -> object:
        """Decode the entries of a container and build it."""
        number, before = len(self.objects), self._items
        self.objects.append(_OPEN)
        self._count(len(nodes) + 1)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Malformed("a value is nested too deep")
        if plain:
            if not SCALARS.issuperset(map(type, nodes)):
                raise Malformed("a plain container with entries that are not plain")
            values = nodes
        else:
            values = [self.decode(node) for node in nodes]
        self._depth -= 1
        try:
            self.objects[number] = value = build(values)
        except (TypeError, ValueError) as error:  # an entry that cannot be hashed
            raise Malformed(f"a container that cannot be built: {error}") from None
        self._sizes[number] = self._items - before
        return value

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes of the tail; nothing is allocated."""
        start, end = self._position, self._position + size
        if size < 0 or end > len(self._tail):
            raise Malformed("a buffer shorter than its shape says")
        self._position = end
        return self._tail[start:end]

    def finish(self) -> None:
        """Everything that came must have been used."""
        if self._position != len(self._tail):
            raise Malformed("a buffer that belongs to no array")


def check(node: list, *types: type | tuple) -> list:
    """The entries of a node after its kind, if they are of exactly these types."""
    entries = node[1:]
    if len(entries) != len(types):
        raise Malformed("a value with the wrong number of fields")
    for entry, allowed in zip(entries, types, strict=True):
        if type(entry) is not allowed and not (type(allowed) is tuple and type(entry) in allowed):
            raise Malformed("a value with a field of the wrong type")
    return entries


def _encode_int(value: int) -> list:
    size = value.bit_length() // 8 + 1
    if size > MAX_INT_BYTES:
        raise NotPlain(f"an integer of {size:,} bytes is too long to cross the border")
    return [INT, value.to_bytes(size, "little", signed=True)]


WRITERS: dict[type, Callable] = {}  # by exact type
READERS: dict[int, Callable[[Decoder, list], object]] = {}  # by the first entry of a node


def find_writer(value: object) -> Callable | None:
    """The writer of a subclass or of a library's type; it is remembered for exact types."""
    load_libraries()
    kind = type(value)
    write = WRITERS.get(kind)
    if write:
        return write
    for test in SUBCLASSES:
        write = test(kind)
        if write:
            return write
    return None


# All three are filled by builtin.py, plain.py, arrays.py and tensors.py.
SUBCLASSES: list[Callable[[type], Callable | None]] = []
_loaded: set[str] = set()


def load_libraries() -> None:
    """Learn the types of numpy and torch if this process has loaded them."""
    for library, module in (("numpy", "arrays"), ("torch", "tensors")):
        if library in sys.modules and library not in _loaded:
            _loaded.add(library)
            __import__(f"grading.border.{module}")
