"""Packets on disk: arrays in, the same arrays out, and a pcap that scapy reads."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from emulator.accounting import DELIVERED, FORWARDED, HOP_RECORD, RADIO_LOSS
from nodes import wire
from testbed.errors import BadInput
from testbed.store.packets import PacketWriter, headers, ip_versions, read_hops, stamps_ns, torn_bytes

OFFSET_NS = 1_700_000_000_123_456_789


def some_hops(count: int) -> np.ndarray:
    hops = np.zeros(count, HOP_RECORD)
    number = np.arange(count)
    hops["ingress_ns"] = hops["in_ns"] = 10_000_000_000 + number
    hops["due_ns"] = hops["in_ns"] + 5_000_000
    hops["actual_ns"] = hops["due_ns"] + 700
    hops["packet"] = number
    hops["port"] = 3
    hops["from_place"] = 1
    hops["to_place"] = 2
    hops["link"] = 40 + number
    hops["size"] = 148
    hops["fate"] = np.where(number % 2, DELIVERED, FORWARDED)
    hops["modcod"] = -1
    for n in range(count):
        header = wire.Header(wire.TASK, src=3, dst=9, number=n, sent_ns=-5, tag=77, fragment=1, fragments=4)
        hops["header"][n] = wire.pack(header)
    return hops


def test_hops_come_back_as_they_went_in(tmp_path: Path) -> None:
    hops = some_hops(100)
    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(hops[:60])
        writer.write(hops[:0])
        writer.write(hops[60:])
    assert writer.counters.written == 100
    assert (read_hops(tmp_path / "p.pcap") == hops).all()
    assert torn_bytes(tmp_path / "p.pcap") == 0


def test_the_stamp_is_the_wall_clock_of_the_departure(tmp_path: Path) -> None:
    hops = some_hops(2)
    hops["fate"][1] = RADIO_LOSS
    hops["actual_ns"][1] = 0
    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(hops)
    expected = [hops["actual_ns"][0] + OFFSET_NS, hops["due_ns"][1] + OFFSET_NS]
    assert stamps_ns(tmp_path / "p.pcap").tolist() == expected


def test_the_headers_are_fields_of_an_array(tmp_path: Path) -> None:
    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(some_hops(3))
    found = headers(read_hops(tmp_path / "p.pcap"))
    assert found["number"].tolist() == [0, 1, 2]
    assert set(found["magic"]) == {wire.MAGIC}
    assert set(found["kind"]) == {wire.TASK}
    assert set(found["sent_ns"]) == {-5}
    assert set(found["fragments"]) == {4}


def test_a_torn_file_is_read_up_to_its_last_whole_packet(tmp_path: Path) -> None:
    path = tmp_path / "p.pcap"
    with PacketWriter(path, OFFSET_NS) as writer:
        writer.write(some_hops(5))
    path.write_bytes(path.read_bytes()[:-100])
    assert len(read_hops(path)) == 4
    assert torn_bytes(path) == 144 - 100


def test_a_capture_without_packets_is_empty(tmp_path: Path) -> None:
    PacketWriter(tmp_path / "p.pcap", OFFSET_NS).close()
    assert len(read_hops(tmp_path / "p.pcap")) == 0


@pytest.mark.parametrize("content", [b"", b"\0" * 24, b"\xd4\xc3\xb2\xa1" + b"\0" * 200])
def test_another_file_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.pcap").write_bytes(content)
    with pytest.raises(BadInput, match=r"p\.pcap"):
        read_hops(tmp_path / "p.pcap")


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_hops(tmp_path / "p.pcap")


def test_a_batch_the_disk_refuses_is_lost_whole_and_the_next_one_is_not(tmp_path: Path) -> None:
    hops = some_hops(30)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(hops[:10])
        resource.setrlimit(resource.RLIMIT_FSIZE, (24 + 144 * 15 + 50, hard))
        try:
            writer.write(hops[10:20])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(read_hops(tmp_path / "p.pcap")) == 10
        assert torn_bytes(tmp_path / "p.pcap") == 0
        writer.write(hops[20:])
    assert (writer.counters.written, writer.counters.lost) == (20, 10)
    assert "10 packet-hops lost" in writer.counters.sentence()
    assert read_hops(tmp_path / "p.pcap")["packet"].tolist() == [*range(10), *range(20, 30)]


def test_scapy_shows_hop_and_header(tmp_path: Path) -> None:
    from testbed.store import dissect

    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(some_hops(2))
    packets = dissect.read(tmp_path / "p.pcap")
    assert len(packets) == 2
    first = packets[0]
    assert isinstance(first, dissect.PacketHop)
    assert (first.due_ns, first.actual_ns, first.link) == (10_005_000_000, 10_005_000_700, 40)
    assert (first.fate, first.modcod, first.lateness_ns) == (FORWARDED, -1, 700)
    assert (first.src, first.dst, first.kind, first.sent_ns, first.fragments) == (3, 9, wire.TASK, -5, 4)
    assert packets[1][dissect.WireHeader].number == 1
    assert int(first.time * 1_000_000_000) == 10_005_000_700 + OFFSET_NS
    assert "task 3>9" in first.summary()
    assert not first.haslayer("Raw")  # a capture holds no payload, and shows none


def test_scapy_builds_back_the_bytes_it_read(tmp_path: Path) -> None:
    from testbed.store import dissect

    hops = some_hops(1)
    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(hops)
    assert bytes(dissect.read(tmp_path / "p.pcap")[0]) == hops.tobytes()


def ip_hops() -> np.ndarray:
    """Two packets of programs behind a node's interface and one that a node sent."""
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.inet6 import IPv6

    long = IP(src="10.64.0.1", dst="10.64.0.2", ttl=64, tos=0x80) / TCP(sport=5001, dport=80) / bytes(1000)
    short = IPv6(src="fd6a:1e0:0:1::1", dst="fd6a:1e0:0:1::2")
    hops = some_hops(4)
    for row, packet in ((0, long), (1, short), (2, IP(src="10.64.0.1", dst="10.64.0.2") / ICMP())):
        hops["header"][row] = bytes(packet)[:48].ljust(48, b"\0")
    hops["credit_ns"] = -7
    hops["traffic_class"] = 2
    hops["marks"] = [0, 1, 2, 3]
    hops["ttl"] = 61
    return hops


