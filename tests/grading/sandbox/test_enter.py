"""What a process in the sandbox has, what it has not, and how it ends."""

import os
import threading

import pytest

from grading.course import PROJECT, GradingError
from grading.sandbox import SandboxLimits, SetupFailed, spawn
from grading.sandbox.enter import clean_environment


def test_it_is_alone_in_an_empty_folder(python):
    seen = python("""
def run():
    return os.getpid(), os.getcwd(), os.listdir(), sorted(os.environ), sys.argv
print(json.dumps(inside(run)))
""")
    assert seen[:3] == [1, "/home/student", []]
    assert "HOME" in seen[3]
    assert seen[4] == ["student"]


def test_the_environment_of_the_parent_is_gone(python):
    code = "print(json.dumps(inside(lambda: dict(os.environ))))"
    assert "hunter2" not in str(python(code, GRADEBOOK_PASSWORD="hunter2"))


def test_python_and_installed_packages_are_readable_and_the_project_is_not(python):
    seen = python(f"""
def run():
    import xml.dom.minidom, numpy, encoderlib.attention
    found = []
    for path in ("solutions", "grading/__init__.py", "tests", ".git", "course", "exercises"):
        if os.path.exists(os.path.join({str(PROJECT)!r}, path)):
            found.append(path)
    return numpy.arange(4).sum().item(), found
print(json.dumps(inside(run)))
""")
    assert seen == [6, []]


def test_only_the_kept_files_are_open(python):
    seen = python("""
secret = os.open(os.path.abspath(sys.executable), os.O_RDONLY)
kept = os.open(os.path.abspath(sys.executable), os.O_RDONLY)
def run():
    def opened(number):
        try:
            os.fstat(number)
            return True
        except OSError:
            return False
    null = os.stat("/dev/null")
    return opened(secret), opened(kept), [os.path.samestat(os.fstat(n), null) for n in range(3)]
print(json.dumps(inside(run, keep_fds=[kept])))
""")
    assert seen == [False, True, [True, True, True]]


def test_threads_work_and_processes_do_not(python):
    seen = python("""
def run():
    import threading
    out = []
    threads = [threading.Thread(target=out.append, args=(n,)) for n in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    try:
        os.fork()
    except PermissionError:
        return sorted(out)
print(json.dumps(inside(run)))
""")
    assert seen == list(range(8))


def test_processes_are_bounded_where_some_are_allowed(python, request):
    if os.geteuid() == 0 and "user namespaces" in request.node.name:
        pytest.skip("the kernel does not count the processes of root; require() refuses that")
    made = python("""
import grading.sandbox.limits as limits, signal
limits.THREADS = 1
def run():
    made = 0
    for _ in range(20):
        try:
            if os.fork() == 0:
                signal.alarm(20)
                signal.pause()
        except BlockingIOError:
            break
        made += 1
    return made
print(json.dumps(inside(run, processes=4)))
""")
    assert made == 4


def test_killing_it_kills_what_it_started(python):
    closed = python("""
import select, signal, time
reading, writing = os.pipe()
def run():
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(30)
            os._exit(0)
    os.write(writing, b"x")
    time.sleep(30)
pid = spawn(run, SandboxLimits(processes=20), sandbox, [writing])
os.close(writing)
os.read(reading, 1)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
ready = select.select([reading], [], [], 10)[0]
print(json.dumps(bool(ready) and os.read(reading, 1) == b""))
""")
    assert closed


def test_it_dies_with_its_parent(python):
    closed = python("""
import select, time
reading, writing = os.pipe()
if os.fork() == 0:
    spawn(lambda: time.sleep(30), SandboxLimits(), sandbox, [writing])
    os._exit(0)
os.close(writing)
ready = select.select([reading], [], [], 10)[0]
print(json.dumps(bool(ready) and os.read(reading, 1) == b""))
""")
    assert closed


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("pass", 0),
        ("raise ValueError", 1),
        ("os._exit(7)", 7),
        ("import ctypes; ctypes.string_at(0)", -11),
        ("import signal; signal.signal(24, signal.SIG_IGN)\n    while True: pass", -9),
    ],
)
def test_its_end_is_seen(python, body, code):
    ended = python(f"""
def run():
    {body}
pid = spawn(run, SandboxLimits(cpu_seconds=1), sandbox)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
""")
    assert ended == code


def test_memory_is_counted_from_what_is_mapped_already(python):
    """Else a parent that has torch loaded would leave nothing to a limit of 64 MiB."""
    seen = python("""
ballast = bytearray(200 << 20)
def run():
    bytearray(32 << 20)
    try:
        bytearray(128 << 20)
    except MemoryError:
        return "refused"
print(json.dumps(inside(run, memory_mib=64)))
""")
    assert seen == "refused"


def test_torch_and_figures_work_inside(python):
    """Lazy imports, threads, a gradient, a font and a file."""
    seen = python("""
import torch, matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
torch.set_num_threads(1)
def run():
    torch.set_num_threads(2)
    x = torch.eye(300, requires_grad=True)
    (x @ x).sum().backward()
    import torch.nn.utils.parametrizations as lazy
    plt.title("title")
    plt.savefig("figure.png")
    torch.save(x, "x.pt")
    return torch.load("x.pt").trace().item(), os.path.getsize("figure.png") > 1000
print(json.dumps(inside(run)))
""")
    assert seen == [300.0, True]


def test_a_layer_that_cannot_be_entered_is_an_error_and_nothing_runs(python):
    seen = python("""
from grading.sandbox.layout import Layout
broken = replace(sandbox, layout=Layout((*sandbox.layout.readable, "/no/such/folder")))
reading, writing = os.pipe()
try:
    spawn(lambda: os.write(writing, b"ran"), SandboxLimits(), broken, [writing])
except SetupFailed as failure:
    os.close(writing)
    print(json.dumps([failure.layer, os.read(reading, 3).decode()]))
""")
    assert seen == ["files", ""]


def test_a_parent_with_threads_is_refused(sandbox):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(GradingError, match="one thread"):
            spawn(lambda: None, SandboxLimits(), sandbox)
    finally:
        stop.set()
        thread.join()


def test_a_clean_environment_keeps_no_secrets(monkeypatch):
    monkeypatch.setenv("GRADEBOOK_PASSWORD", "hunter2")
    assert "hunter2" not in clean_environment(COURSE="x").values()
    assert clean_environment(COURSE="x")["COURSE"] == "x"


def test_setup_failed_names_the_layer():
    assert "landlock" in str(SetupFailed("landlock", "Operation not permitted"))
