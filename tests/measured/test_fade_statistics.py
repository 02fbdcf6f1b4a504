"""Fades of microwave links: what counts as rain, durations and slopes, two channels, and bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emulator.radio.rain import specific_attenuation_db_km
from testbed.errors import BadInput
from testbed.measured.fade_statistics import Parameters, compare, fade_durations_s, slope_sd, statistics
from testbed.measured.microwave_links import rain_part, read
from tests.emulator.worlds import shared

QUICK = Parameters(years=0.3)
NAN = math.nan
HEADER = (
    "cml_id,site_a_latitude,site_a_longitude,"
    "channel_1_ghz,channel_1_pol,channel_2_ghz,channel_2_pol,length_km"
)
LEVELS = "unix_s,channel_1_tx_dbm,channel_1_rx_dbm,channel_2_tx_dbm,channel_2_rx_dbm"
#: levels are rounded to it
TENTH_DB = 0.1


def shower(minutes: int = 2880, peak_db: float = 20.0) -> NDArray[np.float64]:
    """A fade of one hour in the middle of two days."""
    rise = np.clip(1.0 - np.abs(np.arange(minutes) - minutes / 2) / 30.0, 0.0, None)
    return peak_db * rise


def folder(path: Path, attenuation_db: NDArray[np.float64], scale: float = 1.0) -> Path:
    """A folder with one link of 10 km at 18 and 23 GHz; the second channel fades by `scale` times as much."""
    (path / "links.csv").write_text(f"{HEADER}\nA_B,50.6,10.9,18.0,V,23.0,V,10.0\n")
    drift = 1.5 * np.sin(np.arange(len(attenuation_db)) / 460.0)
    rows = [
        f"{1_498_608_000 + 60 * k},10.0,{-40.0 - d - a:.1f},10.0,{-45.0 - d - scale * a:.1f}"
        for k, (a, d) in enumerate(zip(attenuation_db, drift, strict=True))
    ]
    (path / "A_B.csv").write_text("\n".join([LEVELS, *rows]) + "\n")
    return path / "A_B.csv"


def test_rain_is_told_from_a_drifting_level(tmp_path: Path) -> None:
    rain = shower()
    found = read([folder(tmp_path, rain)], wet_db=0.8)[0].attenuation_db[0]
    assert found[:1300].max() == 0.0
    assert np.abs(found - rain).max() < 3 * TENTH_DB + 0.2


def test_what_was_not_recorded_stays_unknown() -> None:
    loss = 50.0 + shower()
    loss[100:130] = NAN
    found = rain_part(loss, 0.8)
    assert np.isnan(found[100:130]).all()
    assert np.isfinite(np.delete(found, slice(100, 130))).all()


def test_durations_are_those_of_whole_fades() -> None:
    attenuation = np.array([4, 0, 5, 6, 2, 3, NAN, 7, 0, 3, 3, 3, 0, 9], dtype=float)
    # cut by the beginning, by gaps on either side, by the end: not counted
    assert fade_durations_s(attenuation, 3.0).tolist() == [120.0, 180.0]
    assert fade_durations_s(attenuation, 5.5).tolist() == [60.0]


def test_slopes_are_sorted_by_the_attenuation_they_are_at() -> None:
    ramp = np.arange(0.0, 20.0, 0.1)
    found = statistics([np.concatenate((ramp, ramp[::-1]))])
    assert found.slope_sd()[3] == pytest.approx(0.1 / 60.0, rel=0.05)


def test_the_slope_of_the_standard_is_that_of_the_itur_package() -> None:
    itur = pytest.importorskip("itur")
    expected = itur.models.itu1623.fade_slope(0.1, 7.0, 0.02, 120.0)[3]
    assert slope_sd(np.array([7.0]))[0] == pytest.approx(float(getattr(expected, "value", expected)))


def test_two_channels_are_compared_with_their_frequencies(tmp_path: Path) -> None:
    pytest.importorskip("itur")
    rate = 20.0
    one, two = (specific_attenuation_db_km(rate, f, 0.0, 90.0) for f in (18.0, 23.0))
    found = compare([folder(tmp_path, shower(), scale=two / one)], QUICK)
    assert found.figures["two_frequency_links"] == 1
    assert found.figures["two_frequency_ratio_rms_error_percent"] < 5.0
    assert found.figures["two_frequency_ratio_of_one_rms_error_percent"] > 20.0


def test_it_draws_and_judges_nothing(tmp_path: Path) -> None:
    pytest.importorskip("itur")
    found = compare([folder(tmp_path, shower())], QUICK)
    assert found.verdicts == ()
    assert found.figures["fades_measured_at_5_db"] == 1.0
    assert found.draw is not None
    figure = Figure()
    found.draw(figure)
    assert len(figure.axes) == 3


def test_real_links_have_fades_of_minutes_that_move_as_models_have_it_within_a_factor_of_two() -> None:
    pytest.importorskip("itur")
    found = compare([shared("cml_rain_attenuation/links.csv")], Parameters(years=1.0)).figures
    assert found["fades_measured_at_3_db"] > 300
    assert found["fades_measured_at_3_db"] > found["fades_measured_at_10_db"] > 100
    for low in ("3", "6", "11"):
        assert 0.5 < found[f"slope_sd_ratio_p1853_from_{low}_db"] < 2.0
    # a twentieth in frequency is seen in the attenuation
    assert found["two_frequency_ratio_rms_error_percent"] < 5.0
    assert found["two_frequency_ratio_of_one_rms_error_percent"] > 5.0


def test_a_link_that_is_not_described_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, shower())
    other = path.rename(tmp_path / "C_D.csv")
    with pytest.raises(BadInput, match=r"C_D\.csv: .*links\.csv has no link C_D"):
        compare([other], QUICK)


def test_without_a_description_of_the_links_there_is_none(tmp_path: Path) -> None:
    path = folder(tmp_path, shower())
    (tmp_path / "links.csv").unlink()
    with pytest.raises(BadInput, match=r"there is no links\.csv beside it"):
        compare([path], QUICK)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (",V,23", ",X,23", "polarisation is 'X', it must be H or V"),
        (",10.0\n", ",0\n", "link A_B has a length or frequency that is not above 0"),
        (",10.0\n", ",-1\n", "line 2: length_km is '-1', it must be from 0 to 200"),
        (",10.0\n", ",1e300\n", "line 2: length_km is '1e300', it must be from 0 to 200"),
        (",18.0,", ",1e9,", "line 2: channel_1_ghz is '1e9', it must be from 0 to 1000"),
        (",50.6,", ",99,", "line 2: site_a_latitude is '99', it must be from -90 to 90"),
        (",50.6,", ",,", "link A_B has no latitude or longitude"),
        ("A_B,", "../A_B,", "cml_id is '../A_B', it must be the name of a file"),
    ],
)
def test_a_bad_description_is_named(before: str, after: str, sentence: str, tmp_path: Path) -> None:
    path = folder(tmp_path, shower())
    index = tmp_path / "links.csv"
    index.write_text(index.read_text().replace(before, after))
    with pytest.raises(BadInput, match=sentence):
        compare([path], QUICK)


def test_too_short_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none of its links has 240 minutes of levels"):
        compare([folder(tmp_path, shower(100))], QUICK)


def test_times_must_rise(tmp_path: Path) -> None:
    path = folder(tmp_path, shower())
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(BadInput, match="times do not rise from row to row"):
        compare([path], QUICK)


def test_a_record_of_centuries_is_refused_before_the_work(tmp_path: Path) -> None:
    path = folder(tmp_path, shower())
    path.write_text(path.read_text() + "7000000000,10.0,-40.0,10.0,-45.0\n")
    with pytest.raises(BadInput, match="spans 63674 days, it must be 400 at most"):
        compare([path], QUICK)


@pytest.mark.parametrize("parameters", [Parameters(wet_threshold_db=0.0), Parameters(years=-1.0)])
def test_a_bad_parameter_is_named(parameters: Parameters, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is .*, allowed: 0\.\d+ to"):
        compare([folder(tmp_path, shower())], parameters)
