"""Floods and impostors against traffic whose truth is known, and against what only looks like them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nodes.wire import Record
from testbed.twin.anomalies import Floods, Impostors
from testbed.twin.detect import threshold_for
from testbed.twin.events import Events
from testbed.twin.nominal import NominalLink
from testbed.twin.parts import Window

WINDOW_S = 0.5
THRESHOLD = threshold_for(1e8, 1.0)
TERMINALS = ("field-1", "field-2", "field-3")
HANDOVER_S = 100.0


def link(name: str) -> NominalLink:
    source, _, sink = name.partition(">")
    return NominalLink(
        name, source, sink, "access", "", "up", "g", 5.0, 4.0, 0.1, 1e7, math.nan, 0.0, 0.0, 0
    )  # fmt: skip


def window_of(number: int, names: list[str], reports: dict[str, Record]) -> Window:
    begins_s = number * WINDOW_S
    return Window(
        number, round(begins_s * 1e9), begins_s, WINDOW_S, round((begins_s + WINDOW_S) * 1e9),
        begins_s + WINDOW_S, {name: link(name) for name in names}, reports, False,
    )  # fmt: skip


class Traffic:
    """Terminals that send readings all the time and 50 kB now and then, by a satellite to a gateway.

    `flood_mbps(place, t_s)` comes in addition; the satellite changes at `HANDOVER_S`.
    """

    def __init__(self, seed: int, flood_mbps: Callable[[str, float], float]) -> None:
        self._random = np.random.default_rng(seed)
        self._flood_mbps = flood_mbps
        self.events = Events(WINDOW_S)
        self.part = Floods(self.events, THRESHOLD)
        self.factor = 1.0
        self.missing = 0.0

    def run(self, windows: range) -> list[Record]:
        said = []
        for number in windows:
            t_s = number * WINDOW_S
            satellite = "sat-1" if t_s < HANDOVER_S else "sat-2"
            sent: dict[str, float] = {}
            for place in TERMINALS:
                load = 1_000.0 * self._random.poisson(4.0)
                load += 50_000.0 * (self._random.random() < 0.12)
                load += self._flood_mbps(place, t_s) * 1e6 / 8.0 * WINDOW_S
                sent[f"{place}>{satellite}"] = self.factor * load
            sent[f"{satellite}>gateway"] = sum(sent.values())
            back = 2_000.0 * self._random.poisson(3.0)
            sent[f"gateway>{satellite}"] = back
            sent.update({f"{satellite}>{place}": back / 3.0 for place in TERMINALS})
            reports = {}
            for name, size in sent.items():
                fields: dict[str, Any] = {"window_s": WINDOW_S, "bytes_in": size, "bytes_out": size}
                if self._random.random() >= self.missing:
                    reports[name] = Record(0, "link", {"link": name}, fields)
            said += self.part.close(window_of(number, list(sent), reports), [])
        return said


def flood_at(place: str, mbps: float, from_s: float, until_s: float = math.inf) -> Any:
    return lambda who, t_s: mbps if who == place and from_s <= t_s < until_s else 0.0


def none(_place: str, _t_s: float) -> float:
    return 0.0


@pytest.mark.parametrize(("mbps", "seed"), [(1.0, 1), (4.0, 2), (8.0, 3)])
def test_a_flood_is_named_by_the_place_it_comes_from_and_measured(mbps: float, seed: int) -> None:
    traffic = Traffic(seed, flood_at("field-2", mbps, 60.0))
    said = traffic.run(range(300))
    assert [(r.measurement, r.tags["kind"], r.tags["target"]) for r in said] == [
        ("detection", "flood", "field-2")
    ]
    assert 60.0 < said[0].fields["detected_s"] < 66.0
    assert said[0].fields["onset_s"] == pytest.approx(60.0, abs=1.0)
    assert said[0].fields["links"] == "field-2>sat-1"
    (event,) = traffic.events.active
    assert event.low95 < mbps < event.high95
    assert event.size == pytest.approx(mbps, abs=0.15)


def test_a_flood_that_ends_is_a_recovery() -> None:
    traffic = Traffic(4, flood_at("field-1", 3.0, 60.0, 80.0))
    said = traffic.run(range(260))
    assert [r.measurement for r in said] == ["detection", "recovery"]
    assert said[1].fields["ended_s"] == pytest.approx(80.0, abs=2.0)
    assert traffic.events.active == []


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_bursts_and_a_handover_are_no_flood(missing: float) -> None:
    for seed in range(5, 9):
        traffic = Traffic(seed, none)
        traffic.missing = missing
        assert traffic.run(range(2400)) == []


def test_a_little_more_traffic_is_learned() -> None:
    traffic = Traffic(9, none)
    traffic.run(range(150))
    traffic.factor = 1.3
    assert traffic.run(range(150, 800)) == []


def test_a_flood_explains_the_congestion_of_its_link_only() -> None:
    traffic = Traffic(10, flood_at("field-2", 5.0, 40.0))
    assert traffic.part in traffic.events.explained_by
    traffic.run(range(78))
    assert not traffic.part.explains("congestion", "field-2>sat-1")
    traffic.run(range(78, 120))
    assert traffic.part.explains("congestion", "field-2>sat-1")
    assert not traffic.part.explains("congestion", "field-1>sat-1")
    assert not traffic.part.explains("attenuation", "field-2>sat-1")


# --- impostors ----------------------------------------------------------------------------------


class Receiver:
    """A gateway's reports on one sensor's readings, which follow a slow wave.

    `foreign(t_s)`: readings a second that a second source adds; `lie`: by how much those lie elsewhere.
    """

    def __init__(self, seed: int, foreign: Callable[[float], int], lie: float = 8.0) -> None:
        self._random = np.random.default_rng(seed)
        self._foreign, self._lie = foreign, lie
        self.events = Events(1.0)
        self.part = Impostors({"sensor-1": "field-1"}, self.events, THRESHOLD)
        self.repeats: Callable[[float], int] | None = None
        self.step = 0.0
        self.values = True

    def run(self, seconds: range) -> list[Record]:
        said = []
        for second in seconds:
            wave = 20.0 + 5.0 * math.sin(second / 30.0) + self.step
            own = wave + self._random.normal(0.0, 0.2, 5)
            foreign = wave + self._lie + self._random.normal(0.0, 0.2, self._foreign(float(second)))
            values = np.concatenate((own, foreign))
            repeated = len(foreign) if self.repeats is None else self.repeats(float(second))
            fields: dict[str, Any] = {"packets": len(values), "repeated": repeated}
            if self.values:
                fields |= {"value_mean": float(values.mean()), "value_sd": float(values.std())}
            tags = {"node": "gateway-1", "source": "sensor-1", "flow": "data"}
            record = Record(round((second + 1.0) * 1e9), "flow", tags, fields)
            window = Window(
                second, second * 10**9, float(second), 1.0, (second + 1) * 10**9, second + 1.0, {}, {}, False
            )
            said += self.part.close(window, [record])
        return said


def test_an_impostor_is_named_by_the_identity_it_uses() -> None:
    receiver = Receiver(1, lambda t: 5 if t >= 60.0 else 0)
    said = receiver.run(range(120))
    assert [(r.measurement, r.tags) for r in said] == [
        ("detection", {"kind": "impostor", "target": "sensor-1", "where": "field-1"})
    ]
    assert 60.0 < said[0].fields["detected_s"] <= 65.0
    (event,) = receiver.events.active
    assert event.low95 < 0.5 < event.high95 + 1e-9
    assert event.unit == "share"


def test_an_impostor_that_leaves_is_a_recovery() -> None:
    said = Receiver(2, lambda t: 5 if 60.0 <= t < 90.0 else 0).run(range(150))
    assert [r.measurement for r in said] == ["detection", "recovery"]
    assert said[1].fields["size"] == pytest.approx(0.5, abs=0.05)


def test_repeats_of_the_same_readings_are_no_impostor() -> None:
    receiver = Receiver(3, lambda t: 5 if t >= 60.0 else 0, lie=0.0)
    assert receiver.run(range(300)) == []


def test_a_step_of_the_readings_without_repeats_is_no_impostor() -> None:
    receiver = Receiver(4, lambda _t: 0)
    receiver.run(range(60))
    receiver.step = 15.0
    assert receiver.run(range(60, 200)) == []


def test_numbers_that_begin_anew_after_a_restart_are_no_impostor() -> None:
    """A few numbers come twice while the receiver notices, and the readings have moved on."""
    receiver = Receiver(5, lambda _t: 0)
    receiver.repeats = lambda t: 5 if t == 60.0 else 0
    receiver.run(range(60))
    receiver.step = 6.0
    assert receiver.run(range(60, 200)) == []


def test_without_readings_nothing_is_said_of_identities() -> None:
    receiver = Receiver(6, lambda t: 5 if t >= 60.0 else 0)
    receiver.values = False
    assert receiver.run(range(200)) == []


def test_a_network_that_repeats_a_few_is_no_impostor() -> None:
    for seed in range(10, 14):
        receiver = Receiver(seed, lambda _t: 0)
        draws = np.random.default_rng(seed)
        receiver.repeats = lambda _t, draws=draws: int(draws.random() < 0.05)
        assert receiver.run(range(2000)) == []
