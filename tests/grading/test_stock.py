"""What is around stock nbgrader: the voices of its kernels."""

import os
import sys

import pytest

from grading.stock import kernels_apart


def test_what_kernels_say_is_kept_and_not_shown(capfd):
    os.write(2, b"before\n")
    with kernels_apart() as said:
        os.write(2, b"Socket operation on non-socket\n")
        print("of Python", file=sys.stderr)
        sys.stderr.flush()
        assert "Socket operation on non-socket\n" in said()
        os.write(2, "é".encode()[:1])
        assert said().endswith("\ufffd")
    os.write(2, b"after\n")
    assert "Socket" not in (shown := capfd.readouterr().err)
    assert "before" in shown and "after" in shown


def test_the_terminal_is_given_back_after_an_error(capfd):
    with pytest.raises(ValueError), kernels_apart():
        os.write(2, b"hidden\n")
        raise ValueError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
