"""Named radio sets against the carrier-to-noise ratios that 3GPP and its contributors computed from them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emulator.errors import WorldError
from emulator.radio.antennas import antenna_parameters, nadir_angle_rad, relative_gain_db
from emulator.radio.budget import free_space_loss_db, snr_db
from emulator.radio.modcod import modcod_table
from emulator.radio.presets import PRESETS, radio_preset
from emulator.spec import RadioSpec

#: the reports print one decimal of path loss, G/T and result each
PRINTED_DB = 0.15
EARTH_M = 6_371_000.0
#: altitude and elevation of the link budgets (TR 38.821 table 6.1.3.2-1)
LEO600, LEO1200, GEO = (600e3, 30.0), (1200e3, 30.0), (35_786e3, 12.5)
#: what the report adds: gases 0.1 dB, shadowing margin 3 dB, scintillation 2.2 dB
S_BAND_PATH_DB = 0.1 + 3.0 + 2.2
#: gases 0.5 dB, scintillation 0.3 dB
KA_BAND_PATH_DB = 0.5 + 0.3


def _slant_m(altitude_m: float, elevation_deg: float) -> float:
    """TR 38.811 equation 6.6-3."""
    rise = EARTH_M * math.sin(math.radians(elevation_deg))
    return math.sqrt(rise**2 + altitude_m**2 + 2.0 * altitude_m * EARTH_M) - rise


def _cnr_db(radio: RadioSpec, direction: str, range_m: float, path_db: float) -> float:
    figures = [
        np.array([getattr(radio, f"{direction}_{name}")])
        for name in ("eirp_dbw", "g_over_t_db_k", "bandwidth_mhz")
    ]
    loss = free_space_loss_db(range_m, getattr(radio, f"{direction}_frequency_ghz"))
    return float(snr_db(*figures, np.array([loss + radio.implementation_loss_db + path_db]))[0])


# TR 38.821 table 6.1.3.3-1, as far as public copies of its rows were found
@pytest.mark.parametrize(
    ("case", "name", "direction", "geometry", "path_db", "cnr_db"),
    [
        ("SC6", "tr38821-set1-leo600-ka-vsat", "down", LEO600, KA_BAND_PATH_DB, 8.5),
        ("SC6", "tr38821-set1-leo600-ka-vsat", "up", LEO600, KA_BAND_PATH_DB, 18.4),
        ("SC9", "tr38821-set1-leo600-s-handheld", "down", LEO600, S_BAND_PATH_DB, 6.6),
        ("SC9", "tr38821-set1-leo600-s-handheld", "up", LEO600, S_BAND_PATH_DB, 2.8),
        ("SC14", "tr38821-set1-leo1200-s-handheld", "up", LEO1200, S_BAND_PATH_DB, -2.6),
        ("SC24", "tr38821-set2-leo600-s-handheld", "up", LEO600, S_BAND_PATH_DB, -3.2),
        ("SC29", "tr38821-set2-leo1200-s-handheld", "up", LEO1200, S_BAND_PATH_DB, -8.6),
    ],
)
def test_link_budgets_of_the_calibration_are_reproduced(
    case: str, name: str, direction: str, geometry: tuple[float, float], path_db: float, cnr_db: float
) -> None:
    found = _cnr_db(radio_preset(name), direction, _slant_m(*geometry), path_db)
    assert found == pytest.approx(cnr_db, abs=PRINTED_DB), case


def test_nb_iot_downlink_is_what_the_contributors_found() -> None:
    # S4-260524 (NB-IoT over GEO, set 2 of TR 36.763): -8.5 dB with gases of 0.2 dB and 3 dB of polarisation
    found = _cnr_db(radio_preset("tr36763-set2-geo-nb-iot"), "down", _slant_m(*GEO), 0.2 + 3.0 + 2.2)
    assert found == pytest.approx(-8.5, abs=PRINTED_DB)


def test_free_space_losses_are_those_of_the_table() -> None:
    for geometry, frequency_ghz, loss_db in ((GEO, 20.0, 210.6), (GEO, 30.0, 214.1), (LEO600, 2.0, 159.1)):
        assert float(free_space_loss_db(_slant_m(*geometry), frequency_ghz)) == pytest.approx(
            loss_db, abs=0.05
        )


def test_terminals_have_the_figures_of_merit_of_the_table() -> None:
    assert radio_preset("tr38821-set1-geo-ka-vsat").down_g_over_t_db_k == pytest.approx(15.9, abs=0.05)
    assert radio_preset("tr38821-set1-geo-s-handheld").down_g_over_t_db_k == pytest.approx(-31.6, abs=0.05)


def test_one_fixed_beam_is_three_decibels_down_at_the_edge_that_the_report_gives() -> None:
    # TR 36.763 table 6.2-3: set 4, beam of 104.7 degrees, edge at 30 degrees elevation
    radio = radio_preset("tr36763-set4-leo600-nb-iot")
    edge = nadir_angle_rad(math.radians(30.0), _slant_m(*LEO600), EARTH_M)
    code, _, diameter, peak, exponent = antenna_parameters(radio.far_antenna, 2.0)
    assert relative_gain_db(code, edge, edge, diameter, peak, exponent) == pytest.approx(-3.0, abs=PRINTED_DB)


@pytest.mark.parametrize("name", PRESETS)
def test_every_set_is_complete(name: str) -> None:
    radio = radio_preset(name)
    assert radio.name == name
    assert modcod_table(radio.modcods).name == radio.modcods
    for antenna in (radio.place_antenna, radio.far_antenna):
        for frequency_ghz in (radio.up_frequency_ghz, radio.down_frequency_ghz):
            assert np.all(np.isfinite(antenna_parameters(antenna, frequency_ghz)))


def test_unknown_set_is_told_with_the_known_ones() -> None:
    with pytest.raises(WorldError, match="radio preset is 'tr1', allowed: tr38821-set1-geo-s-handheld, "):
        radio_preset("tr1")


@pytest.mark.parametrize("number", ["set1", "set2"])
@pytest.mark.parametrize("ending", ["s-handheld", "ka-vsat"])
def test_twice_the_altitude_has_four_times_the_power_from_the_same_satellite(
    number: str, ending: str
) -> None:
    """TR 38.821 section 6.1.1: LEO at 1200 and 600 km have one antenna and one power flux on the ground."""
    high, low = (radio_preset(f"tr38821-{number}-{orbit}-{ending}") for orbit in ("leo1200", "leo600"))
    assert high.down_eirp_dbw - low.down_eirp_dbw == pytest.approx(6.0)
    assert (high.up_g_over_t_db_k, high.far_antenna) == (low.up_g_over_t_db_k, low.far_antenna)


@pytest.mark.parametrize(("ending", "less_db"), [("s-handheld", 6.0), ("ka-vsat", 8.0)])
@pytest.mark.parametrize("orbit", ["leo1200", "leo600"])
def test_smaller_satellites_differ_by_the_gain_of_their_antenna(
    orbit: str, ending: str, less_db: float
) -> None:
    one, two = (radio_preset(f"tr38821-{number}-{orbit}-{ending}") for number in ("set1", "set2"))
    assert one.far_antenna.gain_dbi - two.far_antenna.gain_dbi == pytest.approx(less_db)
    assert one.down_eirp_dbw - two.down_eirp_dbw == pytest.approx(less_db)
    assert one.up_g_over_t_db_k - two.up_g_over_t_db_k == pytest.approx(less_db)
