"""Jobs carried out by the emulator's own kernels: what is tried has the effect that physics has it have."""

from __future__ import annotations

import itertools
import math

import pytest

from emulator.traffic.flows import Flow
from emulator.traffic.sizes import Fixed
from nodes.wire import ACK
from testbed.actions import parse
from testbed.ahead import Ahead
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.belief import Belief, Estimate
from testbed.twin.whatif import Job, replicate, run, trial
from testbed.twin.whatif import traffic as whatif_traffic
from testbed.twin.whatif.draw import draw, middle
from testbed.twin.whatif.instants import instants_s
from testbed.twin.whatif.plan import Plan, plan_of
from testbed.twin.whatif.traffic import joined, offered_under, subjects_of, thinned

KNOWN = public.of_scenario(load("laptop"))
HORIZON_S = 10.0
#: what other fates of single packets change of a mean over some hundreds of messages, as a share of it
TOGETHER_SHARE = 0.02


def _job(*texts: str, belief: Belief | None = None, **more: object) -> Job:
    settings = {"horizon_s": HORIZON_S, "replications": 2, "warm_s": 2.0, **more}
    return Job(20.0, [trial(text) for text in texts], belief or Belief(), **settings)  # type: ignore[arg-type]


def test_doing_what_is_done_already_changes_nothing() -> None:
    same = "offload:sensor=edge-ground:1+edge-sat:1"
    job = _job(same, standing=[parse(same)])
    changes = run(job, KNOWN).candidates[0].changes
    assert changes
    assert all(change.latency_ms.mean == 0.0 for change in changes.values())


def test_what_comes_to_the_same_tables_is_run_once_and_what_does_not_is_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[object] = []
    carry_out = Ahead.run
    monkeypatch.setattr(Ahead, "run", lambda *given, **more: runs.append(0) or carry_out(*given, **more))
    nobody = "route:avoid=gateway-site>sat-4,penalty_ms=0.001"  # so little changes no route
    report = run(_job(nobody, "route:avoid=gateway-site", "priority:sensor=2", replications=1), KNOWN)
    assert len(runs) == 3  # as it is, and two of the three
    first, *others = report.candidates
    assert all(change.latency_ms.mean == 0.0 for change in first.changes.values())
    assert all(any(c.latency_ms.mean for c in one.changes.values()) for one in others)


def test_a_slow_way_is_left_and_the_gain_is_that_of_the_link() -> None:
    # a slow modem at one satellite: whoever is on it gains by leaving it, by about what it costs
    slow = {f"{place}>sat-1": Estimate(40.0) for place in KNOWN.places} | {
        f"sat-1>{place}": Estimate(40.0) for place in KNOWN.places
    }
    report = run(_job("handover:bar=sat-1", belief=Belief(delay_ms=slow)), KNOWN)
    changes = report.candidates[0].changes
    moved = [name for name, change in changes.items() if change.latency_ms.mean < -20.0 and "reading" in name]
    assert moved
    for name in moved:
        assert -85.0 < changes[name].latency_ms.mean < -35.0


def test_tasks_gain_by_leaving_a_slow_server() -> None:
    belief = Belief(service_factor={"edge-sat": Estimate(0.4, 0.01)})
    report = run(_job("offload:sensor=edge-ground:1; offload:remote=edge-ground:1", belief=belief), KNOWN)
    assert report.candidates[0].changes["task"].share.mean < -0.2
    assert report.candidates[0].server_load["edge-sat"] == 0.0


def test_withdrawing_a_standing_action_undoes_it() -> None:
    action = parse("handover:bar=sat-1")
    there = run(_job("handover:bar=sat-1"), KNOWN).candidates[0].changes["delay"].latency_ms.mean
    from testbed.twin.whatif import Trial

    back = _job(standing=[action])
    back.candidates = [Trial(withdrawn=(action,))]
    assert run(back, KNOWN).candidates[0].changes["delay"].latency_ms.mean == pytest.approx(-there, abs=2.0)


def test_doubt_in_the_belief_widens_the_interval() -> None:
    def width(sd: float) -> float:
        gateways = ("gateway-site", "gateway-south")
        slow = {f"sat-{s}>{gateway}": Estimate(300.0, sd) for s in range(1, 5) for gateway in gateways}
        job = _job("handover:bar=sat-1", belief=Belief(delay_ms=slow), replications=4)
        found = run(job, KNOWN).baseline.flows["delay"].latency_ms
        return found.high - found.low

    assert width(100.0) > 2.0 * width(0.0)


def test_the_same_job_gives_the_same_report() -> None:
    job = _job("handover:bar=sat-1")
    one, two = run(job, KNOWN), run(job, KNOWN)
    one.took_s = two.took_s = 0.0
    assert one == two


def test_the_time_limit_leaves_out_what_is_not_reached() -> None:
    report = run(_job("handover:bar=sat-1", "priority:sensor=1", limit_s=1e-9, replications=5), KNOWN)
    assert not report.complete
    assert report.replications == 1
    assert "allowed were over" in report.sentence


def test_scope_is_told_flow_by_flow() -> None:
    report = run(_job("priority:sensor=1", scope=["remote"]), KNOWN)
    told = {name for name in report.baseline.flows if name not in ("delay", "task")}
    assert told == {f"remote-{n}{what}" for n in (1, 2, 3) for what in (">gateway-1 reading", " task")}


