"""The filter's instructions, run here as the kernel runs them, for both kinds of machine."""

import struct

import pytest

from grading.sandbox import calls, kernel, seccomp
from grading.sandbox.seccomp import ALLOW, ARCHITECTURES, DENY, KILL, UNKNOWN, Rules, program

MACHINES = ("x86_64", "aarch64")
LONGEST = 4096


def verdict(code: bytes, machine: str, number: int, *arguments: int) -> int:
    data = struct.pack("=IIQ", number, ARCHITECTURES[machine], 0)
    data += struct.pack("=6Q", *(arguments + (0,) * 6)[:6])
    at, loaded = 0, 0
    for _ in range(len(code) // 8):
        operation, yes, no, value = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if operation == seccomp.RETURN:
            return value
        if operation == seccomp.LOAD:
            (loaded,) = struct.unpack_from("=I", data, value)
        else:
            holds = {
                seccomp.EQUAL: loaded == value,
                seccomp.AT_LEAST: loaded >= value,
                seccomp.ANY_BIT: bool(loaded & value),
            }[operation]
            at += yes if holds else no
    raise AssertionError("the filter has no end")


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


def of(machine, row):
    return row[MACHINES.index(machine)]


def test_every_listed_call_is_refused(machine):
    code = program(Rules(), machine)
    rows = {**calls.ALWAYS, "socket": calls.SOCKET}
    for name, row in rows.items():
        if of(machine, row) is not None:
            assert verdict(code, machine, of(machine, row)) == DENY, name


def test_usual_calls_are_allowed(machine):
    code = program(Rules(), machine)
    usual = {  # read, openat, mmap, futex, sendmsg, recvmsg, socketpair, exit_group
        "x86_64": (0, 257, 9, 202, 46, 47, 53, 231),
        "aarch64": (63, 56, 222, 98, 211, 212, 199, 94),
    }
    for number in usual[machine]:
        assert verdict(code, machine, number) == ALLOW


def test_another_architecture_ends_the_process(machine):
    other = MACHINES[1 - MACHINES.index(machine)]
    assert verdict(program(Rules(), machine), other, 0) == KILL


def test_the_second_set_of_numbers_of_x86_ends_the_process():
    assert verdict(program(Rules(), "x86_64"), "x86_64", 0x40000000 + 59) == KILL


def test_clone_makes_threads_only(machine):
    clone = of(machine, calls.CLONE)
    code = program(Rules(), machine)
    assert verdict(code, machine, clone, 0x3D0F00) == ALLOW  # as pthread_create calls it
    assert verdict(code, machine, clone, 0x1200011) == DENY  # as fork calls it
    assert verdict(code, machine, of(machine, calls.CLONE3)) == UNKNOWN


def test_where_processes_are_allowed_clone_makes_no_namespaces(machine):
    clone = of(machine, calls.CLONE)
    code = program(Rules(fork=True), machine)
    assert verdict(code, machine, clone, 0x1200011) == ALLOW
    for flag in (kernel.CLONE_NEWUSER, kernel.CLONE_NEWPID, kernel.CLONE_NEWNS):
        assert verdict(code, machine, clone, 0x1200011 | flag) == DENY


def test_sockets_for_a_kernel_are_of_few_families(machine):
    socket = of(machine, calls.SOCKET)
    code = program(Rules(sockets=True), machine)
    assert verdict(code, machine, socket, 1) == ALLOW
    assert verdict(code, machine, socket, 38) == DENY  # the kernel's cryptography
    assert verdict(code, machine, socket, 17) == DENY  # packets


def test_without_a_pid_namespace_signals_go_to_the_process_itself_only(machine):
    code = program(Rules(own_process_only=True), machine, pid=4321)
    kill, limit = (of(machine, calls.ON_A_PROCESS[name]) for name in ("kill", "prlimit64"))
    assert verdict(code, machine, kill, 4321) == ALLOW
    for other in (0, 1, 4322, 0xFFFFFFFF):
        assert verdict(code, machine, kill, other) == DENY
    assert verdict(code, machine, limit, 0) == ALLOW
    assert verdict(code, machine, limit, 1) == DENY
    assert verdict(program(Rules(), machine), machine, kill, 1) == ALLOW


def test_without_a_private_root_attributes_of_files_stay(machine):
    chmod = of(machine, calls.ATTRIBUTES["fchmodat"])
    assert verdict(program(Rules(own_files_only=True), machine), machine, chmod) == DENY
    assert verdict(program(Rules(), machine), machine, chmod) == ALLOW


def test_the_death_signal_cannot_be_cleared(machine):
    prctl = of(machine, calls.PRCTL)
    code = program(Rules(), machine)
    assert verdict(code, machine, prctl, kernel.PR_SET_PDEATHSIG) == DENY
    assert verdict(code, machine, prctl, 15) == ALLOW  # the name of a thread


def test_the_largest_filter_fits_the_kernel(machine):
    rules = Rules(own_process_only=True, own_files_only=True, sockets=True)
    assert len(program(rules, machine)) // 8 < LONGEST


def test_fork_is_refused_by_its_old_name_too():
    fork = calls.FORK["fork"][0]
    assert verdict(program(Rules(), "x86_64"), "x86_64", fork) == DENY
    assert verdict(program(Rules(fork=True), "x86_64"), "x86_64", fork) == ALLOW
