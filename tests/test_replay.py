"""What cannot be replayed exactly is refused, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.accounting import DELIVERED, HOP_RECORD
from emulator.crossing import COPY_SHIFT
from emulator.links.state import COPY
from emulator.simulate import ARRIVAL
from nodes.wire import CHANNEL_PORT
from testbed.errors import BadInput
from testbed.replay import _credits_ns, ip_targets, replay
from testbed.store.packets import PacketWriter
from testbed.store.runfile import RunFolder


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ({"final": False}, "was broken off"),
        ({"counters": {"ingress": 3, "log_overflow": 0, "fates": {"malformed": 1}}}, "1 packets had not"),
        ({"epochs": {"unrecorded": 2}}, "2 link tables were not recorded"),
        ({"counters": {"ingress": 1, "log_overflow": 5, "fates": {}}}, "5 packet-hops were not recorded"),
    ],
)
def test_a_run_whose_record_has_gaps_is_not_replayed(
    tmp_path: Path, channel: dict[str, Any], reason: str
) -> None:
    folder = RunFolder.create(tmp_path, "gaps")
    hop = np.zeros(1, HOP_RECORD)
    hop["fate"] = DELIVERED
    with PacketWriter(folder.packets_path, 0) as writer:
        writer.write(hop)
    folder.link_table_path.touch()
    whole = {"final": True, "counters": {"ingress": 1, "log_overflow": 0, "fates": {}}}
    folder.write_run({"ports": {}, "nodes": {}, "places": [], "channel": whole | channel})
    with pytest.raises(BadInput, match=reason):
        replay(folder)


def test_ip_packets_are_sent_again_to_where_their_address_led() -> None:
    """To a node's interface; to a port at the place addressed, the sender's own first; else to nobody."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    ip_from = 4
    # ports 4 to 7 are interfaces; those of 5 and 7 stand at place 2, that of 6 at place 0
    port_place = np.array([-1, 2, 0, 2, -1, 2, 0, 2])
    sent = (
        (5, IP(dst="10.64.0.2"), 6),  # a node
        (5, IP(dst="10.128.0.0"), 6),  # a place, by the interface that stands there
        (6, IP(dst="10.128.0.2"), 5),  # two stand there: the first
        (7, IPv6(dst="fd6a:1e0:0:2::2"), 7),  # ... or the sender's own
        (5, IP(dst="10.128.0.1"), CHANNEL_PORT),  # a place where nothing stands
        (5, IP(dst="10.64.0.99"), CHANNEL_PORT),  # no node of this run
        (5, IP(dst="192.0.2.1"), CHANNEL_PORT),  # not of this network
    )
    arrivals = np.zeros(len(sent), ARRIVAL)
    for row, (port, packet, _) in enumerate(sent):
        arrivals["port"][row] = port
        arrivals["header"][row] = np.frombuffer(bytes(packet).ljust(48, b"\0"), "<i8")
    assert ip_targets(arrivals, ip_from, port_place).tolist() == [target for *_, target in sent]


def test_credits_of_duplicates_are_their_packet_s() -> None:
    """Packet 7 of port 1, twice copied; port 3 has a packet 7 of its own."""
    rows = [
        # port, packet, hop, credit, mark
        (1, 7, 0, 10, 0),
        (1, 7, 1, 0, 0),
        (1, 7 + (2 << COPY_SHIFT), 0, 10, COPY),
        (1, 7 + (2 << COPY_SHIFT), 1, 5, COPY),
        (3, 7, 0, 2, 0),
    ]
    hops = np.zeros(len(rows), HOP_RECORD)
    for name, values in zip(
        ("port", "packet", "hop", "credit_ns", "marks"), zip(*rows, strict=True), strict=True
    ):
        hops[name] = values
    assert _credits_ns(hops, hops[[0, 4]]).tolist() == [15, 2]
