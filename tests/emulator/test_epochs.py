"""Rows of links over handovers, the mailbox's bound, and the record from which a run replays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulator.accounting import DELIVERED
from emulator.dataplane.histogram import make_histogram, record, summary_us, upper_edges_ns
from emulator.epochs import EpochError, LinkUpdates, read_tables, write_table
from emulator.layout import MAILBOX_SLOTS
from emulator.network import advance
from emulator.simulate import simulate
from tests.emulator.chain import MS, S, arrivals, chain, recorded, table


def test_a_link_keeps_its_row_while_it_exists() -> None:
    net = chain(4)
    updates = LinkUpdates(net)
    updates.post(0, table(4))
    rows = dict(updates.rows)
    shorter = table(4)
    for name in vars(shorter):
        if name != "next_hop":
            setattr(shorter, name, getattr(shorter, name)[1:])
    shorter.next_hop = np.full((4, 2), -1, np.int32)
    posted = updates.post(100 * MS, shorter)
    assert {link: updates.rows[link] for link in rows} == rows
    gone = posted.rows[posted.rows["gone"] == 1]
    assert gone["row"].tolist() == [rows[0, 1]]
    assert updates.post(200 * MS, table(4)).rows["gone"].sum() == 0
    assert dict(updates.rows) == rows


def test_a_row_is_given_to_another_link_once_it_has_rested() -> None:
    net = chain(3, links=4)
    updates = LinkUpdates(net)
    updates.post(0, table(3))
    advance(net, 1 * MS)
    other = table(3)
    other.dst[0] = 2
    with pytest.raises(EpochError, match="room for 4 links"):
        updates.post(1 * S, other)
    # The first link goes at 1 s and may be replaced after the rest.
    without = table(3)
    for name in vars(without):
        if name != "next_hop":
            setattr(without, name, getattr(without, name)[1:])
    without.next_hop = np.full((3, 2), -1, np.int32)
    updates.post(1 * S, without)
    advance(net, 1 * S)
    posted = updates.post(7 * S, other)
    assert posted.rows["reset"].tolist() == [1, 0, 0, 0]
    assert [(old.from_place, old.to_place) for old in updates.retired] == [(0, 1)]
    assert (0, 2) in updates.rows
    assert (0, 1) not in updates.rows


def test_the_mailbox_is_bounded_and_says_so() -> None:
    net = chain()
    updates = LinkUpdates(net)
    posted = 0
    while updates.room():
        updates.post(posted * MS, table())
        posted += 1
    assert posted == MAILBOX_SLOTS - 1
    advance(net, 0)
    assert updates.room()


def test_a_recorded_run_replays_to_the_same_fates_and_times(tmp_path: Path) -> None:
    tables = recorded(
        *((n * 50 * MS, table(loss=0.1, jitter_ns=3e5, rate_bps=1e6 + n * 1e5)) for n in range(10))
    )
    batch = arrivals(10 * MS + np.cumsum(np.full(400, MS)))
    first = simulate(chain(), batch, tables, 2 * S)
    path = tmp_path / "link_table.bin"
    with path.open("wb") as file:
        for one in tables:
            write_table(file, one)
    again = simulate(chain(), batch, read_tables(path), 2 * S)
    assert first.fates[DELIVERED] > 0
    assert first.hops.tobytes() == again.hops.tobytes()


def test_a_torn_record_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "link_table.bin"
    with path.open("wb") as file:
        for one in recorded((0, table()), (MS, table())):
            write_table(file, one)
    path.write_bytes(path.read_bytes()[:-7])
    torn: list[int] = []
    assert len(list(read_tables(path, torn.append))) == 1
    assert len(torn) == 1
    path.write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="not a record of link tables"):
        list(read_tables(path))


def test_quantiles_of_a_histogram_are_within_a_bucket() -> None:
    values = np.random.default_rng(1).lognormal(9, 2, 20_000).astype(np.int64)
    histogram = make_histogram()
    for value in values:
        record(histogram, value)
    summary = summary_us(histogram)
    for name, quantile in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        exact = np.quantile(values, quantile, method="inverted_cdf") / 1e3
        assert exact <= summary[name] <= exact * (1 + 1 / 16) + 0.001
    assert summary["max"] == values.max() / 1e3
    assert sum(summary["histogram"]["counts"]) == summary["count"] == 20_000
    assert np.all(np.diff(upper_edges_ns()) > 0)


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert summary_us(make_histogram())["p99"] is None
