"""Medians of throughput by rain and by hour: classes read, every second held out, all judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured import throughput_weather as weather
from tests.emulator.worlds import shared

SITE = weather.Parameters(52.28, 8.02, 64.0)
RAIN = ("0", "0-1", "1-2", "2-3", "3-4", "4-5", ">5")
#: a model of the same form is found again, but for the rounding of the file
ROUNDING = 0.002


def _rain(folder: Path, medians: np.ndarray, names: tuple[str, ...] = RAIN) -> Path:
    path = folder / "rain.csv"
    rows = (f"{name},10,{median:.3f}\n" for name, median in zip(names, medians, strict=True))
    path.write_text("rain_bucket_mm,n,median_mbps\n" + "".join(rows))
    return path


def _hours(folder: Path, medians: np.ndarray) -> Path:
    path = folder / "hours.csv"
    path.write_text("hour,median\n" + "".join(f"{hour},{one:.3f}\n" for hour, one in enumerate(medians)))
    return path


def _made(wet_db: float = 2.0, soon: float = 30.0) -> np.ndarray:
    rain_mm_h = np.array([0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 7.5])
    path_db = weather._path_db(rain_mm_h, SITE)
    return 220.0 * weather._share(path_db + weather._wet_db(path_db, wet_db, soon), SITE)


def test_what_follows_the_model_is_found_again(tmp_path: Path) -> None:
    found = weather.compare([_rain(tmp_path, _made())], SITE)
    assert found.figures["rain_greatest_error"] < ROUNDING
    assert found.verdicts[0].holds


def test_held_out_classes_have_no_part_in_the_calibration(tmp_path: Path) -> None:
    plain = weather.compare([_rain(tmp_path, _made())], SITE).tables[0].rows
    medians = _made()
    medians[[2, 4, 6]] *= 0.5
    other = weather.compare([_rain(tmp_path, medians)], SITE)
    assert [row[2] for row in other.tables[0].rows] == [row[2] for row in plain]
    assert [row[0] for row in other.tables[0].rows if row[4] == "held out"] == ["1-2", "3-4", ">5"]
    assert not other.verdicts[0].holds


def test_more_rain_leaves_less_and_none_leaves_all() -> None:
    shares = weather._share(np.array([0.0, 0.5, 1.0, 3.0, 60.0]), SITE)
    assert shares[0] == 1.0
    assert np.all(np.diff(shares) < 0.0)
    assert shares[-1] == 0.0


def test_the_day_is_found_from_every_second_hour(tmp_path: Path) -> None:
    hours = np.arange(24)
    medians = 200.0 + 25.0 * np.cos(2 * np.pi * (hours - 4) / 24) - 8.0 * np.sin(4 * np.pi * hours / 24)
    found = weather.compare([_hours(tmp_path, medians)], SITE)
    assert found.figures["hour_greatest_error_held_out"] < ROUNDING
    medians[7] *= 1.5
    assert not weather.compare([_hours(tmp_path, medians)], SITE).verdicts[0].holds


@pytest.mark.parametrize(
    ("name", "rain_mm"), [("0", 0.0), ("1-2", 1.5), (" 3 - 4 ", 3.5), (">5", 7.5), ("2.5", 2.5)]
)
def test_classes_of_rain_stand_at_their_middle(name: str, rain_mm: float) -> None:
    assert weather._middle(Path("x.csv"), name) == rain_mm


def test_what_cannot_be_judged_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the class of rain 'much' must be a number, LOW-HIGH or >LOW"):
        weather.compare([_rain(tmp_path, np.ones(2), ("0", "much"))], SITE)
    with pytest.raises(BadInput, match="must have medians of one class without rain and 3 with rain"):
        weather.compare([_rain(tmp_path, np.ones(3), ("0", "0-1", "1-2"))], SITE)
    with pytest.raises(BadInput, match="must have medians of 15 hours or more"):
        weather.compare([_hours(tmp_path, np.ones(6))], SITE)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="has neither a column rain_bucket_mm nor"):
        weather.compare([tmp_path / "other.csv"], SITE)
    with pytest.raises(BadInput, match="throughput-weather: clear_snr_db is 99, allowed: -2 to 40"):
        weather.compare([_hours(tmp_path, np.ones(24))], weather.Parameters(0.0, 0.0, clear_snr_db=99.0))


def test_public_medians_are_met_within_a_tenth_also_where_held_out() -> None:
    folder = shared("wetlinks_digitised")
    found = weather.compare([folder / "download_by_rain.csv", folder / "download_by_hour.csv"], SITE)
    assert [verdict.name for verdict in found.verdicts if verdict.holds] == [
        "medians_by_rain",
        "medians_by_hour",
    ]
    for kind in ("rain", "hour"):
        assert found.figures[f"{kind}_greatest_error"] < found.figures[f"{kind}_greatest_error_of_constant"]
