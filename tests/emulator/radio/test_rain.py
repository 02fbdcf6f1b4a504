"""Rain against the ITU-R validation examples and the itur package."""

from __future__ import annotations

import csv

import pytest

from emulator.radio.rain import (
    exceeded_attenuation_db,
    slant_attenuation_db,
    slant_path_km,
    specific_attenuation_db_km,
    terrestrial_attenuation_db,
)
from tests.emulator.worlds import shared

RATES = (0.5, 5.0, 22.0, 80.0)
#: of floating point
ROUNDED = 1.0 + 1e-12


def test_specific_attenuation_meets_the_validation_examples() -> None:
    path = shared("itu_r_validation/ITURP838-3_rain_specific_attenuation.csv")
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert len(rows) > 20
    for row in rows:
        found = specific_attenuation_db_km(*(float(row[key]) for key in ("R", "f", "el", "tau")))
        assert found == pytest.approx(float(row["gamma_r"]), rel=1e-7)


@pytest.mark.parametrize("elevation", [3.0, 5.0, 12.0, 45.0, 90.0])
@pytest.mark.parametrize("latitude", [-3.0, 47.0])
def test_a_slant_path_is_attenuated_as_by_the_itur_package(elevation: float, latitude: float) -> None:
    itur = pytest.importorskip("itur")
    rain_height = float(itur.models.itu839.rain_height(latitude, 10.0).value)
    for rate in RATES:
        expected = itur.models.itu618.rain_attenuation(
            latitude, 10.0, 19.7, elevation, hs=0.4, p=0.01, R001=rate, tau=45
        )
        found = slant_attenuation_db(rate, 19.7, elevation, latitude, rain_height, 0.4)
        assert found == pytest.approx(float(expected.value), rel=1e-9)


def test_more_rain_attenuates_more_and_none_not_at_all() -> None:
    found = [slant_attenuation_db(rate, 29.5, 35.0, 47.0, 3.5, 0.4) for rate in (0.0, *RATES)]
    assert found[0] == 0.0
    assert found == sorted(set(found))


def test_above_the_rain_there_is_no_attenuation() -> None:
    assert slant_attenuation_db(50.0, 29.5, 35.0, 47.0, 3.5, 20.0) == 0.0
    assert slant_path_km(-1.0, 30.0) == 0.0


@pytest.mark.parametrize("frequency_ghz", [7.0, 18.2, 38.0])
@pytest.mark.parametrize("length_km", [1.0, 5.4, 17.0])
def test_a_terrestrial_path_is_attenuated_as_by_the_itur_package(
    frequency_ghz: float, length_km: float
) -> None:
    itur = pytest.importorskip("itur")
    for percent in (1.0, 0.1, 0.01, 0.001):
        expected = itur.models.itu530.rain_attenuation(
            50.6, 10.0, length_km, frequency_ghz, 0.0, percent, tau=90, R001=32.0
        )
        found = terrestrial_attenuation_db(32.0, frequency_ghz, length_km, percent, 90.0)
        assert found == pytest.approx(float(expected.value), rel=1e-9)


def test_without_rain_or_length_a_terrestrial_path_is_not_attenuated() -> None:
    assert terrestrial_attenuation_db(0.0, 18.0, 5.0) == 0.0
    assert terrestrial_attenuation_db(30.0, 18.0, 0.0) == 0.0


@pytest.mark.parametrize("length_km", [0.01, 1.0, 30.0, 60.0, 100.0])
def test_no_terrestrial_path_is_amplified_or_attenuated_beyond_the_greatest_distance_factor(
    length_km: float,
) -> None:
    for frequency_ghz in (1.0, 2.0, 5.0, 38.0):
        for rate in (1.0, 5.0, 60.0):
            most = 2.5 * length_km * specific_attenuation_db_km(rate, frequency_ghz)
            assert 0.0 < terrestrial_attenuation_db(rate, frequency_ghz, length_km) <= most * ROUNDED


def test_below_one_gigahertz_rain_attenuates_as_at_one() -> None:
    assert slant_attenuation_db(50.0, 0.4, 30.0, 10.0, 5.0, 0.0) == slant_attenuation_db(
        50.0, 1.0, 30.0, 10.0, 5.0, 0.0
    )
    assert terrestrial_attenuation_db(50.0, 0.4, 5.0) == terrestrial_attenuation_db(50.0, 1.0, 5.0)


def test_both_hemispheres_have_the_same_spread_of_rain_over_the_year() -> None:
    for percent in (0.001, 0.1, 0.5):
        north, south = (exceeded_attenuation_db(10.0, percent, 20.0, latitude) for latitude in (10.0, -10.0))
        assert north == south != exceeded_attenuation_db(10.0, percent, 20.0, 50.0)
