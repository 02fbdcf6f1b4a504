"""Signal strength over elevation and distance: the offset is found, a wrong trend is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emulator.radio.budget import free_space_loss_db
from testbed.errors import BadInput
from testbed.measured import rssi_trend
from testbed.measured.comparison import Comparison
from testbed.measured.rssi_trend import Parameters, compare
from tests.emulator.worlds import shared

PACKETS = 600
NOISE_DB = 3.0
FREQUENCY_GHZ = 0.437
#: three standard errors of the mean of half the packets
OFFSET_TOLERANCE_DB = 3.0 * NOISE_DB / np.sqrt(PACKETS / 2)

Trend = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _write(
    folder: Path, trend: Trend = lambda elevation, distance: 0.0 * elevation, offset_db: float = 15.0,
    sources: dict[str, float] | None = None, power: bool = False,
) -> Path:  # fmt: skip
    """Packets whose level is free-space loss, an offset, a trend and noise; sources add to the offset."""
    generator = np.random.default_rng(7)
    elevation = generator.uniform(2.0, 88.0, PACKETS)
    distance_km = 550.0 / np.sin(np.radians(np.maximum(elevation, 12.0)))
    names = list(sources or {"SAT-1": 0.0})
    source = generator.choice(names, PACKETS)
    extra = np.array([(sources or {"SAT-1": 0.0})[name] for name in source])
    power_dbm = generator.choice([2.0, 14.0], PACKETS) if power else np.zeros(PACKETS)
    level = offset_db + extra + power_dbm - free_space_loss_db(distance_km * 1e3, FREQUENCY_GHZ)
    level += trend(elevation, distance_km) + generator.normal(0.0, NOISE_DB, PACKETS)
    header = "utc,satellite,freq_mhz,rssi_dbm,distance_km,elevation_deg" + (",tx_power_dbm" if power else "")
    rows = [header]
    for k in range(PACKETS):
        row = f"{k},{source[k]},{FREQUENCY_GHZ * 1e3},{level[k]:.3f},{distance_km[k]:.3f},{elevation[k]:.3f}"
        rows.append(row + (f",{power_dbm[k]}" if power else ""))
    path = folder / "packets.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def _holds(result: Comparison) -> dict[str, bool | None]:
    return {verdict.name: verdict.holds for verdict in result.verdicts}


def test_the_offset_is_found_and_the_right_trend_holds(tmp_path: Path) -> None:
    result = compare([_write(tmp_path)], Parameters())
    assert result.figures["offset_db"] == pytest.approx(15.0, abs=OFFSET_TOLERANCE_DB)
    assert result.figures["residual_sigma_db"] == pytest.approx(NOISE_DB, rel=0.1)
    assert result.figures["skill_over_constant"] > 0.0
    assert _holds(result) == {"elevation_trend": True, "distance_trend": True}


def test_a_trend_that_is_not_predicted_fails(tmp_path: Path) -> None:
    """Twenty-five decibels more overhead than at the horizon, which no free space explains."""
    result = compare([_write(tmp_path, lambda elevation, _: 25.0 * (elevation / 90.0) ** 4)], Parameters())
    assert _holds(result)["elevation_trend"] is False


def test_antenna_patterns_are_part_of_the_prediction(tmp_path: Path) -> None:
    """A standing dipole hears nothing overhead: isotropic misses that, the dipole's pattern explains it."""

    def dipole(elevation: np.ndarray, _distance: np.ndarray) -> np.ndarray:
        angle = np.radians(90.0 - elevation)
        return np.asarray(20.0 * np.log10(np.abs(np.cos(0.5 * np.pi * np.cos(angle)) / np.sin(angle))))

    path = _write(tmp_path, dipole)
    assert _holds(compare([path], Parameters()))["elevation_trend"] is False
    with_pattern = compare([path], Parameters(place_pattern="dipole"))
    assert with_pattern.figures["residual_sigma_db"] == pytest.approx(NOISE_DB, rel=0.1)
    assert _holds(with_pattern) == {"elevation_trend": True, "distance_trend": True}


