"""IP interfaces of a run's nodes: who has which address, and how `testbed exec` reaches the channel.

Every node may have one, at its own place and on a port of its own beside that of its process. Until a program
is run behind it, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emulator.dataplane.channel import Channel
from emulator.inet.addresses import host_ipv4, host_ipv6, place_ipv4, place_ipv6
from testbed.ip.attach import AttachServer, CannotAttachError
from testbed.ip.protocol import Host
from testbed.ports import Ports


class Internet:
    """The IP side of a plant. `start` when the channel runs, `stop` before it ends.

    `ports`: of the run; `places`: the world's names, by index; `mtu` in bytes, of every interface.
    """

    def __init__(self, channel: Channel, ports: Ports, places: Sequence[str], mtu: int, folder: Path) -> None:
        self._channel = channel
        self._ports = ports
        nodes = [Host(node, host_ipv4(port), host_ipv6(port)) for node, port in ports.of.items()]
        taken = {host.name for host in nodes}
        routers = [
            Host(name, place_ipv4(index), place_ipv6(index))
            for index, name in enumerate(places)
            if name not in taken
        ]
        self._server = AttachServer(folder, nodes, routers, mtu, self._attach, self._detach)

    def start(self) -> None:
        """Let programs come."""
        self._server.start()

    def stop(self) -> None:
        """Take every interface away."""
        self._server.stop()

    def _attach(self, node: str, descriptor: int) -> None:
        try:
            self._channel.attach_ip(self._ports.ip_from + self._ports.of[node], descriptor)
        except ValueError as error:
            raise CannotAttachError(str(error)) from None

    def _detach(self, node: str) -> None:
        self._channel.detach_ip(self._ports.ip_from + self._ports.of[node])
