"""The environment: the same for the same installation, different for different software."""

import os
import socket
import subprocess
import sys

from grading.course import PROJECT
from grading.engine.environment import (
    INFORMATION,
    differences,
    environment,
    environment_digest,
    source_digest,
)


def test_names_what_decides_a_record_and_no_host_or_path():
    found = environment()
    assert {"Python", "torch", "numpy", "IPython", "grading", "encoderlib"} <= set(found)
    assert all(isinstance(version, str) and version for version in found.values())
    text = " ".join(found.values())
    assert socket.gethostname() not in text
    assert "/" not in text


def test_same_in_another_process_with_other_threads_and_folder(tmp_path):
    code = "from grading.engine.environment import environment_digest; print(environment_digest())"
    settings = {"OMP_NUM_THREADS": "7", "PYTHONHASHSEED": "3", "PYTHONPATH": str(PROJECT)}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == environment_digest()


def test_each_version_counts_and_information_does_not():
    for name in environment():
        changed = environment() | {name: "other"}
        counts = name not in INFORMATION
        assert (environment_digest(changed) != environment_digest()) == counts
        assert bool(differences(environment(), changed)) == counts
    assert differences(environment(), {}) != []


def test_difference_says_which_is_where():
    here, there = {"torch": "2"}, {"torch": "1", "numpy": "2"}
    assert differences(here, there) == [
        "numpy is 2 there and unknown here",
        "torch is 1 there and 2 here",
    ]


def test_source_digest_follows_names_and_text_and_not_line_ends_or_places(tmp_path):
    def package(name, files):
        for path, data in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(data)
        return source_digest(tmp_path / name)

    first = package("a", {"x.py": b"1\n", "sub/y.py": b"2\n", "notes.txt": b"3"})
    assert package("b", {"x.py": b"1\r\n", "sub/y.py": b"2\n"}) == first
    assert package("c", {"x.py": b"1\n", "sub/z.py": b"2\n"}) != first
    assert package("d", {"x.py": b"1\n2\n", "sub/y.py": b""}) != first
    assert source_digest(tmp_path / "nowhere") == "not installed"
