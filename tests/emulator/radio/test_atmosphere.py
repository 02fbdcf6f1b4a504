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
