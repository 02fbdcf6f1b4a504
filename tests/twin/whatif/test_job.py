"""Jobs: what may be asked, and what is refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.errors import BadInput
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.whatif.job import MOST_CANDIDATES, Job, Trial, check, trial

KNOWN = public.of_scenario(load("laptop"))


def _job(text: str, at_s: float = 10.0, horizon_s: float = 20.0) -> Job:
    return Job(at_s, [trial(text)], horizon_s=horizon_s)


@pytest.mark.parametrize(
    "text",
    [
        "route:avoid=gateway-site", "route:avoid=sat-1", "route:avoid=data-centre>gateway-site",
        "handover:bar=sat-2", "handover:bar=sat-2,terminal=field-1", "offload:sensor=edge-ground:1",
        "offload:sensor-3=edge-ground:3+edge-sat:1", "priority:remote=2", "pace:mcu-1=reading_interval_s:2",
        "handover:bar=sat-1; priority:sensor=1",
    ],
)  # fmt: skip
def test_actions_on_what_is_there_are_taken(text: str) -> None:
    job = _job(text)
    assert check(job, KNOWN) is job


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("route:avoid=nowhere", "there is no 'nowhere'"),
        ("route:avoid=gateway-site>moon", "there is no 'moon'"),
        ("route:avoid=on-board", "no links that could be avoided"),
        ("handover:bar=sat-9", "there is no 'sat-9', allowed are sat-1, sat-2"),
        ("handover:bar=gateway-site", "there is no 'gateway-site'"),
        ("handover:bar=sat-1,terminal=gateway-site", "there is no 'gateway-site'"),
        ("offload:nobody=edge-ground:1", "there is no node 'nobody'"),
        ("offload:sensor=gateway-1:1", "'gateway-1' takes no tasks of sensor-1"),
        ("offload:mcu-1=edge-ground:1", "mcu-1 offloads no tasks"),
        ("priority:edge-sat=1", "edge-sat sends nothing of its own accord"),
        ("pace:mcu-1=task_interval_s:1", "mcu-1 has no task_interval_s"),
    ],
)
def test_actions_on_what_is_not_there_are_refused_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        check(_job(text), KNOWN)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("at_s", "horizon_s", "said"),
    [
        (60.0, 1.0, "--at 60: allowed is 0 to less than the run's 60 s"),
        (-1.0, 1.0, "--at -1"),
        (50.0, 11.0, "--horizon 11: allowed is 0.1 to the 10 s that are left"),
        (0.0, 0.0, "--horizon 0"),
        (0.0, float("nan"), "--horizon nan"),
    ],
)
def test_a_horizon_stays_within_the_run(at_s: float, horizon_s: float, said: str) -> None:
    with pytest.raises(BadInput) as error:
        check(_job("handover:bar=sat-1", at_s, horizon_s), KNOWN)
    assert said in str(error.value)


def test_there_are_as_many_candidates_as_can_be_told() -> None:
    for count in (0, MOST_CANDIDATES + 1):
        with pytest.raises(BadInput, match="candidates, allowed"):
            check(Job(0.0, [Trial()] * count), KNOWN)


def test_the_scope_names_nodes() -> None:
    job = Job(0.0, [Trial()], scope=["nobody"])
    with pytest.raises(BadInput, match="scope 'nobody'"):
        check(job, KNOWN)


def test_a_run_that_is_over_has_no_horizon() -> None:
    short = replace(KNOWN, run=replace(KNOWN.run, duration_s=5.0))
    with pytest.raises(BadInput, match="--at 10"):
        check(_job("handover:bar=sat-1"), short)
