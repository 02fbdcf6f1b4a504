"""A flood and an impostor in a real run: real packets, in the books, and nothing of them told to the twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.replay import replay
from testbed.supervisor.hidden import hidden_senders
from tests.integration import harness
from tests.integration.outside_twin import OutsideTwin
from tests.integration.test_joining import free_endpoint

RATE_MBPS = 1.0
DEVIATIONS = (
    f'deviations=[{{kind="flood", target="field-1>sat-3", at=0.5, for=0.25, rate_mbps={RATE_MBPS}}},'
    '{kind="impostor", target="remote-1", at=0.5, for=0.5}]'
)
DURATION_S = 12.0
BEGINS_S, FLOOD_ENDS_S = 6.0, 9.0
#: a window that an edge of a deviation falls into counts neither way
EDGE_S = 1.0


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[harness.Finished, OutsideTwin]:
    """A run with both, without guests, and a twin from outside that only listens."""
    endpoint = free_endpoint()
    started = harness.start(
        tmp_path_factory.mktemp("troubled"),
        *("laptop", "--duration", f"{DURATION_S:g}", "--set", DEVIATIONS, "--set", "network.guests=false"),
        *("--set", "twin.enabled=false", "--set", f"network.control_endpoint={endpoint}"),
    )
    started.until(lambda: any(started.out.glob("*/logs/sensor-1.log")), "the first node")
    with OutsideTwin(endpoint) as twin:
        ended = started.finish()
    return ended, twin


def test_a_flood_offers_its_rate_while_it_lasts(troubled: tuple[harness.Finished, OutsideTwin]) -> None:
    run = troubled[0]
    t0_ns = run.run.run_info()["t0_ns"]
    offered: dict[bool, list[float]] = {False: [], True: []}
    for record in run.records("link"):
        t_s = (record.t_ns - t0_ns) / 1e9
        if record.tags["link"] == "field-1>sat-3" and t_s < DURATION_S:
            window_s = float(record.fields["window_s"])
            rate = float(record.fields["bytes_in"]) * 8e-6 / window_s
            if BEGINS_S + EDGE_S < t_s <= FLOOD_ENDS_S:
                offered[True].append(rate)
            elif t_s <= BEGINS_S or t_s > FLOOD_ENDS_S + EDGE_S:
                offered[False].append(rate)
    quiet, flooded = (sum(rates) / len(rates) for rates in (offered[False], offered[True]))
    # tasks of the sensor that stands there come and go in these windows
    assert flooded - quiet == pytest.approx(RATE_MBPS, abs=0.35)


def test_an_impostor_repeats_numbers_with_values_that_lie_elsewhere(
    troubled: tuple[harness.Finished, OutsideTwin],
) -> None:
    heard = [
        r
        for r in troubled[1].records
        if r.measurement == "flow" and r.tags == {"node": "gateway-1", "source": "remote-1", "flow": "data"}
    ]
    start = troubled[1].start
    assert start is not None
    before = [r for r in heard if r.t_ns - start.t0_ns < BEGINS_S * 1e9]
    after = [r for r in heard if (BEGINS_S + EDGE_S) * 1e9 < r.t_ns - start.t0_ns <= DURATION_S * 1e9]
    assert sum(int(r.fields["repeated"]) for r in before) == 0
    assert all(int(r.fields["repeated"]) >= 3 for r in after)
    assert all(float(r.fields["value_sd"]) > 2.0 for r in after)
    assert max(float(r.fields["value_sd"]) for r in before if "value_sd" in r.fields) < 2.0
    assert len(after) >= 4


def test_the_books_balance_and_the_run_replays(troubled: tuple[harness.Finished, OutsideTwin]) -> None:
    run = troubled[0]
    nodes = run.run.run_info()["nodes"]
    assert nodes["hidden-flood-1"]["sent"] > 100
    assert nodes["hidden-impostor-1"]["sent"] > 10
    assert run.report["conservation"]["balanced"] is True
    assert replay(run.run)["same"]


def test_the_twin_hears_of_neither(troubled: tuple[harness.Finished, OutsideTwin]) -> None:
    run, twin = troubled
    assert {r.tags["node"] for r in run.records("node")} >= {"hidden-flood-1", "hidden-impostor-1"}
    said = [value for r in twin.records for value in r.tags.values()]
    assert said
    assert not [value for value in said if "hidden" in value]


def test_where_senders_stand_and_what_they_are_told_follows_from_the_deviations(tmp_path: Path) -> None:
    from testbed.scenario import load

    flood, impostor = hidden_senders(load("laptop", [DEVIATIONS]))
    assert (flood.place, flood.settings["rate_mbps"]) == ("field-1", RATE_MBPS)
    assert impostor.place == "valley-1"
    assert impostor.settings["via"] == "relay-1"
    assert hidden_senders(load("laptop")) == []