def test_ip_packets_are_told_from_those_of_nodes() -> None:
    hops = ip_hops()
    assert ip_versions(hops).tolist() == [4, 6, 4, 0]
    assert ip_versions(hops[:0]).tolist() == []


def test_scapy_shows_ip_packets_as_what_they_are(tmp_path: Path) -> None:
    from scapy.layers.inet import ICMP, IP, TCP
    from scapy.layers.inet6 import IPv6

    from testbed.store import dissect

    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(ip_hops())
    long, short, ping, sent = dissect.read(tmp_path / "p.pcap")
    assert (long[IP].src, long[IP].dst, long[TCP].dport) == ("10.64.0.1", "10.64.0.2", 80)
    assert short[IPv6].dst == "fd6a:1e0:0:1::2"
    assert ping[ICMP].type == 8  # echo request
    assert not any(packet.haslayer(dissect.WireHeader) for packet in (long, short, ping))
    assert sent[dissect.WireHeader].tag == 77
    assert "IP / TCP 10.64.0.1" in long.summary()


def test_scapy_shows_what_stands_behind_the_header(tmp_path: Path) -> None:
    from testbed.store import dissect

    hops = ip_hops()
    with PacketWriter(tmp_path / "p.pcap", OFFSET_NS) as writer:
        writer.write(hops)
    for packet, hop in zip(dissect.read(tmp_path / "p.pcap"), hops, strict=True):
        record = packet[dissect.PacketHop]
        assert (record.credit_ns, record.traffic_class, record.ttl) == (-7, 2, 61)
        assert int(record.marks) == hop["marks"]
        assert bytes(packet) == hop.tobytes()
    assert str(record.marks) == "corrupt+copy"
