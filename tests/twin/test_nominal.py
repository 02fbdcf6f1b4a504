"""The nominal network is the emulator's own World, and the belief reaches it exactly."""

from __future__ import annotations

import dataclasses
import math

import pytest

from emulator.spec import AccessSpec, ConstellationSpec, FixedLink, OverRegion, Place, RadioSpec, WorldSpec
from emulator.world import Adjustments, World
from testbed.twin.nominal import NominalLink, NominalNetwork


class Belief:
    def __init__(self, fade: float = 0.0, bias: float = 0.0) -> None:
        self.fade, self.bias = fade, bias

    def fade_db(self, place: str, direction: str) -> float:
        return self.fade * (2.0 if direction == "up" else 1.0)

    def bias_db(self, place: str, direction: str) -> float:
        return self.bias * (3.0 if direction == "down" else 1.0)


SPEC = WorldSpec(
    "2025-06-01T12:00:00Z", 60.0, 0.1,
    (
        Place("field", "ground", 47.0, 10.0, radio="s", access="terminal"),
        Place("gateway", "ground", 48.0, 11.0, radio="ka", access="gateway"),
        Place("valley", "ground", 46.7, 10.0),
        Place("centre", "ground", 48.1, 11.1),
    ),
    ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0)),
    (
        RadioSpec("s", up_frequency_ghz=2.0, down_frequency_ghz=2.2, weather=False, up_bandwidth_mhz=2.0),
        RadioSpec("ka"),
    ),
    (FixedLink("gateway", "centre"), FixedLink("valley", "field", radio="s")),
)  # fmt: skip


def links_of(belief: Belief) -> dict[str, NominalLink]:
    return {link.id: link for link in NominalNetwork(SPEC, belief).at(10.0)}


@pytest.fixture(scope="module")
def plain() -> dict[str, NominalLink]:
    return links_of(Belief())


def test_both_directions_of_every_kind_of_link_are_there(plain: dict[str, NominalLink]) -> None:
    assert {link.kind for link in plain.values()} == {"access", "feeder", "fixed"}
    for link in plain.values():
        assert f"{link.sink}>{link.source}" in plain


def test_propagation_is_part_of_the_delay(plain: dict[str, NominalLink]) -> None:
    for link in plain.values():
        assert 0.0 < link.propagation_ms <= link.delay_ms
    access = next(link for link in plain.values() if link.kind == "access")
    assert access.propagation_ms > 1000.0 / 299.8  # a satellite 1000 km up


def test_only_links_to_satellites_are_sighted_and_those_with_a_radio_have_an_elevation(
    plain: dict[str, NominalLink],
) -> None:
    for link in plain.values():
        assert (link.sighting is not None) == (link.kind != "fixed")
        assert math.isfinite(link.elevation_deg) == math.isfinite(link.snr_db)
    assert 10.0 <= plain[next(name for name in plain if name.startswith("field>sat"))].elevation_deg <= 90.0


@pytest.mark.parametrize(("fade", "bias"), [(4.0, 0.0), (0.0, 0.7), (0.0, -0.7), (3.0, 0.5)])
def test_a_belief_moves_the_predicted_snr_by_exactly_itself(
    plain: dict[str, NominalLink], fade: float, bias: float
) -> None:
    belief = Belief(fade, bias)
    for name, link in links_of(belief).items():
        if math.isfinite(link.snr_db):
            expected = belief.bias_db(link.place, link.direction) - belief.fade_db(link.place, link.direction)
            assert link.snr_db - plain[name].snr_db == pytest.approx(expected, abs=1e-9), name


def test_a_believed_fade_lowers_the_rate_of_radios_that_feel_weather(plain: dict[str, NominalLink]) -> None:
    faded = links_of(Belief(fade=5.0))
    feeders = [name for name, link in plain.items() if link.kind == "feeder"]
    assert feeders
    for name in feeders:
        assert faded[name].rate_bps < plain[name].rate_bps


def test_inter_satellite_links_are_listed_on_request_only() -> None:
    spec = WorldSpec(
        SPEC.start_utc, 60.0, 0.1, SPEC.places[:2],
        ConstellationSpec(over_region=OverRegion(47.0, 10.0, 2000.0, 1000.0)), SPEC.radios,
    )  # fmt: skip
    network = NominalNetwork(spec, Belief())
    assert not [
        link for link in network.at(0.0, frozenset({"sat-1>sat-2", "no>where"})) if link.kind == "isl"
    ]


NOISY = dataclasses.replace(
    SPEC,
    places=(
        Place("field", "ground", 47.0, 10.0, radio="ka", access="terminal"),
        Place("gateway", "ground", 48.0, 11.0, radio="ka", access="gateway"),
    ),
    radios=(RadioSpec("ka", down_system_noise_k=150.0),),
    links=(),
)


@pytest.mark.parametrize("percent", [0.0, 0.5])
def test_a_fade_is_the_whole_fall_where_weather_raises_the_noise(percent: float) -> None:
    pytest.importorskip("itur")
    spec = dataclasses.replace(NOISY, radios=(dataclasses.replace(NOISY.radios[0], weather_percent=percent),))
    plain = {link.id: link for link in NominalNetwork(spec, Belief()).at(10.0)}
    faded = {link.id: link for link in NominalNetwork(spec, Belief(fade=4.0)).at(10.0)}
    for name, link in faded.items():
        expected = -8.0 if link.direction == "up" else -4.0
        assert link.snr_db - plain[name].snr_db == pytest.approx(expected, abs=1e-6), name


def test_the_attenuation_behind_a_fall_is_less_by_the_noise_it_adds() -> None:
    pytest.importorskip("itur")
    network = NominalNetwork(NOISY, Belief())
    network.at(10.0)
    down = network.attenuation_of_fall("gateway", "down", 6.0)
    assert 2.0 < down < 5.0
    assert network.attenuation_of_fall("gateway", "up", 6.0) == 6.0
    truth = World(NOISY, Adjustments(attenuation_db={"gateway": down})).epoch(10.0)
    clear = World(NOISY).epoch(10.0)
    gateway = (truth.dst == 1) & (truth.kind == 1)
    assert gateway.any()
    assert clear.snr_db[gateway] - truth.snr_db[gateway] == pytest.approx(6.0, abs=1e-3)


def test_a_terminal_on_a_station_keeps_its_weather_and_the_stations_radio() -> None:
    spec = dataclasses.replace(
        SPEC,
        places=(
            Place("field", "ground", 47.0, 10.0, radio="ka", access="terminal"),
            Place("cell", "ground", 47.02, 10.0, radio="s", access="station"),
        ),
        links=(),
        access=AccessSpec(layers=("station",)),
    )
    links = {link.id: link for link in NominalNetwork(spec, Belief()).at(10.0)}
    there, back = links["field>cell"], links["cell>field"]
    assert (there.place, there.direction, there.group) == ("field", "up", "access/s/up")
    assert (back.place, back.direction, back.group) == ("field", "down", "access/s/down")
