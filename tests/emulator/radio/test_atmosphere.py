"""Rain over a place at one moment: the attenuation below the rain height that the maps have there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from emulator.errors import MissingPackageError, WorldError
from emulator.radio import slant_path
from emulator.radio.atmosphere import rain_attenuation_db
from emulator.radio.rain import slant_attenuation_db
from emulator.radio.slant_path import PathRequest, rain_height_km
from emulator.spec import Place

HERE = Place("here", "ground", 47.0, 10.0, 500.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("itur")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(slant_path, "_held", {})


def test_the_rain_height_is_that_of_the_map() -> None:
    import itur.models

    assert rain_height_km(HERE) == float(itur.models.itu839.rain_height(47.0, 10.0).value)
    assert rain_height_km(HERE) == slant_path.slant_path(PathRequest(HERE, 20.0)).rain_height_km


def test_rain_over_a_place_is_the_slant_attenuation_below_its_rain_height() -> None:
    expected = slant_attenuation_db(20.0, 29.5, 40.0, 47.0, rain_height_km(HERE), 0.5)
    assert rain_attenuation_db(HERE, 20.0, 40.0, 29.5) == expected > 0.0


def test_no_rain_falls_on_a_platform_above_it() -> None:
    assert rain_attenuation_db(Place("platform", "aerial", 47.0, 10.0, 20_000.0), 20.0, 40.0, 29.5) == 0.0


def test_a_height_once_looked_up_is_read_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = rain_height_km(HERE)
    monkeypatch.setattr(slant_path, "_held", {})
    monkeypatch.setitem(sys.modules, "itur", None)
    monkeypatch.setitem(sys.modules, "itur.models", None)
    assert rain_height_km(HERE) == expected
    with pytest.raises(MissingPackageError, match="weather needs the itur package"):
        rain_height_km(Place("elsewhere", "ground", 10.0, 10.0))


def test_a_place_off_the_earth_is_refused() -> None:
    with pytest.raises(WorldError, match="latitude_deg of 'off' is -91, allowed: -90 to 90"):
        rain_height_km(Place("off", "ground", -91.0, 0.0))


@pytest.mark.parametrize(
    ("rate", "elevation", "frequency", "sentence"),
    [
        (float("nan"), 30.0, 20.0, "rain_rate_mm_h is nan, allowed: 0 and above"),
        (-1.0, 30.0, 20.0, "rain_rate_mm_h is -1, allowed: 0 and above"),
        (10.0, 120.0, 20.0, "elevation_deg is 120, allowed: -90 to 90"),
        (10.0, float("nan"), 20.0, "elevation_deg is nan, allowed: -90 to 90"),
        (10.0, 30.0, 0.0, "frequency_ghz is 0, allowed: above 0 to 1000"),
        (10.0, 30.0, -5.0, "frequency_ghz is -5, allowed: above 0 to 1000"),
        (10.0, 30.0, float("nan"), "frequency_ghz is nan, allowed: above 0 to 1000"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    rate: float, elevation: float, frequency: float, sentence: str
) -> None:
    with pytest.raises(WorldError, match=sentence):
        rain_attenuation_db(HERE, rate, elevation, frequency)
