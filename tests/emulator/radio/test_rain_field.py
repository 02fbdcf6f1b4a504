"""Places near each other are rained on together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emulator.radio.rain_field import RainField, correlation
from emulator.radio.rain_series import RainClimate, RainSeries
from emulator.radio.rain_state import place_key
from emulator.spec import Place

#: standard errors of a sample that the sample may be off by
FOUR_SIGMA = 4.0
#: moments so far apart that they are independent
APART_S = 60_000.0
MOMENTS = 20_000
KM_PER_DEG = 6371.0 * np.pi / 180.0
#: of equations that are kept regular, and of the curvature of a grid of some kilometres
EXACT = 1e-5


def field(*east_km: float, seed: int = 1) -> RainField:
    """Places on the equator, so many km to the east."""
    places = [Place(f"p{i}", "ground", 0.0, km / KM_PER_DEG) for i, km in enumerate(east_km)]
    return RainField(places, [np.uint64(place_key(seed, place.id)) for place in places])


@pytest.mark.parametrize("distance_km", [1.0, 10.0, 30.0, 200.0, 3000.0])
def test_two_places_are_correlated_as_the_standard_has_it(distance_km: float) -> None:
    pair = field(0.0, distance_km)
    a, b = (pair.series(i, 0.0, APART_S, MOMENTS) for i in (0, 1))
    expected = float(correlation(np.array(distance_km)))
    assert np.mean(a * b) == pytest.approx(expected, abs=FOUR_SIGMA * np.sqrt((1 + expected**2) / MOMENTS))
    assert b.var() == pytest.approx(1.0, abs=FOUR_SIGMA * np.sqrt(2.0 / MOMENTS))


def test_of_many_places_every_pair_is() -> None:
    random = np.random.default_rng(3)
    east = np.sort(random.uniform(0.0, 150.0, 30))
    random.shuffle(east)
    many = field(*east)
    states = np.array([many.series(i, 0.0, APART_S, MOMENTS) for i in range(30)])
    expected = correlation(np.abs(east[:, None] - east[None]))
    # of a sample of so many moments
    assert np.abs(states @ states.T / MOMENTS - expected).max() < 0.05


def test_one_spot_has_one_rain() -> None:
    same = field(0.0, 5.0, 0.0, 0.0)
    first, *_, last = (same.series(i, 0.0, APART_S, 100) for i in range(4))
    assert np.abs(first - last).max() < 1e-3


def test_places_that_come_later_change_nothing() -> None:
    few, more = field(0.0, 12.0), field(0.0, 12.0, 6.0, 1.0)
    assert few.at(4711.5).tolist() == more.at(4711.5)[:2].tolist()


def test_a_moment_is_that_of_the_series() -> None:
    some = field(0.0, 12.0, 6.0, 90.0)
    for place in range(4):
        found = some.series(place, 100.0, 7.5, 20)
        alone = [some.at(100.0 + 7.5 * k)[place] for k in range(20)]
        assert found == pytest.approx(alone, abs=1e-12)


def test_it_rains_on_neighbours_together() -> None:
    places = [Place(name, "ground", 48.0, 11.0 + east) for name, east in (("a", 0), ("b", 0.02), ("far", 40))]
    series = RainSeries(
        places, 1, climates=dict.fromkeys("ab", c := RainClimate(30.0, 7.0, 3.0)) | {"far": c}
    )
    a, b, far = (series.series_db(place.id, 0.0, APART_S, MOMENTS, 30.0, 20.0) > 0.0 for place in places)
    # a correlation of 0.96 at 1.5 km: three of four showers are shared
    assert (a & b).sum() > 0.6 * a.sum()
    assert (a & far).sum() < 0.2 * a.sum()


def _covariance(field: RainField) -> Any:
    """Of the states of all places, from how they are mixed."""
    count = len(field._sigma)
    of_own = np.zeros((count, count))
    for i in range(count):
        of_own[i, i] = field._sigma[i]
        for j, weight in zip(field._before[i], field._weight[i], strict=True):
            if j >= 0:
                of_own[i] += weight * of_own[j]
    return of_own @ of_own.T


@pytest.mark.parametrize(
    ("rows", "variance", "missed"), [(8, 1.0 - EXACT, EXACT), (20, 0.95, 0.08)], ids=["few", "many"]
)
def test_places_on_a_dense_grid_have_the_states_of_the_standard(
    rows: int, variance: float, missed: float
) -> None:
    places = [
        Place(f"{i} {j}", "ground", i / KM_PER_DEG, j / KM_PER_DEG) for i in range(rows) for j in range(rows)
    ]
    north, east = np.divmod(np.arange(rows * rows), rows)
    distance = np.hypot(north[:, None] - north[None], east[:, None] - east[None])
    found = _covariance(RainField(places, [np.uint64(0)] * len(places)))
    assert variance <= found.diagonal().min() <= found.diagonal().max() < 1.0 + EXACT
    assert np.abs(found - correlation(distance)).max() < missed
