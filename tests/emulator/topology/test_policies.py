"""The policies of access, layers, stations and gateways, where what is offered is laid out by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.geometry import Sky, ecef_from_geodetic
from emulator.orbits.ephemeris import Ephemeris
from emulator.orbits.frames import RunClock
from emulator.orbits.motion import Motion
from emulator.orbits.shells import generate
from emulator.spec import AccessSpec, Place, Waypoint
from emulator.topology.access import Access
from emulator.topology.policies import LOAD_ADVANTAGE, Nominal
from tests.emulator.worlds import SHELL, gateway, terminal

GEO_KM, LEO_KM, MEO_KM = 35_786.0, 1000.0, 8000.0
EACH_SECOND = AccessSpec(decision_interval_s=1.0, hysteresis_deg=0.0, hysteresis_db=0.0)


class Pinned:
    """An ephemeris of satellites that stand over given points: (latitude, longitude, height km)."""

    def __init__(self, *points: tuple[float, float, float]) -> None:
        self._position = np.array([ecef_from_geodetic(a, b, km * 1e3) for a, b, km in points]).reshape(-1, 3)
        self.all = np.arange(len(points), dtype=np.int32)

    def positions(self, t_s: float, wanted: Any = None, shift_s: Any = None) -> np.ndarray:
        return self._position[self.all if wanted is None else wanted].copy()

    def velocities(self, t_s: float, wanted: Any = None) -> np.ndarray:
        return np.zeros_like(self.positions(t_s, wanted))


def _access(
    places: Sequence[Place],
    *points: tuple[float, float, float],
    relayed: bool = True,
    nominal: Nominal | None = None,
    hosting: Sequence[int] = (),
    **rules: Any,
) -> Access:
    spec = dataclasses.replace(EACH_SECOND, **rules)
    ephemeris = cast(Ephemeris, Pinned(*points))
    return Access(spec, list(places), list(hosting), ephemeris, 0.0, relayed, nominal)


def _serving(access: Access, t_s: float = 0.0) -> list[int]:
    access.advance(t_s)
    return list(access.choice.serving.values())


def _nominal(figures: dict[int, float], changing: list[float] | None = None) -> Nominal:
    """The same figure for everybody, by provider; `changing` is added to the first provider's."""

    def figure(
        place: int, provider: np.ndarray, range_m: np.ndarray, elevation_deg: np.ndarray
    ) -> np.ndarray:
        assert len(provider) == len(range_m) == len(elevation_deg)
        found = np.array([figures[int(k)] for k in provider])
        if changing:
            found[provider == min(figures)] += changing[0]
        return found

    return Nominal(snr_db=figure, rate_bps=figure)


def _station(km: float = 1.0, **more: Any) -> Place:
    return Place(f"cell-{km:g}", "ground", 47.0 + km / 111.2, 10.0, radio="cell", access="station", **more)


DISH = terminal("dish", 47.0, 10.0)


# --- who is meant ---------------------------------------------------------------------------------


def test_satellites_come_after_the_places_in_the_count_and_nobody_is_minus_one() -> None:
    lonely = terminal("lonely", -47.0, -170.0)
    access = _access([DISH, lonely], (0.0, -170.0, LEO_KM), (47.0, 10.5, LEO_KM))
    assert _serving(access) == [2 + 1, -1]


def test_the_choice_is_the_one_that_looking_at_every_satellite_gives() -> None:
    clock = RunClock("2025-10-01T12:00:00Z")
    ephemeris = Ephemeris([record for _, record in generate(SHELL, clock)], clock)
    places = [terminal(f"t{k}", -50.0 + 11.0 * k, 40.0 * k - 170.0) for k in range(9)]
    access = Access(EACH_SECOND, places, [], ephemeris, 0.0, True)
    motion, sky = Motion(places), Sky(len(ephemeris.all))
    for t_s in range(0, 90, 10):
        access.advance(float(t_s))
        now, later = ephemeris.positions(float(t_s)), ephemeris.positions(t_s + 1.0)
        for k in range(9):
            seen, high, _, _ = sky.visible(motion.position[k], motion.axes[k], now, 10.0)
            lasts = sky.visible(motion.position[k], motion.axes[k], later, 10.0)[0]
            kept = np.isin(seen, lasts)
            expected = seen[kept][np.argmax(high[kept])] + 9 if kept.any() else -1
            assert access.choice.serving[k] == expected


