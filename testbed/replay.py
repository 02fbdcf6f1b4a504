"""Running again from the recorded arrivals: the same packets through the same link tables, in virtual time.

A run's packet file says when each packet came in, and `link_table.bin` which tables were in force. The
same compiled network then must give every packet the fate and the due times it had; where it does not,
the replay says so. Not replayed: what nodes would have done otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from emulator.accounting import DELIVERED, FATE_NAMES, PEER_FULL, PEER_GONE
from emulator.crossing import COPY_SHIFT
from emulator.epochs import read_tables
from emulator.inet.addresses import HOST, PLACE, destination
from emulator.layout import ORIGIN, make_network
from emulator.links.model import ModelSet
from emulator.links.state import COPY
from emulator.simulate import ARRIVAL, simulate
from nodes.wire import CHANNEL_PORT, HEADER_BYTES
from testbed.errors import BadInput
from testbed.plant.process import LEAST_ROWS, SLOTS
from testbed.ports import Ports
from testbed.scenario import load
from testbed.store.packets import read_hops
from testbed.store.runfile import RunFolder

#: a packet's number without what tells copies apart
_NUMBER: Final = np.uint64((1 << COPY_SHIFT) - 1)
_HANDED_OVER: Final = (DELIVERED, PEER_GONE, PEER_FULL)


def replay(run: RunFolder) -> dict[str, Any]:
    """Replay a finished run; what was compared and how much of it agreed.

    BadInput when the run kept no packets or no link tables, or was broken off.
    """
    info = run.run_info()
    for path, switch in ((run.packets_path, " (store.packets = false)"), (run.link_table_path, "")):
        if not path.is_file():
            raise BadInput(f"{path}: is missing, so this run cannot be replayed{switch}")
    hops = np.asarray(read_hops(run.packets_path))
    if not len(hops) or "channel" not in info:
        raise BadInput(f"{run.path}: no packet crossed the network in this run, there is nothing to replay")
    damaged = [name for name in ("channel", "ports", "nodes") if not isinstance(info.get(name), dict)]
    if damaged or not isinstance(info.get("places"), list) or "counters" not in info["channel"]:
        raise BadInput(f"{run.path / 'run.json'}: is damaged ({', '.join(damaged) or 'places, channel'})")
    if info["channel"].get("final") is False:
        raise BadInput(f"{run.path}: the channel of this run was broken off: it cannot be replayed exactly")
    counters = info["channel"]["counters"]
    if counters["log_overflow"] or counters["fates"].get("no_buffer"):
        raise BadInput(
            f"{run.path}: {counters['log_overflow']} packet-hops were not recorded and "
            f"{counters['fates'].get('no_buffer', 0)} packets found no buffer: it cannot be replayed exactly"
        )
    arrivals = _arrivals(hops)
    unseen = counters["ingress"] - counters["fates"].get("malformed", 0) - len(arrivals)
    lost_tables = info["channel"].get("epochs", {}).get("unrecorded", 0)
    if unseen or lost_tables:
        # A packet is recorded when its first hop ends; one that was still on it has no record.
        raise BadInput(
            f"{run.path}: {unseen} packets had not completed a hop at the end or were not recorded, "
            f"and {lost_tables} link tables were not recorded: it cannot be replayed exactly"
        )
    scenario = load(run.path / "scenario.json")
    hosts = list(scenario.places)
    world_hosts = _host_places(info, scenario)
    net = make_network(
        len(info["places"]),
        len(hosts),
        Ports(scenario).capacity,
        links=info["channel"].get("link_rows", LEAST_ROWS),
        log=min(max(65_536, 2 * len(hops)), 1 << 21),
        slots=SLOTS,
        models=ModelSet(scenario.world_spec().models),
    )
    net.state[ORIGIN] = info["t0_ns"]
    ip_from = Ports(scenario).ip_from
    for node, port in info["ports"].items():
        place = info["nodes"][node]["place"]
        for one in (port, ip_from + port):
            net.port_place[one] = world_hosts[place]
            net.port_host[one] = hosts.index(place)
    _lead_ip(arrivals, hops, ip_from, net.port_place)
    end_ns = int(hops["due_ns"].max())
    again = simulate(net, arrivals, read_tables(run.link_table_path), end_ns)
    return _compare(hops, again.hops)


def _host_places(info: dict[str, Any], scenario: Any) -> dict[str, int]:
    index = {name: number for number, name in enumerate(info["places"])}
    return {
        place: index[table.satellite] if table.kind == "satellite" else index[place]
        for place, table in scenario.places.items()
    }


def _first_hops(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The first record of each packet that entered, in the order in which they did."""
    # A packet dropped on its second hop or later has records of each; hop 0 stands once for each packet.
    first = hops[(hops["hop"] == 0) & (hops["marks"] & COPY == 0)]
    ordered: np.ndarray[Any, Any] = first[np.lexsort((first["packet"], first["port"], first["ingress_ns"]))]
    return ordered


