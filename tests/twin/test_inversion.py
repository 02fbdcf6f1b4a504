"""Parameters found by running a network: on a box in closed form, and on the emulator's own kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emulator.table import Adjustments
from nodes.wire import Record
from testbed.ahead import Ahead
from testbed.errors import BadInput
from testbed.scenario import Scenario
from testbed.scenario.document import Document
from testbed.twin.ensemble import EnsembleError
from testbed.twin.inversion import (
    CAPACITY_FACTOR,
    DELAY_MS,
    LEVELS,
    LOSS,
    AheadBox,
    Parameter,
    calibrate,
    observed_statistics,
    statistics,
)

LINK = "site>centre"


def network(seed: int) -> Scenario:
    """A sensor that sends readings and tasks over one line of 1 Mbit/s; nobody uses the satellite."""
    document = {
        "run": {"name": "line", "duration_s": 20.0, "seed": seed, "epoch_s": 1.0, "window_s": 0.5,
                "start_utc": "2025-06-01T12:00:00Z"},
        "constellation": {"over_region": {
            "latitude_deg": 47.0, "longitude_deg": 10.0, "side_km": 500.0, "altitude_km": 1000.0,
            "columns": 1, "rows": 1,
        }},
        "places": {
            "site": {"kind": "ground", "latitude_deg": 47.0, "longitude_deg": 10.0},
            "centre": {"kind": "ground", "latitude_deg": 47.1, "longitude_deg": 10.1},
        },
        "links": [{"a": "site", "b": "centre", "rate_mbps": 1.0, "delay_ms": 5.0, "jitter_ms": 0.1}],
        "nodes": {
            "sensor": {
                "role": "sensor", "place": "site", "sink": "gateway", "reading_interval_s": 0.02,
                "reading_bytes": 100, "task_interval_s": 0.5, "task_kbytes": 5.0,
                "task_megacycles": [10.0, 20.0], "servers": ["edge"],
            },
            "gateway": {"role": "gateway", "place": "centre"},
            "edge": {"role": "edge", "place": "centre", "service_rate_mhz": 3000.0},
        },
    }  # fmt: skip
    return Scenario(Document.model_validate(document), "line")


def reports(truth: Adjustments, seed: int) -> list[Record]:
    """Reports on the line, as its observer makes them, one a half second."""
    ahead = Ahead(network(seed), adjustments=truth)
    hops = ahead.simulate(20.0).hops
    hops = hops[(hops["from_place"] == 0) & (hops["to_place"] == 1) & (hops["link"] >= 0)]
    made = []
    for number in range(40):
        over = hops[(hops["due_ns"] > number * 5e8) & (hops["due_ns"] <= (number + 1) * 5e8)]
        out = over[over["fate"] <= 1]
        fields: dict[str, Any] = {"packets_out": len(out), "lost": len(over) - len(out)}
        delays = ((out["due_ns"] - out["in_ns"]) / 1e6).tolist()
        made.append(Record(0, "link", {"link": LINK}, fields, delays))
    return made


PARAMETERS = (
    Parameter(DELAY_MS, 3.0, 3.0, 0.0, 20.0),
    Parameter(CAPACITY_FACTOR, 0.8, 0.2, 0.1, 1.0),
    Parameter(LOSS, 0.02, 0.02, 0.0, 0.3),
)


def test_delay_capacity_and_loss_of_a_link_are_found_together_by_the_emulator() -> None:
    truth = {DELAY_MS: 8.0, CAPACITY_FACTOR: 0.5, LOSS: 0.06}
    link = ("site", "centre")
    plant = Adjustments(
        extra_delay_ms={link: truth[DELAY_MS]}, rate_factor={link: truth[CAPACITY_FACTOR]},
        extra_loss={link: truth[LOSS]},
    )  # fmt: skip
    observed, covariance = observed_statistics(reports(plant, seed=7), run_share=0.4)
    box = AheadBox(network(seed=1), LINK, 8.0)
    found = calibrate(
        PARAMETERS, box, observed, covariance, np.random.default_rng(1), members=40, steps=4
    )  # fmt: skip
    assert found[DELAY_MS].mean == pytest.approx(truth[DELAY_MS], abs=0.2)
    assert found[CAPACITY_FACTOR].mean == pytest.approx(truth[CAPACITY_FACTOR], rel=0.03)
    assert found[LOSS].mean == pytest.approx(truth[LOSS], abs=0.03)


def test_a_box_in_closed_form_is_inverted_with_honest_uncertainty() -> None:
    """Two statistics of two parameters, linear: the posterior of a wide prior is the observation's error."""
    held, runs, random = 0, 60, np.random.default_rng(2)
    parameters = (Parameter("a", 0.0, 2.0, -50.0, 50.0), Parameter("b", 0.0, 2.0, -50.0, 50.0))
    for _ in range(runs):
        truth = random.normal(0.0, 1.0, 2)
        observed = np.array([truth[0] + truth[1], truth[0] - truth[1]]) + random.normal(0.0, 0.2, 2)
        found = calibrate(
            parameters, lambda p: [p["a"] + p["b"], p["a"] - p["b"]], observed, 0.04 * np.eye(2), random,
            members=60,
        )  # fmt: skip
        held += abs(found["a"].mean - truth[0]) < 1.96 * found["a"].sd
    assert held / runs > 0.85
    assert found["a"].sd == pytest.approx(0.2 / np.sqrt(2.0), rel=0.4)


def test_what_is_found_stays_within_its_bounds() -> None:
    parameter = Parameter("share", 0.5, 0.2, 0.0, 1.0)
    found = calibrate(
        [parameter], lambda p: [p["share"]], np.array([3.0]), np.eye(1) * 0.01, np.random.default_rng(3)
    )
    assert 0.9 < found["share"].mean < 1.0


def test_statistics_are_quantiles_of_the_delay_and_the_share_lost() -> None:
    found = statistics(np.arange(101.0), 200.0, 10.0)
    assert found.tolist() == [*(100.0 * level for level in LEVELS), 50.0, 0.05]
    assert np.isnan(statistics(np.zeros(0), 0.0, 0.0)).all()


def test_too_few_reports_are_refused() -> None:
    with pytest.raises(EnsembleError, match="3 reports, at least 12"):
        observed_statistics([Record(0, "link", {}, {"packets_out": 1}, [1.0])] * 3)
    with pytest.raises(EnsembleError, match="too few packets"):
        observed_statistics([Record(0, "link", {}, {"packets_out": 0})] * 20)


def test_a_prior_outside_its_bounds_is_refused() -> None:
    with pytest.raises(BadInput, match="share: 2 with sd 1 between 0 and 1, allowed"):
        Parameter("share", 2.0, 1.0, 0.0, 1.0)


def test_an_ensemble_too_small_for_its_parameters_is_refused() -> None:
    with pytest.raises(BadInput, match="members = 4 for 3 parameters, allowed"):
        calibrate(PARAMETERS, lambda _p: [0.0], np.zeros(1), np.eye(1), np.random.default_rng(4), members=4)


def test_a_link_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match=r"link 'site>nowhere': .*nowhere'.*, allowed: one between two places"):
        AheadBox(network(1), "site>nowhere", 1.0)({})
