"""Throughput at boundaries of slots: found, calibrated, generated; where there are none, that is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured import rate_changes
from testbed.measured.measurement import Measurement
from testbed.measured.rate_model import OUTAGE_MBPS, boundary_of, calibrate, changes, runs_of
from tests.emulator.worlds import shared

START_S = 1_704_967_500.0  # 0 modulo 15
PERIOD_S = 15.0
#: of the mean of so many exponential changes
MEAN_TOLERANCE = 0.15
#: rows hold hundredths of a Mbit/s
PARAMETERS = rate_changes.Parameters()


def _slotted(count: int = 3000, offset: int = 12, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Levels that change at `offset`, a dip a second before, little noise, one outage of 5 s."""
    draw = np.random.default_rng(seed)
    seconds = np.arange(count)
    slots = (seconds - offset) // 15 + 1
    levels = draw.normal(250.0, 60.0, int(slots.max()) + 1)
    values = levels[slots] + draw.laplace(0.0, 15.0, count)
    dips = (seconds - offset) % 15 == 14
    values[dips] *= draw.uniform(0.6, 1.0, int(dips.sum()))
    values = np.maximum(values, 2.0)
    values[200:205] = 0.0
    return START_S + seconds, values


def _write(folder: Path, times_s: np.ndarray, values: np.ndarray) -> Path:
    path = folder / "rate.csv"
    rows = (f"{at:.0f},{value:.2f}\n" for at, value in zip(times_s, values, strict=True))
    path.write_text("unix_s,mbps\n" + "".join(rows))
    return path


def _measured(times_s: np.ndarray, values: np.ndarray) -> Measurement:
    return Measurement("made", "rate", times_s, values, losses_known=False)


def test_changes_are_those_between_samples_that_follow_one_another() -> None:
    found = changes(
        START_S + np.array([0.0, 1.0, 2.0, 30.0, 31.0]), np.array([1.0, 3.0, 2.0, 9.0, 5.0]), 15.0
    )
    assert found.size.tolist() == [2.0, 1.0, 4.0]
    assert found.phase.tolist() == [1, 2, 1]
    assert found.ratio((1,)) == pytest.approx(3.0)


@pytest.mark.parametrize("offset", [0, 7, 12])
def test_the_boundary_is_found_where_it_is(offset: int) -> None:
    found = boundary_of(changes(*_slotted(offset=offset), PERIOD_S), PERIOD_S)
    assert found == ((offset - 1) % 15, offset)


@pytest.mark.parametrize("seed", range(10))
def test_noise_without_slots_has_no_boundary(seed: int) -> None:
    values = 200.0 + np.random.default_rng(seed).laplace(0.0, 20.0, 2000)
    assert boundary_of(changes(START_S + np.arange(2000), values, PERIOD_S), PERIOD_S) == ()


def test_what_is_generated_has_the_boundaries_outages_and_levels_of_the_calibration() -> None:
    times_s, values = _slotted()
    model = calibrate(_measured(times_s, values), PERIOD_S)
    made = np.concatenate([model.generate(times_s, seed) for seed in range(8)])
    ratios = [changes(times_s, model.generate(times_s, seed), PERIOD_S).ratio((11, 12)) for seed in range(8)]
    measured = changes(times_s, values, PERIOD_S).ratio((11, 12))
    assert np.median(ratios) == pytest.approx(measured, rel=MEAN_TOLERANCE)
    assert np.median(made) == pytest.approx(np.median(values), rel=MEAN_TOLERANCE)
    lengths = runs_of(made < OUTAGE_MBPS)
    assert len(lengths) > 0
    assert lengths.mean() == pytest.approx(5.0, rel=0.9)


def test_slow_noise_does_not_count_as_levels_too() -> None:
    draw = np.random.default_rng(4)
    times_s = START_S + np.arange(6000.0)
    noise = draw.normal(0.0, 12.0, 6000)
    for index in range(1, 6000):
        noise[index] += 0.95 * noise[index - 1]
    levels = draw.normal(0.0, 18.0, 402)[(np.arange(6000) - 12) // 15 + 1]
    values = np.maximum(250.0 + noise + levels, 2.0)
    model = calibrate(_measured(times_s, values), PERIOD_S)
    ratios = [changes(times_s, model.generate(times_s, seed), PERIOD_S).ratio((12,)) for seed in range(8)]
    assert model.boundary == (12,)
    assert np.median(ratios) == pytest.approx(
        changes(times_s, values, PERIOD_S).ratio((12,)), rel=MEAN_TOLERANCE
    )


def test_the_same_seed_generates_the_same() -> None:
    times_s, values = _slotted()
    model = calibrate(_measured(times_s, values), PERIOD_S)
    assert np.array_equal(model.generate(times_s, 3), model.generate(times_s, 3))
    assert not np.array_equal(model.generate(times_s, 3), model.generate(times_s, 4))


def test_runs_are_counted_with_their_lengths() -> None:
    assert runs_of(np.array([True, False, True, True, False, False, True])).tolist() == [1, 2, 1]
    assert len(runs_of(np.zeros(4, np.bool_))) == 0


def test_the_test_half_has_no_part_in_the_calibration(tmp_path: Path) -> None:
    times_s, values = _slotted()
    plain = rate_changes.compare([_write(tmp_path, times_s, values)], PARAMETERS)
    values[1500:] = np.maximum(values[1500:] * np.where(np.arange(1500) % 2, 1.3, 0.7), 2.0)
    other = rate_changes.compare([_write(tmp_path, times_s, values)], PARAMETERS)
    assert other.figures["ratio_model"] == plain.figures["ratio_model"]
    assert other.figures["ratio_measured"] < plain.figures["ratio_measured"]
    assert plain.verdicts[0].holds
    assert not other.verdicts[0].holds


def test_throughput_that_cannot_be_judged_gets_one_sentence(tmp_path: Path) -> None:
    times_s, values = _slotted()
    noise = 200.0 + np.random.default_rng(1).laplace(0.0, 20.0, len(values))
    with pytest.raises(BadInput, match="changes of the rate stand out at no second of 15"):
        rate_changes.compare([_write(tmp_path, times_s, noise)], PARAMETERS)
    with pytest.raises(BadInput, match="has a sample every 10 s, it must have one every 3 s at least"):
        rate_changes.compare([_write(tmp_path, times_s[::10], values[::10])], PARAMETERS)
    with pytest.raises(BadInput, match=r"has \d whole slots, allowed: 8 or more"):
        rate_changes.compare([_write(tmp_path, times_s[:150], values[:150])], PARAMETERS)
    with pytest.raises(BadInput, match="period_s"):
        rate_changes.compare([_write(tmp_path, times_s, values)], rate_changes.Parameters(period_s=1.0))


@pytest.mark.parametrize(
    "name",
    ["starlink_road_osnabrueck/iperf.csv", "starlink_autobahn_throughput/throughput_1s.csv",
     "starlink_garching_throughput_popping/download_5parallel_1s.csv.gz"],
)  # fmt: skip
def test_public_recordings_have_the_ratio_of_their_first_half_within_the_bound(name: str) -> None:
    folder, _, file = name.partition("/")
    found = rate_changes.compare([shared(folder) / file], PARAMETERS)
    assert [verdict.name for verdict in found.verdicts if not verdict.holds] == []
    assert found.figures["ratio_error"] < found.figures["ratio_error_of_baseline"]