# --- policies -------------------------------------------------------------------------------------


def test_of_equally_high_ones_the_first_is_taken() -> None:
    access = _access([DISH], (47.0, 12.0, LEO_KM), (47.0, 8.0, LEO_KM), (47.0, 12.0, LEO_KM))
    assert _serving(access)[0] in (1, 2)
    twice = _access([DISH], (47.0, 30.0, LEO_KM), (47.0, 12.0, LEO_KM), (47.0, 12.0, LEO_KM))
    assert _serving(twice) == [1 + 1]


def test_best_snr_takes_what_the_nominal_link_budget_says() -> None:
    points = (47.0, 10.0, LEO_KM), (47.0, 14.0, LEO_KM)
    assert _serving(_access([DISH], *points, policy="best-snr", nominal=_nominal({1: 8.0, 2: 9.0}))) == [2]
    assert _serving(_access([DISH], *points)) == [1]


@pytest.mark.parametrize(("hysteresis_db", "chosen"), [(1.0, 1), (0.9, 2)])
def test_best_snr_stays_within_its_hysteresis(hysteresis_db: float, chosen: int) -> None:
    changing = [0.0]
    access = _access(
        [DISH], (47.0, 10.0, LEO_KM), (47.0, 14.0, LEO_KM),
        policy="best-snr", hysteresis_db=hysteresis_db, nominal=_nominal({1: 10.0, 2: 9.0}, changing),
    )  # fmt: skip
    assert _serving(access) == [1]
    changing[0] = -2.0
    assert _serving(access, 1.0) == [chosen]


def test_an_snr_that_is_not_a_number_is_the_worst() -> None:
    points = (47.0, 10.0, LEO_KM), (47.0, 14.0, LEO_KM)
    nominal = _nominal({1: float("nan"), 2: -5.0})
    assert _serving(_access([DISH], *points, policy="best-snr", nominal=nominal)) == [2]


def test_load_aware_shares_terminals_out_by_the_rate_each_can_expect() -> None:
    dishes = [terminal(f"d{k}", 47.0, 10.0) for k in range(6)]
    points = (47.0, 10.0, LEO_KM), (47.0, 14.0, LEO_KM)
    access = _access(dishes, *points, policy="load-aware", nominal=_nominal({6: 2e8, 7: 1e8}))
    serving = _serving(access)
    assert sorted(serving) == [6, 6, 6, 6, 7, 7]
    # and nobody gains enough by moving afterwards
    assert _serving(access, 5.0) == serving


def test_load_aware_moves_for_more_than_the_stated_advantage_only() -> None:
    points = (47.0, 10.0, LEO_KM), (47.0, 14.0, LEO_KM)
    for short_of, chosen in ((0.99, 1), (1.01, 2)):
        changing = [0.0]
        nominal = _nominal({1: 1e8, 2: 9e7}, changing)
        access = _access([DISH], *points, policy="load-aware", nominal=nominal)
        assert _serving(access) == [1]
        changing[0] = 9e7 / (LOAD_ADVANTAGE * short_of) - 1e8
        assert _serving(access, 1.0) == [chosen]


