"""The traffic of a what-if: what nodes offer before and after the moment at which actions begin.

Flows that actions leave alone are the same flows throughout, message by message; changed ones end at that
moment and begin anew. Names are those of `testbed.offered`: `FROM>TO WHAT`, and what a user calls a flow is
made of them here: a task of a node is one subject, whatever server takes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from emulator.traffic.arrivals import Periodic
from emulator.traffic.flows import Flow, Follow
from emulator.traffic.sizes import Fixed
from nodes import wire
from testbed.offered import Offered
from testbed.ports import Ports
from testbed.scenario.node_tables import SensorNode
from testbed.twin.public import Public
from testbed.twin.whatif.job import DELAY, TASK
from testbed.twin.whatif.plan import Plan, turns

#: how often a way is named again for further turns in a round
_AGAIN: Final = " #"
_BEFORE: Final = " before"
#: acknowledgements that go as one packet
_TOGETHER: Final = 5
_NAME: Final = re.compile(
    r"(?P<source>[^>]+)>(?P<sink>\S+) (?P<what>\S+)(?P<ack> ack)?(?: via \S+)?(?: #\d+)?$"
)


@dataclass
class Subject:
    """A flow as its user knows it: names of simulated flows by what their ends say of it."""

    name: str
    kind: str
    node: str
    #: whose arrivals are the messages' arrivals
    ends: list[str] = field(default_factory=list)
    #: the legs of its way, on each of which it may be lost
    parts: list[str] = field(default_factory=list)
    #: those of them that are its sender's own
    first: list[str] = field(default_factory=list)
    #: of one packet, or fragment
    packet_bytes: int = 0
    #: fragments of a message that is repeated until it is whole; 0: what is lost is lost
    fragments: int = 0
    #: after which a sender gives up, ms
    timeout_ms: float = 0.0


def joined(before: list[Flow], after: list[Flow], from_s: float, end_s: float | None = None) -> list[Flow]:
    """What nodes offer up to `from_s`, and what they offer then, until `end_s`; s after the start."""
    if from_s <= 0.0 or before is after:
        flows = after
    else:
        first, then = ({flow.name: flow for flow in each} for each in (before, after))
        flows = []
        for name, flow in first.items():
            if then.get(name) == flow:
                flows.append(flow)
            else:
                flows.append(replace(_renamed(flow, _BEFORE), end_s=from_s))
        for name, flow in then.items():
            if first.get(name) != flow:
                flows.append(replace(flow, start_s=from_s, times=_from(flow.times, from_s)))
    return [replace(flow, end_s=end_s) if flow.end_s is None else flow for flow in flows]


def subjects_of(public: Public, flows: Iterable[Flow]) -> dict[str, Subject]:
    """The subjects of flows by name; control traffic has none."""
    found: dict[str, Subject] = {}
    for top in flows:
        if top.name.endswith(_BEFORE):
            continue
        for name in _names(top):
            said = _NAME.match(name)
            if said is None or said["ack"] or said["what"] == "subscription":
                continue
            source, sink, what = said["source"], said["sink"], said["what"]
            if what in ("task", "result"):
                node = source if what == "task" else sink
                subject = found.setdefault(f"{node} task", Subject(f"{node} task", TASK, node))
                table = public.nodes[node]
                assert isinstance(table, SensorNode)
                subject.timeout_ms = table.task_timeout_s * 1e3
                (subject.parts if what == "task" else subject.ends).append(name)
                if name == top.name:
                    subject.fragments = max(subject.fragments, top.packets)
                    subject.first.append(name)
                    subject.packet_bytes = _bytes(top)
                continue
            if what == "pong":
                source, sink, what = sink, source, "ping"
            whole_way = f"{source}>{sink} {what}"
            subject = found.setdefault(whole_way, Subject(whole_way, DELAY, source))
            subject.parts.append(name)
            if name == top.name:
                subject.first.append(name)
            subject.packet_bytes = _bytes(top)
            if said["what"] == "pong" or (what != "ping" and " via " not in name):
                subject.ends.append(name)
    return found


def thinned(flows: Iterable[Flow]) -> list[Flow]:
    """The flows with the acknowledgements of fragments taken together: as many bytes in fewer packets.

    Nothing is told of acknowledgements; what they take of the links they come back by is the same.
    """
    return [
        replace(flow, then=tuple(_follow_thinned(one, flow.packets) for one in flow.then)) for flow in flows
    ]


def _follow_thinned(follow: Follow, packets: int) -> Follow:
    every = min(_TOGETHER, packets)
    if follow.kind == wire.ACK and isinstance(follow.size, Fixed):
        return replace(follow, every=every, size=Fixed(follow.size.length_bytes * every))
    own = 1 if follow.whole else packets
    return replace(follow, then=tuple(_follow_thinned(one, own) for one in follow.then))


def offered_under(public: Public, plan: Plan, seed: int) -> Iterator[Flow]:
    """What nodes offer under a plan; instants follow from the seed."""
    planned = public.with_nodes(plan.nodes(public))
    port_of = {port: name for name, port in Ports(planned).of.items()}
    grouped: dict[str, list[Flow]] = {}
    for flow in Offered(planned, seed).flows():
        node = port_of[flow.port]
        if node in plan.shares and _what(flow.name) == "task":
            grouped.setdefault(node, []).append(flow)
        else:
            yield flow
    for node, flows in grouped.items():
        yield from _shared_out(flows, plan.shares[node], planned.nodes[node])


def _shared_out(flows: list[Flow], shares: dict[str, int], table: object) -> Iterator[Flow]:
    """The tasks of a node in other shares: one flow for every turn that a server has in a round."""
    assert isinstance(table, SensorNode)
    by_server = {_target(flow.name): flow for flow in flows}
    phase_s = min(flow.times.phase_s for flow in flows if isinstance(flow.times, Periodic))
    order = turns(shares)
    had: dict[str, int] = {}
    for turn, server in enumerate(order):
        number = had[server] = had.get(server, 0) + 1
        times = Periodic(len(order) * table.task_interval_s, phase_s + turn * table.task_interval_s)
        flow = replace(by_server[server], times=times)
        yield flow if number == 1 else _renamed(flow, f"{_AGAIN}{number}")


def _what(name: str) -> str:
    said = _NAME.match(name)
    return said["what"] if said is not None else ""


def _target(name: str) -> str:
    said = _NAME.match(name)
    return said["sink"] if said is not None else ""


def _bytes(flow: Flow) -> int:
    return flow.size.length_bytes if isinstance(flow.size, Fixed) else 0


def _names(flow: Flow | Follow) -> Iterator[str]:
    yield flow.name
    for one in flow.then:
        yield from _names(one)


def _renamed(flow: Flow, suffix: str) -> Flow:
    return replace(
        flow, name=flow.name + suffix, then=tuple(_follow_renamed(one, suffix) for one in flow.then)
    )


def _follow_renamed(follow: Follow, suffix: str) -> Follow:
    then = tuple(_follow_renamed(one, suffix) for one in follow.then)
    return replace(follow, name=follow.name + suffix, then=then)


def _from(times: object, from_s: float) -> Periodic:
    """The same instants, counted from `from_s` on."""
    assert isinstance(times, Periodic)
    return replace(times, phase_s=(times.phase_s - from_s) % times.interval_s)
