"""What always holds in the network, whatever packets, tables and models: books, order, bounds, clocks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.accounting import DELIVERED
from emulator.events import schedule
from emulator.jit import packet_kernel
from emulator.layout import EVENTS, IN_USE, NOW, make_network
from emulator.links.access import PURE_ALOHA, SLOTTED_ALOHA
from emulator.links.state import NEVER
from tests.emulator.random_network import (
    END_NS,
    NAMES,
    Case,
    case,
    check,
    crossings,
    digest,
    drive,
    originals,
)

seeds = st.integers(0, 1 << 32)
several = settings(max_examples=150, deadline=None)
few = settings(max_examples=60, deadline=None)


@several
@given(seeds, st.lists(st.integers(0, END_NS), max_size=6))
def test_books_lists_bounds_and_heap_hold_at_every_moment(seed: int, cuts: list[int]) -> None:
    drive(case(seed), cuts, check)


@several
@given(seeds)
def test_everything_leaves_once_links_are_up(seed: int) -> None:
    outcome = drive(case(seed), drain=True)
    check(outcome.net, outcome.updates)
    if not outcome.refused:
        assert outcome.net.state[IN_USE] == 0
        assert outcome.net.state[EVENTS] == 0


@several
@given(seeds, st.lists(st.integers(0, END_NS), min_size=1, max_size=30))
def test_many_small_steps_are_one_large_one(seed: int, cuts: list[int]) -> None:
    one = case(seed)
    assert digest(drive(one, cuts)) == digest(drive(one))


@packet_kernel
def schedule_one(net: Any, row: int, time_ns: int) -> None:
    schedule(net, row, time_ns)


#: rows of the heap's own test: some levels of it
ROWS = 40


@several
@given(
    st.lists(
        st.tuples(st.integers(0, ROWS - 1), st.one_of(st.just(NEVER), st.integers(0, 100))),
        min_size=ROWS,
        max_size=400,
    )
)
def test_the_heap_holds_the_next_time_of_every_link_in_order(changes: list[tuple[int, int]]) -> None:
    net = make_network(1, 1, 1, links=ROWS, slots=1, log=2)
    expected: dict[int, int] = {}
    for row, time_ns in changes:
        schedule_one(net, row, time_ns)
        if time_ns == NEVER:
            expected.pop(row, None)
        else:
            expected[row] = time_ns
        count = int(net.state[EVENTS])
        held = list(zip(net.heap_ns[:count].tolist(), net.heap_row[:count].tolist(), strict=True))
        assert sorted(held) == sorted((time, link) for link, time in expected.items())
        assert all(held[(here - 1) // 2] < held[here] for here in range(1, count))
        places = {row: here for here, (_, row) in enumerate(held)}
        assert [places.get(link, -1) for link in range(ROWS)] == net.links["heap_at"].tolist()


def links_of(one: Case) -> list[dict[str, Any]]:
    """Columns of every table."""
    return [columns for _, _, columns in one.tables]


@several
@given(seeds)
def test_nothing_arrives_before_it_could(seed: int) -> None:
    """Serialisation at the highest rate, then the shortest propagation that the link ever had."""
    one = case(seed)
    outcome = drive(one)
    shortest: dict[tuple[int, int], int] = {}
    for time_ns, ways, columns in one.tables:
        del time_ns, ways
        for index, (a, b) in enumerate(ALL_LINKS):
            model = int(columns["model"][index])
            traced = model > 0 and one.models[model - 1].traces.delay is not None
            delay_ns = 0 if traced else int(columns["delay_ns"][index])
            shortest[a, b] = min(shortest.get((a, b), 1 << 60), delay_ns)
    fastest_bps = 1e8
    for hop in crossings(outcome.hops):
        taken_ns = int(hop["due_ns"] - hop["in_ns"] - hop["queue_ns"])
        # What is delivered in Mahimahi's way has no rate.
        sending_ns = 0 if has_deliveries(one) else hop["size"] * 8e9 / fastest_bps
        assert taken_ns >= shortest[int(hop["from_place"]), int(hop["to_place"])] + sending_ns - 1


ALL_LINKS = [(0, 1), (1, 0), (1, 4), (4, 1), (0, 2), (2, 0), (2, 4), (4, 2), (0, 3), (3, 0), (3, 4), (4, 3)]


def has_deliveries(one: Case) -> bool:
    return any(model.traces.deliveries is not None for model in one.models)


def keeps_order(one: Case, a: int, b: int) -> bool:
    model = int(links_of(one)[0]["model"][ALL_LINKS.index((a, b))])
    return model == 0 or one.models[model - 1].keep_order


@several
@given(seeds)
def test_order_is_kept_on_every_link_within_a_class(seed: int) -> None:
    one = case(seed)
    hops = originals(crossings(drive(one).hops))
    for a, b in ALL_LINKS:
        if not one.steady or not keeps_order(one, a, b):
            continue
        for traffic_class in range(4):
            mine = hops[
                (hops["from_place"] == a) & (hops["to_place"] == b) & (hops["traffic_class"] == traffic_class)
            ]
            assert np.all(np.diff(mine["due_ns"].astype(np.int64)) >= 0)
            assert np.all(np.diff(mine["in_ns"].astype(np.int64)) >= 0)


@several
@given(seeds)
def test_no_packet_is_sent_while_one_of_a_higher_class_waits(seed: int) -> None:
    one = case(seed)
    outcome = drive(one)
    hops = originals(outcome.hops[outcome.hops["link"] >= 0])
    started_ns = hops["in_ns"] + hops["queue_ns"]
    for row in range(len(outcome.net.links)):
        # A packet that is sent again had been chosen earlier than its record says.
        models = {int(columns["model"][index]) for columns in links_of(one) for index in range(12)}
        if any(contended(one, model) for model in models):
            continue
        mine = np.flatnonzero(hops["link"] == row)
        sent = mine[np.isin(hops["fate"][mine], (0, DELIVERED))]
        for index in sent:
            waited = (
                (hops["traffic_class"][mine] > hops["traffic_class"][index])
                & (hops["in_ns"][mine] < started_ns[index])
                & (started_ns[mine] > started_ns[index])
            )
            assert not waited.any()


def contended(one: Case, model: int) -> bool:
    if model == 0:
        return False
    row = np.zeros(1, [("access_kind", "<i4")])
    row["access_kind"] = {"slotted-aloha": SLOTTED_ALOHA, "pure-aloha": PURE_ALOHA}.get(
        one.models[model - 1].access.kind, 0
    )
    return bool(row["access_kind"][0])


@few
@given(seeds)
def test_time_goes_forward_for_every_packet(seed: int) -> None:
    outcome = drive(case(seed))
    hops = outcome.hops
    assert np.all(hops["ingress_ns"] <= hops["in_ns"])
    assert np.all(hops["in_ns"] <= hops["due_ns"])
    assert np.all(hops["queue_ns"] >= 0)
    assert np.all(hops["due_ns"] <= outcome.net.state[NOW])
    if outcome.net.totals[4] == 0:
        last = {}
        for hop in hops[np.lexsort((hops["hop"], hops["packet"], hops["port"]))]:
            key = int(hop["port"]), int(hop["packet"])
            assert hop["in_ns"] >= last.get(key, 0)
            last[key] = int(hop["due_ns"])


def test_the_cases_meet_what_they_are_meant_to_test() -> None:
    """Every fate, rerouting, duplicates and the reuse of rows occur: the properties are not empty."""
    fates, rerouted, copied, retired, steady = np.zeros(15, np.int64), 0, 0, 0, 0
    for seed in range(150):
        outcome = drive(case(seed))
        fates += outcome.net.fates.sum(axis=0)
        rerouted += int(outcome.net.books[:, :, 5].sum())
        copied += int(outcome.net.totals[4])
        retired += len(outcome.updates.retired)
        steady += case(seed).steady
    assert {2, 3, 4, 5, 11, 12, 13, 14} <= set(np.flatnonzero(fates).tolist())
    assert min(rerouted, copied, retired, steady) > 0
    assert len(NAMES) == 5


UNCOMPILED = range(6)


def digests() -> list[str]:
    return [digest(drive(case(seed))) for seed in UNCOMPILED]


def test_the_kernels_do_the_same_uncompiled() -> None:
    program = "from tests.emulator.test_network_properties import digests\nprint(*digests())\n"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == digests()
