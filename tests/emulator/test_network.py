"""The network in virtual time: what a link does to packets, and that nothing is lost from the books."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emulator.accounting import BOOK_FATES, BOOK_IN, BOOK_OUT, DELIVERED, DROPS, FATE_NAMES
from emulator.epochs import LinkUpdates
from emulator.layout import EVENTS, IN_USE
from emulator.links.random import link_key
from emulator.simulate import simulate
from tests.emulator.chain import LEFT, MS, RIGHT, S, arrivals, chain, recorded, table


def delivered(run: Any) -> np.ndarray[Any, Any]:
    return run.hops[run.hops["fate"] == DELIVERED]


def fates(run: Any) -> dict[str, int]:
    return {FATE_NAMES[fate]: int(run.fates[fate]) for fate in range(len(FATE_NAMES)) if run.fates[fate]}


def test_delay_is_serialisation_and_propagation_of_every_hop() -> None:
    run = simulate(chain(), arrivals([10 * MS]), recorded((0, table())), 1 * S)
    hop_ns = 100 * 8 * 1000 + 5 * MS
    assert delivered(run)["due_ns"][0] - 10 * MS == 2 * hop_ns


def test_packets_behind_each_other_wait_for_the_transmitter() -> None:
    run = simulate(chain(2), arrivals([10 * MS] * 3), recorded((0, table(2)), places=2), 1 * S)
    assert delivered(run)["queue_ns"].tolist() == [0, 800_000, 1_600_000]


def test_a_rate_that_changes_in_mid_packet_counts_from_that_moment() -> None:
    # 1000 bytes at 1 Mbit/s take 8 ms; after 2 ms the rate halves, so the other 6000 bits take 12 ms.
    tables = recorded((0, table(2)), (12 * MS, table(2, rate_bps=5e5)), places=2)
    run = simulate(chain(2), arrivals([10 * MS], size=1000), tables, 1 * S)
    assert delivered(run)["due_ns"][0] == 10 * MS + 2 * MS + 12 * MS + 5 * MS


def test_a_stalled_transmitter_goes_on_when_the_rate_returns() -> None:
    tables = recorded((0, table(2)), (12 * MS, table(2, rate_bps=0.0)), (50 * MS, table(2)), places=2)
    run = simulate(chain(2), arrivals([10 * MS], size=1000), tables, 1 * S)
    assert delivered(run)["due_ns"][0] == 50 * MS + 6 * MS + 5 * MS


def test_a_full_queue_drops_the_newest_by_name() -> None:
    run = simulate(chain(2), arrivals([10 * MS] * 8), recorded((0, table(2, queue_packets=5)), places=2), S)
    assert fates(run) == {"delivered": 5, "queue_full": 3}
    assert delivered(run)["packet"].tolist() == [0, 1, 2, 3, 4]


def test_the_byte_bound_of_a_queue_holds_too() -> None:
    run = simulate(chain(2), arrivals([10 * MS] * 8), recorded((0, table(2, queue_bytes=250)), places=2), S)
    assert fates(run) == {"delivered": 2, "queue_full": 6}


def test_when_a_link_goes_what_is_queued_is_dropped_and_what_flies_arrives() -> None:
    # Two packets have left the transmitter by 11.7 ms, the third is in it, the others wait.
    tables = recorded((0, table(2)), (11_700_000, table(2, up=False)), places=2)
    run = simulate(chain(2), arrivals([10 * MS] * 5), tables, 1 * S)
    assert fates(run) == {"delivered": 2, "link_down": 3}


def test_a_place_without_a_route_drops_by_that_name() -> None:
    cut = table()
    cut.next_hop[1, 1] = -1
    run = simulate(chain(), arrivals([10 * MS]), recorded((0, cut)), 1 * S)
    assert fates(run) == {"no_route": 1}


def test_a_routing_loop_ends_at_the_hop_limit() -> None:
    loop = table()
    loop.next_hop[1, 1] = 2  # the middle sends back to the left
    run = simulate(chain(), arrivals([10 * MS]), recorded((0, loop)), 10 * S)
    assert fates(run) == {"hop_limit": 1}


def test_a_route_may_be_as_long_as_across_a_large_grid() -> None:
    places = 60
    tables = recorded((0, table(places, delay_ns=MS)), places=places)
    run = simulate(chain(places), arrivals([10 * MS]), tables, 1 * S)
    assert fates(run) == {"delivered": 1}


def test_an_unknown_destination_is_counted() -> None:
    run = simulate(chain(), arrivals([10 * MS] * 2, target=7), recorded((0, table())), 1 * S)
    assert fates(run) == {"unknown_destination": 2}


def test_a_network_without_room_counts_what_it_cannot_take() -> None:
    run = simulate(chain(slots=4), arrivals([10 * MS] * 6), recorded((0, table())), 1 * S)
    assert fates(run) == {"delivered": 4, "no_buffer": 2}


def test_jitter_keeps_the_order() -> None:
    times = 10 * MS + np.arange(2000) * 100_000
    tables = recorded((0, table(2, rate_bps=1e9, jitter_ns=2e6)), places=2)
    run = delivered(simulate(chain(2), arrivals(times), tables, 10 * S))
    assert np.all(np.diff(run["due_ns"]) >= 0)
    assert run["packet"].tolist() == list(range(2000))


def test_independent_loss_is_binomial() -> None:
    packets, loss = 100_000, 0.03
    times = 10 * MS + np.arange(packets) * 100_000
    run = simulate(
        chain(2), arrivals(times), recorded((0, table(2, rate_bps=1e9, loss=loss)), places=2), 20 * S
    )
    lost = int(packets - run.fates[DELIVERED])
    low, high = stats.binom.interval(0.999, packets, loss)
    assert low <= lost <= high


def test_a_packet_of_several_frames_is_lost_if_any_frame_is() -> None:
    packets, error = 50_000, 0.02
    times = 10 * MS + np.arange(packets) * 100_000
    columns = {"rate_bps": 1e9, "frame_error": error, "frame_bits": 400}
    run = simulate(chain(2), arrivals(times), recorded((0, table(2, **columns)), places=2), 20 * S)
    low, high = stats.binom.interval(0.999, packets, 1 - (1 - error) ** 2)
    assert low <= packets - run.fates[DELIVERED] <= high


def test_same_seed_same_fates_another_seed_others() -> None:
    times = 10 * MS + np.arange(500) * MS

    def lost(seed: int) -> list[int]:
        tables = recorded((0, table(2, loss=0.2)), places=2, seed=seed)
        return delivered(simulate(chain(2), arrivals(times), tables, 10 * S))["packet"].tolist()

    assert lost(1) == lost(1)
    assert lost(1) != lost(2)


def test_the_fate_of_a_packet_does_not_depend_on_the_traffic_of_others() -> None:
    mine = arrivals(10 * MS + np.arange(500) * MS)
    others = arrivals(10 * MS + 500_000 + np.arange(500) * MS, port=RIGHT, target=LEFT)
    both = np.concatenate((mine, others))
    both = both[np.argsort(both["time_ns"], kind="stable")]
    tables = recorded((0, table(2, loss=0.2)), places=2)

    def kept(batch: Any) -> list[int]:
        run = delivered(simulate(chain(2), batch, tables, 10 * S))
        return run["packet"][run["port"] == LEFT].tolist()

    assert kept(mine) == kept(both)


def test_links_have_keys_of_their_own() -> None:
    assert len({link_key(1, a, b) for a in "abc" for b in "abc"}) == 9


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 3 * MS), min_size=1, max_size=120),
    sizes=st.integers(60, 3000),
    rate=st.sampled_from([1e5, 1e6, 1e8]),
    loss=st.sampled_from([0.0, 0.1]),
    downs=st.lists(st.booleans(), min_size=4, max_size=4),
    end=st.integers(0, 400 * MS),
)
def test_everything_that_enters_is_delivered_dropped_or_in_flight(
    gaps: list[int], sizes: int, rate: float, loss: float, downs: list[bool], end: int
) -> None:
    net = chain(slots=64)
    tables = recorded(
        *(
            (n * 40 * MS, table(rate_bps=rate, loss=loss, up=not down, queue_packets=10, jitter_ns=1e5))
            for n, down in enumerate(downs)
        )
    )
    batch = arrivals(np.cumsum(gaps), size=sizes)
    run = simulate(net, batch, tables, end)
    entered = int((batch["time_ns"] <= end).sum())
    assert net.totals[0] == entered
    assert entered == run.fates[DELIVERED] + sum(run.fates[list(DROPS)]) + run.in_flight
    for row, link in enumerate(net.links):
        kept = link["packets"] + link["flying"]
        books = net.books[row].sum(axis=0)
        assert books[BOOK_IN] == books[BOOK_OUT] + books[BOOK_FATES:].sum() + kept
    # The record tells the same story as the counters.
    for fate in (DELIVERED, *DROPS):
        if FATE_NAMES[fate] != "no_buffer":
            assert (run.hops["fate"] == fate).sum() == run.fates[fate]


def test_the_kernels_do_the_same_uncompiled() -> None:
    program = (
        "from tests.emulator.test_network import *\n"
        "test_a_rate_that_changes_in_mid_packet_counts_from_that_moment()\n"
        "test_when_a_link_goes_what_is_queued_is_dropped_and_what_flies_arrives()\n"
        "test_same_seed_same_fates_another_seed_others()\n"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_table_that_comes_after_its_time_is_counted_and_obeyed_at_once() -> None:
    net = chain(2)
    first, second = recorded((0, table(2)), (5 * MS, table(2, rate_bps=1e8)), places=2)
    simulate(net, arrivals([10 * MS]), [first], 20 * MS)
    run = simulate(net, arrivals([30 * MS]), [second], 1 * S)
    assert net.state[7] == 1
    assert delivered(run)["due_ns"][0] == 30 * MS + 8_000 + 5 * MS


def test_a_late_table_replays_from_the_time_at_which_it_took_effect() -> None:
    net = chain(2)
    updates = LinkUpdates(net, ["a", "b"], 1)
    first = updates.post(0, table(2))
    early = simulate(net, arrivals([10 * MS]), [], 10 * MS)
    late = updates.post(5 * MS, table(2, rate_bps=1e8, loss=0.5))
    rest = simulate(net, arrivals([11 * MS, 12 * MS]), [], 1 * S)
    took_effect_ns = updates.took_effect_ns(1)
    assert took_effect_ns == 10 * MS + 1
    assert updates.took_effect_ns(2) is None
    tables = [first, replace(late, time_ns=took_effect_ns)]
    again = simulate(chain(2), arrivals([10 * MS, 11 * MS, 12 * MS]), tables, 1 * S)
    assert again.hops.tobytes() == np.concatenate((early.hops, rest.hops)).tobytes()


def test_a_slow_packet_whose_rate_changes_all_the_time_is_one_event() -> None:
    # 800 bits at about 0.1 bit/s last hours; each change of rate moves the end of the transmission.
    net = chain(2, slots=4, links=2)
    rates = [0.1 + 0.01 * (n % 2) for n in range(200)]
    tables = [(n * MS, table(2, rate_bps=rate)) for n, rate in enumerate(rates)]
    tables.append((300 * MS, table(2)))
    for one in recorded(*tables, places=2):
        simulate(net, arrivals([0] if one.time_ns == 0 else []), [one], one.time_ns)
        assert net.state[EVENTS] == (1 if one.time_ns > 0 or net.state[IN_USE] else 0)
    run = simulate(net, arrivals([]), [], 2 * S)
    assert run.fates[DELIVERED] == 1
    # Its last microbits apart, the packet had all its 800 before it at the end: 300 ms, 0.8 ms, 5 ms.
    assert abs(int(run.hops["due_ns"][0]) - 305_800_000) < 100_000


def test_packet_hops_that_the_log_cannot_hold_do_not_go_missing_unseen() -> None:
    with pytest.raises(RuntimeError, match="16 packet-hops found no room in the log of 4"):
        simulate(chain(2, log=4), arrivals([10 * MS] * 20), recorded((0, table(2)), places=2), 1 * S)


@pytest.mark.parametrize("places", [2, 6])
def test_hops_are_numbered_along_the_way(places: int) -> None:
    run = simulate(chain(places), arrivals([10 * MS]), recorded((0, table(places)), places=places), 1 * S)
    assert run.hops["hop"].tolist() == list(range(places - 1))
    assert run.hops["from_place"].tolist() == list(range(places - 1))
