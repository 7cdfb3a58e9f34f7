"""The warm parent outlives whoever asks."""

import os
import select
import socket
import threading

import msgpack
import pytest

from grading.engine import warm


def refuse(fd, limits):
    raise OSError("no process today")


@pytest.mark.timeout(60)
def test_a_caller_that_dies_with_an_answer_unread_ends_nobody_else():
    ours, theirs = warm.pair()
    thread = threading.Thread(target=warm.serve, args=([theirs], refuse), daemon=True)
    thread.start()
    parent = warm.WarmParent(ours)
    family, (one, other) = parent.open(), os.pipe()
    request = msgpack.packb({"op": "spawn", "limits": {}})
    socket.send_fds(family._socket, [request], [one])
    assert select.select([family._socket], [], [], 10)[0]
    family._socket.close()  # the answer was not read: the other end gets a reset, not an end
    parent.open().end_all()
    ours.close()
    thread.join(10)
    assert not thread.is_alive()
    os.close(one)
    os.close(other)
