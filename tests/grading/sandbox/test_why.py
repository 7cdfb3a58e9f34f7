"""Refusals are ordinary errors, and each has a sentence for the student."""

import pytest

from grading.sandbox import why

CASES = {
    "import socket; socket.create_connection(('127.0.0.1', 9))": "network access",
    "import socket; socket.socket()": "network access",
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')": "network access",
    "import subprocess; subprocess.run(['ls'])": "starting programs",
    "import pty; pty.spawn('ls')": "starting programs",
    "os.execv('/usr/bin/env', ['env'])": "starting programs",
    "os.posix_spawn('/usr/bin/env', ['env'], {})": "starting programs",
    "os.fork()": "further processes",
    "import multiprocessing as m; p = m.get_context('fork').Process(); p.start()": "processes",
    "open('/etc/shadow')": "files of the grading machine",
    "open('../secret.txt')": "files of the grading machine",
    "open('/usr/new', 'w')": "only the work folder",
    "bytearray(4 << 30)": "memory",
    "open('large', 'wb').write(bytes(8 << 20))": "larger than",
    "[os.open('/dev/null', 0) for _ in range(300)]": "too many files",
    "import time; time.clock_settime(0, 0.0)": "this system call",
}


@pytest.mark.parametrize("code", CASES)
def test_a_refusal_has_a_sentence(sandbox, code, python):
    kind, text, sentence = python(f"""
def run():
    {code}
print(json.dumps(inside(run, file_mib=4)))
""")
    assert CASES[code] in sentence, (kind, text)


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(2, "no", "data.csv")])
def test_a_students_own_mistake_is_not_blamed_on_the_sandbox(error):
    assert why(error) == ""
