"""The campaign of the twin: what is drawn, what one run yields, and how figures are made of many."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from testbed.bench import Figures
from testbed.bench import twin as campaign
from testbed.bench._campaign import Told, carry_out
from testbed.bench._campaign_figures import confusion_of, figures_of, kinds_of, upper_rate, whatif_figures
from testbed.bench._campaign_runs import AT_LEAST_S, KINDS, QUIET_FIRST_S, Case, draw, quiet, scenario_of
from testbed.bench._campaign_whatif import Answered, Question
from testbed.bench._campaign_whatif import carry_out as ask
from testbed.bench._campaign_whatif import draw as draw_question
from testbed.errors import BadInput

RAIN = Case(0, "rain", "gateway-site", 5.0, 60.0, 240.0, 1)


def _told(case: Case = RAIN, **values: object) -> Told:
    seen: dict[str, object] = {
        "cause": "attenuation", "right": True, "detected": True, "delay_s": 2.0, "sigmas": 10.0,
        "estimate": 5.05, "low95": 4.95, "high95": 5.15, "quiet_s": 60.0, "update_ms": [1.0, 2.0],
        "records": 3_000, "twin_cpu_s": 1.0,
    }  # fmt: skip
    return Told(case, **{**seen, **values})  # type: ignore[arg-type]


def test_a_number_and_a_seed_make_a_run_and_others_another_one() -> None:
    cases = [draw(number, 1) for number in range(len(KINDS))]
    assert cases == [draw(number, 1) for number in range(len(KINDS))]
    assert cases != [draw(number, 2) for number in range(len(KINDS))]
    assert [case.kind for case in cases] == list(KINDS)
    for case in cases:
        if case.kind != "stale_orbit":
            assert QUIET_FIRST_S <= case.start_s <= case.duration_s - AT_LEAST_S


def test_what_happens_is_in_the_plants_scenario_and_not_in_what_the_twin_knows() -> None:
    scenario = scenario_of(RAIN)
    ((kind, target, at),) = ((d.kind, d.target, d.at) for d in scenario.deviations)
    assert (kind, target, at) == ("rain", "gateway-site", 0.25)
    assert scenario.public() == scenario_of(RAIN, bare=True).public()


def test_nothing_happens_in_a_quiet_run() -> None:
    case = quiet(3, 1)
    assert not scenario_of(case).deviations
    assert case.start_s == math.inf


def test_a_run_is_carried_out_and_summed_up() -> None:
    told = carry_out(replace(RAIN, duration_s=100.0))
    assert (told.cause, told.right, told.detected) == ("attenuation", True, True)
    assert 0.0 < told.delay_s < 5.0
    assert told.covered
    assert told.error < 0.04
    assert len(told.update_ms) == 200
    assert told.sigmas == pytest.approx(5.0 / 0.3)
    assert told.inside["snr_db"][1] > 100
    assert not told.false


def test_errors_are_relative_and_those_within_a_tenth_of_a_decibel_are_none_to_speak_of() -> None:
    assert _told().error == pytest.approx(0.05 / 5.0)
    small = replace(RAIN, size=1.0)
    # a tenth of a decibel is two per cent of five
    assert _told(small, estimate=1.1).error == pytest.approx(0.02)
    server = replace(RAIN, kind="slow_server", size=0.5)
    assert _told(server, estimate=0.52).error == pytest.approx(0.04)


def test_a_size_is_known_when_its_interval_says_so() -> None:
    assert _told(low95=4.81, high95=5.19).identified
    assert not _told(low95=4.79, high95=5.21).identified
    assert not _told(low95=math.nan, high95=math.nan).identified


def test_figures_of_known_runs() -> None:
    missed = _told(cause="nothing", right=False, detected=False, delay_s=math.nan, estimate=math.nan,
                   low95=math.nan, high95=math.nan)  # fmt: skip
    wrong = _told(cause="congestion", right=False, delay_s=4.0, low95=5.01, high95=5.03)
    figures = figures_of([_told(), wrong, missed], [_told(quiet(0, 1), quiet_s=86_400.0, false=["clock x"])])
    assert figures["detected_share"] == pytest.approx(2 / 3)
    assert figures["attribution_accuracy"] == pytest.approx(1 / 2)
    assert figures["interval_coverage"] == pytest.approx(1 / 2)
    assert figures["recovery_error_median"] == pytest.approx(0.01)
    assert figures["detection_s_p95"] == math.inf
    assert figures["false_alarms_per_day"] == pytest.approx(1.0, rel=0.01)
    assert figures["records_per_s_at_one_core"] == pytest.approx(3_000)
    assert figures["cpu_share_at_1000_records_per_s"] == pytest.approx(1 / 3)


def test_what_lies_in_the_noise_of_one_window_does_not_count_for_the_delay() -> None:
    late = _told(delay_s=60.0, sigmas=1.0)
    assert figures_of([_told(), late], [])["detection_s_p95"] == 2.0


def test_the_confusion_tells_wrong_causes_wrong_places_and_alarms_for_nothing() -> None:
    runs = [
        _told(),
        _told(cause="congestion", right=False),
        _told(right=False),
        _told(cause="nothing", right=False, false=["unknown/ms a>b at 3 s"]),
    ]
    assert confusion_of(runs, []) == {
        "rain": {"attenuation": 1, "congestion": 1, "attenuation, elsewhere": 1, "nothing": 1},
        "nothing": {"unknown/ms": 1},
    }


def test_a_row_for_each_kind_that_was_run() -> None:
    rows = kinds_of([_told(), _told(delay_s=4.0)])
    assert list(rows) == ["rain"]
    assert rows["rain"]["detection_s_p50"] == 2.0
    assert rows["rain"]["detection_s_p95"] == 4.0


def test_the_bound_of_a_rate_is_that_of_the_poisson_distribution() -> None:
    # three over the time when nothing was seen: -ln 0.05
    assert upper_rate(0, 2.0) == pytest.approx(-math.log(0.05) / 2.0)
    assert upper_rate(1, 1.0) == pytest.approx(4.744, abs=0.001)


def _answered(predicted_ms: float, real_ms: float) -> Answered:
    question = Question(RAIN, "handover:bar=sat-1", "delay")
    return Answered(question, 100.0, predicted_ms, predicted_ms - 5.0, predicted_ms + 5.0, real_ms)


def test_what_ifs_are_judged_by_sign_and_size_of_changes_that_matter() -> None:
    answers = [_answered(-21.0, -20.0), _answered(30.0, 20.0), _answered(3.0, -10.0), _answered(5.0, 0.5)]
    figures = whatif_figures(answers)
    assert figures["whatif_questions"] == 3.0
    assert figures["whatif_sign"] == pytest.approx(2 / 3)
    assert figures["whatif_size_error"] == pytest.approx(0.5)
    assert figures["whatif_interval90"] == pytest.approx(1 / 3)


def test_a_question_is_asked_and_tried() -> None:
    question = draw_question(1, 1)
    assert question == draw_question(1, 1)
    assert question.case.kind == "extra_delay"
    answered = ask(question)
    # a terminal leaves a link that is tens of ms slower
    assert answered.real_ms < -1.0
    assert answered.low_ms <= answered.predicted_ms <= answered.high_ms < 0.0


def test_tables_stand_beside_the_figures() -> None:
    made = Figures("twin", {"a": math.inf}, tables={"confusion": {"rain": {"clock": 1}}})
    assert made.as_dict() == {
        "bench": "twin", "figures": {"a": None}, "limits": {}, "ratios": {},
        "confusion": {"rain": {"clock": 1}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"runs": -1}, "--runs -1: allowed is 0 to 100000"),
        ({"quiet_days": math.nan}, "--quiet-days nan: allowed is 0 to 366"),
        ({"quiet_days": 1e9}, "--quiet-days 1e+09: allowed is 0 to 366"),
        ({"questions": 10**6}, "--questions 1e+06: allowed is 0 to 100000"),
        ({"seed": -3}, "--seed -3: allowed is 0 to"),
        ({"kinds": "rain,snow"}, "--kinds 'snow': allowed are rain, capacity"),
        ({"runs": 0, "quiet_days": 0.0, "questions": 0}, "are all 0: nothing is left to be measured"),
        ({"runs": 0}, "--runs 0: say with --quiet-days or --questions what is to be measured instead"),
    ],
)
def test_a_part_that_cannot_be_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput) as raised:
        campaign.run(**options)
    assert sentence in str(raised.value)


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is carried out, none of which takes time; an interrupt takes the place of the third."""
    cases: list[Any] = []

    def all_of(given: list[Any]) -> Iterator[Any]:
        cases.extend(given)
        for number, case in enumerate(given):
            if number == 2:
                raise KeyboardInterrupt
            yield _told(case)

    monkeypatch.setattr(campaign, "_all", all_of)
    monkeypatch.setattr(campaign._whatif_time, "seconds", lambda: 0.5)
    return cases


