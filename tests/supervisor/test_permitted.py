"""Who may report what: owners of measurements, and nodes that speak of their own clock only."""

from __future__ import annotations

import pytest

from nodes.wire import Record
from testbed.supervisor.permitted import OWNERS, permitted


def record(measurement: str, **tags: str) -> Record:
    return Record(1, measurement, tags, {"v": 1})


@pytest.mark.parametrize("measurement", [m for m, owners in OWNERS.items() if "twin" in owners])
def test_what_the_twin_says_is_its_alone(measurement: str) -> None:
    assert permitted("twin", [record(measurement)]) == ([record(measurement)], set())
    for other in ("channel", "sensor-1", "my-app"):
        assert permitted(other, [record(measurement)]) == ([], {measurement})


def test_a_node_tells_of_its_own_clock_only() -> None:
    own, others, nobodys = (record("clock", node="a"), record("clock", node="b"), record("clock"))
    assert permitted("a", [own]) == ([own], set())
    assert permitted("a", [others]) == ([], {"clock"})
    assert permitted("a", [nobodys]) == ([], {"clock"})
