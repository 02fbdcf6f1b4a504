"""The twin against a synthetic plant in virtual time: order, coverage, detection, attribution, silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nodes.wire import Record

BIAS = {"field-1": 0.4, "field-3": -0.2, "gateway-site": -0.5}


def ramp(t_s: float, begin_s: float, end_s: float, size: float) -> float:
    """A change of `size` with flanks of two seconds inside [begin, end]."""
    return size * max(0.0, min(1.0, (t_s - begin_s) / 2.0, (end_s - t_s) / 2.0))


def times(records: list[Record], field: str) -> list[float]:
    return [float(record.fields[field]) for record in records]


# --- order ------------------------------------------------------------------------------------


def test_a_window_that_was_not_predicted_cannot_be_closed(synthetic: Any) -> None:
    twin = synthetic.make_twin(10.0)
    with pytest.raises(ValueError, match="window 0 was not predicted"):
        twin.close(0, synthetic.start_ns)


def test_predictions_do_not_depend_on_their_own_windows_observations(synthetic: Any) -> None:
    """Two plants that differ in window 20 only: predictions for it are equal, those after it differ."""
    said = []
    for wild in (False, True):
        plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(30.0)
        predictions = {0: twin.predict(0)}
        for number in range(22):
            records = plant.window(number)
            if wild and number == 20:
                records = [
                    Record(r.t_ns, r.measurement, r.tags, {**r.fields, "bytes_out": 10**6}, [500.0])
                    for r in records
                ]
            twin.take(records)
            if number == 20:  # what has arrived early must not be looked at before the window is closed
                predictions[20] = twin.predict(20) if 20 not in predictions else predictions[20]
            twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
            predictions[number + 1] = twin.predict(number + 1)
        said.append(predictions)
    assert said[0][20] == said[1][20]
    assert said[0][21] != said[1][21]


def test_every_residual_compares_with_a_prediction_made_before(synthetic: Any) -> None:
    outcome = synthetic.run(20.0)
    made: set[tuple[str, str, int]] = set()
    for record in outcome.said:
        key = (record.tags.get("target", ""), record.tags.get("quantity", ""), record.t_ns)
        if record.measurement == "prediction":
            made.add(key)
        elif record.measurement == "residual":
            assert key in made
    assert len(outcome.of("residual")) > 2000


def test_predictions_carry_what_is_agreed(synthetic: Any) -> None:
    outcome = synthetic.run(10.0)
    quantities = {record.tags["quantity"] for record in outcome.of("prediction")}
    assert quantities == {"delay_ms", "loss", "throughput_bps", "snr_db", "service_rate_hz"}
    for record in outcome.of("prediction")[-40:]:
        assert record.fields["lo90"] <= record.fields["mean"] <= record.fields["hi90"]
        assert record.fields["sd"] >= 0.0
        if record.tags["quantity"] == "delay_ms":
            assert record.fields["packet_lo90"] < record.fields["packet_hi90"]
            assert record.fields["baseline_propagation"] > 0.0
            assert record.samples == sorted(record.samples)


def test_what_may_not_be_seen_is_refused_on_arrival(synthetic: Any) -> None:
    twin = synthetic.make_twin(10.0)
    twin.take([Record(1, "plant_link", {"link": "a>b"}, {"attenuation_db": 8.0})])
    assert twin.counters["refused"] == 1


def test_reports_of_a_closed_window_are_counted_as_late(synthetic: Any) -> None:
    plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(10.0)
    twin.predict(0)
    twin.close(0, synthetic.start_ns + synthetic.window_ns)
    twin.take([r for r in plant.window(0) if r.measurement == "link"])
    assert twin.counters["late"] == 20


# --- how good ---------------------------------------------------------------------------------


def test_bands_hold_nine_tenths_of_what_is_observed(synthetic: Any) -> None:
    outcome = synthetic.run(120.0, synthetic.Truth(snr_bias_db=BIAS))
    for quantity in ("delay_ms", "throughput_bps", "snr_db"):
        inside = [r.fields["inside90"] for r in outcome.of("residual") if r.tags["quantity"] == quantity]
        assert 0.85 <= np.mean(inside) <= 0.95, quantity
    packets = inside_packets = 0
    made = {
        (r.tags["target"], r.t_ns): r for r in outcome.of("prediction") if r.tags["quantity"] == "delay_ms"
    }
    for report in outcome.observed:
        prediction = made.get((report.tags.get("link", ""), report.t_ns - 2_000_000 - synthetic.window_ns))
        if prediction is not None:
            low, high = prediction.fields["packet_lo90"], prediction.fields["packet_hi90"]
            packets += len(report.samples)
            inside_packets += sum(low <= sample <= high for sample in report.samples)
    assert 0.85 <= inside_packets / packets <= 0.95


def test_the_bias_of_processing_is_learned_from_the_floor_of_delays(synthetic: Any) -> None:
    outcome = synthetic.run(60.0, synthetic.Truth(processing_factor=1.25))
    learned = outcome.twin.links["field-1>sat-1"].bias.mean
    assert learned == pytest.approx(0.25 * 4.0, abs=0.25)  # a quarter of 4 ms, and the small packets' time


def test_a_new_satellite_inherits_what_was_learned(synthetic: Any) -> None:
    outcome = synthetic.run(40.0, synthetic.Truth(processing_factor=1.5, handover_s=30.0))
    first = next(
        r for r in outcome.of("residual")
        if r.tags == {"target": "field-1>sat-3", "quantity": "delay_ms"}
    )  # fmt: skip
    made = next(r for r in outcome.of("prediction") if r.tags == first.tags and r.t_ns == first.t_ns)
    assert first.t_ns == synthetic.start_ns + 60 * synthetic.window_ns
    assert made.fields["hi90"] - made.fields["baseline_propagation"] > 0.5 * 1.5 * 4.0
    assert first.fields["inside90"]


# --- nothing happens: nothing is said -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("clean", {}),
        ("handover", {"handover_s": 60.0}),
        ("missing reports", {"missing": 0.1}),
        ("correlated noise", {"snr_phi": 0.8, "snr_noise_db": 0.5}),
        ("large biases", {"snr_bias_db": {"field-2": 1.2, "gateway-site": -1.2}, "processing_factor": 1.4}),
    ],
)
def test_no_false_alarm(synthetic: Any, name: str, settings: dict[str, Any]) -> None:
    for seed in (1, 2):
        outcome = synthetic.run(120.0, synthetic.Truth(**settings), seed=seed, keep=False)
        assert outcome.detections() == [], name


def test_a_hiccup_of_the_machine_is_no_slow_server(synthetic: Any) -> None:
    """One task on each server takes 50 ms, another 200 ms, longer than it should."""
    plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(60.0)
    said = twin.predict(0)
    late = {30: 0.05, 70: 0.2}
    for number in range(120):
        records = plant.window(number)
        for server in ("edge-ground", "edge-sat"):
            task = next((r for r in records if r.tags.get("node") == server), None)
            hiccup = late.pop((number, server), late.get(number, 0.0))
            if task is not None and hiccup:
                task.fields["service_s"] = float(task.fields["service_s"]) + hiccup
        twin.take(records)
        said += twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
        said += twin.predict(number + 1)
    assert not [r for r in said if r.measurement == "detection"]


def test_windows_without_any_report_are_no_lost_links(synthetic: Any) -> None:
    plant, twin = synthetic.Plant(synthetic.Truth()), synthetic.make_twin(60.0)
    said = twin.predict(0)
    for number in range(80):
        records = plant.window(number)
        twin.take([] if 40 <= number < 60 else records)
        said += twin.close(number, synthetic.start_ns + (number + 1) * synthetic.window_ns)
        said += twin.predict(number + 1)
    assert twin.counters["windows_without_reports"] == 20
    assert not [r for r in said if r.measurement == "detection"]


# --- something happens --------------------------------------------------------------------------


@pytest.mark.parametrize(("size_db", "duration_s"), [(6.0, 20.0), (10.0, 20.0), (6.0, 60.0), (8.0, 60.0)])
def test_a_fade_at_the_gateway_is_found_named_sized_and_ended(
    synthetic: Any, size_db: float, duration_s: float
) -> None:
    begin, end = 0.35 * duration_s, 0.65 * duration_s

    def fade_db(place: str, t_s: float) -> float:
        return ramp(t_s, begin, end, size_db) if place == "gateway-site" else 0.0

    outcome = synthetic.run(duration_s, synthetic.Truth(fade_db=fade_db, snr_bias_db=BIAS), keep=False)
    assert outcome.detections() == [("attenuation", "gateway-site")]
    (found,), (over,) = outcome.of("detection"), outcome.of("recovery")
    assert begin < found.fields["detected_s"] < begin + 5.0
    assert found.fields["onset_s"] == pytest.approx(begin, abs=1.5)
    assert len(str(found.fields["links"]).split(",")) == 4
    assert over.fields["size"] == pytest.approx(size_db, abs=1.0)
    assert over.fields["ended_s"] == pytest.approx(end, abs=1.5)
    assert over.tags == found.tags


def test_rain_over_two_terminals_is_one_cause_that_names_both(synthetic: Any) -> None:
    def fade_db(place: str, t_s: float) -> float:
        return ramp(t_s, 20.0, 40.0, 6.0) if place in ("field-1", "field-3") else 0.0

    outcome = synthetic.run(50.0, synthetic.Truth(fade_db=fade_db), keep=False)
    assert outcome.detections() == [("attenuation", "field-1,field-3")]


def test_the_believed_fade_enters_the_predicted_rate(synthetic: Any) -> None:
    def fade_db(place: str, t_s: float) -> float:
        return ramp(t_s, 20.0, 100.0, 8.0) if place == "gateway-site" else 0.0

    outcome = synthetic.run(40.0, synthetic.Truth(fade_db=fade_db))
    snr = [
        (r.fields["observed"], r.fields["predicted"]) for r in outcome.of("residual")
        if r.tags == {"target": "gateway-site>sat-2", "quantity": "snr_db"}
    ]  # fmt: skip
    before, during = np.array(snr[20:40]), np.array(snr[-20:])
    assert before[:, 1].mean() - during[:, 1].mean() == pytest.approx(8.0, abs=0.6)
    assert np.abs(during[:, 0] - during[:, 1]).mean() < 0.6


def test_two_places_fading_apart_are_two_causes(synthetic: Any) -> None:
    def fade_db(place: str, t_s: float) -> float:
        begins = {"gateway-site": 20.0, "field-2": 30.0}
        return ramp(t_s, begins[place], 50.0, 7.0) if place in begins else 0.0

    outcome = synthetic.run(60.0, synthetic.Truth(fade_db=fade_db), keep=False)
    assert outcome.detections() == [("attenuation", "gateway-site"), ("attenuation", "field-2")]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_server_at_half_speed_is_found_and_its_return_too(synthetic: Any, seed: int) -> None:
    def factor(name: str, t_s: float) -> float:
        return 0.5 if name == "edge-sat" and 30.0 <= t_s < 50.0 else 1.0

    outcome = synthetic.run(60.0, synthetic.Truth(server_factor=factor), seed=seed, keep=False)
    assert outcome.detections() == [("slow_server", "on-board")]
    (found,), (over,) = outcome.of("detection"), outcome.of("recovery")
    assert found.tags["target"] == "edge-sat"
    assert 30.0 < found.fields["detected_s"] < 35.0
    assert found.fields["size"] == pytest.approx(0.5, abs=0.05)
    assert over.fields["ended_s"] == pytest.approx(50.0, abs=2.0)


def test_a_link_that_falls_silent_is_one_cause_for_both_directions(synthetic: Any) -> None:
    def down(link: str, t_s: float) -> bool:
        return "field-2" in link and 30.0 <= t_s < 45.0

    outcome = synthetic.run(60.0, synthetic.Truth(link_down=down), keep=False)
    assert outcome.detections() == [("link_down", "field-2>sat-2")]
    assert outcome.of("detection")[0].fields["detected_s"] < 35.0
    assert outcome.of("recovery")[0].fields["ended_s"] == pytest.approx(45.0, abs=1.0)


def test_a_silent_satellite_is_named_by_what_its_links_share(synthetic: Any) -> None:
    outcome = synthetic.run(
        45.0, synthetic.Truth(link_down=lambda link, t: "sat-2" in link and t >= 30.0), keep=False
    )
    assert outcome.detections() == [("link_down", "sat-2")]


@pytest.mark.parametrize(
    ("unit", "field", "size"), [("ms", "extra_delay_ms", 20.0), ("loss", "extra_loss", 0.3)]
)
def test_what_has_no_name_is_reported_as_unknown_with_its_link(
    synthetic: Any, unit: str, field: str, size: float
) -> None:
    def extra(link: str, t_s: float) -> float:
        return size if link == "field-2>sat-2" and 30.0 <= t_s < 45.0 else 0.0

    outcome = synthetic.run(60.0, synthetic.Truth(**{field: extra}), keep=False)
    assert outcome.detections() == [("unknown", "field-2>sat-2")]
    found = outcome.of("detection")[0]
    assert found.fields["unit"] == unit
    assert found.fields["size"] == pytest.approx(size, rel=0.4)
    assert len(outcome.of("recovery")) == 1


def test_a_link_that_serves_less_is_congested_and_its_rate_is_believed(synthetic: Any) -> None:
    def capacity(link: str, t_s: float) -> float:
        return 0.7 if link == "field-2>sat-2" and t_s >= 30.0 else 1.0

    outcome = synthetic.run(60.0, synthetic.Truth(capacity=capacity))
    assert outcome.detections() == [("congestion", "field-2>sat-2")]
    found, last = outcome.of("detection")[0], outcome.of("estimate")[-1]
    assert 30.0 < found.fields["detected_s"] < 36.0
    assert last.tags == found.tags
    assert last.fields["low95"] <= 0.7 <= last.fields["high95"]
    assert last.fields["size"] == pytest.approx(0.7, rel=0.02)
    believed = outcome.twin.belief(synthetic.start_ns + 60 * 10**9).capacity_factor["field-2>sat-2"]
    assert believed.mean == pytest.approx(0.7, rel=0.02)


def test_links_of_one_end_that_serve_less_together_are_one_cause(synthetic: Any) -> None:
    def capacity(link: str, t_s: float) -> float:
        return 0.5 if "data-centre" in link and t_s >= 25.0 else 1.0

    outcome = synthetic.run(45.0, synthetic.Truth(capacity=capacity), keep=False)
    assert [kind for kind, _ in outcome.detections()] == ["congestion"]


def test_sizes_are_told_each_second_while_a_deviation_lasts_and_sharpen(synthetic: Any) -> None:
    def fade_db(place: str, t_s: float) -> float:
        return ramp(t_s, 20.0, 99.0, 5.0) if place == "gateway-site" else 0.0

    outcome = synthetic.run(60.0, synthetic.Truth(fade_db=fade_db))
    told = [r.fields for r in outcome.of("estimate")]
    assert np.diff([fields["t_s"] for fields in told]) == pytest.approx(1.0, abs=0.01)
    widths = [fields["high95"] - fields["low95"] for fields in told]
    assert widths[-1] < 0.7 * widths[4]
    assert told[-1]["low95"] <= 5.0 <= told[-1]["high95"]
    assert told[-1]["size"] == pytest.approx(5.0, abs=0.15)
