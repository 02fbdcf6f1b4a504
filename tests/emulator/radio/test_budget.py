"""The link budget against closed forms worked by hand, term by term."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import fields

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.radio.budget import LinkBudget, free_space_loss_db, link_budget, snr_db
from emulator.radio.modcod import modcod_table
from emulator.spec import Antenna, Place, RadioSpec

RANGE_M = 1_000e3
#: Ka band without weather: every other term can be looked at alone
PLAIN = RadioSpec("ka", weather=False)
S_BAND = dataclasses.replace(PLAIN, up_frequency_ghz=2.0, down_frequency_ghz=2.2)
ULM = Place("ulm", "ground", 48.4, 9.99, 480.0)

closed_form_db = 1e-9
#: constants given to five digits
rounded_db = 1e-3


def _lost_db(radio: RadioSpec, elevation_deg: float, **more: object) -> float:
    """By how much the budget falls short of that of the plain radio."""
    plain = dataclasses.replace(
        radio, place_antenna=Antenna(), far_antenna=Antenna(), environment="none", down_system_noise_k=0.0
    )
    with_it = link_budget(radio, RANGE_M, elevation_deg, **more)  # type: ignore[arg-type]
    return float(link_budget(plain, RANGE_M, elevation_deg).snr_db - with_it.snr_db)


def test_free_space_loss_is_the_closed_form() -> None:
    expected = 20.0 * math.log10(4.0 * math.pi * 1_000e3 * 20e9 / 299_792_458.0)
    assert float(free_space_loss_db(1_000e3, 20.0)) == pytest.approx(expected, abs=closed_form_db)
    # ITU-R P.525 in its units for engineers: 92.4 + 20 log f(GHz) + 20 log d(km), rounded
    assert float(free_space_loss_db(1e3, 1.0)) == pytest.approx(92.4, abs=0.05)


def test_twice_the_distance_costs_six_decibels() -> None:
    near, far = free_space_loss_db(np.array([1e6, 2e6]), 12.0)
    assert far - near == pytest.approx(20.0 * math.log10(2.0))


def test_snr_of_a_budget_worked_by_hand() -> None:
    # 40 dBW + 10 dB/K - 180 dB + 228.599 dBW/K/Hz - 80 dBHz (100 MHz)
    one = np.array([1.0])
    found = snr_db(40.0 * one, 10.0 * one, 100.0 * one, 180.0 * one)[0]
    assert found == pytest.approx(18.599, abs=rounded_db)


@pytest.mark.parametrize("down", [True, False])
def test_each_direction_has_its_own_figures(down: bool) -> None:
    side = "down" if down else "up"
    f_ghz, b_mhz, eirp_dbw, g_t_db_k = (
        getattr(PLAIN, f"{side}_{name}")
        for name in ("frequency_ghz", "bandwidth_mhz", "eirp_dbw", "g_over_t_db_k")
    )
    path = 92.448 + 20.0 * math.log10(f_ghz) + 20.0 * math.log10(1000.0)
    noise = -228.599 + 60.0 + 10.0 * math.log10(b_mhz)
    expected = eirp_dbw + g_t_db_k - path - PLAIN.implementation_loss_db - noise
    found = link_budget(PLAIN, RANGE_M, 45.0, down=down)
    assert float(found.snr_db) == pytest.approx(expected, abs=rounded_db)


@pytest.mark.parametrize("down", [True, False])
def test_snr_is_what_is_left_after_every_term(down: bool) -> None:
    antenna = Antenna("phased-array", diameter_m=0.5)
    radio = dataclasses.replace(
        S_BAND, place_antenna=antenna, far_antenna=antenna, environment="urban", down_system_noise_k=200.0
    )
    terms = link_budget(radio, RANGE_M, 35.0, down=down, rain_db=3.0).terms
    bare = dataclasses.replace(S_BAND, implementation_loss_db=0.0)
    without = link_budget(bare, RANGE_M, 35.0, down=down)
    lost = sum(
        float(getattr(terms, field.name))
        for field in fields(terms)
        if field.name not in ("snr_db", "free_space_db")
    )
    assert float(terms.snr_db) == pytest.approx(float(without.snr_db) - lost, abs=closed_form_db)
    assert float(terms.further_db) == radio.implementation_loss_db


@pytest.mark.parametrize("elevation_deg", [10.0, 30.0, 90.0])
def test_a_turnstile_that_stands_loses_off_its_axis(elevation_deg: float) -> None:
    radio = dataclasses.replace(S_BAND, place_antenna=Antenna("turnstile", "zenith"))
    off_rad = math.radians(90.0 - elevation_deg)
    expected = -10.0 * math.log10((1.0 + math.cos(off_rad) ** 2) / 2.0)
    assert float(link_budget(radio, RANGE_M, elevation_deg).terms.pointing_db) == pytest.approx(expected)
    assert _lost_db(radio, elevation_deg) == pytest.approx(expected, abs=closed_form_db)


def test_a_phased_array_loses_by_the_scan_angle() -> None:
    panel = Antenna("phased-array", diameter_m=0.5, scan_exponent=1.2)
    radio = dataclasses.replace(PLAIN, place_antenna=panel)
    # 60 degrees from the zenith, whose cosine is one half
    assert _lost_db(radio, 30.0) == pytest.approx(12.0 * math.log10(2.0), abs=1e-6)
    assert _lost_db(radio, 90.0) == pytest.approx(0.0, abs=1e-6)


def test_a_satellites_panel_loses_by_the_angle_from_its_nadir() -> None:
    radio = dataclasses.replace(PLAIN, far_antenna=Antenna("phased-array", diameter_m=0.5, scan_exponent=2.0))
    # the triangle of place, centre of the Earth and satellite
    a, b, high_rad = 6_371e3, RANGE_M, math.radians(30.0)
    radius = math.sqrt(a * a + b * b + 2.0 * a * b * math.sin(high_rad))
    nadir_rad = math.asin(a * math.cos(high_rad) / radius)
    assert _lost_db(radio, 30.0) == pytest.approx(-20.0 * math.log10(math.cos(nadir_rad)), abs=1e-4)


def test_a_dish_that_tracks_loses_nothing() -> None:
    radio = dataclasses.replace(PLAIN, place_antenna=Antenna("dish-s465", diameter_m=1.2))
    assert _lost_db(radio, 12.0) == 0.0


@pytest.mark.parametrize(
    ("environment", "elevation_deg", "expected"),
    [
        # 3GPP TR 38.811: (1 - probability of sight) x clutter loss, tables 6.6.1-1, 6.6.2-1, 6.6.2-3
        ("urban", 30.0, (1.0 - 0.493) * 29.0),
        ("dense-urban", 10.0, (1.0 - 0.282) * 34.3),
        ("suburban", 50.0, (1.0 - 0.935) * 18.63),
        ("rural", 90.0, (1.0 - 0.998) * 16.30),
        # half way between two rows
        ("urban", 35.0, (1.0 - (0.493 + 0.613) / 2.0) * (29.0 + 27.7) / 2.0),
    ],
)
def test_what_stands_around_costs_its_mean(environment: str, elevation_deg: float, expected: float) -> None:
    radio = dataclasses.replace(S_BAND, environment=environment)
    terms = link_budget(radio, RANGE_M, elevation_deg).terms
    assert float(terms.surroundings_db) == pytest.approx(expected)
    assert float(terms.attenuation_db) == pytest.approx(expected)
    assert _lost_db(radio, elevation_deg) == pytest.approx(expected)


def test_rain_costs_its_attenuation_and_raises_the_noise_of_the_place() -> None:
    radio = dataclasses.replace(PLAIN, down_system_noise_k=150.0)
    # ten decibels let a tenth through: the sky goes from 2.7 K to 0.1 x 2.7 K + 0.9 x 275 K (P.618-14)
    rise = 10.0 * math.log10((150.0 + 0.9 * (275.0 - 2.7)) / 150.0)
    assert _lost_db(radio, 45.0, rain_db=10.0) == pytest.approx(10.0 + rise, abs=closed_form_db)
    # a satellite looks down on a warm Earth anyway
    up = link_budget(radio, RANGE_M, 45.0, down=False, rain_db=10.0).terms
    assert (float(up.noise_rise_db), float(up.excess_db)) == (0.0, 10.0)


def test_weather_that_is_counted_on_is_that_of_the_recommendations() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    from emulator.radio.noise import g_over_t_loss_db
    from emulator.radio.slant_path import attenuation

    percent, elevation = 0.1, np.array([12.0, 30.0, 80.0])
    radio = RadioSpec("ka", weather_percent=percent, down_system_noise_k=150.0)
    terms = link_budget(radio, RANGE_M, elevation, place=ULM).terms
    counted = attenuation(ULM, radio.down_frequency_ghz, elevation, percent)
    clear = attenuation(ULM, radio.down_frequency_ghz, elevation, 0.0)
    assert terms.gas_db == pytest.approx(counted.gas_db)
    assert terms.excess_db == pytest.approx(counted.excess_db)
    # scintillation does not radiate
    absorbed = counted.gas_db + counted.rain_db + counted.cloud_db - clear.gas_db
    assert terms.noise_rise_db == pytest.approx(g_over_t_loss_db(absorbed, clear.gas_db, 150.0))
    assert np.all(terms.excess_db > 1.0)


def test_in_a_clear_sky_only_gases_count_and_raise_no_noise() -> None:
    pytest.importorskip("itur", reason="the atmosphere needs itur")
    terms = link_budget(RadioSpec("ka", down_system_noise_k=150.0), RANGE_M, 30.0, place=ULM).terms
    assert float(terms.gas_db) > 0.1
    assert (float(terms.excess_db), float(terms.noise_rise_db)) == (0.0, 0.0)


def test_a_radio_that_is_spared_the_weather_has_no_atmosphere() -> None:
    assert float(link_budget(PLAIN, RANGE_M, 30.0, place=ULM).terms.gas_db) == 0.0


def test_interference_raises_the_noise() -> None:
    terms = link_budget(PLAIN, np.full(2, RANGE_M), 45.0).terms
    heard = terms.disturbed(np.array([1.0, 0.0]))
    assert terms.snr_db - heard.snr_db == pytest.approx([10.0 * math.log10(2.0), 0.0])
    assert heard.interference_rise_db == pytest.approx([10.0 * math.log10(2.0), 0.0])


def test_the_modcod_is_the_fastest_that_keeps_the_margin() -> None:
    found = link_budget(PLAIN, np.linspace(600e3, 3000e3, 25), 45.0)
    table = modcod_table(PLAIN.modcods)
    for snr, chosen in zip(found.snr_db, found.modcod, strict=True):
        fits = np.flatnonzero(table.threshold_db + PLAIN.margin_db <= snr)
        assert chosen == (max(fits, key=lambda k: table.efficiency[k]) if len(fits) else 0)
    assert found.rate_bps == pytest.approx(table.efficiency[found.modcod] * PLAIN.down_bandwidth_mhz * 1e6)
    assert len(set(found.modcod.tolist())) > 3


def test_a_result_has_the_shape_that_was_asked_for() -> None:
    found = link_budget(PLAIN, np.full((3, 1), RANGE_M), np.linspace(10.0, 90.0, 4), rain_db=1.0)
    assert _shapes(found) == {(3, 4)}
    assert _shapes(link_budget(PLAIN, RANGE_M, 45.0)) == {()}
    assert _shapes(link_budget(PLAIN, np.zeros((0,)), 45.0)) == {(0,)}


def _shapes(found: LinkBudget) -> set[tuple[int, ...]]:
    terms = [getattr(found.terms, field.name) for field in fields(found.terms)]
    return {each.shape for each in (*terms, found.modcod, found.rate_bps, found.frame_error)}


@pytest.mark.parametrize(
    ("change", "asked", "sentence"),
    [
        ({}, (0.0, 45.0), "range_m is 0, it must be above 0"),
        ({}, (math.nan, 45.0), "range_m is nan, it must be above 0"),
        (
            {},
            ([1e6, 2e6, 3e6], [10.0, 20.0]),
            "range_m, elevation_deg and rain_db have shapes (3,), (2,), (), which do not broadcast together",
        ),
        ({}, (RANGE_M, 91.0), "elevation_deg is 91, allowed: -90 to 90"),
        ({}, (RANGE_M, math.nan), "elevation_deg is nan, allowed: -90 to 90"),
        (
            {"down_frequency_ghz": -19.7},
            (RANGE_M, 45.0),
            "radio 'ka': down_frequency_ghz is -19.7, it must be above 0",
        ),
        (
            {"up_bandwidth_mhz": 0.0},
            (RANGE_M, 45.0),
            "radio 'ka': up_bandwidth_mhz is 0, it must be above 0",
        ),
        ({"modcods": "morse"}, (RANGE_M, 45.0), "modcods is 'morse', allowed: "),
        ({"loss": 1.5}, (RANGE_M, 45.0), "radio 'ka': loss is 1.5, allowed: 0 to 1"),
        (
            {"down_eirp_dbw": math.nan},
            (RANGE_M, 45.0),
            "radio 'ka': down_eirp_dbw is nan, it must be a finite number",
        ),
        (
            {"implementation_loss_db": math.inf},
            (RANGE_M, 45.0),
            "radio 'ka': implementation_loss_db is inf, it must be a finite number",
        ),
        (
            {"processing_ms": -1.0},
            (RANGE_M, 45.0),
            "radio 'ka': processing_ms is -1, it must not be below 0",
        ),
        ({"environment": "forest"}, (RANGE_M, 45.0), "radio 'ka': environment is 'forest', allowed: none, "),
        ({"place_antenna": Antenna("horn")}, (RANGE_M, 45.0), "radio 'ka': antenna pattern is 'horn', "),
        (
            {"weather_percent": 60.0},
            (RANGE_M, 45.0),
            "radio 'ka': weather_percent is 60, allowed: 0 (clear sky) or 0.001 to 50",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    change: dict[str, object], asked: tuple[float, float], sentence: str
) -> None:
    with pytest.raises(WorldError) as caught:
        link_budget(dataclasses.replace(PLAIN, **change), *asked)  # type: ignore[arg-type]
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
