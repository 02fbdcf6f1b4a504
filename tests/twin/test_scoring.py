"""Scores from telemetry, on hand-made records whose scores are known, and matching with the plant."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from nodes.wire import Record
from testbed.twin.matching import match_detections
from testbed.twin.scoring import score

START, WINDOW = 10**12, 500_000_000


def hand_made(errors: list[float], constant: float = 14.0) -> list[Record]:
    """One link, observed 10 ms in every window, predicted with the given errors; two packets a window."""
    records = []
    for number, error in enumerate(errors):
        t_ns = START + number * WINDOW
        tags = {"target": "a>b", "quantity": "delay_ms"}
        mean = 10.0 + error
        fields: dict[str, Any] = {
            "mean": mean, "median": mean, "sd": 1.0, "lo90": mean - 2.0, "hi90": mean + 2.0, "window_s": 0.5,
            "packet_lo90": 8.0, "packet_hi90": 10.5, "baseline_constant": constant,
            "baseline_propagation": 5.0,
        }  # fmt: skip
        records.append(Record(t_ns, "prediction", tags, fields, [9.0, 11.0]))
        observed: dict[str, Any] = {
            "observed": 10.0,
            "predicted": mean,
            "z": -error,
            "inside90": abs(error) <= 2,
        }
        records.append(Record(t_ns, "residual", tags, observed))
        link = Record(t_ns + WINDOW, "link", {"link": "a>b"}, {"delay_mean_ms": 10.0}, [9.0, 11.0])
        records.append(link)
    return records


def test_scores_are_those_of_the_definitions() -> None:
    row = score(hand_made([1.0, -1.0, 1.0, 3.0]), START, calibration_share=0.0)["fidelity"]["delay_ms"]["a>b"]
    assert row["n"] == 4
    assert row["mae"] == pytest.approx(1.5)
    assert row["nrmse"] == pytest.approx(math.sqrt(3.0) / 10.0)
    assert row["bias"] == pytest.approx(1.0)
    assert row["picp90"] == 0.75
    assert row["skill_constant"] == pytest.approx(1.0 - 1.5 / 4.0)
    assert row["skill_propagation"] == pytest.approx(1.0 - 1.5 / 5.0)
    assert (row["ks"], row["w1"]) == (0.0, 0.0)
    assert row["packets"] == 8
    assert row["packet_picp90"] == 0.5


def test_the_calibration_part_is_not_scored() -> None:
    result = score(hand_made([100.0] * 5 + [1.0] * 15), START)
    assert result["fidelity"]["delay_ms"]["a>b"]["mae"] == pytest.approx(1.0)
    assert result["scored_from_s"] == pytest.approx(2.375)


def test_the_pooled_scores_of_one_target_are_its_own() -> None:
    fidelity = score(hand_made([1.0, -1.0, 1.0, 3.0]), START)["fidelity"]
    for name in ("n", "picp90", "mae", "skill_constant", "ks"):
        assert fidelity["overall"]["delay_ms"][name] == pytest.approx(fidelity["delay_ms"]["a>b"][name])


def test_a_residual_without_a_prediction_is_not_scored() -> None:
    records = [r for r in hand_made([1.0] * 4) if r.measurement != "prediction" or r.t_ns != START + WINDOW]
    assert score(records, START, 0.0)["fidelity"]["delay_ms"]["a>b"]["n"] == 3


def test_nothing_recorded_gives_empty_scores() -> None:
    result = score([], START)
    assert (result["fidelity"], result["detections"], result["calibration"]) == ({}, [], {})


def test_a_whole_run_scores_better_than_its_baselines_and_is_finite_json(synthetic: Any) -> None:
    truth = synthetic.Truth(fade_db=lambda p, t: 8.0 if p == "gateway-site" and 20 < t < 40 else 0.0)
    outcome = synthetic.run(60.0, truth)
    result = score(outcome.observed + outcome.said, synthetic.start_ns)
    json.dumps(result, allow_nan=False)
    overall = result["fidelity"]["overall"]
    assert overall["snr_db"]["skill_constant"] > 0.5
    assert overall["delay_ms"]["skill_propagation"] > 0.2
    assert result["fidelity"]["delay_ms"]["field-1>sat-1"]["ks"] < 0.3
    assert [d["kind"] for d in result["detections"]] == ["attenuation"]
    assert result["detections"][0]["recovered_s"] > 40.0
    bias = result["calibration"]["snr_bias_up_db"]["field-1"]
    assert abs(bias["mean"]) < 4.0 * bias["sd"] + 0.1
    assert bias["curve"]["sd"][0] > bias["curve"]["sd"][-1]


def event(kind: str, target: str, at_s: float) -> Record:
    return Record(START + int(at_s * 1e9), "plant_event", {"deviation": kind, "target": target}, {})


def detection(kind: str, where: str, at_s: float, links: str = "") -> Record:
    tags = {"kind": kind, "target": where, "where": where}
    return Record(START + int(at_s * 1e9), "detection", tags, {"detected_s": at_s, "links": links})


EVENTS = [event("rain", "gw", 20.0), event("slow_server", "edge", 30.0), event("rain", "gw", 40.0)]


def test_detections_find_their_deviations_with_their_delay() -> None:
    found = [detection("attenuation", "gw", 23.0), detection("slow_server", "edge", 36.0)]
    result = match_detections(found, EVENTS, start_ns=START)
    rain, slow = result["deviations"]
    assert (rain["detected"], rain["delay_s"], rain["end_s"]) == (True, 3.0, 40.0)
    assert (slow["detected"], slow["delay_s"]) == (False, 6.0)  # found, but not in time
    assert result["false"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        detection("attenuation", "gw", 10.0),  # before
        detection("attenuation", "gw", 46.0),  # long after
        detection("attenuation", "other", 23.0),  # elsewhere
        detection("slow_server", "gw", 23.0),  # another kind
    ],
)
def test_a_detection_of_something_else_is_false(wrong: Record) -> None:
    result = match_detections([wrong], EVENTS, start_ns=START)
    assert len(result["false"]) == 1
    assert not any(row["detected"] for row in result["deviations"])


def test_a_link_is_recognised_by_either_direction_and_a_group_by_its_members() -> None:
    events = [event("link_down", "a>b", 5.0), event("rain", "field", 5.0)]
    found = [detection("link_down", "b>a", 6.0, "a>b,b>a"), detection("attenuation", "field-1,field-2", 7.0)]
    result = match_detections(found, events, start_ns=START)
    assert [row["detected"] for row in result["deviations"]] == [True, True]


def test_the_skill_against_climatology_compares_distributions() -> None:
    records = hand_made([1.0, -1.0, 1.0, 3.0])
    for record in records:
        if record.measurement == "residual":
            record.fields["crps_climatology"] = 2.0
    row = score(records, START, 0.0)["fidelity"]["delay_ms"]["a>b"]
    assert row["crps_skill_climatology"] == pytest.approx(1.0 - row["crps"] / 2.0)


def test_runs_whose_residuals_know_no_climatology_have_no_such_skill() -> None:
    fidelity = score(hand_made([1.0, -1.0]), START, 0.0)["fidelity"]
    assert fidelity["delay_ms"]["a>b"]["crps_skill_climatology"] is None
    assert fidelity["overall"]["delay_ms"]["crps_skill_climatology"] is None
