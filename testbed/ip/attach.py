"""The plant's side of `testbed exec`: takes the TUN descriptors of nodes and watches over who uses them.

One thread serves all clients and trusts none: what it does not understand, or what does not go on, is refused
or dropped, and everybody else is served as before. Not here: what flows through the descriptors.
"""

from __future__ import annotations

import array
import contextlib
import os
import selectors
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from testbed.ip import tun
from testbed.ip.protocol import (
    Attach,
    Attached,
    Granted,
    Handover,
    Host,
    Joined,
    ProtocolError,
    Refused,
    Request,
    encode,
    request_in,
)
from testbed.ip.rendezvous import Published

#: programs at a time, those that are just coming included
MOST_CONNECTIONS: Final = 256
#: how long a client may take for its next message until it is attached
PATIENCE_S: Final = 10.0
#: how many nodes a refusal names
_NAMED: Final = 8
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class CannotAttachError(Exception):
    """Raised by the plant's `attach` with a sentence: this node cannot have an IP interface."""


@dataclass(eq=False)
class _Client:
    """A connection. `stage`: new, waiting (for others on its node), granted, attached, leaving."""

    socket: socket.socket
    pid: int
    deadline_s: float
    stage: str = "new"
    node: str = ""
    joining: bool = False
    received: bytearray = field(default_factory=bytearray)
    to_send: bytearray = field(default_factory=bytearray)
    descriptor: int = -1


@dataclass
class _Node:
    """Who uses a node, and by which descriptor (-1: not attached)."""

    clients: list[_Client] = field(default_factory=list)
    descriptor: int = -1


