"""Captures (pcap, pcapng): round trips seen at one place, or one-way delays between two.

With one capture requests are paired with their responses; with two, the same packets are found in both.
"""

from __future__ import annotations

from array import array
from typing import Final

import numpy as np
from numpy.typing import NDArray

from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.frames import ICMP, ICMPV6, TCP, UDP, Capture, Packet
from testbed.measured.formats.pairing import Flow, Pairs, Segments, label_of
from testbed.measured.formats.source import Source
from testbed.measured.measurement import Array, Measurement

_TOLD: Final = 3
#: bytes of the header of each protocol that another host may change on the way: ports, identifiers, checksums
_KEPT: Final = {
    ICMP: (slice(0, 2), slice(6, None)), ICMPV6: (slice(0, 2), slice(6, None)),
    UDP: (slice(4, 6), slice(8, None)), TCP: (slice(4, 16), slice(20, None)),
}  # fmt: skip
#: of the packets of a capture, so many found in the other mean that nothing was rewritten
_ENOUGH: Final = 0.01
#: an odd number that spreads turns over all hashes: 2^64 over the golden ratio
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def read(source: Source, flow: str = "") -> Measurement:
    """Round trips of one flow: of those whose name contains `flow`, ICMP echo before UDP before TCP.

    Raises `BadInput` when there are no pairs.
    """
    capture, pairs = Capture(source), Pairs()
    for packet in capture:
        pairs.take(packet)
    flows = [one for one in pairs.flows() if flow in one.label]
    chosen, samples = None, (np.empty(0), np.empty(0))
    for chosen in flows:
        samples = chosen.finish(pairs.end_s)
        if np.isfinite(samples[1]).any():
            break
    if chosen is None or not np.isfinite(samples[1]).any():
        what = f"no flow whose name contains {flow!r}" if flow and not flows else "no requests with responses"
        raise BadInput(f"{source.name}: has {what} (ICMP echo, UDP or TCP){_names(pairs.flows())}")
    rows = Rows(source.name, "rtt", distinct=True)
    rows.truncated = capture.truncated
    rows.duplicates = chosen.duplicates
    rows.remarks += _of(chosen, pairs.flows())
    times_s, values = samples
    rows.add(times_s, values, np.isnan(values))
    return rows.measurement(losses_known=chosen.losses_known)


def read_both(near: Source, far: Source, flow: str = "") -> Measurement:
    """One-way delays of packets seen first in the one capture, then in the other.

    Of all pairs of hosts, the one with most packets that went this way. Raises `BadInput` when no packet is
    in both.
    """
    first, second = _Seen(near), _Seen(far)
    name = f"{near.name}+{far.name}"
    pairs = _same(first.whole, second.whole)
    rewritten = len(pairs[0]) < _ENOUGH * min(len(first.at_s), len(second.at_s))
    if rewritten:
        pairs = _same(first.kept, second.kept)
    if not len(pairs[0]):
        raise BadInput(f"{name}: no packet of the one capture is in the other")
    delays_ms = (second.at_s[pairs[1]] - first.at_s[pairs[0]]) * 1e3
    hops = first.ttl[pairs[0]].astype(int) - second.ttl[pairs[1]]
    ways = first.flow[pairs[0]]
    there = [
        (int(np.count_nonzero(ways == way)), way)
        for way in np.unique(ways)
        if flow in first.labels[way] and _leads_there(hops[ways == way], delays_ms[ways == way])
    ]
    if not there:
        wanted = f" whose name contains {flow!r}" if flow else ""
        raise BadInput(f"{name}: no packets{wanted} went from the first place to the second")
    _, way = max(there)
    of_it = ways == way
    sent = np.flatnonzero(first.flow == way)
    values = np.full(len(first.at_s), np.nan)
    values[pairs[0][of_it]] = delays_ms[of_it]
    values, times_s = values[sent], first.at_s[sent]
    longest_s = float(np.nanmax(np.abs(values))) / 1e3
    both = (times_s >= second.at_s.min() - longest_s) & (times_s <= second.at_s.max() - longest_s)
    both |= np.isfinite(values)
    rows = Rows(name, "delay", distinct=True)
    rows.truncated = first.truncated or second.truncated
    rows.remarks.append(f"the packets are those of {first.labels[way]}")
    back = delays_ms[[way not in {one for _, one in there} for way in ways]]
    bound_ms = None
    if len(back) and np.isfinite(values).any():
        # true delays are not below zero: neither clock is off by more than the shortest delay that was seen
        bound_ms = float(max(abs(np.nanmin(values)), abs(np.min(-back))))
        rows.remarks.append(
            f"the clocks of both places differ by up to {bound_ms:.3g} ms, by the shortest delay each way"
        )
    else:
        rows.remarks.append("how far the clocks of both places differ is not known")
    if rewritten:
        rows.remarks.append("addresses were rewritten on the way; packets were found by what they carry")
    rows.add(times_s[both], values[both], np.isnan(values[both]))
    return rows.measurement(losses_known=True, clock_bound_ms=bound_ms)


