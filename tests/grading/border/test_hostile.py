"""A student's process that speaks the protocol itself, and lies."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import msgpack
import pytest
import torch

from grading.border import Border, Channel, StudentLost
from grading.border import codec as k

LIMIT = 4 << 20


def frame(message, tail=b""):
    body = message if isinstance(message, bytes) else msgpack.packb(message)
    return struct.pack(">II", len(body), len(tail)) + body + tail


def read(sock):
    data = b""
    while len(data) < 8:
        data += sock.recv(8 - len(data))
    size, tail = struct.unpack(">II", data)
    body = b""
    while len(body) < size + tail:
        body += sock.recv(size + tail - len(body))
    return msgpack.unpackb(body[:size])


FUNCTION = [k.HANDLE, 1, {"kind": "function", "name": "f", "qualname": "f", "python": True}]


class Liar:
    """Answers the first request with a function ``f``, then does what the test says."""

    def __init__(self, reply, seconds=2.0, setup=None):
        self.ours, self.theirs = socket.socketpair()
        self.reply, self.setup = reply, setup
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        self.border = Border(Channel(self.ours, LIMIT), seconds)
        self.namespace = {}

    def start(self):
        self.border.bind(["f"], self.namespace)
        return self

    def _serve(self):
        with contextlib.suppress(OSError, IndexError):
            request = read(self.theirs)
            value = self.setup or FUNCTION
            answer = {"id": request["id"], "value": [k.DICT, ["f", value]]}
            self.theirs.sendall(frame(answer))
            while True:
                self.reply(self.theirs, read(self.theirs))

    def close(self):
        self.ours.close()
        self.theirs.close()
        self.thread.join(5)


@pytest.fixture
def liar():
    made = []

    def start(reply, **options):
        made.append(Liar(reply, **options))
        return made[-1].start()

    yield start
    for one in made:
        one.close()


def answers(node, tail=b"", **fields):
    """A reply with this node as value."""
    return lambda sock, request: sock.sendall(
        frame({"id": request["id"], "value": node, **fields}, tail)
    )


def deep(levels):
    node = 1
    for _ in range(levels):
        node = [k.LIST, [node]]
    return node


def doubling(levels):
    """A tuple of 2 ** levels entries in a few bytes."""
    node = [k.PLAIN_TUPLE, [1, 2]]
    for level in range(levels):
        node = [k.TUPLE, [node, [k.REF, levels - level]]]
    return node


CLASS = {
    "kind": "class", "name": "C", "qualname": "C", "library": [], "bases": [], "special": [],
    "methods": [], "fields": None, "hashable": True,
}  # fmt: skip
ERROR = {
    "class": [k.LIBRARY, "builtins", "ValueError"], "args": [], "message": "", "attributes": {},
    "frames": [],
}  # fmt: skip

BAD_VALUES = {
    "unknown kind": ([999, 1], b""),
    "kind is a text": (["x"], b""),
    "kind is a bool": ([True, 1], b""),
    "empty node": ([], b""),
    "map": ({"a": 1}, b""),
    "timestamp": (msgpack.Timestamp(1), b""),
    "extension": (msgpack.ExtType(5, b"x" * 10), b""),
    "list of too few fields": ([k.LIST], b""),
    "list that is none": ([k.LIST, 5], b""),
    "plain list with nodes": ([k.PLAIN_LIST, [[1]]], b""),
    "deep nesting": (deep(400), b""),
    "reference to nothing": ([k.REF, 5], b""),
    "negative reference": ([k.REF, -1], b""),
    "cycle": ([k.LIST, [[k.REF, 0]]], b""),
    "argument that was not given": ([k.ARGUMENT, 0], b""),
    "argument number is a bool": ([k.ARGUMENT, False], b""),
    "unhashable key": ([k.DICT, [[k.LIST, []], 1]], b""),
    "unhashable entry of a set": ([k.SET, [[k.LIST, []]]], b""),
    "odd dictionary": ([k.DICT, [1, 2, 3]], b""),
    "int of a million digits": ([k.INT, b"\xff" * 415_000], b""),
    "doubling": (doubling(60), b""),
    "range of texts": ([k.RANGE, "a", "b", "c"], b""),
    "range with step 0": ([k.RANGE, 0, 1, 0], b""),
    "constant": ([k.CONSTANT, 7], b""),
    "text kind": ([k.TEXT, "eval", "1"], b""),
    "Decimal": ([k.TEXT, "Decimal", "one"], b""),
    "Fraction by zero": ([k.TEXT, "Fraction", "1/0"], b""),
    "date": ([k.TEXT, "datetime", "9999-99-99"], b""),
    "timedelta": ([k.TEXT, "timedelta", "99999999999999 0 0"], b""),
    "pattern": ([k.TEXT, "Pattern", "0 (("], b""),
    "long pattern": ([k.TEXT, "Pattern", "0 " + "a" * 5000], b""),
    "pattern with debug": ([k.TEXT, "Pattern", "99999999999 a"], b""),
    "named tuple with a keyword": ([k.NAMEDTUPLE, "P", ["class"], [1]], b""),
    "named tuple with code": ([k.NAMEDTUPLE, "P", ["a=print()"], [1]], b""),
    "named tuple with a code name": ([k.NAMEDTUPLE, "P(): pass", ["a"], [1]], b""),
    "named tuple too short": ([k.NAMEDTUPLE, "P", ["a", "b"], [1]], b""),
    "mapping": ([k.MAPPING, "dict_of_evil", []], b""),
    "tensor shape NaN": ([k.TENSOR, "float32", [float("nan")], None, 0], b""),
    "tensor shape float": ([k.TENSOR, "float32", [1.0], None, 0], b"1234"),
    "tensor shape bool": ([k.TENSOR, "float32", [True], None, 0], b"1234"),
    "tensor negative": ([k.TENSOR, "float32", [-1], None, 0], b""),
    "tensor two negatives": ([k.TENSOR, "float32", [-1, -1], None, 0], b"1234"),
    "tensor huge": ([k.TENSOR, "float32", [10**12], None, 0], b""),
    "tensor overflow": ([k.TENSOR, "float32", [2**40, 2**40], None, 0], b""),
    "tensor of too many axes": ([k.TENSOR, "float32", [1] * 1000, None, 0], b"1234"),
    "tensor huge and empty": ([k.TENSOR, "float32", [0, 2**62], None, 0], b""),
    "tensor buffer short": ([k.TENSOR, "float32", [2], None, 0], b"1234"),
    "tensor buffer long": ([k.TENSOR, "float32", [1], None, 0], b"12345678"),
    "tensor dtype": ([k.TENSOR, "object", [1], None, 0], b"12345678"),
    "tensor stride negative": ([k.TENSOR, "float32", [2], [-1], 0], b"12345678"),
    "tensor stride beyond": ([k.TENSOR, "float32", [2], [100], 0], b"12345678"),
    "tensor expanded to terabytes": ([k.TENSOR, "float32", [10**12], [0], 0], b"1234"),
    "tensor strides too few": ([k.TENSOR, "float32", [2, 2], [1], 0], b"1234" * 4),
    "array of objects": ([k.ARRAY, "|O", [1], 1], b"12345678"),
    "array dtype with fields": ([k.ARRAY, "i4,i4", [1], 1], b"12345678"),
    "array dtype is code": ([k.ARRAY, "__import__('os')", [1], 1], b"12345678"),
    "array of voids": ([k.ARRAY, "|V8", [1], 1], b"12345678"),
    "array negative": ([k.ARRAY, "<f8", [-1], 1], b"12345678"),
    "array huge": ([k.ARRAY, "<f8", [10**12], 1], b"12345678"),
    "array of wide texts": ([k.ARRAY, "<U99999", [10**6], 1], b""),
    "array of no characters": ([k.ARRAY, "<U1", [1], 1], b"\xff\xff\xff\xff"),
    "array buffer short": ([k.ARRAY, "<f8", [2], 1], b"12345678"),
    "scalar too short": ([k.NUMPY_SCALAR, "<f8", b"1"], b""),
    "scalar of objects": ([k.NUMPY_SCALAR, "|O", b"12345678"], b""),
    "device": ([k.TORCH, "cpu; import os"], b""),
    "size": ([k.SIZE, [-1]], b""),
    "library function": ([k.LIBRARY, "builtins", "eval"], b""),
    "library module": ([k.LIBRARY, "os", ""], b""),
    "torch class": ([k.LIBRARY, "torch.nn", "MultiheadAttention"], b""),
    "torch function": ([k.LIBRARY, "torch", "load"], b""),
    "os function": ([k.LIBRARY, "os", "system"], b""),
    "pickle": ([k.PICKLE, 1, b"cos\nsystem\n(S'true'\ntR.", []], b""),
    "callback that was never given": ([k.CALLBACK, 1], b""),
    "handle without description": ([k.HANDLE, 77, None], b""),
    "handle of an unknown kind": ([k.HANDLE, 78, {"kind": "evil"}], b""),
    "handle with a number that is none": ([k.HANDLE, "1", None], b""),
    "handle with a number too large": ([k.HANDLE, 2**64 - 1, None], b""),
    "object without a class": ([k.HANDLE, 79, {"kind": "object"}], b""),
    "object of class int": (
        [k.HANDLE, 80, {"kind": "object", "class": [k.LIBRARY, "builtins", "int"]}], b"",
    ),
    "class that is its own base": (
        [k.HANDLE, 81, {**CLASS, "bases": [[k.HANDLE, 81, None]]}], b"",
    ),
    "class with a base that is an int": ([k.HANDLE, 82, {**CLASS, "special": [1]}], b""),
    "class with a number as name": ([k.HANDLE, 83, {**CLASS, "name": 1}], b""),
    "class with methods that are code": ([k.HANDLE, 84, {**CLASS, "methods": ["a()"]}], b""),
    "function with a number as name": (
        [k.HANDLE, 85, {"kind": "function", "name": 1, "qualname": "f"}], b"",
    ),
    "shared tensor of the examiner's": (
        [k.SHARED, 2, [k.TENSOR, "float32", [1], None, 0]], b"1234",
    ),
    "shared tensor without values": ([k.SHARED, 1, None], b""),
    "output that is none": ([k.OUTPUT, 0], b""),
    "exception that is none": ([k.EXCEPTION, {}], b""),
    "exception of class int": (
        [k.EXCEPTION, {**ERROR, "class": [k.LIBRARY, "builtins", "int"]}], b"",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_value_that_is_none_breaks_the_border_cleanly(liar, name):
    one = liar(answers(*BAD_VALUES[name]))
    with pytest.raises(StudentLost, match="protocol"):
        one.namespace["f"]()
    assert one.border.broken == "protocol"
    with pytest.raises(StudentLost):  # and at once from then on
        one.namespace["f"]()


def huge_header(sock, request):
    sock.sendall(struct.pack(">II", 2**32 - 1, 2**32 - 1))


def huge_array_header(sock, request):
    sock.sendall(frame(b"\x82\xa2id\x02\xa5value\xdd\xff\xff\xff\xff"))


def bomb_of_lists(sock, request):
    body = b"\x82\xa2id\x02\xa5value\xdc\x00\x02\x03" + b"\xdd\x00\x07\xd0\x00" + b"\x90" * 512_000
    sock.sendall(frame(body))


def not_utf8(sock, request):
    sock.sendall(frame(b"\x82\xa2id\x02\xa5value\xa4\xff\xfe\xfd\xfc"))


def not_msgpack(sock, request):
    sock.sendall(frame(b"\xc1" * 50))


def trailing(sock, request):
    sock.sendall(frame(msgpack.packb({"id": request["id"], "value": 1}) + b"\x01"))


def number_keys(sock, request):
    sock.sendall(frame({1: 2}))


def list_message(sock, request):
    sock.sendall(frame([1, 2]))


def tail_in_the_message(sock, request):
    sock.sendall(frame({"id": request["id"], "value": 1, "tail": b"x"}))


def forged_id(sock, request):
    sock.sendall(frame({"id": request["id"] + 1, "value": 1}))


def id_is_a_bool(sock, request):
    sock.sendall(frame({"id": True, "value": 1}))


def no_id(sock, request):
    sock.sendall(frame({"value": 1}))


def no_result(sock, request):
    sock.sendall(frame({"id": request["id"]}))


def value_and_error(sock, request):
    sock.sendall(frame({"id": request["id"], "value": 1, "error": ERROR}))


def unknown_field(sock, request):
    sock.sendall(frame({"id": request["id"], "value": 1, "evil": 1}))


def field(**fields):
    return lambda sock, request: sock.sendall(frame({"id": request["id"], "value": 1, **fields}))


def error(**fields):
    return lambda sock, request: sock.sendall(
        frame({"id": request["id"], "error": {**ERROR, **fields}})
    )


def callback(**fields):
    request = {"callback": 1, "what": "call", "args": [], "kwargs": {}, **fields}
    return lambda sock, _: sock.sendall(frame(request))


BAD_ANSWERS = {
    "huge header": huge_header,
    "huge array header": huge_array_header,
    "bomb of lists": bomb_of_lists,
    "not UTF-8": not_utf8,
    "not msgpack": not_msgpack,
    "trailing bytes": trailing,
    "numbers as keys": number_keys,
    "list": list_message,
    "tail in the message": tail_in_the_message,
    "forged id": forged_id,
    "id is a bool": id_is_a_bool,
    "no id": no_id,
    "no result": no_result,
    "value and error": value_and_error,
    "unknown field": unknown_field,
    "changed is a number": field(changed=5),
    "changed an argument that was not given": field(changed=[[0, 1]]),
    "changed with a text": field(changed=[["0", 1]]),
    "print is a number": field(print=5),
    "print to another file": field(print=[[3, "x"]]),
    "print of bytes": field(print=[[1, b"x"]]),
    "unknown generator": field(random=["examiner"]),
    "generator list in list": field(random=[["torch"]]),
    "ticket without outputs": field(outputs=[1]),
    "outputs of integers": field(outputs=[[k.TENSOR, "int64", [0], None, 0]], ticket=1, inputs=[]),
    "outputs with odd inputs": field(
        outputs=[[k.TENSOR, "float32", [0], None, 0]], ticket=1, inputs=["a"]
    ),
    "modules that are none": field(modules=[5]),
    "modules with parts that are none": field(modules=[[5, 5]]),
    "tensors that are none": field(tensors=[5]),
    "tensors with odd entries": field(tensors=[["a", 1, 2, True, True]]),
    "tensors with odd gradients": field(tensors=[[2, 0, "x", True, True]]),
    "reraise of nothing": lambda sock, request: sock.sendall(
        frame({"id": request["id"], "error": ERROR, "reraise": 0})
    ),
    "error without fields": lambda sock, request: sock.sendall(
        frame({"id": request["id"], "error": {}})
    ),
    "error with a class that is none": error(**{"class": 5}),
    "error with arguments that are none": error(args=[[1]]),
    "error with frames that are none": error(frames=[[1]]),
    "error with a million frames": error(frames=[["f", 1, "g", "h"]] * 20_000),
    "error with a message that is none": error(message=b"x"),
    "unsolicited callback": callback(),
    "callback without fields": lambda sock, _: sock.sendall(frame({"callback": 1})),
    "callback with an odd number": callback(callback="1"),
    "callback of an odd operation": callback(what=5),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_is_none_breaks_the_border_cleanly(liar, name):
    one = liar(BAD_ANSWERS[name])
    with pytest.raises(StudentLost):
        one.namespace["f"]()
    assert one.border.broken == "protocol"


def test_a_duplicated_answer_is_found_before_the_next_call(liar):
    def twice(sock, request):
        message = frame({"id": request["id"], "value": 1})
        sock.sendall(message + message)

    one = liar(twice)
    assert one.namespace["f"]() == 1
    with pytest.raises(StudentLost, match="protocol"):
        one.namespace["f"]()


def test_an_answer_that_comes_early_is_found(liar):
    one = liar(answers(1))
    one.theirs.sendall(frame({"id": 2, "value": 99}))
    with pytest.raises(StudentLost, match="protocol"):
        one.namespace["f"]()


def test_silence_and_slow_drips_end_at_the_time_limit(liar):
    def drip(sock, request):
        for byte in frame({"id": request["id"], "value": "x" * 1000}):
            sock.send(bytes([byte]))
            time.sleep(0.05)

    for reply in (lambda *_: None, drip):
        one = liar(reply, seconds=0.5)
        start = time.monotonic()
        with pytest.raises(StudentLost, match="timed out"):
            one.namespace["f"]()
        assert time.monotonic() - start < 30  # the drip takes 50 s and more
        assert one.border.broken == "timed out"


def test_a_reader_that_does_not_read_ends_at_the_time_limit():
    ours, theirs = socket.socketpair()
    border = Border(Channel(ours, 64 << 20), 0.5)
    with pytest.raises(StudentLost, match="timed out"):
        border.bind(["x" * 1000] * 5_000, {})
    ours.close()
    theirs.close()


def test_a_dead_process_is_said_to_have_ended(liar):
    one = liar(lambda sock, _: sock.shutdown(socket.SHUT_RDWR))
    with pytest.raises(StudentLost, match="ended"):
        one.namespace["f"]()
    assert one.border.broken == "the process ended"


def test_a_half_frame_and_death(liar):
    def half(sock, request):
        sock.sendall(frame({"id": request["id"], "value": 1})[:-1])
        sock.shutdown(socket.SHUT_RDWR)

    one = liar(half)
    with pytest.raises(StudentLost, match="ended"):
        one.namespace["f"]()


def param(number, size=1, flags=3):
    return [k.SHARED, number, [k.TENSOR, "float32", [size], None, flags]]


MODULE_CLASS = {**CLASS, "library": [["torch.nn.modules.module", "Module"]], "name": "M"}


def module(**parts):
    parts = {"training": True, "parameters": {}, "buffers": {}, "modules": {}, **parts}
    described = {"kind": "object", "class": [k.HANDLE, 50, MODULE_CLASS], "module": parts}
    return [k.HANDLE, 51, described]


BAD_MODULES = {
    "parameter that is a number": (module(parameters={"w": 5}), b""),
    "parameter that is a plain tensor": (
        module(parameters={"w": [k.TENSOR, "float32", [1], None, 0]}), b"1234",
    ),
    "parameter that is of integers": (
        module(parameters={"w": [k.SHARED, 3, [k.TENSOR, "int64", [1], None, 0]]}), b"12345678",
    ),
    "buffer without a flag": (module(buffers={"b": 5}), b""),
    "buffer that is a list": (module(buffers={"b": [[k.LIST, []], True]}), b""),
    "module that is a number": (module(modules={"m": 5}), b""),
    "training that is a number": (module(training=1), b""),
    "unknown part": (module(evil={}), b""),
    "parameters that are a list": (module(parameters=[1]), b""),
    "module of a class that is no module": (
        [k.HANDLE, 51, {"kind": "object", "class": [k.HANDLE, 50, CLASS], "module": {}}], b"",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_MODULES)
def test_a_module_that_is_none_breaks_the_border_cleanly(liar, name):
    one = liar(answers(*BAD_MODULES[name]))
    with pytest.raises(StudentLost, match="protocol"):
        one.namespace["f"]()


def test_a_module_cannot_replace_what_is_native(liar):
    own = ["forward", "_call_impl", "_class_remote", "_remote", "_student_proxy", "__hash__"]
    described = {
        "kind": "object", "module": {"training": False},
        "class": [k.HANDLE, 50, {**MODULE_CLASS, "methods": own, "special": ["__hash__"]}],
    }  # fmt: skip
    one = liar(answers([k.HANDLE, 51, described]))
    made = one.namespace["f"]()
    assert isinstance(made, torch.nn.Module)
    assert hash(made) == object.__hash__(made)
    assert type(made)._call_impl is torch.nn.Module._call_impl
    assert made._student_proxy is True


def gradients(reply):
    """The first call gives an output with a graph, the second one is its backward."""

    def serve(sock, request):
        if request["op"] == "backward":
            reply(sock, request)
            return
        answer = {
            "id": request["id"], "value": [k.OUTPUT, 0], "ticket": 1,
            "outputs": [[k.TENSOR, "float32", [3], None, 0]], "inputs": [request["args"][0][1]],
        }  # fmt: skip
        sock.sendall(frame(answer, b"123456789012"))

    return serve


@pytest.mark.parametrize(
    "reply",
    [
        answers(None),
        answers([k.PLAIN_LIST, []]),
        answers([k.PLAIN_LIST, [5]]),
        answers([k.LIST, [[k.TENSOR, "float32", [4], None, 0]]], b"1234" * 4),
        answers([k.LIST, [[k.TENSOR, "float64", [3], None, 0]]], b"12345678" * 3),
        answers([k.LIST, [[k.TENSOR, "float32", [3], None, 0]] * 2], b"1234" * 6),
    ],
)
def test_gradients_that_are_none_are_an_error_of_the_backward_pass(liar, reply):
    one = liar(gradients(reply))
    x = torch.ones(3, requires_grad=True)
    y = one.namespace["f"](x)
    with pytest.raises(RuntimeError, match="gradient"):
        y.sum().backward()
    assert x.grad is None


def test_a_forged_state_of_a_generator_is_refused(liar):
    generator = torch.Generator().manual_seed(1)
    state = generator.get_state()
    state[16] = 99  # the place in the twister's state
    forged = [k.TENSOR, "uint8", [len(state)], None, 0]

    def reply(sock, request):
        changed = {"id": request["id"], "value": 1, "changed": [[1, forged]]}
        sock.sendall(frame(changed, state.numpy().tobytes()))

    one = liar(reply)
    with pytest.raises(StudentLost, match="protocol"):
        one.namespace["f"](generator)


def test_changes_of_another_kind_than_the_argument_are_refused(liar):
    for argument, node in (([1], [k.PLAIN_DICT, []]), ({1: 2}, [k.PLAIN_LIST, []]), ([1], 5)):
        one = liar(field(changed=[[0, node]]))
        with pytest.raises(StudentLost, match="protocol"):
            one.namespace["f"](argument)


def test_a_callback_cannot_be_asked_for_more_than_its_public_side(liar):
    found = []

    class Thing:
        _hidden = 1

    def ask(what, *arguments):
        def serve(sock, request):
            number = request["args"][0][1]
            message = {"callback": number, "what": what, "args": list(arguments), "kwargs": {}}
            sock.sendall(frame(message))
            found.append(read(sock))
            sock.sendall(frame({"id": request["id"], "value": 1}))

        return serve

    for target, what, arguments in (
        (Thing(), "get", ["_hidden"]),
        (Thing(), "get", ["__class__"]),
        (Thing(), "get", ["a.b"]),
        (Thing(), "get", [5]),
        (Thing(), "backward", []),
        (Thing(), "set", ["x", 1]),
        (lambda: 1, "get", ["real"]),
        (Thing, "get", ["mro"]),
        (lambda: 1, "list", []),
    ):
        assert liar(ask(what, *arguments)).namespace["f"](target) == 1
    assert all(set(reply) == {"op", "raised"} for reply in found)


MEMORY = """
import resource, sys
sys.path[:0] = [{here!r}]
from test_hostile import *
import torch, numpy
sent = {{"lists": bomb_of_lists, "header": huge_array_header, "huge": huge_header}}
sent |= {{name: answers(*BAD_VALUES[name]) for name in BAD_VALUES}}
Liar(answers(1)).start()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, reply in sent.items():
    one = Liar(reply).start()
    try:
        one.namespace["f"]()
    except StudentLost:
        pass
    one.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_message_takes_more_memory_than_the_limit_allows():
    code = MEMORY.format(here=os.path.dirname(__file__))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 20 * LIMIT