def test_a_part_is_as_large_as_it_was_asked_for_and_of_that_seed(carried: list[Any]) -> None:
    campaign.run(runs=3, quiet_days=0.0, questions=1, seed=5)
    assert carried[:3] == [draw(number, 5) for number in range(3)]
    assert carried[3] == draw_question(0, 5)
    assert [type(one).__name__ for one in carried[4:]] == ["Savings"]


def test_only_the_kinds_that_were_asked_for_happen_as_in_the_whole_campaign(carried: list[Any]) -> None:
    campaign.run(runs=3, quiet_days=0.0, questions=0, seed=5, kinds="rain, capacity")
    assert carried[:3] == [draw(number, 5) for number in (0, 1, 7)]


def test_an_interrupt_leaves_the_figures_of_what_is_done_without_limits_only_all_can_tell(
    carried: list[Any],
) -> None:
    ended = campaign.run(runs=200)
    assert ended.interrupted
    assert ended.figures["runs"] == 2.0
    assert ended.figures["whatif_s_ten_candidates_60s"] == 0.5
    assert "whatif_s_ten_candidates_60s" in ended.limits
    assert not ended.limits.keys() & {"interval_coverage", "whatif_sign", "suppression_error_ratio"}


def test_an_interrupt_before_anything_is_done_is_an_interrupt(
    carried: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once() -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign._whatif_time, "seconds", at_once)
    with pytest.raises(KeyboardInterrupt):
        campaign.run(runs=3)