def test_load_is_shared_out_in_the_same_way_every_time() -> None:
    dishes = [terminal(f"d{k}", 46.0 + 0.3 * k, 9.0 + 0.4 * k) for k in range(7)]
    points = [(47.0, 8.0 + k, LEO_KM) for k in range(4)]
    runs = []
    for _ in range(2):
        access = _access(
            dishes, *points, policy="load-aware", nominal=_nominal(dict.fromkeys(range(7, 11), 1e8))
        )
        runs.append([_serving(access, float(t_s)) for t_s in range(5)])
    assert runs[0] == runs[1]
    assert max(np.bincount(runs[0][-1])) == 2


# --- dwell ----------------------------------------------------------------------------------------


def _flier(*longitudes: float) -> Place:
    """A terminal that is at these longitudes, ten seconds after each other."""
    way = tuple(Waypoint(10.0 * k, 47.0, longitude, 1e4) for k, longitude in enumerate(longitudes))
    return terminal("flier", 47.0, 10.0, waypoints=way)


def test_what_still_is_usable_is_kept_for_the_least_dwell() -> None:
    points = (47.0, 10.0, LEO_KM), (47.0, 14.0, LEO_KM)
    eager = _access([_flier(10.0, 14.0, 14.0, 10.0)], *points)
    patient = _access([_flier(10.0, 14.0, 14.0, 10.0)], *points, min_dwell_s=12.0)
    assert [_serving(eager, float(t))[0] for t in (0, 4, 6, 11, 12)] == [1, 1, 2, 2, 2]
    assert [_serving(patient, float(t))[0] for t in (0, 4, 6, 11, 12)] == [1, 1, 1, 1, 2]


def test_the_least_dwell_does_not_hold_what_is_about_to_set() -> None:
    # five degrees a second to the east: out of sight of the first after 6.3 s
    points = (47.0, 10.0, LEO_KM), (47.0, 45.0, LEO_KM)
    access = _access([_flier(10.0, 60.0)], *points, min_dwell_s=1000.0)
    assert [_serving(access, float(t))[0] for t in range(9)] == [1, 1, 1, 1, 1, 1, 2, 2, 2]


# --- layers ---------------------------------------------------------------------------------------

LAYERED = (0.0, 10.0, GEO_KM), (47.0, 12.0, LEO_KM), (47.0, 10.0, MEO_KM)


@pytest.mark.parametrize(
    ("layers", "chosen"),
    [
        (("leo", "geo"), 2),
        (("geo", "leo"), 1),
        (("station", "meo", "leo"), 3),
        (("station",), -1),
        ((), 3),
    ],
)
def test_the_first_layer_that_offers_anything_is_taken(layers: tuple[str, ...], chosen: int) -> None:
    assert _serving(_access([DISH], *LAYERED, layers=layers)) == [chosen]


def test_a_layer_that_reaches_no_gateway_is_passed_over() -> None:
    # the gateway, far in the west, sees the geostationary satellite only
    places = [DISH, gateway("gate", 40.0, -30.0)]
    satellites = (0.0, -10.0, GEO_KM), (47.0, 12.0, LEO_KM)
    assert _serving(_access(places, *satellites, layers=("leo", "geo"), relayed=False)) == [2]
    assert _serving(_access(places, *satellites, layers=("leo", "geo"), relayed=True)) == [3]


def test_terminals_fall_back_to_satellites_where_no_station_reaches() -> None:
    places = [DISH, terminal("far", 45.0, 10.0), _station(max_range_km=5.0)]
    access = _access(places, (46.0, 10.0, LEO_KM), layers=("station", "leo"))
    assert _serving(access) == [2, 3]


def test_stations_are_chosen_without_any_satellite() -> None:
    assert _serving(_access([DISH, _station()])) == [1]


# --- stations -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("east", "chosen"), [(10.0, 1), (12.0, 2)])
def test_a_station_out_of_reach_before_the_next_decision_comes_after_what_lasts(
    east: float, chosen: int
) -> None:
    walker = dataclasses.replace(_flier(10.0, east), kind="ground")
    access = _access(
        [walker, _station(max_range_km=15.0)], (47.0, 11.0, LEO_KM),
        policy="best-snr", nominal=_nominal({1: 30.0, 2: 5.0}), decision_interval_s=10.0,
    )  # fmt: skip
    assert _serving(access) == [chosen]


