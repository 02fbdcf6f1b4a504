"""A million packets through the whole network: each process within its 99 % confidence interval.

Seeds were chosen once, beforehand: one such test in a hundred fails with a kernel that is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from emulator.accounting import DELIVERED
from emulator.epochs import LinkUpdates
from emulator.layout import make_network
from emulator.links.model import GilbertElliott, LinkModel, ModelSet
from emulator.simulate import Simulated, simulate
from emulator.traffic.arrivals import Periodic, Poisson
from emulator.traffic.flows import Flow, FlowSet
from emulator.traffic.sizes import Fixed
from tests.emulator.chain import LEFT, RIGHT, S, table

PACKETS = 1_000_000
CONFIDENCE = 0.99
SIDES = stats.norm.ppf(1 - (1 - CONFIDENCE) / 2)
BYTES = 125
#: between packets: twice what it takes to send one at a gigabit a second
GAP_NS = 2000


def run(*models: LinkModel, times: Any = None, **columns: Any) -> Simulated:
    """PACKETS over one link, every one of which tells its end."""
    net = make_network(2, 2, 3, slots=4096, log=2, models=ModelSet(models))
    for port, place, host in ((LEFT, 0, 0), (RIGHT, 1, 1)):
        net.port_place[port], net.port_host[port] = place, host
    LinkUpdates(net, ["a", "b"], 3).post(0, table(2, **{"rate_bps": 1e9, "delay_ns": 100_000, **columns}))
    every = Flow(
        "one", LEFT, RIGHT, times or Periodic(GAP_NS * 1e-9), Fixed(BYTES), end_s=PACKETS * GAP_NS * 1e-9
    )
    return simulate(
        net, None, [], PACKETS * GAP_NS + S, flows=FlowSet([every], 3), log=False, samples=2 * PACKETS
    )


def lost_in_order(done: Simulated) -> np.ndarray[Any, Any]:
    samples = done.results.samples
    assert len(samples) == PACKETS
    return samples["fate"][np.argsort(samples["sent_ns"], kind="stable")] != DELIVERED


def test_independent_loss() -> None:
    loss = 0.01
    low, high = stats.binom.interval(CONFIDENCE, PACKETS, loss)
    lost = lost_in_order(run(loss=loss))
    assert low <= lost.sum() <= high
    pairs = (lost[1:] & lost[:-1]).sum()
    low, high = stats.binom.interval(CONFIDENCE, PACKETS - 1, loss * loss)
    assert low <= pairs <= high


def test_frames_in_error() -> None:
    # 125 bytes are three frames of 400 bits.
    error = 0.004
    low, high = stats.binom.interval(CONFIDENCE, PACKETS, 1 - (1 - error) ** 3)
    assert low <= lost_in_order(run(frame_error=error, frame_bits=400)).sum() <= high


def test_bursts_of_loss() -> None:
    enter, leave = 0.002, 0.1
    lost = lost_in_order(run(LinkModel("bursty", loss=GilbertElliott(enter, leave)), model=1))
    # Of each kind of step the share is binomial given how many such steps there were.
    after_good, after_bad = lost[1:][~lost[:-1]], lost[1:][lost[:-1]]
    low, high = stats.binom.interval(CONFIDENCE, len(after_good), enter)
    assert low <= after_good.sum() <= high
    low, high = stats.binom.interval(CONFIDENCE, len(after_bad), 1 - leave)
    assert low <= after_bad.sum() <= high
    # The share itself: its variance is (1 + r) / (1 - r) times the binomial one, r = 1 - enter - leave.
    share, memory = enter / (enter + leave), 1 - enter - leave
    spread = np.sqrt(share * (1 - share) / PACKETS * (1 + memory) / (1 - memory))
    assert abs(lost.mean() - share) < SIDES * spread


def test_jitter() -> None:
    mean_ns = 50_000
    done = run(LinkModel("free", keep_order=False), model=1, jitter_ns=float(mean_ns))
    jitter = done.results.samples["delay_ns"] - 100_000 - BYTES * 8
    assert len(jitter) == PACKETS
    assert jitter.min() >= 0
    assert abs(jitter.mean() - mean_ns) < SIDES * mean_ns / np.sqrt(PACKETS)
    # Whole nanoseconds: half of one against the distance that a million draws can tell.
    assert stats.kstest(jitter + 0.5, stats.expon(0, mean_ns).cdf).pvalue > 1 - CONFIDENCE


def test_rate() -> None:
    """A link that always has something to send delivers exactly its rate."""
    rate_bps = 4e8
    done = run(rate_bps=rate_bps, queue_packets=100, queue_bytes=10**9)
    assert done.results["one"].dropped.keys() == {"queue_full"}
    samples = done.results.samples
    arrived = np.sort((samples["sent_ns"] + samples["delay_ns"])[samples["fate"] == DELIVERED])
    gaps = np.diff(arrived)
    assert gaps.min() == gaps.max() == BYTES * 8 * S // int(rate_bps)


def test_waiting_time_of_a_queue_at_poisson_arrivals() -> None:
    """M/D/1 (Pollaczek and Khinchine): mean wait = load / (1 - load) / 2 of the time of a packet."""
    load, packet_ns = 0.7, 1000
    times = Poisson(load / packet_ns * 1e9)
    done = run(times=times, queue_packets=3000, queue_bytes=10**9, delay_ns=0)
    wait = done.results["one"].delay_mean_s * 1e9 - packet_ns
    samples = done.results.samples
    delays = samples["delay_ns"][np.argsort(samples["sent_ns"], kind="stable")] - packet_ns
    # Waits are correlated: the spread of the mean comes from means over stretches that are not.
    stretches = delays[: len(delays) // 1000 * 1000].reshape(1000, -1).mean(axis=1)
    spread = stretches.std() / np.sqrt(len(stretches))
    assert len(delays) == pytest.approx(load * PACKETS * GAP_NS / packet_ns, rel=0.01)
    assert abs(wait - load / (1 - load) / 2 * packet_ns) < SIDES * spread
