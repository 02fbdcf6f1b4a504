"""The showers of a run: what its weather makes of the sky, told to the report and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.errors import MissingPackageError, WorldError
from emulator.radio import rain_series
from testbed.errors import BadInput, EnvironmentProblem
from testbed.plant.sky import SHOWER_DB, rain_of, showers
from testbed.scenario import load


def _record(folder: Path, rows: list[str]) -> Path:
    path = folder / "rain.csv"
    path.write_text("t_s,rain_rate_mm_h\n" + "\n".join(rows) + "\n")
    return path


def test_a_clear_sky_has_no_showers() -> None:
    assert showers(load("laptop")) == []


def test_rain_that_comes_and_goes_twice_is_two_showers(tmp_path: Path) -> None:
    rows = ["0,0", "5,0", "6,40", "10,40", "11,0", "19,0", "20,30", "24,30", "25,0", "60,0"]
    path = _record(tmp_path, rows)
    sets = ["weather.rain=record", f"weather.record={path}", 'weather.places=["gateway-site"]']
    scenario = load("laptop", sets, 40.0)
    found = showers(scenario)
    assert [shower.place for shower in found] == ["gateway-site"] * 2
    assert [(shower.start_s, shower.end_s) for shower in found] == [(6.0, 11.0), (20.0, 25.0)]
    rain = rain_of(scenario)
    assert rain is not None
    radio = scenario.document.radios[scenario.places["gateway-site"].radio]
    frequency = max(radio.up_frequency_ghz, radio.down_frequency_ghz)
    assert found[0].peak_db == pytest.approx(rain("gateway-site", 8.0, 45.0, frequency))
    assert found[0].peak_db > found[1].peak_db > SHOWER_DB


def test_a_shower_that_outlasts_the_run_ends_after_it(tmp_path: Path) -> None:
    path = _record(tmp_path, ["0,0", "5,0", "6,40", "90,40"])
    sets = ["weather.rain=record", f"weather.record={path}", 'weather.places=["gateway-site"]']
    (shower,) = showers(load("laptop", sets, 20.0))
    assert shower.start_s == 6.0
    assert shower.end_s > 20.0


@pytest.mark.parametrize(
    ("error", "told_as"),
    [
        (WorldError("rain of place 'roof': latitude_deg is 91"), BadInput),
        (MissingPackageError("rain in time needs the itur package"), EnvironmentProblem),
    ],
)
def test_weather_that_cannot_be_made_is_told_with_its_key(
    error: WorldError, told_as: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(rain_series, "RainSeries", refuse)
    with pytest.raises(told_as, match=f"^weather.rain: {error}$"):
        showers(load("laptop", ["weather.rain=p1853"]))
