"""When packets of a flow come and how long they are: as stated, from the flow's own draws alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emulator.simulate import recorded_arrivals
from emulator.traffic.agenda import begin
from emulator.traffic.arrivals import ParetoOnOff, Periodic, Poisson, Recorded, Times
from emulator.traffic.carry import draw
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow, FlowSet
from emulator.traffic.sizes import Empirical, Fixed, Sizes, Uniform

MS, S = 1_000_000, 1_000_000_000
#: one in a hundred true figures lies outside; seeds were chosen once
CONFIDENCE = 0.99


def flow(times: Times, size: Sizes | None = None, name: str = "one", **more: Any) -> Flow:
    return Flow(name, 1, 2, times, size or Fixed(100), **more)


def packets(one: Flow, most: int = 1000, seed: int = 1) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Times and lengths of the first packets of a flow."""
    traffic = FlowSet([one], seed).traffic(1)
    begin(traffic, 1)
    made_ns, made_bytes = np.zeros(most, np.int64), np.zeros(most, np.int32)
    count = draw(traffic.flows[0], traffic.lengths, traffic.times_ns, made_ns, made_bytes)
    return made_ns[:count], made_bytes[:count]


def test_periodic_messages_are_an_interval_apart_from_their_phase_on() -> None:
    times, _ = packets(flow(Periodic(0.010, phase_s=0.003), start_s=1.0), 4)
    assert times.tolist() == [S + 3 * MS, S + 13 * MS, S + 23 * MS, S + 33 * MS]


def test_a_third_of_a_second_does_not_drift() -> None:
    times, _ = packets(flow(Periodic(1 / 3)), 3001)
    assert times[3000] == 1000 * S


def test_jitter_is_even_and_never_more_than_stated() -> None:
    times, _ = packets(flow(Periodic(0.010, jitter_s=0.004)), 100_000)
    late = times - np.arange(100_000) * 10 * MS
    assert stats.kstest(late, stats.uniform(0, 4 * MS).cdf).pvalue > 1 - CONFIDENCE


def test_gaps_of_a_poisson_flow_are_exponential() -> None:
    times, _ = packets(flow(Poisson(1000.0)), 1_000_000)
    gaps = np.diff(times)
    assert stats.kstest(gaps, stats.expon(0, MS).cdf).pvalue > 1 - CONFIDENCE
    assert abs(stats.pearsonr(gaps[:-1], gaps[1:])[0]) < stats.norm.ppf(1 - (1 - CONFIDENCE) / 2) / 1000


def test_an_on_off_flow_has_its_mean_rate_and_sends_at_its_interval_while_on() -> None:
    # Without a variance of the times the mean settles slowly: many flows instead of one long one.
    until_ns, count = 200 * S, 400
    flows = [flow(ParetoOnOff(0.001, 0.1, 0.3, 1.6), name=f"f{k}") for k in range(count)]
    made = recorded_arrivals(FlowSet(flows, 1), until_ns)
    # Spread of the mean of sources, from the sources themselves.
    of_each = [len(packets(Flow(f.name, 1, 2, f.times, end_s=200.0), 400_000)[0]) for f in flows[:60]]
    spread = 3 * np.std(of_each) / np.sqrt(count)
    assert abs(len(made) / count - 200 * 1000 * 0.25) < spread
    gaps = np.diff(packets(flows[0], 10_000)[0])
    assert gaps.min() >= MS - 1
    assert np.median(gaps) == MS


