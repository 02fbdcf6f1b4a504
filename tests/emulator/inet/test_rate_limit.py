"""The token bucket: how many at once, how many in the long run, and clocks that jump."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.inet.rate_limit import BURST, COST_NS, GIVEN, RATE_PER_S, REFUSED, make_bucket, take

MS = 1_000_000
S = 1000 * MS


def _taken(bucket: object, now_ns: int, times: int) -> int:
    return sum(bool(take(bucket, now_ns)) for _ in range(times))


def test_a_full_bucket_gives_its_burst_at_once_and_then_one_a_period() -> None:
    bucket = make_bucket()
    assert (RATE_PER_S, BURST) == (1000, 100)
    assert _taken(bucket, 5 * S, 200) == BURST
    assert _taken(bucket, 5 * S + MS - 1, 5) == 0
    assert _taken(bucket, 5 * S + MS, 5) == 1
    assert _taken(bucket, 5 * S + 4 * MS, 5) == 3


def test_a_rest_fills_the_bucket_and_no_more() -> None:
    bucket = make_bucket(1000, 100)
    assert _taken(bucket, 0, 1000) == 100
    assert _taken(bucket, 3600 * S, 1000) == 100


def test_given_and_refused_are_counted() -> None:
    bucket = make_bucket(10, 3)
    _taken(bucket, S, 8)
    assert (bucket[GIVEN], bucket[REFUSED]) == (3, 5)


def test_the_end_of_time_does_not_overflow() -> None:
    bucket = make_bucket(1, 1_000_000)
    assert take(bucket, 2**63 - 1)


def test_time_that_goes_back_earns_nothing_twice() -> None:
    bucket = make_bucket(1000, 1)
    assert _taken(bucket, 10 * S, 5) == 1
    assert _taken(bucket, 5 * S, 5) == 0
    assert _taken(bucket, 10 * S, 5) == 0
    assert _taken(bucket, 10 * S + MS, 5) == 1


def test_time_that_goes_back_takes_nothing_away() -> None:
    bucket = make_bucket(1000, 100)
    assert _taken(bucket, 10 * S, 1) == 1
    assert _taken(bucket, 5 * S, 200) == 99


@given(
    rate=st.integers(1, 10**9),
    burst=st.integers(1, 1000),
    steps=st.lists(st.integers(0, 10 * S), min_size=1, max_size=200),
)
@settings(deadline=None)
def test_never_more_than_the_burst_and_the_rate_allow(rate: int, burst: int, steps: list[int]) -> None:
    bucket = make_bucket(rate, burst)
    now, given_in_all = 0, 0
    for step in steps:
        now += step
        given_in_all += _taken(bucket, now, 3)
    assert given_in_all <= burst + now // int(bucket[COST_NS])


@pytest.mark.parametrize(
    ("rate", "burst", "sentence"),
    [
        (0, 100, "rate of 0 errors a second, allowed: 1 to 1000000000"),
        (10**9 + 1, 100, "rate of 1000000001 errors a second, allowed: 1 to 1000000000"),
        (1000, 0, "burst of 0 errors, allowed: 1 to 1000000"),
        (1000, 1_000_001, "burst of 1000001 errors, allowed: 1 to 1000000"),
    ],
)
def test_figures_that_are_no_limit_are_refused_in_one_sentence(rate: int, burst: int, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared
        make_bucket(rate, burst)
    assert str(caught.value) == sentence
