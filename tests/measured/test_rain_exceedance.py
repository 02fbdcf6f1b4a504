"""Predicted against recorded exceedance: right on a made-up record, judged on a real one, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from emulator.radio.slant_path import attenuation
from emulator.spec import Place
from testbed.errors import BadInput
from testbed.measured.rain_exceedance import Parameters, compare, read
from tests.emulator.worlds import shared

SITE = Parameters(50.67, 4.61, 30.0, 160.0, years=2.0)
#: percent, between the levels that a record has
INTERPOLATED = 0.5


@pytest.fixture(autouse=True)
def _maps() -> None:
    pytest.importorskip("itur")


def record(folder: Path, factor: float = 1.0, name: str = "beacon_20.2GHz.csv") -> Path:
    """What a beacon would record if the standard were `1 / factor` of the truth."""
    percent = np.geomspace(20.0, 0.002, 300)
    place = Place("site", "ground", SITE.latitude_deg, SITE.longitude_deg, SITE.altitude_m)
    excess = attenuation(place, 20.2, SITE.elevation_deg, percent).excess_db
    falling = np.append(True, np.diff(np.maximum.accumulate(excess)) > 0.0)
    rows = [f"{a},{p}" for a, p in zip(factor * excess[falling], percent[falling], strict=True)]
    path = folder / name
    path.write_text("\n".join(["attenuation_db,exceeded_percent", *rows]) + "\n")
    return path


def test_a_record_as_the_standard_has_it_is_met(tmp_path: Path) -> None:
    found = compare([record(tmp_path)], SITE)
    assert [verdict.holds for verdict in found.verdicts] == [True] * 3
    for percent in ("1", "0.1", "0.01"):
        assert abs(found.figures[f"error_at_{percent}_percent_of_time_20.2_ghz_percent"]) < INTERPOLATED
    assert found.figures["rms_error_p618_14_20.2_ghz_percent"] < INTERPOLATED
    assert found.figures["rms_error_constant_20.2_ghz_percent"] > 50.0


def test_a_record_of_half_as_much_again_is_missed(tmp_path: Path) -> None:
    found = compare([record(tmp_path, factor=1.5)], SITE)
    assert [verdict.holds for verdict in found.verdicts] == [False] * 3
    assert found.figures["error_at_0.1_percent_of_time_20.2_ghz_percent"] == pytest.approx(-100 / 3, abs=0.5)


def test_the_model_asked_for_is_the_one_judged(tmp_path: Path) -> None:
    path = record(tmp_path)
    errors = [
        compare([path], Parameters(50.67, 4.61, 30.0, 160.0, model=model, years=2.0)).verdicts[0].figure
        for model in ("rain", "p618-14", "p618-13")
    ]
    assert errors == sorted(errors)
    assert len(set(errors)) == 3


def test_what_a_record_does_not_reach_is_not_judged(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_text("\n".join(path.read_text().splitlines()[:150]))
    assert [verdict.holds for verdict in compare([path], SITE).verdicts] == [True, None, None]


def test_the_frequency_is_in_the_name_or_given(tmp_path: Path) -> None:
    assert read(record(tmp_path)).frequency_ghz == 20.2
    nameless = record(tmp_path, name="beacon.csv")
    assert read(nameless, 20.2).frequency_ghz == 20.2
    with pytest.raises(BadInput, match=r"beacon\.csv: its name has no frequency such as 19\.701GHz, so give"):
        read(nameless)


def test_it_draws_a_chart_for_each_record(tmp_path: Path) -> None:
    found = compare([record(tmp_path), record(tmp_path, name="other_30GHz.csv")], SITE)
    assert found.draw is not None
    figure = Figure()
    found.draw(figure)
    assert [ax.get_title() for ax in figure.axes] == ["20.2 GHz", "30 GHz"]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,5\n2,101", "exceeded_percent is 101, it must be from 0 to 100"),
        ("1,5\n2,", "exceeded_percent is nan, it must be from 0 to 100"),
        ("1,5\n,3", "attenuation_db is missing in a row"),
        ("1,5\n2,7", "exceeded_percent rises with attenuation_db, it must fall"),
        ("1,5\n2,0", "has 1 levels that were exceeded, it must have two at least"),
        ("1,much\n2,0", "line 2: exceeded_percent is 'much', it must be a number"),
    ],
)
def test_a_bad_record_is_named(rows: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "beacon_20GHz.csv"
    path.write_text(f"attenuation_db,exceeded_percent\n{rows}\n")
    with pytest.raises(BadInput) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (Parameters(50.0, 4.0, 30.0, model="crane"), "model is 'crane', allowed: p618-14, p618-13, rain"),
        (Parameters(50.0, 4.0, 3.0), "elevation_deg is 3, allowed: 5 to 90"),
        (Parameters(50.0, 4.0, 30.0, years=0.0), "years is 0, allowed: 1 to 1000"),
        (Parameters(50.0, 4.0, 30.0, frequency_ghz=-1.0), "frequency_ghz is -1, allowed: 0 to 1000"),
    ],
)
def test_a_bad_parameter_is_named(parameters: Parameters, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=sentence):
        compare([record(tmp_path)], parameters)


@pytest.mark.parametrize("frequency", ["19.701", "39.402"])
def test_rare_fades_of_a_year_of_a_beacon_are_predicted_within_30_percent(frequency: str) -> None:
    path = shared(f"alphasat_excess_attenuation/alphasat_{frequency}GHz_2018_09_01_to_2019_08_30.csv")
    found = {verdict.name: verdict for verdict in compare([path], SITE).verdicts}
    # at 1 % of the time clouds count, and at 39 GHz those of the prediction are too much
    for percent in ("0.1", "0.01"):
        assert found[f"exceedance_at_{percent}_percent_{frequency}_ghz"].holds
