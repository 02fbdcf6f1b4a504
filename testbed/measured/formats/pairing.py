"""Requests and their responses among the packets seen at one place: round trips as they were seen there.

Pairs are those of ICMP echo (by number), UDP (by a payload that comes back, else a response to each request
in turn) and TCP (a segment and the first acknowledgement that covers it; segments sent twice are left out,
Karn and Partridge 1987). No file is read here.
"""

from __future__ import annotations

import ipaddress
from array import array
from collections import deque
from typing import Final

import numpy as np

from testbed.measured.formats.frames import ICMP, ICMPV6, TCP, UDP, Packet
from testbed.measured.measurement import Array

_REQUESTS: Final = {ICMP: 8, ICMPV6: 128}
_RESPONSES: Final = {ICMP: 0, ICMPV6: 129}
#: the same packet seen twice, as captures of all interfaces have it
_SEEN_TWICE_S: Final = 1.0
#: and of TCP, which does not repeat so soon
_COPIED_S: Final = 1e-3
#: of requests, so many must have had their response in turn
_IN_TURN: Final = 0.9
#: of packets back, so many must bring a payload that went out
_ECHOED: Final = 0.5
_TURN: Final = 1 << 32
#: segments in flight that are remembered
_IN_FLIGHT: Final = 1 << 16


class Flow:
    """Samples of one flow: when sent (POSIX seconds) and the round trip in ms, nan where no response came."""

    losses_known = True

    def __init__(self, label: str) -> None:
        self.label = label
        self.duplicates = 0
        self._sent, self._values = array("d"), array("d")

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, sent_s: float, value_ms: float) -> None:
        self._sent.append(sent_s)
        self._values.append(value_ms)

    def finish(self, end_s: float) -> tuple[Array, Array]:
        """Samples [n] in the order of sending. What could not be answered before the end is not lost."""
        times_s = np.frombuffer(self._sent) if len(self._sent) else np.empty(0)
        values = np.frombuffer(self._values) if len(self._values) else np.empty(0)
        order = np.argsort(times_s, kind="stable")
        times_s, values = times_s[order], values[order]
        longest_s = float(np.nanmax(values)) / 1e3 if np.isfinite(values).any() else 0.0
        undecided = np.isnan(values) & (times_s > end_s - longest_s)
        return times_s[~undecided], values[~undecided]


