"""Every kind of model is calibrated, frozen, written, read and played alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from testbed.errors import BadInput
from testbed.measured.measurement import Measurement
from testbed.measured.models import file, kind, kinds
from testbed.measured.models.contract import Fitted
from testbed.measured.models.statistics import Bins, autocorrelation
from tests.measured.models.made import noise, slotted

GENERATED = ("autoregressive", "empirical", "handovers", "slots")
#: a generated median, 95th and 99th percentile are as near to those calibrated on
QUANTILES = {0.5: 0.03, 0.95: 0.05, 0.99: 0.10}


@pytest.fixture(scope="module")
def data() -> Measurement:
    return slotted()


@pytest.fixture(scope="module")
def fitted(data: Measurement) -> dict[str, Fitted]:
    return {name: kind.fit([data]) for name, kind in kinds().items()}


def test_there_are_kinds_by_name_and_each_says_what_it_is() -> None:
    assert {"constant", *GENERATED} <= set(kinds())
    assert all(kind.name == name and kind.about for name, kind in kinds().items())


def test_what_is_played_follows_from_the_seed(fitted: dict[str, Fitted], data: Measurement) -> None:
    times_s = data.times_s[:2000]
    for name, model in fitted.items():
        assert np.array_equal(model.play(times_s, 1), model.play(times_s, 1), equal_nan=True)
        differs = not np.array_equal(model.play(times_s, 1), model.play(times_s, 2), equal_nan=True)
        assert differs == (name != "constant")


def test_a_model_read_from_its_file_plays_the_same(fitted: dict[str, Fitted], tmp_path: Path) -> None:
    times_s = 1.7e9 + np.arange(0.0, 100.0, 0.1)
    for name, model in fitted.items():
        file.write(model, tmp_path / "model.json", calibrated_on="made-up")
        again = file.read(tmp_path / "model.json")
        assert again.name == name
        assert np.array_equal(again.play(times_s, 5), model.play(times_s, 5), equal_nan=True)
        read = kinds()[name].read(json.loads(json.dumps(model.parameters())))
        assert read.parameters() == model.parameters()


# without strata, a few minutes of strongly correlated levels are not those of ten minutes
@pytest.mark.parametrize("name", ["empirical", "handovers", "slots"])
def test_generated_quantiles_are_those_of_the_calibration(
    name: str, fitted: dict[str, Fitted], data: Measurement
) -> None:
    values = data.values[data.answered]
    for seed in (1, 2, 3):
        made = fitted[name].play(data.times_s, seed)
        made = made[np.isfinite(made)]
        for level, tolerance in QUANTILES.items():
            assert np.quantile(made, level) == pytest.approx(np.quantile(values, level), rel=tolerance)


def test_the_constant_is_the_median_and_loses_nothing(fitted: dict[str, Fitted], data: Measurement) -> None:
    assert np.allclose(fitted["constant"].play(data.times_s[:50], 1), np.nanmedian(data.values), atol=1e-6)


@pytest.mark.parametrize("name", GENERATED)
def test_losses_are_as_frequent_as_in_the_calibration(
    name: str, fitted: dict[str, Fitted], data: Measurement
) -> None:
    played = np.concatenate([fitted[name].play(data.times_s, seed) for seed in range(4)])
    # four standard errors of the estimate from 300 losses calibrated on, and of 1,200 generated
    assert np.isnan(played).mean() == pytest.approx(np.isnan(data.values).mean(), rel=0.12)


def test_slots_change_level_on_the_grid_of_the_calibration(fitted: dict[str, Fitted]) -> None:
    times_s = 1_800_000_000.0 + np.arange(0.0, 600.0, 0.05)
    made = fitted["slots"].play(times_s, 3)
    steps = np.abs(np.diff([np.nanmedian(made[n : n + 20]) for n in range(0, len(made), 20)]))
    phase_s = (times_s[20::20] - 12.0) % 15.0
    assert np.median(steps[phase_s == 0.0]) > 5.0 * np.median(steps[phase_s != 0.0])


def test_without_a_grid_in_the_data_no_slots_are_played() -> None:
    model = kinds()["slots"].fit([noise()])
    assert model.parameters()["segments"]["offset_s"] is None


def test_too_little_and_the_wrong_quantity_are_refused(data: Measurement) -> None:
    few = data.between(data.begin_s, data.begin_s + 1.0)
    rate = Measurement("rates.csv", "rate", data.times_s, data.values, losses_known=False)
    for each in kinds().values():
        with pytest.raises(BadInput, match="answered samples, model"):
            each.fit([few])
        with pytest.raises(BadInput, match=r"rates.csv: holds throughput, model"):
            each.fit([rate])
        with pytest.raises(BadInput, match="no measurement to calibrate on"):
            each.fit([])


def test_kinds_joined_by_plus_have_the_parts_of_both(data: Measurement, tmp_path: Path) -> None:
    both = kind("autoregressive+handovers")
    model = both.fit([data.between(data.begin_s, data.begin_s + 200.0)])
    found = model.parameters()
    assert found["components"]
    assert found["segments"]["level"] == [0.0]
    file.write(model, tmp_path / "model.json")
    assert file.read(tmp_path / "model.json").name == "autoregressive+handovers"


def test_a_kind_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"model 'magic', allowed: autoregressive, .*joined by \+"):
        kind("magic")
    with pytest.raises(BadInput, match=r"model slots\+magic: has no part 'magic', allowed: autoregressive"):
        kind("slots+magic")


def test_times_that_count_from_the_beginning_are_played_too(tmp_path: Path) -> None:
    made = slotted(200.0)
    since = replace(made, times_s=made.times_s - made.begin_s + 5.0)
    model = kind("slots").fit([since])
    file.write(model, tmp_path / "model.json")
    again = file.read(tmp_path / "model.json")
    for times_s in (since.times_s, since.times_s - 100.0, np.arange(0.0, 20.0, 0.1)):
        played = again.play(times_s, 1)
        assert np.isfinite(played).mean() > 0.9
        assert np.array_equal(played, model.play(times_s, 1), equal_nan=True)


def test_probes_too_rare_for_levels_of_slots_calibrate_every_kind() -> None:
    times_s = 1.7e9 + 4.0 * np.arange(300)
    rare = Measurement("rare", "rtt", times_s, 30.0 + np.random.default_rng(1).random(300), True)
    for each in kinds().values():
        assert np.isfinite(each.fit([rare]).play(times_s, 1)).all()


def test_an_outage_longer_than_links_take_can_be_played() -> None:
    times_s = 1.7e9 + np.arange(9000.0)
    values = 30.0 + np.random.default_rng(1).random(len(times_s))
    values[1000:6000] = np.nan
    model = kind("handovers").fit([Measurement("out", "rtt", times_s, values, True)])
    assert np.isfinite(model.play(times_s, 1)).any()


def test_recordings_hours_apart_calibrate_as_one_without_the_hours() -> None:
    first, second = slotted(300.0, 1), slotted(300.0, 2)
    later = replace(second, times_s=second.times_s + 36_000.0)
    at_once = replace(second, times_s=second.times_s + 300.0)
    apart, together = (kind("slots").fit([first, each]).parameters() for each in (later, at_once))
    assert apart["segments"]["count"] <= together["segments"]["count"] + 10
    correlations = (each["segments"]["correlation"][0] for each in (apart, together))
    assert abs(np.subtract(*correlations)) < 0.3
    described = [
        autocorrelation(Bins.of(times_s).medians(values), (10,))[0]
        for times_s, values in (
            (np.append(first.times_s, each.times_s), np.append(first.values, each.values))
            for each in (later, at_once)
        )
    ]
    assert described[0] == pytest.approx(described[1], abs=0.05)