def test_many_on_off_flows_together_are_self_similar() -> None:
    """The variance of means over m windows falls as m^(2H - 2), with H = (3 - shape) / 2."""
    shape, until_s = 1.4, 4000
    flows = [flow(ParetoOnOff(0.02, 0.2, 0.4, shape), name=f"f{k}") for k in range(100)]
    made = recorded_arrivals(FlowSet(flows, 2), until_s * S)
    counts = np.bincount(made["time_ns"] // (100 * MS), minlength=until_s * 10)[: until_s * 10].astype(float)
    scales = np.array([16, 32, 64, 128, 256, 512])
    variances = [counts[: len(counts) // m * m].reshape(-1, m).mean(axis=1).var() for m in scales]
    hurst = 1 + np.polyfit(np.log(scales), np.log(variances), 1)[0] / 2
    tolerance = 0.1  # of the variance-time method on so long a record
    assert abs(hurst - (3 - shape) / 2) < tolerance


def test_without_long_sojourns_there_is_no_self_similarity() -> None:
    """The same method finds one half where arrivals are independent: it can tell the two apart."""
    made = recorded_arrivals(FlowSet([flow(Poisson(500.0))], 1), 4000 * S)
    counts = np.bincount(made["time_ns"] // (100 * MS), minlength=40_000)[:40_000].astype(float)
    scales = np.array([16, 32, 64, 128, 256, 512])
    variances = [counts[: len(counts) // m * m].reshape(-1, m).mean(axis=1).var() for m in scales]
    assert abs(1 + np.polyfit(np.log(scales), np.log(variances), 1)[0] / 2 - 0.5) < 0.1


def test_recorded_messages_come_as_recorded() -> None:
    times, lengths = packets(flow(Recorded([5, 10, 10, 99], [60, 70, 80, 90]), start_s=1e-6))
    assert times.tolist() == [1005, 1010, 1010, 1099]
    assert lengths.tolist() == [60, 70, 80, 90]


def test_a_message_is_so_many_packets_apart_as_stated_the_last_shorter() -> None:
    one = flow(Periodic(1.0), Fixed(1000), packets=3, spacing_s=0.01, last_bytes=70)
    times, lengths = packets(one, 6)
    assert times.tolist() == [0, 10 * MS, 20 * MS, S, S + 10 * MS, S + 20 * MS]
    assert lengths.tolist() == [1000, 1000, 70] * 2


def test_a_message_waits_for_the_one_before_it() -> None:
    times, _ = packets(flow(Recorded([0, 1 * MS]), packets=2, spacing_s=0.005), 4)
    assert times.tolist() == [0, 5 * MS, 5 * MS, 10 * MS]


def test_no_message_begins_at_the_end_or_later() -> None:
    times, _ = packets(flow(Periodic(0.1), start_s=0.5, end_s=0.8))
    assert times.tolist() == [500 * MS, 600 * MS, 700 * MS]


@pytest.mark.parametrize(
    "times", [Periodic(0.01, jitter_s=0.01), Poisson(100.0), ParetoOnOff(0.01, 0.1, 0.1)]
)
def test_times_go_forward_and_end_at_the_end(times: Times) -> None:
    made, _ = packets(flow(times, end_s=5.0))
    assert np.all(np.diff(made) >= 0)
    assert 4 * S < made[-1] < 5 * S


def test_even_lengths_are_even() -> None:
    _, lengths = packets(flow(Periodic(0.01), Uniform(60, 69)), 100_000)
    assert stats.chisquare(np.bincount(lengths, minlength=70)[60:]).pvalue > 1 - CONFIDENCE


def test_lengths_of_a_table_come_as_often_as_they_stand_in_it() -> None:
    _, lengths = packets(flow(Periodic(0.01), Empirical([40, 40, 576, 1500])), 100_000)
    counts = [(lengths == length).sum() for length in (40, 576, 1500)]
    assert stats.chisquare(counts, [50_000, 25_000, 25_000]).pvalue > 1 - CONFIDENCE


def test_another_seed_or_name_draws_anew() -> None:
    here, _ = packets(flow(Poisson(10.0)))
    assert not np.array_equal(here, packets(flow(Poisson(10.0)), seed=2)[0])
    assert not np.array_equal(here, packets(flow(Poisson(10.0), name="two"))[0])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(Periodic, st.sampled_from([0.01, 0.02]), st.sampled_from([0.0, 0.01])),
            st.builds(Poisson, st.floats(1.0, 200.0)),
            st.builds(ParetoOnOff, st.floats(0.001, 0.1), st.floats(0.01, 1.0), st.floats(0.01, 1.0)),
            st.builds(Recorded, st.lists(st.integers(0, S), max_size=5).map(sorted)),
        ),
        max_size=12,
    )
)
def test_the_flows_of_a_set_come_in_order_each_as_if_it_were_alone(kinds: list[Times]) -> None:
    flows = [
        Flow(f"f{k}", 1, 2, times, Uniform(60, 1500), traffic_class=k % 4) for k, times in enumerate(kinds)
    ]
    together = recorded_arrivals(FlowSet(flows, 7), S)
    assert np.all(np.diff(together["time_ns"]) >= 0)
    alone = [recorded_arrivals(FlowSet([one], 7), S) for one in flows]
    assert len(together) == sum(map(len, alone))
    names = ["time_ns", "length", "traffic_class"]
    every = np.concatenate([np.zeros(0, together.dtype), *alone])
    assert np.array_equal(np.sort(together[names]), np.sort(every[names]))
    equal = np.flatnonzero(np.diff(together["time_ns"]) == 0)
    # At equal times flows go in their order, which here is told by nothing but the class of the first four.
    if len(flows) <= 4:
        assert np.all(together["traffic_class"][equal] <= together["traffic_class"][equal + 1])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (flow(Periodic(0.0)), r"flow 'one': times.interval_s is 0.0, allowed: 1e-09 to 1e\+09 s"),
        (flow(Periodic(1.0, jitter_s=2.0)), "times.jitter_s is 2.0, allowed: 0 to interval_s = 1"),
        (flow(Poisson(-1.0)), "times.rate_per_s is -1.0, allowed: 1e-09"),
        (flow(ParetoOnOff(0.1, 1.0, 1.0, 2.5)), "times.shape is 2.5, allowed: above 1 and below 2"),
        (flow(Recorded([3, 2])), "times.times_ns goes back, allowed: times in order"),
        (flow(Recorded([3], [1, 2])), "times.lengths_bytes has 2 values, allowed: one for each of 1 times"),
        (flow(Poisson(1.0), Fixed(0)), "size.length_bytes is 0, allowed: 1 to 65535 bytes"),
        (flow(Poisson(1.0), Uniform(9, 8)), "size.low_bytes is 9, allowed: at most high_bytes = 8"),
        (flow(Poisson(1.0), Empirical([])), "size.lengths_bytes is empty, allowed: at least one"),
        (flow(Poisson(1.0), packets=0), "packets is 0, allowed: 1 to 1000000"),
        (flow(Poisson(1.0), start_s=2.0, end_s=1.0), "end_s is 1.0, allowed: start_s = 2 to"),
        (flow(Poisson(1.0), traffic_class=4), "traffic_class is 4, allowed: 0 to 3"),
        (Flow("one", 0, 2, Poisson(1.0)), "port is 0, allowed: the number of a port, from 1"),
    ],
)
def test_a_flow_that_cannot_be_is_refused_in_a_sentence(wrong: Flow, sentence: str) -> None:
    with pytest.raises(TrafficError, match=sentence):
        FlowSet([wrong])


def test_two_flows_of_one_name_are_refused() -> None:
    with pytest.raises(TrafficError, match="flow 'one': the name is taken"):
        FlowSet([flow(Poisson(1.0)), flow(Poisson(2.0))])
