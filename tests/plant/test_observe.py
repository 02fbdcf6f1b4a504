"""What is observed of links: counts of the right link, also when its row was another's before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from emulator.epochs import LinkUpdates
from emulator.network import advance
from emulator.simulate import run_arrivals
from testbed.plant.observe import LinkObserver
from tests.emulator.chain import MS, S, arrivals, chain, table


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
    observer.close_window(7 * S, 1.0, first, dict(updates.rows), 0)
    advance(net, 8 * S)
    run_arrivals(net, arrivals([8 * S + MS] * 2), 0, 9 * S, 1000)
    observed, _ = observer.close_window(9 * S, 1.0, other, dict(updates.rows), 1)
    fields = {record.tags["link"]: record.fields for record in observed}
    assert fields["a>c"]["packets_in"] == 2
    assert fields["a>c"]["packets_out"] == 2
