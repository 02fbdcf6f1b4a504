"""Rows of links over handovers, the mailbox's bound, and the record from which a run replays."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

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


def only(places: int, *kept: int) -> SimpleNamespace:
    """The table of a chain with some of its links only, and no way."""
    one = table(places)
    for name in vars(one):
        if name != "next_hop":
            setattr(one, name, getattr(one, name)[list(kept)])
    one.next_hop = np.full((places, 2), -1, np.int32)
    return one


def test_a_link_that_is_back_has_its_row_before_a_new_one_can_take_it() -> None:
    # Rows 0 and 1 hold the links 0>1 and 1>2; both rest for long, then 0>1 is back together with a new one.
    updates = LinkUpdates(chain(4, links=3))
    updates.post(0, only(4, 0, 1))
    updates.post(1 * S, only(4, 2))
    posted = updates.post(20 * S, only(4, 0, 3))
    live = posted.rows[posted.rows["gone"] == 0]
    assert live["row"].tolist() == [0, 1]


def test_a_link_is_gone_from_where_it_was_although_the_network_has_not_seen_it_yet() -> None:
    net = chain(3)
    updates = LinkUpdates(net, ["a", "b", "c"], 1)
    updates.post(0, table(3))
    posted = updates.post(5 * MS, only(3, 1, 3))
    gone = posted.rows[posted.rows["gone"] == 1]
    assert gone[["from_place", "to_place"]].tolist() == [(0, 1), (1, 0)]
    # What is in the air of it arrives where it led.
    run = simulate(net, arrivals([1 * MS]), [], 1 * S)
    assert run.hops["to_place"].tolist() == [1, -1]
    assert run.hops["from_place"].tolist() == [0, 1]


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


def test_what_is_posted_without_a_record_is_the_same() -> None:
    kept, unkept = chain(), chain()
    with_record, without = LinkUpdates(kept), LinkUpdates(unkept)
    for number in range(5):
        one = table(rate_bps=1e6 + number // 2)
        if number == 3:
            one.next_hop[0, 1] = -1
        with_record.post(number * MS, one)
        without.put(number * MS, one)
    assert kept.mail_links.tobytes() == unkept.mail_links.tobytes()
    assert kept.mail_routes.tobytes() == unkept.mail_routes.tobytes()
    assert kept.mail_time.tolist() == unkept.mail_time.tolist()