def span_s(source: Source) -> tuple[float, float]:
    """POSIX seconds of the first and last packet. Raises `BadInput` when there is none."""
    first = last = np.nan
    for packet in Capture(source):
        first = packet.at_s if np.isnan(first) else first
        last = packet.at_s
    if np.isnan(first):
        raise BadInput(f"{source.name}: holds no IP packets")
    return first, last


class _Seen:
    """The packets of one capture: when, how far they had come, of which flow, and what identifies them."""

    def __init__(self, source: Source) -> None:
        at_s, ttl, flow = array("d"), array("B"), array("i")
        whole, kept = array("q"), array("q")
        numbers: dict[tuple[int, bytes, bytes, int, int], int] = {}
        self.labels: list[str] = []
        capture = Capture(source)
        for packet in capture:
            key = (packet.protocol, *packet[2:6])
            number = numbers.setdefault(key, len(numbers))
            if number == len(self.labels):
                self.labels.append(label_of(packet))
            at_s.append(packet.at_s)
            ttl.append(packet.ttl)
            flow.append(number)
            whole.append(hash((packet.protocol, *packet[2:6], packet.number, packet.body)))
            kept.append(_what_is_kept(packet))
        if not at_s:
            raise BadInput(f"{source.name}: holds no IP packets")
        self.at_s: Array = np.array(at_s)
        self.ttl: NDArray[np.uint8] = np.array(ttl, np.uint8)
        self.flow: NDArray[np.int32] = np.array(flow, np.int32)
        self.whole: NDArray[np.int64] = np.array(whole, np.int64)
        self.kept: NDArray[np.int64] = np.array(kept, np.int64)
        self.truncated = capture.truncated


def _what_is_kept(packet: Packet) -> int:
    parts = _KEPT.get(packet.protocol, (slice(None),))
    return hash((packet.protocol, packet.number, *(packet.body[part] for part in parts)))


def _same(first: NDArray[np.int64], second: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the same packets in both; of those that are alike, the first with the first, and so on."""
    orders, keys = [], []
    for hashes in (first, second):
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        turn = np.arange(len(ordered)) - np.repeat(begins, np.diff(np.append(begins, len(ordered))))
        orders.append(order)
        keys.append(ordered.view(np.uint64) + turn.astype(np.uint64) * _GOLDEN)
    _, one, other = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    return orders[0][one], orders[1][other]


def _leads_there(hops: NDArray[np.int64], delays_ms: Array) -> bool:
    """Whether packets went from the first place to the second: hops were used up, or else time went by."""
    if np.any(hops):
        return bool(np.median(hops) > 0)
    return bool(np.median(delays_ms) > 0.0)


def _of(chosen: Flow, flows: list[Flow]) -> list[str]:
    told = [f"the round trips are those of {chosen.label}, as seen where the capture was made"]
    others = [one for one in flows if one is not chosen]
    if others:
        told.append(
            f"there are also{_names(others).removesuffix(')').replace(' (', ' ')} (--columns flow=NAME)"
        )
    if isinstance(chosen, Segments):
        told.append(
            f"segments sent twice were left out: {chosen.repeated}; "
            "what TCP repeats is no loss rate of the path"
        )
    return told


def _names(flows: list[Flow]) -> str:
    if not flows:
        return ""
    rest = f" and {len(flows) - _TOLD} more" if len(flows) > _TOLD else ""
    return f" ({', '.join(one.label for one in flows[:_TOLD])}{rest})"
