"""Hosts made of network namespaces: each has its own address and nothing but a cable to a switch.

Needs root on Linux and the program ``ip``. All that is made here is named after this process,
and :meth:`Network.close` removes just that.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path


class NotPermitted(Exception):
    """No network namespaces can be made on this machine; the message says why."""


class Network:
    """A switch in a namespace of its own, and hosts around it."""

    def __init__(self) -> None:
        if shutil.which("ip") is None:
            raise NotPermitted("the program ip (iproute2) is not installed")
        self.prefix = f"grd{os.getpid()}"
        self.switch = f"{self.prefix}sw"
        self.hosts: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self.processes: list[subprocess.Popen] = []
        try:
            _ip("netns", "add", self.switch)
        except subprocess.CalledProcessError as error:
            raise NotPermitted(f"ip netns add: {error.stderr.strip()}") from error
        try:
            self._inside("link", "add", "br0", "type", "bridge")
            self._inside("link", "set", "br0", "up")
        except subprocess.CalledProcessError as error:
            self.close()
            raise NotPermitted(f"ip link add type bridge: {error.stderr.strip()}") from error

    def add(self, host: str) -> str:
        """A new host; returns its address."""
        number = len(self.hosts) + 1
        space, address = f"{self.prefix}{host}", f"10.213.7.{number}"
        _ip("netns", "add", space)
        self.hosts[host] = space
        cable = (
            "link",
            "add",
            f"p{number}",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            space,
        )
        self._inside(*cable)
        self._inside("link", "set", f"p{number}", "master", "br0", "up")
        for arguments in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            _ip("-n", space, *arguments)
        self.addresses[host] = address
        return address

    def cable(self, host: str, state: str) -> None:
        """Pull a host's cable (``down``) or put it back (``up``)."""
        _ip("-n", self.hosts[host], "link", "set", "eth0", state)

    def start(
        self, host: str, command: list[str], log: Path, environment: dict[str, str], cwd: Path
    ) -> subprocess.Popen:
        """Run a program on a host."""
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.hosts[host], *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment,
                cwd=cwd,
                start_new_session=True,  # so that its children end with it, and nothing else
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End the programs and remove the namespaces, with the cables in them."""
        for process in self.processes:
            if process.returncode is None:
                end_group(process)
        for space in (*self.hosts.values(), self.switch):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)

    def _inside(self, *arguments: str) -> None:
        _ip("-n", self.switch, *arguments)


def end_group(process: subprocess.Popen) -> None:
    """Kill a program and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
