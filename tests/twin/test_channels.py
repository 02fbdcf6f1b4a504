"""Which radio channel a link belongs to, and what is known of it beforehand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from emulator.spec import ConstellationSpec, OverRegion, Place, RadioSpec, WorldSpec
from testbed.twin.channels import Channels
from testbed.twin.nominal import NominalLink

WORLD = WorldSpec(
    "2025-06-01T12:00:00Z", 60.0, 0.1,
    (
        Place("ship", "ship", 47.0, 10.0, radio="s", access="terminal"),
        Place("town", "ground", 47.0, 10.0, radio="urban", access="terminal"),
        Place("quay", "ground", 47.0, 10.1, radio="s", access="station"),
        Place("balloon", "aerial", 47.1, 10.1, 20e3, radio="s", access="station"),
    ),
    ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0)),
    (RadioSpec("s"), RadioSpec("urban", environment="urban")),
)  # fmt: skip


def link(source: str, sink: str, place: str) -> NominalLink:
    direction = "up" if source == place else "down"
    fields: dict[str, Any] = dict.fromkeys(NominalLink._fields, 0.0)
    fields |= {"id": f"{source}>{sink}", "source": source, "sink": sink, "place": place}
    return NominalLink(**{**fields, "direction": direction, "kind": "access", "group": "access"})


@pytest.fixture
def channels() -> Channels:
    return Channels(WORLD, 8.0, lambda place, direction, fall_db: 0.5 * fall_db)


def settle(channels: Channels, here: NominalLink, bias_db: float) -> None:
    for window in range(60):
        channels.of(here).observe([bias_db - channels.of(here).bias.mean], 0.5 * window, 0.5)


def test_both_directions_of_a_place_are_channels_of_their_own(channels: Channels) -> None:
    up, down = channels.of(link("ship", "quay", "ship")), channels.of(link("quay", "ship", "ship"))
    assert up is not down
    assert set(channels.all) == {("ship", "up"), ("ship", "down")}


def test_another_satellite_is_the_same_channel_with_what_is_known_of_it(channels: Channels) -> None:
    settle(channels, link("ship", "sat-1", "ship"), -0.6)
    before = channels.of(link("ship", "sat-1", "ship")).bias.variance
    assert channels.of(link("ship", "sat-2", "ship")).bias.variance == before


def test_another_station_has_another_modem_whose_bias_raises_no_alarm(channels: Channels) -> None:
    quay, balloon = link("ship", "quay", "ship"), link("ship", "balloon", "ship")
    settle(channels, quay, -0.6)
    known = channels.of(quay).bias.variance
    assert channels.of(balloon).bias.variance > 10.0 * known
    moved = channels.of(balloon)
    alarms = [moved.observe([0.9 - moved.bias.mean], 30.0 + 0.5 * window, 0.5) for window in range(40)]
    assert alarms == [None] * 40
    assert moved.bias.mean == pytest.approx(0.9, abs=0.2)


def test_where_sight_comes_and_goes_no_fall_is_a_change(channels: Channels) -> None:
    town = channels.of(link("town", "sat-1", "town"))
    assert "town" in channels.surrounded
    alarms = [town.observe([-25.0 if window > 20 else 0.0], 0.5 * window, 0.5) for window in range(60)]
    assert alarms == [None] * 60


def test_the_attenuation_behind_a_fade_is_that_of_the_published_radio(channels: Channels) -> None:
    ship = channels.of(link("sat-1", "ship", "ship"))
    ship.observe([-4.0], 0.0, 0.5)
    ship.bias.mean = 0.0  # the first report is taken for the modem's own
    ship._recent[-1] = (0.0, -4.0, 1)
    size = ship.attenuation()
    assert size.mean == pytest.approx(2.0)
    assert math.isclose(size.sd, 0.5 * ship.size()[1])


def test_a_world_without_surroundings_has_none() -> None:
    plain = dataclasses.replace(WORLD, places=WORLD.places[:1], radios=WORLD.radios[:1])
    assert Channels(plain, 8.0, lambda place, direction, fall_db: fall_db).surrounded == set()
