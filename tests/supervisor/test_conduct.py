"""Deviations that nodes carry out: ordered at their moments, again after a restart; and reports withheld."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes import wire
from testbed.plant.deviations import moments
from tests.supervisor.desk import Desk, Peer

CLOCK = 'deviations=[{kind="clock_offset", target="sensor-1", at=0.0, for=0.5, offset_ms=20, skew_ppm=100}]'
LOST = 'deviations=[{kind="lost_telemetry", target="sensor-1", at=0.0, for=1.0, share=1.0}]'
#: how late a test may be, s: the clock has run on by as much at 100 ppm
LATE_S = 10.0


@pytest.fixture
def wrong_clock(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, CLOCK)
    yield made
    made.close()


def sensor(desk: Desk) -> Peer:
    peer = Peer(desk, "sensor-1", "sensor")
    peer.hear(wire.Registered)
    peer.send(wire.Ready())
    return peer


def test_a_clock_jumps_at_its_moment_and_is_right_again_after_it(wrong_clock: Desk) -> None:
    peer = sensor(wrong_clock)
    wrong_clock.until(lambda: wrong_clock.stage.is_ready("sensor-1"))
    (moment,) = moments(wrong_clock.stage.scenario)
    wrong_clock.run._conduct.deviate(moment, "start")
    order = peer.hear(wire.Command)
    assert (order.name, order.by) == ("set_clock", "plant")
    assert order.arguments == {"offset_ms": 20.0, "skew_ppm": 100.0}
    wrong_clock.run._conduct.deviate(moment, "end")
    assert peer.hear(wire.Command).arguments == {"offset_ms": 0.0, "skew_ppm": 0.0}
    assert wrong_clock.events()  # and everything before is written
    told = [r for r in wrong_clock.folder.records() if r.measurement == "plant_event"]
    assert [r.tags for r in told] == [{"deviation": "clock_offset", "target": "sensor-1"}] * 2
    assert [r.fields["what"] for r in told] == ["start", "end"]


def test_a_node_that_comes_again_has_the_clock_that_it_would_have_by_now(wrong_clock: Desk) -> None:
    wrong_clock.run._go()
    wrong_clock.stage.start = wire.Start(time.monotonic_ns() - 10 * 10**9, 60.0, "2025-06-01T12:00:00Z")
    peer = sensor(wrong_clock)
    order = peer.hear(wire.Command)
    assert order.name == "set_clock"
    offset_ms = order.arguments["offset_ms"]
    assert isinstance(offset_ms, float)
    assert 20.0 + 1.0 <= offset_ms <= 20.0 + 1.0 + LATE_S * 0.1  # 100 ppm for ten seconds: 1 ms
    assert order.arguments["skew_ppm"] == 100.0


def test_withheld_reports_reach_the_run_s_file_and_not_the_twin(tmp_path: Path) -> None:
    desk = Desk(tmp_path, LOST)
    try:
        desk.run._go()
        desk.until(lambda: desk.stage.run_s > 0)
        twin = Peer(desk, "twin", "twin")
        twin.hear(wire.Registered)
        twin.send(wire.Ready())
        twin.hear(wire.Start)
        now_ns = time.monotonic_ns()
        for node in ("sensor-1", "sensor-2"):
            fields: dict[str, wire.Value] = {"sent": 1, "received": 1}
            desk.stage.record([wire.Record(now_ns, "node", {"node": node, "role": "sensor"}, fields)])
        heard = twin.hear(wire.Telemetry).records
        assert [r.tags["node"] for r in heard if r.measurement == "node"] == ["sensor-2"]
        desk.events()
        kept = [r.tags["node"] for r in desk.folder.records() if r.measurement == "node"]
        assert kept == ["sensor-1", "sensor-2"]
    finally:
        desk.close()


FLOOD = 'deviations=[{kind="flood", target="field-1>sat-3", at=0.1, for=0.2, rate_mbps=2}]'


def test_a_hidden_sender_joins_where_guests_may_not_and_sends_when_the_plant_says(tmp_path: Path) -> None:
    desk = Desk(tmp_path, FLOOD, "network.guests=false")
    try:
        sender = desk.guest("hidden-flood-1", "field-1")
        stranger = Peer(desk, "my-app", place="field-1")
        assert "takes no guests" in stranger.hear(wire.Refused).reason
        (moment,) = moments(desk.stage.scenario)
        for what, name in (("start", "begin"), ("end", "end")):
            desk.run._conduct.deviate(moment, what)
            order = sender.hear(wire.Command)
            assert (order.name, order.by, order.arguments) == (name, "plant", {})
    finally:
        desk.close()


def test_what_a_hidden_sender_reports_does_not_reach_the_twin(tmp_path: Path) -> None:
    desk = Desk(tmp_path, FLOOD)
    try:
        twin = Peer(desk, "twin", "twin")
        twin.hear(wire.Registered)
        twin.send(wire.Ready())
        desk.until(lambda: desk.stage.is_ready("twin"))
        for node in ("hidden-flood-1", "sensor-2"):
            fields: dict[str, wire.Value] = {"sent": 1, "received": 1}
            desk.stage.record([wire.Record(1, "node", {"node": node, "role": "flood"}, fields)])
        assert [r.tags["node"] for r in twin.hear(wire.Telemetry).records] == ["sensor-2"]
        desk.events()
        assert [r.tags["node"] for r in desk.folder.records() if r.measurement == "node"] == [
            "hidden-flood-1",
            "sensor-2",
        ]
    finally:
        desk.close()