def _arrivals(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The packets as they entered, one per (port, number); of those of IP it is not said where to."""
    first = _first_hops(hops)
    arrivals = np.zeros(len(first), ARRIVAL)
    arrivals["time_ns"] = first["ingress_ns"]
    arrivals["port"] = first["port"]
    arrivals["length"] = first["size"]
    words = np.ascontiguousarray(first["header"]).view("<i8").reshape(-1, 6)
    arrivals["header"] = words
    arrivals["traffic_class"] = first["traffic_class"]
    arrivals["ttl"] = first["ttl"]
    arrivals["credit_ns"] = _credits_ns(hops, first)
    via = (words[:, 1] >> 32) & 0xFFFFFFFF
    arrivals["target"] = np.where(via != 0, via, words[:, 1] & 0xFFFFFFFF)
    return arrivals


def _lead_ip(
    arrivals: np.ndarray[Any, Any],
    hops: np.ndarray[Any, Any],
    ip_from: int,
    port_place: np.ndarray[Any, Any],
) -> None:
    """Say of IP packets where they enter and where they go to; ports from `ip_from` on are theirs."""
    # The channel's own packets are what places answer to IP, and enter there.
    ip = (arrivals["port"] >= ip_from) | (arrivals["port"] == CHANNEL_PORT)
    arrivals["at"][ip] = _first_hops(hops)["from_place"][ip] + 1
    arrivals["target"][ip] = ip_targets(arrivals[ip], ip_from, port_place)


def ip_targets(
    arrivals: np.ndarray[Any, Any], ip_from: int, port_place: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The ports that IP packets are sent towards; CHANNEL_PORT, which is nowhere: there is none.

    A packet for a place goes towards a port that stands there, its sender's own rather than another.
    """
    octets = np.ascontiguousarray(arrivals["header"]).view(np.uint8).reshape(-1, HEADER_BYTES)
    at_place: dict[int, int] = {}
    for port in range(len(port_place) - 1, ip_from - 1, -1):
        at_place[int(port_place[port])] = port
    targets = np.full(len(arrivals), CHANNEL_PORT, np.int64)
    for index, (packet, own) in enumerate(zip(octets, arrivals["port"].tolist(), strict=True)):
        kind, number = destination(packet, 0)
        if kind == HOST and ip_from + number < len(port_place):
            targets[index] = ip_from + number
        elif kind == PLACE:
            targets[index] = own if port_place[own] == number else at_place.get(number, CHANNEL_PORT)
    return targets


def _credits_ns(hops: np.ndarray[Any, Any], first: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What was taken off each packet's delay on all of its hops together, ns.

    A duplicate has what its original had left when it was made; either may have come further than the other.
    """
    number = hops["packet"] & _NUMBER
    code = hops["port"].astype(np.uint64) << np.uint64(COPY_SHIFT) | number
    wanted = first["port"].astype(np.uint64) << np.uint64(COPY_SHIFT) | first["packet"]
    known, place = np.unique(code, return_inverse=True)
    credit_ns = hops["credit_ns"].astype(np.int64)
    original = hops["marks"] & COPY == 0
    sums = np.bincount(place, weights=np.where(original, credit_ns, 0), minlength=len(known)).astype(np.int64)
    copied = np.isin(place, place[~original & (credit_ns > 0)])
    ways: dict[int, dict[int, list[tuple[int, int]]]] = {}
    for index in np.flatnonzero(copied).tolist():
        way = ways.setdefault(int(place[index]), {}).setdefault(int(hops["packet"][index]), [])
        way.append((int(hops["hop"][index]), int(credit_ns[index])))
    for packet, of in ways.items():
        trunk = of.get(int(known[packet] & _NUMBER), [])
        for way in of.values():
            made_at = min(hop for hop, _ in way)
            total = sum(credit for _, credit in way) + sum(credit for hop, credit in trunk if hop < made_at)
            # The trunk itself begins at its first hop, so nothing counts twice.
            sums[packet] = max(sums[packet], total)
    credits: np.ndarray[Any, Any] = sums[np.searchsorted(known, wanted)]
    return credits


def _compare(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> dict[str, Any]:
    def keyed(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return hops[np.lexsort((hops["hop"], hops["packet"], hops["port"]))]

    a, b = keyed(before), keyed(after)
    same_records = len(a) == len(b) and all(
        np.array_equal(a[name], b[name]) for name in ("port", "packet", "hop")
    )
    result: dict[str, Any] = {
        "packet_hops": len(before),
        "packet_hops_replayed": len(after),
        "same_records": bool(same_records),
        "different_fates": None,
        "different_due_times": None,
        "fates": {FATE_NAMES[fate]: int((after["fate"] == fate).sum()) for fate in range(len(FATE_NAMES))},
    }
    if same_records:
        # Whether the destination's process was there to take a packet is not the network's doing.
        fate = np.where(np.isin(a["fate"], _HANDED_OVER), DELIVERED, a["fate"])
        result["different_fates"] = int((fate != b["fate"]).sum())
        result["different_due_times"] = int((a["due_ns"] != b["due_ns"]).sum())
    result["same"] = bool(
        same_records and result["different_fates"] == 0 and result["different_due_times"] == 0
    )
    return result


def replay_run(path: Path, json_file: Path | None = None) -> int:
    """Replay the run at `path` and print what came of it; 0 when it was the same, else 1."""
    run = RunFolder.open(path)
    result = replay(run)
    if json_file is not None:
        try:
            json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--json {json_file}: cannot be written ({error.strerror})") from None
    print(f"{run.id}: {result['packet_hops']} packet-hops, replayed in virtual time")
    if result["same"]:
        print("every packet met the same fate at the same time")
        return 0
    if not result["same_records"]:
        print(f"the replay has {result['packet_hops_replayed']} packet-hops, and not the same ones")
    else:
        print(f"{result['different_fates']} fates and {result['different_due_times']} due times differ")
    return 1
