"""What is told of flows: quantiles, ages and rates from what was counted, against numpy on every packet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.simulate import Simulated, simulate
from emulator.traffic.arrivals import Periodic, Poisson, Recorded
from emulator.traffic.errors import TrafficError
from emulator.traffic.flows import Flow, FlowSet
from emulator.traffic.layout import BUCKETS, OCTAVE
from emulator.traffic.results import bucket_edges_ns
from emulator.traffic.sizes import Fixed, Uniform
from emulator.traffic.tally import bucket
from tests.emulator.chain import LEFT, MS, RIGHT, S, chain, recorded, table

#: a bucket is at most so wide, relative to its lower edge
BUCKET = 1 / OCTAVE


@given(st.integers(0, (1 << 44) - 1))
def test_a_time_is_in_the_bucket_between_its_edges(value_ns: int) -> None:
    edges, index = bucket_edges_ns(), bucket(value_ns)
    assert edges[index] <= value_ns < edges[index + 1]


def test_times_beyond_the_last_bucket_are_in_it() -> None:
    assert bucket(1 << 60) == BUCKETS - 1
    assert bucket(-5) == 0


@pytest.fixture(scope="module")
def run() -> Simulated:
    flows = FlowSet(
        [
            Flow("fast", LEFT, RIGHT, Poisson(2000.0), Uniform(60, 1500)),
            Flow("slow", LEFT, RIGHT, Periodic(0.05), Fixed(500)),
        ],
        seed=1,
    )
    tables = recorded((0, table(rate_bps=2e7, jitter_ns=1e6, loss=0.02)))
    return simulate(chain(log=1 << 18), None, tables, 20 * S, flows=flows, samples=100_000, window_s=1.0)


def test_counts_balance_for_every_flow(run: Simulated) -> None:
    results = run.results
    assert np.array_equal(results.sent, results.delivered + results.lost + results.in_flight)
    assert results.in_flight.sum() == run.in_flight
    assert results.fates.sum(axis=0).tolist() == run.fates.tolist()


def test_moments_and_quantiles_are_those_of_the_single_packets(run: Simulated) -> None:
    samples = run.results.samples
    assert run.results.unsampled == 0
    for row, name in enumerate(run.results.names):
        delays = samples["delay_ns"][(samples["row"] == row) & (samples["delay_ns"] >= 0)] * 1e-9
        flow = run.results[name]
        assert len(delays) == flow.delivered
        assert flow.delay_mean_s == pytest.approx(delays.mean(), rel=1e-9)
        assert flow.delay_std_s == pytest.approx(delays.std(), rel=1e-6)
        assert (flow.delay_min_s, flow.delay_max_s) == pytest.approx((delays.min(), delays.max()))
        shares = np.array([0.0, 0.1, 0.5, 0.9, 0.99, 1.0])
        assert flow.delay_quantile_s(shares) == pytest.approx(np.quantile(delays, shares), rel=BUCKET)


def test_windows_add_up_to_the_whole(run: Simulated) -> None:
    results = run.results
    assert results.windows is not None
    assert results.windows.shape == (2, 21)
    assert np.array_equal(results.windows["sent"].sum(axis=1), results.sent)
    assert np.array_equal(results.windows["delivered"].sum(axis=1), results.delivered)
    assert np.array_equal(results.windows["dropped"].sum(axis=1), results.lost)
    assert results.windows["sent"][1, :20].tolist() == [20] * 20


def test_rates_are_those_of_what_was_sent_and_delivered(run: Simulated) -> None:
    slow = run.results["slow"]
    assert slow.throughput_bps == pytest.approx(slow.delivered * 500 * 8 / 20.0)
    assert slow.offered_bps == pytest.approx(slow.sent * 500 * 8 / 20.0)
    assert slow.loss_rate == pytest.approx(slow.lost / (slow.delivered + slow.lost))


def test_flows_can_be_taken_together(run: Simulated) -> None:
    every, alike = run.results.together(), run.results.matching("*s*")
    assert every.sent == run.results.sent.sum() == alike.sent
    assert every.dropped == {"radio_loss": int(run.fates[5])}
    with pytest.raises(TrafficError, match="results of flows 'x'"):
        run.results.matching("x*".replace("*", ""))
    with pytest.raises(TrafficError, match="results of flow 'none', allowed: fast, slow"):
        run.results["none"]


def test_age_of_information_is_its_integral_over_time() -> None:
    # Sent at 0, 1 and 3 s, each 2 * 5.8 ms under way; from 11.6 ms on to 4 s.
    flows = FlowSet([Flow("one", LEFT, RIGHT, Recorded([0, S, 3 * S]), Fixed(100))])
    run = simulate(chain(), None, recorded((0, table())), 4 * S, flows=flows)
    way = 2 * 5.8 * MS * 1e-9
    areas = ((1 + way) ** 2 - way**2, (2 + way) ** 2 - way**2, 1.0 - way**2)
    one = run.results["one"]
    assert one.age_mean_s == pytest.approx(sum(areas) / 2 / (4 - way))
    assert one.age_max_s == pytest.approx(2 + way)


def test_a_flow_of_which_nothing_arrives_has_no_delay() -> None:
    flows = FlowSet([Flow("one", LEFT, RIGHT, Recorded([0]))])
    one = simulate(chain(), None, recorded((0, table(up=False))), S, flows=flows).results["one"]
    assert one.dropped == {"link_down": 1}
    assert one.loss_rate == 1.0
    assert np.isnan([one.delay_mean_s, one.delay_std_s, one.delay_quantile_s(0.5), one.age_mean_s]).all()