class Echo(Flow):
    """ICMP echo of one program: requests by number, which wraps after 65535."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self._waiting: dict[int, float] = {}

    def request(self, number: int, at_s: float) -> None:
        earlier = self._waiting.get(number)
        if earlier is not None and at_s - earlier < _SEEN_TWICE_S:
            self.duplicates += 1
            return
        if earlier is not None:
            self.add(earlier, np.nan)
        self._waiting[number] = at_s

    def response(self, number: int, at_s: float) -> None:
        sent_s = self._waiting.pop(number, None)
        if sent_s is None:
            self.duplicates += 1
        else:
            self.add(sent_s, (at_s - sent_s) * 1e3)

    def finish(self, end_s: float) -> tuple[Array, Array]:
        for sent_s in self._waiting.values():
            self.add(sent_s, np.nan)
        self._waiting = {}
        return super().finish(end_s)


class Datagrams(Flow):
    """UDP between two ports; the first packet says who asks."""

    def __init__(self, label: str, asker: tuple[bytes, int]) -> None:
        super().__init__(label)
        self.asker = asker
        self._seen, self._back, self._payloads = array("d"), array("b"), array("q")

    def __len__(self) -> int:
        return min(self._back.count(1), self._back.count(0)) if self._back else super().__len__()

    def datagram(self, at_s: float, back: bool, payload: bytes) -> None:
        self._seen.append(at_s)
        self._back.append(back)
        self._payloads.append(hash(payload))

    def finish(self, end_s: float) -> tuple[Array, Array]:
        if not self._echoed():
            self._sent, self._values = array("d"), array("d")
            if not self._in_turn():
                self._sent, self._values = array("d"), array("d")
        return super().finish(end_s)

    def _echoed(self) -> bool:
        waiting: dict[int, deque[float]] = {}
        matched = answers = 0
        for at_s, back, payload in zip(self._seen, self._back, self._payloads, strict=True):
            if not back:
                waiting.setdefault(payload, deque()).append(at_s)
                continue
            answers += 1
            of_it = waiting.get(payload)
            if of_it:
                sent_s = of_it.popleft()
                self.add(sent_s, (at_s - sent_s) * 1e3)
                matched += 1
        for left in waiting.values():
            for sent_s in left:
                self.add(sent_s, np.nan)
        return matched > _ECHOED * answers

    def _in_turn(self) -> bool:
        asked_s = np.nan
        requests = matched = 0
        for at_s, back in zip(self._seen, self._back, strict=True):
            if not back:
                if not np.isnan(asked_s):
                    self.add(asked_s, np.nan)
                asked_s = at_s
                requests += 1
            elif not np.isnan(asked_s):
                self.add(asked_s, (at_s - asked_s) * 1e3)
                asked_s = np.nan
                matched += 1
        return matched > _IN_TURN * requests


class Segments(Flow):
    """TCP in one direction: segments that carry data, and what is acknowledged of them."""

    losses_known = False

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self._waiting: deque[tuple[int, float]] = deque(maxlen=_IN_FLIGHT)
        self._next: int | None = None
        self.repeated = 0

    def segment(self, at_s: float, first: int, length: int) -> None:
        end = (first + length) % _TURN
        if self._next is None or 0 < (end - self._next) % _TURN < _TURN // 2:
            self._next = end
            self._waiting.append((end, at_s))
        elif not self._waiting or at_s - self._waiting[-1][1] > _COPIED_S:
            self.repeated += 1
            # whatever is acknowledged next may be the first copy or the second
            self._waiting.clear()

    def acknowledged(self, at_s: float, number: int) -> None:
        newest = None
        while self._waiting and (number - self._waiting[0][0]) % _TURN < _TURN // 2:
            newest = self._waiting.popleft()
        if newest is not None and newest[0] == number:
            self.add(newest[1], (at_s - newest[1]) * 1e3)


class Pairs:
    """Takes the packets of a capture one after the other; `flows` are those with pairs."""

    def __init__(self) -> None:
        self._flows: dict[object, Flow] = {}
        self.end_s = 0.0

    def take(self, packet: Packet) -> None:
        self.end_s = max(self.end_s, packet.at_s)
        if packet.protocol in _REQUESTS and len(packet.body) >= 8:
            self._echo(packet)
        elif packet.protocol == UDP and len(packet.body) >= 8:
            self._udp(packet)
        elif packet.protocol == TCP and len(packet.body) >= 20:
            self._tcp(packet)

    def flows(self) -> list[Flow]:
        """Echo first, then UDP, then TCP; of each kind the longest first."""
        ranks = {Echo: 0, Datagrams: 1, Segments: 2}
        found = [flow for flow in self._flows.values() if len(flow)]
        return sorted(found, key=lambda flow: (ranks[type(flow)], -len(flow)))

    def _echo(self, packet: Packet) -> None:
        kind = packet.body[0]
        name, number = packet.body[4:6], int.from_bytes(packet.body[6:8], "big")
        if kind == _REQUESTS[packet.protocol]:
            ends = packet.source, packet.target
        elif kind == _RESPONSES[packet.protocol]:
            ends = packet.target, packet.source
        else:
            return
        key = (*ends, name)
        flow = self._flows.get(key)
        if not isinstance(flow, Echo):
            if kind == _RESPONSES[packet.protocol]:
                return
            flow = Echo(f"icmp {address(ends[0])}>{address(ends[1])} id {int.from_bytes(name, 'big')}")
            self._flows[key] = flow
        (flow.request if kind == _REQUESTS[packet.protocol] else flow.response)(number, packet.at_s)

    def _udp(self, packet: Packet) -> None:
        ends = (packet.source, packet.source_port), (packet.target, packet.target_port)
        key = UDP, frozenset(ends)
        flow = self._flows.get(key)
        if not isinstance(flow, Datagrams):
            flow = self._flows[key] = Datagrams(label_of(packet), ends[0])
        flow.datagram(packet.at_s, flow.asker != ends[0], packet.body[8:])

    def _tcp(self, packet: Packet) -> None:
        body = packet.body
        flags = body[13]
        data = packet.length - (body[12] >> 4) * 4 + bool(flags & 0x02) + bool(flags & 0x01)
        ends = (packet.source, packet.source_port), (packet.target, packet.target_port)
        if data > 0:
            flow = self._flows.get((TCP, *ends))
            if not isinstance(flow, Segments):
                flow = self._flows[TCP, *ends] = Segments(label_of(packet))
            flow.segment(packet.at_s, int.from_bytes(body[4:8], "big"), data)
        if flags & 0x10:
            back = self._flows.get((TCP, *reversed(ends)))
            if isinstance(back, Segments):
                back.acknowledged(packet.at_s, int.from_bytes(body[8:12], "big"))


def label_of(packet: Packet) -> str:
    """What the packet's flow is called."""
    kind = {ICMP: "icmp", ICMPV6: "icmp", UDP: "udp", TCP: "tcp"}.get(packet.protocol, str(packet.protocol))
    ends = [address(packet.source), address(packet.target)]
    if packet.protocol in (UDP, TCP):
        ends = [f"{ends[0]}:{packet.source_port}", f"{ends[1]}:{packet.target_port}"]
    return f"{kind} {'>'.join(ends)}"


def address(packed: bytes) -> str:
    """An address as text."""
    return str(ipaddress.ip_address(packed))
