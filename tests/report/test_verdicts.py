"""Each verdict against a run that breaks it, and only it."""

from __future__ import annotations

import json

import pytest

from testbed.report import balance, collect, document


@pytest.fixture
def judged(folder):
    """Renders no page: builds the document of a run that `change` has tampered with."""

    def build(change=None, *, twin_until_s=float("inf"), **options):
        made = folder(**options).fill(twin_until_s=twin_until_s)
        if change is not None:
            change(made)
        report = document.build(collect.load(made.write()))
        return report, {v["name"]: v for v in report["verdicts"]}

    return build


def failed(verdicts):
    return {name for name, v in verdicts.items() if v["holds"] is False}


def void(verdicts):
    return {name for name, v in verdicts.items() if v["holds"] is None}


def test_one_packet_too_few_in_total_fails_conservation(judged):
    def change(made):
        made.info["channel"]["counters"]["delivered"] -= 1

    report, verdicts = judged(change)
    assert report["conservation"]["balanced"] is False
    assert report["conservation"]["total"]["difference"] == 1
    assert failed(verdicts) == {"conservation"}


def test_one_packet_too_few_on_a_link_fails_conservation_and_names_the_link(judged):
    def change(made):
        made.info["channel"]["links"]["gateway>sat-1"]["packets_out"] -= 1

    _, verdicts = judged(change)
    assert failed(verdicts) == {"conservation"}
    assert "gateway>sat-1" in verdicts["conservation"]["text"]


def test_opposite_errors_on_two_links_do_not_cancel(judged):
    def change(made):
        links = made.info["channel"]["links"]
        links["gateway>sat-1"]["packets_out"] -= 1
        links["sat-1>gateway"]["packets_out"] += 1

    assert failed(judged(change)[1]) == {"conservation"}


def test_a_packet_that_was_sent_but_never_entered_fails_conservation(judged):
    def change(made):
        made.info["nodes"]["sensor-3"]["sent"] += 1

    assert failed(judged(change)[1]) == {"conservation"}


def test_what_a_killed_node_sent_is_a_remainder_and_balances(judged):
    def change(made):
        made.info["nodes"]["sensor-3"] |= {"status": "killed", "exit_status": -9, "sent": 940}

    report, verdicts = judged(change)
    assert report["conservation"]["balanced"] is True
    assert failed(verdicts) == {"all_nodes_finished"}
    assert verdicts["all_nodes_finished"]["text"] == "sensor-3: killed"


def test_a_killed_node_cannot_have_sent_less_than_it_said(judged):
    def change(made):
        made.info["nodes"]["sensor-3"] |= {"status": "killed", "sent": 1001}

    assert judged(change)[0]["conservation"]["balanced"] is False


def test_without_the_channels_counters_nothing_balances():
    assert balance.conservation({"nodes": {}, "channel": {}})["balanced"] is False


def test_a_channel_that_died_before_its_last_count_does_not_balance(judged):
    def change(made):
        made.info["channel"]["final"] = False

    assert failed(judged(change)[1]) == {"conservation"}


def test_counts_that_never_reached_run_json_are_taken_from_the_channels_own_file(judged):
    def change(made):
        made.path.mkdir()
        (made.path / "channel.json").write_text(json.dumps(made.info.pop("channel")))

    assert failed(judged(change)[1]) == set()


def test_a_link_table_that_stopped_being_computed_fails(judged):
    def change(made):
        made.info["channel"]["epochs"]["failure"] = "no satellite left"

    _, verdicts = judged(change)
    assert failed(verdicts) == {"epochs_on_time"}
    assert "no satellite left" in verdicts["epochs_on_time"]["text"]


def test_a_dead_channel_fails_what_it_should_have_measured(judged):
    def change(made):
        made.info["channel"] = {}
        made.info["nodes"]["channel"] = {"role": "channel", "status": "killed"}

    _, verdicts = judged(change)
    assert failed(verdicts) >= {"conservation", "injection_lateness", "epochs_on_time", "all_nodes_finished"}
    assert void(verdicts) >= {"twin_skill", "deviations_detected"}


def test_too_late_an_emulator_voids_every_twin_verdict_and_says_why(judged):
    def change(made):
        made.info["channel"]["lateness_us"]["p99"] = 101.0

    _, verdicts = judged(change)
    assert failed(verdicts) == {"injection_lateness"}
    assert void(verdicts) == {"deviations_detected", "no_false_detection", "twin_skill", "twin_band"}
    assert "too late" in verdicts["twin_skill"]["text"]


def test_overrun_epochs_fail_above_one_in_a_hundred(judged):
    def change(made):
        made.info["channel"]["epochs"] |= {"count": 200, "overruns": 3}

    assert failed(judged(change)[1]) == {"epochs_on_time"}


def test_an_interrupted_run_says_how_far_it_came(judged):
    def change(made):
        made.info |= {"status": "interrupted", "planned_duration_s": 60.0}

    _, verdicts = judged(change)
    assert failed(verdicts) == {"run_completed"}
    assert "20.0 s of 60 s" in verdicts["run_completed"]["text"]


def test_the_time_it_took_to_end_is_not_held_against_the_twin(judged):
    def change(made):
        made.info["duration_s"] = 26.0

    report, verdicts = judged(change)
    assert report["run"]["observed_s"] == 20.0
    assert failed(verdicts) == set()


def test_a_run_without_a_twin_is_not_judged_by_one(judged):
    def change(made):
        made.info |= {"twin_enabled": False, "twin_status": "not started"}
        made.records = [
            r for r in made.records if r["measurement"] not in ("prediction", "residual", "detection")
        ]

    _, verdicts = judged(change)
    assert failed(verdicts) | void(verdicts) == set()
    assert "twin_alive" not in verdicts


