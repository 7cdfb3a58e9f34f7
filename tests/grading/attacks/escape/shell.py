"""Reach the listener with a program of the shell's."""

FIRST = """
import subprocess

try:
    subprocess.run(
        ["bash", "-c", "echo {{NAME}} reached > /dev/tcp/127.0.0.1/{{PORT}}"],
        timeout=3,
        capture_output=True,
    )
except (OSError, subprocess.SubprocessError):
    pass
"""
