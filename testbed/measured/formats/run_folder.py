"""The folder of a run of the testbed: round trips of pings, or one-way delays of a flow, from its packets.

Both ends are seen by one clock. What is measured is what the packets met in the network, from where they
came in to where they were handed over; the times of nodes and programs are not part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.accounting import DELIVERED, FORWARDED
from emulator.links.state import COPY
from nodes import wire
from testbed.errors import BadInput
from testbed.measured.formats.assembling import Rows
from testbed.measured.formats.frames import parse
from testbed.measured.formats.pairing import Pairs
from testbed.measured.measurement import Array, Measurement, Quantity
from testbed.store.packets import headers, ip_versions, read_hops, torn_bytes
from testbed.store.runfile import RunFolder

_RAW_IP: Final = 101
_TOLD: Final = 3
_Hops = np.ndarray[Any, Any]


def recognises(path: Path) -> bool:
    """Whether it is the folder of a run."""
    return path.is_dir() and (path / "run.json").is_file()


def read(path: Path, name: str, flow: str, quantity: Quantity | None) -> Measurement:
    """Round trips where there are pings, else one-way delays, of the busiest flow whose name contains `flow`.

    Raises `BadInput` when the run kept no packets, or none of what is asked for.
    """
    if quantity == "rate":
        raise BadInput(f"{name}: of a run round trips (rtt) and one-way delays (delay) can be read")
    run = RunFolder.open(path)
    offset_ns, info = run.epoch_offset_ns(), run.run_info()
    if not run.packets_path.is_file():
        raise BadInput(f"{run.packets_path}: is missing (store.packets = false)")
    hops = np.asarray(read_hops(run.packets_path))
    hops = hops[hops["marks"] & COPY == 0]
    ends = _Ends(hops, {port: node for node, port in info.get("ports", {}).items()})
    found: dict[str, tuple[Array, Array]] = {}
    if quantity != "delay":
        found = {**_pings(ends), **_echo(hops)}
    if quantity != "rtt" and not any(flow in label for label in found):
        found, quantity = _one_way(ends), "delay"
    named = {label: samples for label, samples in found.items() if flow in label and len(samples[0])}
    if not named:
        what = "one-way delays" if quantity == "delay" else "pings or ICMP echo"
        wanted = f" of a flow whose name contains {flow!r}" if flow else ""
        raise BadInput(f"{name}: has no {what}{wanted}{_names(list(found), ', there are ')}")
    label = max(named, key=lambda one: len(named[one][0]))
    sent_ns, values = named[label]
    rows = Rows(name, quantity or "rtt", distinct=True)
    rows.truncated = torn_bytes(run.packets_path) > 0
    rows.remarks.append(f"the packets are those of {label}")
    others = [one for one in found if one != label]
    if others:
        rows.remarks.append(f"there are also {_names(others)} (--columns flow=NAME)")
    rows.add((sent_ns + offset_ns) / 1e9, values, np.isnan(values))
    return rows.measurement(losses_known=True)


class _Ends:
    """Of each packet [n] the moments at which it came in and was handed over, and between whom it went."""

    def __init__(self, hops: _Hops, nodes: dict[int, str]) -> None:
        nodes_only = hops[ip_versions(hops) == 0]
        done = nodes_only[nodes_only["fate"] != FORWARDED]
        self.header = headers(done)
        self.came_ns: NDArray[np.int64] = done["ingress_ns"]
        #: -1: dropped
        self.left_ns: NDArray[np.int64] = np.where(done["fate"] == DELIVERED, done["actual_ns"], -1)
        self._nodes = nodes

    def flows(self, kind: int) -> dict[tuple[int, int], NDArray[np.int64]]:
        """Indices of the packets of a kind by source and destination, in the order in which they came in."""
        of_kind = np.flatnonzero(self.header["kind"] == kind)
        of_kind = of_kind[np.argsort(self.came_ns[of_kind], kind="stable")]
        ways = self.header["src"][of_kind].astype(np.int64) << 32 | self.header["dst"][of_kind]
        return {
            (int(way) >> 32, int(way) & 0xFFFFFFFF): of_kind[ways == way] for way in np.unique(ways).tolist()
        }

    def label(self, kind: int, way: tuple[int, int]) -> str:
        names = (self._nodes.get(port, str(port)) for port in way)
        return f"{wire.KIND_NAMES.get(kind, str(kind))} {'>'.join(names)}"


def _one_way(ends: _Ends) -> dict[str, tuple[Array, Array]]:
    found = {}
    for kind in wire.KIND_NAMES:
        for way, packets in ends.flows(kind).items():
            came_ns, left_ns = ends.came_ns[packets], ends.left_ns[packets]
            values = np.where(left_ns < 0, np.nan, (left_ns - came_ns) / 1e6)
            found[ends.label(kind, way)] = came_ns.astype(np.float64), values
    return found


def _pings(ends: _Ends) -> dict[str, tuple[Array, Array]]:
    found = {}
    answers = ends.flows(wire.PONG)
    for way, asked in ends.flows(wire.PING).items():
        back = answers.get((way[1], way[0]), np.empty(0, np.int64))
        values = np.full(len(asked), np.nan)
        # a node answers each ping that reaches it at once, so that answers come in the order of arrivals
        reached = np.flatnonzero(ends.left_ns[asked] >= 0)
        reached = reached[np.argsort(ends.left_ns[asked][reached], kind="stable")][: len(back)]
        back_ns = ends.left_ns[back[: len(reached)]]
        came = back_ns >= 0
        values[reached[came]] = (back_ns[came] - ends.came_ns[asked][reached[came]]) / 1e6
        found[ends.label(wire.PING, way)] = ends.came_ns[asked].astype(np.float64), values
    return found


def _echo(hops: _Hops) -> dict[str, tuple[Array, Array]]:
    """ICMP echo of programs behind nodes' interfaces: from the request's coming to the response's leaving."""
    pairs = Pairs()
    of_ip = hops[ip_versions(hops) > 0]
    enters = of_ip[of_ip["hop"] == 0]
    leaves = of_ip[of_ip["fate"] == DELIVERED]
    events = [(int(hop["ingress_ns"]), hop, _REQUEST) for hop in enters]
    events += [(int(hop["actual_ns"]), hop, _RESPONSE) for hop in leaves]
    base_ns = min((at for at, *_ in events), default=0)
    for at_ns, hop, kinds in sorted(events, key=lambda event: event[0]):
        packet = parse((at_ns - base_ns) / 1e9, hop["header"].tobytes(), _RAW_IP)
        if packet is not None and packet.body[:1] in kinds:
            pairs.take(packet)
    found = {}
    for flow in pairs.flows():
        times_s, values = flow.finish(pairs.end_s)
        found[flow.label] = times_s * 1e9 + base_ns, values
    return found


#: types of ICMP and ICMPv6
_REQUEST: Final = (b"\x08", b"\x80")
_RESPONSE: Final = (b"\x00", b"\x81")


def _names(labels: list[str], before: str = "") -> str:
    if not labels:
        return ""
    rest = f" and {len(labels) - _TOLD} more" if len(labels) > _TOLD else ""
    return f"{before}{', '.join(labels[:_TOLD])}{rest}"
