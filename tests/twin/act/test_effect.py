"""What users see: mean latencies with honest errors, and the share of the lost latency that is back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin.act.effect import Latencies, Level, recovered_share
from testbed.twin.whatif.job import DELAY, LOST_MS, TASK

START_NS = 10**12


def _flow(
    t_s: float, source: str, packets: int, delay_ms: float, lost: int = 0, flow: str = "data"
) -> Record:
    fields: dict[str, bool | int | float | str] = {"packets": packets, "lost": lost}
    if packets:
        fields["delay_mean_ms"] = delay_ms
    tags = {"node": "gateway-1", "source": source, "flow": flow}
    return Record(START_NS + round(t_s * 1e9), "flow", tags, fields)


def _seen(*records: Record) -> Latencies:
    seen = Latencies()
    seen.take(records, START_NS)
    return seen


def test_the_mean_is_over_messages_and_what_is_lost_counts() -> None:
    seen = _seen(_flow(1.0, "a", 30, 10.0), _flow(2.0, "b", 9, 50.0, lost=1))
    level = seen.level(DELAY, 0.0, 3.0)
    assert level.mean_ms == pytest.approx((30 * 10.0 + 9 * 50.0 + LOST_MS) / 40)
    assert level.messages == 40


def test_only_the_nodes_and_the_time_asked_for_count() -> None:
    seen = _seen(_flow(1.0, "a", 1, 10.0), _flow(2.0, "a", 1, 20.0), _flow(2.0, "b", 1, 90.0))
    assert seen.level(DELAY, 1.0, 2.0, ("a",)).mean_ms == 20.0
    assert not seen.level(DELAY, 5.0, 9.0).known


def test_control_traffic_and_delays_of_another_clock_are_passed_over() -> None:
    other_clock = Record(START_NS + 10**9, "flow", {"source": "a", "flow": "data"}, {"packets": 5})
    seen = _seen(_flow(1.0, "a", 5, 3.0, flow="ack"), other_clock)
    assert not seen.level(DELAY, 0.0, 9.0).known


def test_a_task_counts_until_it_was_answered() -> None:
    record = Record(
        START_NS + 10**9, "offload", {"node": "a", "server": "s"}, {"latency_s": 0.25, "ok": True}
    )
    assert _seen(record).level(TASK, 0.0, 2.0).mean_ms == 250.0


def test_the_error_of_a_mean_is_as_large_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        seen = Latencies()
        values = rng.normal(100.0, 20.0, 12)
        seen.take([_flow(t + 0.5, "a", 20, float(v)) for t, v in enumerate(values)], START_NS)
        found = seen.level(DELAY, 0.0, 12.0).spread()
        held += found.low <= 100.0 <= found.high
    assert 0.85 < held / 400 < 0.95


def test_all_or_nothing_of_the_lost_latency_is_back() -> None:
    before, during = Level(20.0, 1.0, 100, 10), Level(220.0, 5.0, 100, 10)
    whole = recovered_share(before, during, Level(20.0, 1.0, 100, 10))
    none = recovered_share(before, during, Level(220.0, 5.0, 100, 10))
    assert whole is not None
    assert none is not None
    assert whole.mean == pytest.approx(1.0)
    assert none.mean == pytest.approx(0.0)
    assert whole.low < 1.0 < whole.high < 1.05


def test_where_nothing_was_lost_there_is_no_share() -> None:
    level = Level(20.0, 2.0, 100, 10)
    assert recovered_share(level, Level(22.0, 2.0, 100, 10), level) is None
    assert recovered_share(level, Level(), level) is None
    assert math.isnan(Level().mean_ms)
