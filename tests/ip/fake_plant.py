"""A plant that delays nothing: an AttachServer whose frames go straight from one TUN to the other.

`python -m tests.ip.fake_plant FOLDER` serves the run in FOLDER until its standard input ends, and writes a
line for each thing that happens: "ready", "attach NODE", "detach NODE".
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from testbed.ip.attach import AttachServer, CannotAttachError
from testbed.ip.protocol import Host

NODES = (
    Host("a", "10.64.0.1", "fd6a:1e0:0:1::1"),
    Host("b", "10.64.0.2", "fd6a:1e0:0:1::2"),
    Host("c", "10.64.0.3", "fd6a:1e0:0:1::3"),
    Host("broken", "10.64.0.4", "fd6a:1e0:0:1::4"),
    Host("unfit", "10.64.0.5", "fd6a:1e0:0:1::5"),
)
PLACES = (
    Host("STARLINK-1007", "10.128.0.0", "fd6a:1e0:0:2::"),
    Host("ISS (ZARYA)", "10.128.0.1", "fd6a:1e0:0:2::1"),
)
MTU = 1400
_VIRTIO_HEADER = 10
_LONGEST_FRAME = 1 << 17


class FakePlant:
    """What happened is in `events`, whose growth `happened` waits for; frames in `frames` by node."""

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda event: None) -> None:
        (folder / "run.json").write_text("{}")
        self.events: list[str] = []
        self.frames: dict[str, list[bytes]] = {}
        self._tell = tell
        self._changed = threading.Condition()
        self._descriptors: dict[str, int] = {}
        self._node_of = {socket.inet_pton(socket.AF_INET, host.ipv4): host.name for host in NODES} | {
            socket.inet_pton(socket.AF_INET6, host.ipv6): host.name for host in NODES
        }
        self._selector = selectors.DefaultSelector()
        self._selecting = threading.Lock()
        self._woken, self._wake = os.pipe()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self.server = AttachServer(folder, NODES, PLACES, MTU, self._attach, self._detach)
        self._mover = threading.Thread(target=self._move, daemon=True)

    def start(self) -> None:
        self.server.start()
        self._mover.start()

    def stop(self) -> None:
        self.server.stop()
        os.write(self._wake, b"\0")
        self._mover.join()
        self._selector.close()
        os.close(self._woken)
        os.close(self._wake)

    def happened(self, event: str, times: int = 1, timeout_s: float = 20.0) -> bool:
        """Wait until an event has happened so often."""
        with self._changed:
            return self._changed.wait_for(lambda: self.events.count(event) >= times, timeout_s)

    def _note(self, event: str) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()
        self._tell(event)

    def _attach(self, node: str, descriptor: int) -> None:
        if node == "broken":
            raise RuntimeError("no such port")
        if node == "unfit":
            raise CannotAttachError("unfit has no way into the network")
        with self._selecting:
            self._descriptors[node] = descriptor
            self._selector.register(descriptor, selectors.EVENT_READ, node)
        self._note(f"attach {node}")

    def _detach(self, node: str) -> None:
        with self._selecting:
            self._selector.unregister(self._descriptors.pop(node))
        self._note(f"detach {node}")

    def _move(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fd == self._woken:
                    return
                with self._selecting:
                    if self._descriptors.get(key.data) == key.fd:
                        self._move_one(key.fd, key.data)

    def _move_one(self, descriptor: int, node: str) -> None:
        try:
            frame = os.read(descriptor, _LONGEST_FRAME)
        except OSError:
            return
        packet = frame[_VIRTIO_HEADER:]
        self.frames.setdefault(node, []).append(frame)
        to = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        target = self._descriptors.get(self._node_of.get(to, ""))
        if target is not None:
            os.write(target, frame)


def main() -> None:
    plant = FakePlant(Path(sys.argv[1]), lambda event: print(event, flush=True))
    plant.start()
    print("ready", flush=True)
    sys.stdin.read()
    plant.stop()


if __name__ == "__main__":
    main()
