"""Gases and rain heights: those of the itur package, kept on disk so that it is not needed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.errors import MissingPackageError
from emulator.radio import atmosphere
from emulator.radio.atmosphere import Atmosphere, cache_file, cosecant, rain_attenuation_db
from emulator.radio.rain import slant_attenuation_db
from emulator.spec import Place

HERE = Place("here", "ground", 47.0, 10.0, 500.0)
ALOFT = Place("aloft", "aerial", 47.0, 10.0, 20_000.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(atmosphere, "_ONE", [])


@pytest.mark.parametrize("frequency", [12.0, 19.7, 29.5])
@pytest.mark.parametrize("elevation", [10.0, 35.0, 85.0])
def test_gases_on_a_slant_path_are_those_of_the_itur_package(frequency: float, elevation: float) -> None:
    models = pytest.importorskip("itur").models
    expected = models.itu676.gaseous_attenuation_slant_path(
        frequency,
        elevation,
        models.itu836.surface_water_vapour_density(47.0, 10.0, 50.0, 0.5).value,
        models.itu835.standard_pressure(0.5).value,
        models.itu1510.surface_mean_temperature(47.0, 10.0).value,
        models.itu836.total_water_vapour_content(47.0, 10.0, 50.0, 0.5).value,
        0.5,
        mode="approx",
    )
    found = Atmosphere().zenith_gas_db(HERE, frequency) * float(cosecant(elevation))
    assert found == pytest.approx(float(expected.value), rel=1e-6)


def test_there_is_hardly_any_gas_above_a_platform_in_the_stratosphere() -> None:
    pytest.importorskip("itur")
    assert Atmosphere().zenith_gas_db(ALOFT, 29.5) < 0.001 < Atmosphere().zenith_gas_db(HERE, 29.5)


def test_the_path_does_not_grow_without_bound_towards_the_horizon() -> None:
    assert float(cosecant(0.0)) == float(cosecant(5.0))


def test_what_was_computed_once_is_read_without_the_itur_package() -> None:
    pytest.importorskip("itur")
    first = Atmosphere()
    expected = first.zenith_gas_db(HERE, 19.7), first.rain_height_km(HERE)
    first.save()
    program = (
        "import sys; sys.modules['itur'] = None\n"
        "from emulator.radio.atmosphere import Atmosphere\n"
        "from emulator.spec import Place\n"
        "sky, here = Atmosphere(), Place('here', 'ground', 47.0, 10.0, 500.0)\n"
        "print(sky.zenith_gas_db(here, 19.7), sky.rain_height_km(here))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert tuple(float(value) for value in result.stdout.split()) == expected


def test_without_cache_and_package_the_error_says_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itur", None)
    monkeypatch.setitem(sys.modules, "itur.models", None)
    with pytest.raises(MissingPackageError, match="weather needs the itur package"):
        Atmosphere().zenith_gas_db(HERE, 19.7)


def test_a_damaged_cache_is_replaced() -> None:
    pytest.importorskip("itur")
    cache_file().parent.mkdir(parents=True)
    cache_file().write_text('{"gas 47.0 10.0')
    sky = Atmosphere()
    value = sky.zenith_gas_db(HERE, 19.7)
    sky.save()
    assert value in json.loads(cache_file().read_text()).values()


def test_two_set_ups_at_once_keep_what_either_found() -> None:
    pytest.importorskip("itur")
    one, other = Atmosphere(), Atmosphere()
    one.zenith_gas_db(HERE, 19.7)
    other.rain_height_km(HERE)
    one.save()
    other.save()
    assert len(json.loads(cache_file().read_text())) == 2


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(tmp_path: Path) -> None:
    pytest.importorskip("itur")
    (tmp_path / "istn-testbed").write_text("a file where the directory should be")
    sky = Atmosphere()
    assert sky.zenith_gas_db(HERE, 19.7) > 0.0
    sky.save()
    assert os.listdir(tmp_path) == ["istn-testbed"]


def test_rain_over_a_place_is_the_slant_attenuation_below_its_rain_height() -> None:
    pytest.importorskip("itur")
    height = Atmosphere().rain_height_km(HERE)
    expected = slant_attenuation_db(20.0, 29.5, 40.0, 47.0, height, 0.5)
    assert rain_attenuation_db(HERE, 20.0, 40.0, 29.5) == expected > 0.0
