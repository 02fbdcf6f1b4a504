"""Impairments together, through the network: the order of a link's steps, and what they do to each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emulator.accounting import BOOK_COPIED, BOOK_REROUTED, DELIVERED, FATE_NAMES
from emulator.epochs import LinkUpdates
from emulator.layout import COPIED, LATE_UPDATES, ORIGIN, Network, make_network
from emulator.links.model import (
    CoDel,
    DutyCycle,
    Faults,
    Frames,
    GilbertElliott,
    LinkModel,
    ModelSet,
    PureAloha,
    Series,
    SlottedAloha,
    Traces,
    Uniform,
)
from emulator.links.random import JITTER, link_key, uniform
from emulator.links.state import COPY, CORRUPT
from emulator.simulate import Simulated, recorded_arrivals, simulate
from emulator.traffic.arrivals import Recorded
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow, FlowSet
from tests.emulator.chain import LEFT, MS, RIGHT, S, arrivals, table

SEED = 1
#: 100 bytes at 1 Mbit/s, and the chain's propagation
SENDING_NS, FLIGHT_NS = 800_000, 5 * MS
#: one in fifty goes before the others: what it takes of the rate, and as much again
HARDLY = 0.1


def network(*models: LinkModel, places: int = 2, **sizes: int) -> Network:
    """A row of places, LEFT at the first and RIGHT at the last; a port more at each place between."""
    net = make_network(places, 2, 8, models=ModelSet(models), **sizes)
    for port, place, host in ((LEFT, 0, 0), (RIGHT, places - 1, 1)):
        net.port_place[port], net.port_host[port] = place, host
    for place in range(1, places - 1):
        net.port_place[RIGHT + place], net.port_host[RIGHT + place] = place, 0
    return net


def posted(models: Any, *tables: tuple[int, Any], places: int = 2) -> list[Any]:
    """Tables as a run with these models would have recorded them."""
    updates = LinkUpdates(
        make_network(places, 2, 8, models=ModelSet(models)), [f"place-{n}" for n in range(places)], SEED
    )
    return [updates.post(time_ns, one) for time_ns, one in tables]


def run(
    model: LinkModel | tuple[LinkModel, ...],
    batch: Any,
    *tables: tuple[int, Any],
    places: int = 2,
    origin_ns: int = 0,
    end_ns: int = 100 * S,
) -> Simulated:
    """Packets through a chain whose links all have the model, unless tables say otherwise."""
    models = model if isinstance(model, tuple) else (model,)
    net = network(*models, places=places)
    net.state[ORIGIN] = origin_ns
    every = tables or ((0, table(places, model=1)),)
    return simulate(net, batch, posted(models, *every, places=places), end_ns)


def star(senders: int, model: Any = 1, **columns: Any) -> SimpleNamespace:
    """Links from places 0, 1, ... to the last place, where RIGHT is."""
    one = table(senders + 1, model=0, **columns)
    first = np.arange(senders, dtype=np.int32)
    next_hop = np.full((senders + 1, 2), -1, np.int32)
    next_hop[:senders, 1] = first
    kept = {
        name: value[:senders] for name, value in vars(one).items() if name not in ("src", "dst", "next_hop")
    }
    kept["model"] = np.broadcast_to(model, senders).copy()
    return SimpleNamespace(src=first, dst=np.full(senders, senders, np.int32), next_hop=next_hop, **kept)


def at_places(times_ns: Any, places: Any, **fields: Any) -> np.ndarray[Any, Any]:
    """Arrivals at the given places, all for RIGHT."""
    made = arrivals(times_ns)
    made["at"] = np.asarray(places) + 1
    for name, value in fields.items():
        made[name] = value
    return made


def delivered(done: Simulated) -> np.ndarray[Any, Any]:
    return done.hops[done.hops["fate"] == DELIVERED]


def fates(done: Simulated) -> dict[str, int]:
    return {FATE_NAMES[fate]: int(count) for fate, count in enumerate(done.fates) if count}


# --- the order of steps --------------------------------------------------------------------------


def test_a_packet_meets_every_step_of_a_link_in_order() -> None:
    """Queue, medium, serialisation with framing, propagation at departure, jitter, duplicate."""
    sends_ns = 960_000 + 250_000
    model = LinkModel(
        "all",
        access=SlottedAloha(2.0),
        jitter=Uniform(),
        faults=Faults(duplicate=1.0, corrupt=1.0),
        traces=Traces(delay=Series(np.array([0, 4 * MS]), np.array([7e6, 9e6]))),
        overhead_bytes=20,
        overhead_ms=0.25,
    )
    jitter_ns = 1e6
    done = run(model, arrivals([MS, MS]), (0, table(2, model=1, jitter_ns=jitter_ns)))
    # As an unsigned word: what a compiled function makes of a large int depends on who called it before.
    key = np.uint64(link_key(SEED, "place-0", "place-1"))
    expected = []
    # The recorded delay is that of the moment at which each leaves: before 4 ms, after 4 ms.
    for number, (slot_ns, flight_ns) in enumerate(((2 * MS, 7 * MS), (4 * MS, 9 * MS))):
        own_ns = int(2.0 * uniform(key, LEFT, number, JITTER) * jitter_ns)
        expected += [slot_ns + sends_ns + flight_ns + own_ns] * 2
    assert np.abs(delivered(done)["due_ns"] - np.array(expected)).max() <= 1
    assert delivered(done)["queue_ns"].tolist() == [MS, MS, 3 * MS, 3 * MS]
    assert (delivered(done)["marks"] & CORRUPT).all()
    assert (delivered(done)["marks"] & COPY).tolist() == [0, COPY, 0, COPY]


def test_a_lost_packet_has_taken_its_time_in_the_transmitter() -> None:
    model = LinkModel("bad", loss=GilbertElliott(1.0, 1.0, 1.0))
    # Good at first, so the first is lost, the second not, and so on.
    done = run(model, arrivals([MS] * 4))
    assert fates(done) == {"delivered": 2, "radio_loss": 2}
    assert delivered(done)["due_ns"].tolist() == [MS + n * SENDING_NS + FLIGHT_NS for n in (2, 4)]


def test_a_packet_that_is_too_long_is_none_of_the_queue() -> None:
    batch = arrivals([MS] * 3, size=np.array([100, 1500, 100]))
    done = run(LinkModel("short", mtu_bytes=1000), batch, (0, table(2, model=1, queue_packets=2)))
    assert fates(done) == {"delivered": 2, "too_long": 1}


def test_overhead_takes_time_and_counts_in_no_bound() -> None:
    done = run(
        LinkModel("framed", overhead_bytes=100), arrivals([MS] * 2), (0, table(2, model=1, queue_bytes=200))
    )
    assert delivered(done)["due_ns"].tolist() == [MS + n * 2 * SENDING_NS + FLIGHT_NS for n in (1, 2)]


# --- credit ---------------------------------------------------------------------------------------


def test_credit_is_taken_off_the_first_flights_until_it_is_used_up() -> None:
    batch = arrivals([MS])
    batch["credit_ns"] = 7 * MS
    done = run(LinkModel("any"), batch, places=4)
    assert done.hops["credit_ns"].tolist() == [5 * MS, 2 * MS, 0]
    assert delivered(done)["due_ns"][0] == MS + 3 * SENDING_NS + 3 * FLIGHT_NS - 7 * MS


def test_credit_is_recorded_once_for_a_packet_without_a_further_way() -> None:
    cut = table(3, model=1)
    cut.next_hop[1, 1] = -1
    batch = arrivals([MS])
    batch["credit_ns"] = MS
    done = run(LinkModel("any"), batch, (0, cut), places=3)
    assert fates(done) == {"no_route": 1}
    assert done.hops["credit_ns"].tolist() == [MS, 0]


def test_credit_lets_no_packet_overtake() -> None:
    batch = arrivals([MS, MS])
    batch["credit_ns"] = [0, 4 * MS]
    due_ns = delivered(run(LinkModel("any"), batch))["due_ns"]
    assert due_ns.tolist() == [MS + SENDING_NS + FLIGHT_NS] * 2


# --- medium access on a shared medium --------------------------------------------------------------


@pytest.mark.parametrize("access", [SlottedAloha(1.0), PureAloha(10.0), DutyCycle(0.5)], ids=lambda a: a.kind)
def test_links_of_one_contended_model_to_one_place_collide(access: Any) -> None:
    model = LinkModel("shared", access=access)
    net = network(model, places=4)
    done = simulate(net, at_places([MS, MS, 20 * MS], [0, 1, 2]), posted([model], (0, star(3)), places=4), S)
    assert fates(done) == {"delivered": 1, "collision": 2}


def test_links_to_other_places_or_of_other_models_do_not_collide() -> None:
    models = LinkModel("one", access=PureAloha(10.0)), LinkModel("two", access=PureAloha(10.0))
    batch = at_places([MS, MS], [0, 1])
    done = simulate(network(*models, places=3), batch, posted(models, (0, star(2, [1, 2])), places=3), S)
    assert fates(done) == {"delivered": 2}
    both_ways = np.concatenate((arrivals([MS]), arrivals([MS], port=RIGHT, target=LEFT)))
    assert fates(run(models[0], both_ways)) == {"delivered": 2}


def test_frames_keep_links_of_one_model_apart() -> None:
    model = LinkModel("granted", access=Frames(5.0))
    done = simulate(
        network(model, places=3), at_places([MS, MS], [0, 1]), posted([model], (0, star(2)), places=3), S
    )
    assert delivered(done)["due_ns"].tolist() == [5 * MS + SENDING_NS + FLIGHT_NS] * 2


def test_collided_packets_are_sent_again_until_all_are_through() -> None:
    model = LinkModel("retry", access=SlottedAloha(1.0, window_slots=4, attempts=20))
    net = network(model, places=5)
    done = simulate(net, at_places([MS] * 4, range(4)), posted([model], (0, star(4)), places=5), 100 * S)
    assert fates(done) == {"delivered": 4}
    ends_ns = np.sort(delivered(done)["due_ns"] - FLIGHT_NS)
    # At most one in a slot of those that got through, and the waiting counts as such.
    assert np.all(np.diff(ends_ns) >= MS)
    assert np.array_equal(
        delivered(done)["queue_ns"] + MS + SENDING_NS + FLIGHT_NS, delivered(done)["due_ns"]
    )


def test_back_off_ends_with_a_slot_of_the_run() -> None:
    origin_ns = 10 * S + 123
    model = LinkModel("retry", access=SlottedAloha(1.0, window_slots=4, attempts=20))
    net = network(model, places=3)
    net.state[ORIGIN] = origin_ns
    batch = at_places([origin_ns + MS] * 2, [0, 1])
    done = simulate(net, batch, posted([model], (0, star(2)), places=3), origin_ns + 10 * S)
    began_ns = delivered(done)["in_ns"] + delivered(done)["queue_ns"] - origin_ns
    assert len(began_ns) == 2
    assert np.all(began_ns % MS == 0)
    assert np.all(began_ns < 10 * S)


def test_a_rate_that_falls_on_the_air_makes_packets_collide_that_would_not_have() -> None:
    model = LinkModel("pure", access=PureAloha(10.0))
    batch = at_places([MS, 2 * MS], [0, 1])
    slow = star(2, rate_bps=1e6)
    slow.rate_bps = np.array([1e5, 1e6])
    apart = posted([model], (0, star(2)), places=3)
    assert fates(simulate(network(model, places=3), batch, apart, S)) == {"delivered": 2}
    falls = posted([model], (0, star(2)), (1_500_000, slow), places=3)
    assert fates(simulate(network(model, places=3), batch, falls, S)) == {"collision": 2}


def test_a_link_that_comes_back_begins_with_all_its_attempts() -> None:
    """The one that was in back-off is gone with the link; the next has not used up its attempts."""
    model = LinkModel("retry", access=PureAloha(50.0, attempts=2))
    net = network(model, places=3)
    gone = star(2)
    gone.up = np.array([False, True])
    batch = at_places([MS, MS, 10 * S, 10 * S, 20 * S], [0, 1, 0, 1, 0])
    tables = posted([model], (0, star(2)), (1_900_000, gone), (5 * S, star(2)), places=3)
    done = simulate(net, batch, tables, 30 * S)
    assert fates(done)["link_down"] == 1
    assert fates(done)["delivered"] + fates(done).get("collision", 0) == 4
    assert fates(done).get("collision", 0) != 1
    assert not net.links["attempt"].any()


def test_silence_after_a_packet_ends_with_its_row() -> None:
    """A row given to another link owes no silence for the one before."""
    model = LinkModel("quiet", access=DutyCycle(1e-5))
    net = network(model, places=3, links=1)
    first, second = star(2), star(2)
    for one, kept in ((first, 0), (second, 1)):
        for name, value in vars(one).items():
            if name != "next_hop":
                setattr(one, name, value[kept : kept + 1])
        one.next_hop = np.where(np.arange(3)[:, None] == kept, [[-1, 0]], -1).astype(np.int32)
    empty = SimpleNamespace(
        **{**vars(first), **{n: v[:0] for n, v in vars(first).items() if n != "next_hop"}}
    )
    empty.next_hop = np.full((3, 2), -1, np.int32)
    updates = LinkUpdates(make_network(3, 2, 8, links=1, models=ModelSet([model])), ["a", "b", "c"], SEED)
    tables = [updates.post(t, one) for t, one in ((0, first), (10 * MS, empty), (8 * S, second))]
    done = simulate(net, at_places([MS, 9 * S], [0, 1]), tables, 100 * S)
    # 0.8 ms of airtime at a share of 1e-5 would have meant silence of 80 s.
    assert delivered(done)["due_ns"].tolist() == [t + SENDING_NS + FLIGHT_NS for t in (MS, 9 * S)]
    assert len(updates.retired) == 1


# --- queues ---------------------------------------------------------------------------------------


def classes(times_ns: Any, of: Any, size: Any = 100) -> np.ndarray[Any, Any]:
    made = arrivals(times_ns, size=size)
    made["traffic_class"] = of
    return made


def test_a_packet_pushes_out_the_newest_of_the_lowest_class() -> None:
    done = run(LinkModel("any"), classes([MS] * 5, [0, 1, 0, 0, 3]), (0, table(2, model=1, queue_packets=4)))
    assert fates(done) == {"delivered": 4, "queue_full": 1}
    # The one in the transmitter stays; then the highest class first.
    assert delivered(done)["packet"].tolist() == [0, 4, 1, 2]


def test_as_many_are_pushed_out_as_a_long_packet_needs() -> None:
    batch = classes([MS] * 5, [0, 0, 0, 0, 1], [100, 100, 100, 100, 200])
    done = run(LinkModel("any"), batch, (0, table(2, model=1, queue_bytes=400)))
    assert delivered(done)["packet"].tolist() == [0, 4, 1]


@pytest.mark.parametrize("size", [350, 1000])
def test_nobody_is_pushed_out_for_a_packet_that_would_not_fit_all_the_same(size: int) -> None:
    batch = classes([MS] * 4, [0, 0, 0, 1], [100, 100, 100, size])
    done = run(LinkModel("any"), batch, (0, table(2, model=1, queue_bytes=400)))
    assert delivered(done)["packet"].tolist() == [0, 1, 2]


def test_codel_works_on_a_class_whatever_goes_before_it() -> None:
    """Packets that never wait, one in fifty, leave the waiting of all others as it would be without them."""
    times = np.arange(10_000) * 700_000
    rare = np.arange(len(times)) % 50 == 0
    columns: dict[str, Any] = {"queue_packets": 10_000, "queue_bytes": 10**9}
    model = LinkModel("codel", queue=CoDel(5.0, 100.0), mtu_bytes=100)
    waits = {}
    for high in (0, 3):
        done = run(model, classes(times, np.where(rare, high, 0)), (0, table(2, model=1, **columns)))
        assert fates(done).keys() == {"delivered", "queue_delay"}
        arrived = delivered(done)
        waits[high] = np.median(arrived["queue_ns"][arrived["traffic_class"] == 0])
    assert waits[3] < (1 + HARDLY) * waits[0]
    assert arrived["queue_ns"][arrived["traffic_class"] == 3].max() <= SENDING_NS


# --- duplicates and damage --------------------------------------------------------------------------


def test_each_hop_doubles_and_all_copies_are_of_their_own() -> None:
    model = LinkModel("twice", faults=Faults(duplicate=1.0))
    net = network(model, places=4)
    done = simulate(net, arrivals([MS]), posted([model], (0, table(4, model=1)), places=4), S)
    assert fates(done) == {"delivered": 8}
    assert len(set(delivered(done)["packet"].tolist())) == 8
    assert np.all(delivered(done)["packet"] % (1 << 40) == 0)
    assert net.books[:3, 0, BOOK_COPIED].tolist() == [1, 2, 4]
    assert delivered(done)["header"].tolist() == [delivered(done)["header"][0].tolist()] * 8


def test_copies_keep_the_number_of_their_packet_however_many_there_were() -> None:
    """Their draws and their place in the record follow from it: all 64 bits count."""
    model = LinkModel("twice", faults=Faults(duplicate=1.0))
    net = network(model)
    net.totals[COPIED] = 3_000_000
    done = simulate(net, arrivals([MS] * 20), posted([model], (0, table(2, model=1))), S)
    copies = delivered(done)["packet"][delivered(done)["marks"] & COPY > 0]
    assert copies.tolist() == [number + (3_000_001 + number << 40) for number in range(20)]


def test_damage_on_one_hop_stays_and_is_its_copy_s_too() -> None:
    models = LinkModel("hurt", faults=Faults(duplicate=1.0, corrupt=1.0)), LinkModel("whole")
    one = table(3)
    one.model = np.array([1, 2, 2, 2])
    done = run(models, arrivals([MS]), (0, one), places=3)
    assert (delivered(done)["marks"] & CORRUPT).all()
    assert len(delivered(done)) == 2


def test_a_copy_that_is_damaged_further_on_is_still_a_copy() -> None:
    models = LinkModel("twice", faults=Faults(duplicate=1.0)), LinkModel("hurt", faults=Faults(corrupt=1.0))
    one = table(3)
    one.model = np.array([1, 2, 2, 2])
    done = run(models, arrivals([MS]), (0, one), places=3)
    assert sorted(delivered(done)["marks"].tolist()) == [CORRUPT, CORRUPT | COPY]


def test_no_copy_is_made_without_a_free_slot() -> None:
    model = LinkModel("twice", faults=Faults(duplicate=1.0))
    net = network(model, slots=1)
    assert fates(simulate(net, arrivals([MS]), posted([model], (0, table(2, model=1))), S)) == {
        "delivered": 1
    }


# --- recordings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin_ns", [0, 10 * S + 123])
def test_recordings_and_slots_count_from_the_start_of_the_run(origin_ns: int) -> None:
    step = np.array([0, 10 * MS])
    model = LinkModel(
        "recorded",
        access=SlottedAloha(10.0, offset_ms=1.0),
        traces=Traces(
            rate=Series(step, np.array([1e6, 2e6])),
            delay=Series(step, np.array([3e6, 4e6])),
            loss=Series(np.array([0, 20 * MS]), np.array([0.0, 1.0])),
        ),
    )
    batch = arrivals(origin_ns + np.array([0, 10 * MS, 20 * MS]))
    done = run(model, batch, (0, table(2, model=1)), origin_ns=origin_ns)
    expected = [MS + 800_000 + 3 * MS, 11 * MS + 400_000 + 4 * MS]
    assert (delivered(done)["due_ns"] - origin_ns).tolist() == expected
    assert fates(done) == {"delivered": 2, "radio_loss": 1}


def test_a_recorded_rate_does_not_mind_the_table_s() -> None:
    model = LinkModel("recorded", traces=Traces(rate=Series(np.array([0, 4 * MS]), np.array([1e6, 5e5]))))
    tables = [
        (n * MS, table(2, model=1, rate_bps=rate)) for n, rate in enumerate((1e9, 0.0, 1e3, 1e6, 1.0, 1e8))
    ]
    done = run(model, arrivals([0], size=1000), *tables)
    # 4 ms at 1 Mbit/s, the other 4000 bits at half of it.
    assert delivered(done)["due_ns"].tolist() == [12 * MS + FLIGHT_NS]


def test_a_falling_recorded_delay_lets_packets_overtake_only_where_order_is_not_kept() -> None:
    delay = Series(np.array([0, 10 * MS]), np.array([50e6, 5e6]))
    due = {}
    for keeps in (True, False):
        model = LinkModel("recorded", traces=Traces(delay=delay), keep_order=keeps)
        due[keeps] = delivered(run(model, arrivals([0, 20 * MS])))["packet"].tolist()
    assert due == {True: [0, 1], False: [1, 0]}


def test_opportunities_of_mahimahi_are_shared_by_what_waits() -> None:
    every = Series(np.arange(1, 11) * 10 * MS, np.full(10, 1504.0), "deliveries")
    model = LinkModel("mahimahi", traces=Traces(deliveries=every))
    done = run(model, arrivals([MS] * 3 + [95 * MS], size=752), (0, table(2, model=1)))
    assert (delivered(done)["due_ns"] - FLIGHT_NS).tolist() == [10 * MS, 10 * MS, 20 * MS, 100 * MS]


def test_what_comes_as_the_link_falls_idle_does_not_share_the_opportunity_that_has_passed() -> None:
    every = Series(np.arange(1, 11) * 10 * MS, np.full(10, 1504.0), "deliveries")
    model = LinkModel("mahimahi", traces=Traces(deliveries=every))
    done = run(model, arrivals([MS, 10 * MS], size=752), (0, table(2, model=1)))
    assert (delivered(done)["due_ns"] - FLIGHT_NS).tolist() == [10 * MS, 20 * MS]


# --- models that change under packets -------------------------------------------------------------------


def changed(first: LinkModel, second: LinkModel, batch: Any, **columns: Any) -> Simulated:
    tables = (0, table(2, model=1, **columns)), (10 * MS, table(2, model=2, **columns))
    return run((first, second), batch, *tables)


def test_a_packet_that_a_recording_would_never_let_go_is_begun_anew_by_the_next_model() -> None:
    stands = LinkModel("stands", traces=Traces(rate=Series(np.array([0]), np.array([0.0]))))
    done = changed(stands, LinkModel("goes"), arrivals([MS]))
    assert delivered(done)["due_ns"].tolist() == [10 * MS + SENDING_NS + FLIGHT_NS]


def test_a_packet_that_stands_for_want_of_rate_goes_by_a_recording_that_has_some() -> None:
    recorded = LinkModel("recorded", traces=Traces(rate=Series(np.array([0]), np.array([1e6]))))
    done = changed(LinkModel("stands"), recorded, arrivals([MS]), rate_bps=0.0)
    assert delivered(done)["due_ns"].tolist() == [10 * MS + SENDING_NS + FLIGHT_NS]


def test_where_one_recording_was_read_is_nothing_to_another() -> None:
    long = Series(np.arange(1, 1001) * MS, np.full(1000, 100.0), "deliveries")
    short = Series(np.array([7, 20]) * MS, np.array([100.0, 100.0]), "deliveries")
    models = [LinkModel(name, traces=Traces(deliveries=one)) for name, one in (("a", long), ("b", short))]
    done = changed(models[0], models[1], arrivals([MS] * 11))
    # One each ms from 2 ms on, the ninth as the table comes; the others as the short one has it.
    left_ns = delivered(done)["due_ns"] - FLIGHT_NS
    assert left_ns.tolist() == [n * MS for n in (*range(2, 11), 20, 27)]


def test_who_waits_for_a_medium_goes_when_the_link_has_one_of_its_own() -> None:
    waits = LinkModel("waits", access=Frames(3600e3))
    done = changed(waits, LinkModel("free"), arrivals([MS, 2 * MS]))
    assert delivered(done)["due_ns"].tolist() == [10 * MS + n * SENDING_NS + FLIGHT_NS for n in (1, 2)]


def test_silence_that_one_access_owes_is_not_another_s_grant() -> None:
    quiet = LinkModel("quiet", access=DutyCycle(1e-6))
    done = changed(quiet, LinkModel("framed", access=Frames(10.0)), arrivals([MS, 15 * MS]))
    assert delivered(done)["due_ns"][1] == 20 * MS + SENDING_NS + FLIGHT_NS


# --- links that go ----------------------------------------------------------------------------------------


def two_ways(by: int, down: bool = False, model: int = 1) -> SimpleNamespace:
    """0 -> 1 -> 3 and 0 -> 2 -> 3; packets go by way of `by`, and link 0 -> 1 may be down."""
    src, dst = np.array([0, 1, 0, 2], np.int32), np.array([1, 3, 2, 3], np.int32)
    next_hop = np.full((4, 2), -1, np.int32)
    next_hop[0, 1] = {1: 0, 2: 2}[by]
    next_hop[1, 1], next_hop[2, 1] = 1, 3
    one = table(3, model=model)
    kept = {name: value for name, value in vars(one).items() if name not in ("src", "dst", "next_hop")}
    kept["up"] = np.array([not down, True, True, True])
    return SimpleNamespace(src=src, dst=dst, next_hop=next_hop, **kept)


def handed_over(model: LinkModel, after: SimpleNamespace, packets: int = 4) -> tuple[Network, Simulated]:
    net = network(model, places=4)
    tables = posted([model], (0, two_ways(1)), (2 * MS, after), places=4)
    return net, simulate(net, arrivals([0] * packets), tables, S)


def test_queued_packets_go_another_way_and_what_flies_arrives() -> None:
    net, done = handed_over(LinkModel("reroute", reroute=True), two_ways(2, down=True))
    assert fates(done) == {"delivered": 4}
    ways = {int(hop["packet"]): int(hop["from_place"]) for hop in delivered(done)}
    assert ways == {0: 1, 1: 1, 2: 2, 3: 2}
    assert net.books[0, 0, BOOK_REROUTED] == 2
    # The one that was in the transmitter begins anew at the moment of the change.
    assert delivered(done)["due_ns"].max() == 2 * MS + 3 * SENDING_NS + 2 * FLIGHT_NS


def test_packets_that_find_the_lost_link_again_are_dropped_by_that_name_at_once() -> None:
    _, done = handed_over(LinkModel("reroute", reroute=True), two_ways(1, down=True))
    assert fates(done) == {"delivered": 2, "link_down": 2}
    down = done.hops[FATE_NAMES.index("link_down") == done.hops["fate"]]
    assert down["due_ns"].tolist() == [2 * MS] * 2


def test_packets_stay_queued_on_a_link_that_is_only_no_longer_on_the_way() -> None:
    _, done = handed_over(LinkModel("reroute", reroute=True), two_ways(2))
    assert {int(hop["from_place"]) for hop in delivered(done)} == {1}


def test_a_packet_in_back_off_goes_another_way_too() -> None:
    model = LinkModel("retry", access=PureAloha(1e6, attempts=5), reroute=True)
    net = network(model, places=4)
    # A second link of the model to place 1 makes the first packet collide.
    before, after = two_ways(1), two_ways(2, down=True)
    for one in (before, after):
        one.src, one.dst = np.array([0, 1, 0, 2, 2], np.int32), np.array([1, 3, 2, 3, 1], np.int32)
        for name, value in vars(one).items():
            if name not in ("src", "dst", "next_hop"):
                setattr(one, name, np.append(value, value[-1]))
    before.next_hop[2, 1] = 4
    tables = posted([model], (0, before), (2 * MS, after), places=4)
    done = simulate(net, at_places([0, 0], [0, 2]), tables, 5 * S)
    assert net.books[0, 0, BOOK_REROUTED] == 1
    assert delivered(done)["due_ns"].min() == 2 * MS + 2 * SENDING_NS + 2 * FLIGHT_NS


def test_a_link_keeps_its_draws_when_it_has_another_row() -> None:
    model = LinkModel("lossy", faults=Faults(corrupt=0.5))
    batch = at_places(np.arange(200) * MS, np.ones(200, int))
    marks = []
    for order in ([0, 1], [1, 0]):
        one = star(2)
        one.src = one.src[order]
        one.next_hop[:2, 1] = order
        one.loss = np.full(2, 0.3)
        done = simulate(network(model, places=3), batch, posted([model], (0, one), places=3), S)
        marks.append(delivered(done)[["packet", "marks", "due_ns"]].tolist())
    assert marks[0] == marks[1]


def test_a_late_table_lets_a_recording_go_on_and_counts() -> None:
    model = LinkModel("recorded", traces=Traces(rate=Series(np.array([0, 4 * MS]), np.array([1e6, 5e5]))))
    net = network(model)
    first, second = posted([model], (0, table(2, model=1)), (MS, table(2, model=1, rate_bps=1.0)))
    simulate(net, arrivals([0], size=1000), [first], 3 * MS)
    done = simulate(net, None, [second], S)
    assert net.state[LATE_UPDATES] == 1
    assert delivered(done)["due_ns"].tolist() == [12 * MS + FLIGHT_NS]


@pytest.mark.parametrize(("key", "value", "most"), [("traffic_class", 4, 3), ("at", 3, 2), ("at", -1, 2)])
def test_arrivals_that_no_network_has_room_for_are_refused(key: str, value: int, most: int) -> None:
    batch = arrivals([MS])
    batch[key] = value
    with pytest.raises(TrafficError, match=f"an arrival has {key} {value}, allowed: 0 to {most}"):
        run(LinkModel("any"), batch)


def test_every_packet_of_a_recorded_message_has_the_length_recorded_for_it() -> None:
    flow = Flow("one", LEFT, RIGHT, Recorded([0, S], [100, 300]), packets=2)
    assert recorded_arrivals(FlowSet([flow]), 2 * S)["length"].tolist() == [100, 100, 300, 300]
