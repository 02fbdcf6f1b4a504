"""What cannot be a world is refused with one sentence that says what is allowed."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from emulator.errors import WorldError
from emulator.spec import ConstellationSpec, FixedLink, Place, RadioSpec
from emulator.table import Adjustments
from emulator.world import World
from tests.emulator.worlds import DRY, REGION, gateway, region_spec, terminal

_GRID = dataclasses.replace(REGION, isl="nearest")
_TWO = (Place("orbit", "satellite", satellite="sat-1"), Place("other", "satellite", satellite="sat-2"))
_MAST = Place("mast", "ground", 47.0, 10.1, radio="ka", access="station")


def _refused(**change: Any) -> str:
    with pytest.raises(WorldError) as caught:
        World(dataclasses.replace(region_spec(), **change))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        (
            FixedLink("orbit", "site", radio="ka"),
            "link orbit - site: has a radio, but 'orbit' is on a satellite",
        ),
        (
            FixedLink("site", "sat-2", radio="ka"),
            "link site - sat-2: has a radio, but 'sat-2' is on a satellite",
        ),
        (
            FixedLink("gate", "orbit"),
            "link gate - orbit: links of terminals and gateways to satellites come from access",
        ),
        (FixedLink("north", "sat-3"), "link north - sat-3: links of terminals and gateways to satellites"),
        (FixedLink("gate", "gate"), "link gate - gate: both ends are the same place"),
        (FixedLink("orbit", "sat-1"), "link orbit - sat-1: both ends are the same place"),
        (FixedLink("gate", "site", radio="ku"), "link gate - site: no radio 'ku', there is ka"),
        (FixedLink("gate", "site", rate_mbps=0.0), "link gate - site: rate_mbps is 0, it must be above 0"),
        (FixedLink("gate", "site", delay_ms=math.nan), "delay_ms is nan, it must not be below 0"),
        (FixedLink("gate", "site", jitter_ms=-1.0), "jitter_ms is -1, it must not be below 0"),
        (FixedLink("gate", "site", loss=1.5), "link gate - site: loss is 1.5, allowed: 0 to 1"),
        (FixedLink("gate", "site", queue_packets=0), "queue_packets is 0, allowed: 1 to 2147483647"),
        (
            FixedLink("gate", "site", queue_kbytes=math.inf),
            "queue_kbytes is inf, it must be above 0 and finite",
        ),
    ],
)
def test_links(link: FixedLink, sentence: str) -> None:
    assert sentence in _refused(links=(link,))


def test_a_link_given_twice() -> None:
    assert "given twice" in _refused(links=(FixedLink("gate", "site"), FixedLink("site", "gate")))


def test_links_between_satellites_that_are_linked_already() -> None:
    given = {"places": _TWO, "links": (FixedLink("orbit", "other"),)}
    wired = dataclasses.replace(region_spec(), **given)
    assert len(World(wired).epoch(0.0)) == 2
    assert "links between satellites come from constellation.isl" in _refused(**given, constellation=_GRID)


def test_links_between_terminals_and_stations() -> None:
    places = (terminal("dish", 47.0, 10.0), _MAST)
    sentence = _refused(places=places, links=(FixedLink("mast", "dish"),))
    assert sentence == "link mast - dish: links of terminals to stations come from access"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"constellation": dataclasses.replace(_GRID, isl_rate_mbps=0.0)}, "isl_rate_mbps is 0, it must be"),
        (
            {"constellation": dataclasses.replace(_GRID, isl_processing_ms=-1.0)},
            "constellation.isl_processing_ms is -1, it must not be below 0",
        ),
        (
            {"constellation": dataclasses.replace(_GRID, isl_queue_packets=0)},
            "isl_queue_packets is 0, allowed",
        ),
        (
            {"radios": (dataclasses.replace(DRY, queue_packets=-1),)},
            "radio 'ka': queue_packets is -1, allowed",
        ),
        ({"radios": (dataclasses.replace(DRY, queue_kbytes=0.0),)}, "radio 'ka': queue_kbytes is 0, it must"),
        ({"constellation": dataclasses.replace(REGION, isl="mesh")}, "constellation.isl is 'mesh', allowed:"),
        ({"radios": (DRY, DRY)}, "radios: two have the same name"),
        ({"radios": (dataclasses.replace(DRY, jitter_ms=math.inf),)}, "radio 'ka': jitter_ms is inf"),
        (
            {"places": (gateway("gate", 48.0, 11.0), _MAST), "constellation": ConstellationSpec()},
            "place 'gate': access is 'gateway', but there is no constellation",
        ),
        (
            {"places": (terminal("dish", 48.0, 11.0),), "constellation": ConstellationSpec()},
            "place 'dish': access is 'terminal', but there is no constellation and no station",
        ),
        (
            {"places": (dataclasses.replace(_TWO[0], access="terminal", radio="ka"),)},
            "place 'orbit': access is 'terminal', which needs a radio and a place on the ground",
        ),
        ({"radios": (RadioSpec("ka", up_bandwidth_mhz=math.nan),)}, "up_bandwidth_mhz is nan, it must be"),
    ],
)
def test_worlds(change: dict[str, Any], sentence: str) -> None:
    assert sentence in _refused(**{"links": (), **change})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Adjustments(link_down={("gate", "sight")}), "adjustments: no place 'sight'"),
        (Adjustments(rate_factor={("sun", "gate"): 0.5}), "adjustments: no place 'sun'"),
        (Adjustments(along_track_km={"gate": 1.0}), "adjustments: no satellite 'gate', there is sat-1"),
    ],
)
def test_adjustments(given: Adjustments, sentence: str) -> None:
    with pytest.raises(WorldError, match=sentence):
        World(region_spec(), given)


def test_a_time_that_is_none() -> None:
    with pytest.raises(ValueError, match="epochs go forward"):
        World(region_spec()).epoch(math.nan)
