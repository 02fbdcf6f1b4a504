"""Rain in time: what long series exceed, how links fade together, and the itur package beside it."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emulator.errors import MissingPackageError, WorldError
from emulator.radio import attenuation_cache
from emulator.radio.rain import exceeded_attenuation_db
from emulator.radio.rain_series import DRY, PERCENTS, RainClimate, RainSeries, rain_climate, rain_fit
from emulator.radio.rain_state import BETA_1_S
from emulator.spec import Place

YEAR_S = 365 * 86_400
SITE = Place("site", "ground", 50.67, 4.61, 160.0)
#: of the maps at SITE, so that no map is needed
CLIMATE = RainClimate(28.998, 6.9457, 2.437)
CLIMATES = {"site": CLIMATE}
#: three standard errors of the attenuation that 300 years of fades exceed, relative, by percentage of time
THREE_SIGMA = {1.0: 0.02, 0.1: 0.025, 0.01: 0.04}


@pytest.fixture(scope="module")
def series() -> RainSeries:
    return RainSeries([SITE], seed=1, climates=CLIMATES)


@pytest.mark.parametrize("latitude", [3.0, 30.0, 50.67])
@pytest.mark.parametrize("elevation", [6.0, 20.0, 30.0, 80.0])
def test_rain_exceeded_for_a_percentage_is_that_of_the_itur_package(
    latitude: float, elevation: float
) -> None:
    itur = pytest.importorskip("itur")
    worst, *expected = (
        float(
            itur.models.itu618.rain_attenuation(latitude, 4.61, 19.7, elevation, hs=0.16, p=p, tau=45).value
        )
        for p in (0.01, *PERCENTS[:-1])
    )
    found = [exceeded_attenuation_db(worst, p, elevation, latitude) for p in PERCENTS[:-1]]
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_fit_is_that_of_the_itur_package() -> None:
    itur = pytest.importorskip("itur")
    climate = rain_climate(SITE)
    fit = rain_fit(climate, SITE, 19.7, 30.0)
    # driven by a constant the package's filter settles there: its attenuation at that state
    noise = np.full(60_000, 2.0) * (1 - math.exp(-BETA_1_S)) / math.sqrt(1 - math.exp(-2 * BETA_1_S))
    # the package's slope is negative, with probabilities of staying below
    settled = itur.models.itu1853.rain_attenuation_synthesis(50.67, 4.61, 19.7, 30.0, 0.16, 60_000, n=-noise)
    assert fit.attenuation_db(2.0) == pytest.approx(float(np.asarray(settled)[-1]), rel=1e-4)


@pytest.mark.parametrize("frequency_ghz", [19.701, 39.402])
def test_centuries_of_rain_exceed_what_the_log_normal_says(series: RainSeries, frequency_ghz: float) -> None:
    found = series.series_db("site", 0.0, 256.0, int(300 * YEAR_S / 256.0), 30.0, frequency_ghz)
    fit = series.fit("site", frequency_ghz, 30.0)
    exceeded = np.quantile(found, [1.0 - percent / 100.0 for percent in THREE_SIGMA])
    for (percent, tolerance), value in zip(THREE_SIGMA.items(), exceeded, strict=True):
        assert value == pytest.approx(fit.exceeded_db(percent), rel=tolerance)


def test_a_moment_is_that_of_the_series(series: RainSeries) -> None:
    found = series.series_db("site", 1e6, 60.0, 20_000, 30.0, 19.7)
    assert found.max() > 1.0
    alone = [series.attenuation_db("site", 1e6 + 60.0 * k, 30.0, 19.7) for k in range(len(found))]
    assert found == pytest.approx(alone, rel=1e-12)


def test_it_rains_for_the_share_of_time_that_the_maps_say(series: RainSeries) -> None:
    found = series.series_db("site", 0.0, 256.0, int(50 * YEAR_S / 256.0), 30.0, 19.7)
    assert 100.0 * np.mean(found > 0.0) == pytest.approx(CLIMATE.rain_probability_percent, rel=0.05)


def test_statistics_are_those_of_the_itur_package() -> None:
    itur = pytest.importorskip("itur")
    step_s, years = 64, 20
    series = RainSeries([SITE], seed=3)
    count = int(years * YEAR_S / step_s)
    ours = series.series_db("site", 0.0, float(step_s), count, 30.0, 19.7)
    noise = np.random.default_rng(5).normal(size=count)
    theirs = np.asarray(
        itur.models.itu1853.rain_attenuation_synthesis(
            50.67, 4.61, 19.7, 30.0, 0.16, count, Ts=step_s, n=noise
        )
    )
    # 20 years each: the share of time beyond 0.1 % of each is known to 5 %, the attenuation to 3 %
    for percent, tolerance in ((1.0, 0.08), (0.1, 0.15)):
        quantiles = [np.quantile(x, 1.0 - percent / 100.0) for x in (ours, theirs)]
        assert quantiles[0] == pytest.approx(quantiles[1], rel=tolerance)
    for lag_s in (640, 2560):
        lag = lag_s // step_s
        rho = [np.corrcoef(x[:-lag] > 1.0, x[lag:] > 1.0)[0, 1] for x in (ours, theirs)]
        assert rho[0] == pytest.approx(rho[1], abs=0.05)


def test_the_same_seed_and_place_meet_the_same_rain_at_any_spacing(series: RainSeries) -> None:
    again = RainSeries([SITE], seed=1, climates=CLIMATES)
    coarse = [series.attenuation_db("site", t, 30.0, 19.7) for t in range(0, 36_000, 900)]
    fine = [again.attenuation_db("site", t, 30.0, 19.7) for t in range(0, 36_000, 100)]
    assert coarse == fine[::9]
    other = RainSeries([SITE], seed=2, climates=CLIMATES)
    assert [other.state("site", t) for t in (0, 900)] != [series.state("site", t) for t in (0, 900)]


def test_links_of_a_place_fade_together(series: RainSeries) -> None:
    times = np.arange(0.0, 90 * 86_400.0, 600.0)
    down, up, low = (
        np.array([series.attenuation_db("site", t, elevation, frequency) for t in times])
        for elevation, frequency in ((30.0, 19.7), (30.0, 29.5), (15.0, 19.7))
    )
    wet = down > 0.0
    assert wet.any()
    assert np.array_equal(wet, up > 0.0)
    assert (up[wet] > down[wet]).all()
    assert (low[wet] > down[wet]).all()


def test_below_five_degrees_it_is_as_at_five(series: RainSeries) -> None:
    times = np.arange(0.0, 30 * 86_400.0, 3600.0)
    low = [series.attenuation_db("site", t, -3.0, 19.7) for t in times]
    assert low == [series.attenuation_db("site", t, 5.0, 19.7) for t in times]


def test_where_it_never_rains_nothing_is_attenuated() -> None:
    desert = RainSeries([SITE], seed=1, climates={"site": RainClimate(0.0, 0.0, 4.0)})
    assert desert.fit("site", 19.7, 30.0) == DRY
    assert max(desert.attenuation_db("site", t, 30.0, 19.7) for t in range(0, 10_000_000, 10_000)) == 0.0
    assert DRY.exceeded_db(0.01) == 0.0


def test_above_the_rain_nothing_is_attenuated() -> None:
    high = Place("high", "aerial", 50.67, 4.61, 20_000.0)
    series = RainSeries([high], seed=1, climates={"high": CLIMATE})
    assert series.series_db("high", 0.0, 600.0, 50_000, 30.0, 19.7).max() == 0.0


def test_a_place_without_rain_has_none(series: RainSeries) -> None:
    assert series.attenuation_db("elsewhere", 0.0, 30.0, 19.7) == 0.0


@pytest.mark.parametrize("frequency_ghz", [-1.0, 0.0, 2000.0, math.nan])
def test_a_frequency_without_a_model_is_refused(series: RainSeries, frequency_ghz: float) -> None:
    with pytest.raises(WorldError, match=r"is .* GHz, but must be more than 0 and at most 1000"):
        series.attenuation_db("site", 0.0, 30.0, frequency_ghz)


def test_a_radio_below_one_gigahertz_hardly_feels_it(series: RainSeries) -> None:
    assert series.fit("site", 0.868, 30.0).exceeded_db(0.01) < 0.05


def test_the_maps_are_asked_once_for_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("itur")
    monkeypatch.setattr(attenuation_cache, "user_directory", lambda: tmp_path)
    first = rain_climate(SITE)
    assert first.rain_rate_001_mm_h == pytest.approx(CLIMATE.rain_rate_001_mm_h, rel=1e-3)
    monkeypatch.setitem(sys.modules, "itur.models", None)
    assert rain_climate(SITE) == first
    with pytest.raises(MissingPackageError, match="rain in time needs the itur package"):
        rain_climate(Place("other", "ground", 10.0, 10.0))


def test_the_poles_and_the_date_line_have_a_climate() -> None:
    pytest.importorskip("itur")
    for latitude, longitude in ((90.0, 0.0), (-90.0, 180.0), (0.0, -180.0), (0.0, 360.0)):
        assert rain_climate(Place("edge", "ground", latitude, longitude)).rain_rate_001_mm_h >= 0.0


@pytest.mark.parametrize(("latitude", "longitude"), [(95.0, 0.0), (0.0, 400.0), (math.nan, 0.0)])
def test_coordinates_beyond_the_maps_are_refused(latitude: float, longitude: float) -> None:
    with pytest.raises(WorldError, match=r"place off lies at latitude .* but the maps of rain go from"):
        rain_climate(Place("off", "ground", latitude, longitude))


def test_looking_up_the_climate_leaves_the_settings_of_numpy_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The itur package changes them when it is imported, so that happens in a process of its own."""
    pytest.importorskip("itur")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    code = (
        "import numpy as np; before = np.geterr()\n"
        "from emulator.radio.rain_series import rain_climate\n"
        "from emulator.spec import Place\n"
        "rain_climate(Place('site', 'ground', 47.0, 10.0))\n"
        "assert np.geterr() == before, np.geterr()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("t_s", [math.nan, math.inf, -math.inf])
def test_no_rain_is_told_of_a_time_that_is_none(series: RainSeries, t_s: float) -> None:
    with pytest.raises(WorldError, match=r"time of rain is (nan|inf|-inf) s, it must be a number of seconds"):
        series.state("site", t_s)


def test_no_rain_is_told_without_an_elevation(series: RainSeries) -> None:
    with pytest.raises(WorldError, match="elevation of rain attenuation is nan"):
        series.series_db("site", 0.0, 60.0, 10, math.nan, 19.7)
