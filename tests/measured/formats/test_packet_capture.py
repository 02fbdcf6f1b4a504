"""Captures: pairs of ICMP, UDP and TCP, two places of capture, link types, and files that are damaged."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import PcapNgWriter, PcapWriter

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement

START_S = 1_723_489_200
#: a microsecond stamp of each of two packets, ms
STAMP_RESOLUTION_MS = 0.0021
NEAR, FAR = "10.0.0.1", "192.0.2.7"
#: stated, so that scapy asks nobody for it
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
Timed = tuple[float, Any]


def _write(path: Path, packets: Iterable[Timed], linktype: int | None = None, **how: Any) -> Path:
    writer = PcapWriter(str(path), linktype=linktype, nano=how.get("nano", False))
    for at_s, packet in sorted(packets, key=lambda one: one[0]):
        packet.time = START_S + at_s
        writer.write(packet)
    writer.close()
    return path


def _pings(count: int = 20, lost: Iterable[int] = (), ident: int = 7, first: int = 1) -> list[Timed]:
    """A request every 100 ms, the response after 20 ms and a tenth of a ms more with each."""
    packets: list[Timed] = []
    for n in range(count):
        number = (first + n) % 65_536
        echo = {"id": ident, "seq": number}
        packets.append((0.1 * n, LINK / IP(src=NEAR, dst=FAR, id=n + 1) / ICMP(type=8, **echo) / b"payload"))
        if n not in lost:
            back = LINK / IP(src=FAR, dst=NEAR) / ICMP(type=0, **echo) / b"payload"
            packets.append((0.1 * n + 0.02 + 1e-4 * n, back))
    return packets


def test_echo_is_paired_by_its_number(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path / "a.pcap", _pings(lost=[3, 4])))
    expected = 20.0 + 0.1 * np.arange(20)
    expected[[3, 4]] = np.nan
    assert read.quantity == "rtt"
    assert read.losses_known
    assert read.values == pytest.approx(expected, abs=STAMP_RESOLUTION_MS, nan_ok=True)
    assert read.times_s == pytest.approx(START_S + 0.1 * np.arange(20), abs=2e-6)


def test_a_request_that_could_not_be_answered_any_more_is_not_lost(tmp_path: Path) -> None:
    read = open_measurement(_write(tmp_path / "a.pcap", _pings(lost=[19])))
    assert len(read) == 19


def test_numbers_that_wrap_and_packets_seen_twice(tmp_path: Path) -> None:
    packets = _pings(first=65_530)
    read = open_measurement(_write(tmp_path / "a.pcap", [*packets, *packets[:4]]))
    assert read.answered.all()
    assert len(read) == 20
    assert read.found.duplicates == 4


def test_the_longest_flow_is_taken_unless_one_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.pcap", [*_pings(), *_pings(5, ident=99)])
    read = open_measurement(path)
    assert len(read) == 20
    assert any("there are also icmp 10.0.0.1>192.0.2.7 id 99" in remark for remark in read.remarks)
    assert len(open_measurement(path, "flow=id 99")) == 5
    with pytest.raises(BadInput, match="has no flow whose name contains 'id 5'"):
        open_measurement(path, "flow=id 5")


@pytest.mark.parametrize("how", ["ipv6", "vlan", "raw", "nano", "pcapng", "gzip"])
def test_frames_of_all_kinds_are_read(tmp_path: Path, how: str) -> None:
    packets, path = _pings(), tmp_path / "a.pcap"
    if how == "ipv6":
        ends = {"src": "2001:db8::1", "dst": "2001:db8::2"}
        back = {"src": ends["dst"], "dst": ends["src"]}
        packets = []
        for n in range(20):
            packets.append((0.1 * n, LINK / IPv6(**ends) / ICMPv6EchoRequest(id=1, seq=n)))
            packets.append((0.1 * n + 0.02, LINK / IPv6(**back) / ICMPv6EchoReply(id=1, seq=n)))
    if how == "vlan":
        packets = [(at, LINK / Dot1Q(vlan=5) / packet[IP]) for at, packet in packets]
    if how == "raw":
        _write(path, [(at, packet[IP]) for at, packet in packets], linktype=101)
    elif how == "pcapng":
        writer = PcapNgWriter(str(path))
        for at, packet in packets:
            packet.time = START_S + at
            writer.write(packet)
        writer.close()
    else:
        _write(path, packets, nano=how == "nano")
    if how == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    read = open_measurement(path)
    assert len(read) == 20
    assert np.nanmedian(read.values) == pytest.approx(20.0 if how == "ipv6" else 20.95, abs=0.01)


def _datagrams(answer: bytes | None, lost: Iterable[int] = ()) -> list[Timed]:
    packets: list[Timed] = []
    for n in range(20):
        payload = struct.pack("!I", n)
        packets.append((0.1 * n, LINK / IP(src=NEAR, dst=FAR) / UDP(sport=999, dport=7) / payload))
        if n not in lost:
            back = IP(src=FAR, dst=NEAR) / UDP(sport=7, dport=999) / (payload if answer is None else answer)
            packets.append((0.1 * n + 0.03, LINK / back))
    return packets


@pytest.mark.parametrize("answer", [None, b"yes"])
def test_datagrams_are_paired_by_what_comes_back_or_in_turn(tmp_path: Path, answer: bytes | None) -> None:
    read = open_measurement(_write(tmp_path / "a.pcap", _datagrams(answer, lost=[5])))
    assert len(read) == 20
    assert read.losses_known
    assert np.flatnonzero(~read.answered).tolist() == [5]
    assert read.values[read.answered] == pytest.approx(30.0, abs=STAMP_RESOLUTION_MS)


def test_datagrams_of_one_direction_have_no_round_trips(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no requests with responses"):
        open_measurement(_write(tmp_path / "a.pcap", _datagrams(None, lost=range(20))))


def test_segments_are_paired_with_what_acknowledges_them(tmp_path: Path) -> None:
    packets: list[Timed] = []
    near, far = {"src": NEAR, "dst": FAR}, {"src": FAR, "dst": NEAR}
    ports, back = {"sport": 5000, "dport": 80}, {"sport": 80, "dport": 5000}
    start = 2**32 - 1500  # so that numbers wrap
    for n in range(20):
        number = (start + 100 * n) % 2**32
        segment = LINK / IP(**near) / TCP(**ports, flags="A", seq=number, ack=1) / (b"x" * 100)
        packets.append((0.1 * n, segment))
        if n == 6:  # sent again, so that its acknowledgement says nothing
            packets.append((0.1 * n + 0.03, segment.copy()))
        answer = LINK / IP(**far) / TCP(**back, flags="A", seq=1, ack=(number + 100) % 2**32)
        packets.append((0.1 * n + 0.04, answer))
    read = open_measurement(_write(tmp_path / "a.pcap", packets))
    assert not read.losses_known
    assert read.values == pytest.approx(np.full(19, 40.0), abs=STAMP_RESOLUTION_MS)
    assert any("sent twice were left out: 1" in remark for remark in read.remarks)


def _both_ends(folder: Path, offset_s: float = 0.0, rewritten: bool = False) -> tuple[Path, Path]:
    """Pings over a path of 15 ms there and 5 ms back; the far clock is ahead by `offset_s`."""
    near, far = [], []
    for n in range(30):
        echo = {"id": 7, "seq": n}
        request, answer = ICMP(type=8, **echo) / b"payload", ICMP(type=0, **echo) / b"payload"
        seen = "203.0.113.9" if rewritten else NEAR
        there_s = 0.015 + 1e-4 * n
        near.append((0.1 * n, LINK / IP(src=NEAR, dst=FAR, ttl=64, id=n + 1) / request))
        if n == 12:
            continue
        far.append((0.1 * n + there_s + offset_s, LINK / IP(src=seen, dst=FAR, ttl=60, id=n + 1) / request))
        far.append((0.1 * n + there_s + offset_s, LINK / IP(src=FAR, dst=seen, ttl=64, id=n + 1) / answer))
        near.append((0.1 * n + there_s + 0.005, LINK / IP(src=FAR, dst=NEAR, ttl=60, id=n + 1) / answer))
    return _write(folder / "near.pcap", near), _write(folder / "far.pcap", far)


@pytest.mark.parametrize("rewritten", [False, True])
def test_two_captures_give_one_way_delays_and_a_bound_for_the_clocks(tmp_path: Path, rewritten: bool) -> None:
    near, far = _both_ends(tmp_path, rewritten=rewritten)
    read = open_measurement(f"{near}+{far}")
    expected = 15.0 + 0.1 * np.arange(30)
    expected[12] = np.nan
    assert read.quantity == "delay"
    assert read.values == pytest.approx(expected, abs=STAMP_RESOLUTION_MS, nan_ok=True)
    assert read.clock_bound_ms == pytest.approx(15.0, abs=STAMP_RESOLUTION_MS)
    assert any("addresses were rewritten" in remark for remark in read.remarks) == rewritten
    assert open_measurement([near, far]).values == pytest.approx(read.values, nan_ok=True)


def test_the_direction_is_told_by_hops_even_where_a_clock_is_wrong(tmp_path: Path) -> None:
    near, far = _both_ends(tmp_path, offset_s=-0.5)
    read = open_measurement(f"{near}+{far}")
    assert np.nanmin(read.values) == pytest.approx(-485.0, abs=STAMP_RESOLUTION_MS)
    assert read.clock_bound_ms == pytest.approx(505.0, abs=0.01)


def test_captures_of_different_times_are_parts_of_one(tmp_path: Path) -> None:
    first = _write(tmp_path / "a.pcap", _pings())
    second = _write(tmp_path / "b.pcap", [(at + 100.0, packet) for at, packet in _pings()])
    assert len(open_measurement([first, second])) == 40


def test_a_capture_that_breaks_off_is_read_to_there(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.pcap", _pings())
    path.write_bytes(path.read_bytes()[:-10])
    read = open_measurement(path)
    assert read.found.truncated
    assert int(read.answered.sum()) == 19


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xd4\xc3\xb2\xa1" + bytes(6), "is a damaged capture"),
        (b"\x0a\x0d\x0d\x0a" + bytes(60), "is a damaged capture"),
        (
            b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(8) + b"\xff\xff\x00\x00\x01\x00\x00\x00",
            "has no requests",
        ),
    ],
)
def test_a_damaged_or_empty_capture_gets_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.pcap").write_bytes(content)
    with pytest.raises(BadInput, match=sentence):
        open_measurement(tmp_path / "a.pcap")


def test_two_ends_without_a_common_packet_or_that_are_no_captures_get_one_sentence(tmp_path: Path) -> None:
    near, _ = _both_ends(tmp_path)
    other = _write(tmp_path / "other.pcap", _datagrams(None))
    with pytest.raises(BadInput, match="no packet of the one capture is in the other"):
        open_measurement(f"{near}+{other}")
    (tmp_path / "a.csv").write_text("t_s,rtt_ms\n0,1\n")
    with pytest.raises(BadInput, match=r"a\.csv: is no capture; FIRST\+SECOND must both be"):
        open_measurement(f"{near}+{tmp_path / 'a.csv'}")
