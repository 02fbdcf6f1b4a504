"""Interference between links of one channel, against closed forms and a worked case of shared spectrum."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import WorldError
from emulator.geometry import ecef_from_geodetic
from emulator.radio.antennas import gain_dbi
from emulator.radio.budget import free_space_loss_db, snr_db
from emulator.radio.interference import CoChannelLinks, interference_over_noise_db, sinr_db
from emulator.spec import Antenna
from emulator.units import BOLTZMANN_DBW_K_HZ

ROUNDING_DB = 1e-6
#: the worked case is rounded to tenths at every step
BY_HAND_DB = 0.2
ISOTROPIC = Antenna()
FAR_APART_M = 1_000e3


def _square(side_m: float = FAR_APART_M, **more: Any) -> CoChannelLinks:
    """Two equal links on opposite sides of a square far above the Earth: all four distances are two kinds."""
    base = np.array([20_000e3, 0.0, 0.0])
    east, north = np.array([0.0, side_m, 0.0]), np.array([0.0, 0.0, side_m])
    links = CoChannelLinks(
        tx_m=[base, base + east],
        rx_m=[base + north, base + east + north],
        tx_end=[0, 1],
        rx_end=[2, 3],
        eirp_dbw=[20.0, 20.0],
        g_over_t_db_k=[0.0, 0.0],
        frequency_ghz=[2.0, 2.0],
        bandwidth_mhz=[10.0, 10.0],
        tx_antenna=[ISOTROPIC] * 2,
        rx_antenna=[ISOTROPIC] * 2,
    )
    return dataclasses.replace(links, **more)


def _snr_db(links: CoChannelLinks) -> np.ndarray:
    length = np.linalg.norm(np.asarray(links.rx_m, float) - np.asarray(links.tx_m, float), axis=1)
    columns = (np.asarray(c, float) for c in (links.eirp_dbw, links.g_over_t_db_k, links.bandwidth_mhz))
    return snr_db(*columns, free_space_loss_db(length, np.asarray(links.frequency_ghz)))


def test_two_equal_links_disturb_each_other_over_the_diagonal() -> None:
    links = _square()
    # the wanted path is the side, the unwanted the diagonal: 3 dB weaker than the signal
    expected = _snr_db(links) - 10.0 * math.log10(2.0)
    found = interference_over_noise_db(links)
    assert found == pytest.approx(expected, abs=ROUNDING_DB)
    carrier_over_interference = 2.0
    noise = 10.0 ** (-_snr_db(links) / 10.0)
    sinr = -10.0 * np.log10(noise + 1.0 / carrier_over_interference)
    assert sinr_db(_snr_db(links), found) == pytest.approx(sinr, abs=ROUNDING_DB)


def test_orthogonal_channels_do_not_disturb() -> None:
    links = _square(frequency_ghz=[2.0, 2.01])
    assert np.all(np.isneginf(interference_over_noise_db(links)))
    assert sinr_db(_snr_db(links), interference_over_noise_db(links)) == pytest.approx(_snr_db(links))


def test_channels_that_overlap_by_half_disturb_by_half() -> None:
    whole = interference_over_noise_db(_square())
    half = interference_over_noise_db(_square(frequency_ghz=[2.0, 2.005]))
    assert half[0] == pytest.approx(whole[0] - 10.0 * math.log10(2.0) - 20.0 * math.log10(2.005 / 2.0))


def test_narrow_link_puts_all_its_power_into_a_wide_one_and_hears_a_tenth_of_it() -> None:
    whole = interference_over_noise_db(_square())
    mixed = interference_over_noise_db(_square(bandwidth_mhz=[10.0, 1.0]))
    # all of its power, over the wide receiver's noise
    assert mixed[0] == pytest.approx(whole[0], abs=ROUNDING_DB)
    # a tenth of the power over a tenth of the noise
    assert mixed[1] == pytest.approx(whole[1], abs=ROUNDING_DB)


def test_three_links_add_their_powers() -> None:
    square = _square()
    third = np.array([20_000e3, -FAR_APART_M, 0.0])
    links = CoChannelLinks(
        *(np.vstack([first, second]) for first, second in ((square.tx_m, third), (square.rx_m, 2.0 * third))),
        [0, 1, 4],
        [2, 3, 5],
        *([value] * 3 for value in (20.0, 0.0, 2.0, 10.0)),
        *([[ISOTROPIC] * 3] * 2),
    )
    # the first receiver is one diagonal from both strangers
    alone = interference_over_noise_db(square)[0]
    assert interference_over_noise_db(links)[0] == pytest.approx(alone + 10.0 * math.log10(2.0))


def test_beams_keep_what_is_beside_them_out() -> None:
    dish = Antenna("aperture", diameter_m=1.0)
    links = _square(tx_antenna=[dish] * 2, rx_antenna=[dish] * 2)
    # the stranger is 45 degrees off the beam at both ends
    lost = 2.0 * float(gain_dbi(dish, 45.0, 2.0) - gain_dbi(dish, 0.0, 2.0))
    expected = interference_over_noise_db(_square()) + lost
    assert interference_over_noise_db(links) == pytest.approx(expected, abs=ROUNDING_DB)


def test_panels_hear_little_of_what_is_low_over_them() -> None:
    # receivers side by side on the ground look up; the stranger of each is 40 degrees from the zenith
    ground = ecef_from_geodetic(0.0, [0.0, 6.0], 0.0)
    sky = ecef_from_geodetic(0.0, [0.0, 6.0], 600e3)
    wide = Antenna("phased-array", diameter_m=1e-3, gain_dbi=1.0, scan_exponent=1.0)
    links = _square(tx_m=sky, rx_m=ground)
    panels = dataclasses.replace(links, rx_antenna=[wide] * 2)
    ray = sky[1] - ground[0]
    cosine = float(ray[0] / np.linalg.norm(ray))
    lost = interference_over_noise_db(panels) - interference_over_noise_db(links)
    assert lost[0] == pytest.approx(10.0 * math.log10(cosine), abs=1e-3)
    down = dataclasses.replace(panels, rx_faces_up=[False, False])
    assert np.all(interference_over_noise_db(down) == pytest.approx(interference_over_noise_db(links) - 60.0))


def test_receiver_does_not_hear_its_own_transmitter() -> None:
    base = np.array([20_000e3, 0.0, 0.0])
    other = base + np.array([0.0, 0.0, FAR_APART_M])
    both_ways = _square(tx_m=[base, other], rx_m=[other, base], tx_end=[0, 1], rx_end=[1, 0])
    assert np.all(np.isneginf(interference_over_noise_db(both_ways)))


def test_links_of_one_receiver_are_scheduled_apart_unless_said_otherwise() -> None:
    square = _square()
    star = dataclasses.replace(square, rx_m=[np.asarray(square.rx_m)[0]] * 2, rx_end=[2, 2])
    assert np.all(np.isneginf(interference_over_noise_db(star)))
    assert interference_over_noise_db(star, shared_ends=True)[0] == pytest.approx(_snr_db(star)[1])


def test_beams_of_one_satellite_are_of_different_colour_unless_said_otherwise() -> None:
    square = _square()
    beams = dataclasses.replace(square, tx_m=[np.asarray(square.tx_m)[0]] * 2, tx_end=[0, 0])
    assert np.all(np.isneginf(interference_over_noise_db(beams)))
    # to the first receiver the other beam comes as strong as its own
    assert interference_over_noise_db(beams, shared_ends=True)[0] == pytest.approx(_snr_db(beams)[0])


def test_earth_stands_in_the_way() -> None:
    place = ecef_from_geodetic([0.0, 0.0, 90.0], [0.0, 180.0, 0.0], [0.0, 0.0, 0.0])
    sky = ecef_from_geodetic([0.0, 0.0, 90.0], [0.0, 180.0, 0.0], [600e3] * 3)
    for far in (1, 2):
        links = _square(tx_m=sky[[0, far]], rx_m=place[[0, far]])
        assert np.all(np.isneginf(interference_over_noise_db(links)))


@pytest.mark.parametrize("latitude", [0.0, 47.0, 90.0])
def test_places_on_the_ground_see_each_other_up_to_the_horizon(latitude: float) -> None:
    def disturbed(distance_deg: float) -> bool:
        at = ecef_from_geodetic([latitude, latitude - distance_deg], 0.0, 0.0)
        sky = ecef_from_geodetic([latitude, latitude - distance_deg], 0.0, 600e3)
        links = _square(tx_m=[at[0], at[1]], rx_m=[sky[0], at[1] + 5.0], tx_end=[0, 1], rx_end=[2, 3])
        return bool(np.isfinite(interference_over_noise_db(links)[1]))

    assert disturbed(20e3 / 111.3e3)
    assert not disturbed(40e3 / 111.3e3)


def test_terrestrial_cell_and_satellite_in_one_s_band_channel() -> None:
    """10 MHz at 2.185 GHz (band n256, down): a satellite 600 km overhead with 34 dBW/MHz and 30 dBi, its
    handheld (G/T -31.6 dB/K), and 20 km away a cell of 46 dBm and 17 dBi that serves a handheld at 500 m."""
    place = ecef_from_geodetic([47.0, 47.0, 47.0], [10.0, 10.263, 10.2696], [0.0, 30.0, 0.0])
    satellite = ecef_from_geodetic(47.0, 10.0, 600e3)
    links = CoChannelLinks(
        tx_m=[satellite, place[1]],
        rx_m=[place[0], place[2]],
        tx_end=[0, 2],
        rx_end=[1, 3],
        eirp_dbw=[44.0, 33.0],
        g_over_t_db_k=[-31.6, -31.6],
        frequency_ghz=[2.185, 2.185],
        bandwidth_mhz=[10.0, 10.0],
        tx_antenna=[Antenna("aperture", diameter_m=2.0), ISOTROPIC],
        rx_antenna=[ISOTROPIC, ISOTROPIC],
    )
    # 44 - 31.6 - 154.8 + 228.6 - 70 dB, and 33 - 31.6 - 125.3 (20 km) + 228.6 - 70 dB
    to_satellite_user, to_cell_user = interference_over_noise_db(links)
    assert _snr_db(links)[0] == pytest.approx(16.2, abs=BY_HAND_DB)
    assert to_satellite_user == pytest.approx(34.7, abs=BY_HAND_DB)
    # the satellite's user is lost in the cell's signal
    assert sinr_db(_snr_db(links), [to_satellite_user, to_cell_user])[0] == pytest.approx(
        -18.5, abs=BY_HAND_DB
    )
    # the cell's user is 1.95 degrees off the beam of 4.05 degrees: 2.8 dB below the satellite's own user
    off = math.degrees(math.atan(20.5 / 600.0))
    beam = Antenna("aperture", diameter_m=2.0)
    lost = float(gain_dbi(beam, off, 2.185) - gain_dbi(beam, 0.0, 2.185))
    assert to_cell_user == pytest.approx(16.2 + lost, abs=BY_HAND_DB)


@settings(deadline=None)
@given(st.floats(-40.0, 60.0), st.floats(-60.0, 60.0))
def test_interference_never_helps_and_more_of_it_never_less(snr: float, level: float) -> None:
    sinr = float(sinr_db(snr, level))
    assert sinr < snr
    assert sinr <= snr - level + ROUNDING_DB
    assert float(sinr_db(snr, level + 1.0)) < sinr


@settings(deadline=None)
@given(st.floats(0.0, 40.0))
def test_stronger_strangers_disturb_by_as_much_more(power: float) -> None:
    louder = _square(eirp_dbw=[20.0, 20.0 + power])
    assert interference_over_noise_db(louder)[0] == pytest.approx(
        float(interference_over_noise_db(_square())[0]) + power, abs=ROUNDING_DB
    )


def test_row_without_power_disturbs_nobody() -> None:
    assert np.isneginf(interference_over_noise_db(_square(eirp_dbw=[20.0, math.nan]))[0])


def test_noise_is_that_of_the_receiver() -> None:
    # one link's I/N by hand: EIRP - FSPL + G/T - k B
    links = _square(g_over_t_db_k=[-12.0, 3.0])
    fspl = float(free_space_loss_db(FAR_APART_M * math.sqrt(2.0), 2.0))
    assert interference_over_noise_db(links)[0] == pytest.approx(
        20.0 - fspl - 12.0 - BOLTZMANN_DBW_K_HZ - 70.0
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"eirp_dbw": [1.0]}, "eirp_dbw has 1 rows, but tx_m has 2"),
        ({"rx_antenna": [ISOTROPIC]}, "rx_antenna has 1 rows, but tx_m has 2"),
        ({"frequency_ghz": [2.0, -1.0]}, "frequency_ghz is -1, it must be above 0"),
        ({"bandwidth_mhz": [0.0, 1.0]}, "bandwidth_mhz is 0, it must be above 0"),
    ],
)
def test_what_does_not_fit_together_gets_one_sentence(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WorldError, match=sentence):
        interference_over_noise_db(_square(**more))
