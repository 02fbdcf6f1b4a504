"""The shipped measurements: found by name, made by the testbed, and as true as the file beside them says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.formats import open_measurement, shipped
from testbed.measured.shipped import make
from testbed.scenario import load

TRUTH = json.loads((make.HERE / "slotted.json").read_text())
#: rows hold hundredths of a ms
ROUNDING_MS = 0.0051
#: of the mean of 18,000 samples of jitter that remembers 200 ms, ms: four standard errors
MEAN_TOLERANCE_MS = 0.25
#: standard errors that a rate of losses in bursts may be off
STANDARD_ERRORS = 4.0


def test_they_are_found_by_their_names() -> None:
    assert list(shipped()) == ["slotted-1", "slotted-2"]
    read = open_measurement("shipped:slotted-1")
    assert (read.source, read.quantity, read.losses_known) == ("shipped:slotted-1", "rtt", True)
    with pytest.raises(
        BadInput, match="shipped:none: no such measurement, allowed: shipped:slotted-1, shipped:"
    ):
        open_measurement("shipped:none")


def test_the_second_follows_the_first() -> None:
    both = open_measurement(["shipped:slotted-2", "shipped:slotted-1"])
    assert len(both) == 35_999
    assert np.diff(both.times_s) == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize("name", ["slotted-1", "slotted-2"])
def test_levels_and_jitter_are_those_of_the_truth(name: str) -> None:
    read = open_measurement(f"shipped:{name}")
    starts_s, levels_ms = np.loadtxt(make.HERE / "slotted_levels.csv", delimiter=",", skiprows=1).T
    start_s = make._posix_s(load(make.HERE / "slotted.toml").run.start_utc)
    slots = np.searchsorted(starts_s, read.times_s - start_s + 1e-6, side="right") - 1
    assert np.all((start_s + starts_s[1:]) % TRUTH["slots"]["period_s"] == TRUTH["slots"]["offset_s"])
    jitter_ms = (read.values - levels_ms[slots])[read.answered]
    mean_ms = 2 * TRUTH["jitter_of_each_direction"]["mean_ms"]
    assert jitter_ms.min() > 0.0
    assert jitter_ms.mean() == pytest.approx(mean_ms, abs=MEAN_TOLERANCE_MS)


def test_losses_are_those_of_the_truth() -> None:
    lost = ~np.concatenate([open_measurement(f"shipped:{name}").answered for name in shipped()])
    expected = TRUTH["loss_rate"]
    burst = TRUTH["loss_of_each_direction"]["mean_burst"]
    # bursts of this length make of n samples about n / (2 burst - 1) independent ones
    error = np.sqrt(expected * (1.0 - expected) * (2.0 * burst - 1.0) / len(lost))
    assert lost.mean() == pytest.approx(expected, abs=STANDARD_ERRORS * error)


def test_the_files_are_what_the_scenario_gives(tmp_path: Path) -> None:
    for name in ("slotted.toml", "slotted_levels.csv"):
        (tmp_path / name).write_bytes((make.HERE / name).read_bytes())
    sent_s, values = make.round_trips(load(tmp_path / "slotted.toml", duration_s=40.0))
    read = open_measurement("shipped:slotted-1")
    count = len(sent_s) - 10  # the last are on their way when it ends
    assert count > 700
    assert values[:count] == pytest.approx(read.values[:count], abs=ROUNDING_MS, nan_ok=True)


def test_levels_follow_from_their_seed(tmp_path: Path) -> None:
    make.write_levels(tmp_path, 1800.0)
    assert (tmp_path / "slotted_levels.csv").read_bytes() == (make.HERE / "slotted_levels.csv").read_bytes()