def test_recorded_transmit_power_is_not_part_of_the_offset(tmp_path: Path) -> None:
    result = compare([_write(tmp_path, power=True)], Parameters())
    assert result.figures["offset_db"] == pytest.approx(15.0, abs=OFFSET_TOLERANCE_DB)
    assert result.figures["residual_sigma_db"] == pytest.approx(NOISE_DB, rel=0.1)


def test_each_source_may_have_its_own_offset(tmp_path: Path) -> None:
    path = _write(tmp_path, sources={"SAT-1": -10.0, "SAT-2": 10.0})
    together = compare([path], Parameters()).figures["residual_sigma_db"]
    apart = compare([path], Parameters(offset_per="source")).figures["residual_sigma_db"]
    assert together > 3.0 * apart
    assert apart == pytest.approx(NOISE_DB, rel=0.1)


def test_calibration_packets_are_not_judged(tmp_path: Path) -> None:
    """A level that jumps after the first half is the judged half's, whichever way the offset went."""
    path = _write(tmp_path)
    lines = path.read_text().splitlines()
    cells = [line.split(",") for line in lines[1 + PACKETS // 2 :]]
    later = [",".join([*c[:3], f"{float(c[3]) - 20.0:.3f}", *c[4:]]) for c in cells]
    path.write_text("\n".join([*lines[: 1 + PACKETS // 2], *later]) + "\n")
    result = compare([path], Parameters())
    assert result.figures["offset_db"] == pytest.approx(15.0, abs=OFFSET_TOLERANCE_DB)
    assert result.figures["residual_mean_db"] == pytest.approx(-20.0, abs=2.0 * OFFSET_TOLERANCE_DB)
    assert _holds(result) == {"elevation_trend": False, "distance_trend": False}


def test_a_part_with_few_packets_is_shown_but_not_judged(tmp_path: Path) -> None:
    packets = rssi_trend.read(_write(tmp_path), Parameters())
    predicted = rssi_trend.predict_dbm(packets, Parameters())
    none = rssi_trend.judge(packets, predicted, Parameters(least_in_part=PACKETS))
    assert all(not part.judged for part in none.by_elevation)
    assert np.isnan(none.worst_sigma(none.by_elevation))
    assert sum(part.count for part in none.by_elevation) == PACKETS // 2
    void = compare([_write(tmp_path)], Parameters(least_in_part=PACKETS))
    assert _holds(void) == {"elevation_trend": None, "distance_trend": None}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"split": "half"}, "split is 'half', allowed: time, alternate"),
        ({"offset_per": "packet"}, "offset_per is 'packet', allowed: all, source"),
        ({"min_distance_km": -1.0}, "min_distance_km is -1, allowed: 0 to"),
        ({"min_distance_km": 1e6}, "0 packets are complete, at least 40 are needed"),
        ({"place_pattern": "yagi"}, "antenna pattern is 'yagi', allowed: "),
    ],
)
def test_bad_parameters_get_one_sentence(
    tmp_path: Path, change: dict[str, float | str], sentence: str
) -> None:
    with pytest.raises(ValueError if "pattern" in str(change) else BadInput, match=sentence):
        compare([_write(tmp_path)], replace(Parameters(), **change))  # type: ignore[arg-type]


def test_a_measurement_without_frequency_asks_for_one(tmp_path: Path) -> None:
    path = _write(tmp_path)
    path.write_text(path.read_text().replace("freq_mhz", "channel", 1))
    with pytest.raises(BadInput, match="has no frequency, give one with --set frequency_mhz=VALUE"):
        compare([path], Parameters())
    result = compare([path], Parameters(frequency_mhz=FREQUENCY_GHZ * 1e3))
    assert result.figures["offset_db"] == pytest.approx(15.0, abs=OFFSET_TOLERANCE_DB)


def test_satellites_heard_in_madrid_follow_the_predicted_trend() -> None:
    result = compare([shared("tinygs_ucm_lora/packets.csv")], Parameters())
    assert _holds(result) == {"elevation_trend": True, "distance_trend": True}


def test_balloons_follow_the_predicted_trend_when_every_other_frame_calibrates() -> None:
    """With the first half as calibration, the part from 45 to 60 degrees misses the bound by a third."""
    file = shared("lrfhss_balloon/frames.csv")
    result = compare([file], Parameters(frequency_mhz=868.1, split="alternate"))
    assert _holds(result) == {"elevation_trend": True, "distance_trend": True}
    strict = compare([file], Parameters(frequency_mhz=868.1))
    assert strict.figures["skill_over_constant"] > 0.0


# --- what is shown beside what is judged -----------------------------------------------------------------


def test_a_level_that_differs_between_the_halves_is_no_trend_and_shown_as_such(tmp_path: Path) -> None:
    path = _write(tmp_path)
    lines = path.read_text().splitlines()
    cells = [line.split(",") for line in lines[1 + PACKETS // 2 :]]
    later = [",".join([*c[:3], f"{float(c[3]) - 20.0:.3f}", *c[4:]]) for c in cells]
    path.write_text("\n".join([*lines[: 1 + PACKETS // 2], *later]) + "\n")
    figures = compare([path], Parameters()).figures
    for kind in ("elevation", "distance"):
        assert figures[f"worst_{kind}_part_sigma"] > 5.0
        assert figures[f"worst_{kind}_part_relative_sigma"] < 1.0


def test_a_constant_is_held_to_the_same_measure_as_the_prediction(tmp_path: Path) -> None:
    """Free space over 550 to 2600 km is more than the noise: what predicts none of it fails a part."""
    figures = compare([_write(tmp_path)], Parameters()).figures
    assert figures["worst_distance_part_sigma"] < 1.0 < figures["worst_distance_part_sigma_of_constant"]


def test_a_prediction_that_is_worse_than_none_is_said(tmp_path: Path) -> None:
    """Strength that does not fall with distance at all."""

    def flat(_: np.ndarray, distance: np.ndarray) -> np.ndarray:
        return free_space_loss_db(distance * 1e3, FREQUENCY_GHZ)

    result = compare([_write(tmp_path, flat)], Parameters())
    assert result.figures["skill_over_constant"] < 0.0
    assert any("always the same errs less" in remark for remark in result.remarks)
    assert not any("errs less" in remark for remark in compare([_write(tmp_path)], Parameters()).remarks)


def test_sources_heard_once_do_not_stop_the_other_ways_of_calibrating(tmp_path: Path) -> None:
    path = _write(tmp_path)
    header, *rows = path.read_text().splitlines()
    named = [row.replace("SAT-1", f"SAT-{k}") for k, row in enumerate(rows)]
    path.write_text("\n".join([header, *named]) + "\n")
    ways = compare([path], Parameters()).tables[-1].rows
    assert [row[:2] for row in ways] == [("time", "all"), ("alternate", "all")]
    with pytest.raises(BadInput, match="no source was heard in both halves"):
        compare([path], Parameters(offset_per="source"))


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ("400,inf,1000,40", "rssi_dbm is 'inf', it must be a finite number"),
        ("400,-1e308,1000,40", "rssi_dbm is '-1e308', it must be from -250 to 100"),
        ("400,-100,-5,40", "distance_km is '-5', it must be from 0 to 1e"),
        ("400,-100,1000,999", "elevation_deg is '999', it must be from -90 to 90"),
        ("-4,-100,1000,40", "freq_mhz is '-4', it must be from 0 to 3e"),
        ("400,-100,1000,40", "are all the same, without a spread"),
    ],
)
def test_what_no_receiver_reports_is_refused_with_its_line(tmp_path: Path, cells: str, sentence: str) -> None:
    path = tmp_path / "packets.csv"
    rows = [f"{k},s,{cells}" for k in range(60)]
    path.write_text("\n".join(["utc,satellite,freq_mhz,rssi_dbm,distance_km,elevation_deg", *rows]) + "\n")
    with pytest.raises(BadInput, match=sentence):
        compare([path], Parameters())
