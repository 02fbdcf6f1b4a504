"""Instants of link tables: those at which satellites are chosen, the start, and where candidates begin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from emulator.orbits.frames import RunClock
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.belief import Belief, Estimate
from testbed.twin.public import Public
from testbed.twin.whatif import Job, run, trial
from testbed.twin.whatif.instants import evenly_s, instants_s

KNOWN = public.of_scenario(load("laptop"))
#: a change of mean latency differs by so little from that with a table every tenth of a second
TABLES_SHARE = 0.03
SAME_S = 1e-6


def _choosing(interval_s: float, offset_s: float = 0.0) -> Public:
    access = replace(KNOWN.world.access, decision_interval_s=interval_s, decision_offset_s=offset_s)
    return replace(KNOWN, world=replace(KNOWN.world, access=access))


def _chosen_s(known: Public, start_s: float, end_s: float) -> list[float]:
    """Run times at which satellites are chosen, one after the other."""
    access, second = known.world.access, RunClock(known.world.start_utc).second_of_day
    every_ms = range(round(start_s * 1000), round(end_s * 1000))
    interval_ms, offset_ms = round(access.decision_interval_s * 1000), round(access.decision_offset_s * 1000)
    return [ms / 1000 for ms in every_ms if (ms + round(second * 1000) - offset_ms) % interval_ms == 0]


@pytest.mark.parametrize("start_s", [15.0, 15.3])
@pytest.mark.parametrize(
    ("interval_s", "offset_s", "span_s"),
    [(1.0, 0.0, 30.0), (1.0, 0.25, 30.0), (15.0, 12.0, 50.0), (4.0, 1.0, 70.0)],
)
def test_there_is_a_table_whenever_satellites_are_chosen(
    interval_s: float, offset_s: float, span_s: float, start_s: float
) -> None:
    known = _choosing(interval_s, offset_s)
    times = instants_s(known, start_s, start_s + 5.0, span_s)
    for chosen_s in _chosen_s(known, start_s, start_s + span_s):
        assert np.abs(times - chosen_s).min() < SAME_S


@pytest.mark.parametrize("at_s", [20.0, 20.5, 20.1234])
def test_the_start_and_the_epoch_after_the_action_are_among_them_and_none_is_twice(at_s: float) -> None:
    times = instants_s(KNOWN, at_s - 5.0, at_s, 30.0)
    assert times[0] == at_s - 5.0
    assert np.abs(times - (at_s + KNOWN.run.epoch_s)).min() < SAME_S
    assert np.diff(times).min() > SAME_S
    assert times[-1] < at_s + 25.0


@pytest.mark.parametrize("interval_s", [0.3, 1.0, 15.0])
def test_a_long_way_ahead_is_not_looked_at_more_often(interval_s: float) -> None:
    assert len(instants_s(_choosing(interval_s), 0.0, 5.0, 1800.0)) < 170


def test_evenly_is_as_asked() -> None:
    assert evenly_s(0.5, 10.0, 2.0).tolist() == [10.0, 10.5, 11.0, 11.5]


def test_so_few_tables_tell_what_the_plant_s_own_would() -> None:
    # a gateway in the rain carries about as much as is asked of it, so that every moment counts
    belief = Belief(attenuation_db={"gateway-site/down": Estimate(9.0)})
    few, many = (
        run(
            Job(
                20.0, [trial("route:avoid=gateway-site")], belief, horizon_s=15.0, warm_s=3.0,
                replications=2, epoch_s=epoch_s, limit_s=math.inf,
            ),
            KNOWN,
        )
        for epoch_s in (0.0, KNOWN.run.epoch_s)
    )  # fmt: skip
    for kind in ("delay", "task"):
        told, true = (report.candidates[0].changes[kind].latency_ms.mean for report in (few, many))
        assert abs(true) > 50.0
        assert told == pytest.approx(true, rel=TABLES_SHARE)
