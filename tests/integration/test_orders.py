"""What is asked for while a run goes on: routes change, nodes obey, the books balance, and it replays."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from nodes.wire import Record
from testbed.replay import replay
from tests.integration import harness
from tests.integration.outside_twin import OutsideTwin
from tests.integration.test_joining import free_endpoint

AVOID = {f"sat-{k}>gateway-site": 1_000.0 for k in range(1, 5)}
CLOCK = '[{kind="clock_offset", target="sensor-2", at=0.5, for=0.5, offset_ms=40}]'
DURATION_S = 14.0
ASKED_S, JUMP_S = 3.0, 7.0
#: what is posted ahead, and on its way when routes change, is over by then
SETTLED_S = 2.0
#: a quiet exchange within this host takes less; a busy one is not the least of several
EXCHANGE_MS = 5.0


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> harness.Finished:
    """A run in which a twin from outside has asked for this and that."""
    endpoint = free_endpoint()
    started = harness.start(
        tmp_path_factory.mktemp("ordered"),
        *("laptop", "--duration", f"{DURATION_S:g}", "--set", f"deviations={CLOCK}"),
        *("--set", "twin.enabled=false", "--set", f"network.control_endpoint={endpoint}"),
    )
    started.until(lambda: any(started.out.glob("*/logs/sensor-1.log")), "the first node")
    with OutsideTwin(endpoint) as twin:
        twin.until_s(ASKED_S)
        answer = twin.ask("channel", "orders", {"penalty_ms": AVOID, "barred": []})
        assert answer.done
        assert answer.text.startswith("obeyed from 3.")
        nowhere = twin.ask("channel", "orders", {"penalty_ms": {"sat-9>gateway-site": 1.0}})
        assert (nowhere.done, "no place 'sat-9'" in nowhere.text) == (False, True)
        assert twin.ask("sensor-1", "pace", {"reading_interval_s": 0.5}).done
        wrong = twin.ask("sensor-1", "offload", {"servers": {"gateway-1": 1}})
        assert wrong.text == "offload: server 'gateway-1' is not one of edge-ground, edge-sat"
        assert not twin.ask("edge-sat", "set_speed", {"factor": 2.0}).done
        ended = started.finish()
        assert any(record.measurement == "clock" for record in twin.records)
    return ended


def seconds(run: harness.Finished, record: Record) -> float:
    return (record.t_ns - run.run.run_info()["t0_ns"]) / 1e9


def test_packets_take_the_way_that_was_ordered_from_then_on(ordered: harness.Finished) -> None:
    down = {"gateway-site": [0, 0], "gateway-south": [0, 0]}
    for record in ordered.records("link"):
        if record.tags["to"] in down and record.tags["kind"] == "feeder":
            t_s = seconds(ordered, record)
            if t_s < ASKED_S or t_s > ASKED_S + SETTLED_S:
                down[record.tags["to"]][t_s > ASKED_S] += int(record.fields["packets_in"])
    assert down["gateway-site"][0] > 100
    assert down["gateway-site"][1] == 0
    assert down["gateway-south"][1] > 100


def test_a_run_with_orders_balances_and_replays_to_the_same_fates_and_times(
    ordered: harness.Finished,
) -> None:
    assert ordered.report["conservation"]["balanced"] is True
    result = replay(ordered.run)
    assert result["packet_hops"] > 1000
    assert result["same"], result


def test_who_asked_for_what_and_what_came_of_it_is_written_down(ordered: harness.Finished) -> None:
    texts = [str(record.fields["text"]) for record in ordered.records("event")]
    assert any(text.startswith("twin orders channel: orders") for text in texts)
    assert any(text.startswith("twin orders sensor-1: pace") for text in texts)
    refused = "twin asked that edge-sat be given set_speed: refused, allowed for 'edge-sat': offload"
    assert any(text.startswith(refused) for text in texts)


def test_a_node_keeps_the_pace_that_was_asked_for_and_tells_so(ordered: harness.Finished) -> None:
    told = [r for r in ordered.records("node") if r.tags["node"] == "sensor-1"]
    late = [r for r in told if ASKED_S + SETTLED_S < seconds(ordered, r) < DURATION_S]
    assert {r.fields["reading_interval_s"] for r in late} == {0.5}
    counts = [int(r.fields["readings"]) for r in late]
    assert counts[-1] - counts[0] == pytest.approx(2 * (len(counts) - 1), abs=1)


def test_a_clock_that_jumps_shows_in_the_exchanges_of_its_node_alone(ordered: harness.Finished) -> None:
    offsets: dict[tuple[str, bool], list[float]] = {}
    for record in ordered.records("clock"):
        t1, t2, t3, t4 = (float(record.fields[name]) for name in ("t1_ns", "t2_ns", "t3_ns", "t4_ns"))
        t_s = seconds(ordered, record)
        if abs(t_s - JUMP_S) > 1.0 and t_s < DURATION_S:
            key = record.tags["node"], t_s > JUMP_S
            offsets.setdefault(key, []).append(((t1 - t2) + (t4 - t3)) / 2e6)
    for (node, after), of in offsets.items():
        expected = 40.0 if node == "sensor-2" and after else 0.0
        assert statistics.median(of) == pytest.approx(expected, abs=EXCHANGE_MS), node
    assert len(offsets) == 2 * len(ordered.run.run_info()["nodes"])


def test_where_hardware_is_attached_nothing_is_carried_out(tmp_path: Path) -> None:
    endpoint = free_endpoint()
    started = harness.start(
        tmp_path,
        *("laptop", "--duration", "5", "--set", "deviations=[]", "--set", "twin.enabled=false"),
        *("--set", f"network.control_endpoint={endpoint}", "--set", "nodes.gateway-1.external=true"),
        *("--set", "network.register_timeout_s=8"),
    )
    started.until(lambda: any(started.out.glob("*/logs/sensor-1.log")), "the first node")
    with OutsideTwin(endpoint) as twin:
        twin.until_s(0.5)
        answer = twin.ask("channel", "orders", {"penalty_ms": AVOID})
        assert not answer.done
        assert answer.text.startswith("hardware is attached (gateway-1)")
        ended = started.finish()
    to_south = [r for r in ended.records("link") if r.tags["link"] == "sat-2>gateway-south"]
    assert sum(int(r.fields["packets_in"]) for r in to_south) == 0