def test_flows_that_actions_leave_alone_stay_as_they_are() -> None:
    changed = plan_of([parse("pace:sensor-1=reading_interval_s:1")], KNOWN)
    before, after = (list(offered_under(KNOWN, plan, 1)) for plan in (Plan(), changed))
    flows = {flow.name: flow for flow in joined(before, after, 5.0)}
    assert flows["sensor-2>gateway-1 reading"] in before
    assert flows["sensor-1>gateway-1 reading before"].end_s == 5.0
    assert flows["sensor-1>gateway-1 reading"].start_s == 5.0
    assert "sensor-1>gateway-1 reading before" not in subjects_of(KNOWN, flows.values())


def test_shares_of_tasks_are_kept_turn_by_turn() -> None:
    plan = plan_of([parse("offload:sensor-1=edge-ground:3+edge-sat:1")], KNOWN)
    mine = [f for f in offered_under(KNOWN, plan, 1) if f.name.startswith("sensor-1>edge")]
    ground = [f for f in mine if "edge-ground" in f.name]
    assert len(ground) == 3
    assert len(mine) == 4
    assert {f.times.interval_s for f in mine} == {6.0}  # type: ignore[union-attr]
    starts = sorted(f.times.phase_s for f in mine)  # type: ignore[union-attr]
    assert [b - a for a, b in itertools.pairwise(starts)] == pytest.approx([1.5] * 3)


def test_what_is_drawn_stays_within_what_can_be() -> None:
    belief = Belief(loss={"a>b": Estimate(0.02, 0.5)}, service_factor={"s": Estimate(0.1, 5.0)})
    for seed in range(50):
        drawn = draw(belief, seed)
        assert 0.0 <= drawn.loss["a>b"].mean <= 1.0
        assert 0.02 <= drawn.service_factor["s"].mean <= 5.0
    assert draw(belief, 3) == draw(belief, 3)
    assert middle(belief).loss["a>b"] == Estimate(0.02)


def test_an_unknown_spread_is_taken_for_none() -> None:
    assert math.isfinite(draw(Belief(delay_ms={"a>b": Estimate(1.0, math.inf)}), 1).delay_ms["a>b"].mean)


def test_acknowledgements_taken_together_are_as_many_bytes_in_fewer_packets() -> None:
    def acknowledged(flows: list[Flow]) -> tuple[float, float]:
        """Packets and bytes of acknowledgements of one message of each flow."""
        packets = size = 0.0
        for flow in flows:
            todo = [(one, flow.packets) for one in flow.then]
            while todo:
                one, before = todo.pop()
                if one.kind == ACK and isinstance(one.size, Fixed):
                    packets += before / one.every
                    size += before / one.every * one.size.length_bytes
                todo += [(other, 1 if one.whole else before) for other in one.then]
        return packets, size

    flows = list(offered_under(KNOWN, Plan(), 1))
    (packets, size), (fewer, same) = acknowledged(flows), acknowledged(thinned(flows))
    assert same == pytest.approx(size)
    assert fewer < 0.25 * packets


def test_acknowledgements_taken_together_change_nothing_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    belief = Belief(
        attenuation_db={"gateway-site/down": Estimate(9.0)}, service_factor={"edge-sat": Estimate(0.5)}
    )
    job = _job(
        "route:avoid=gateway-site",
        "offload:sensor=edge-ground:1",
        belief=belief,
        replications=4,
        limit_s=math.inf,
    )
    few = run(job, KNOWN)
    monkeypatch.setattr(whatif_traffic, "_TOGETHER", 1)
    many = run(job, KNOWN)
    for one, other in zip(few.candidates, many.candidates, strict=True):
        for kind in ("delay", "task"):
            told, true = (c.changes[kind].latency_ms.mean for c in (one, other))
            level = many.baseline.flows[kind].latency_ms.mean
            assert told == pytest.approx(true, abs=TOGETHER_SHARE * level)


def test_what_is_sent_after_the_horizon_is_not_waited_for() -> None:
    flows = joined(*[list(offered_under(KNOWN, Plan(), 1))] * 2, 2.0, 12.0)
    assert {flow.end_s for flow in flows} == {12.0}


def test_what_is_ordered_is_obeyed_from_the_next_table_on() -> None:
    # as in the network, where the table of a moment is there before anything can be ordered
    told: list[float] = []

    def at(t_s: float) -> float:
        """Run time from which a terminal is off the satellite that it is barred from at `t_s`."""
        ahead = replicate._ahead(
            KNOWN, Belief(), Plan(), plan_of([parse("handover:bar=sat-1")], KNOWN), t_s,
            instants_s(KNOWN, t_s - 2.0, t_s, 6.0),
        )  # fmt: skip
        index = ahead.world.place_index["sat-1"]
        on = [
            table.time_ns * 1e-9
            for table in ahead.tables(6.0)
            if any(
                ahead.world.places[row["from_place"]].startswith("field") and row["to_place"] == index
                for row in table.rows
                if row["gone"] == 0
            )
        ]
        return max(on)

    told += [at(20.0), at(20.5)]
    assert told == pytest.approx([20.1, 20.6])  # on it still; at 21 s satellites are chosen