def test_what_went_wrong_stands_in_the_verdict(judged):
    def change(made):
        made.info |= {"status": "failed", "problem": "edge-sat never registered"}

    assert "edge-sat never registered" in judged(change)[1]["run_completed"]["text"]


def test_a_killed_twin_fails_and_voids_what_it_would_have_been_judged_by(judged):
    def change(made):
        made.info["twin_status"] = "was killed (SIGKILL)"

    _, verdicts = judged(change, twin_until_s=8.0)
    assert failed(verdicts) == {"twin_alive"}
    assert "was killed (SIGKILL)" in verdicts["twin_alive"]["text"]
    assert "deviations_detected" in void(verdicts)


def test_a_twin_that_fell_silent_is_not_alive_though_its_process_ended_well(judged):
    assert "twin_alive" in failed(judged(twin_until_s=12.0)[1])


def test_a_missed_deviation_fails(judged):
    def change(made):
        made.records = [r for r in made.records if r["tags"].get("kind") != "slow_server"]

    _, verdicts = judged(change)
    assert failed(verdicts) == {"deviations_detected"}
    assert "slow_server at edge-sat NOT detected" in verdicts["deviations_detected"]["text"]


def test_a_detection_of_nothing_is_false(judged):
    def change(made):
        made.add(
            4.0, "detection", {"kind": "attenuation", "target": "field-2", "where": "field-2"}, detected_s=4.0
        )

    _, verdicts = judged(change)
    assert failed(verdicts) == {"no_false_detection"}
    assert "field-2" in verdicts["no_false_detection"]["text"]


def test_the_right_moment_at_the_wrong_place_is_false_and_missed(judged):
    def change(made):
        for record in made.records:
            if record["measurement"] == "detection" and record["tags"]["kind"] == "slow_server":
                record["tags"] |= {"target": "edge-ground", "where": "edge-ground"}

    assert failed(judged(change)[1]) == {"deviations_detected", "no_false_detection"}


def test_without_deviations_nothing_had_to_be_detected(judged):
    _, verdicts = judged(deviations=False)
    assert "deviations_detected" not in verdicts
    assert verdicts["no_false_detection"]["holds"] is True
    assert failed(verdicts) == set()


def test_a_twin_is_not_judged_when_nothing_tells_how_late_the_emulator_was(judged):
    def change(made):
        made.info["channel"]["lateness_us"]["p99"] = None

    verdicts = judged(change)[1]
    assert failed(verdicts) == {"injection_lateness"}
    assert verdicts["twin_band"]["holds"] is None
    assert "too late" not in verdicts["twin_band"]["text"]


def test_a_deviation_that_began_just_before_the_end_is_not_held_against_the_twin(judged):
    def change(made):
        made.add(18.0, "plant_event", {"deviation": "rain", "target": "field-4"}, what="start")

    assert judged(change)[1]["deviations_detected"]["holds"] is True


def test_a_shower_that_nobody_scripted_may_be_noticed_and_need_not_be(judged):
    def rain(made):
        made.add(2.0, "plant_event", {"deviation": "shower", "target": "field-2"}, what="start")
        made.add(9.0, "plant_event", {"deviation": "shower", "target": "field-2"}, what="end")

    def rain_that_is_seen(made):
        rain(made)
        made.add(
            4.0, "detection", {"kind": "attenuation", "target": "field-2", "where": "field-2"}, detected_s=4.0
        )

    assert failed(judged(rain)[1]) == set()
    report, verdicts = judged(rain_that_is_seen)
    assert failed(verdicts) == set()
    assert any(d["deviation"] == "shower" and d["detected"] for d in report["twin"]["deviations"])


def test_a_twin_worse_than_the_constant_fails(judged):
    def change(made):
        for record in made.records:
            if (
                record["measurement"] in ("prediction", "residual")
                and record["tags"]["quantity"] == "delay_ms"
            ):
                for key in ("mean", "median", "lo90", "hi90", "predicted"):
                    if key in record["fields"]:
                        record["fields"][key] += 40.0
                record["fields"]["inside90"] = False

    assert failed(judged(change)[1]) == {"twin_skill", "twin_band"}


def test_a_band_so_wide_that_it_holds_everything_fails(judged):
    def change(made):
        for record in made.records:
            if record["measurement"] == "prediction":
                record["fields"] |= {"lo90": 0.0, "hi90": 1e12}
            if record["measurement"] == "residual":
                record["fields"]["inside90"] = True

    assert failed(judged(change)[1]) == {"twin_band"}


def test_deviations_are_paired_by_start_and_end(folder):
    data = collect.load(folder().fill().write())
    spans = {d.kind: (d.start_s, d.end_s) for d in data.deviations}
    assert spans["rain"] == (pytest.approx(7.0), pytest.approx(13.0))
    assert spans["slow_server"] == (pytest.approx(10.0), None)


@pytest.mark.parametrize(
    ("name", "concerned"),
    [("field-3", True), ("field-3>sat-1", True), ("sat-1>field-12", True), ("field-x>sat-1", False),
     ("fielder-3", False), ("sat-1", False)],
)  # fmt: skip
def test_a_deviation_of_a_group_concerns_its_members(name, concerned):
    assert collect.Deviation("rain", "field", 0.0, None, "").concerns(name) is concerned


def test_numbers_that_are_not_finite_become_null():
    import numpy as np

    given = {
        "a": float("nan"),
        "b": np.float64("inf"),
        "c": np.array([1.0, np.nan]),
        "d": np.int64(3),
        "e": True,
    }
    assert document.finite(given) == {"a": None, "b": None, "c": [1.0, None], "d": 3, "e": True}
