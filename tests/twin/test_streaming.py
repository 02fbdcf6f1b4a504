"""Fidelity while a twin runs, beside the scores of the same run taken from its records."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.wire import Record
from testbed.twin.predict import DELAY
from testbed.twin.scoring import score
from testbed.twin.streaming import PACKETS, WHOLE, Fidelity

DURATION_S = 60.0
#: the part from which baselines are taken, of a synthetic run
CALIBRATION_SHARE = 0.25
#: the same windows summed up in two ways
ROUNDING = 1e-6


@pytest.fixture(scope="module")
def run(synthetic: Any) -> Any:
    return synthetic.run(DURATION_S, synthetic.Truth(extra_loss=lambda _link, _t: 0.02))


def fidelity(outcome: Any, synthetic: Any) -> Fidelity:
    """Given all records of a run in the order of their windows."""
    made = Fidelity(0.5, CALIBRATION_SHARE * DURATION_S)
    made.begin(synthetic.start_ns)
    said = [r for r in outcome.said if r.measurement in ("prediction", "residual")]
    observed = [r for r in outcome.observed if r.measurement == "link"]
    for record in sorted(said + observed, key=lambda r: (r.t_ns, r.measurement)):
        made.take([record])
    return made


def last(records: list[Record], target: str, quantity: str, over: str) -> dict[str, Any]:
    tags = {"target": target, "quantity": quantity, "over": over}
    return [r for r in records if r.measurement == "fidelity" and r.tags == tags][-1].fields


def test_figures_of_a_run_are_those_of_its_records(run: Any, synthetic: Any) -> None:
    records = fidelity(run, synthetic).records(synthetic.start_ns + int(DURATION_S * 1e9))
    rows = score(run.observed + run.said, synthetic.start_ns, CALIBRATION_SHARE)["fidelity"]
    compared = 0
    for quantity in ("delay_ms", "snr_db", "throughput_bps", "loss", "service_rate_hz"):
        for target, row in rows[quantity].items():
            found = last(records, target, quantity, "run")
            if found["n"] != row["n"]:  # scores begin where the records do, not where the run does
                continue
            for name in ("mae", "crps", "picp90", "bias", "interval_score", "crps_skill_climatology"):
                if row[name] is not None:
                    assert found[name] == pytest.approx(row[name], rel=ROUNDING, abs=ROUNDING)
                    compared += 1
    assert compared > 100


def test_figures_come_every_ten_seconds_of_the_run_and_since_the_last(run: Any) -> None:
    said = run.of("fidelity")
    assert len({r.t_ns for r in said}) == 5  # at 20, 30, 40, 50, 60 s; the first fourth does not count
    run_n = last(said, "sat-1>gateway-site", DELAY, "run")["n"]
    recent_n = last(said, "sat-1>gateway-site", DELAY, "recent")["n"]
    assert 15 <= recent_n <= 20
    assert run_n > 3 * recent_n


def test_the_whole_counts_every_target(run: Any) -> None:
    said = run.of("fidelity")
    newest = max(r.t_ns for r in said)
    each = [
        r.fields["n"] for r in said
        if r.t_ns == newest and r.tags["quantity"] == DELAY and r.tags["over"] == "run"
        and r.tags["target"] != WHOLE
    ]  # fmt: skip
    assert last(said, WHOLE, DELAY, "run")["n"] == sum(each)
    assert "acf_error" not in last(said, WHOLE, DELAY, "run")


def test_losses_of_links_are_counted(run: Any) -> None:
    found = last(run.of("fidelity"), WHOLE, PACKETS, "run")
    assert found["loss_rate"] == pytest.approx(0.02, abs=0.003)
    assert found["mean_burst"] == pytest.approx(1.0, abs=0.1)


def test_flows_are_counted_by_what_their_receivers_miss() -> None:
    made = Fidelity(0.5, 0.0)
    made.begin(0)
    tags = {"source": "sensor", "node": "edge", "flow": "readings"}
    made.take([Record(10**9 * k, "flow", tags, {"packets": 80, "lost": 20}) for k in range(1, 4)])
    assert last(made.records(10**10), "sensor>edge readings", PACKETS, "run")["loss_rate"] == 0.2


def test_nothing_is_said_before_it_is_due_nor_of_what_was_not_seen_again() -> None:
    made = Fidelity(0.5, 0.0)
    made.begin(0)
    made.take([Record(10**9, "link", {"link": "a>b"}, {"packets_out": 9, "lost": 1})])
    assert made.records(10**10 - 1) == []
    assert len(made.records(10**10)) == 4  # the link and the whole, twice each
    assert made.records(2 * 10**10) == []


def test_a_residual_without_its_prediction_counts_for_nothing() -> None:
    made = Fidelity(0.5, 0.0)
    made.begin(0)
    made.take([Record(10**9, "residual", {"target": "a>b", "quantity": DELAY}, {"observed": 3.0})])
    assert made.records(10**10) == []
