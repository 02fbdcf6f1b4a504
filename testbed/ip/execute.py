"""The course of `testbed exec`: ask the plant for a node, make or enter its namespaces, run the program."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from testbed.errors import EnvironmentProblem, TestbedError
from testbed.ip import interface, namespace, tun
from testbed.ip.program import run_program
from testbed.ip.protocol import (
    Answer,
    Attach,
    Attached,
    Granted,
    Handover,
    Joined,
    ProtocolError,
    Refused,
    Request,
    answer_in,
    encode,
)
from testbed.ip.rendezvous import connect

#: name of the one interface a program sees beside the loopback
INTERFACE: Final = "tun0"
#: how long the plant may take to answer; it attaches and detaches one node after another
_PATIENCE_S: Final = 30.0
#: a program may end in the moment in which another enters its namespaces
_ATTEMPTS: Final = 5


class _RefusedError(TestbedError):
    """The plant's own sentence and exit status."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.reason)
        self.exit_status = refused.exit_status


def execute(node: str, command: Sequence[str], run: Path | None = None) -> int:
    """Run a program whose only network is a node's interface; its exit status.

    Parameters
    ----------
    node : id of a node of the run
    command : the program and its arguments
    run : folder of the run; None: the one that began last on this machine

    BadInput for a run or node that there is not, EnvironmentProblem when this machine does not permit it.
    This process is in the node's namespaces afterwards.
    """
    if sys.platform != "linux":
        raise EnvironmentProblem(
            f"exec: needs network namespaces and TUN, which only Linux has, and this is {sys.platform}; "
            "programs that use nodes.Client run here too"
        )
    for _ in range(_ATTEMPTS):
        connection = connect(run)
        try:
            if _attach(connection, node):
                return run_program(command, connection, _tell_of_the_end)
        finally:
            connection.close()
    raise EnvironmentProblem(f"exec {node}: programs on it keep ending while this one enters; try again")


def _attach(connection: socket.socket, node: str) -> bool:
    """Get into the node's namespaces, new or old; False when the ones that were there have gone."""
    connection.settimeout(_PATIENCE_S)
    granted = _ask(connection, Attach(node))
    if not isinstance(granted, Granted):
        raise EnvironmentProblem("exec: the run answered out of turn; is it of another version?")
    try:
        if granted.join_pid:
            _enter(granted.join_pid)
            if not interface.is_ours(granted.ipv4):
                raise EnvironmentProblem(
                    f"exec {node}: process {granted.join_pid} is not behind {granted.ipv4}; run the program "
                    "where the run's processes can be seen (not in another container)"
                )
            answer = _ask(connection, Joined())
        else:
            descriptor = _make(granted)
            try:
                answer = _ask(connection, Handover(), descriptor)
            finally:
                os.close(descriptor)  # the plant's is the one that counts: without it the interface goes
    except ProcessLookupError:
        return False
    if not isinstance(answer, Attached):
        raise EnvironmentProblem("exec: the run answered out of turn; is it of another version?")
    return True


def _enter(pid: int) -> None:
    try:
        namespace.enter_those_of(pid)
    except ProcessLookupError:
        raise
    except OSError as error:
        raise EnvironmentProblem(
            f"exec: the namespaces of process {pid} cannot be entered ({error.strerror})"
        ) from None


def _make(granted: Granted) -> int:
    """New namespaces with an interface of their own; its descriptor."""
    from pyroute2.netlink.exceptions import NetlinkError  # here: found before the namespace hides anything

    try:
        namespace.enter_new()
        namespace.cover_files(granted.hosts)
        interface.be_quiet()
        descriptor = tun.create(INTERFACE)
    except OSError as error:
        raise EnvironmentProblem(f"exec: {namespace.why_not(error)}") from None
    try:
        interface.configure(INTERFACE, granted.ipv4, granted.ipv6, granted.mtu)
    except (OSError, NetlinkError) as error:
        os.close(descriptor)
        raise EnvironmentProblem(f"exec: the kernel refused to set up {INTERFACE} ({error})") from None
    return descriptor


def _ask(connection: socket.socket, request: Request, descriptor: int | None = None) -> Answer:
    """Send a request, perhaps with a descriptor, and wait for the answer; a refusal is an exception."""
    received = bytearray()
    try:
        with contextlib.suppress(BrokenPipeError):  # its last word may still be there to be read
            if descriptor is None:
                connection.sendall(encode(request))
            else:
                # A first byte carries the descriptor; so short a message is sent whole.
                socket.send_fds(connection, [encode(request)], [descriptor])
        while (answer := answer_in(received)) is None:
            chunk = connection.recv(1 << 16)
            if not chunk:
                raise EnvironmentProblem("exec: the run ended before the program could start")
            received += chunk
    except (ConnectionError, TimeoutError) as error:
        raise EnvironmentProblem(f"exec: the run does not answer ({error})") from None
    except ProtocolError as error:
        raise EnvironmentProblem(f"exec: the run's answer cannot be read ({error})") from None
    if isinstance(answer, Refused):
        raise _RefusedError(answer)
    return answer


def _tell_of_the_end() -> None:
    print(f"testbed: the run has ended, and {INTERFACE} with it; the program is told to end", file=sys.stderr)
