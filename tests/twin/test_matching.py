"""Causes that were named, counted against the deviations that were there."""

from __future__ import annotations

from typing import Any

from nodes.wire import Record
from testbed.twin.matching import NOTHING, confusion, resembles


def _event(deviation: str, target: str, what: str, t_s: float) -> Record:
    tags = {"deviation": deviation, "target": target}
    return Record(round(t_s * 1e9), "plant_event", tags, {"what": what})


def _seen(kind: str, target: str, t_s: float) -> dict[str, Any]:
    return {"kind": kind, "target": target, "where": target, "detected_s": t_s}


RAIN = [_event("rain", "gateway", "start", 10.0), _event("rain", "gateway", "end", 20.0)]


def test_a_right_name_counts_also_when_a_wrong_one_came_first() -> None:
    seen = [_seen("congestion", "gateway>sat-1", 11.0), _seen("attenuation", "gateway", 12.0)]
    assert confusion(seen, RAIN) == {"rain": {"attenuation": 1}}


def test_a_wrong_name_at_the_right_place_is_a_confusion() -> None:
    assert confusion([_seen("congestion", "gateway>sat-1", 11.0)], RAIN) == {"rain": {"congestion": 1}}


def test_what_was_not_noticed_and_what_was_not_there_are_counted_too() -> None:
    seen = [_seen("clock", "sensor-1", 11.0), _seen("attenuation", "gateway", 40.0)]
    assert confusion(seen, RAIN) == {
        "rain": {NOTHING: 1},
        NOTHING: {"clock": 1, "attenuation": 1},
    }


def test_every_new_deviation_has_a_cause_that_names_it() -> None:
    for deviation, kind, target in (
        ("capacity", "congestion", "a>sat-1"),
        ("clock_offset", "clock", "sensor-1"),
        ("lost_telemetry", "lost_telemetry", "gateway"),
        ("flood", "flood", "a>sat-1"),
        ("impostor", "impostor", "sensor-1"),
        ("stale_orbit", "orbit_error", "sat-1"),
    ):
        assert resembles(_seen(kind, target, 1.0), deviation, target)
        assert not resembles(_seen("slow_server", target, 1.0), deviation, target)
