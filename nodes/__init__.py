"""The light side of the testbed: what runs at the edges of the network.

A program of your own joins a run that stands at its place and is told apart by its id:

```python
from nodes import Client

with Client("tcp://127.0.0.1:5555", id="my-app", place="sensor-1") as net:
    print("nodes of this run:", ", ".join(net.directory))
    print("round trip to the gateway:", net.ping("gateway-1", timeout_s=2.0), "s")
    net.send("gateway-1", b"hello")
    net.report("temperature", {"value": 21.5})
    packet = net.receive(timeout_s=1.0)
    if packet is not None:
        print(packet.source, "sent", packet.payload, "delay", packet.delay_ms, "ms")
```

The scenario has to allow guests (`[network] guests`), and `testbed run` shows the endpoint. Everything
here needs pyzmq and msgspec only, so that it starts fast on a small board.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodes.client import Client, NetworkError, Packet, RefusedError

__all__ = ["Client", "NetworkError", "Packet", "RefusedError"]


def __getattr__(name: str) -> Any:
    # On first use: who only needs nodes.wire does not pay for sockets.
    if name in __all__:
        from nodes import client

        return getattr(client, name)
    raise AttributeError(f"module 'nodes' has no attribute {name!r}")