def test_a_full_station_is_not_offered() -> None:
    dishes = [terminal(f"d{k}", 47.0, 10.0) for k in range(3)]
    access = _access([*dishes, _station(max_links=2)], (47.0, 10.0, LEO_KM), layers=("station", "leo"))
    assert _serving(access) == [3, 3, 4]
    assert _serving(access, 10.0) == [3, 3, 4]


def test_who_comes_does_not_drive_out_who_is_there() -> None:
    comes = _flier(12.0, 10.0, 10.0)
    comes = dataclasses.replace(comes, id="comes", kind="ground")
    places = [comes, DISH, _station(max_links=1, max_range_km=10.0)]
    access = _access(places, (47.0, 10.0, LEO_KM), layers=("station", "leo"))
    assert _serving(access) == [3, 2]
    assert _serving(access, 15.0) == [3, 2]


def test_a_place_that_is_left_is_free_for_those_after() -> None:
    leaves = _flier(10.0, 12.0)
    leaves = dataclasses.replace(leaves, id="leaves", kind="ground")
    leaves = dataclasses.replace(
        leaves, waypoints=tuple(Waypoint(w.at_s, 47.0, w.longitude_deg) for w in leaves.waypoints)
    )
    places = [leaves, DISH, _station(max_links=1, max_range_km=10.0)]
    access = _access(places, (47.0, 10.0, LEO_KM), layers=("station", "leo"))
    assert _serving(access) == [2, 3]
    assert _serving(access, 10.0) == [3, 2]


def test_gateways_do_not_take_places_of_stations() -> None:
    places = [DISH, gateway("gate", 47.0, 10.0), _station(max_links=1)]
    access = _access(places, (47.0, 10.0, LEO_KM), layers=("station", "leo"))
    assert _serving(access) == [2]
    assert access.choice.feeders == ((1, 3),)


# --- gateways -------------------------------------------------------------------------------------


def test_a_gateway_feeds_no_more_than_it_can_follow_and_keeps_what_is_used_most() -> None:
    dishes = [terminal("a", 47.0, 5.0), terminal("b", 47.0, 15.0), terminal("c", 47.0, 15.0)]
    points = (47.0, 5.0, LEO_KM), (47.0, 15.0, LEO_KM), (47.0, 10.0, LEO_KM)
    gate = gateway("gate", 47.0, 8.0)
    access = _access([*dishes, gate], *points, relayed=False, hosting=[2])
    access.advance(0.0)
    assert access.choice.feeders == ((3, 4), (3, 5), (3, 6))
    limited = dataclasses.replace(gate, max_links=2)
    access = _access([*dishes, limited], *points, relayed=False, hosting=[2])
    access.advance(0.0)
    # two terminals, one terminal, only a place on it
    assert access.choice.feeders == ((3, 4), (3, 5))


# --- what cannot be followed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"policy": "best-snr"}, "access.policy is 'best-snr', which needs the radios' nominal figures"),
        ({"layers": ("leo", "sky")}, "access.layers has 'sky', allowed: station, leo, meo, geo"),
        ({"layers": ("leo", "leo")}, "access.layers is leo, leo: each may be named once"),
        ({"min_dwell_s": -1.0}, "access.min_dwell_s is -1, it must not be below 0"),
        ({"hysteresis_db": float("nan")}, "access.hysteresis_db is nan, it must not be below 0"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorldError) as caught:
        _access([DISH], **rules)
    assert str(caught.value) == sentence


def test_a_negative_number_of_links_is_refused() -> None:
    with pytest.raises(WorldError, match="place 'gate': max_links is -1, it must not be below 0"):
        _access([gateway("gate", 47.0, 10.0, max_links=-1)])
