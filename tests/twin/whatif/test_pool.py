"""Jobs in warm worker processes: the same answers, bounded time, and nothing left behind."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator

import pytest

from testbed.errors import BadInput
from testbed.scenario import load
from testbed.twin import public
from testbed.twin.whatif import Job, Pool, finish, run, trial

KNOWN = public.of_scenario(load("laptop"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    run(_job(), KNOWN)  # compiles what is not in the cache, once and not in every worker
    before = set(multiprocessing.active_children())
    with Pool(KNOWN, workers=2) as made:
        assert made.warm(120.0)
        yield made
    assert set(multiprocessing.active_children()) <= before


def _job(**more: object) -> Job:
    settings = {"horizon_s": 5.0, "replications": 3, "warm_s": 1.0, **more}
    return Job(10.0, [trial("handover:bar=sat-1")], **settings)  # type: ignore[arg-type]


def test_workers_answer_as_the_caller_would(pool: Pool) -> None:
    there, here = finish(pool.submit(_job())), run(_job(), KNOWN)
    there.took_s = here.took_s = 0.0
    assert there == here


def test_a_job_that_cannot_be_is_refused_before_it_is_given_away(pool: Pool) -> None:
    with pytest.raises(BadInput, match="--horizon"):
        pool.submit(_job(horizon_s=500.0))


def test_what_is_not_done_in_time_is_left_out(pool: Pool) -> None:
    report = finish(pool.submit(_job(limit_s=1e-6, replications=8)))
    assert not report.complete
    assert 1 <= report.replications < 8
