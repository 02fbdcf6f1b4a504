"""Telemetry on its way to the twin: lost, late, twice, out of order, as often as asked for."""

from __future__ import annotations

import pytest

from nodes.wire import Record
from testbed.virtual.delivery import Delivery, Troubles

COUNT = 4_000
#: five standard deviations of a share of so many
SHARE_TOLERANCE = 5 * 0.5 / COUNT**0.5


def _records(window: int) -> list[Record]:
    return [Record(COUNT * window + k, "link", {}, {"k": k}) for k in range(COUNT)]


def test_without_troubles_everything_arrives_in_order() -> None:
    assert Delivery(Troubles(), 1).deliver(0, _records(0)) == _records(0)


def test_the_share_asked_for_is_lost() -> None:
    arrived = Delivery(Troubles(lost=0.2), 1).deliver(0, _records(0))
    assert 1 - len(arrived) / COUNT == pytest.approx(0.2, abs=SHARE_TOLERANCE)
    assert arrived == sorted(arrived, key=lambda record: record.t_ns)


def test_late_records_come_as_many_windows_later_as_asked_for() -> None:
    delivery = Delivery(Troubles(late=0.3, late_windows=2), 1)
    arrived = [delivery.deliver(window, _records(window)) for window in range(3)]
    late = [record for record in arrived[2] if record.t_ns < COUNT]
    assert {record.t_ns for record in (*arrived[0], *late)} >= {r.t_ns for r in _records(0)}
    assert len(arrived[0]) / COUNT == pytest.approx(0.7, abs=SHARE_TOLERANCE)


def test_duplicates_follow_their_originals() -> None:
    delivery = Delivery(Troubles(duplicated=0.1), 1)
    arrived = delivery.deliver(0, _records(0))
    assert len(arrived) == COUNT + delivery.counts["duplicated"]
    assert delivery.counts["duplicated"] / COUNT == pytest.approx(0.1, abs=SHARE_TOLERANCE)
    assert [r.t_ns for r in arrived] == sorted(r.t_ns for r in arrived)


def test_records_may_come_in_any_order_that_follows_from_the_seed() -> None:
    orders = [
        [r.t_ns for r in Delivery(Troubles(shuffled=True), seed).deliver(0, _records(0))]
        for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == [r.t_ns for r in _records(0)]


def test_troubles_have_their_time_and_what_they_delayed_comes_after_it() -> None:
    delivery = Delivery(Troubles(late=1.0, late_windows=2, from_window=1, until_window=3), 1)
    arrived = [delivery.deliver(window, _records(window)) for window in range(6)]
    each = len(_records(0))
    assert [len(one) for one in arrived] == [each, 0, 0, 2 * each, 2 * each, each]