class AttachServer:
    """Lets programs run behind the nodes of one run.

    Parameters
    ----------
    folder : of the run; `ip.json` in it says where the socket is
    nodes : those that programs can run behind
    places : what else has a name in the emulated network, such as satellites
    mtu : of the interfaces, bytes
    attach : called with a node's id and the descriptor of its TUN (non-blocking), which stays open until
        `detach` of this node has returned; may raise CannotAttachError
    detach : called with a node's id when its last program has gone

    Both are called in the server's thread, one at a time, and are waited for.
    """

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[Host],
        places: Sequence[Host],
        mtu: int,
        attach: Callable[[str, int], None],
        detach: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._hosts = {host.name: host for host in nodes}
        self._names = [*nodes, *places]
        self._mtu = mtu
        self._attach = attach
        self._detach = detach
        self._clients: set[_Client] = set()
        self._nodes: dict[str, _Node] = {}
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        self._published: Published | None = None
        self._thread = threading.Thread(target=self._serve, name="ip-attach", daemon=True)

    def start(self) -> None:
        """Listen, publish where, and serve; OSError when a disk refuses."""
        self._published = Published(self._folder)
        self._selector.register(self._published.listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """Detach every node, which takes the interfaces from programs that still run, and clear up.

        To be called once.
        """
        if self._published is not None:
            self._wake.send(b"\0")
            self._thread.join()
            self._published.withdraw()
        self._selector.close()
        self._woken.close()
        self._wake.close()

    # --- the thread -------------------------------------------------------------------------------

    def _serve(self) -> None:
        assert self._published is not None
        while True:
            ready = self._selector.select(self._until_next_deadline())
            for key, events in ready:
                if key.fileobj is self._woken:
                    for client in list(self._clients):
                        self._drop(client, serve_next=False)
                    return
                if key.fileobj is self._published.listener:
                    self._accept(self._published.listener)
                elif (client := key.data) in self._clients:
                    self._serve_client(client, events)
            now_s = time.monotonic()
            for client in [each for each in self._clients if each.deadline_s <= now_s]:
                self._drop(client)

    def _until_next_deadline(self) -> float | None:
        deadline_s = min((client.deadline_s for client in self._clients), default=float("inf"))
        return None if deadline_s == float("inf") else max(0.0, deadline_s - time.monotonic())

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors left: without a pause this would be asked again at once
            time.sleep(0.1)
            return
        connection.setblocking(False)
        pid, user, _ = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        client = _Client(connection, pid, time.monotonic() + PATIENCE_S)
        full = len(self._clients) >= MOST_CONNECTIONS
        if full:
            # One answer that fits any buffer; whoever is too many is not waited for.
            with contextlib.suppress(OSError):
                connection.send(
                    encode(Refused(f"{MOST_CONNECTIONS} programs are on this run, no more are allowed"))
                )
            connection.close()
            return
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)
        if user != os.geteuid():
            self._refuse(client, f"this run belongs to user {os.geteuid()}; run the program as that user")

    def _serve_client(self, client: _Client, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._send(client)
            if events & selectors.EVENT_READ and not self._receive(client):
                self._drop(client)
                return
            while client.stage != "leaving" and (request := request_in(client.received)) is not None:
                self._answer(client, request)
        except ProtocolError as error:
            self._refuse(client, f"that cannot be understood: {error}")
        except OSError:
            self._drop(client)

    def _receive(self, client: _Client) -> bool:
        """Take what has come; False when the client has gone."""
        try:
            content, ancillary, _, _ = client.socket.recvmsg(
                4096, socket.CMSG_LEN(struct.calcsize("i")), socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return True
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors = array.array("i", data[: len(data) // 4 * 4])
                for descriptor in descriptors:
                    if client.descriptor >= 0:
                        os.close(client.descriptor)
                    client.descriptor = descriptor
        if client.stage == "leaving":
            return bool(content)  # what it still says is not listened to
        client.received += content
        return bool(content)

    def _answer(self, client: _Client, request: Request) -> None:
        if isinstance(request, Attach) and client.stage == "new":
            if request.node not in self._hosts:
                self._refuse(client, f"{request.node!r} is no node of this run; {self._some_nodes()}", 2)
                return
            client.node = request.node
            client.stage = "waiting"
            client.deadline_s = float("inf")  # whom it waits for has a deadline
            self._nodes.setdefault(client.node, _Node()).clients.append(client)
            self._grant(client.node)
        elif isinstance(request, Joined) and client.stage == "granted" and client.joining:
            self._admit(client)
        elif isinstance(request, Handover) and client.stage == "granted" and not client.joining:
            self._take_over(client)
        else:
            self._refuse(client, f"{type(request).__name__} is not expected now")

    def _some_nodes(self) -> str:
        names = list(self._hosts)
        if not names:
            return "it has none with an IP interface"
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"there are {', '.join(names[:_NAMED])}{more}"

    def _grant(self, name: str) -> None:
        """Let those who wait for a node proceed: all when it is there, else the first, who makes it."""
        node = self._nodes.get(name)
        if node is None:
            return
        waiting = [client for client in node.clients if client.stage == "waiting"]
        inside = [client for client in node.clients if client.stage == "attached"]
        under_way = any(client.stage == "granted" for client in node.clients)
        if not inside:
            # Nobody's namespaces could be entered, and one node never gets two interfaces.
            waiting = [] if under_way else waiting[:1]
        host = self._hosts[name]
        for client in waiting:
            client.stage = "granted"
            client.joining = bool(inside)
            client.deadline_s = time.monotonic() + PATIENCE_S
            pid = inside[0].pid if inside else 0
            self._say(client, Granted(host.ipv4, host.ipv6, self._mtu, self._names, pid))

    def _take_over(self, client: _Client) -> None:
        try:
            if client.descriptor < 0:
                raise tun.NotATunError("no descriptor came with the hand-over")
            tun.check(client.descriptor)
            os.set_blocking(client.descriptor, False)
            self._attach(client.node, client.descriptor)
        except (tun.NotATunError, CannotAttachError) as error:
            self._refuse(client, str(error))
            return
        except Exception as error:  # the plant's mistake must not take the other nodes' interfaces
            traceback.print_exc()
            self._refuse(client, f"the channel failed to attach {client.node} ({error!r})")
            return
        self._nodes[client.node].descriptor, client.descriptor = client.descriptor, -1
        self._admit(client)

    def _admit(self, client: _Client) -> None:
        client.stage = "attached"
        client.deadline_s = float("inf")
        self._say(client, Attached())
        self._grant(client.node)

    # --- sending and ending -----------------------------------------------------------------------

    def _say(self, client: _Client, message: Granted | Attached | Refused) -> None:
        client.to_send += encode(message)
        self._send(client)

    def _send(self, client: _Client) -> None:
        """Send what the socket takes; the rest when it takes more."""
        try:
            while client.to_send:
                del client.to_send[: client.socket.send(client.to_send)]
        except BlockingIOError:
            pass
        except OSError:
            client.to_send.clear()  # that it has gone will be read, too
        if client.stage == "leaving" and not client.to_send:
            with contextlib.suppress(OSError):
                client.socket.shutdown(socket.SHUT_WR)
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.to_send else 0)
        self._selector.modify(client.socket, wanted, client)

    def _refuse(self, client: _Client, reason: str, exit_status: int = 3) -> None:
        """Say why not; the client is dropped when it has gone, or has taken too long to."""
        self._leave_node(client)
        client.stage = "leaving"
        client.deadline_s = time.monotonic() + PATIENCE_S
        self._say(client, Refused(reason, exit_status))

    def _drop(self, client: _Client, *, serve_next: bool = True) -> None:
        self._clients.discard(client)
        self._selector.unregister(client.socket)
        self._leave_node(client, serve_next=serve_next)
        if client.descriptor >= 0:
            os.close(client.descriptor)
        client.socket.close()

    def _leave_node(self, client: _Client, *, serve_next: bool = True) -> None:
        """Forget that a client uses its node, and detach the node when nobody else does."""
        name, client.node = client.node, ""
        if not name:
            return
        node = self._nodes[name]
        node.clients.remove(client)
        if node.descriptor >= 0 and all(each.stage == "waiting" for each in node.clients):
            try:
                self._detach(name)
            except Exception:  # as above
                traceback.print_exc()
            os.close(node.descriptor)
            node.descriptor = -1
        if not node.clients:
            del self._nodes[name]
        elif serve_next:
            self._grant(name)
