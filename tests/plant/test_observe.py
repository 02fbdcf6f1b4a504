"""What is observed of links: counts of the right link, also when its row was another's before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emulator.epochs import LinkUpdates
from emulator.hoplog import drain_log
from emulator.network import advance
from testbed.plant.observe import LinkObserver
from tests.emulator.chain import MS, S, arrivals, chain, table
from tests.emulator.one_by_one import run_arrivals


def _physical(full: Any, keep: slice = slice(None)) -> Any:
    """The rows of a table that are kept, with the columns that only reports read."""
    rows = {name: value[keep] for name, value in vars(full).items() if name != "next_hop"}
    blank = {name: np.full(len(rows["src"]), np.nan) for name in ("snr_db", "attenuation_db", "range_m")}
    next_hop = full.next_hop if keep == slice(None) else np.full_like(full.next_hop, -1)
    return SimpleNamespace(**rows, **blank, elevation_deg=blank["snr_db"], next_hop=next_hop)


def test_a_link_in_anothers_row_is_counted_from_its_own_beginning() -> None:
    net = chain(3, links=4)
    updates = LinkUpdates(net, ["a", "b", "c"], 1)
    observer = LinkObserver(net, ["a", "b", "c"], 1, 0.0)
    first = _physical(table(3))
    updates.post(0, first)
    run_arrivals(net, arrivals([1 * MS] * 5), 0, 1 * S, 1000)
    updates.post(1 * S, _physical(table(3), slice(1, None)))
    advance(net, 1 * S)
    other = _physical(table(3))
    other.dst[0] = 2
    other.next_hop[0, 1] = 0
    updates.post(8 * S, other)
    # The table that gives the row away is posted but not in force when this window ends.
    observer.add(drain_log(net))
    observer.close_window(7 * S, 1.0, first, dict(updates.rows), 0)
    advance(net, 8 * S)
    run_arrivals(net, arrivals([8 * S + MS] * 2), 0, 9 * S, 1000)
    observer.add(drain_log(net))
    observed, _ = observer.close_window(9 * S, 1.0, other, dict(updates.rows), 1)
    fields = {record.tags["link"]: record.fields for record in observed}
    assert fields["a>c"]["packets_in"] == 2
    assert fields["a>c"]["packets_out"] == 2
    # Two packets of 800 bits at 1 Mbit/s.
    assert fields["a>c"]["busy_s"] == pytest.approx(2 * 0.8e-3)


def test_counts_and_delays_of_a_window_are_of_the_same_packets() -> None:
    net = chain(2)
    updates = LinkUpdates(net, ["a", "b"], 1)
    observer = LinkObserver(net, ["a", "b"], 1, 0.0)
    only = _physical(table(2))
    updates.post(0, only)
    # 5.8 ms each: the third is over 1.8 ms after the first window's end.
    run_arrivals(net, arrivals([1 * MS, 2 * MS, 496 * MS, 600 * MS]), 0, 1 * S, 1000)
    observer.add(drain_log(net))
    windows = []
    for number in range(2):
        observed, _ = observer.close_window((number + 1) * 500 * MS, 0.5, only, dict(updates.rows), number)
        windows.append(next(record for record in observed if record.tags["link"] == "a>b"))
    assert [w.fields["packets_in"] for w in windows] == [3, 1]
    assert [w.fields["packets_out"] for w in windows] == [2, 2]
    assert [len(w.samples) for w in windows] == [2, 2]
    assert windows[0].fields["delay_mean_ms"] == pytest.approx(5.8)


def test_losses_are_counted_in_the_window_in_which_they_happened() -> None:
    net = chain(2)
    updates = LinkUpdates(net, ["a", "b"], 1)
    observer = LinkObserver(net, ["a", "b"], 1, 0.0)
    only = _physical(table(2, loss=1.0, queue_packets=2))
    updates.post(0, only)
    run_arrivals(net, arrivals([1 * MS] * 5), 0, 1 * S, 1000)
    observer.add(drain_log(net))
    observed, _ = observer.close_window(1 * S, 1.0, only, dict(updates.rows), 0)
    fields = next(record.fields for record in observed if record.tags["link"] == "a>b")
    assert (fields["packets_in"], fields["packets_out"]) == (5, 0)
    assert (fields["lost"], fields["dropped_queue"]) == (2, 3)
    assert "delay_mean_ms" not in fields
