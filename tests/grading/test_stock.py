"""What is around stock nbgrader: the voices of its kernels."""

import os

import pytest

from grading.stock import kernels_apart


def test_what_kernels_say_is_kept_and_not_shown(capfd):
    os.write(2, b"before\n")
    with kernels_apart() as said:
        os.write(2, b"Socket operation on non-socket\n")
        assert "Socket operation on non-socket\n" in said()
        os.write(2, "é".encode()[:1])
        assert said().endswith("\ufffd")
    os.write(2, b"after\n")
    shown = capfd.readouterr().err
    assert shown == "before\nafter\n"


def test_the_terminal_is_given_back_after_an_error(capfd):
    apart = kernels_apart()
    apart.__enter__()
    os.write(2, b"hidden\n")
    with pytest.raises(ValueError, match="an error"):
        apart.gen.throw(ValueError("an error"))
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
