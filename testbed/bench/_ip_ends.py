"""Ends of an emulated IP path: a network namespace each, whose one interface is a TUN of ours.

`python -m testbed.bench._ip_ends hold SOCKET IPV4 IPV6 MTU` makes the namespaces and passes the descriptor
of the TUN over a Unix socket; they live until the socket is closed. `... enter PID PROGRAM ...` runs a
program in them, `... remove PID` deletes the interface. Nothing here needs the emulator: processes are small.
"""

from __future__ import annotations

import array
import json
import os
import socket
import subprocess
import sys
from typing import Any, Final

from testbed.errors import EnvironmentProblem
from testbed.ip import interface, namespace, tun

INTERFACE: Final = "tun0"
_ANSWER_BYTES: Final = 4096


class End:
    """One end: `descriptor` is its TUN's. Use as a context manager; leaving it ends what runs in it."""

    def __init__(self, ipv4: str, ipv6: str, mtu: int = 1500) -> None:
        self.ipv4, self.ipv6, self.mtu = ipv4, ipv6, mtu
        self.descriptor = -1
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> End:
        """EnvironmentProblem, with what would help, where namespaces or TUN are not permitted."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._holder = subprocess.Popen(
                [*_module("hold"), str(theirs.fileno()), self.ipv4, self.ipv6, str(self.mtu)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._line = ours
        message, ancillary, _, _ = ours.recvmsg(_ANSWER_BYTES, socket.CMSG_LEN(array.array("i").itemsize))
        problem = message.decode()
        if problem != "ready":
            self.close()
            raise EnvironmentProblem(problem or "the process that makes the namespace has ended")
        descriptors = array.array("i")
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        self.descriptor = descriptors[0]
        return self

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program in the namespace; what it prints is to be read from it."""
        program = subprocess.Popen(
            [*_module("enter"), str(self._holder.pid), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._programs.append(program)
        return program

    def remove_interface(self) -> None:
        """Delete the interface: the descriptor stays, without a device."""
        subprocess.run(_module("remove", str(self._holder.pid)), check=True)

    def close(self) -> None:
        """End what runs here, the namespace, and the descriptor."""
        for program in self._programs:
            program.kill()
            program.communicate()
        self._programs.clear()
        self._line.close()
        self._holder.wait()
        # A descriptor keeps the namespace of its device alive.
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __exit__(self, *_: object) -> None:
        self.close()


def result(program: subprocess.Popen[str], patience_s: float = 60.0) -> dict[str, Any]:
    """What a program has printed as JSON on its last line, once it has ended; RuntimeError when it failed."""
    printed, _ = program.communicate(timeout=patience_s)
    lines = printed.splitlines()
    if program.returncode != 0 or not lines:
        raise RuntimeError(f"{program.args!r} ended with {program.returncode} and printed {printed!r}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "testbed.bench._ip_ends", *arguments]


def _hold(line: socket.socket, ipv4: str, ipv6: str, mtu: int) -> None:
    try:
        namespace.enter_new()
        interface.be_quiet()
        descriptor = tun.create(INTERFACE)
        interface.configure(INTERFACE, ipv4, ipv6, mtu)
    except OSError as error:
        line.sendall(namespace.why_not(error).encode())
        return
    socket.send_fds(line, [b"ready"], [descriptor])
    line.recv(1)


def _remove() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        route.link("del", index=route.link_lookup(ifname=INTERFACE)[0])


def _main(arguments: list[str]) -> None:
    if arguments[0] == "hold":
        with socket.socket(fileno=int(arguments[1])) as line:
            _hold(line, arguments[2], arguments[3], int(arguments[4]))
        return
    namespace.enter_those_of(int(arguments[1]))
    if arguments[0] == "remove":
        _remove()
    else:
        os.execvp(arguments[2], arguments[2:])


if __name__ == "__main__":
    _main(sys.argv[1:])
