"""Folders of runs: round trips of pings and of ICMP echo, one-way delays of flows, losses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP

from emulator.accounting import DELIVERED, HOP_RECORD, RADIO_LOSS
from nodes import wire
from testbed.errors import BadInput
from testbed.measured.formats import open_measurement
from testbed.store.packets import PacketWriter

OFFSET_NS = 1_700_000_000_000_000_000
INTERVAL_NS = 100_000_000
PORTS = {"sensor-1": 1, "edge": 2}
#: of a double that holds POSIX seconds, s
STAMP_RESOLUTION_S = 5e-7


def _hop(came_ns: int, header: bytes, delay_ms: float, number: int, fate: int = DELIVERED) -> np.ndarray:
    hop = np.zeros(1, HOP_RECORD)
    hop["ingress_ns"] = hop["in_ns"] = came_ns
    hop["due_ns"] = hop["actual_ns"] = came_ns + round(delay_ms * 1e6)
    hop["packet"], hop["port"], hop["fate"] = number, 1, fate
    hop["header"] = np.frombuffer(header[:48].ljust(48, b"\0"), "V48")
    return hop


def _of_node(kind: int, src: int, dst: int, number: int) -> bytes:
    return wire.pack(wire.Header(kind, src=src, dst=dst, number=number, sent_ns=0, tag=0))


def _run(folder: Path, hops: Iterable[np.ndarray]) -> Path:
    info = {"epoch_offset_ns": OFFSET_NS, "ports": PORTS}
    (folder / "run.json").write_text(json.dumps(info))
    with PacketWriter(folder / "packets.pcap", OFFSET_NS) as writer:
        writer.write(np.concatenate([*hops, np.empty(0, HOP_RECORD)]))
    return folder


def _data(lost: int = 5, count: int = 10, dst: int = 2) -> list[np.ndarray]:
    return [
        _hop(
            n * INTERVAL_NS,
            _of_node(wire.DATA, 1, dst, n),
            12.5 + n,
            n,
            RADIO_LOSS if n == lost else DELIVERED,
        )
        for n in range(count)
    ]


def test_one_way_delays_are_those_from_coming_in_to_being_handed_over(tmp_path: Path) -> None:
    read = open_measurement(_run(tmp_path, _data()))
    expected = 12.5 + np.arange(10)
    expected[5] = np.nan
    assert read.quantity == "delay"
    assert read.losses_known
    assert read.values == pytest.approx(expected, nan_ok=True)
    assert read.times_s == pytest.approx(1.7e9 + 0.1 * np.arange(10), abs=STAMP_RESOLUTION_S)


def test_pings_are_paired_with_their_answers_though_some_are_lost(tmp_path: Path) -> None:
    hops = []
    for n in range(10):
        came_ns = n * INTERVAL_NS
        there = RADIO_LOSS if n == 3 else DELIVERED
        hops.append(_hop(came_ns, _of_node(wire.PING, 1, 2, n), 20.0, n, there))
        if n != 3:
            back = RADIO_LOSS if n == 6 else DELIVERED
            answered_ns = came_ns + 20_000_000
            hops.append(_hop(answered_ns, _of_node(wire.PONG, 2, 1, n), 10.0 + n, n, back))
    read = open_measurement(_run(tmp_path, [*hops, *_data(count=3)]))
    expected = 30.0 + np.arange(10)
    expected[[3, 6]] = np.nan
    assert read.quantity == "rtt"
    assert read.values == pytest.approx(expected, nan_ok=True)


def test_icmp_echo_of_programs_is_paired(tmp_path: Path) -> None:
    hops = []
    for n in range(10):
        request = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=8, id=9, seq=n))
        answer = bytes(IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=0, id=9, seq=n))
        hops.append(_hop(n * INTERVAL_NS, request, 15.0, n))
        if n != 4:
            hops.append(_hop(n * INTERVAL_NS + 15_000_000, answer, 16.0, n))
    read = open_measurement(_run(tmp_path, hops), quantity="rtt")
    assert np.flatnonzero(~read.answered).tolist() == [4]
    assert read.values[read.answered] == pytest.approx(31.0)


def test_a_flow_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = _run(tmp_path, [*_data(), *_data(count=4, dst=1)])
    assert len(open_measurement(path)) == 10
    assert len(open_measurement(path, "flow=sensor-1>sensor-1")) == 4
    with pytest.raises(
        BadInput, match=r"contains 'relay', there are data sensor-1>sensor-1, data sensor-1>edge"
    ):
        open_measurement(path, "flow=relay")


def test_what_a_run_does_not_hold_gets_one_sentence(tmp_path: Path) -> None:
    path = _run(tmp_path, _data())
    with pytest.raises(BadInput, match="has no pings or ICMP echo"):
        open_measurement(path, quantity="rtt")
    with pytest.raises(BadInput, match=r"round trips .rtt. and one-way delays .delay. can be read"):
        open_measurement(path, quantity="rate")
    (path / "packets.pcap").unlink()
    with pytest.raises(BadInput, match=r"packets\.pcap: is missing"):
        open_measurement(path)


def test_answers_belong_to_the_pings_that_reached_first(tmp_path: Path) -> None:
    """The second ping overtakes the first, so that it is answered first."""
    hops = [
        _hop(0, _of_node(wire.PING, 1, 2, 0), 300.0, 0),
        _hop(INTERVAL_NS, _of_node(wire.PING, 1, 2, 1), 20.0, 1),
    ]
    hops.append(_hop(INTERVAL_NS + 20_000_000, _of_node(wire.PONG, 2, 1, 0), 10.0, 0))
    hops.append(_hop(300_000_000, _of_node(wire.PONG, 2, 1, 1), 10.0, 1))
    assert open_measurement(_run(tmp_path, hops)).values == pytest.approx([310.0, 30.0])
