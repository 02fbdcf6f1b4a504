"""Networks, link tables and packets made from a seed, driven step by step and looked at in between.

Five places: 0 and 4 at the ends with ports, 1 to 3 between them, each a way of its own; the tables of a
case use some of the ways, and rows of links that are long gone are used again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from emulator.accounting import (
    BOOK_COPIED,
    BOOK_FATES,
    BOOK_IN,
    BOOK_OUT,
    BOOK_REROUTED,
    DELIVERED,
    FORWARDED,
)
from emulator.epochs import EpochError, LinkUpdates
from emulator.hoplog import drain_log
from emulator.jit import records
from emulator.layout import COPIED, ENTERED, EVENTS, FREE, IN_USE, Network, make_network
from emulator.links.model import (
    CoDel,
    DropTail,
    DutyCycle,
    Exponential,
    Faults,
    Frames,
    Gamma,
    GilbertElliott,
    Independent,
    LinkModel,
    LogNormal,
    ModelSet,
    NoAccess,
    Normal,
    Pareto,
    PureAloha,
    Series,
    SlottedAloha,
    Traces,
    Uniform,
)
from emulator.links.state import CLASSES, COPY, NEVER
from emulator.simulate import ARRIVAL
from tests.emulator.one_by_one import run_arrivals

MS, S = 1_000_000, 1_000_000_000
LEFT, RIGHT = 1, 2
PLACES = 5
#: two of the three ways at a time
ROWS = 8
NAMES = [f"place-{number}" for number in range(PLACES)]
#: all that a case offers has come by then; its tables too
END_NS = 40 * S
#: what is left after that drains, at the latest when slow duty cycles have let all of it pass
DRAINED_NS = END_NS + 100_000 * S


@dataclass
class Case:
    """What is to happen."""

    models: tuple[LinkModel, ...]
    #: (time ns, which ways there are, columns of all links)
    tables: list[tuple[int, tuple[int, ...], dict[str, Any]]]
    arrivals: np.ndarray[Any, Any]
    #: whether links keep their models, and with these their order
    steady: bool
    slots: int = 512


@dataclass
class Outcome:
    """What happened."""

    net: Network
    updates: LinkUpdates
    hops: np.ndarray[Any, Any]
    refused: int
    states: list[str] = field(default_factory=list)


def _model(draw: np.random.Generator, name: str, plain_order: bool) -> LinkModel:
    def pick(*options: Any) -> Any:
        return options[draw.integers(len(options))]

    start_ns = np.cumsum(draw.integers(1, 200 * MS, 5))
    traces = pick(
        Traces(),
        Traces(delay=Series(start_ns, draw.uniform(0, 30 * MS, 5), "linear", int(start_ns[-1]) + MS)),
        Traces(loss=Series(start_ns, draw.uniform(0, 0.5, 5), "steps", int(start_ns[-1]) + MS)),
        Traces(rate=Series(start_ns, draw.uniform(1e5, 1e7, 5), "steps", int(start_ns[-1]) + MS)),
        Traces(deliveries=Series(np.cumsum(draw.integers(1, 9, 20)) * MS, np.full(20, 1504.0), "deliveries")),
    )
    return LinkModel(
        name,
        queue=pick(DropTail(), DropTail(), CoDel(2.0, 20.0)),
        access=pick(
            NoAccess(), NoAccess(), Frames(20.0, 5.0, pick(0.0, 3.0)), SlottedAloha(2.0, 8, 3),
            PureAloha(5.0, 2), DutyCycle(0.2),
        ),
        loss=pick(Independent(), GilbertElliott(0.1, 0.3, 0.8)),
        jitter=pick(
            Exponential(), Exponential(30.0), Uniform(), Normal(0.3), Gamma(2.0), LogNormal(0.5), Pareto(2.5),
        ),
        faults=pick(Faults(), Faults(0.2, 0.1)),
        traces=traces,
        keep_order=bool(pick(True, True, plain_order)),
        reroute=bool(pick(True, False)),
        overhead_bytes=int(pick(0, 20)),
        overhead_ms=float(pick(0.0, 0.5)),
        mtu_bytes=int(pick(0, 0, 1400)),
    )  # fmt: skip


def case(seed: int) -> Case:
    """A case from a seed, the same every time."""
    draw = np.random.default_rng(seed)
    steady = bool(draw.integers(2))
    models = tuple(_model(draw, f"model-{number}", False) for number in range(int(draw.integers(0, 4))))
    count = int(draw.integers(1, 7))
    times = np.sort(draw.integers(0, END_NS, count))
    times[0] = 0
    first = _columns(draw, len(models))
    tables = []
    for time_ns in np.unique(times).tolist():
        ways = tuple(way for way in (1, 2, 3) if draw.random() < 0.5)[:2]
        columns = _columns(draw, len(models))
        if steady:
            columns["model"] = first["model"]
        # Bounds are a link's own: a queue is not emptied because they fall.
        columns["queue_packets"], columns["queue_bytes"] = first["queue_packets"], first["queue_bytes"]
        tables.append((time_ns, ways, columns))
    packets = int(draw.integers(1, 300))
    arrivals = np.zeros(packets, ARRIVAL)
    near = draw.integers(0, 200 * MS, packets)
    around = draw.choice(times, packets) + near
    arrivals["time_ns"] = np.sort(
        np.where(draw.random(packets) < 0.7, around, draw.integers(0, END_NS, packets))
    )
    to_right = draw.random(packets) < 0.7
    arrivals["port"] = np.where(to_right, LEFT, RIGHT)
    arrivals["target"] = np.where(to_right, RIGHT, LEFT)
    arrivals["length"] = draw.integers(40, 1500, packets)
    arrivals["traffic_class"] = draw.integers(0, CLASSES, packets)
    return Case(models, tables, arrivals, steady, int(draw.choice([512, 512, 16])))


def _columns(draw: np.random.Generator, models: int) -> dict[str, Any]:
    """A value of each column for every directed link there may be, 12 of them."""
    return {
        "kind": np.zeros(12, np.uint8),
        "up": draw.random(12) < 0.8,
        "rate_bps": draw.choice([0.0, 1e4, 1e6, 1e8], 12, p=[0.1, 0.2, 0.4, 0.3]),
        "delay_ns": draw.integers(0, 30 * MS, 12),
        "jitter_ns": draw.choice([0.0, 1e6], 12),
        "loss": draw.choice([0.0, 0.2], 12),
        "frame_error": draw.choice([0.0, 0.05], 12),
        "frame_bits": np.full(12, 4000, np.int32),
        "queue_packets": draw.integers(1, 12, 12).astype(np.int32),
        "queue_bytes": draw.choice([1500, 6000, 10**6], 12),
        "modcod": np.full(12, -1, np.int16),
        "model": draw.integers(0, models + 1, 12).astype(np.int32),
    }


def _table(ways: Sequence[int], columns: dict[str, Any]) -> SimpleNamespace:
    """The link table of some of the ways; packets for an end go by the first."""
    links = [(0, 1), (1, 0), (1, 4), (4, 1), (0, 2), (2, 0), (2, 4), (4, 2), (0, 3), (3, 0), (3, 4), (4, 3)]
    used = [index for index, (a, b) in enumerate(links) if a in ways or b in ways]
    next_hop = np.full((PLACES, 2), -1, np.int32)
    for row, index in enumerate(used):
        a, b = links[index]
        for host, end in ((0, 0), (1, 4)):
            if next_hop[a, host] < 0 and a != end and (b == end or (b in ways and a in (0, 4) and a != end)):
                next_hop[a, host] = row
    ends = np.array([links[index] for index in used], np.int32).reshape(-1, 2)
    return SimpleNamespace(
        src=ends[:, 0],
        dst=ends[:, 1],
        next_hop=next_hop,
        **{name: value[used] for name, value in columns.items()},
    )


def network(one: Case) -> Network:
    """The network of a case before anything has happened."""
    net = make_network(PLACES, 2, 4, links=ROWS, slots=one.slots, log=1 << 14, models=ModelSet(one.models))
    net.port_place[[LEFT, RIGHT]] = 0, 4
    net.port_host[[LEFT, RIGHT]] = 0, 1
    return net


def drive(one: Case, cuts: Sequence[int] = (), look: Any = None, *, drain: bool = False) -> Outcome:
    """Let a case happen, in one step between two tables or further ones ending at `cuts`; `look` at each end.

    `drain`: at the end all links that there are come up, and everything may leave.
    """
    net = network(one)
    updates = LinkUpdates(net, NAMES, 1)
    arrivals = records(one.arrivals)
    index, refused = 0, 0
    plan = [(time_ns, 1, (ways, columns)) for time_ns, ways, columns in one.tables]
    plan += [(cut, 0, None) for cut in cuts if cut < END_NS]
    plan.append((END_NS, 0, None))
    if drain:
        plan.append((END_NS + 1, 1, _opened(one)))
        plan.append((DRAINED_NS, 0, None))
    for time_ns, what, table in sorted(plan, key=lambda entry: entry[:2]):
        # A table is posted a moment before; a step ends at its time and has what is due at it.
        index = int(run_arrivals(net, arrivals, index, time_ns - 1 if what else time_ns, 1 << 40))
        if look is not None:
            look(net, updates)
        if table is not None and not refused:
            retired = len(updates.retired)
            try:
                updates.post(time_ns, _table(*table))
            except EpochError:
                # A run does not go on to other links then.
                refused += 1
                del updates.retired[retired:]
    return Outcome(net, updates, drain_log(net), refused)


def _opened(one: Case) -> tuple[tuple[int, ...], dict[str, Any]]:
    """The last table again, with every link up and fast."""
    _, ways, columns = one.tables[-1]
    return ways, {**columns, "up": np.ones(12, bool), "rate_bps": np.full(12, 1e8)}


# --- what always holds ---------------------------------------------------------------------------


def _line(net: Network, slot: int, along: str = "next") -> list[int]:
    found = []
    while slot >= 0:
        assert len(found) <= len(net.packets), "a list of packets bites its own tail"
        found.append(int(slot))
        slot = net.packets[slot][along]
    return found


def check(net: Network, updates: LinkUpdates) -> None:
    """Lists, bounds, heap and books of a network, at any moment between two steps."""
    place: dict[int, str] = {}

    def put(slots: list[int], where: str) -> None:
        for slot in slots:
            assert slot not in place, f"packet {slot} is in {place.get(slot)} and in {where}"
            place[slot] = where

    put(_line(net, int(net.state[FREE])), "the free list")
    on_links = np.zeros((len(net.links), CLASSES), np.int64)
    for row, link in enumerate(net.links):
        queued: list[int] = []
        for line in range(CLASSES):
            slots = _line(net, link["head"][line])
            assert slots[::-1] == _line(net, link["tail"][line], "prev")
            assert all(net.packets[slot]["traffic_class"] == line for slot in slots)
            queued += slots
        sending = [int(link["tx_slot"])] if link["tx_slot"] >= 0 else []
        flying = _line(net, link["flight_head"])
        assert flying[::-1] == _line(net, link["flight_tail"], "prev")
        for name, slots in (("the queue", queued), ("the transmitter", sending), ("the air", flying)):
            put(slots, f"{name} of link {row}")
        assert link["packets"] == len(queued) + len(sending)
        assert link["bytes"] == sum(int(net.packets[slot]["length"]) for slot in queued + sending)
        assert link["flying"] == len(flying)
        assert 0 <= link["packets"] <= link["max_packets"] or not link["max_packets"]
        assert 0 <= link["bytes"] <= link["max_bytes"] or not link["max_bytes"]
        due = [int(net.packets[slot]["due_ns"]) for slot in flying]
        assert due == sorted(due)
        first = min([int(link["tx_event_ns"]), *due[:1]])
        at = int(link["heap_at"])
        if first == NEVER:
            assert at < 0
        else:
            assert at >= 0, f"link {row} has something to do at {first} and is not in the heap"
            assert (int(net.heap_row[at]), int(net.heap_ns[at])) == (row, first)
        for slot in queued + sending + flying:
            on_links[row, net.packets[slot]["traffic_class"]] += 1
    assert len(place) == len(net.packets), "packets are in no list"
    assert net.state[IN_USE] == on_links.sum()
    events = int(net.state[EVENTS])
    assert events == (net.links["heap_at"] >= 0).sum()
    for here in range(1, events):
        above = (here - 1) // 2
        assert (net.heap_ns[above], net.heap_row[above]) < (net.heap_ns[here], net.heap_row[here])
    books = net.books
    balance = (
        books[:, :, BOOK_IN] + books[:, :, BOOK_COPIED] - books[:, :, BOOK_OUT] - books[:, :, BOOK_REROUTED]
    )
    assert np.array_equal(balance - books[:, :, BOOK_FATES:].sum(axis=2), on_links)
    copied = books[:, :, BOOK_COPIED].sum(axis=0) + sum(old.books[:, BOOK_COPIED] for old in updates.retired)
    assert copied.sum() == net.totals[COPIED]
    assert np.array_equal(net.entered + copied, net.fates.sum(axis=1) + on_links.sum(axis=0))
    assert net.entered.sum() == net.totals[ENTERED]
    for old in updates.retired:
        mine = old.books
        left = mine[:, BOOK_IN] + mine[:, BOOK_COPIED] - mine[:, BOOK_OUT] - mine[:, BOOK_REROUTED]
        assert np.array_equal(left, mine[:, BOOK_FATES:].sum(axis=1))


def crossings(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Records of packets that came over a link to its end."""
    return hops[(hops["link"] >= 0) & np.isin(hops["fate"], (FORWARDED, DELIVERED))]


def originals(hops: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Records that are not of duplicates."""
    return hops[hops["marks"] & COPY == 0]


def digest(outcome: Outcome) -> str:
    """Of the record of packet-hops, whatever the order in which it was written, and of all counters."""
    hops = outcome.hops
    order = np.lexsort(
        (hops["fate"], hops["hop"], hops["packet"], hops["port"], hops["due_ns"], hops["in_ns"])
    )
    net = outcome.net
    parts = [hops[order], net.books, net.fates, net.entered, net.totals, net.state[[IN_USE, EVENTS]]]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()
