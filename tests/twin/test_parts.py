"""The parts of a twin are given each window's records in order of time, and add to its belief."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nodes.wire import Record
from testbed.twin import parts
from testbed.twin.belief import Belief, Estimate
from testbed.twin.observations import OBSERVABLE
from testbed.twin.parts import State, Window


class _Clocks:
    measurements = frozenset({"clock"})

    def __init__(self) -> None:
        self.seen: list[tuple[int, list[int]]] = []

    def close(self, window: Window, records: list[Record]) -> list[Record]:
        self.seen.append((window.number, [record.t_ns for record in records]))
        return [Record(window.now_ns, "detection", {"kind": "clock"}, {})] if records else []

    def states(self) -> Iterator[State]:
        yield State("edge-sat", "clock_offset_ms", 2.0, 0.01)

    def tell(self, belief: Belief) -> None:
        belief.clock_offset_ms["edge-sat"] = Estimate(2.0, 0.1)


def test_parts_are_told_of_their_records_window_by_window(
    synthetic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = _Clocks()
    monkeypatch.setattr(parts, "build", lambda *_: [part])
    twin = synthetic.make_twin(10.0)
    start, length = synthetic.start_ns, synthetic.window_ns
    twin.predict(0)
    times = [start + length + 5, start + 7, start + 3]
    twin.take([Record(t, "clock", {"node": "edge-sat"}, {"t1_ns": 1}) for t in times])
    assert [r.tags["kind"] for r in twin.close(0, start + length)] == ["clock"]
    twin.predict(1)
    twin.close(1, start + 2 * length)
    assert part.seen == [(0, [start + 3, start + 7]), (1, [start + length + 5])]
    said = [r for r in twin.beliefs(start) if r.tags["state"] == "clock_offset_ms"]
    assert [(r.tags["target"], r.fields["mean"]) for r in said] == [("edge-sat", 2.0)]
    assert twin.belief(start + 10**9).clock_offset_ms == {"edge-sat": Estimate(2.0, 0.1)}
    assert twin.belief(start + 10**9).t_s == 1.0


def test_a_belief_is_given_to_the_world_as_its_means() -> None:
    belief = Belief(
        attenuation_db={"gate/up": Estimate(6.0, 1.0), "gate/down": Estimate(5.0, 1.0)},
        snr_bias_db={"gate/up": Estimate(0.4), "gate/down": Estimate(0.2)},
        capacity_factor={"a>b": Estimate(0.5)},
        delay_ms={"a>b": Estimate(3.0), "b>a": Estimate(-0.2)},
        loss={"a>b": Estimate(0.02)},
        down=["b>c"],
        along_track_km={"sat-1": Estimate(-8.0)},
    )
    made = belief.adjustments()
    assert made.attenuation_db == {"gate": 6.0}
    assert made.implementation_loss_bias_db == pytest.approx({"gate": -0.3})
    assert made.rate_factor == {("a", "b"): 0.5}
    assert made.extra_delay_ms == {("a", "b"): 3.0, ("b", "a"): 0.0}
    assert made.extra_loss == {("a", "b"): 0.02}
    assert made.link_down == {("b", "c")}
    assert made.along_track_km == {"sat-1": -8.0}


def test_the_parts_of_a_twin_share_its_rate_of_false_alarms(synthetic: Any) -> None:
    """More nodes are more detectors: each of them has to be surer."""
    twin = synthetic.make_twin(10.0)
    known = twin.knowledge
    few = parts.channels(known)
    known.node_places.update({f"sensor-{n}": "field-1" for n in range(20)})
    assert parts.channels(known) == few + 60


def test_each_part_is_built_once_and_wants_what_may_be_seen(synthetic: Any) -> None:
    built = synthetic.make_twin(10.0).parts
    assert len({type(part) for part in built}) == len(built)
    names = {type(part).__name__ for part in built}
    assert {"Orbits", "Clocks", "Telemetry", "Floods", "Impostors"} <= names
    for part in built:
        assert part.measurements <= OBSERVABLE.keys()
