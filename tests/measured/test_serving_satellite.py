"""Which satellite serves a dish: the rotation is found, directions, candidates and policies are judged."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from emulator.orbits.elements import elements_to_text
from emulator.orbits.frames import RunClock
from emulator.orbits.shells import generate
from emulator.spec import CircularShell, ConstellationSpec
from testbed.errors import BadInput
from testbed.measured import serving_satellite as serving
from testbed.measured.comparison import Comparison
from testbed.measured.dish_rotation import fit_rotation, yaw_and_tilt_deg
from tests.emulator.worlds import shared

START = "2024-07-17T18:00:00Z"
YAW_DEG, TILT_DEG = 40.0, 5.0
PIXEL_DEG = 1.3
ROTATION_TOLERANCE_DEG = 0.3


def _rotation(yaw_deg: float, tilt_deg: float) -> np.ndarray:
    """Azimuths grow by the yaw, then the axis leans towards the north."""
    yaw, tilt = math.radians(yaw_deg), math.radians(tilt_deg)
    turn = np.array(
        [[math.cos(yaw), math.sin(yaw), 0.0], [-math.sin(yaw), math.cos(yaw), 0.0], [0.0, 0.0, 1.0]]
    )
    lean = np.array(
        [[1.0, 0.0, 0.0], [0.0, math.cos(tilt), math.sin(tilt)], [0.0, -math.sin(tilt), math.cos(tilt)]]
    )
    return lean @ turn


def _write(folder: Path, seed: int = 1, unpainted: bool = True) -> serving.Parameters:
    """A dish that is served by the highest satellite, and paints its map to within a pixel."""
    shell = CircularShell(550.0, 53.0, 1584, 72, 17)
    elements = generate(ConstellationSpec(shells=(shell,)), RunClock(START))
    (folder / "elements.tle").write_text(elements_to_text(elements))
    parameters = serving.Parameters(50.0, 4.0, str(folder / "elements.tle"))
    start_s = datetime.fromisoformat(START).timestamp()
    sky = serving.Sky(parameters, np.array([start_s + 12.0, start_s + 612.0]))
    slots = start_s + 12.0 + 15.0 * np.arange(40)
    generator = np.random.default_rng(seed)
    rows = ["utc,elevation_deg,azimuth_deg,satellite"]
    for slot_s, name in zip(slots, sky.chosen("highest-elevation", slots), strict=True):
        for second in range(15):
            at = np.array([slot_s + second])
            local = sky.directions(at, np.array([name]))[0]
            dish = _rotation(YAW_DEG, TILT_DEG).T @ local + np.radians(PIXEL_DEG) * generator.uniform(
                -0.5, 0.5, 3
            )
            dish /= np.linalg.norm(dish)
            azimuth = math.degrees(math.atan2(dish[0], dish[1])) % 360.0
            painted = f"{math.degrees(math.asin(dish[2])):.4f},{azimuth:.4f}"
            moment = datetime.fromtimestamp(at[0], UTC).isoformat(" ")
            rows.append(f"{moment},{',' if unpainted and second == 3 else painted},{name}")
    (folder / "serving.csv").write_text("\n".join(rows) + "\n")
    return parameters


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, serving.Parameters, Comparison]:
    folder = tmp_path_factory.mktemp("dish")
    parameters = _write(folder)
    return folder, parameters, serving.compare([folder / "serving.csv"], parameters)


def test_the_rotation_of_the_dish_is_found(made: tuple[Path, serving.Parameters, Comparison]) -> None:
    figures = made[2].figures
    assert figures["yaw_deg"] == pytest.approx(YAW_DEG, abs=ROTATION_TOLERANCE_DEG)
    assert figures["tilt_deg"] == pytest.approx(TILT_DEG, abs=ROTATION_TOLERANCE_DEG)


def test_directions_agree_to_a_pixel(made: tuple[Path, serving.Parameters, Comparison]) -> None:
    assert made[2].figures["direction_error_deg_p90"] < PIXEL_DEG
    assert {v.name: v.holds for v in made[2].verdicts} == {
        "direction_agreement": True, "serving_among_candidates": True,
    }  # fmt: skip


def test_the_policy_that_serves_is_told_from_the_others(
    made: tuple[Path, serving.Parameters, Comparison],
) -> None:
    hits = dict(made[2].tables[0].rows)
    assert hits["highest-elevation"] == 1.0
    assert hits["longest-visibility"] < 0.5
    assert hits["random candidate"] == pytest.approx(1.0 / made[2].figures["candidates_mean"], rel=0.1)


def test_a_site_elsewhere_fails_the_verdicts(made: tuple[Path, serving.Parameters, Comparison]) -> None:
    folder, parameters, _ = made
    away = serving.compare([folder / "serving.csv"], replace(parameters, latitude_deg=35.0))
    assert [v.holds for v in away.verdicts] == [False, False]


def test_names_that_do_not_belong_to_directions_do_not_turn_the_fit() -> None:
    generator = np.random.default_rng(2)
    dish = generator.normal(size=(300, 3))
    dish /= np.linalg.norm(dish, axis=1, keepdims=True)
    local = dish @ _rotation(-70.0, 3.0).T
    local[::5] = local[::-5]  # a fifth carries another's direction
    yaw_deg, tilt_deg = yaw_and_tilt_deg(fit_rotation(dish, local))
    assert yaw_deg == pytest.approx(-70.0, abs=ROTATION_TOLERANCE_DEG)
    assert tilt_deg == pytest.approx(3.0, abs=ROTATION_TOLERANCE_DEG)


def test_satellites_without_elements_are_left_out_and_said(
    made: tuple[Path, serving.Parameters, Comparison], tmp_path: Path
) -> None:
    folder, parameters, _ = made
    text = (folder / "serving.csv").read_text()
    name = text.splitlines()[1].rpartition(",")[2]
    (tmp_path / "other.csv").write_text(text.replace(name, "UNKNOWN-1"))
    result = serving.compare([tmp_path / "other.csv"], parameters)
    assert any("1 satellites are not in the elements" in remark for remark in result.remarks)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"latitude_deg": 95.0}, "latitude_deg is 95, allowed: -90 to 90"),
        ({"calibration_share": 1.0}, "calibration_share is 1, allowed: 0.05 to 0.95"),
    ],
)
def test_parameters_out_of_range_get_one_sentence(
    made: tuple[Path, serving.Parameters, Comparison], change: dict[str, float], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        serving.compare([made[0] / "serving.csv"], replace(made[1], **change))  # type: ignore[arg-type]


def test_a_record_of_other_satellites_is_refused(
    made: tuple[Path, serving.Parameters, Comparison], tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text(
        "utc,elevation_deg,azimuth_deg,satellite\n2024-07-17T18:00:12Z,40,10,OTHER-1\n"
    )
    with pytest.raises(BadInput, match="none of its satellites is in"):
        serving.compare([tmp_path / "x.csv"], made[1])


def test_a_real_dish_agrees_with_the_documented_two_degrees() -> None:
    """Louvain-la-Neuve, 2024-07-17, with elements of the day before."""
    measured = shared("starlink_serving_satellite/serving_ucl.csv.gz")
    elements = shared("starlink_serving_satellite/starlink_tle_2024-07-16.txt.gz")
    result = serving.compare([measured], serving.Parameters(50.6685, 4.6122, str(elements)))
    assert result.figures["direction_error_deg_p50"] <= serving.DIRECTION_BOUND_DEG
    assert result.figures["in_candidates_share"] >= serving.CANDIDATE_BOUND
    hits = dict(result.tables[0].rows)
    assert set(hits) >= {"highest-elevation", "longest-visibility", "best-snr", "load-aware"}


def test_elements_of_another_season_are_refused(
    made: tuple[Path, serving.Parameters, Comparison], tmp_path: Path
) -> None:
    text = (made[0] / "serving.csv").read_text().replace("2024-07-17", "2024-10-17")
    (tmp_path / "later.csv").write_text(text)
    sentence = "its elements are 92 days older than .*later.csv, 30 days at most are allowed"
    with pytest.raises(BadInput, match=sentence):
        serving.compare([tmp_path / "later.csv"], made[1])


def test_of_several_sets_of_a_satellite_the_one_known_by_then_counts(
    made: tuple[Path, serving.Parameters, Comparison], tmp_path: Path
) -> None:
    folder, parameters, result = made
    shell = CircularShell(550.0, 53.0, 1584, 72, 17)
    later = generate(ConstellationSpec(shells=(shell,)), RunClock("2024-07-20T18:00:00Z"))
    text = (folder / "elements.tle").read_text() + elements_to_text(later)
    (tmp_path / "days.tle").write_text(text)
    again = serving.compare(
        [folder / "serving.csv"], replace(parameters, elements=str(tmp_path / "days.tle"))
    )
    assert again.figures == result.figures


def test_a_record_of_years_is_refused_before_the_work(
    made: tuple[Path, serving.Parameters, Comparison], tmp_path: Path
) -> None:
    rows = "".join(f"{year}-07-17T18:00:12Z,40,10,OTHER-1\n" for year in range(2000, 2024))
    (tmp_path / "x.csv").write_text("utc,elevation_deg,azimuth_deg,satellite\n" + rows)
    with pytest.raises(BadInput, match=r"x.csv: spans 8400.0 days, it must be 8 at most"):
        serving.compare([tmp_path / "x.csv"], made[1])


def test_what_served_last_is_asked_only_where_slots_follow_each_other(
    made: tuple[Path, serving.Parameters, Comparison], tmp_path: Path
) -> None:
    folder, parameters, _ = made
    header, *rows = (folder / "serving.csv").read_text().splitlines()
    every_other = [row for k, row in enumerate(rows) if (k // 15) % 2 == 0]
    (tmp_path / "gaps.csv").write_text("\n".join([header, *every_other]) + "\n")
    result = serving.compare([tmp_path / "gaps.csv"], parameters)
    assert math.isnan(dict(result.tables[0].rows)["the one before"])
